"""
The dictionary fills in
=======================

A network learns from one digit after another. At first its neurons stand for nothing; after some
hundred digits they hold blurred mixtures, and after some thousand, strokes and whole digits.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay

X, _ = load_digits(return_X_y=True)
X = np.random.default_rng(0).permutation(np.repeat(X, 5, axis=0))
coder = DendriticBalanceCoder(n_components=36, random_state=0, input_scale=60.0)

ends = [256, 512, 1024, 2048, 4096, 8192]
figure, axes = plt.subplots(2, 3, figsize=(8, 5.6), layout="constrained")
for start, end, ax in zip([0, *ends], ends, axes.flat):
    coder.partial_fit(X[start:end])
    DictionaryDisplay.from_estimator(coder, order=range(36), ax=ax, vmin=0)
    ax.set_title(f"{end} digits, {100 * coder.score(X[:500]):.0f} % explained")

# %%
# Noise, and why it falls
# -----------------------
# Neurons begin with much noise, so that all of them take part, and become more precise while the noise
# falls over the horizon, here 4000 presentations. Rates are kept at their target throughout.
#
# ``partial_fit`` may be called with any number of rows, and the split into calls does not matter.
# ``loss_curve_`` holds the decoder loss.
presentations = np.linspace(0, coder.n_presentations_, len(coder.loss_curve_))
noise = [coder.settings_.noise.level(n / coder.settings_.horizon) for n in presentations]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.plot(presentations, coder.loss_curve_)
left.set(xlabel="digits", ylabel="decoder loss", ylim=(0, None))
right.plot(presentations, noise)
right.set(xlabel="digits", ylabel="noise level", ylim=(0, None))
plt.show()
