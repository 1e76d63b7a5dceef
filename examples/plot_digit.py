"""
A digit appears
===============

Handwritten digits are presented to a network of 64 spiking neurons. Within a few milliseconds, the
spikes of a few neurons represent a digit: the sum of their images, each weighted by the spikes of
its neuron, is close to it.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder
from skdendbal.display import AnyTimeDisplay, RasterDisplay

X, _ = load_digits(return_X_y=True)
coder = DendriticBalanceCoder(n_components=64, random_state=0).fit(X)
recording = coder.record(X[:5], random_state=0)
RasterDisplay.from_recording(recording, image_shape=(8, 8)).figure_.set_size_inches(9, 4.5)

# %%
# Every tick is a spike. Above are the digits, below is what the network reads from its own spikes.
#
# How fast it is
# --------------
# The first spikes tell most: a digit fades in during 5 ms, and can be recognised before that.
# Later spikes refine the code.
AnyTimeDisplay.from_recording(recording, rows=[2, 4]).figure_.set_size_inches(9, 3)

# %%
# One neuron
# ----------
# A neuron adds up what its compartments do not yet find explained. Its membrane potential rises
# towards the threshold (dashed), and falls when the neuron spikes (black), or when another neuron
# explains the same pixels. Input is scaled to a mean squared norm of 1, and so are potentials.
unit = recording.rasters(row=2).sum(axis=0).argmax()
spikes = recording.times()[recording.rasters(row=2)[:, unit]]
figure, ax = plt.subplots(figsize=(8, 2.5), layout="constrained")
ax.plot(recording.times(), recording.potentials(row=2, units=[unit]))
ax.axhline(recording.thresholds[unit], color="0.5", ls="--")
ax.plot(spikes, [recording.thresholds[unit]] * len(spikes), "k|", markersize=12)
ax.set(xlabel="time (ms)", ylabel=f"potential of neuron {unit}\n(scaled)", xlim=(0, 40))
plt.show()
