"""The network: its settings and state, and how stimuli are presented.

Symbols follow Mikulasch, Rudelt & Priesemann, PNAS 118(50) e2021925118 (2021). Times are in ms,
learning rates in 1/ms, the target firing rate in Hz.
"""

import copy
import functools
import itertools
import math
import operator
import threading
from contextlib import ContextDecorator
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np
from scipy.signal import lfilter
from threadpoolctl import OpenBLASController, ThreadpoolController

from . import _kernels
from .rules import Rule

ONSET = 0.5  # time constants in which a row fades in from nothing, at most half its presentation
RATE_WINDOW = 0.05  # part of the horizon over which firing rates are averaged
LOSS_POINTS = 100  # entries of the loss curve over one horizon
NO_RECORD = np.empty((0, 3), dtype=np.int64)
NO_GRAM = np.empty((0, 0))
LANES = ("previous", "stimuli", "traces", "late", "drive", "undelayed")  # what belongs to a lane
PART = 16  # lanes whose contributions are summed together, so that sums depend on nothing else
SPIKE = np.dtype(
    [("row", np.int64), ("trial", np.int64), ("time", np.float64), ("unit", np.int64)]
)


@dataclass(frozen=True)
class Settings:
    """What a network is, apart from what it has learned.

    Parameters
    ----------
    n_components : int
        Number of neurons n_z.
    rule : Rule
        The learning rule with its rates.
    rate : float
        Target firing rate rho in Hz.
    noise : float
        Final noise level sigma_inf, in units of the scaled input.
    dt : float
        Simulation step in ms.
    tau : float
        Time constant of membrane and traces in ms.
    presentation_time : float
        Duration of a stimulus in ms.
    batch_size : int
        Number of lanes: copies of the network with common weights and own traces.
    learning_rate : float
        Factor on the learning rates of weights and decoder.
    horizon : int
        Number of presentations over which the noise is annealed.
    delay : float, default=None
        Time in ms, rounded to steps, until a spike acts on potentials and learning. None is one
        step, the least that is possible.
    fading : float, default=0.3
        Part of a presentation during which its stimulus fades in, above 0, at most 1.
    """

    n_components: int
    rule: Rule
    rate: float
    noise: float
    dt: float
    tau: float
    presentation_time: float
    batch_size: int
    learning_rate: float
    horizon: int
    delay: float | None = None
    fading: float = 0.3

    # Everything that depends on dt is derived here.

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
    def trace_variance(self):
        """Variance of the trace of a neuron that fires at random at its target rate."""
        return self.rate * 1e-3 * self.tau / 2.0

    @property
    def target(self):
        """Target probability of a spike in one step."""
        return self.rate * 1e-3 * self.dt

    @property
    def spikes_per_presentation(self):
        """Expected number of spikes of all neurons at the target rate."""
        return self.n_components * self.target * self.n_steps

    @property
    def few_spikes(self):
        """Whether a batch is expected to have fewer intervals between spikes than neurons.

        Its sum of z z^T then has less than full rank, and is better never formed.
        """
        return self.batch_size * (1.0 + self.spikes_per_presentation) < self.n_components

    @property
    def updates_per_point(self):
        """Weight updates between points of the loss curve."""
        return max(1, round(self.horizon / self.batch_size / LOSS_POINTS))

    @property
    def points_per_horizon(self):
        """Points of the loss curve while the noise falls."""
        return self.horizon // (self.batch_size * self.updates_per_point)

    @property
    def fade(self):
        """Weight of the new stimulus at each step, shape (n_steps,)."""
        return np.minimum(1.0, np.arange(1, self.n_steps + 1) / (self.fading * self.n_steps))

    def rows_per_call(self, n_features):
        """Return the number of rows that a kernel works through in about 0.1 s.

        Parameters
        ----------
        n_features : int
            Number of features of a row.

        Returns
        -------
        n_rows : int
            At least one.
        """
        return max(1, int(_kernels.CALL / (self.n_components * (4 * self.n_steps + n_features))))

    @property
    def clock(self):
        """Kernel constants of time."""
        return _clock(self)

    @property
    def overlaps(self):
        """Factors of ``|x_new|^2``, ``x_new x_old``, ``|x_old|^2`` in the sum of ``|x|^2``."""
        new, old = self.fade, 1.0 - self.fade
        return new @ new, 2.0 * (new @ old), old @ old

    def tails(self, include_spikes):
        """Return the sums over the rest of a presentation of what a spike leaves behind.

        Parameters
        ----------
        include_spikes : bool
            Whether the trace of a step includes its spikes, as in the decoder loss, or not, as
            in learning.

        Returns
        -------
        tails : Tails
            Sums of a decaying trace weighted by the new and by the previous stimulus, and of its
            square.
        """

        def sums(weights, factor):
            tail = tail_sums(weights, factor)
            return np.concatenate([factor * tail[:1], tail[:-1]]) if include_spikes else tail

        q, fade = self.decay, self.fade
        return _kernels.Tails(
            sums(fade, q), sums(1.0 - fade, q), sums(np.ones(self.n_steps), q * q)
        )

    @property
    def at_rest(self):
        """Settings of a presentation that does not follow another one: it fades in sooner."""
        onset = ONSET * self.tau / self.presentation_time
        return replace(self, fading=min(onset, 0.5))

    @property
    def code_per_spike(self):
        """What every spike of a presentation adds to the code of a network that was at rest.

        Traces change by ``z(t + 1) - z(t) = s(t) - (1 - exp(-dt / tau)) z(t)``, of which the sum
        over a presentation counts the spikes. Balance holds traces at the code c times the weight
        of the stimulus, ``z(t + 1) = fade(t) c``, which makes
        ``c (1 + (1 - exp(-dt / tau)) sum fade(t))`` spikes, all steps but the last in the sum.
        """
        per_spike = self.trace_per_spike
        return per_spike / (per_spike + self.clock.fade[:-1].sum())


@functools.lru_cache(maxsize=4)  # to find them takes as long as to code a few rows
def _clock(settings):
    n_steps, decay, fade = settings.n_steps, settings.decay, settings.fade
    return _kernels.Clock(
        fade,
        np.count_nonzero(fade < 1.0),
        decay ** np.arange(n_steps + 1),
        _kernels.make_lines(decay, n_steps),
        settings.rule.one_spike_per_step,
        settings.delay_steps,
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


@dataclass
class Intervals:
    """The intervals between spikes of a batch, in which all traces only decay.

    Parameters
    ----------
    traces : ndarray of shape (n_intervals, n_components)
        Traces at the first step of each interval.
    lanes : ndarray of shape (n_intervals,)
        Lane of each interval. The intervals of a lane follow one another.
    firsts : ndarray of shape (n_intervals,)
        First step of each interval, within the presentation.
    stops : ndarray of shape (n_intervals,)
        The step after the last one.
    new : ndarray of shape (n_lanes, n_features)
        The stimulus that fades in on each lane.
    old : ndarray of shape (n_lanes, n_features)
        The stimulus that fades out.
    settings : Settings
        Settings of the network.
    """

    traces: np.ndarray
    lanes: np.ndarray
    firsts: np.ndarray
    stops: np.ndarray
    new: np.ndarray
    old: np.ndarray
    settings: Settings

    def sum(self, weights, power):
        """Sum weights times a power of the decay since the first step over each interval.

        Parameters
        ----------
        weights : ndarray of shape (n_steps,)
            Weight of each step of a presentation.
        power : int
            Power of the decay of traces.

        Returns
        -------
        sums : ndarray of shape (n_intervals,)
            With `traces` to the same power they sum up weighted powers of the traces.
        """
        factor = self.settings.decay**power
        tail = tail_sums(weights, factor)
        return tail[self.firsts] - factor ** (self.stops - self.firsts) * tail[self.stops]


@dataclass
class Span:
    """The directions, orthonormal, in which the traces of some presentations lie.

    Parameters
    ----------
    units : ndarray of shape (n,)
        Neurons whose traces grew, each a direction of its own.
    decays : ndarray of shape (n_components, n_decays)
        Directions in which the traces of the others, which only decay, started.
    """

    units: np.ndarray
    decays: np.ndarray

    def project(self, vectors):
        """Find coordinates in the span.

        Parameters
        ----------
        vectors : ndarray of shape (..., n_components)
            Vectors of one number a neuron.

        Returns
        -------
        coordinates : ndarray of shape (..., n + n_decays)
            Their coordinates.
        """
        return np.concatenate([vectors[..., self.units], vectors @ self.decays], axis=-1)

    def put(self, coordinates, vectors):
        """Give vectors other coordinates in the span; what is outside it stays.

        Parameters
        ----------
        coordinates : ndarray of shape (n_vectors, n + n_decays)
            What `project` is to return of them.
        vectors : ndarray of shape (n_vectors, n_components)
            Changed in place.
        """
        n = len(self.units)
        change = coordinates[:, n:] - vectors @ self.decays
        vectors += np.dot(change, self.decays.T)  # matmul is slow where there is one decay
        vectors[:, self.units] = coordinates[:, :n]


@dataclass
class Sums:
    """Sums over the steps of some presentations, from which measures follow.

    Parameters
    ----------
    n_steps : int
        Number of steps summed.
    counts : ndarray of shape (n_components,)
        Spikes.
    square : float
        Sum of ``|x|^2``.
    cross : ndarray of shape (n_features, n_components)
        Sum of ``x z^T``.
    gram : ndarray of shape (n_components, n_components)
        Sum of ``z z^T``.
    """

    n_steps: int
    counts: np.ndarray
    square: float
    cross: np.ndarray
    gram: np.ndarray

    def __iadd__(self, other):
        """Take in the sums over other presentations."""
        self.n_steps += other.n_steps
        self.counts += other.counts
        self.square += other.square
        self.cross += other.cross
        self.gram += other.gram
        return self


@dataclass
class Batch:
    """What a rule learns from: sums over the steps of a batch, and its spikes.

    Parameters
    ----------
    n_steps : int
        Number of steps of all lanes together.
    counts : ndarray of shape (n_components,)
        Spikes.
    square : float
        Sum of ``|x|^2``.
    drive : ndarray of shape (n_lanes, 2, n_components)
        Sums of z weighted by the new and by the previous stimulus.
    half_gram : ndarray of shape (n_components, n_components) or (0, 0)
        A matrix G with ``G + G^T`` the sum of ``z z^T``, unless left to be found from arrivals.
    arrivals : ndarray of shape (n_arrivals, 3)
        Lane, step and unit of arriving spikes in the order of lanes and time, where kept.
    starts : ndarray of shape (n_lanes, n_components)
        Traces at the first step, where arrivals are kept.
    new : ndarray of shape (n_lanes, n_features)
        The stimulus that fades in on each lane.
    old : ndarray of shape (n_lanes, n_features)
        The stimulus that fades out.
    settings : Settings
        Settings of the network.
    clock : Clock
        Kernel constants of time.
    """

    n_steps: int
    counts: np.ndarray
    square: float
    drive: np.ndarray
    half_gram: np.ndarray
    arrivals: np.ndarray
    starts: np.ndarray
    new: np.ndarray
    old: np.ndarray
    settings: Settings
    clock: _kernels.Clock

    @property
    def few_spikes(self):
        """Whether `gram` is better not formed, see :attr:`Settings.few_spikes`."""
        return self.half_gram.size == 0

    @functools.cached_property
    def cross(self):
        """Sum of ``x z^T``, shape (n_features, n_components)."""
        stimuli = np.stack([self.new, self.old], axis=1)
        return np.tensordot(stimuli, self.drive, axes=((0, 1), (0, 1)))

    @functools.cached_property
    def gram(self):
        """Sum of ``z z^T``, shape (n_components, n_components)."""
        if not self.few_spikes:
            return self.half_gram + self.half_gram.T
        return self._gram(self.intervals.traces)

    @functools.cached_property
    def span(self):
        """Where all traces lie, where arrivals are kept."""
        n_units = self.starts.shape[1]
        grown = np.bincount(self.arrivals[:, 2], minlength=n_units) > 0
        directions = self.starts[:, ~grown].T
        if directions.shape[1] > 1:
            directions, _ = np.linalg.qr(directions)
        else:  # the same but for its sign, several times as fast; zero stays zero
            directions /= np.linalg.norm(directions) or 1.0
        decays = np.zeros((n_units, directions.shape[1]))
        decays[~grown] = directions
        return Span(np.flatnonzero(grown), decays)

    @functools.cached_property
    def span_gram(self):
        """Sum of ``z z^T`` for the coordinates of z in the span."""
        return self._gram(self.span.project(self.intervals.traces))

    @functools.cached_property
    def trace_squares(self):
        """Sum of z^2, shape (n_components,)."""
        if not self.few_spikes:
            return 2.0 * self.half_gram.diagonal()
        return self._squares @ self.intervals.traces**2

    def _gram(self, traces):
        return (traces.T * self._squares) @ traces

    @property
    def _squares(self):
        """Sum over each interval of the squared decay since its first step.

        What `intervals.sum` finds for weights of one, in closed form: once a presentation counts.
        """
        powers, n_steps = self.clock.powers, self.intervals.stops - self.intervals.firsts
        return (1.0 - powers[n_steps] ** 2) / (1.0 - powers[1] ** 2)

    @functools.cached_property
    def intervals(self):
        """The intervals between spikes, for rules that ask for them."""
        n = len(self.arrivals) + len(self.starts)
        traces = np.empty((n, self.settings.n_components))
        lanes, firsts, stops = np.empty((3, n), dtype=np.int64)
        powers = self.clock.powers
        parts = traces, lanes, firsts, stops
        n = _kernels.call(_kernels.split, self.arrivals, self.starts, powers, *parts)
        traces, lanes, firsts, stops = (part[:n] for part in parts)
        return Intervals(traces, lanes, firsts, stops, self.new, self.old, self.settings)


@dataclass
class Network:
    """State of a network: plain arrays and numbers, in units of the scaled input.

    Parameters
    ----------
    decoder : ndarray of shape (n_features, n_components)
        Decoder weights D; in the exact rule also the feedforward weights F^T.
    recurrent : ndarray of shape (n_components, n_components)
        Row k holds what a spike of neuron k adds to the potentials: W^T.
    weights : dict of str to ndarray
        What the rule learns besides, see :meth:`skdendbal.rules.Rule.initialise`.
    bias : ndarray of shape (n_components,)
        Biases b.
    variance : float
        Noise level sigma^2.
    seed : int
        Seed of the random numbers. Every presentation has a stream of its own, numbered by
        `n_presentations`, so there is no generator to carry.
    traces : ndarray of shape (batch_size, n_components)
        Spike traces z of each lane, a copy of the network, without spikes that are under way.
    late : ndarray of shape (batch_size, delay_steps - 1, n_components)
        Spikes under way, by the step of the next presentation in which they arrive.
    previous : ndarray of shape (batch_size, n_features)
        The stimulus that fades out on each lane.
    stimuli : ndarray of shape (batch_size, n_features)
        The stimuli of the unfinished batch.
    drive : ndarray of shape (batch_size, 2, n_components)
        Sums of z weighted by the new and by the previous stimulus in the unfinished batch.
    undelayed : ndarray of shape (batch_size, n_components)
        Traces of each lane with the spikes that are under way, in evaluations.
    counts : ndarray of shape (n_components,)
        Spikes in the unfinished batch.
    gram : ndarray of shape (n_components, n_components) or (0, 0)
        A matrix G with ``G + G^T`` the sum of z z^T over the first lanes of the unfinished batch,
        in sixteens; empty where there are none, or it is found from arrivals.
    part_gram : ndarray of shape (n_components, n_components) or (0, 0)
        The same of the lanes since.
    few_spikes : bool
        Whether the unfinished batch keeps arrivals instead, see :attr:`Settings.few_spikes`.
    arrivals : list of ndarray
        Arriving spikes of the unfinished batch, where a rule needs them, see :class:`Batch`.
    starts : ndarray of shape (batch_size, n_components)
        Traces of each lane at the first step of the unfinished batch.
    spikes : ndarray of shape (n_components,)
        Recent spikes, each weighing less as it recedes.
    time : float
        Recent time in ms, weighted in the same way.
    error : float
        Squared error summed over the steps since the last point of the loss curve.
    error_steps : int
        Number of these steps.
    loss_curve : list of float
        Mean decoder loss over successive hundredths of the horizon.
    n_presentations : int
        Number of stimuli presented.
    n_updates : int
        Number of weight updates.
    """

    decoder: np.ndarray
    recurrent: np.ndarray
    weights: dict
    bias: np.ndarray
    variance: float
    seed: int
    traces: np.ndarray
    late: np.ndarray
    previous: np.ndarray
    stimuli: np.ndarray
    drive: np.ndarray
    undelayed: np.ndarray
    counts: np.ndarray
    gram: np.ndarray
    part_gram: np.ndarray
    few_spikes: bool
    arrivals: list
    starts: np.ndarray
    spikes: np.ndarray
    time: float = 0.0
    error: float = 0.0
    error_steps: int = 0
    loss_curve: list = field(default_factory=list)
    n_presentations: int = 0
    n_updates: int = 0

    @property
    def firing_rates(self):
        """Recent firing rates in Hz, shape (n_components,)."""
        return 1e3 * self.spikes / self.time if self.time > 0.0 else self.spikes

    @property
    def is_blank(self):
        """Whether all stimuli so far were zero, or have left no trace."""
        return not any(each.any() for each in (self.decoder, self.previous, self.stimuli))

    def fork(self):
        """Return a network with the same weights that can run on by itself.

        Returns
        -------
        network : Network
            With copies of all that changes while weights stand still.
        """
        network = copy.copy(self)
        for name in LANES:
            setattr(network, name, getattr(self, name).copy())
        return network

    def lanes(self, part):
        """Return the state of some lanes.

        Parameters
        ----------
        part : slice
            Which lanes.

        Returns
        -------
        state : dict of str to ndarray
            Views of what belongs to these lanes, by the name of the attribute.
        """
        return {name: getattr(self, name)[part] for name in LANES}

    def gather(self):
        """Add up what the last lanes have contributed to the sum of z z^T."""
        if self.part_gram.size > 0:
            self.gram = self.gram + self.part_gram if self.gram.size > 0 else self.part_gram
            self.part_gram = NO_GRAM


def initialise(settings, n_features, seed):
    """Return a network that knows nothing: zero weights, biases at the target rate.

    Parameters
    ----------
    settings : Settings
        Settings of the network.
    n_features : int
        Number of inputs n_x.
    seed : int
        Seed of all random numbers of a stream.

    Returns
    -------
    network : Network
        At rest, before its first stimulus.
    """
    n, lanes = settings.n_components, settings.batch_size
    rule = settings.rule
    variance = rule.initial_noise**2
    p = settings.target
    bias = math.log(p / (1.0 - p)) * (variance if rule.scaled_bias else 1.0)
    return Network(
        decoder=np.zeros((n_features, n)),
        recurrent=np.zeros((n, n)),
        weights=rule.initialise(n_features, n),
        bias=np.full(n, bias),
        variance=variance,
        seed=seed,
        traces=np.zeros((lanes, n)),
        late=np.zeros((lanes, settings.delay_steps - 1, n), dtype=bool),
        previous=np.zeros((lanes, n_features)),
        stimuli=np.zeros((lanes, n_features)),
        drive=np.zeros((lanes, 2, n)),
        counts=np.zeros(n, dtype=np.int64),
        undelayed=np.zeros((lanes, n)),
        gram=NO_GRAM,
        part_gram=NO_GRAM,
        few_spikes=settings.few_spikes,
        arrivals=[],
        starts=np.zeros((lanes, n)),
        spikes=np.zeros(n),
    )


class OneBlasThread(ContextDecorator):
    """Context with one BLAS thread, for the same bits in any surroundings.

    The number of threads belongs to the process: the first of concurrent fits sets it and the
    last one restores it.
    """

    lock = threading.Lock()
    n_inside = 0
    limiter = None

    def __enter__(self):
        cls = type(self)
        with cls.lock:
            if cls.n_inside == 0:
                _release_control()
                cls.limiter = _blas().limit(limits=1, user_api="blas")
            cls.n_inside += 1

    def __exit__(self, *exception):
        cls = type(self)
        with cls.lock:
            cls.n_inside -= 1
            if cls.n_inside == 0:
                _release_control()
                cls.limiter.restore_original_limits()
                _release_control()


def _release_control():
    """Let any thread limit BLAS: from threadpoolctl 3.8 on, it ignores all but the first."""
    if hasattr(OpenBLASController, "clear_controlling_thread"):
        OpenBLASController.clear_controlling_thread(force=True)


@functools.cache
def _blas():
    return ThreadpoolController()


@OneBlasThread()
def run(network, settings, X, scale=1.0, *, learn=True, record=False, apply=itertools.starmap):
    """Present a stream of stimuli, each fading in from the one before it on its lane.

    Parameters
    ----------
    network : Network
        Continues where it stands. Changed in place when learning, else left as it is.
    settings : Settings
        Settings of the network.
    X : ndarray of shape (n_presentations, n_features), float64, C-contiguous
        Stimuli in the order of presentation.
    scale : float, default=1.0
        Stimuli are divided by it.
    learn : bool, default=True
        Whether weights, biases and noise change.
    record : bool, default=False
        Whether to return the spikes.
    apply : callable, default=itertools.starmap
        ``apply(function, arguments)`` returns ``function(*each)`` of each of some arguments in
        their order, wherever they are computed: parts of a batch are independent.

    Returns
    -------
    sums : Sums or None
        Sums over all steps presented here, with traces that include the spikes of a step, as in
        the decoder loss. None while learning.
    spikes : ndarray of shape (n_spikes,) or None
        Structured array of row (of X), trial (0), time (ms from the row's onset) and unit.
    """
    n_features, n_units = network.decoder.shape
    lanes = settings.batch_size
    if network.late.shape[1] != settings.delay_steps - 1:
        raise ValueError(
            f"The delay of {settings.delay_steps} steps differs from that of the network, "
            f"{network.late.shape[1] + 1}: set delay or dt back, or start anew."
        )
    n_started = min(network.n_presentations, lanes)
    if not learn:
        # a stream of its own that starts with the lanes as they are
        network = network.fork()
        waiting = network.n_presentations % lanes
        network.previous[:waiting] = network.stimuli[:waiting]
        network.counts, network.gram, network.part_gram = 0, NO_GRAM, NO_GRAM
        network.arrivals = []
        network.n_presentations += -network.n_presentations % lanes
    clock, overlaps = settings.clock, settings.overlaps
    job = _Job(
        scale,
        network.seed,
        clock,
        settings.tails(include_spikes=not learn),
        undelay=not learn and settings.delay_steps > 1,
        keep_spikes=record,
        rows_per_call=settings.rows_per_call(n_features),
        spikes_per_row=settings.spikes_per_presentation,
    )
    if job.undelay:
        # spikes that arrive at step t were fired delay - 1 - t steps before the first one
        ages = np.arange(settings.delay_steps - 1)[::-1]
        fired = settings.decay ** len(ages) * network.traces + settings.decay**ages @ network.late
        network.undelayed = fired
    total = Sums(
        0,
        np.zeros(n_units, dtype=np.int64),
        0.0,
        np.zeros((n_features, n_units)),
        np.zeros((n_units, n_units)),
    )
    spikes = [np.empty(0, SPIKE)]
    start = 0
    while start < len(X):
        lane = network.n_presentations % lanes
        n = min(lanes - lane, len(X) - start)
        if lane == 0:  # and not within a batch, where the rate may have changed
            network.few_spikes = learn and settings.few_spikes
        keep_arrivals = network.few_spikes or (learn and settings.rule.needs_intervals)
        weights = _weights(network, settings)
        cuts = [lane, *range(lane + PART - lane % PART, lane + n, PART), lane + n]
        parts = [slice(*cut) for cut in itertools.pairwise(cuts)]
        arguments = (
            (
                job,
                weights,
                network.lanes(part),
                network.part_gram if part.start == lane else NO_GRAM,
                not network.few_spikes,
                keep_arrivals,
                X[start + part.start - lane : start + part.stop - lane],
                network.n_presentations + part.start - lane,
                n_started - part.start,
            )
            for part in parts
        )
        for part, (state, *results) in zip(parts, apply(present, arguments), strict=True):
            if keep_arrivals:
                network.starts[part] = network.traces[part]
            for name, values in state.items():
                getattr(network, name)[part] = values
            counts, network.part_gram, recorded, arrivals = results
            network.counts = network.counts + counts
            if part.stop % PART == 0 or part.stop == lanes:
                network.gather()
            network.arrivals.append(np.add(arrivals, (part.start, 0, 0)))  # may be read-only
            if record:
                first_row = start + part.start - lane
                spikes.append(_as_spikes(recorded, settings, first_row=first_row))
        network.n_presentations += n
        n_started = min(n_started + n, lanes)
        start += n
        if network.n_presentations % lanes == 0 or (start == len(X) and not learn):
            n_lanes = (network.n_presentations - 1) % lanes + 1
            batch = _close_batch(network, settings, clock, n_lanes, overlaps)
            if learn:
                _learn(network, settings, batch)
            else:
                total += batch
    if learn:
        _check_finite(network, settings.rule)
    return None if learn else total, np.concatenate(spikes) if record else None


@dataclass(frozen=True)
class _Job:
    """What is common to all presentations of a run."""

    scale: float
    seed: int
    clock: _kernels.Clock
    tails: _kernels.Tails
    undelay: bool  # whether sums are those of traces without the delay
    keep_spikes: bool
    rows_per_call: int
    spikes_per_row: float


def present(job, weights, lanes, gram, keep_gram, keep_arrivals, X, first, n_started):
    """Present a stimulus to each of some lanes, the weights standing still.

    A pure function, for workers of any kind.

    Parameters
    ----------
    job : _Job
        What is common to all presentations.
    weights : Weights
        Those of the kernels.
    lanes : dict of str to ndarray
        State of these lanes, by the names of the attributes of :class:`Network`.
    gram : ndarray of shape (n_components, n_components) or (0, 0)
        Half the sum of z z^T of the lanes before them that are summed together with them.
    keep_gram : bool
        Whether to form that sum.
    keep_arrivals : bool
        Whether to keep spikes that arrive.
    X : ndarray of shape (n_lanes, n_features)
        Their stimuli.
    first : int
        Number of the first of these presentations.
    n_started : int
        Number of these lanes that have had a stimulus before.

    Returns
    -------
    lanes : dict of str to ndarray
        Their state afterwards.
    counts : ndarray of shape (n_components,)
        Spikes.
    gram : ndarray of shape (n_components, n_components) or (0, 0)
        As above, with these lanes.
    spikes : ndarray of shape (n_spikes, 3)
        Lane, step and unit of spikes, if they are to be kept.
    arrivals : ndarray of shape (n_arrivals, 3)
        The same of spikes that arrive.
    """
    n_units, delay_steps = len(weights.offset), job.clock.delay
    X = _writable(X)
    weights, clock, tails = (type(t)(*map(_writable, t)) for t in (weights, job.clock, job.tails))
    scratch = _kernels.make_scratch(n_units, delay_steps)
    # room for several times the expected spikes, and another attempt if there are more
    room = 64 + int(8 * len(X) * job.spikes_per_row)
    while True:
        state = {name: array.copy() for name, array in lanes.items()}
        counts = np.zeros(n_units, dtype=np.int64)
        if gram.size > 0:
            half_gram = gram.copy()
        else:
            half_gram = np.zeros((n_units, n_units)) if keep_gram else NO_GRAM.copy()
        spikes, arrivals = (
            np.empty((room if keep else 0, 3), dtype=np.int64)
            for keep in (job.keep_spikes, keep_arrivals)
        )
        n_spikes, n_arrivals = 0, 0
        for start in range(0, len(X), job.rows_per_call):
            some = slice(start, start + job.rows_per_call)
            new_spikes, new_arrivals = _kernels.call(
                _kernels.present,
                X[some],
                job.scale,
                np.uint64(job.seed),
                first + start,
                n_started - start,
                state["previous"][some],
                state["stimuli"][some],
                state["traces"][some],
                state["late"][some],
                job.undelay,
                state["undelayed"][some],
                weights,
                clock,
                tails,
                scratch,
                counts,
                state["drive"][some],
                half_gram,
                spikes[n_spikes:],
                arrivals[n_arrivals:],
            )
            spikes[n_spikes : n_spikes + new_spikes, 0] += start
            arrivals[n_arrivals : n_arrivals + new_arrivals, 0] += start
            n_spikes, n_arrivals = n_spikes + new_spikes, n_arrivals + new_arrivals
        if max(n_spikes * job.keep_spikes, n_arrivals * keep_arrivals) <= room:
            break
        room = max(n_spikes, n_arrivals)
    return state, counts, half_gram, spikes[:n_spikes], arrivals[:n_arrivals]


def _writable(value):
    """Return an array as kernels take it: what comes from another process may be read-only."""
    if not isinstance(value, np.ndarray) or value.flags.carray:
        return value
    return np.require(value, requirements="CW")


def _weights(network, settings):
    """Return the network's weights as the kernels take them."""
    gain = 1.0 / network.variance
    bias = network.bias * (gain if settings.rule.scaled_bias else 1.0)
    self_inhibition = settings.rule.self_inhibition * network.recurrent.diagonal()
    # kernels do not check what a rule of a user's own may have left
    feedforward = network.weights.get("feedforward", network.decoder)
    feedforward = _writable(np.asarray(feedforward, dtype=float))
    shapes = (feedforward.shape, network.recurrent.shape)
    n_units = settings.n_components
    expected = (network.decoder.shape, (n_units, n_units))
    if shapes != expected:
        raise ValueError(
            f"{type(settings.rule).__name__} left feedforward and recurrent weights of shapes "
            f"{shapes}, which must be {expected}."
        )
    offset = bias + gain * self_inhibition
    return _kernels.Weights(feedforward, network.recurrent, offset, gain)


def _close_batch(network, settings, clock, n_lanes, overlaps):
    """Return the batch of the first `n_lanes` lanes and make room for the next."""
    new, old = network.stimuli[:n_lanes], network.previous[:n_lanes]
    network.gather()
    squares = np.vdot(new, new), np.vdot(new, old), np.vdot(old, old)
    batch = Batch(
        n_lanes * settings.n_steps,
        network.counts,
        sum(map(operator.mul, overlaps, squares)),
        network.drive[:n_lanes],
        network.gram,
        np.concatenate(network.arrivals),
        network.starts[:n_lanes],
        new.copy(),
        old.copy(),
        settings,
        clock,
    )
    network.previous[:n_lanes] = new
    network.counts = np.zeros(settings.n_components, dtype=np.int64)
    network.gram = NO_GRAM
    network.arrivals = []
    return batch


def _homeostasis(network, settings, batch):
    """Return the change of the biases, ``db = eta_b (rho dt - s)`` summed over a batch.

    Lanes run side by side with the same bias. One after another, each would have seen the effect
    of those before: where the logit has moved by D, spikes are e^D times as many, so that the
    deviation from the target shrinks by e^-a a lane, with a the step that the expected spikes of
    one lane make. Without the resulting factor, 1 for a single lane, large batches overshoot.
    """
    rule, target = settings.rule, settings.target
    rate = rule.homeostasis_rate * settings.dt
    logits_per_bias = 1.0 / network.variance if rule.scaled_bias else 1.0
    a = rate * logits_per_bias * target * settings.n_steps
    lanes = settings.batch_size
    # the mean of e^(-a lane)
    shrunk = math.expm1(-a * lanes) / math.expm1(-a) / lanes if a > 0.0 else 1.0
    return rate * shrunk * (target * batch.n_steps - batch.counts)


def _learn(network, settings, batch):
    """Move weights, biases and noise by the sums over a batch; keep the records."""
    rule = settings.rule
    error = rule.update(network, batch, settings.learning_rate * settings.dt)
    if not isinstance(error, Real):
        raise TypeError(
            f"{type(rule).__name__}.update returned {error!r}, which must be the error of the "
            "decoder: end it with `return super().update(network, batch, step)`."
        )
    network.error += error
    network.bias += _homeostasis(network, settings, batch)
    final = settings.noise**2
    progress = settings.batch_size / settings.horizon
    network.variance = final + (network.variance - final) * math.exp(
        -2.0 * rule.annealing * progress
    )
    network.n_updates += 1

    kept = math.exp(-progress / RATE_WINDOW)
    network.spikes = kept * network.spikes + batch.counts
    network.time = kept * network.time + batch.n_steps * settings.dt
    network.error_steps += batch.n_steps
    if network.n_updates % settings.updates_per_point == 0:
        n_features = network.decoder.shape[0]
        network.loss_curve.append(0.5 * network.error / n_features / network.error_steps)
        network.error, network.error_steps = 0.0, 0


def _check_finite(network, rule):
    """Refuse what a rule of a user's own may have left, from which nothing recovers."""
    weights = {"decoder": network.decoder, "recurrent": network.recurrent, **network.weights}
    bad = [name for name, values in weights.items() if not np.isfinite(values).all()]
    if bad:
        raise FloatingPointError(
            f"{type(rule).__name__}.update left values in weights {bad} that are not finite: "
            "lower its learning rates, or guard its divisions."
        )


def encode(network, settings, X, scale=1.0, *, seed, out):
    """Present every row of X to the network at rest and write its code into `out`.

    Each row has random numbers of its own, derived from its values and `seed`, so its code
    depends on nothing but them and the network.

    Parameters
    ----------
    network : Network
        Not changed.
    settings : Settings
        Settings of the network.
    X : ndarray of shape (n_samples, n_features), float64, C-contiguous
        Data.
    scale : float, default=1.0
        Data are divided by it.
    seed : int
        Seed of the rows' random numbers.
    out : ndarray of shape (n_samples, n_components), float64, C-contiguous
        Receives the codes, firing rates in spikes per time constant.
    """
    encode_rows = _at_rest(network, settings, scale)
    step = settings.rows_per_call(X.shape[1])
    for i in range(0, len(X), step):
        encode_rows(X[i : i + step], np.uint64(seed), out[i : i + step], NO_RECORD)


def simulate(network, settings, X, scale=1.0, *, seed, n_trials):
    """Present every row of X to the network at rest, several times with fresh noise.

    Parameters
    ----------
    network : Network
        Not changed.
    settings : Settings
        Settings of the network.
    X : ndarray of shape (n_samples, n_features), float64, C-contiguous
        Data.
    scale : float, default=1.0
        Data are divided by it.
    seed : int
        Seed of the trials' random numbers.
    n_trials : int
        Number of times each row is presented.

    Returns
    -------
    spikes : ndarray of shape (n_spikes,)
        Structured array of row, trial, time (ms from the row's onset) and unit, in this order.
    """
    encode_rows = _at_rest(network, settings, scale)
    step = settings.rows_per_call(X.shape[1])
    codes = np.empty((step, settings.n_components))
    spikes = []
    for i in range(0, len(X), step):
        rows = X[i : i + step]
        for trial in range(n_trials):
            key = np.uint64(_kernels.call(_kernels.stream_key, np.uint64(seed), trial))
            # a first run counts the spikes, so that the record has exactly their size
            n_spikes = encode_rows(rows, key, codes[: len(rows)], NO_RECORD)
            buffer = np.empty((n_spikes, 3), dtype=np.int64)
            encode_rows(rows, key, codes[: len(rows)], buffer)
            spikes.append(_as_spikes(buffer, settings, first_row=i, trial=trial))
    spikes = np.concatenate(spikes)
    return spikes[np.lexsort((spikes["trial"], spikes["row"]))]


def _at_rest(network, settings, scale):
    """Return a function that calls the kernel `encode` on a few rows."""
    settings = settings.at_rest
    weights, clock, value = _weights(network, settings), settings.clock, settings.code_per_spike
    scratch = _kernels.make_scratch(settings.n_components, settings.delay_steps)
    late = np.empty((settings.delay_steps - 1, settings.n_components), dtype=bool)

    def encode_rows(X, seed, out, buffer):
        return _kernels.call(
            _kernels.encode, X, scale, seed, weights, clock, value, scratch, late, out, buffer
        )

    return encode_rows


def _as_spikes(buffer, settings, *, first_row, trial=0):
    """Turn (row, step, unit) events of a kernel into a structured array."""
    spikes = np.empty(len(buffer), SPIKE)
    spikes["row"] = buffer[:, 0] + first_row
    spikes["trial"] = trial
    spikes["time"] = buffer[:, 1] * settings.dt
    spikes["unit"] = buffer[:, 2]
    return spikes
