"""The scikit-learn estimator around the network."""

import functools
import itertools
import math
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import csr_array
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import (
    check_array,
    check_random_state,
    check_scalar,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from . import network
from ._defaults import auto_batch_size, auto_noise, auto_rate
from ._diagnosis import EarlyStopping, count_silent, describe_failure, warn
from ._documentation import DocumentationLinkMixin
from ._parallel import OneBlasThread, threads, workers
from ._rows import (
    MAX_ROWS_AT_ONCE,
    Moments,
    blocks,
    dtypes_to_keep,
    find_exponent,
    presentation_order,
    rows_at_once,
    take_rows,
)
from ._settling import Settling
from ._timing import check_times
from .recording import Recording
from .rules import RULES, Rule
from .settings import Neuron, Noise, Settings

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class _NoCallbacks:
        """Stands in for a callback context."""

        def subcontext(self, **kwargs):
            return self

        def call_on_fit_task_begin(self, **kwargs):
            return self

        def call_on_fit_task_end(self, **kwargs):
            return False

        def propagate_callback_context(self, sub_estimator):
            return nullcontext()

    class CallbackSupportMixin:
        """Stands in for scikit-learn's: no callbacks."""

        def _init_callback_context(self, **kwargs):
            return _NoCallbacks()


__all__ = ["DendriticBalanceCoder"]

_MIN_PRESENTATIONS = 40_000  # of a fit with max_iter=None that does not stop early
_HORIZON = 4000  # presentations over which the noise falls
_DELAYED_HORIZON = 40_000  # the same, where spikes arrive late
_MAX_CALLBACKS = 100  # during a fit whose blocks are shorter than MAX_ROWS_AT_ONCE
_MAX_FEATURES = 4096  # that have a neuron each with n_components=None
_SHARES_PER_THREAD = 8  # of the rows to code, as threads are not equally quick
_MIN_ROWS_PER_SHARE = 8
_LAST_POINTS = 10  # of the loss curve, whose mean is the loss at the end
_MAX_REFIT_ROWS = 10_000  # to which the decoder is fitted, or ten for each neuron
_RIDGE = 1e-3  # penalty of this fit, relative to the mean square of codes
_TINY = 1e-12  # for codes that are all zero


def _with_numpy_defaults(method):
    """Decorate a method so that the caller's :func:`numpy.seterr` cannot stop it half way."""

    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        with np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"):
            return method(*args, **kwargs)

    return wrapper


class DendriticBalanceCoder(
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    DocumentationLinkMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Sparse non-negative codes from a spiking network with dendritic balance.

    A network of stochastic spiking neurons learns weights such that its spike traces represent
    the input: ``codes @ components_`` is close to `X`. It learns online and with local plasticity.
    Recurrent connections balance the input in every dendritic compartment, so that the potential
    of a compartment is the coding error of its own input, and a voltage-dependent rule learns from
    it [1]_.

    Codes are firing rates in spikes per time constant `tau`: a code of 0.1 is about 10 Hz at
    the default `tau` of 10 ms (multiply by `to_hz_`). They are never negative.

    The parameters come in four groups: what you tune (`n_components` to `recruitment`), the
    model (`learning_rule` to `delay`), learning (`max_iter` to `shuffle`) and running
    (`sparse_output` to `n_jobs`).

    Parameters
    ----------
    n_components : int, default=None
        Number of neurons n_z. None uses one neuron per feature, up to 4096 of them. A weight
        update costs O(n_features * n_components^2), or O(n_components^3) if there are fewer
        features than neurons.
    rate : float or "auto", default="auto"
        Target firing rate rho of every neuron in Hz. Higher rates reconstruct better, with less
        sparse codes. "auto" shares 800 spikes per second among all neurons, but gives none more
        than 50 Hz: 12.5 Hz for 64 neurons. With `dt` above 0.625 ms the total is one spike in
        every two steps.
    presentation_time : float, default=100.0
        Duration of a stimulus in ms. While the network learns, a stimulus fades in over the first
        30 % of its presentation, and replaces the one before it.
    transform_time : float, default=None
        Duration in ms for which a row to code is presented. None: `presentation_time`. A short
        time codes fast and sparsely, 5 ms about ten times as fast as 100 ms, whereas learning
        needs longer presentations. The row fades in over half a time constant `tau`, but over at
        most half of its presentation, and its code counts all spikes. You may change this
        parameter after `fit`; all those of the network take effect in the next `fit` or
        `partial_fit`.
    code : {"rate", "balanced"}, default="rate"
        "rate": codes are firing rates, from counts of spikes. "balanced": after the last spike,
        the rates of the neurons that spiked settle where their potentials are zero, or fall to
        zero. Codes are then no less sparse and take little longer, but explain more of the
        variance, most of all if `transform_time` is short. You may change it after `fit`.
    shrinkage : float, default=0.0
        The potential at which active neurons settle in balanced codes, relative to the norm of
        their component times `scale_`, which is the root-mean-square row norm unless you give
        `input_scale`. Above zero, codes are smaller and explain less: they solve a non-negative
        lasso among the neurons that spiked. With 0.1, linear classifiers on the codes are mostly
        better. You may change it after `fit`.
    min_contribution : float, default=0.0
        Balanced codes drop entries, least first, that lower the squared error of a row by less
        than this part of ``scale_ ** 2``, which is the mean squared row norm unless you give
        `input_scale`, and the other entries settle anew. At a given number of active entries,
        longer presentations and 0.002 to 0.02 explain more than shorter ones and 0. You may change
        it after `fit`.
    recruitment : bool, default=False
        Whether neurons that did not spike join balanced codes, one after another, as long as the
        potential of one is above that at which active neurons settle, and it contributes at least
        `min_contribution`. With a `shrinkage` above zero codes are then those of the non-negative
        lasso, to which spikes are a start: they hardly depend on the presentation, and a
        `transform_time` of 2 ms is enough. Without shrinkage and `min_contribution` most codes
        are dense. You may change it after `fit`.
    learning_rule : {"dendritic", "dendritic-decay", "dendritic-slow", "dendritic-simultaneous", \
            "somatic", "somatic-unwhitened"} or Rule, default="dendritic"
        Learning rule, by name, or as an object of :mod:`skdendbal.rules` with rates of its own.
        "dendritic" is exact dendritic balance. The other "dendritic-..." rules learn dendritic
        balance. They need data that are not negative and have n_features * n_components^2 weights.
        With 64 neurons they take up to twice as long ("dendritic-simultaneous": dozens of times as
        long), and even longer with more neurons. The "somatic..." rules are somatic balance with
        Hebbian-like plasticity, the baseline that the others improve on.
    neuron : Neuron, default=None
        How neurons spike and find their threshold. None is :class:`skdendbal.settings.Neuron` with
        its defaults.
    noise : float, "auto" or Noise, default="auto"
        Final noise level sigma of the membrane potential, relative to the scaled input, whose
        root mean squared row norm is 1. Larger values make spiking more random and codes less
        sparse. With values that are too small, neurons overshoot the input in turn. "auto" divides
        0.2 by the expected number of spikes of the whole network per time constant. With the other
        defaults and at least 16 neurons that gives 0.025. If `rate` is lower than the automatic
        rate r, "auto" is the noise for r times ``sqrt(r / rate)``. A delay of e ms beyond one step
        multiplies it by ``1 + e / (e + tau / 4)``. It is at most 0.3. A
        :class:`skdendbal.settings.Noise` also says where the level starts and how it falls.
    dt : float, default=0.25
        Simulation step in ms.
    tau : float, default=10.0
        Time constant of membranes and spike traces in ms.
    delay : float, default=None
        Transmission delay of the recurrent connections in ms. It is at least `dt`, is rounded to a
        multiple of it, and is less than `presentation_time`. None is one step.
    max_iter : int, default=None
        Largest number of passes over the data in `fit`. None: enough for 40,000 presentations.
    horizon : int, default=None
        Number of presentations over which the noise falls from its initial to its final level.
        None: 4000. With a `delay` beyond `dt` rates settle more slowly, and None is 40,000. In a
        `fit` that has fewer presentations, None is their number.
    tol : float, default=0.005
        Relative tolerance for early stopping. `fit` stops when the decoder loss has not improved
        on its best value by at least `tol` (as a fraction) for `n_iter_no_change` passes. Only
        passes that begin after the horizon count, because the noise still falls before. `fit` also
        goes on while many neurons miss their target rate. None: never stop early.
    n_iter_no_change : int, default=5
        Number of passes without improvement after which `fit` stops, see `tol`.
    batch_size : int or "auto", default="auto"
        Number of stimuli presented at once before the weights are updated, each to a copy of the
        network with traces of its own. The published model has 1. "auto" is 64, or half the number
        of neurons if that is more, so that weight updates do not take most of the time.
    learning_rate : float, default=1.0
        Factor on the learning rates of the rule, which are those of the decoder and all weights.
        With 0, and ``neuron__homeostasis_rate=0``, `partial_fit` leaves weights and biases as they
        are, while the noise goes on falling.
    decoder : {"refit", "online"}, default="refit"
        "refit": `fit` ends by coding the training data, or 10,000 rows of them, and `components_`
        are the ridge regression of these rows on their firing rates, after `transform_time`, or
        after `presentation_time` with `recruitment`. "online": `components_` are the decoder that
        the network learns with, as after `partial_fit`. Spikes are the same; "refit" explains some
        hundredths more of the variance with them.
    input_scale : float or "auto", default="auto"
        `X` is divided by it. "auto": the root mean squared row norm of the data of `fit`, or of
        the first call of `partial_fit` whose data are not all zero. It is one scalar. If columns
        have different units, standardise them first; otherwise columns with large values use up
        all the spikes. Subtract a mean that is much larger than the deviations from it.
    shuffle : bool, default=True
        Whether `fit` presents the rows in a new random order in every pass.
    sparse_output : bool, default=False
        Whether `transform` returns a sparse matrix in CSR format.
    random_state : int, RandomState instance or None, default=None
        Source of the seed of the network's random numbers and of the order of presentation.
    n_jobs : int, default=None
        Number of threads of `transform`, and of learning with batches of more than sixteen. Under
        :class:`joblib.parallel_config` with another backend, learning runs on its workers. No
        result depends on it.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Decoder weights D^T in units of `X`: what one spike per time constant stands for. See
        `decoder`.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit. Defined only when `X` has feature names that are
        all strings.
    n_iter_ : int
        Number of passes over data, those of `partial_fit` included.
    n_steps_ : int
        Number of weight updates (not of time steps): one for every full batch. An unfinished batch
        waits for the rows of the next `partial_fit`.
    seed_ : int
        Seed of the network's random numbers.
    scale_ : float
        Input scale.
    firing_rates_ : ndarray of shape (n_components,)
        Firing rate of each neuron in Hz during the last stretch of learning: a running average
        over about 500 presentations, or over 5 % of the horizon if that is more.
    loss_curve_ : ndarray of shape (n_points,)
        Decoder loss while learning, with one point for about every hundredth of the horizon, but
        at most one for every weight update. The loss is half the mean squared error of an entry of
        the scaled input, as read from the traces before the spikes of a step.
    n_presentations_ : int
        Number of stimuli presented so far.
    noise_level_ : float
        Noise level sigma now. It falls over the horizon, ``settings_.horizon`` presentations.
    n_silent_units_ : int
        Number of neurons whose firing rate is below a tenth of the target. While the network
        learns, their thresholds keep falling until they fire. Further presentations therefore
        revive them, by `partial_fit` or by a larger `max_iter`.
    weights_ : dict of str to ndarray
        Weights beside the decoder, in units of the scaled input, read-only. "recurrent": row k is
        what a spike of neuron k adds to the potentials (W^T). Then those of the rule, for example
        "feedforward" (F^T of shape (n_features, n_components); in exact balance there are none, as
        the decoder serves) and "dendritic" (entry [i, j, k] from neuron k onto the compartment of
        input i on neuron j).
    to_hz_ : float
        Factor from codes to firing rates in Hz, ``1000 (1 - exp(-dt / tau)) / dt``, if `code` is
        "rate". Codes make up for the onset of a row, when neurons fire more often.
    network_ : Network
        The network itself, see :mod:`skdendbal.network`. Writing to its arrays changes the coder.
    settings_ : Settings
        Its settings, in which every "auto" is a number.

    See Also
    --------
    sklearn.decomposition.DictionaryLearning : Sparse coding by optimisation.
    skdendbal.preprocessing.OnOffSplitter : Signed data to non-negative channels.

    Notes
    -----
    `transform` is a pure function of a row's values and the fitted estimator: every row is
    presented to the network at rest, with random numbers derived from its own values. Order,
    batch, memory layout and number of threads do not matter. :meth:`simulate` gives
    repeated trials with fresh noise.

    In exact balance, the potential of a neuron is the projection of the coding error on its atom,
    ``u_j = D_j . (x - D r)``. A balanced code r has ``u_j = 0`` wherever ``r_j > 0``, and
    ``u_j <= 0`` for neurons that spiked and then fell silent: these are the non-negative
    least-squares rates of the neurons that spiked. D is `components_`, whatever the learning rule.

    Learning is evaluated once a batch, from sums over all its steps and in implicit form, and
    weights decay a little, see :class:`skdendbal.rules.Dendritic`. Callbacks of scikit-learn 1.9
    follow `fit`, and :class:`skdendbal.monitoring.LearningMonitor` is one of them.

    An interrupted or failed `fit` or `partial_fit` leaves the estimator as it was.

    References
    ----------
    .. [1] F. A. Mikulasch, L. Rudelt and V. Priesemann, "Local dendritic balance enables
       learning of efficient representations in networks of spiking neurons", Proceedings of
       the National Academy of Sciences 118(50), e2021925118, 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdendbal import DendriticBalanceCoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> coder = DendriticBalanceCoder(n_components=32, random_state=0).fit(X)
    >>> codes = coder.transform(X)
    >>> codes.shape
    (1797, 32)
    >>> bool(coder.score(X) > 0.6)
    True
    """

    components_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray
    n_iter_: int
    n_steps_: int
    seed_: int
    scale_: float
    firing_rates_: np.ndarray
    loss_curve_: np.ndarray
    n_silent_units_: int
    to_hz_: float
    network_: network.Network
    settings_: Settings

    _parameter_constraints: ClassVar = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "rate": [Interval(Real, 0, np.inf, closed="neither"), StrOptions({"auto"})],
        "presentation_time": [Interval(Real, 0, np.inf, closed="neither")],
        "transform_time": [Interval(Real, 0, np.inf, closed="neither"), None],
        "code": [StrOptions({"rate", "balanced"})],
        "shrinkage": [Interval(Real, 0, np.inf, closed="left")],
        "min_contribution": [Interval(Real, 0, np.inf, closed="left")],
        "recruitment": ["boolean"],
        "learning_rule": [StrOptions(set(RULES)), Rule],
        "neuron": [Neuron, None],
        "noise": [Interval(Real, *Noise.RANGE, closed="both"), StrOptions({"auto"}), Noise],
        "dt": [Interval(Real, 0, np.inf, closed="neither")],
        "tau": [Interval(Real, 0, 1e9, closed="right")],
        "delay": [Interval(Real, 0, np.inf, closed="neither"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "horizon": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, np.inf, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "learning_rate": [Interval(Real, 0, 1e6, closed="both")],
        "decoder": [StrOptions({"online", "refit"})],
        "input_scale": [Interval(Real, 0, np.inf, closed="neither"), StrOptions({"auto"})],
        "shuffle": ["boolean"],
        "sparse_output": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
    }

    def __init__(
        self,
        n_components=None,
        *,
        # what you tune
        rate="auto",
        presentation_time=100.0,
        transform_time=None,
        code="rate",
        shrinkage=0.0,
        min_contribution=0.0,
        recruitment=False,
        # the model
        learning_rule="dendritic",
        neuron=None,
        noise="auto",
        dt=0.25,
        tau=10.0,
        delay=None,
        # learning
        max_iter=None,
        horizon=None,
        tol=0.005,
        n_iter_no_change=5,
        batch_size="auto",
        learning_rate=1.0,
        decoder="refit",
        input_scale="auto",
        shuffle=True,
        # running
        sparse_output=False,
        random_state=None,
        n_jobs=None,
    ):
        self.n_components = n_components
        self.rate = rate
        self.presentation_time = presentation_time
        self.transform_time = transform_time
        self.code = code
        self.shrinkage = shrinkage
        self.min_contribution = min_contribution
        self.recruitment = recruitment
        self.learning_rule = learning_rule
        self.neuron = neuron
        self.noise = noise
        self.dt = dt
        self.tau = tau
        self.delay = delay
        self.max_iter = max_iter
        self.horizon = horizon
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decoder = decoder
        self.input_scale = input_scale
        self.shuffle = shuffle
        self.sparse_output = sparse_output
        self.random_state = random_state
        self.n_jobs = n_jobs

    def set_params(self, **params):
        """Set parameters, those of `learning_rule`, `neuron` and `noise` included.

        Parameters
        ----------
        **params : dict
            Parameters of the estimator by name. Parameters of the objects that it takes have names
            such as ``learning_rule__decoder_decay``, ``neuron__one_spike_per_step`` and
            ``noise__annealing``. Such an object is replaced, not changed. If a name, a number or
            None stands for it, an object takes its place.

        Returns
        -------
        self : DendriticBalanceCoder
            The estimator itself.

        Raises
        ------
        ValueError
            If there is no such parameter, or a parameter of an object is out of its range.
        """
        nested = {}
        for key in list(params):
            name, _, parameter = key.partition("__")
            if parameter and name in _PARAMETER_OBJECTS:
                nested.setdefault(name, {})[parameter] = params.pop(key)
        super().set_params(**params)
        for name, changes in nested.items():
            as_object = _PARAMETER_OBJECTS[name]
            setattr(self, name, as_object(getattr(self, name)).with_params(**changes))
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    @_with_numpy_defaults
    def fit(self, X, y=None):
        """Learn from X, starting anew.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : DendriticBalanceCoder
            The fitted estimator.

        Raises
        ------
        ValueError
            If `X` is not a finite, numeric 2d array or sparse matrix with at least one row and one
            feature, has negative values that the learning rule cannot take, or if parameters are
            out of range or contradict each other.
        MemoryError
            If the network does not fit into the memory of the machine.

        Warns
        -----
        ConvergenceWarning
            If weights were hardly updated, learning ended before the horizon, neurons are silent
            or miss their target rate, the loss rose while the noise fell, columns of `X` differ
            much in scale, or `X` is the sum of a large constant row and small deviations.
        """
        with _atomic(self):
            X = self._validate(X, reset=True)
            n_samples, n_features = X.shape
            max_iter = self.max_iter or math.ceil(_MIN_PRESENTATIONS / n_samples)
            horizon = self.horizon or min(self._default_horizon(), n_samples * max_iter)
            settings = self._make_settings(n_features, horizon)
            random_state = check_random_state(self.random_state)
            moments = Moments.of_rows(X)
            scale = self._find_scale(moments)
            state = network.initialise(settings, n_features, _draw_seed(random_state))

            def attributes():
                n_iter = math.ceil(state.n_presentations / n_samples)
                return self._fitted(state.fork(), settings, scale, n_iter)

            size = rows_at_once(n_features)
            block = _block_size(n_samples * max_iter, settings.batch_size, size)
            n_blocks = math.ceil(n_samples * max_iter / block)
            context = self._init_callback_context(max_subtasks=n_blocks)
            about = {"estimator": self, "X": X, "y": y}
            context.call_on_fit_task_begin(**about)
            order = random_state if self.shuffle else None
            stopping = EarlyStopping(state, settings, n_samples, self.tol, self.n_iter_no_change)
            with self._workers(settings, settings.batch_size) as apply:
                for rows in presentation_order(n_samples, max_iter, block, order):
                    task = context.subcontext(task_name="presentations")
                    task.call_on_fit_task_begin(**about)
                    network.learn(state, settings, take_rows(X, rows), scale, apply=apply)
                    end = task.call_on_fit_task_end(**about, reconstruction_attributes=attributes)
                    if end or stopping.is_due():
                        break
            context.call_on_fit_task_end(**about, reconstruction_attributes=attributes)
            vars(self).update(attributes())
            if self.decoder == "refit":
                self.components_ = self._refit_decoder(X)
            self._keep_settling()
            spread, offset = moments.spread_of_scales, moments.offset
            failure = describe_failure(state, settings, self.loss_curve_, spread, offset)
            warn(failure)
        return self

    @_with_numpy_defaults
    def partial_fit(self, X, y=None):
        """Go on learning: present the rows of X once, in their order.

        The noise falls over `horizon` presentations, and codes are poor before their end. Calls
        continue one stream: with `input_scale` given, any split of the same rows over calls ends
        in the same state, bit for bit. Parameters may be changed between calls, except
        `n_components`, `batch_size`, `input_scale`, the delay in steps, and the kind of rule and
        of bias. `dt`, `tau` and `presentation_time` can change only between full batches.
        `random_state` is that of the first call.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : DendriticBalanceCoder
            The fitted estimator.

        Raises
        ------
        ValueError
            As in `fit`, and if a parameter changed that cannot change in a stream.

        Warns
        -----
        ConvergenceWarning
            Once the horizon is over, as in `fit` except for the last two causes.
        """
        with _atomic(self):
            is_first = not self.__sklearn_is_fitted__()
            if is_first:
                self._validate_params()
            X = self._validate(X, reset=is_first)
            horizon = self.horizon or self._default_horizon()
            if is_first:
                settings = self._make_settings(X.shape[1], horizon)
                seed = _draw_seed(check_random_state(self.random_state))
                state, n_iter = network.initialise(settings, X.shape[1], seed), 1
            else:
                settings = self._change_settings(horizon)
                state, n_iter = self.network_.fork(), self.n_iter_ + 1
            scale = self._find_scale(Moments.of_rows(X)) if state.is_blank else self.scale_
            with self._workers(settings, min(settings.batch_size, X.shape[0])) as apply:
                for _, rows in blocks(X):
                    network.learn(state, settings, rows, scale, apply=apply)
            has_learned = is_first or state.n_updates > self.n_steps_
            if has_learned:
                vars(self).update(self._fitted(state, settings, scale, n_iter))
                self._keep_settling()
            else:  # nothing else has changed
                vars(self).update(n_iter_=n_iter, network_=state, settings_=settings)
            if has_learned and state.n_presentations >= horizon:
                # the loss may rise later for many reasons: other data, rates or noise
                loss_curve = self.loss_curve_[: settings.points_per_horizon]
                warn(describe_failure(state, settings, loss_curve))
        return self

    @_with_numpy_defaults
    def transform(self, X):
        """Code every row of X by the firing rates it evokes, settled or not.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        codes : ndarray or sparse matrix of shape (n_samples, n_components)
            Firing rates in spikes per time constant, not negative. See `code` and
            `sparse_output`.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` is not finite or has another number of features than in `fit`.
        """
        check_is_fitted(self)
        codes = self._encode(self._validate(X), self._find_settling())
        return csr_array(codes) if self.sparse_output else codes

    @_with_numpy_defaults
    def inverse_transform(self, X):
        """Reconstruct data from codes: ``X @ components_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Reconstructed data.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` has another number of columns than there are components.
        """
        check_is_fitted(self)
        X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X")
        if X.shape[1] != len(self.components_):
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(self).__name__} has "
                f"{len(self.components_)} components: pass codes as transform returns them."
            )
        return np.asarray(X @ self.components_).astype(X.dtype, copy=False)

    @_with_numpy_defaults
    def simulate(self, X, *, n_trials=1, random_state=None):
        """Return the spikes that every row of X evokes, in repeated trials with fresh noise.

        As in `transform` a row is presented for `transform_time` to the network at rest, and
        equal rows have equal trials.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.
        n_trials : int, default=1
            Number of times each row is presented.
        random_state : int, RandomState instance or None, default=None
            Source of the noise of the trials; a row's trial does not depend on other rows.

        Returns
        -------
        spikes : ndarray of shape (n_spikes,)
            Structured array with the fields `row`, `trial`, `time` (ms from the onset of the
            row, start of the step in which the spike falls) and `unit`, sorted in this order.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` is not finite or has another number of features than in `fit`, or `n_trials`
            is not positive.
        TypeError
            If `n_trials` is not an integer.
        """
        check_is_fitted(self)
        X = self._validate(X)
        n_trials = check_scalar(n_trials, "n_trials", Integral, min_val=1)
        seed, settings = _draw_seed(check_random_state(random_state)), self._coding_settings()
        self._warn_if_untrained()
        spikes = []
        for start, rows in blocks(X):
            spikes.append(
                network.simulate(
                    self.network_, settings, rows, self.scale_, seed=seed, n_trials=n_trials
                )
            )
            spikes[-1]["row"] += start
        return np.concatenate(spikes)

    @_with_numpy_defaults
    def record(
        self,
        X,
        *,
        n_trials=1,
        continuous=False,
        fade=0.3,
        state=None,
        weights=None,
        silenced=None,
        current=None,
        noise=None,
        random_state=None,
    ):
        """Return a recording of what the rows of X evoke.

        Every row is presented to the network at rest, in repeated trials with fresh noise, and
        the spikes are those of :meth:`simulate` with the same `random_state`. Or the rows are a
        stream, for example the frames of a movie, and follow one another without reset. The
        recording keeps spikes, rows and weights, and computes traces, currents, potentials of
        somas and compartments, spike probabilities and running reconstructions from them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data. Each row is presented for `transform_time`.
        n_trials : int, default=1
            Number of times each row is presented; 1 for a stream.
        continuous : bool, default=False
            Whether rows follow one another without reset.
        fade : float, default=0.3
            Part of the presentation of a row of a stream, above 0 and at most 1, over which it
            replaces the one before. The first row of a stream fades in from nothing.
        state : StreamState, default=None
            The `state` of a previous recording, from which the stream goes on. The same rows in
            one call or in several evoke the same spikes. None: the network is at rest.
        weights : dict of str to array-like, default=None
            Arrays that replace those of the same name in `network_.weights`, or the "bias". Spikes
            follow from "feedforward" weights (F^T; where there are none, from the "decoder"),
            "recurrent" weights (W^T) and the "bias", and not from "dendritic" weights, whose sums
            over features are recurrent weights. None of these interventions changes the coder.
        silenced : array-like of int, default=None
            Neurons that do not spike.
        current : float or array-like of shape (n_components,), (n_rows, n_components) or \
                (n_rows, 1), default=None
            What is added to the potential of every neuron, in units of the scaled input: all the
            time, or during the presentation of each row. A stream of short rows therefore takes
            any time course.
        noise : float, default=None
            Another noise level sigma. None: that with which learning ended.
        random_state : int, RandomState instance or None, default=None
            Source of the noise, unless `state` continues it. A row's trial does not depend on
            other rows.

        Returns
        -------
        recording : Recording
            See :class:`skdendbal.recording.Recording`.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` is not finite or has another number of features than in `fit`, `n_trials` is not
            positive, or 1 for a stream, or `fade` or an intervention is out of range or of another
            shape, or `state` is no state or that of another network, or given where rows are no
            stream.
        TypeError
            If `n_trials` is not an integer.
        """
        check_is_fitted(self)
        if state is not None and not continuous:
            raise ValueError("state continues a stream of rows: set continuous=True, or leave it.")
        X, settings = self._validate(X), self._coding_settings()
        rows = take_rows(X, slice(None))
        fitted = network.intervene(  # its weights stay as they are
            self.network_, settings, len(rows),
            weights=weights, silenced=silenced, current=current, noise=noise,
        )  # fmt: skip
        timing, end = settings.at_rest, None
        self._warn_if_untrained()
        if not continuous:
            check_scalar(n_trials, "n_trials", Integral, min_val=1)
            seed = _draw_seed(check_random_state(random_state))
            spikes = network.simulate(
                fitted, settings, rows, self.scale_, seed=seed, n_trials=n_trials
            )
        else:
            if n_trials != 1:
                raise ValueError(
                    f"n_trials={n_trials!r} must be 1 for a stream, which is presented once: call "
                    "record again for another trial, or set continuous=False."
                )
            if not (isinstance(fade, Real) and 0.0 < fade <= 1.0):
                raise ValueError(f"fade={fade!r} must be a number above 0 and at most 1.")
            timing = replace(settings, fading=float(fade))
            if state is None:
                seed = _draw_seed(check_random_state(random_state))
                state = network.begin_stream(timing, X.shape[1], seed)
            spikes, end = network.present_stream(fitted, timing, rows, self.scale_, state=state)
        return Recording(
            spikes=spikes,
            X=rows / self.scale_,
            scale=self.scale_,
            n_trials=n_trials,
            timing=timing,
            weights=fitted.weights,
            dynamics=network.make_dynamics(fitted, settings),
            start=state if continuous else None,
            state=end,
        )

    @_with_numpy_defaults
    def score(self, X, y=None):
        """Explained variance of the reconstruction, pooled over features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            ``1 - SSE / SS`` with the squared error SSE of the reconstruction and the sum SS of
            squares about the mean of `X`; 1 is perfect, higher is better. Where SS is zero it
            is 1.0 for a perfect reconstruction and otherwise 0.0, as in
            :func:`~sklearn.metrics.r2_score`.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` is not finite or has another number of features than in `fit`.
        """
        check_is_fitted(self)
        X = self._validate(X)
        codes = self._encode(X, self._find_settling())
        exponent = max(find_exponent(X), find_exponent(self.components_))
        components = np.ldexp(self.components_, -exponent)
        first = np.ldexp(take_rows(X, slice(1)), -exponent)  # equal rows deviate by exactly zero
        mean = sum((np.ldexp(x, -exponent) - first).sum(axis=0) for _, x in blocks(X)) / len(codes)
        sse, ss = 0.0, 0.0
        for start, x in blocks(X):
            x = np.ldexp(x, -exponent)
            errors, deviations = x - codes[start : start + len(x)] @ components, x - first - mean
            sse, ss = sse + np.vdot(errors, errors), ss + np.vdot(deviations, deviations)
        return float(1.0 - sse / ss) if ss > 0.0 else float(sse == 0.0)

    @_with_numpy_defaults
    def score_samples(self, X):
        """Log-likelihood of every row under Gaussian noise around its reconstruction.

        A row x with the code c is taken to be drawn from ``N(c @ components_, v I)``, where v is
        `noise_variance_`. Rows unlike those of the training data are unlikely.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        log_likelihoods : ndarray of shape (n_samples,)
            Log-likelihood of each row, in nats.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` is not finite or has another number of features than in `fit`.
        """
        check_is_fitted(self)
        X = self._validate(X)
        codes = self._encode(X, self._find_settling())
        components = self.components_ / self.scale_
        variance = max(self._scaled_noise_variance, _TINY)
        constant = -X.shape[1] * (math.log(2.0 * math.pi * variance) / 2.0 + math.log(self.scale_))
        result = np.empty(len(codes))
        for start, x in blocks(X):
            errors = x / self.scale_ - codes[start : start + len(x)] @ components
            result[start : start + len(x)] = (
                constant - np.square(errors).sum(axis=1) / variance / 2
            )
        return result

    @property
    def noise_variance_(self):
        """Mean squared error with which an entry of X was read out at the end of learning.

        It is a mean over the last points of the loss curve; before there is any, it is the mean
        square of an entry.
        """
        with np.errstate(over="ignore", under="ignore"):
            return float(self._scaled_noise_variance * np.square(self.scale_))

    @property
    def _scaled_noise_variance(self):
        losses = self.loss_curve_[-_LAST_POINTS:]
        return 2.0 * losses.mean() if len(losses) > 0 else 1.0 / self.n_features_in_

    @property
    def n_presentations_(self):
        """Number of stimuli presented so far."""
        return self.network_.n_presentations

    @property
    def noise_level_(self):
        """Noise level now."""
        return math.sqrt(self.network_.variance)

    @property
    def weights_(self):
        """Weights beside the decoder, by name; read-only."""
        weights = {
            name: values.view()
            for name, values in self.network_.weights.items()
            if name != "decoder"
        }
        for values in weights.values():
            values.flags.writeable = False
        return weights

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = _is_non_negative(self.learning_rule)
        return tags

    @property
    def _n_features_out(self):
        return len(self.components_)

    def _validate(self, X, *, reset=False):
        if reset or not self._is_valid(X):
            X = validate_data(self, X, accept_sparse="csr", dtype=dtypes_to_keep(X), reset=reset)
        rule = self.learning_rule if reset else self.settings_.rule
        if _is_non_negative(rule) and X.min() < 0:
            raise ValueError(
                f"Negative values in data passed to {type(self).__name__}: learning_rule={rule!r} "
                "needs X that is not negative. Take skdendbal.preprocessing.OnOffSplitter before "
                'it, or learning_rule="dendritic".'
            )
        return X

    def _is_valid(self, X):
        """Tell whether validate_data, which takes longer than coding one row, can be skipped."""
        return (
            type(X) is np.ndarray
            and X.dtype in (np.float64, np.float32)
            and X.ndim == 2
            and 0 < len(X) <= MAX_ROWS_AT_ONCE  # so that memory stays flat
            and X.shape[1] == self.n_features_in_
            and not hasattr(self, "feature_names_in_")  # or a warning is due that X has none
            and np.isfinite(X).all()
        )

    def _make_settings(self, n_features, horizon):
        """Turn parameters into the settings of a network; refuse contradictions."""
        check_times(self.dt, self.presentation_time, self.delay)
        if self.transform_time is not None:
            check_times(self.dt, self.transform_time, self.delay, "transform_time")
        rule = _as_rule(self.learning_rule).scale_rates(self.learning_rate)
        neuron, noise = _as_neuron(self.neuron), _as_noise(self.noise)
        n_components = self.n_components
        if n_components is None:
            n_components = n_features
            if n_features > _MAX_FEATURES:
                n_lanes = auto_batch_size(n_features)
                n_bytes = network.count_bytes(n_features, n_features, n_lanes)
                raise ValueError(
                    f"n_components=None stands for one neuron for each of {n_features} features, "
                    f"which would take {n_bytes / 2**30:.1f} GiB of memory and hours to learn: "
                    "give n_components, for example 256."
                )
        rate = self.rate
        if rate == "auto":
            rate = auto_rate(n_components, self.dt)
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = auto_batch_size(n_components)
        final = noise.final
        if final == "auto":
            extra_delay = 0.0 if self.delay is None else max(0.0, self.delay - self.dt)
            final = auto_noise(n_components, rate, self.tau, self.dt, extra_delay)
        n_together = n_components if neuron.one_spike_per_step else 1
        spikes_per_step = rate * 1e-3 * self.dt * n_together
        if spikes_per_step >= 1.0:
            raise ValueError(
                f"rate={rate} Hz cannot be reached with dt={self.dt} ms: it needs "
                f"{spikes_per_step:.3g} spikes a step, where less than 1 is possible"
                f"{' for all neurons together' if neuron.one_spike_per_step else ''}. "
                "Lower rate or dt."
            )
        return Settings(
            n_components=int(n_components),
            rule=rule,
            neuron=neuron,
            noise=noise.with_params(final=float(final)),
            rate=float(rate),
            dt=float(self.dt),
            tau=float(self.tau),
            presentation_time=float(self.presentation_time),
            batch_size=int(batch_size),
            horizon=int(horizon),
            delay=None if self.delay is None else float(self.delay),
        )

    def _default_horizon(self):
        is_late = self.delay is not None and self.delay > self.dt
        return _DELAYED_HORIZON if is_late else _HORIZON

    def _coding_settings(self):
        """Return the settings of the fit with the current time to present a row."""
        settings = self.settings_
        name = "presentation_time" if self.transform_time is None else "transform_time"
        time = getattr(self, name)
        if time == settings.presentation_time:
            return settings
        if type(time) is not float or not time > 0.0:  # validation takes longer than a row
            self._validate_params()
        check_times(settings.dt, time, settings.delay, name)
        return replace(settings, presentation_time=float(time))

    def _change_settings(self, horizon):
        """Return the settings with which a stream goes on: parameters may have been set since."""
        params = [getattr(self, name) for name in _parameter_names(type(self))]
        if params == self._stream_params_:
            return self.settings_
        self._validate_params()
        settings = self._make_settings(self.n_features_in_, horizon)
        self._check_change(settings)
        self._stream_params_ = params
        return settings

    def _check_change(self, settings):
        """Refuse changes that the network learned so far cannot follow."""
        old = self.settings_
        fixed = {
            "n_components": (old.n_components, settings.n_components),
            "batch_size": (old.batch_size, settings.batch_size),
            "learning_rule": (type(old.rule).__name__, type(settings.rule).__name__),
            "delay in steps": (old.delay_steps, settings.delay_steps),
            "neuron.scaled_bias": (old.neuron.scaled_bias, settings.neuron.scaled_bias),
        }
        if self.input_scale != "auto":
            fixed["input_scale"] = (self.scale_, self.input_scale)
        if self.network_.batch is not None:
            for name in ("dt", "tau", "presentation_time"):
                fixed[f"within a batch, {name}"] = (getattr(old, name), getattr(settings, name))
        for name, (before, now) in fixed.items():
            if before != now:
                raise ValueError(
                    f"{name} changed from {before} to {now} between calls of partial_fit: "
                    "set it back, or call fit to start anew."
                )

    def _find_scale(self, moments):
        if self.input_scale != "auto":
            return float(self.input_scale)
        return moments.root_mean_squared_norm or 1.0

    def _warn_if_untrained(self):
        if self.n_steps_ == 0:
            warn(
                f"No weights have been learned yet: they are updated when a batch of "
                f"batch_size={self.settings_.batch_size} rows is full. Present more rows.",
            )

    def _keep_settling(self):
        """Prepare balanced codes."""
        is_balanced = self.code == "balanced"
        self._settling_ = Settling(self.components_, self.scale_) if is_balanced else None

    def _find_settling(self):
        """Return what lets codes settle, or None if they do not."""
        if self.code == "rate":
            return None
        numbers = self.shrinkage, self.min_contribution
        are_valid = all(type(n) is float and 0.0 <= n < math.inf for n in numbers)
        if self.code != "balanced" or type(self.recruitment) is not bool or not are_valid:
            self._validate_params()  # which takes longer than a row
        settling = self._settling_
        if settling is not None and settling.is_for(self.components_, self.scale_):
            return settling
        return Settling(self.components_, self.scale_)

    def _encode(self, X, settling=None, settings=None):
        """Return the dense codes of rows that are valid, by default with the settings to code."""
        n_rows, n_components = X.shape[0], len(self.components_)
        codes = np.empty((n_rows, n_components), dtype=_code_dtype(X))
        settings = settings or self._coding_settings()
        self._warn_if_untrained()

        def encode_rows(start, stop):
            rows = take_rows(X, slice(start, stop))
            out = np.empty((stop - start, n_components))
            network.encode(self.network_, settings, rows, self.scale_, seed=self.seed_, out=out)
            if settling is not None:
                settling.settle(rows, out, self.shrinkage, self.min_contribution, self.recruitment)
            codes[start:stop] = out

        n_jobs = min(effective_n_jobs(self.n_jobs), n_rows)
        size = rows_at_once(X.shape[1])
        if n_jobs > 1:
            share = math.ceil(n_rows / n_jobs / _SHARES_PER_THREAD)
            size = min(size, max(_MIN_ROWS_PER_SHARE, share))
        cuts = [*range(0, n_rows, size), n_rows]
        with threads(n_jobs) as apply:
            for _ in apply(encode_rows, itertools.pairwise(cuts)):
                pass
        return codes

    @OneBlasThread()
    def _refit_decoder(self, X):
        """Return components that reconstruct X from its firing rates, by ridge regression."""
        X = X[:: math.ceil(X.shape[0] / max(_MAX_REFIT_ROWS, 10 * len(self.components_)))]
        n_components, n_features = self.components_.shape
        sum_zz = np.zeros((n_components, n_components))
        sum_zx = np.zeros((n_components, n_features))
        # Recruitment makes good what spikes miss in a short time, which a decoder cannot.
        recruits = self.code == "balanced" and self.recruitment
        settings = self.settings_ if recruits else self._coding_settings()
        for _, x in blocks(X):
            codes = self._encode(x, settings=settings)
            sum_zz += codes.T @ codes
            sum_zx += codes.T @ (x / self.scale_)
        sum_zz.flat[:: n_components + 1] += _RIDGE * sum_zz.trace() / n_components + _TINY
        return np.linalg.solve(sum_zz, sum_zx) * self.scale_

    def _workers(self, settings, n_lanes):
        """Return a context that gives what presents parts of a batch, by workers if of use."""
        return workers(1 if n_lanes <= settings.lanes_per_part else self.n_jobs)

    @staticmethod
    def _fitted(state, settings, scale, n_iter):
        """Return the fitted attributes that belong to a network."""
        record = state.record
        firing_rates = record.firing_rates
        return {
            "components_": state.decoder.T * scale,
            "n_iter_": n_iter,
            "n_steps_": state.n_updates,
            "seed_": state.seed,
            "scale_": scale,
            "firing_rates_": firing_rates,
            "loss_curve_": np.array(record.loss_curve),
            "n_silent_units_": count_silent(firing_rates, settings.rate) * (record.time > 0.0),
            "to_hz_": 1e3 / settings.trace_per_spike / settings.dt,
            "network_": state,
            "settings_": settings,
            "_stream_params_": None,
            "_settling_": None,
        }


@functools.cache
def _parameter_names(cls):
    return cls._get_param_names()


def _as_rule(value):
    return RULES[value]() if isinstance(value, str) else value


def _as_neuron(value):
    return Neuron() if value is None else value


def _as_noise(value):
    return value if isinstance(value, Noise) else Noise(value)


# what turns the parameters that may be objects into objects
_PARAMETER_OBJECTS = {"learning_rule": _as_rule, "neuron": _as_neuron, "noise": _as_noise}


@contextmanager
def _atomic(estimator):
    """Leave an estimator as it was when the body does not finish."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _code_dtype(X):
    return np.float32 if X.dtype == np.float32 else np.float64


def _is_non_negative(rule):
    """Tell whether a rule, or the rule of a name, needs input that is not negative."""
    return getattr(RULES.get(rule) if isinstance(rule, str) else rule, "non_negative", False)


def _draw_seed(random_state):
    return int(random_state.randint(np.iinfo(np.int32).max))


def _block_size(n_presentations, batch_size, max_rows):
    """Return the number of rows to learn between callbacks: whole batches, up to `max_rows`."""
    n_batches = math.ceil(n_presentations / batch_size)
    return batch_size * max(1, min(max_rows // batch_size, math.ceil(n_batches / _MAX_CALLBACKS)))
