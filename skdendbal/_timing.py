"""Time in steps: how long stimuli last and fade in, how traces decay, how late spikes arrive."""

import functools
import math
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from . import _kernels

MAX_STEPS = 1_000_000  # of a presentation
ONSET = 0.5  # time constants in which a row fades in from nothing, at most half its presentation


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Durations in ms, and what follows from them in steps.

    Parameters
    ----------
    dt : float
        Simulation step in ms.
    tau : float
        Time constant of membranes and traces in ms.
    presentation_time : float
        Duration of a stimulus in ms.
    delay : float, default=None
        Time in ms, rounded to steps, until a spike acts on other neurons. None is one step, the
        least that is possible.
    fading : float, default=0.3
        Part of a presentation during which its stimulus fades in, above 0, at most 1.
    """

    dt: float
    tau: float
    presentation_time: float
    delay: float | None = None
    fading: float = 0.3

    @property
    def n_steps(self):
        """Steps of a presentation."""
        return max(1, round(self.presentation_time / self.dt))

    @property
    def delay_steps(self):
        """Steps from a spike to its first effect."""
        return 1 if self.delay is None else max(1, round(self.delay / self.dt))

    @property
    def decay(self):
        """Decay of a trace over one step."""
        return math.exp(-self.dt / self.tau)

    @property
    def trace_per_spike(self):
        """Sum over time of the trace that a spike leaves, in steps."""
        return -1.0 / math.expm1(-self.dt / self.tau)

    @property
    def clock(self):
        """Kernel constants of time."""
        return self._constants.clock

    @property
    def fade(self):
        """Weight of the new stimulus at each step, shape (n_steps,)."""
        return self.clock.fade.copy()

    @property
    def tails(self):
        """What a spike leaves behind, summed over the rest of a presentation."""
        return self._constants.tails

    @property
    def overlaps(self):
        """Factors of ``|x_new|^2``, ``x_new x_old``, ``|x_old|^2`` in the sum of ``|x|^2``."""
        return self._constants.overlaps

    @property
    def _constants(self):
        return _find_constants(
            self.n_steps, self.decay, self.trace_per_spike, self.fading, self.delay_steps
        )

    @property
    def at_rest(self):
        """Timing of a presentation that does not follow another one: it fades in over `ONSET`."""
        onset = ONSET * self.tau / self.presentation_time
        return Timing(
            dt=self.dt,
            tau=self.tau,
            presentation_time=self.presentation_time,
            delay=self.delay,
            fading=min(onset, 0.5),
        )

    @property
    def code_per_spike(self):
        """What every spike of a presentation adds to the code of a network that was at rest.

        Traces change by ``z(t + 1) - z(t) = s(t) - (1 - exp(-dt / tau)) z(t)``. Summed over a
        presentation, this gives the number of spikes. Balance holds traces at the code c times the
        weight of the stimulus, ``z(t + 1) = fade(t) c``. This takes
        ``c (1 + (1 - exp(-dt / tau)) sum fade(t))`` spikes, with all steps but the last in the
        sum.
        """
        return self._constants.code_per_spike


def check_times(dt, presentation_time, delay, name="presentation_time"):
    """Refuse durations in ms that contradict each other.

    Parameters
    ----------
    dt : float
        Simulation step.
    presentation_time : float
        Duration of a stimulus.
    delay : float or None
        Delay of spikes.
    name : str, default="presentation_time"
        Parameter that gives the duration.

    Raises
    ------
    ValueError
        With the parameters, their values and a remedy.
    """
    n_steps = presentation_time / dt
    if not 1.0 <= n_steps <= MAX_STEPS:
        raise ValueError(
            f"{name}={presentation_time} ms and dt={dt} ms make {n_steps:.3g} steps, "
            f"which must be from 1 to {MAX_STEPS}: change one of them."
        )
    if delay is not None and not dt <= delay < presentation_time:
        raise ValueError(
            f"delay={delay} ms must be at least dt={dt} ms and less than "
            f"{name}={presentation_time} ms, so that spikes act on the stimulus that "
            "evoked them: change it, or set delay=None for one step."
        )


def tail_sums(weights, factor):
    """Return what a decaying quantity that is 1 at a step sums up to from there on.

    Parameters
    ----------
    weights : ndarray of shape (n_steps,)
        Weight of each step of a presentation.
    factor : float
        Decay over one step.

    Returns
    -------
    sums : ndarray of shape (n_steps + 1,)
        ``sums[m] = weights[m] + factor * sums[m + 1]``, zero at the end of the presentation.
    """
    return np.append(lfilter([1.0], [1.0, -factor], weights[::-1])[::-1], 0.0)


Constants = namedtuple("Constants", ["clock", "tails", "overlaps", "code_per_spike"])


@functools.lru_cache(maxsize=4)  # finding them takes as long as coding a few rows
def _find_constants(n_steps, decay, trace_per_spike, fading, delay_steps):
    new = np.minimum(1.0, np.arange(1, n_steps + 1) / (fading * n_steps))
    old, always = 1.0 - new, np.ones(n_steps)
    powers, bounds = decay ** np.arange(n_steps + 1), _kernels.make_decay_bounds(decay, n_steps)
    clock = _kernels.Clock(new, np.count_nonzero(new < 1.0), powers, bounds, delay_steps)
    weighted = (new, decay), (old, decay), (always, decay * decay)
    tails = _kernels.Tails(*(tail_sums(weights, factor) for weights, factor in weighted))
    return Constants(
        clock,
        tails,
        overlaps=(new @ new, 2.0 * (new @ old), old @ old),
        code_per_spike=trace_per_spike / (trace_per_spike + new[:-1].sum()),
    )
