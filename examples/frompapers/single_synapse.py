"""
Mikulasch et al. 2021: plasticity of a single synapse
=====================================================

Hayama et al. (Nature Neuroscience 16, 1409-1416, 2013) paired stimulation of a single dendritic
spine with action potentials, 80 times at 1 Hz, and measured the change of the spine. Excitation
together with the action potential (LTP) made it grow, excitation 15 ms later (LTD) changed it
little, and the same with inhibition of the dendrite (LTD with GABA) made it shrink.

Dendritic balance learns from the dendritic potential at the time of spikes. Here the dendrite
receives a prescribed EPSP x_E and IPSP z_I, and the trace z is the backpropagating action
potential::

    u / F = x_E - z_I - D z        dD/dt = eta_D z u / F        (F = 1)

For each pairing, the sums of x z and z z, with x = x_E - z_I, are passed to the learning rule of a
network of one input and one neuron. Nothing here is random. ::

    python examples/frompapers/single_synapse.py
"""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import experiment
import numpy as np
from matplotlib.figure import Figure

from skdendbal.network import learn_decoder

RATE = 3.4e-5  # eta_D in 1/ms
N_PAIRINGS = 80


@dataclass(frozen=True)
class Potential:
    """Jumps to `size` at its `onset` (ms) and decays with time constant `tau` (ms)."""

    size: float
    onset: float
    tau: float


SPIKE = Potential(size=1.0, onset=10.0, tau=5.0)
EARLY = Potential(size=70.0, onset=10.0, tau=10.0)
LATE = Potential(size=70.0, onset=25.0, tau=10.0)
INHIBITION = Potential(size=-45.0, onset=10.0, tau=10.0)
PROTOCOLS = {"LTP": [EARLY], "LTD": [LATE], "LTD with GABA": [LATE, INHIBITION]}
# Changes in %: calculated from the equations above, and measured, with errors.
EXPECTED = {"LTP": 62.6, "LTD": 2.5, "LTD with GABA": -38.2}
MEASURED = {"LTP": (63.0, 21.0), "LTD": (2.9, 3.7), "LTD with GABA": (-38.0, 5.2)}


def overlap(a, b):
    """Return the integral of the product of two potentials over time, in ms."""
    first, second = sorted([a, b], key=lambda potential: potential.onset)
    at_onset = a.size * b.size * math.exp((first.onset - second.onset) / first.tau)
    return at_onset / (1.0 / a.tau + 1.0 / b.tau)


def pair(protocol, scale=1.0):
    """Pair potentials with spikes at a synapse.

    Parameters
    ----------
    protocol : str
        Name of the protocol.
    scale : float, default=1.0
        Fraction of the pairings; the learning rate is divided by it.

    Returns
    -------
    weights : ndarray of shape (n_pairings + 1,)
        Weight D before the first and after every pairing.
    """
    psps = PROTOCOLS[protocol]
    batch = SimpleNamespace(
        few_spikes=False,
        n_steps=1,
        sum_xx=sum(overlap(a, b) for a in psps for b in psps),
        sum_xz=np.array([[sum(overlap(psp, SPIKE) for psp in psps)]]),
        sum_zz=np.array([[overlap(SPIKE, SPIKE)]]),
    )
    synapse = np.ones((1, 1))
    weights = [1.0]
    for _ in range(round(scale * N_PAIRINGS)):
        learn_decoder(synapse, batch, RATE / scale)
        weights.append(synapse.item())
    return np.array(weights)


if __name__ == "__main__":
    options = experiment.command_line(__doc__, scale=1.0, seeds=1, preview={}).parse_args()
    weights = {protocol: pair(protocol, options.scale) for protocol in PROTOCOLS}
    table = [
        {
            "protocol": protocol,
            "expected (%)": f"{EXPECTED[protocol]:+.1f}",
            "obtained (%)": f"{100 * (weights[protocol][-1] - 1):+.1f}",
            "measured (%)": "{:+g} +- {:g}".format(*MEASURED[protocol]),
        }
        for protocol in PROTOCOLS
    ]
    experiment.print_table(table, options, "Change of a synapse")
    experiment.save_rows(table, options, "changes")

    figure = Figure(figsize=(5, 4), layout="constrained")
    ax = figure.subplots()
    for number, (protocol, course) in enumerate(weights.items()):
        n_pairings = len(course) - 1
        ax.plot(course, label=protocol)
        mean, error = np.array(MEASURED[protocol]) / 100
        ax.errorbar(1.06 * n_pairings, 1 + mean, error, fmt="o", color=f"C{number}", capsize=3)
    ax.text(1.13 * n_pairings, 1.9, "measured", ha="right")
    ax.set(xlabel="pairings", ylabel="weight D", xlim=(0, 1.15 * n_pairings), ylim=(0.5, 2.0))
    ax.legend(loc="upper left")
    experiment.save_figure(figure, options)
