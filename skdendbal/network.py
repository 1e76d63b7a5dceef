"""The network: its state, and how it is presented with stimuli, learns, codes and is evaluated.

Two assumptions carry everything else. The input of a step is a blend of two stimuli: one fades in
while the one before it fades out. And potentials are never formed while spikes are drawn: only
bounds of all hazards, and the logits of a few candidates for spikes.

The stimuli of a batch are presented to one lane each: lanes are copies of the network with common
weights and traces of their own. Parts of sixteen lanes go to a pure function,
:func:`_present_lanes`, that may run anywhere. It returns sums, from which weights learn once a
batch.

Symbols follow Mikulasch, Rudelt & Priesemann, PNAS 118(50) e2021925118 (2021). Times are in ms,
learning rates in 1/ms, the target firing rate in Hz. What estimators call n_components is the
number of units here.
"""

import itertools
import math
from collections import namedtuple
from dataclasses import dataclass, field
from numbers import Real
from typing import NamedTuple

import numpy as np

from . import _kernels
from ._batch import (
    NOT_FORMED,
    Batch,
    Intervals,
    Sums,
    shallow_copy,
    sum_of_products,
    sum_of_squares,
)
from ._implicit import follow
from ._memory import check_memory
from ._parallel import OneBlasThread, as_kernel_array, as_writable
from .settings import Neuron, Noise, Settings

__all__ = [
    "SPIKE",
    "Batch",
    "Intervals",
    "LearningRecord",
    "Network",
    "Neuron",
    "Noise",
    "Settings",
    "StreamState",
    "Sums",
    "begin_stream",
    "count_bytes",
    "encode",
    "evaluate",
    "initialise",
    "intervene",
    "learn",
    "learn_decoder",
    "make_dynamics",
    "present_stream",
    "simulate",
]

_SILENT_BIAS = -1e9  # with which a neuron does not spike, whatever its potential
_RATE_WINDOW = 500  # presentations over which rates are averaged, if 5 % of the horizon is less
_NOT_RECORDED = np.empty((0, 3), dtype=np.int64)
#: Type of recorded spikes: `row`, `trial`, `time` in ms from the onset of the row, and `unit`.
SPIKE = np.dtype(
    [("row", np.int64), ("trial", np.int64), ("time", np.float64), ("unit", np.int64)]
)

_Stream = namedtuple(  # what is common to all presentations of a call
    "_Stream",
    [
        "scale",  # stimuli are divided by it
        "seed",  # of the random numbers
        "clock",  # Clock
        "tails",  # Tails
        "forms_zz",  # whether to sum z z^T
        "keeps_spikes",  # whether to return spikes
        "spikes_per_row",  # expected
        "lanes_per_part",  # see Settings
    ],
)
_Presented = namedtuple(  # what becomes of some lanes
    "_Presented",
    [
        "lanes",  # Lanes, their state afterwards
        "sums",  # LaneSums
        "spikes",  # (n_spikes, 3) lane, step and unit, if kept
    ],
)


@dataclass
class LearningRecord:
    """How learning goes.

    Parameters
    ----------
    spikes : ndarray of shape (n_components,)
        Recent spikes, each weighing less as it recedes.
    time : float, default=0.0
        Recent time in ms, weighted in the same way.
    error : float, default=0.0
        Squared error summed over the steps since the last point of the loss curve.
    error_steps : int, default=0
        Number of these steps.
    loss_curve : list of float, default=[]
        Mean decoder loss between one point and the next.
    """

    spikes: np.ndarray
    time: float = 0.0
    error: float = 0.0
    error_steps: int = 0
    loss_curve: list = field(default_factory=list)

    @property
    def firing_rates(self):
        """Recent firing rates in Hz, shape (n_components,)."""
        return 1e3 * self.spikes / self.time if self.time > 0.0 else self.spikes.copy()

    def add(self, batch, error, settings, n_updates):
        """Take in a batch.

        Parameters
        ----------
        batch : Batch
            The batch.
        error : float
            Squared error of the decoder before it learned from the batch, summed over its steps.
        settings : Settings
            Settings of the network.
        n_updates : int
            Number of weight updates so far.
        """
        window = max(_RATE_WINDOW, settings.horizon / 20)
        kept = math.exp(-settings.batch_size / window)
        self.spikes = kept * self.spikes + batch.spike_counts
        self.time = kept * self.time + batch.n_steps * settings.dt
        self.error += error
        self.error_steps += batch.n_steps
        if n_updates % settings.updates_per_point == 0:
            n_features = batch.new.shape[1]
            self.loss_curve.append(0.5 * self.error / n_features / self.error_steps)
            self.error, self.error_steps = 0.0, 0


@dataclass
class Network:
    """State of a network: plain arrays and numbers, in units of the scaled input.

    Parameters
    ----------
    weights : dict of str to ndarray
        "decoder" of shape (n_features, n_components), decoder weights D; "recurrent" of shape
        (n_components, n_components), whose row k holds what a spike of neuron k adds to the
        potentials (W^T); and those of the rule, see :meth:`skdendbal.rules.Rule.initialise`.
    bias : ndarray of shape (n_components,)
        Biases b.
    variance : float
        Squared noise level sigma^2.
    seed : int
        Seed of the random numbers. Every presentation has a stream of its own, numbered by
        `n_presentations`, so there is no generator to carry.
    lanes : Lanes
        What each lane carries on: stimuli, traces, spikes in flight.
    record : LearningRecord
        How learning goes.
    batch : Batch or None, default=None
        The unfinished batch.
    n_presentations : int, default=0
        Number of stimuli presented.
    n_updates : int, default=0
        Number of weight updates.
    progress : float, default=0.0
        Part of the horizon that is over.
    shares_weights : bool, default=False
        Whether another network has the same arrays as weights. They are copied before they change.
    """

    weights: dict
    bias: np.ndarray
    variance: float
    seed: int
    lanes: _kernels.Lanes
    record: LearningRecord
    batch: Batch | None = None
    n_presentations: int = 0
    n_updates: int = 0
    progress: float = 0.0
    shares_weights: bool = False

    @property
    def decoder(self):
        """Decoder weights D, shape (n_features, n_components)."""
        return self.weights["decoder"]

    @property
    def recurrent(self):
        """Recurrent weights W^T, shape (n_components, n_components)."""
        return self.weights["recurrent"]

    @property
    def is_blank(self):
        """Whether decoder and stimuli are all zero, so that the input scale may still change."""
        return not any(
            each.any() for each in (self.decoder, self.lanes.previous, self.lanes.stimuli)
        )

    def fork(self):
        """Return a network in the same state, which learns on without changing this one.

        The state of the lanes is copied now; weights are copied when a network learns next.

        Returns
        -------
        network : Network
            The other network.
        """
        self.shares_weights = True
        network = shallow_copy(self)
        network.lanes = _kernels.Lanes(*(each.copy() for each in self.lanes))
        network.record = shallow_copy(self.record)
        network.record.loss_curve = self.record.loss_curve.copy()
        network.batch = None if self.batch is None else self.batch.fork()
        return network


def count_bytes(n_features, n_components, batch_size):
    """Return about how much memory a network needs while it learns, without weights of rules.

    Parameters
    ----------
    n_features : int
        Number of inputs.
    n_components : int
        Number of neurons.
    batch_size : int
        Number of lanes.

    Returns
    -------
    n_bytes : int
        Size of weights, sums over a batch and the state of all lanes.
    """
    weights = 4 * n_features * n_components + 6 * n_components**2
    return 8 * (weights + batch_size * (2 * n_features + 4 * n_components))


def initialise(settings, n_features, seed):
    """Return a network that has learned nothing, whose biases give the target rate.

    Parameters
    ----------
    settings : Settings
        Settings of the network.
    n_features : int
        Number of inputs n_x.
    seed : int
        Seed of all random numbers of a stream, and of initial weights if the rule draws them.

    Returns
    -------
    network : Network
        At rest, before its first stimulus.

    Raises
    ------
    MemoryError
        If it does not fit into the memory of the machine.
    """
    n, n_lanes = settings.n_components, settings.batch_size
    check_memory(
        count_bytes(n_features, n, n_lanes),
        f"n_components={n} neurons with {n_features} features and batch_size={n_lanes} "
        "and the copies made while learning",
        "Lower n_components or batch_size.",
    )
    variance = settings.noise.level(0.0) ** 2
    bias = _kernels.logit_of_probability(settings.spike_probability)
    return Network(
        weights={
            "decoder": np.zeros((n_features, n)),
            "recurrent": np.zeros((n, n)),
            **settings.rule.initialise(n_features, n, np.random.RandomState(seed)),
        },
        bias=np.full(n, bias * (variance if settings.neuron.scaled_bias else 1.0)),
        variance=variance,
        seed=seed,
        lanes=_make_lanes(settings, n_features, n_lanes),
        record=LearningRecord(np.zeros(n)),
    )


def _make_lanes(settings, n_features, n_lanes):
    """Return lanes at rest."""
    n, n_late = settings.n_components, settings.delay_steps - 1
    return _kernels.Lanes(
        is_new=np.ones(n_lanes, dtype=bool),
        previous=np.zeros((n_lanes, n_features)),
        stimuli=np.zeros((n_lanes, n_features)),
        traces=np.zeros((n_lanes, n)),
        late_traces=np.zeros((n_lanes, n if n_late > 0 else 0)),
        in_flight=np.zeros((n_lanes, n_late, n), dtype=bool),
    )


def learn(network, settings, X, scale=1.0, *, record=False, apply=itertools.starmap):
    """Learn from a stream of stimuli, each fading in from the one before it on its lane.

    Parameters
    ----------
    network : Network
        Continues where it stands. Changed in place.
    settings : Settings
        Settings of the network.
    X : ndarray of shape (n_presentations, n_features), float64, C-contiguous
        Stimuli in the order of presentation.
    scale : float, default=1.0
        Stimuli are divided by it.
    record : bool, default=False
        Whether to return the spikes.
    apply : callable, default=itertools.starmap
        ``apply(function, arguments)`` returns ``function(*each)`` for each of the arguments, in
        their order. Parts of a batch are independent, so it may compute them anywhere.

    Returns
    -------
    spikes : ndarray of shape (n_spikes,) or None
        Structured array of row (of X), trial (0), time (ms from the row's onset) and unit.
    """
    _check_delay(network, settings)
    n_waiting = 0 if network.batch is None else network.batch.n_lanes
    if n_waiting + len(X) < settings.batch_size:  # no batch is completed, no weight updated
        return _learn_rows(network, settings, X, scale, record, apply)
    with OneBlasThread():
        spikes = _learn_rows(network, settings, X, scale, record, apply)
    _check_finite(network, settings.rule, X)
    return spikes


def _learn_rows(network, settings, X, scale, record, apply):
    """Do what `learn` does, without its limit of BLAS to one thread."""
    stream = _make_stream(network, settings, scale)
    lanes, spikes = network.lanes, [np.empty(0, SPIKE)]
    start = 0
    while start < len(X):
        if network.batch is None:
            network.batch = Batch.begin(settings)
        batch = network.batch
        first = batch.n_lanes
        rows = X[start : start + settings.batch_size - first]
        stop = first + len(rows)
        batch.starts[first:stop] = lanes.traces[first:stop]
        stream = stream._replace(
            forms_zz=not batch.few_spikes, keeps_spikes=record or batch.keeps_spikes
        )
        number, half_zz = network.n_presentations, batch.half_zz_of_part
        for part, presented in _present(
            stream, make_dynamics(network, settings), lanes, first, half_zz, rows, number, apply
        ):
            batch.add(part, presented)
            if record:
                row = start - first + part.start
                spikes.append(_as_spikes(presented.spikes, settings, first_row=row))
        network.n_presentations += len(rows)
        start += len(rows)
        if batch.n_lanes == settings.batch_size:
            batch.new, batch.old = lanes.stimuli.copy(), lanes.previous.copy()
            _learn_from_batch(network, settings, batch)
            lanes.previous[:] = batch.new
            network.batch = None
    return np.concatenate(spikes) if record else None


@OneBlasThread()
def evaluate(network, settings, X, scale=1.0, *, apply=itertools.starmap):
    """Present a stream of stimuli as in learning, but learn nothing.

    Parameters
    ----------
    network : Network
        The stream starts with its lanes as they are. Not changed.
    settings : Settings
        Settings of the network.
    X : ndarray of shape (n_presentations, n_features), float64, C-contiguous
        Stimuli in the order of presentation.
    scale : float, default=1.0
        Stimuli are divided by it.
    apply : callable, default=itertools.starmap
        As in :func:`learn`.

    Returns
    -------
    sums : Sums
        Sums over all steps, with traces that include the spikes of a step, as in the decoder loss.
    spikes : ndarray of shape (n_spikes,)
        Structured array of row (of X), trial (0), time (ms from the row's onset) and unit.
    """
    _check_delay(network, settings)
    lanes = _kernels.Lanes(*(each.copy() for each in network.lanes))
    waiting = 0 if network.batch is None else network.batch.n_lanes
    lanes.previous[:waiting] = lanes.stimuli[:waiting]
    number = network.n_presentations + -network.n_presentations % settings.batch_size
    dynamics = make_dynamics(network, settings)
    stream = _make_stream(network, settings, scale)._replace(keeps_spikes=True)
    total, spikes = Sums(0, 0, 0.0, np.zeros_like(network.decoder), 0.0), [np.empty(0, SPIKE)]
    for start in range(0, len(X), settings.batch_size):
        rows = X[start : start + settings.batch_size]
        n = len(rows)
        starts = settings.decay * lanes.traces[:n]
        parts = _present(stream, dynamics, lanes, 0, NOT_FORMED, rows, number + start, apply)
        recorded = [np.add(presented.spikes, (part.start, 0, 0)) for part, presented in parts]
        recorded = np.concatenate(recorded)
        # traces that include the spikes of a step: they have decayed once before the first one
        intervals = Intervals.between(recorded, starts, settings.clock, lag=0)
        new, old, fade = lanes.stimuli[:n], lanes.previous[:n], settings.fade
        sum_wz = np.stack([intervals.sum_by_lane(w, 1) for w in (fade, 1.0 - fade)], axis=1)
        total.n_steps += n * settings.n_steps
        total.spike_counts += np.bincount(recorded[:, 2], minlength=settings.n_components)
        total.sum_xx += sum_of_squares(settings, new, old)
        total.sum_xz += sum_of_products(new, old, sum_wz)
        total.sum_zz += intervals.sum_zz(intervals.traces)
        spikes.append(_as_spikes(recorded, settings, first_row=start))
        lanes.previous[:n] = new
    return total, np.concatenate(spikes)


def _present(stream, dynamics, lanes, first, half_zz, X, number, apply):
    """Present rows to lanes from the first one on, in parts; yield each part and its result.

    The state of the lanes is brought up to date. `half_zz` is what the lanes before the first one
    have contributed to its part, and `number` that of the first presentation.
    """
    stop = first + len(X)
    size = stream.lanes_per_part
    cuts = [first, *range(first + size - first % size, stop, size)]
    parts = [slice(*cut) for cut in itertools.pairwise([*cuts, stop])]
    states = [_kernels.Lanes(*(each[part] for each in lanes)) for part in parts]
    half_zzs = [half_zz, *[NOT_FORMED] * len(parts)]
    rows = [X[part.start - first : part.stop - first] for part in parts]
    numbers = [number + part.start - first for part in parts]
    same = itertools.repeat(stream), itertools.repeat(dynamics)
    arguments = zip(*same, states, half_zzs, rows, numbers, strict=False)
    for part, presented in zip(parts, apply(_present_lanes, arguments), strict=True):
        for mine, theirs in zip(lanes, presented.lanes, strict=True):
            mine[part] = theirs
        yield part, presented


def _present_lanes(stream, dynamics, lanes, half_zz, X, number):
    """Present a stimulus to each of some lanes, with fixed weights.

    For workers of any kind: it changes nothing but the state of these lanes.

    Parameters
    ----------
    stream : _Stream
        What is common to all presentations.
    dynamics : Dynamics
        What potentials and spikes follow from.
    lanes : Lanes
        State of these lanes, which may change in place.
    half_zz : ndarray of shape (n_components, n_components) or (0, 0)
        What the lanes before them have contributed to the sum of z z^T of their part.
    X : ndarray of shape (n_lanes, n_features)
        Their stimuli.
    number : int
        Number of the first of these presentations.

    Returns
    -------
    presented : _Presented
        State of the lanes afterwards, sums and spikes.
    """
    n_units = len(dynamics.offset)
    X = as_kernel_array(X)
    dynamics, clock, tails = (
        type(each)(*map(as_writable, each)) for each in (dynamics, stream.clock, stream.tails)
    )
    scratch = _kernels.make_scratch(n_units, clock.delay_steps)
    # room for several times the expected spikes, and another attempt if there are more
    room = 64 + int(8 * len(X) * stream.spikes_per_row)
    while True:
        # without a record there is no other attempt, for which the state would have to be kept
        own = np.copy if stream.keeps_spikes else as_writable
        state = _kernels.Lanes(*map(own, lanes))
        if half_zz.size > 0:
            own_half_zz = half_zz.copy()
        else:
            own_half_zz = np.zeros((n_units, n_units) if stream.forms_zz else (0, 0))
        sums = _kernels.LaneSums(
            np.zeros((len(X), n_units)),
            np.empty((len(X), 2, n_units)),
            np.zeros((len(X), n_units)),
            own_half_zz,
        )
        spikes = np.empty((room if stream.keeps_spikes else 0, 3), dtype=np.int64)
        n_spikes = _kernels.call_interruptibly(
            _kernels.present, X, stream.scale, np.uint64(stream.seed), False, number,
            state, dynamics, clock, tails, scratch, 1.0, sums, spikes,
        )  # fmt: skip
        if n_spikes <= room or not stream.keeps_spikes:
            break
        room = n_spikes
    state.in_flight[:] = np.roll(state.in_flight, -len(clock.fade), axis=1)
    return _Presented(state, sums, spikes[:n_spikes])


def _make_stream(network, settings, scale):
    clock, tails, spikes_per_row = settings.clock, settings.tails, settings.spikes_per_presentation
    n_lanes = settings.lanes_per_part
    return _Stream(scale, network.seed, clock, tails, False, False, spikes_per_row, n_lanes)


def intervene(network, settings, n_rows, *, weights=None, silenced=None, current=None, noise=None):
    """Return a network in which something is changed, which shares other weights with this one.

    Parameters
    ----------
    network : Network
        Not changed.
    settings : Settings
        Settings of the network.
    n_rows : int
        Number of rows that will be presented.
    weights : dict of str to array-like, default=None
        Arrays that replace weights of the network, and its "bias".
    silenced : array-like of int, default=None
        Neurons that do not spike.
    current : float or array-like, default=None
        What is added to potentials: one number, one for each neuron, or an array of shape
        (n_rows, n_components) or (n_rows, 1) with a current for each row.
    noise : float, default=None
        Another noise level sigma.

    Returns
    -------
    network : Network
        The changed network. Where currents change from row to row, so do biases: they have the
        shape (n_rows, n_components).

    Raises
    ------
    ValueError
        If there is no such neuron or no such weights, or if weights, a current or the noise level
        are of another shape or out of range.
    """
    network, n_units = network.fork(), settings.n_components
    if weights is not None:
        _replace_weights(network, weights)
    if noise is not None:
        low, high = Noise.RANGE
        if not (isinstance(noise, Real) and low <= noise <= high):
            raise ValueError(f"noise={noise!r} must be a number from {low} to {high}.")
        network.variance = float(noise) ** 2
    if current is not None:
        current = np.asarray(current, dtype=np.float64)
        shapes = (), (n_units,), (n_rows, n_units), (n_rows, 1)
        if current.shape not in shapes or not np.isfinite(current).all():
            raise ValueError(
                f"current of shape {current.shape} must be one finite number, or one for each of "
                f"{n_units} neurons. For a current that changes from row to row, pass an array of "
                f"shape ({n_rows}, {n_units}), or ({n_rows}, 1) if it is the same for all neurons."
            )
        bias_per_current = 1.0 if settings.neuron.scaled_bias else 1.0 / network.variance
        network.bias = network.bias + bias_per_current * current
    if silenced is not None:
        silenced = np.unique(silenced)
        is_valid = silenced.dtype.kind in "iu" and np.isin(silenced, np.arange(n_units)).all()
        if silenced.size > 0 and not is_valid:
            raise ValueError(f"silenced={silenced} must be numbers of neurons below {n_units}.")
        network.bias = network.bias.copy()
        network.bias[..., silenced.astype(np.intp)] = _SILENT_BIAS
    return network


def _replace_weights(network, weights):
    """Give a network, which is a fork, other weights and biases where there are some."""
    old = {"feedforward": network.decoder, **network.weights, "bias": network.bias}
    new = {}
    for name, values in weights.items():
        if name not in old:
            raise ValueError(f"weights has the name {name!r}, which must be one of {sorted(old)}.")
        new[name] = np.array(values, dtype=np.float64, order="C")
        if new[name].shape != old[name].shape or not np.isfinite(new[name]).all():
            raise ValueError(
                f"weights[{name!r}] of shape {new[name].shape} must be finite and of shape "
                f"{old[name].shape}, like those of the network."
            )
    network.bias = new.pop("bias", network.bias)
    network.weights = network.weights | new


class StreamState(NamedTuple):
    """Where a stream that learns nothing has arrived.

    Parameters
    ----------
    lanes : Lanes
        What the network carries on, on a single lane.
    seed : int
        Seed of the random numbers.
    n_presented : int
        Number of rows so far.
    """

    lanes: _kernels.Lanes
    seed: int
    n_presented: int


def begin_stream(settings, n_features, seed):
    """Return the state of a stream before its first row, in a network at rest without input.

    Parameters
    ----------
    settings : Settings
        Settings of the network.
    n_features : int
        Number of inputs.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    state : StreamState
        For :func:`present_stream`.
    """
    lanes = _make_lanes(settings, n_features, n_lanes=1)
    lanes.is_new[:] = False  # the first row fades in from nothing
    return StreamState(lanes, seed, 0)


def present_stream(network, settings, X, scale=1.0, *, state):
    """Present rows one after the other without reset, learning nothing.

    Parameters
    ----------
    network : Network
        Not changed.
    settings : Settings
        Settings of the network.
    X : ndarray of shape (n_presentations, n_features), float64, C-contiguous
        Rows in the order of presentation.
    scale : float, default=1.0
        Rows are divided by it.
    state : StreamState
        Where the stream starts. Not changed.

    Returns
    -------
    spikes : ndarray of shape (n_spikes,)
        Structured array of row (of X), trial (0), time (ms from the row's onset) and unit.
    state : StreamState
        Where the stream ends: the same rows in several calls evoke the same spikes.

    Raises
    ------
    ValueError
        If the state is no state, or that of another network.
    """
    if not isinstance(state, StreamState):
        raise ValueError(
            f"state is a {type(state).__name__} and not where a stream has arrived: pass the "
            "attribute state of a recording of a stream, or None."
        )
    expected = [each.shape for each in _make_lanes(settings, X.shape[1], n_lanes=1)]
    if [each.shape for each in state.lanes] != expected:
        raise ValueError(
            "state is that of a network with other numbers of neurons, features or steps of "
            "delay: begin a new stream with state=None."
        )
    lanes = _kernels.Lanes(*(each.copy() for each in state.lanes))
    stream, dynamics = _make_stream(network, settings, scale), make_dynamics(network, settings)
    stream = stream._replace(keeps_spikes=True, seed=state.seed)
    spikes = [np.empty(0, SPIKE)]
    for i in range(len(X)):
        rows, number = X[i : i + 1], state.n_presented + i
        mine = _dynamics_of_row(dynamics, i)
        parts = _present(stream, mine, lanes, 0, NOT_FORMED, rows, number, itertools.starmap)
        for _, presented in parts:
            spikes.append(_as_spikes(presented.spikes, settings, first_row=i))
        lanes.previous[:] = lanes.stimuli
    return np.concatenate(spikes), StreamState(lanes, state.seed, state.n_presented + len(X))


def make_dynamics(network, settings):
    """Return what potentials and spikes follow from, as kernels take it.

    Parameters
    ----------
    network : Network
        The network.
    settings : Settings
        Settings of the network.

    Returns
    -------
    dynamics : Dynamics
        Named tuple of weights, offsets of logits, and the gain from potentials to logits.

    Raises
    ------
    ValueError
        If a rule has left weights of another shape.
    """
    neuron, gain = settings.neuron, 1.0 / network.variance
    bias = network.bias * (gain if neuron.scaled_bias else 1.0)
    # kernels check nothing, and a user's own rule may have left arrays of another kind or shape
    feedforward = as_kernel_array(network.weights.get("feedforward", network.decoder))
    recurrent = as_kernel_array(network.recurrent)
    shapes = (feedforward.shape, recurrent.shape)
    n_units = settings.n_components
    expected = (network.decoder.shape, (n_units, n_units))
    if shapes != expected:
        raise ValueError(
            f"{type(settings.rule).__name__} left feedforward and recurrent weights of shapes "
            f"{shapes}, which must be {expected}."
        )
    offset = bias + gain * (neuron.self_inhibition * recurrent.diagonal())
    return _kernels.Dynamics(feedforward, recurrent, offset, gain, bool(neuron.one_spike_per_step))


def _dynamics_of_row(dynamics, row):
    """Return dynamics with the offsets of one row, if each row has its own."""
    offset = dynamics.offset
    return dynamics if offset.ndim == 1 else dynamics._replace(offset=offset[row])


def _check_delay(network, settings):
    delay_steps = network.lanes.in_flight.shape[1] + 1
    if delay_steps != settings.delay_steps:
        raise ValueError(
            f"The delay of {settings.delay_steps} steps differs from that of the network, "
            f"{delay_steps}: set delay or dt back, or start anew."
        )


def learn_decoder(decoder, batch, rate, decay=0.0):
    """Let a decoder learn from a batch, ``dD = rate ((x - D z) z^T - decay D)``.

    The step is implicit: it cannot overshoot.

    Parameters
    ----------
    decoder : ndarray of shape (n_features, n_components)
        Decoder weights D, changed in place.
    batch : Batch
        Sums over all steps of the batch.
    rate : float
        Learning rate times the duration of a step.
    decay : float, default=0.0
        Decay of the weights in a step, relative to the rate.

    Returns
    -------
    error : float
        Squared error of the decoder before learning, summed over the steps.
    """
    return batch.sum_xx - follow(decoder, batch, rate, decay=decay)


def _learn_from_batch(network, settings, batch):
    """Move weights, biases and noise by the sums over a batch; keep the records."""
    rule = settings.rule
    if network.shares_weights:
        network.weights = {
            name: np.array(values, order="C") for name, values in network.weights.items()
        }
        network.shares_weights = False
    decay = rule.decoder_decay * settings.trace_variance
    error = learn_decoder(network.decoder, batch, rule.decoder_rate * settings.dt, decay)
    rule.update(network.weights, batch, settings.dt)
    network.bias = network.bias + _homeostasis(network, settings, batch)
    network.n_updates += 1
    network.progress += settings.batch_size / settings.horizon
    network.variance = settings.noise.level(network.progress) ** 2
    network.record.add(batch, error, settings, network.n_updates)


def _homeostasis(network, settings, batch):
    """Return the change of the biases, ``db = eta_b (rho dt - s)`` summed over a batch.

    Lanes run side by side with the same bias. If they ran one after another, each would see the
    effect of those before it: once the logit has moved by D, spikes are e^D times as many, so the
    deviation from the target shrinks by a factor of e^-a from lane to lane, where a is the step in
    logits that the expected spikes of one lane cause. The change is multiplied by the mean of
    these factors, which is 1 for a single lane; otherwise large batches would overshoot.
    """
    target, neuron = settings.spike_probability, settings.neuron
    rate = neuron.homeostasis_rate * settings.dt
    logits_per_bias = 1.0 / network.variance if neuron.scaled_bias else 1.0
    a = rate * logits_per_bias * target * settings.n_steps
    n_lanes = settings.batch_size
    # the mean of e^(-a lane)
    shrunk = math.expm1(-a * n_lanes) / math.expm1(-a) / n_lanes if a > 0.0 else 1.0
    return rate * shrunk * (target * batch.n_steps - batch.spike_counts)


def _check_finite(network, rule, X):
    """Refuse weights that are not finite, as a user's own rule may leave them: they stay so."""
    bad = [name for name, values in network.weights.items() if not np.isfinite(values).all()]
    if bad and not (np.isfinite(X).all() and np.isfinite(network.lanes.stimuli).all()):
        raise ValueError("Input X contains NaN, although it was assumed to be finite.")
    if bad:
        raise FloatingPointError(
            f"{type(rule).__name__}.update left values in weights {bad} that are not finite: "
            "lower its learning rates, or guard its divisions."
        )


def encode(network, settings, X, scale=1.0, *, seed, out):
    """Present every row of X to the network at rest and write its code into `out`.

    Each row has random numbers of its own, derived from its values and `seed`. Its code therefore
    depends on nothing but its values, the seed and the network.

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
    encode_rows = _make_encoder(settings, X.shape[1], scale)
    dynamics = make_dynamics(network, settings)
    step = _rows_per_call(settings, X.shape[1])
    for i in range(0, len(X), step):
        rows, codes = X[i : i + step], out[i : i + step]
        encode_rows(dynamics, rows, np.uint64(seed), codes, _NOT_RECORDED)


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
    encode_rows = _make_encoder(settings, X.shape[1], scale)
    dynamics = make_dynamics(network, settings)
    step = 1 if dynamics.offset.ndim > 1 else _rows_per_call(settings, X.shape[1])
    codes = np.empty((step, settings.n_components))
    spikes = []
    for i in range(0, len(X), step):
        rows, mine = X[i : i + step], _dynamics_of_row(dynamics, i)
        for trial in range(n_trials):
            key = _kernels.call_interruptibly(_kernels.stream_key, np.uint64(seed), trial)
            # a first run counts the spikes, so that the record has exactly their size
            n_spikes = encode_rows(mine, rows, np.uint64(key), codes[: len(rows)], _NOT_RECORDED)
            record = np.empty((n_spikes, 3), dtype=np.int64)
            encode_rows(mine, rows, np.uint64(key), codes[: len(rows)], record)
            spikes.append(_as_spikes(record, settings, first_row=i, trial=trial))
    spikes = np.concatenate(spikes)
    return spikes[np.lexsort((spikes["trial"], spikes["row"]))]


def _make_encoder(settings, n_features, scale):
    """Return a function that presents a few rows to a network at rest."""
    timing = settings.at_rest
    clock, tails, code_per_spike = timing.clock, timing.tails, timing.code_per_spike
    scratch = _kernels.make_scratch(settings.n_components, timing.delay_steps)
    lane = _make_lanes(settings, n_features, 1)
    lane.is_new[:] = False  # rows fade in from nothing, not from themselves

    def encode_rows(dynamics, X, seed, codes, record):
        codes[:] = 0.0
        sums = _kernels.LaneSums(codes, np.empty((0, 2, 0)), NOT_FORMED, NOT_FORMED)
        return _kernels.call_interruptibly(
            _kernels.present, X, scale, seed, True, 0,
            lane, dynamics, clock, tails, scratch, code_per_spike, sums, record,
        )  # fmt: skip

    return encode_rows


def _rows_per_call(settings, n_features):
    """Return the number of rows that a kernel codes in about 0.1 s, at least one."""
    work = settings.n_components * (4 * settings.n_steps + n_features)
    return max(1, int(_kernels.WORK_PER_CALL / work))


def _as_spikes(record, settings, *, first_row, trial=0):
    """Turn row, step and unit of a kernel's record into a structured array."""
    spikes = np.empty(len(record), SPIKE)
    spikes["row"] = record[:, 0] + first_row
    spikes["trial"] = trial
    spikes["time"] = record[:, 1] * settings.dt
    spikes["unit"] = record[:, 2]
    return spikes
