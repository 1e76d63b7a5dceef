"""
Parts found in mixtures
=======================

Every image shows three bars at once, and none shows a bar alone. The network finds the bars all
the same, because they are the parts with which all images can be explained by few spikes.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import NMF, PCA

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay
from skdendbal.metrics import dictionary_recovery

SIDE = 6
bars = np.vstack([np.repeat(np.eye(SIDE), SIDE, axis=1), np.tile(np.eye(SIDE), SIDE)])
shown = np.random.default_rng(0).random((4000, 2 * SIDE)).argsort(axis=1) < 3  # bars in an image
X = shown.astype(float) @ bars

coder = DendriticBalanceCoder(n_components=2 * SIDE, random_state=0).fit(X)
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
DictionaryDisplay(X[:12]).plot(axes[0]).ax_.set_title("images")
DictionaryDisplay.from_estimator(coder, ax=axes[1], vmin=0).ax_.set_title("what neurons stand for")

# %%
# Beside other decompositions
# ---------------------------
# Recovery is the mean similarity of true parts and the components
# assigned to them; 1 is perfect. Non-negative matrix factorisation finds the bars, too. Principal
# components do not, since they mix parts and cancel them.
figure, axes = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
models = {
    "DendriticBalanceCoder": coder,
    "NMF": NMF(2 * SIDE, init="random", max_iter=2000, random_state=0).fit(X),
    "PCA": PCA(2 * SIDE).fit(X),
}
for ax, (name, model) in zip(axes, models.items(), strict=True):
    DictionaryDisplay(model.components_).plot(ax, vmin=-1)
    similarity, _ = dictionary_recovery(model.components_, bars)
    ax.set_title(f"{name}: recovery {similarity:.2f}")
plt.show()
