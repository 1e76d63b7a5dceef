"""Sums over the steps of presentations: what rules learn from, and what measures need."""

from dataclasses import dataclass, field

import numpy as np

from . import _kernels
from ._implicit import TraceSubspace
from ._timing import Timing, tail_sums

NOT_FORMED = np.empty((0, 0))


class _cached_property:
    """A property that is formed once, without the lock that functools has up to Python 3.11.

    A process may fork while another thread holds that lock. The child would then wait for it
    forever.
    """

    def __init__(self, form):
        self.form, self.__doc__ = form, form.__doc__

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        value = vars(instance)[self.name] = self.form(instance)
        return value


def shallow_copy(instance):
    """Return another instance with the same attributes; copy.copy takes ten times as long.

    Parameters
    ----------
    instance : object
        An instance of a class without slots.

    Returns
    -------
    other : object
        Of the same class.
    """
    other = object.__new__(type(instance))
    vars(other).update(vars(instance))
    return other


@dataclass
class Sums:
    """Sums over the steps of some presentations, from which measures follow.

    Parameters
    ----------
    n_steps : int
        Number of steps summed.
    spike_counts : ndarray of shape (n_components,)
        Spikes.
    sum_xx : float
        Sum of ``|x|^2``.
    sum_xz : ndarray of shape (n_features, n_components)
        Sum of ``x z^T``.
    sum_zz : ndarray of shape (n_components, n_components)
        Sum of ``z z^T``.
    """

    n_steps: int
    spike_counts: np.ndarray
    sum_xx: float
    sum_xz: np.ndarray
    sum_zz: np.ndarray


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
    clock : Clock
        Kernel constants of time.
    """

    traces: np.ndarray
    lanes: np.ndarray
    firsts: np.ndarray
    stops: np.ndarray
    clock: _kernels.Clock

    @classmethod
    def between(cls, spikes, starts, clock, lag=1):
        """Find the intervals between spikes.

        Parameters
        ----------
        spikes : ndarray of shape (n_spikes, 3)
            Lane, step and unit of spikes in the order of lanes and time.
        starts : ndarray of shape (n_lanes, n_components)
            Traces at the first step.
        clock : Clock
            Kernel constants of time.
        lag : int, default=1
            Steps after which a spike changes the traces: 1 for traces before the spikes of a
            step, 0 for traces that include them.

        Returns
        -------
        intervals : Intervals
            Those of all lanes.
        """
        n, n_units = len(spikes) + len(starts), starts.shape[1]
        arrays = _kernels.IntervalArrays(np.empty((n, n_units)), *np.empty((3, n), dtype=np.int64))
        n = _kernels.call_interruptibly(
            _kernels.split_into_intervals, spikes, lag, starts, clock.powers, arrays
        )
        return cls(*(array[:n] for array in arrays), clock)

    @property
    def arrays(self):
        """The intervals as kernels take them."""
        return _kernels.IntervalArrays(self.traces, self.lanes, self.firsts, self.stops)

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
            Multiplied by `traces` to the same power, they are sums of weighted powers of traces.
        """
        factor = self.clock.powers[1] ** power
        tail = tail_sums(weights, factor)
        return tail[self.firsts] - factor ** (self.stops - self.firsts) * tail[self.stops]

    def sum_by_lane(self, weights, power):
        """Sum weighted powers of the traces over the presentation of each lane.

        Parameters
        ----------
        weights : ndarray of shape (n_steps,)
            Weight of each step of a presentation.
        power : int
            Power of the traces.

        Returns
        -------
        sums : ndarray of shape (n_lanes, n_components)
            ``sum_t weights[t] z_j(t)^power``.
        """
        sums = self.sum(weights, power)[:, np.newaxis] * self.traces**power
        return np.add.reduceat(sums, np.flatnonzero(self.firsts == 0))

    @property
    def squares(self):
        """Sum over each interval of the squared decay since its first step.

        This is what `sum` finds for weights of one, in closed form, which is faster.
        """
        powers, n_steps = self.clock.powers, self.stops - self.firsts
        return (1.0 - powers[n_steps] ** 2) / (1.0 - powers[1] ** 2)

    def sum_zz(self, traces):
        """Sum ``z z^T`` over all steps.

        Parameters
        ----------
        traces : ndarray of shape (n_intervals, n)
            `traces`, or their coordinates in a subspace.

        Returns
        -------
        sum_zz : ndarray of shape (n, n)
            The sum.
        """
        return (traces.T * self.squares) @ traces


@dataclass
class Batch:
    """What a rule learns from: sums over the steps of a batch, and its spikes.

    While its stimuli are presented, a batch adds up what lanes contribute. Rules see it when it is
    complete. Traces z are those before the spikes of a step.

    Parameters
    ----------
    timing : Timing
        Durations and what follows from them.
    lanes_per_part : int
        See :attr:`Settings.lanes_per_part`.
    few_spikes : bool
        Whether the sum of z z^T is better not formed, see :attr:`Settings.few_spikes`.
    needs_intervals : bool
        Whether the rule has asked for `intervals`.
    spike_counts : ndarray of shape (n_components,)
        Number of spikes of each neuron.
    sum_wz : ndarray of shape (n_lanes, 2, n_components)
        Sums of z times the weight of the new, and of the previous, stimulus of each lane.
    starts : ndarray of shape (n_lanes, n_components)
        Traces at the first step.
    crossed : ndarray of shape (n_lanes, n_components)
        Sums over steps of the traces of new spikes, each times the decay since the first step.
    n_lanes : int, default=0
        Lanes that have been presented.
    new : ndarray of shape (n_lanes, n_features), default=None
        The stimulus that fades in on each lane, once the batch is complete.
    old : ndarray of shape (n_lanes, n_features), default=None
        The stimulus that fades out.
    """

    timing: Timing
    lanes_per_part: int
    few_spikes: bool
    needs_intervals: bool
    spike_counts: np.ndarray
    sum_wz: np.ndarray
    starts: np.ndarray
    crossed: np.ndarray
    n_lanes: int = 0
    new: np.ndarray | None = None
    old: np.ndarray | None = None
    # G such that G + G^T = sum of z z^T for the traces of new spikes, over the complete parts of
    # lanes and over the unfinished one
    _half_zz: np.ndarray = field(init=False, default_factory=lambda: NOT_FORMED)
    half_zz_of_part: np.ndarray = field(init=False, default_factory=lambda: NOT_FORMED)
    _spikes: list = field(init=False, default_factory=list)

    @classmethod
    def begin(cls, settings):
        """Return a batch before its first lane.

        Parameters
        ----------
        settings : Settings
            Settings of the network.

        Returns
        -------
        batch : Batch
            Without any presentation.
        """
        shape = settings.batch_size, settings.n_components
        return cls(
            timing=settings,
            lanes_per_part=settings.lanes_per_part,
            few_spikes=settings.few_spikes,
            needs_intervals=settings.rule.needs_intervals,
            spike_counts=np.zeros(shape[1], dtype=np.int64),
            sum_wz=np.zeros((shape[0], 2, shape[1])),
            starts=np.zeros(shape),
            crossed=np.zeros(shape),
        )

    def fork(self):
        """Return a batch in the same state, which can be filled without changing this one.

        Returns
        -------
        batch : Batch
            The other batch.
        """
        batch = shallow_copy(self)
        batch.sum_wz, batch.starts = self.sum_wz.copy(), self.starts.copy()
        batch.crossed = self.crossed.copy()
        batch._spikes = self._spikes.copy()
        return batch

    @property
    def keeps_spikes(self):
        """Whether spikes are kept, and not only what they add to the sums."""
        return self.few_spikes or self.needs_intervals

    def add(self, lanes, presented):
        """Take in what some lanes contribute.

        Parameters
        ----------
        lanes : slice
            Which lanes, the next ones.
        presented : Presented
            What became of them.
        """
        sums = presented.sums
        self.spike_counts = self.spike_counts + sums.spike_counts.sum(axis=0).astype(np.int64)
        self.sum_wz[lanes] = sums.wz
        self.half_zz_of_part = sums.half_zz
        self.crossed[lanes] = sums.crossed
        if lanes.stop % self.lanes_per_part == 0 or lanes.stop == len(self.starts):
            is_first = self._half_zz.size == 0
            self._half_zz = sums.half_zz if is_first else self._half_zz + sums.half_zz
            self.half_zz_of_part = NOT_FORMED
        if self.keeps_spikes:
            self._spikes.append(np.add(presented.spikes, (lanes.start, 0, 0)))  # may be read-only
        self.n_lanes = lanes.stop

    @property
    def n_steps(self):
        """Number of steps of all lanes together."""
        return self.n_lanes * self.timing.n_steps

    @_cached_property
    def sum_xx(self):
        """Sum of ``|x|^2``."""
        return sum_of_squares(self.timing, self.new, self.old)

    @_cached_property
    def sum_xz(self):
        """Sum of ``x z^T``, shape (n_features, n_components)."""
        return sum_of_products(self.new, self.old, self.sum_wz)

    @_cached_property
    def sum_zz(self):
        """Sum of ``z z^T``, shape (n_components, n_components)."""
        if not self.few_spikes:
            # the traces of new spikes, and those at the start of a presentation, which only decay
            starts, square = self.starts, self.timing.tails.square[0]
            half_zz = np.dot((self.crossed + 0.5 * square * starts).T, starts)
            half_zz += self._half_zz
            return half_zz + half_zz.T
        return self._intervals.sum_zz(self._intervals.traces)

    @_cached_property
    def sum_zz_diagonal(self):
        """Sum of z^2, shape (n_components,)."""
        if not self.few_spikes:
            return self.sum_zz.diagonal()
        return self._intervals.squares @ self._intervals.traces**2

    @property
    def intervals(self):
        """The intervals between spikes, for rules that ask for them."""
        if not self.needs_intervals:
            raise AttributeError(
                "The intervals between spikes were not kept: a rule that learns from them has the "
                "class attribute needs_intervals = True."
            )
        return self._intervals

    @_cached_property
    def subspace(self):
        """Where all traces lie, if there are few spikes."""
        return TraceSubspace.of_spikes(self.spikes[:, 2], self.starts)

    @_cached_property
    def sum_zz_in_subspace(self):
        """Sum of ``z z^T`` for the coordinates of z in the subspace."""
        return self._intervals.sum_zz(self.subspace.project(self._intervals.traces))

    @_cached_property
    def spikes(self):
        """Lane, step and unit of each spike in the order of lanes and time, where kept."""
        return np.concatenate(self._spikes)

    @_cached_property
    def _intervals(self):
        return Intervals.between(self.spikes, self.starts, self.timing.clock)


def sum_of_squares(timing, new, old):
    """Return the sum of ``|x|^2`` over presentations in which one stimulus replaces another.

    Parameters
    ----------
    timing : Timing
        How stimuli fade in.
    new : ndarray of shape (n_lanes, n_features)
        The stimulus that fades in on each lane.
    old : ndarray of shape (n_lanes, n_features)
        The stimulus that fades out.

    Returns
    -------
    sum_xx : float
        The sum over all steps and lanes.
    """
    squares = np.vdot(new, new), np.vdot(new, old), np.vdot(old, old)
    return sum(factor * square for factor, square in zip(timing.overlaps, squares, strict=True))


def sum_of_products(new, old, sum_wz):
    """Return the sum of ``x z^T`` over presentations in which one stimulus replaces another.

    Parameters
    ----------
    new : ndarray of shape (n_lanes, n_features)
        The stimulus that fades in on each lane.
    old : ndarray of shape (n_lanes, n_features)
        The stimulus that fades out.
    sum_wz : ndarray of shape (n_lanes, 2, n_components)
        Sums of z times the weight of the new, and of the previous, stimulus.

    Returns
    -------
    sum_xz : ndarray of shape (n_features, n_components)
        The sum over all steps and lanes.
    """
    return np.tensordot(np.stack([new, old], axis=1), sum_wz, axes=((0, 1), (0, 1)))
