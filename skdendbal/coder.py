"""The scikit-learn estimator around the network."""

import copy
import itertools
import math
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import ThreadingBackend, get_active_backend
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import (
    check_array,
    check_random_state,
    check_scalar,
    gen_batches,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from . import network
from .rules import NOISE_RANGE, RULES, Rule

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

    class CallbackSupportMixin:
        """Stands in for scikit-learn's: no callbacks."""

        def _init_callback_context(self, **kwargs):
            return _NoCallbacks()


MIN_PRESENTATIONS = 40_000  # of a fit with max_iter=None, and default horizon of partial_fit
FIT_BLOCKS = 100  # callbacks are called up to this often during a fit
AUTO_SPIKES = 800.0  # spikes a second of all neurons together, with rate="auto"
AUTO_RATE = 50.0  # largest rate of a neuron in Hz, with rate="auto"
AUTO_FILL = 0.5  # most spikes of all neurons together in a step, with rate="auto"
AUTO_NOISE = 0.2  # noise level times spikes of all neurons in a time constant, with noise="auto"
LARGEST_AUTO_NOISE = 0.3  # where few neurons spike less often
NOISE_DELAY = 0.025  # time constants of delay that add as much variance as there is without
CHUNK = 1024  # rows converted to float64 at once
SHARES = 8  # of the rows to code for every thread, as threads are not equally quick
LEAST = 8  # rows of a share
MAX_STEPS = 1_000_000  # of a presentation
FEW_UPDATES = 10  # fewer than these do not make a fit
SILENT = 0.1  # a unit below this part of the target rate counts as silent
TOLERATED = 0.2  # part of the units that may be silent or off the target rate without a warning
RIDGE = 1e-3  # penalty of a decoder that is fitted again, relative to the mean square of codes
TINY = 1e-12  # for codes that are all zero
LARGE_OFFSET = 10.0  # of the mean of rows, in root mean squared deviations from it
FAILED = 1.7  # learning has failed if the loss ends above this multiple of its minimum


class DendriticBalanceCoder(
    ClassNamePrefixFeaturesOutMixin, CallbackSupportMixin, TransformerMixin, BaseEstimator
):
    """Sparse non-negative codes from a spiking network with dendritic balance.

    A network of stochastic spiking neurons learns, online and with local plasticity, weights
    with which its spike traces represent the input: ``codes @ components_`` is close to `X`.
    Recurrent connections balance the input in every dendritic compartment, so that each
    compartment's potential is the coding error of its own input, and a voltage-dependent rule
    learns from it [1]_.

    Codes are firing rates in spikes per time constant `tau`: a code of 0.1 is about 10 Hz at
    the default `tau` of 10 ms (times `to_hz_`). They are never negative.

    Parameters
    ----------
    n_components : int, default=None
        Number of neurons n_z. None: as many as there are features; the time of a batch grows
        with the cube of either.
    learning_rule : {"dendritic", "dendritic-decay", "dendritic-slow", "dendritic-simultaneous", \
            "somatic", "somatic-unwhitened"} or Rule, default="dendritic"
        Learning rule, by name or as an object of :mod:`skdendbal.rules` with rates of its own:
        exact dendritic balance; dendritic balance that is learned, in three variants, for `X`
        that is not negative, with n_features * n_components^2 weights and several times (the
        simultaneous variant: dozens of times) as slow;
        or somatic balance with Hebbian-like plasticity, the baseline that the others improve
        on, in two variants.
    rate : float or "auto", default="auto"
        Target firing rate rho of every neuron in Hz. "auto" spreads 800 spikes a second over
        the neurons, or one in every two steps of more than 0.625 ms, with at most 50 Hz each:
        12.5 Hz for 64 neurons. Higher rates reconstruct better, with less sparse codes.
    noise : float or "auto", default="auto"
        Final noise level sigma of the membrane potential, relative to the scaled input, whose
        root mean squared row norm is 1. Larger values make spiking more random and codes less
        sparse; with too small ones neurons overshoot the input in turn. "auto" is in proportion
        to what a spike stands for: 0.2 by the number of spikes of all neurons in a time constant,
        at most 0.3; that is 0.025 for 16 neurons or more with the other defaults. A `delay` needs
        more noise: each 2.5 % of `tau` beyond a step adds that much variance.
    dt : float, default=0.25
        Simulation step in ms.
    tau : float, default=10.0
        Time constant of membranes and spike traces in ms.
    presentation_time : float, default=100.0
        Duration of a stimulus in ms. While learning, it fades in from the one before over the
        first 30 %. A row to code fades in over half a time constant `tau`, at most half of its
        presentation, and its code counts all spikes. May be changed after `fit` to code for
        longer or shorter; all other parameters of the network have their effect in the next `fit`
        or `partial_fit`.
    max_iter : int, default=None
        Number of passes over the data in `fit`. None: enough for 40,000 presentations.
    horizon : int, default=None
        Number of presentations over which the noise falls from its initial to its final level.
        None: all those of a `fit`, or 40,000 for `partial_fit`.
    tol : float, default=None
        `fit` stops before `max_iter` when the decoder loss of `n_iter_no_change` passes in a row
        is not below the least one so far by this part of it. Only passes that begin after the
        horizon count, for which `horizon` has to be given: before, the noise still falls. None:
        never.
    n_iter_no_change : int, default=5
        See `tol`.
    batch_size : int, default=64
        Number of stimuli presented at once, each to a copy of the network with traces of its
        own, before weights are updated. 1 is the published model.
    learning_rate : float, default=1.0
        Factor on the learning rates of weights and decoder that belong to the rule.
    delay : float, default=None
        Transmission delay of the recurrent connections in ms, at least `dt` and rounded to a
        multiple of it, less than `presentation_time`. None: one step.
    decoder : {"online", "refit"}, default="online"
        "online": `components_` are the decoder that the network learns with. "refit": `fit` ends
        by coding the training data and replaces them by ridge regression of the data on their
        codes. That reconstructs better, by some hundredths of explained variance; codes are the
        same. `partial_fit` returns to the decoder of the network.
    input_scale : float or "auto", default="auto"
        `X` is divided by it. "auto": the root mean squared row norm of the data of `fit`, or of
        the first call of `partial_fit` whose data are not all zero. It is one scalar: columns in
        different units should be standardised first, as spikes go where variance is, and a mean
        that is much larger than the deviations from it should be subtracted.
    shuffle : bool, default=True
        Whether `fit` presents the rows in a new random order in every pass.
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
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when `X` has feature names that are
        all strings.
    n_iter_ : int
        Number of passes over data, those of `partial_fit` included.
    n_steps_ : int
        Number of weight updates, one for every full batch. An unfinished batch waits for the
        rows of the next `partial_fit`.
    seed_ : int
        Seed of the network's random numbers.
    scale_ : float
        Input scale.
    firing_rates_ : ndarray of shape (n_components,)
        Firing rate of each neuron in Hz during the last stretch of learning: an average that
        decays over 5 % of the horizon.
    loss_curve_ : ndarray of shape (n_points,)
        Decoder loss while learning, half the mean squared error of an entry of the scaled input
        as read from the traces before the spikes of a step, over successive hundredths of the
        horizon.
    n_silent_units_ : int
        Number of neurons whose firing rate is below a tenth of the target. Their thresholds keep
        falling while the network learns, until they fire: more presentations revive them, by
        `partial_fit` or a larger `max_iter`.
    weights_ : dict of str to ndarray
        Weights beside the decoder, in units of the scaled input: "recurrent", row k what a spike
        of neuron k adds to the potentials (W^T), and those of the rule: "feedforward" (F^T,
        shape (n_features, n_components); none in exact balance, where it is the decoder) and
        "dendritic" (entry [i, j, k] from neuron k onto the compartment of input i on neuron j),
        for example.
    to_hz_ : float
        Factor from codes to firing rates in Hz, ``1000 (1 - exp(-dt / tau)) / dt``. Codes make
        up for the onset of a row, in which neurons fire more often.

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

    Learning is evaluated once a batch, from sums over all its steps and in implicit form, and
    weights decay a little, see :class:`skdendbal.rules.Dendritic`. Callbacks of scikit-learn 1.9
    follow `fit`.

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

    _parameter_constraints: ClassVar = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rule": [StrOptions(set(RULES)), Rule],
        "rate": [Interval(Real, 0, np.inf, closed="neither"), StrOptions({"auto"})],
        "noise": [Interval(Real, *NOISE_RANGE, closed="both"), StrOptions({"auto"})],
        "dt": [Interval(Real, 0, np.inf, closed="neither")],
        "tau": [Interval(Real, 0, 1e9, closed="right")],
        "presentation_time": [Interval(Real, 0, np.inf, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "horizon": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, np.inf, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, 1e6, closed="both")],
        "delay": [Interval(Real, 0, np.inf, closed="neither"), None],
        "decoder": [StrOptions({"online", "refit"})],
        "input_scale": [Interval(Real, 0, np.inf, closed="neither"), StrOptions({"auto"})],
        "shuffle": ["boolean"],
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
        learning_rule="dendritic",
        rate="auto",
        noise="auto",
        dt=0.25,
        tau=10.0,
        presentation_time=100.0,
        max_iter=None,
        horizon=None,
        tol=None,
        n_iter_no_change=5,
        batch_size=64,
        learning_rate=1.0,
        delay=None,
        decoder="online",
        input_scale="auto",
        shuffle=True,
        random_state=None,
        n_jobs=None,
    ):
        self.n_components = n_components
        self.learning_rule = learning_rule
        self.rate = rate
        self.noise = noise
        self.dt = dt
        self.tau = tau
        self.presentation_time = presentation_time
        self.max_iter = max_iter
        self.horizon = horizon
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.delay = delay
        self.decoder = decoder
        self.input_scale = input_scale
        self.shuffle = shuffle
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
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
            If `X` is not a finite, dense, numeric 2d array with at least one row and one
            feature, has negative values that the learning rule cannot take, or if parameters are
            out of range or contradict each other.
        MemoryError
            If the weights of a learned dendritic rule do not fit into the memory of the machine.

        Warns
        -----
        ConvergenceWarning
            If weights were hardly updated, learning ended before the horizon, neurons are silent
            or miss their target rate, the loss rose while the noise fell, or `X` is the sum of a
            large constant row and small deviations.
        """
        with _atomic(self):
            X = self._validate(X, reset=True)
            n_samples, n_features = X.shape
            max_iter = self.max_iter or math.ceil(MIN_PRESENTATIONS / n_samples)
            settings = self._make_settings(n_features, self.horizon or n_samples * max_iter)
            random_state = check_random_state(self.random_state)
            moments = _moments(X)
            scale = self._find_scale(moments)
            state = network.initialise(settings, n_features, _draw_seed(random_state))

            def attributes():
                n_iter = math.ceil(state.n_presentations / n_samples)
                return self._fitted(copy.deepcopy(state), settings, scale, n_iter)

            n_batches = math.ceil(n_samples * max_iter / settings.batch_size)
            block = settings.batch_size * math.ceil(n_batches / FIT_BLOCKS)
            n_blocks = math.ceil(n_samples * max_iter / block)
            context = self._init_callback_context(max_subtasks=n_blocks)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
            order = random_state if self.shuffle else None
            losses = _Losses(state, settings, n_samples)
            with self._workers(settings) as apply:
                for rows in _presentation_order(n_samples, max_iter, block, order):
                    task = context.subcontext(task_name="presentations")
                    task.call_on_fit_task_begin(estimator=self, X=X, y=y)
                    _present(state, settings, X, rows, scale, apply)
                    if task.call_on_fit_task_end(
                        estimator=self, X=X, y=y, reconstruction_attributes=attributes
                    ):
                        break
                    if self.tol is not None and losses.stand_still(
                        self.tol, self.n_iter_no_change
                    ):
                        break
            context.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=attributes
            )
            vars(self).update(attributes())
            if self.decoder == "refit":
                self.components_ = self._refit_decoder(X)
        self._warn_of_failure(self.loss_curve_, _offset(moments))
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Go on learning: present the rows of X once, in their order.

        The noise falls over `horizon` presentations, 40,000 if not given, and before their end
        codes are poor. Calls continue one stream: with `input_scale` and `horizon` given, any
        split of the same rows over calls ends in the same state, bit for bit. Parameters may be
        changed in between, except `n_components`, `batch_size`, `input_scale`, the delay in steps
        and the kind of rule and of bias, and time constants only between full batches.
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
            As in `fit` but for the last cause, once the horizon is over.
        """
        with _atomic(self):
            first = not self.__sklearn_is_fitted__()
            X = self._validate(X, reset=first)
            horizon = self.horizon or MIN_PRESENTATIONS
            if first:
                settings = self._make_settings(X.shape[1], horizon)
                seed = _draw_seed(check_random_state(self.random_state))
                state, n_iter = network.initialise(settings, X.shape[1], seed), 1
            else:
                self._validate_params()  # they may have been set since
                settings = self._make_settings(X.shape[1], horizon)
                self._check_change(settings)
                state, n_iter = copy.deepcopy(self._network), self.n_iter_ + 1
            scale = self._find_scale(_moments(X)) if state.is_blank else self.scale_
            with self._workers(settings) as apply:
                _present(state, settings, X, np.arange(len(X)), scale, apply)
            vars(self).update(self._fitted(state, settings, scale, n_iter))
        if state.n_presentations >= horizon:
            # the loss may rise later for many reasons: other data, rates or noise
            self._warn_of_failure(self.loss_curve_[: settings.points_per_horizon])
        return self

    def transform(self, X):
        """Code every row of X by the firing rates it evokes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            Firing rates in spikes per time constant, not negative.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` is not finite or has another number of features than in `fit`.
        """
        check_is_fitted(self)
        return self._encode(self._validate(X))

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
        X = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if X.shape[1] != len(self.components_):
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(self).__name__} has "
                f"{len(self.components_)} components: pass codes as transform returns them."
            )
        return (X @ self.components_).astype(X.dtype, copy=False)

    def simulate(self, X, *, n_trials=1, random_state=None):
        """Return the spikes that every row of X evokes, in repeated trials with fresh noise.

        As in `transform` a row is presented for `presentation_time` to the network at rest, and
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
            is not a positive integer.
        """
        check_is_fitted(self)
        X = self._validate(X)
        n_trials = check_scalar(n_trials, "n_trials", Integral, min_val=1)
        return network.simulate(
            self._network,
            self._coding_settings(),
            _as_float64(X),
            self.scale_,
            seed=_draw_seed(check_random_state(random_state)),
            n_trials=n_trials,
        )

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
            is 1.0 for a perfect reconstruction and else 0.0, as in
            :func:`~sklearn.metrics.r2_score`.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` is not finite or has another number of features than in `fit`.
        """
        check_is_fitted(self)
        X = _as_float64(self._validate(X))
        exponent = max(_exponent(X), _exponent(self.components_))
        scaled = np.ldexp(X, -exponent)
        errors = scaled - self._encode(X) @ np.ldexp(self.components_, -exponent)
        deviations = scaled - scaled[0]  # exactly zero where all rows are equal
        deviations -= deviations.mean(axis=0)
        sse, ss = np.vdot(errors, errors), np.vdot(deviations, deviations)
        return float(1.0 - sse / ss) if ss > 0.0 else float(sse == 0.0)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_network")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.positive_only = _is_non_negative(self.learning_rule)
        return tags

    @property
    def _n_features_out(self):
        return len(self.components_)

    def _validate(self, X, *, reset=False):
        if reset or not self._is_valid(X):
            X = validate_data(self, X, dtype=[np.float64, np.float32], reset=reset)
        rule = self.learning_rule if reset else self._settings.rule
        if _is_non_negative(rule) and X.min() < 0:
            raise ValueError(
                f"Negative values in data passed to {type(self).__name__}: learning_rule={rule!r} "
                "needs X that is not negative. Take skdendbal.preprocessing.OnOffSplitter before "
                'it, or learning_rule="dendritic".'
            )
        return X

    def _is_valid(self, X):
        """Whether X is sure to pass validate_data, which takes longer than the code of a row."""
        return (
            type(X) is np.ndarray
            and X.dtype in (np.float64, np.float32)
            and X.ndim == 2
            and 0 < len(X) <= CHUNK  # so that memory stays flat
            and X.shape[1] == self.n_features_in_
            and not hasattr(self, "feature_names_in_")  # of which X has none: a warning is due
            and np.isfinite(X).all()
        )

    def _make_settings(self, n_features, horizon):
        """Turn parameters into the settings of a network; refuse contradictions."""
        _check_steps(self.presentation_time, self.dt)
        n_components = n_features if self.n_components is None else self.n_components
        rate = self.rate
        if rate == "auto":
            rate = auto_rate(n_components, self.dt)
        noise = self.noise
        if noise == "auto":
            late = 0.0 if self.delay is None else max(0.0, self.delay - self.dt)
            noise = auto_noise(n_components, rate, self.tau, late)
        rule = self.learning_rule
        if isinstance(rule, str):
            rule = RULES[rule]()
        spikes_per_step = rate * 1e-3 * self.dt * (n_components if rule.one_spike_per_step else 1)
        if spikes_per_step >= 1.0:
            raise ValueError(
                f"rate={rate} Hz cannot be reached with dt={self.dt} ms: it needs "
                f"{spikes_per_step:.3g} spikes a step, where less than 1 is possible"
                f"{' for all neurons together' if rule.one_spike_per_step else ''}. "
                "Lower rate or dt."
            )
        _check_delay(self.delay, self.presentation_time, self.dt)
        return network.Settings(
            n_components=int(n_components),
            rule=rule,
            rate=float(rate),
            noise=float(noise),
            dt=float(self.dt),
            tau=float(self.tau),
            presentation_time=float(self.presentation_time),
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
            horizon=int(horizon),
            delay=None if self.delay is None else float(self.delay),
        )

    def _coding_settings(self):
        """Return the settings of the fit with the presentation time of now."""
        if self.presentation_time == self._settings.presentation_time:
            return self._settings
        self._validate_params()
        _check_steps(self.presentation_time, self._settings.dt)
        _check_delay(self._settings.delay, self.presentation_time, self._settings.dt)
        return replace(self._settings, presentation_time=float(self.presentation_time))

    def _check_change(self, settings):
        """Refuse changes that the network learned so far cannot follow."""
        old = self._settings
        fixed = {
            "n_components": (old.n_components, settings.n_components),
            "batch_size": (old.batch_size, settings.batch_size),
            "learning_rule": (type(old.rule).__name__, type(settings.rule).__name__),
            "delay in steps": (old.delay_steps, settings.delay_steps),
            "learning_rule.scaled_bias": (old.rule.scaled_bias, settings.rule.scaled_bias),
        }
        if self.input_scale != "auto":
            fixed["input_scale"] = (self.scale_, self.input_scale)
        if self._network.n_presentations % old.batch_size > 0:
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
        _, square, exponent = moments
        with np.errstate(over="ignore"):
            scale = float(np.ldexp(np.sqrt(square), exponent))
        return min(scale, np.finfo(np.float64).max) if scale > 0.0 else 1.0

    def _encode(self, X):
        """Return the codes of rows that are valid."""
        codes = np.empty((len(X), len(self.components_)), dtype=X.dtype)
        settings = self._coding_settings()

        def encode(start, stop):
            block = np.empty((stop - start, codes.shape[1]))
            network.encode(
                self._network,
                settings,
                _as_float64(X[start:stop]),
                self.scale_,
                seed=self.seed_,
                out=block,
            )
            codes[start:stop] = block

        n_jobs = min(effective_n_jobs(self.n_jobs), len(X))
        size = CHUNK
        if n_jobs > 1:
            size = min(CHUNK, max(LEAST, math.ceil(len(X) / n_jobs / SHARES)))
        cuts = [*range(0, len(X), size), len(X)]
        with _threads(n_jobs) as apply:
            for _ in apply(encode, itertools.pairwise(cuts)):
                pass
        return codes

    @network.OneBlasThread()
    def _refit_decoder(self, X):
        """Return components that reconstruct X from its codes, by ridge regression."""
        n_components, n_features = self.components_.shape
        gram = np.zeros((n_components, n_components))
        cross = np.zeros((n_components, n_features))
        for rows in gen_batches(len(X), CHUNK):
            block = _as_float64(X[rows])
            codes = self._encode(block)
            gram += codes.T @ codes
            cross += codes.T @ (block / self.scale_)
        gram.flat[:: n_components + 1] += RIDGE * gram.trace() / n_components + TINY
        return np.linalg.solve(gram, cross) * self.scale_

    @contextmanager
    def _workers(self, settings):
        """Give what applies a function to many arguments, by workers if they are of use."""
        n_jobs = 1 if settings.batch_size <= network.PART else effective_n_jobs(self.n_jobs)
        if n_jobs == 1 or isinstance(get_active_backend(prefer="threads")[0], ThreadingBackend):
            with _threads(n_jobs) as apply:
                yield apply
            return
        # Arguments go in a tuple, as dask would store arrays on workers, whose death loses them;
        # and never through files, which joblib does not write again when an array has changed.
        with Parallel(n_jobs=self.n_jobs, max_nbytes=None) as parallel:
            yield lambda *call: parallel(delayed(_apply)(call[0], each) for each in call[1])

    def _warn_of_failure(self, loss_curve, offset=0.0):
        """Warn once if learning failed, with its cause and a remedy."""
        settings = self._settings
        ratio = self.firing_rates_ / settings.rate
        off_target = int(((ratio < 0.5) | (ratio > 2.0)).sum())
        whole = len(loss_curve) // 10 * 10
        losses = loss_curve[:whole].reshape(-1, 10).mean(axis=1).tolist()
        if self.n_steps_ < FEW_UPDATES:
            message = (
                f"Weights were updated {self.n_steps_} times only: "
                f"{self._network.n_presentations} presentations fill as many batches of "
                f"{settings.batch_size}. Present more by a larger max_iter or "
                "further calls of partial_fit, or start anew with a smaller batch_size."
            )
        elif self._network.n_presentations < settings.horizon:
            message = (
                f"Learning ended after {self._network.n_presentations} of "
                f"horizon={settings.horizon} presentations, with a noise level of "
                f"{math.sqrt(self._network.variance):.3g} that was to fall to "
                f"{settings.noise:.3g}. Lower horizon or raise max_iter."
            )
        elif self.n_silent_units_ > TOLERATED * settings.n_components:
            message = (
                f"{self.n_silent_units_} of {settings.n_components} neurons are silent, below a "
                f"tenth of their target rate of {settings.rate:.3g} Hz. Give them more time with "
                "a larger max_iter, or raise noise."
            )
        elif off_target > TOLERATED * settings.n_components:
            message = (
                f"{off_target} of {settings.n_components} neurons miss their target rate of "
                f"{settings.rate:.3g} Hz by more than a factor of 2. Give them more time with a "
                "larger max_iter, or raise noise."
            )
        elif losses and losses[-1] > FAILED * min(losses):
            message = (
                f"The decoder loss rose from {min(losses):.3g} to {losses[-1]:.3g} while the "
                "noise fell: neurons overshoot the input in turn. Raise noise."
            )
        elif offset > LARGE_OFFSET:
            message = (
                f"The mean of X is {offset:.3g} times as large as the deviations from it, so that "
                "spikes stand for little else. Subtract it before, for example by "
                "StandardScaler(with_std=False)."
            )
        else:
            return
        warnings.warn(message, ConvergenceWarning, stacklevel=4)  # at the call of fit

    @staticmethod
    def _fitted(state, settings, scale, n_iter):
        """Return the fitted attributes that belong to a network."""
        rates = state.firing_rates
        return {
            "components_": state.decoder.T * scale,
            "n_iter_": n_iter,
            "n_steps_": state.n_updates,
            "seed_": state.seed,
            "scale_": scale,
            "firing_rates_": rates,
            "loss_curve_": np.array(state.loss_curve),
            "n_silent_units_": int((rates < SILENT * settings.rate).sum()) * (state.time > 0.0),
            "to_hz_": 1e3 / settings.trace_per_spike / settings.dt,
            "weights_": {"recurrent": state.recurrent, **state.weights},
            "_network": state,
            "_settings": settings,
        }


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
    return min(min(AUTO_SPIKES, AUTO_FILL * 1e3 / dt) / n_components, AUTO_RATE)


def auto_noise(n_components, rate, tau, late=0.0):
    """Return the final noise level that "auto" stands for.

    Parameters
    ----------
    n_components : int
        Number of neurons.
    rate : float
        Target rate in Hz.
    tau : float
        Time constant in ms.
    late : float, default=0.0
        Delay of spikes beyond one step in ms.

    Returns
    -------
    noise : float
        In units of the scaled input.
    """
    spikes = n_components * rate * 1e-3 * tau
    noise = AUTO_NOISE / spikes * math.sqrt(1.0 + late / (NOISE_DELAY * tau))
    return max(NOISE_RANGE[0], min(noise, LARGEST_AUTO_NOISE))


@contextmanager
def _atomic(estimator):
    """Leave fitted attributes as they were when the body does not finish."""

    def fitted():
        return {
            name: value
            for name, value in vars(estimator).items()
            if name.endswith("_") or name in ("_network", "_settings")
        }

    before = fitted()
    try:
        yield
    except BaseException:
        for name in fitted():
            delattr(estimator, name)
        vars(estimator).update(before)
        raise


@contextmanager
def _threads(n_jobs):
    """Give what applies a function to many arguments, in threads of which this one is the first.

    joblib looks after its threads every 10 ms, in which a batch would long be done; and waking one
    thread less saves a tenth of the time of a batch.
    """
    if n_jobs == 1:
        yield itertools.starmap
        return

    def apply(function, arguments):
        waiting, stops = deque(enumerate(arguments)), [None] * n_jobs
        results = [None] * len(waiting)
        waiting.extend(stops)

        def work():
            try:
                for i, each in iter(waiting.popleft, None):
                    results[i] = function(*each)
            finally:
                waiting.extendleft(stops)  # where this one fails, the others stop

        try:
            others = [pool.submit(work) for _ in range(min(n_jobs, len(results)) - 1)]
            work()
            for other in others:
                other.result()
        finally:
            waiting.extendleft(stops)
        return results

    pool = ThreadPoolExecutor(n_jobs - 1)
    try:
        yield apply
    finally:
        pool.shutdown(wait=False)  # an interrupt does not wait for what the others are at


class _Losses:
    """The decoder loss of successive passes, once the noise has fallen."""

    def __init__(self, state, settings, n_samples):
        self.state, self.n_samples = state, n_samples
        self.next = settings.horizon + n_samples  # where the pass under way ends
        self.n_points = None  # of the loss curve before this pass
        self.least, self.n_since = np.inf, 0

    def stand_still(self, tol, n_iter_no_change):
        """Tell whether so many passes in a row were no better than before, by a part of it."""
        curve, now = self.state.loss_curve, self.state.n_presentations
        if self.n_points is None and now >= self.next - self.n_samples:
            self.n_points = len(curve)
        if now >= self.next and len(curve) > self.n_points:
            loss = np.mean(curve[self.n_points :])
            better = loss < (1.0 - tol) * self.least
            self.least, self.n_since = min(loss, self.least), 0 if better else self.n_since + 1
            self.next, self.n_points = now + self.n_samples, len(curve)
        return self.n_since >= n_iter_no_change


def _exponent(X):
    """Return the power of two by which X divided has squares that neither overflow nor vanish."""
    return np.frexp(max(float(X.max()), -float(X.min())))[1]


def _moments(X):
    """Return mean and mean squared norm of rows, divided by a power of two; its exponent."""
    exponent = _exponent(X)
    total, square = 0.0, 0.0
    for rows in gen_batches(len(X), CHUNK):
        block = np.ldexp(_as_float64(X[rows]), -exponent)
        total, square = total + block.sum(axis=0), square + np.square(block).sum()
    return total / len(X), square / len(X), exponent


def _offset(moments):
    """Return the norm of the mean row, in root mean squared deviations from it."""
    mean, square, _ = moments
    offset = np.vdot(mean, mean)
    variance = square - offset
    return math.sqrt(offset / variance) if variance > TINY * offset else 0.0  # equal rows


def _present(state, settings, X, rows, scale, apply):
    """Let a network learn from some rows of X in the given order."""
    for chunk in gen_batches(len(rows), CHUNK):
        network.run(state, settings, _as_float64(X[rows[chunk]]), scale, apply=apply)


def _apply(function, arguments):
    return function(*arguments)


def _is_non_negative(rule):
    """Tell whether a rule, or the rule of a name, needs input that is not negative."""
    return getattr(RULES.get(rule) if isinstance(rule, str) else rule, "non_negative", False)


def _check_steps(presentation_time, dt):
    n_steps = presentation_time / dt
    if not 1.0 <= n_steps <= MAX_STEPS:
        raise ValueError(
            f"presentation_time={presentation_time} ms and dt={dt} ms make {n_steps:.3g} steps, "
            f"which must be from 1 to {MAX_STEPS}: change one of them."
        )


def _check_delay(delay, presentation_time, dt):
    if delay is not None and not dt <= delay < presentation_time:
        raise ValueError(
            f"delay={delay} ms must be at least dt={dt} ms and less than "
            f"presentation_time={presentation_time} ms, so that spikes act on the stimulus that "
            "evoked them: change it, or set delay=None for one step."
        )


def _draw_seed(random_state):
    return int(random_state.randint(np.iinfo(np.int32).max))


def _as_float64(X):
    """Rows as the kernels take them; they are compiled for writable arrays only."""
    return np.require(X, np.float64, "CW")


def _presentation_order(n_samples, n_iter, size, random_state):
    """Yield row numbers of `n_iter` passes in blocks of `size`."""
    waiting = np.empty(0, dtype=np.intp)
    passes = iter(range(n_iter))
    for block in gen_batches(n_samples * n_iter, size):
        parts, n = [waiting], len(waiting)
        while n < block.stop - block.start:
            next(passes)
            order = np.arange(n_samples)
            parts.append(random_state.permutation(order) if random_state else order)
            n += n_samples
        rows = np.concatenate(parts)
        yield rows[:size]
        waiting = rows[size:]
