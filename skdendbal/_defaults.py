"""What "auto" means, chosen by measurement on training data."""

import math

from .settings import Noise

MIN_BATCH_SIZE = 64
SPIKES_PER_SECOND = 800.0  # of all neurons together
MAX_RATE = 50.0  # of a neuron in Hz
MAX_SPIKES_PER_STEP = 0.5  # of all neurons together
NOISE_TIMES_SPIKES = 0.2  # noise level times the spikes of all neurons in a time constant
MAX_NOISE = 0.3  # reached where few neurons spike rarely
HALF_DELAY = 0.25  # time constants of delay at which half of the additional noise is reached


def auto_batch_size(n_components):
    """Return the number of stimuli between weight updates that "auto" stands for.

    Parameters
    ----------
    n_components : int
        Number of neurons.

    Returns
    -------
    batch_size : int
        More for large networks, whose updates take long.
    """
    return max(MIN_BATCH_SIZE, n_components // 2)


def auto_rate(n_components, dt):
    """Return the target rate in Hz that "auto" stands for.

    Parameters
    ----------
    n_components : int
        Number of neurons.
    dt : float
        Simulation step in ms.

    Returns
    -------
    rate : float
        The same for every neuron.
    """
    spikes_per_second = min(SPIKES_PER_SECOND, MAX_SPIKES_PER_STEP * 1e3 / dt)
    return min(spikes_per_second / n_components, MAX_RATE)


def auto_noise(n_components, rate, tau, dt, extra_delay=0.0):
    """Return the final noise level that "auto" stands for.

    Parameters
    ----------
    n_components : int
        Number of neurons.
    rate : float
        Target rate in Hz.
    tau : float
        Time constant in ms.
    dt : float
        Simulation step in ms.
    extra_delay : float, default=0.0
        Delay of spikes beyond one step in ms.

    Returns
    -------
    noise : float
        In units of the scaled input.
    """
    usual = auto_rate(n_components, dt)
    spikes = n_components * max(rate, usual) * 1e-3 * tau
    growth = 1.0 + extra_delay / (extra_delay + HALF_DELAY * tau)
    if rate < usual:
        growth *= math.sqrt(usual / rate)
    return max(Noise.RANGE[0], min(NOISE_TIMES_SPIKES / spikes * growth, MAX_NOISE))
