"""The network: its settings and state, and how stimuli are presented.

Symbols follow Mikulasch, Rudelt & Priesemann, PNAS 118(50) e2021925118 (2021). Times are in ms,
learning rates in 1/ms, the target firing rate in Hz.
"""

import copy
import functools
import math
import operator
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ContextDecorator
from dataclasses import dataclass, field

import numpy as np
from scipy.signal import lfilter
from threadpoolctl import ThreadpoolController

from . import _kernels
from .rules import Rule

FADE = 0.3  # part of a presentation during which the new stimulus fades in
CALL = 1e8  # work of one kernel call, in about ns, so that Python regains control
RATE_WINDOW = 0.05  # part of the horizon over which firing rates are averaged
LOSS_POINTS = 100  # entries of the loss curve over one horizon
NO_RECORD = np.empty((0, 3), dtype=np.int64)
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
        Simulation step in ms; also the transmission delay of recurrent connections.
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

    # Everything that depends on dt is derived here.

    @property
    def n_steps(self):
        """Steps of a presentation."""
        return max(1, round(self.presentation_time / self.dt))

    @property
    def decay(self):
        """Decay of a trace over one step."""
        return math.exp(-self.dt / self.tau)

    @property
    def trace_per_spike(self):
        """Sum over time of the trace that a spike leaves, in steps."""
        return -1.0 / math.expm1(-self.dt / self.tau)

    @property
    def target(self):
        """Target probability of a spike in one step."""
        return self.rate * 1e-3 * self.dt

    @property
    def fade(self):
        """Weight of the new stimulus at each step, shape (n_steps,)."""
        return np.minimum(1.0, np.arange(1, self.n_steps + 1) / (FADE * self.n_steps))

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
        return max(1, int(CALL / (self.n_components * (4 * self.n_steps + n_features))))

    @property
    def clock(self):
        """Kernel constants of time."""
        powers = self.decay ** np.arange(self.n_steps + 1)
        return _kernels.Clock(self.fade, self.decay, powers, self.rule.one_spike_per_step)

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

        def tail(weights, factor):
            # sums[m] = weights[m] + factor * sums[m + 1], from the end of the presentation
            sums = np.append(lfilter([1.0], [1.0, -factor], weights[::-1])[::-1], 0.0)
            if include_spikes:
                sums = np.concatenate([factor * sums[:1], sums[:-1]])
            return sums

        q, fade = self.decay, self.fade
        return _kernels.Tails(
            tail(fade, q), tail(1.0 - fade, q), tail(np.ones(self.n_steps), q * q)
        )

    @property
    def read(self):
        """What a spike at each step adds to the code, shape (n_steps,).

        Spikes count once the stimulus has faded in, each as the mean trace it leaves, so a code
        is a firing rate in spikes per time constant whatever dt is.
        """
        counted = self.fade >= 1.0
        return counted * self.trace_per_spike / counted.sum()


@dataclass
class Sums:
    """Sums over the steps of some presentations, from which learning and measures follow.

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
        Spike traces z of each lane, a copy of the network.
    previous : ndarray of shape (batch_size, n_features)
        The stimulus that fades out on each lane.
    stimuli : ndarray of shape (batch_size, n_features)
        The stimuli of the unfinished batch.
    drive : ndarray of shape (batch_size, 2, n_components)
        Sums of z weighted by the new and by the previous stimulus in the unfinished batch.
    counts : ndarray of shape (n_components,)
        Spikes in the unfinished batch.
    gram : ndarray of shape (n_components, n_components)
        A matrix G with ``G + G^T`` the sum of z z^T in the unfinished batch.
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
    previous: np.ndarray
    stimuli: np.ndarray
    drive: np.ndarray
    counts: np.ndarray
    gram: np.ndarray
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
        previous=np.zeros((lanes, n_features)),
        stimuli=np.zeros((lanes, n_features)),
        drive=np.zeros((lanes, 2, n)),
        counts=np.zeros(n, dtype=np.int64),
        gram=np.zeros((n, n)),
        spikes=np.zeros(n),
    )


class _OneBlasThread(ContextDecorator):
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
                cls.limiter = _blas().limit(limits=1, user_api="blas")
            cls.n_inside += 1

    def __exit__(self, *exception):
        cls = type(self)
        with cls.lock:
            cls.n_inside -= 1
            if cls.n_inside == 0:
                cls.limiter.restore_original_limits()


@functools.cache
def _blas():
    return ThreadpoolController()


@_OneBlasThread()
def run(network, settings, X, scale=1.0, *, learn=True, record=False):
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

    Returns
    -------
    sums : Sums
        Sums over all steps presented here, with traces before the spikes of a step while
        learning and after them (as in the decoder loss) otherwise. A batch that stays
        unfinished counts in the call that finishes it.
    spikes : ndarray of shape (n_spikes,) or None
        Structured array of row (of X), trial (0), time (ms from the row's onset) and unit.
    """
    n_features, n_units = network.decoder.shape
    lanes = settings.batch_size
    clock = settings.clock
    tails = settings.tails(include_spikes=not learn)
    scratch = _kernels.make_scratch(n_units)
    n_started = min(network.n_presentations, lanes)
    if not learn:
        # a stream of its own that starts with the lanes as they are
        network = copy.deepcopy(network)
        waiting = network.n_presentations % lanes
        network.previous[:waiting] = network.stimuli[:waiting]
        network.counts[:], network.gram[:] = 0, 0.0
        network.n_presentations += -network.n_presentations % lanes

    def present(network, rows, buffer):
        return _call(
            _kernels.present,
            rows,
            scale,
            np.uint64(network.seed),
            network.n_presentations,
            n_started,
            network.previous,
            network.stimuli,
            network.traces,
            _weights(network, settings),
            clock,
            tails,
            scratch,
            network.counts,
            network.drive,
            network.gram,
            buffer,
        )

    total = Sums(
        0,
        np.zeros(n_units, dtype=np.int64),
        0.0,
        np.zeros((n_features, n_units)),
        np.zeros((n_units, n_units)),
    )
    overlaps = settings.overlaps
    spikes = [np.empty(0, SPIKE)]
    start = 0
    while start < len(X):
        lane = network.n_presentations % lanes
        stop = min(start + lanes - lane, start + settings.rows_per_call(n_features), len(X))
        rows = X[start:stop]
        if record:
            # a first run on a copy counts the spikes, so that the record has exactly their size
            n_spikes = present(copy.deepcopy(network), rows, NO_RECORD)
            buffer = np.empty((n_spikes, 3), dtype=np.int64)
            present(network, rows, buffer)
            spikes.append(_as_spikes(buffer, settings, first_row=start))
        else:
            present(network, rows, NO_RECORD)
        network.n_presentations += stop - start
        n_started = min(n_started + stop - start, lanes)
        start = stop
        if network.n_presentations % lanes == 0 or (start == len(X) and not learn):
            n_lanes = (network.n_presentations - 1) % lanes + 1
            sums = _close_batch(network, n_lanes, settings.n_steps, overlaps)
            total += sums
            if learn:
                _learn(network, settings, sums)
    return total, np.concatenate(spikes) if record else None


def _call(kernel, *args):
    """Call a kernel; when it must be compiled first, in a thread of its own.

    Ctrl-C then reaches the caller at once. A compilation that it hits is broken or, worse, goes
    on without a word.
    """
    if kernel.signatures:
        return kernel(*args)
    pool = ThreadPoolExecutor(1)
    result = pool.submit(kernel, *args)
    pool.shutdown(wait=False)
    return result.result()


def _weights(network, settings):
    """Return the network's weights as the kernels take them."""
    gain = 1.0 / network.variance
    bias = network.bias * (gain if settings.rule.scaled_bias else 1.0)
    self_inhibition = settings.rule.self_inhibition * network.recurrent.diagonal()
    feedforward = network.weights.get("feedforward", network.decoder)
    offset = bias + gain * self_inhibition
    return _kernels.Weights(feedforward, network.recurrent, offset, gain)


def _close_batch(network, n_lanes, n_steps, overlaps):
    """Return the sums over the batch of the first `n_lanes` lanes and make room for the next."""
    new, old = network.stimuli[:n_lanes], network.previous[:n_lanes]
    drive = network.drive[:n_lanes]
    squares = np.vdot(new, new), np.vdot(new, old), np.vdot(old, old)
    sums = Sums(
        n_lanes * n_steps,
        network.counts.copy(),
        sum(map(operator.mul, overlaps, squares)),
        new.T @ drive[:, 0] + old.T @ drive[:, 1],
        network.gram + network.gram.T,
    )
    network.previous[:n_lanes] = new
    network.counts[:] = 0
    network.gram[:] = 0.0
    return sums


def _homeostasis(network, settings, sums):
    """Return the change of the biases, ``db = eta_b (rho dt - s)`` summed over a batch.

    Lanes run side by side with the same bias. One after another, each would have seen the effect
    of those before: where the logit has moved by D, spikes are e^D times as many, so that the
    deviation from the target shrinks by e^-a a lane, with a the step that the expected spikes of
    one lane make. Without the resulting factor, 1 for a single lane, large batches overshoot.
    """
    rule = settings.rule
    rate = rule.homeostasis_rate * settings.dt
    logits_per_bias = 1.0 / network.variance if rule.scaled_bias else 1.0
    a = rate * logits_per_bias * settings.target * settings.n_steps
    lanes = np.arange(settings.batch_size)
    return rate * np.exp(-a * lanes).mean() * (settings.target * sums.n_steps - sums.counts)


def _learn(network, settings, sums):
    """Move weights, biases and noise by the sums over a batch; keep the records."""
    rule = settings.rule
    network.error += rule.update(network, sums, settings.learning_rate * settings.dt)
    network.bias += _homeostasis(network, settings, sums)
    final = settings.noise**2
    progress = settings.batch_size / settings.horizon
    network.variance = final + (network.variance - final) * math.exp(
        -2.0 * rule.annealing * progress
    )
    network.n_updates += 1

    kept = math.exp(-progress / RATE_WINDOW)
    network.spikes = kept * network.spikes + sums.counts
    network.time = kept * network.time + sums.n_steps * settings.dt
    network.error_steps += sums.n_steps
    if network.n_updates % max(1, round(1 / (LOSS_POINTS * progress))) == 0:
        n_features = network.decoder.shape[0]
        network.loss_curve.append(0.5 * network.error / n_features / network.error_steps)
        network.error, network.error_steps = 0.0, 0


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
            key = np.uint64(_call(_kernels.stream_key, np.uint64(seed), trial))
            # a first run counts the spikes, so that the record has exactly their size
            n_spikes = encode_rows(rows, key, codes[: len(rows)], NO_RECORD)
            buffer = np.empty((n_spikes, 3), dtype=np.int64)
            encode_rows(rows, key, codes[: len(rows)], buffer)
            spikes.append(_as_spikes(buffer, settings, first_row=i, trial=trial))
    spikes = np.concatenate(spikes)
    return spikes[np.lexsort((spikes["trial"], spikes["row"]))]


def _at_rest(network, settings, scale):
    """Return a function that calls the kernel `encode` on a few rows."""
    weights, clock, read = _weights(network, settings), settings.clock, settings.read
    scratch = _kernels.make_scratch(settings.n_components)

    def encode_rows(X, seed, out, buffer):
        return _call(_kernels.encode, X, scale, seed, weights, clock, read, scratch, out, buffer)

    return encode_rows


def _as_spikes(buffer, settings, *, first_row, trial=0):
    """Turn (row, step, unit) events of a kernel into a structured array."""
    spikes = np.empty(len(buffer), SPIKE)
    spikes["row"] = buffer[:, 0] + first_row
    spikes["trial"] = trial
    spikes["time"] = buffer[:, 1] * settings.dt
    spikes["unit"] = buffer[:, 2]
    return spikes
