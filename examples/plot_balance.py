"""
Balance in one compartment
==========================

Every input reaches a neuron in a dendritic compartment of its own. There, recurrent connections
learn to cancel the input as far as other neurons explain it already. What is left, the potential
of the compartment, is the coding error of that input, and drives plasticity.
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

unit = recording.rasters().sum(axis=0).argmax()  # the neuron that fires most
pixel = (coder.components_[unit] * X[0]).argmax()  # its strongest compartment
BalanceDisplay.from_recording(recording, unit, compartment=pixel).figure_.set_size_inches(8, 3)

# %%
# The soma adds up its compartments
# ---------------------------------
# The soma is balanced, too, since all of its compartments are.
# The neuron spikes when enough of the digit remains unexplained in the pixels that it stands for.
BalanceDisplay.from_recording(recording, unit).figure_.set_size_inches(8, 3)

# %%
# The potential is the prediction error
# -------------------------------------
# With exact balance, the potential of the compartment of
# input i on neuron j is :math:`u_{ji} = F_{ji} (x - D z)_i`: the weight times the error with which
# the network's own decoder :math:`D` reads the input :math:`x` from the spike traces :math:`z`.
# Nobody computes this error and sends it to the synapse; it is there, as a voltage.
potential = sum(recording.dendritic_currents(unit))[:, pixel]
error = (recording.inputs() - recording.reconstructions())[:, pixel]
weight = coder.network_.decoder[pixel, unit]  # F is the transpose of D in exact balance
print(f"largest difference: {np.abs(potential - weight * error).max():.1e}")

figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
ax.plot(recording.times(), error, label="error $(x - Dz)_i$")
ax.plot(recording.times(), potential / weight, "--", label="potential $u_{ji} / F_{ji}$")
ax.set(xlabel="time (ms)", ylabel="error of one pixel\n(scaled)", xlim=(0, 50))
ax.legend(loc="lower right")

# %%
# All compartments of the neuron
# ------------------------------
# On average, little is left of the currents in any of the 64 compartments.
feedforward, recurrent = (current.mean(axis=0) for current in recording.dendritic_currents(unit))
figure, axes = plt.subplots(1, 3, figsize=(8, 2.6), layout="constrained")
for ax, current, title in zip(
    axes,
    (feedforward, recurrent, feedforward + recurrent),
    ("feedforward currents", "recurrent currents", "potentials: their sums"),
    strict=True,
):
    limit = abs(feedforward).max()
    image = ax.imshow(current.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[], title=title)
figure.colorbar(image, ax=axes, label="mean current (scaled)")
plt.show()
