"""
A digit appears
===============

A handwritten digit is presented to a network of 64 spiking neurons. Within a few milliseconds, the
spikes of a few neurons represent it: the sum of their images, each weighted by its neuron's recent
spikes, is close to the digit.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder

X, _ = load_digits(return_X_y=True)
coder = DendriticBalanceCoder(n_components=64, random_state=0).fit(X)
recording = coder.record(X[2:3], random_state=0)

moments = [1, 3, 5, 10, 20, 50, 99]  # ms
reconstructions = recording.reconstructions()[[int(t / coder.dt) for t in moments]]
figure, axes = plt.subplots(1, 8, figsize=(9, 1.7), layout="constrained")
for ax, image, title in zip(
    axes,
    [recording.X[0], *reconstructions],
    ["digit", *(f"after {t} ms" for t in moments)],
    strict=True,
):
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=recording.X.max())
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize="medium")

# %%
# What the neurons do
# -------------------
# Every tick is a spike. The digit fades in during the first 5 ms, and the neurons whose images match
# it fire at once; later, single spikes repair what the fading traces lose.
# Spikes that explain something lower the error of the reconstruction. Between them it creeps up, because
# traces decay with a time constant of 10 ms.
raster = recording.rasters()
steps, units = raster.nonzero()
error = ((recording.X[0] - recording.reconstructions()) ** 2).sum(axis=1)
figure, axes = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
axes[0].vlines(recording.times()[steps], units - 0.4, units + 0.4, color="k")
axes[0].set(ylabel="neuron")
axes[1].plot(recording.times(), error / (recording.X**2).sum())
axes[1].set(xlabel="time (ms)", ylabel="squared error\n(relative)", yscale="log")

# %%
# One neuron
# ----------
# A neuron integrates what its compartments do not yet find explained. Its membrane potential rises
# towards the threshold, and falls when it spikes, or when another neuron explains the same pixels.
unit = raster.sum(axis=0).argmax()
figure, ax = plt.subplots(figsize=(8, 2.5), layout="constrained")
ax.plot(recording.times(), recording.potentials(units=[unit]), label="potential")
ax.axhline(recording.thresholds[unit], color="0.5", ls="--", label="threshold")
ax.plot(recording.times()[raster[:, unit]], [recording.thresholds[unit]] * raster[:, unit].sum(),
        "k|", markersize=12, label="spikes")  # fmt: skip
ax.set(xlabel="time (ms)", ylabel=f"potential of neuron {unit}")
ax.legend(loc="upper right", ncols=3)
plt.show()
