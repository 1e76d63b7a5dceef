"""
Lesson 1: Sparse codes
======================

*You will see how few neurons it takes to represent an image, and what is traded for sparseness.*

A population of neurons can represent an image by the activity of all its members, or by that of
very few. The cortex seems to prefer few: in natural scenes, most neurons are silent most of the
time. Such a *sparse code* saves spikes, and it makes things explicit: each active neuron says that
one part is there.

We let a network of 64 spiking neurons look at handwritten digits.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder

X, y = load_digits(return_X_y=True)
coder = DendriticBalanceCoder(n_components=64, random_state=0).fit(X)
codes = coder.transform(X)

# %%
# From a code to an image
# -----------------------
# A code holds the firing rate of every neuron. Each neuron stands for an
# image, its row of ``components_``. The digit is read out as the sum of these images, each times
# the rate of its neuron.
k = 5
strongest = np.argsort(-codes[k])[:6]
figure, axes = plt.subplots(1, 8, figsize=(9, 1.6), layout="constrained")
axes[0].imshow(X[k].reshape(8, 8), cmap="gray_r")
axes[0].set_title("digit")
for ax, unit in zip(axes[1:7], strongest, strict=True):
    ax.imshow(coder.components_[unit].reshape(8, 8), cmap="gray_r", vmin=0)
    ax.set_title(f"{codes[k, unit] * coder.to_hz_:.0f} Hz")
axes[7].imshow((codes[k] @ coder.components_).reshape(8, 8), cmap="gray_r", vmin=0)
axes[7].set_title("sum of all")
for ax in axes:
    ax.set(xticks=[], yticks=[])

# %%
# How sparse is it?
# -----------------
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.hist((codes > 0).sum(axis=1), bins=np.arange(0, 41, 2))
left.set(xlabel="active neurons for a digit", ylabel="digits")
right.hist((codes > 0).mean(axis=0), bins=15)
right.set(xlabel="part of the digits for which a neuron is active", ylabel="neurons")
print(f"{(codes > 0).sum(axis=1).mean():.1f} of 64 neurons are active for a digit,")
print(f"and together they explain {100 * coder.score(X):.0f} % of the variance.")

# %%
# The price of sparseness
# -----------------------
# The target firing rate sets how many spikes a code may use. With fewer
# spikes, the code is sparser and the digit is read less well.
rates = [2, 5, 12, 25, 40]  # Hz
active, explained = [], []
for rate in rates:
    other = DendriticBalanceCoder(64, rate=rate, max_iter=5, random_state=0).fit(X)
    active.append((other.transform(X) > 0).sum(axis=1).mean())
    explained.append(other.score(X))
figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
ax.plot(active, explained, "o-")
for rate, *point in zip(rates, active, explained, strict=True):
    ax.annotate(f"{rate} Hz", point, xytext=(6, -10), textcoords="offset points")
ax.margins(x=0.2, y=0.1)
ax.set(xlabel="active neurons for a digit", ylabel="explained variance")

# %%
# Exercises
# ---------
# 1. Silence the neuron that is most active for a digit: set its rate in the code to zero, and look
#    at the reconstruction. What is missing? Then let the network itself go without this neuron, by
#    ``coder.record(X[k:k + 1], silenced=[unit])``, and look at ``reconstructions()[-1]``. Why is
#    this one better?
# 2. Show single images of the dictionary with ``DictionaryDisplay.from_estimator(coder)``. Which
#    neurons stand for whole digits, which for strokes? Fit networks of 16 and of 144 neurons and
#    compare.
# 3. How much time does the network need? Draw ``coder.score(X)`` against ``transform_time`` from 1
#    to 100 ms, with ``coder.set_params(transform_time=...)``; there is no need to fit again.
# 4. Compare with principal components: ``sklearn.decomposition.PCA(20)``. How many of them are
#    active for a digit, and what do they look like?

# %%
# Solution of exercise 1
# ----------------------
# Without its strongest neuron, the *code* lacks a part of the digit. The *network* has other
# neurons: as soon as one is missing, the part that it would have explained is left in the
# potentials of others, which then fire.
unit = strongest[0]
without = codes[k].copy()
without[unit] = 0.0
recording = coder.record(X[k : k + 1], silenced=[unit], random_state=0)
images = [X[k], without @ coder.components_, recording.reconstructions()[-40:].mean(axis=0)]
figure, axes = plt.subplots(1, 3, figsize=(5, 2), layout="constrained")
for ax, image, title in zip(axes, images, ("digit", "rate set to 0", "silenced"), strict=True):
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0)
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
