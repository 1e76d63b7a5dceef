"""A callback that follows how a coder learns: losses, rates, and its dictionary on the way."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.validation import check_is_fitted

from .coder import DendriticBalanceCoder

try:  # how callbacks of scikit-learn send what they hold to the process of the user
    from sklearn.callback._transport import can_reuse_listener, open_listener, send
except ImportError:  # scikit-learn before 1.9
    open_listener = None

__all__ = ["LearningMonitor"]

_MAX_POINTS = 100  # of a fit, with every=None
_OF_POINTS = [
    "n_presentations_",
    "losses_",
    "noise_levels_",
    "firing_rates_",
    "n_silent_units_",
    "explained_variances_",
]
_OF_SNAPSHOTS = ["snapshots_at_", "dictionaries_", "balance_correlations_"]


@dataclass
class _Log:
    """What was seen of one fit or stream, and what is to be seen next."""

    timestamp: datetime  # when the fit began, or the search around it
    task_id_path: tuple
    n_blocks: int | None = None  # of a fit
    values: dict = field(default_factory=lambda: {each: [] for each in _OF_POINTS + _OF_SNAPSHOTS})
    n_losses: int = 0  # points of the loss curve before the last point
    every: int = 1
    next_point: int = 0
    next_snapshots: list | None = None


def _of_last_log(name):
    """Return a property with an attribute of what was followed last."""

    def get(self):
        logs = self._sorted_logs()
        if not logs:
            raise AttributeError(
                f"LearningMonitor has no {name} yet, as it has not followed any learning: set it "
                "by coder.set_callbacks(monitor) before fit, or call its method observe."
            )
        return np.array(logs[-1].values[name])

    return property(get)


class LearningMonitor:
    """Callback that keeps how learning goes, and the dictionary at some points on the way.

    ``coder.set_callbacks(LearningMonitor())`` lets it follow every `fit` of a coder, also of one
    in a pipeline or a search. It is set on the coder itself, not on what is around it. Callbacks
    need scikit-learn 1.9; streams that `partial_fit` learns from are followed with any version, by
    calls of :meth:`observe`. What is learned does not change.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
        Rows of which to measure the explained variance, best some that the coder does not learn
        from. In a pipeline these are rows as the coder gets them. None measures nothing.
    every : int, default=None
        Number of presentations from one point to the next, rounded up to the end of a block. A
        block has one or more batches and usually is a hundredth of a `fit`. None: a hundredth of
        the presentations of a `fit` that does not stop early, or every call of `observe`.
    snapshots : int or array-like of int, default=10
        Numbers of presentations at which to keep the dictionary, or how many such numbers, at
        equal ratios from the first block to the end of `fit`, or of the horizon for a stream. They
        are rounded up to the end of a block. If a `fit` stops early, there are fewer of them, and
        the last lies there.

    Attributes
    ----------
    n_presentations_ : ndarray of shape (n_points,)
        Number of stimuli that had been presented.
    losses_ : ndarray of shape (n_points,)
        Decoder loss: the mean of the values of `loss_curve_` since the point before. If there is
        none, the loss of the point before, or nan at the first.
    noise_levels_ : ndarray of shape (n_points,)
        Noise level sigma.
    firing_rates_ : ndarray of shape (n_points, n_components)
        Recent firing rate of each neuron in Hz, as `firing_rates_` of the coder.
    n_silent_units_ : ndarray of shape (n_points,)
        Number of neurons below a tenth of the target rate.
    explained_variances_ : ndarray of shape (n_points,)
        Score of the rows `X`, read out by the decoder that the network learns with. A coder with
        ``decoder="refit"`` replaces that decoder after the last point, and then has a higher
        score. It is nan without `X`, or before the first weight update.
    snapshots_at_ : ndarray of shape (n_snapshots,)
        Number of stimuli that had been presented at the snapshots.
    dictionaries_ : ndarray of shape (n_snapshots, n_components, n_features)
        The decoder that the network learns with, in units of the data, as `components_`.
    balance_correlations_ : ndarray of shape (n_snapshots,)
        Pearson correlation of the dendritic weights W^d_jik with those of exact balance,
        ``-F_ji D_ik``. It approaches 1 as rules learn dendritic balance, and is nan for rules
        without dendritic weights.

    See Also
    --------
    skdendbal.display.LearningDisplay : Curves of what was recorded.
    skdendbal.display.DictionaryHistoryDisplay : The dictionary at the chosen times.
    sklearn.callback.ScoringMonitor : Any score on the training data.

    Notes
    -----
    As callbacks of scikit-learn do, one monitor serves all clones of the coder, and also those
    that learn in other processes, which send what they have seen to the monitor that the user
    holds. Its attributes are those of the fit that began last: in a search with `refit`, that of
    the best parameters. :meth:`get_logs` returns all of them. Fits in other processes stay there
    with scikit-learn before 1.9, or on other machines. A fit that fails or is interrupted leaves
    the points before.

    A point takes little time apart from coding the rows `X`, and copies the weights once. A
    snapshot takes as much memory as the dictionary.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdendbal import DendriticBalanceCoder
    >>> from skdendbal.monitoring import LearningMonitor
    >>> X, _ = load_digits(return_X_y=True)
    >>> coder = DendriticBalanceCoder(n_components=16, random_state=0)
    >>> monitor = LearningMonitor(X[1500:], every=500)
    >>> for _ in range(3):
    ...     coder = coder.partial_fit(X[:1500])
    ...     monitor.observe(coder)
    >>> monitor.n_presentations_
    array([1500, 3000, 4500])
    >>> bool(monitor.explained_variances_[-1] > 0.4)
    True
    """

    n_presentations_ = _of_last_log("n_presentations_")
    losses_ = _of_last_log("losses_")
    noise_levels_ = _of_last_log("noise_levels_")
    firing_rates_ = _of_last_log("firing_rates_")
    n_silent_units_ = _of_last_log("n_silent_units_")
    explained_variances_ = _of_last_log("explained_variances_")
    snapshots_at_ = _of_last_log("snapshots_at_")
    dictionaries_ = _of_last_log("dictionaries_")
    balance_correlations_ = _of_last_log("balance_correlations_")

    @validate_params(
        {
            "X": ["array-like", "sparse matrix", None],
            "every": [Interval(Integral, 1, None, closed="left"), None],
            "snapshots": [Interval(Integral, 0, None, closed="left"), "array-like"],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, X=None, *, every=None, snapshots=10):
        numbers = np.asarray(snapshots)
        if numbers.size > 0 and (numbers.dtype.kind not in "iu" or numbers.min() < 0):
            raise ValueError(
                f"snapshots={snapshots} must be numbers of presentations, or how many there are."
            )
        self.X = X
        self.every = every
        self.snapshots = snapshots
        self._logs = []
        self._running = {}  # logs of the fits of this process that go on, by estimator
        self._stream = None  # log of a stream
        self._listener = None  # to copies in other processes
        self._origin = None  # the listener of the monitor that this is a copy of

    def observe(self, coder):
        """Add a point to the log of a stream, if one is due.

        Parameters
        ----------
        coder : DendriticBalanceCoder
            Coder that learns by `partial_fit`, the same one in all calls for a stream. If it has
            seen fewer rows than at the last point, another stream has begun.

        Raises
        ------
        NotFittedError
            If the coder has not learned yet.
        ValueError
            If the rows `X` have another number of features.

        Examples
        --------
        >>> import numpy as np
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.monitoring import LearningMonitor
        >>> coder, monitor = DendriticBalanceCoder(4, random_state=0), LearningMonitor()
        >>> for rows in np.eye(8)[np.arange(1000) % 8].reshape(5, 200, 8):
        ...     monitor.observe(coder.partial_fit(rows))
        >>> monitor.firing_rates_.shape
        (5, 4)
        """
        check_is_fitted(coder)
        log = self._stream
        if log is None or coder.n_presentations_ < max(log.values["n_presentations_"], default=0):
            log = self._stream = _Log(datetime.now(UTC), ())
            self._logs.append(log)
        self._look(log, coder)

    def get_logs(self, select="most_recent"):
        """Return what was seen, of the last fit or of all fits.

        Parameters
        ----------
        select : {"most_recent", "all"}, default="most_recent"
            Which fits: that which began last, or all in the order of their tasks.

        Returns
        -------
        logs : Bunch or list of Bunch
            The attributes of the monitor for a fit or stream, and its `task_id_path`, as in the
            logs of :class:`sklearn.callback.ScoringMonitor`: the numbers of tasks from the
            outermost fit to that of the coder. In a search with s splits, split k of candidate c
            has the path ``(0, 0, c * s + k, ...)``.

        Raises
        ------
        ValueError
            If nothing was followed yet, or for another value of `select`.

        Examples
        --------
        >>> import numpy as np
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.monitoring import LearningMonitor
        >>> monitor = LearningMonitor()
        >>> monitor.observe(DendriticBalanceCoder(2, random_state=0).partial_fit(np.eye(640)))
        >>> monitor.get_logs().n_presentations_
        array([640])
        """
        if select not in ("most_recent", "all"):
            raise ValueError(f'select={select!r} must be "most_recent" or "all".')
        logs = self._sorted_logs()
        if not logs:
            raise ValueError("There are no logs yet: no coder with this monitor has learned.")
        logs = [
            Bunch(
                task_id_path=log.task_id_path,
                **{name: np.array(values) for name, values in log.values.items()},
            )
            for log in (logs if select == "all" else logs[-1:])
        ]
        return logs if select == "all" else logs[0]

    def setup(self, estimator, context):
        """Begin to follow a fit; scikit-learn calls this.

        Parameters
        ----------
        estimator : DendriticBalanceCoder
            Coder that begins to learn.
        context : CallbackContext
            Task of its fit.

        Raises
        ------
        TypeError
            If the estimator is no coder.
        """
        if not isinstance(estimator, DendriticBalanceCoder):
            raise TypeError(
                f"LearningMonitor was set on a {type(estimator).__name__}: set it on the "
                "DendriticBalanceCoder inside, for example "
                "pipeline[0].set_callbacks(monitor)."
            )
        path, root = (context.task_id,), context
        while root.parent is not None:
            root = root.parent
            path = (root.task_id, *path)
        self._running[estimator] = _Log(root.init_time, path, context.max_subtasks)
        self._logs.append(self._running[estimator])

    def on_fit_task_begin(self, estimator, context):
        """Do nothing; scikit-learn calls this before a block of presentations.

        Parameters
        ----------
        estimator : DendriticBalanceCoder
            Coder that learns.
        context : CallbackContext
            Task.
        """

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Look at the coder; scikit-learn calls this after a block of presentations.

        Parameters
        ----------
        estimator : DendriticBalanceCoder
            Coder that learns.
        context : CallbackContext
            Task: a block of presentations, or the whole fit.
        fitted_estimator : DendriticBalanceCoder, default=None
            The coder as if its fit had ended here.
        """
        is_last = context.max_subtasks > 0  # the whole fit
        self._look(self._running[estimator], fitted_estimator, is_last=is_last)

    def teardown(self, estimator, context):
        """End to follow a fit; scikit-learn calls this.

        Parameters
        ----------
        estimator : DendriticBalanceCoder
            Coder that has learned.
        context : CallbackContext
            Task of its fit.
        """
        log = self._running.pop(estimator, None)  # none if it was set on another estimator
        if log is not None and self._origin is not None:
            send(self._origin, log)

    def _sorted_logs(self):
        logs = [log for log in self._logs if log.values["n_presentations_"]]
        return sorted(logs, key=lambda log: (log.timestamp, log.task_id_path))

    def _look(self, log, coder, *, is_last=False):
        """Add a point and a snapshot where they are due."""
        now, values = coder.n_presentations_, log.values
        if log.next_snapshots is None:
            self._plan(log, coder)
        before = values["n_presentations_"]
        if now >= log.next_point or (is_last and now > before[-1]):
            losses = coder.loss_curve_[log.n_losses :]
            log.n_losses += len(losses)
            last_loss = values["losses_"][-1] if before else math.nan
            has_score = self.X is not None and coder.n_steps_ > 0
            point = [
                now,
                losses.mean() if len(losses) > 0 else last_loss,
                coder.noise_level_,
                coder.firing_rates_,
                coder.n_silent_units_,
                coder.score(self.X) if has_score else math.nan,
            ]
            for name, value in zip(_OF_POINTS, point, strict=True):
                values[name].append(value)
            log.next_point = (now // log.every + 1) * log.every
        n_due = sum(number <= now for number in log.next_snapshots)
        ends_early = is_last and log.next_snapshots and isinstance(self.snapshots, Integral)
        if n_due > 0 or (ends_early and values["snapshots_at_"][-1:] != [now]):
            snapshot = now, coder.components_.copy(), _correlate_with_balance(coder.network_)
            for name, value in zip(_OF_SNAPSHOTS, snapshot, strict=True):
                values[name].append(value)
            log.next_snapshots = log.next_snapshots[n_due:]

    def _plan(self, log, coder):
        """Set when to look again, at the first look."""
        now = coder.n_presentations_
        if log.n_blocks is not None:
            total = now * log.n_blocks
            log.every = self.every or math.ceil(total / _MAX_POINTS)
        else:
            total = max(now, coder.settings_.horizon)
            log.every = self.every or 1
        if isinstance(self.snapshots, Integral):
            numbers = np.geomspace(total, now, self.snapshots)[::-1].round()
        else:
            numbers = np.unique(self.snapshots)
        log.next_snapshots = numbers.tolist()

    def __getstate__(self):
        if open_listener is not None and self._listener is None and self._origin is None:
            self._listener = open_listener(self._logs.append, owner=self)
        return {
            **vars(self),
            "_logs": list(self._logs),
            "_running": {},
            "_listener": None,
            "_origin": self._origin or self._listener,
        }

    def __setstate__(self, state):
        vars(self).update(state)
        # a copy in the same process, or loaded later, is a monitor of its own
        if self._origin is not None and not can_reuse_listener(self._origin):
            self._origin = None


def _correlate_with_balance(network):
    """Return the correlation of learned dendritic weights with those of exact balance."""
    weights = network.weights
    if "dendritic" not in weights:
        return math.nan
    feedforward = weights.get("feedforward", network.decoder)
    exact = -feedforward[:, :, np.newaxis] * network.decoder[:, np.newaxis, :]
    with np.errstate(invalid="ignore", divide="ignore"):  # nan where all are equal
        return np.corrcoef(weights["dendritic"].ravel(), exact.ravel())[0, 1]
