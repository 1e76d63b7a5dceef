r"""
Lesson 2: Balance and prediction error
======================================

*You will see that a balanced potential is a prediction error, and how neurons learn from it.*

Cortical neurons receive strong excitation and strong inhibition that nearly cancel. Why spend so
many spikes on nothing? One answer: what is left after cancellation is the news. If the recurrent
input of a neuron predicts its feedforward input, its potential is the part that the network has
not yet explained.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder
from skdendbal.display import BalanceDisplay

X, _ = load_digits(return_X_y=True)
coder = DendriticBalanceCoder(n_components=64, random_state=0).fit(X)
recording = coder.record(X[:1], random_state=0)
spike_counts = recording.rasters().sum(axis=0)
unit = spike_counts.argmax()
BalanceDisplay.from_recording(recording, unit).figure_.set_size_inches(8, 3)

# %%
# Two equations
# -------------
# Every spike adds 1 to the *trace* :math:`z_k` of its neuron, which decays with a time constant of
# 10 ms. The network's guess of the input :math:`x` is :math:`D z`. The potential of neuron *j* is
#
# .. math:: u_j = \sum_i F_{ji} (x - D z)_i = (F x)_j - (F D z)_j ,
#
# the feedforward current plus the recurrent current: the coding error, seen
# through the weights of the neuron. A neuron spikes when its potential is high, that is, when its
# spike would reduce the error.
error = recording.inputs() - recording.reconstructions()
F = coder.network_.decoder.T  # with exact balance
potential = error @ F[unit]
print("same potential:", np.allclose(potential, recording.potentials(units=[unit])[:, 0]))

# %%
# Prediction errors in compartments
# ---------------------------------
# The sum over *i* can be balanced as a whole, in the soma, or
# term by term, in a dendritic compartment for every input. With *dendritic* balance, compartment
# *i* holds :math:`F_{ji} (x - D z)_i`: the error of its own input, right at the synapse whose
# weight could reduce it. The plasticity :math:`\Delta F_{ji} \propto z_j (x - F^T z)_i` needs
# nothing that the synapse does not see.
feedforward, recurrent = recording.dendritic_currents(unit)
figure, axes = plt.subplots(1, 4, figsize=(9, 2.9), layout="constrained")
images = [
    X[0],
    feedforward[-1],
    recurrent[-100:].mean(axis=0),
    (feedforward + recurrent)[-100:].mean(axis=0),
]
titles = ["digit", f"feedforward currents\nof neuron {unit}", "recurrent currents", "potentials"]
for ax, image, title in zip(axes, images, titles, strict=True):
    limit = feedforward.max() if ax is not axes[0] else X[0].max()
    ax.imshow(image.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[], title=title)

# %%
# Before learning
# ---------------
# A network that has seen few digits does not predict much yet: its potentials are large.
novice = DendriticBalanceCoder(64, random_state=0, input_scale=coder.scale_).partial_fit(X[:256])
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name, network in (("after 256 digits", novice), ("after learning", coder)):
    record = network.record(X[:1], random_state=0)
    error = record.inputs() - record.reconstructions()
    ax.plot(record.times(), (error**2).sum(axis=1) / (record.X**2).sum(), label=name)
ax.set(xlabel="time (ms)", ylabel="squared prediction error\n(relative)", ylim=(0, 1))
ax.legend()

# %%
# Exercises
# ---------
# 1. Which of the 64 compartments of a neuron is balanced best? Correlate the feedforward and the
#    recurrent current of each over the first 10 ms.
# 2. Add a constant current to one neuron: ``current`` of ``coder.record`` takes one number for
#    each neuron, for example 0.05 for ``unit``. What do the other neurons do? What happens to the
#    reconstruction?
# 3. Raise the noise, ``coder.record(..., noise=0.2)``. Which gets worse first, the balance of the
#    soma or the reconstruction?
# 4. Show the network two digits in turn, as a stream: ``coder.record(X[[0, 1, 0, 1]],
#    continuous=True)``. How long does the old digit linger in the reconstruction?

# %%
# Solution of exercise 2
# ----------------------
# The neuron fires more than it should, and so its image is too strong in the reconstruction.
# Neurons with similar images receive more inhibition and fall silent: the network corrects most
# of the mistake.
current = np.zeros(64)
current[unit] = 0.05
driven = coder.record(X[:1], current=current, random_state=0)
figure, axes = plt.subplots(1, 3, figsize=(8, 2.6), layout="constrained", width_ratios=[1, 1, 2])
for ax, record, title in zip(axes, (recording, driven), ("as it is", "driven"), strict=False):
    image = record.reconstructions()[-100:].mean(axis=0)
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0)
    ax.set(title=title, xticks=[], yticks=[])
change = driven.rasters().sum(axis=0) - spike_counts
axes[2].bar(range(64), change, color=np.where(np.arange(64) == unit, "C3", "C0"))
axes[2].set(xlabel="neuron", ylabel="change of spike count")
plt.show()
