"""
Patches and pooling
===================

Whole images need one neuron for every place where a stroke may be. Patches share their neurons:
:class:`~skdendbal.image.PatchCoder` codes all patches of an image by one small network, and pools
the codes over the cells of a grid. A linear classifier does better on such features.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay
from skdendbal.image import PatchCoder

digits = load_digits()
train, test, y_train, y_test = train_test_split(
    digits.images / 16.0, digits.target, random_state=0
)
coder = DendriticBalanceCoder(36, max_iter=1, transform_time=5.0, code="balanced", random_state=0)
patches = PatchCoder(coder, patch_size=4, padding=1, grid=3, random_state=0)
model = make_pipeline(patches, LogisticRegression(C=10.0, max_iter=2000)).fit(train, y_train)
display = DictionaryDisplay.from_estimator(patches.coder_)
display.ax_.set_title("what the neurons stand for: edges and ends of strokes")

# %%
# Accuracy
# --------
# The same classifier on codes of whole images and on pixels:
whole = make_pipeline(
    DendriticBalanceCoder(64, random_state=0),
    LogisticRegression(C=10.0, max_iter=2000),
)
flat_train, flat_test = train.reshape(len(train), -1), test.reshape(len(test), -1)
print(f"patches, pooled: {model.score(test, y_test):.3f}")
print(f"whole images:    {whole.fit(flat_train, y_train).score(flat_test, y_test):.3f}")
pixels = LogisticRegression(C=10.0, max_iter=5000).fit(flat_train, y_train)
print(f"pixels:          {pixels.score(flat_test, y_test):.3f}")

# %%
# Where a feature is
# ------------------
# Features are small images again, with one channel for each neuron. Here are an image and the five
# neurons that are most active in it: above is what they stand for, below is where they are active.
features = patches.transform(test[:1]).reshape(3, 3, 36)
strongest = features.sum(axis=(0, 1)).argsort()[::-1][:5]
figure, axes = plt.subplots(2, 6, figsize=(8, 3), layout="constrained")
axes[0, 0].imshow(test[0], cmap="gray_r")
axes[0, 0].set_title("image")
axes[1, 0].axis("off")
for unit, (above, below) in zip(strongest, axes[:, 1:].T, strict=True):
    component = patches.coder_.components_[unit].reshape(4, 4)
    above.imshow(component, cmap="RdBu_r", vmin=-abs(component).max(), vmax=abs(component).max())
    above.set_title(f"neuron {unit}")
    below.imshow(features[..., unit], cmap="gray_r", vmin=0)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()
