"""What a network is, apart from what it has learned: neurons, noise, sizes and times.

Symbols follow Mikulasch, Rudelt & Priesemann, PNAS 118(50) e2021925118 (2021). Times are in ms,
learning rates in 1/ms, the target firing rate in Hz.
"""

import math
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from ._parameters import Parameters
from ._timing import Timing
from .rules import Rule

__all__ = ["Neuron", "Noise", "Settings"]

_MIN_LANES_PER_PART = 16  # fewer are not worth a task of a thread
_MAX_PARTS = 8  # of a batch, whose sums are added up
_LOSS_POINTS = 100  # wanted of the loss curve over one horizon, if it has as many updates


@dataclass(frozen=True)
class Neuron(Parameters):
    """How neurons spike and how they find their threshold.

    A neuron spikes in a step with probability
    ``p_j = 1 / (1 + exp(-(u_j + c w_jj) / sigma^2 - bias_j))``, where u_j is its potential, w_jj
    its connection to itself and sigma the noise level.

    Parameters
    ----------
    self_inhibition : float, default=0.25
        Instantaneous part c of a neuron's connection to itself.
    one_spike_per_step : bool, default=True
        Whether only the most probable of several spikes in one step is kept. Neurons that
        spike in one step cannot yet inhibit each other; where noise is low, many of them, or
        all, would overshoot the input together, and again in the opposite direction.
    scaled_bias : bool, default=False
        Whether biases count in units of potential: bias_j is then ``b_j / sigma^2``, not b_j.
    homeostasis_rate : float, default=0.05
        Rate eta_b in 1/ms at which biases approach the target firing rate.
    """

    self_inhibition: float = 0.25
    one_spike_per_step: bool = True
    scaled_bias: bool = False
    homeostasis_rate: float = 0.05

    _parameter_constraints: ClassVar[dict] = {
        "self_inhibition": [Interval(Real, 0, 1e6, closed="both")],
        "one_spike_per_step": ["boolean"],
        "scaled_bias": ["boolean"],
        "homeostasis_rate": [Interval(Real, 0, 1e6, closed="both")],
    }


@dataclass(frozen=True)
class Noise(Parameters):
    """Noise level sigma of the membrane potential, and how it falls while the network learns.

    The squared level falls exponentially from that of `initial` towards that of `final`. Another
    schedule is a subclass with another :meth:`level`.

    Parameters
    ----------
    final : float or "auto", default="auto"
        Noise level sigma_inf in the end, in units of the scaled input. "auto" leaves it to the
        estimator.
    initial : float, default=0.3
        Noise level sigma_0 at the start of learning, in units of the scaled input.
    annealing : float, default=7.0
        How far the level falls over the horizon: eta_s times the duration of the horizon.
    """

    final: float | str = "auto"
    initial: float = 0.3
    annealing: float = 7.0

    RANGE: ClassVar[tuple] = 1e-6, 1e6  # where powers of a level neither vanish nor overflow
    _parameter_constraints: ClassVar[dict] = {
        "final": [Interval(Real, *RANGE, closed="both"), StrOptions({"auto"})],
        "initial": [Interval(Real, *RANGE, closed="both")],
        "annealing": [Interval(Real, 0, 1e6, closed="both")],
    }

    def level(self, progress):
        """Return the noise level at some point of learning.

        Parameters
        ----------
        progress : float
            Part of the horizon that is over; it exceeds 1 when learning goes on.

        Returns
        -------
        level : float
            Noise level sigma: the solution of the published annealing,
            ``dsigma = eta_s (sigma_inf^2 - sigma^2) / sigma``.
        """
        fallen = math.exp(-2.0 * self.annealing * progress)
        return math.sqrt(self.final**2 + (self.initial**2 - self.final**2) * fallen)


@dataclass(frozen=True, kw_only=True)
class Settings(Timing):
    """What a network is, apart from what it has learned.

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
    n_components : int
        Number of neurons n_z.
    rule : Rule
        The learning rule with its rates.
    neuron : Neuron, default=Neuron()
        How neurons spike and find their threshold.
    noise : Noise
        The noise level while learning; its final level is a number.
    rate : float
        Target firing rate rho in Hz.
    batch_size : int
        Number of lanes: copies of the network with common weights and own traces.
    horizon : int
        Number of presentations over which the noise falls.
    """

    n_components: int
    rule: Rule
    neuron: Neuron = Neuron()
    noise: Noise
    rate: float
    batch_size: int
    horizon: int

    @property
    def spike_probability(self):
        """Probability of a spike in one step at the target rate."""
        return self.rate * 1e-3 * self.dt

    @property
    def trace_variance(self):
        """Variance of the trace of a neuron that fires at random at its target rate."""
        return self.rate * 1e-3 * self.tau / 2.0

    @property
    def spikes_per_presentation(self):
        """Expected number of spikes of all neurons at the target rate."""
        return self.n_components * self.spike_probability * self.n_steps

    @property
    def few_spikes(self):
        """Whether a batch is expected to have fewer intervals between spikes than neurons.

        Its sum of z z^T then has less than full rank, and is better never formed.
        """
        return self.batch_size * (1.0 + self.spikes_per_presentation) < self.n_components

    @property
    def lanes_per_part(self):
        """Lanes that are presented by one call of a kernel, which adds up what they contribute.

        Sums depend on this number in their last bits, and therefore on nothing else.
        """
        return max(_MIN_LANES_PER_PART, -(-self.batch_size // _MAX_PARTS))

    @property
    def updates_per_point(self):
        """Weight updates between points of the loss curve."""
        return max(1, round(self.horizon / self.batch_size / _LOSS_POINTS))

    @property
    def points_per_horizon(self):
        """Points of the loss curve while the noise falls."""
        return self.horizon // (self.batch_size * self.updates_per_point)
