"""Measures of a code: loss, rates, correlations, balance, sparseness, dictionary recovery.

Symbols follow Mikulasch, Rudelt & Priesemann, PNAS 118(50) e2021925118 (2021). Times are in ms,
firing rates in Hz. ``sums`` are those that :func:`skdendbal.network.evaluate` returns: traces
include the spikes of their own step. Measures of sums also take a fitted coder and `X`. They
present its rows to the coder as in learning: each fades in from the one before it on its lane.
"""

from numbers import Integral, Real

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length, check_scalar
from sklearn.utils._param_validation import Interval, Options, validate_params
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from . import network

__all__ = [
    "balance",
    "decoder_loss",
    "dictionary_recovery",
    "firing_rates",
    "log_likelihood",
    "sample_traces",
    "trace_correlations",
    "treves_rolls",
]

_COUNT = [Interval(Integral, 1, None, closed="left")]
_POSITIVE = [Interval(Real, 0, None, closed="neither")]


def decoder_loss(sums, decoder, /):
    """Half the mean squared error with which the decoder reads the input from spike traces.

    The loss is ``L = 0.5 / n_features * mean |x - D z|^2``, where the mean is over steps, x is
    the input as it fades in, and z are the traces.

    Parameters
    ----------
    sums : object or DendriticBalanceCoder
        Sums over steps: attributes `n_steps`, `sum_xx` (of ``|x|^2``), `sum_xz` (of ``x z^T``,
        shape (n_features, n_units)) and `sum_zz` (of ``z z^T``, shape (n_units, n_units)). Or a
        fitted coder, to be presented with data.
    decoder : array-like of shape (n_features, n_units) or (n_samples, n_features)
        Decoder weights D in the units of `sums`; or the data of a coder.

    Returns
    -------
    loss : float
        Decoder loss, in squared units of the input.

    Raises
    ------
    NotFittedError
        If the coder is not fitted.
    ValueError
        If `decoder` is not finite or not of the shape of `sums.sum_xz`, no step was summed, or the
        coder cannot take the data.

    See Also
    --------
    log_likelihood : The same error as a likelihood.

    Examples
    --------
    A unit with a trace of 1 that stands for x = 3 while x is 4, over five steps:

    >>> from types import SimpleNamespace
    >>> from skdendbal.metrics import decoder_loss
    >>> sums = SimpleNamespace(n_steps=5, sum_xx=80.0, sum_xz=[[20.0]], sum_zz=[[5.0]])
    >>> decoder_loss(sums, [[3.0]])
    0.5
    """
    sums, decoder = _find_sums(sums, decoder)
    decoder = check_array(decoder, dtype=np.float64, input_name="decoder")
    sum_xz = np.asarray(sums.sum_xz)
    if decoder.shape != sum_xz.shape:
        raise ValueError(
            f"decoder has shape {decoder.shape}, but sums.sum_xz has {sum_xz.shape}, which is "
            "(n_features, n_units): pass decoder weights of the network that was summed."
        )
    _check_steps(sums)
    error = sums.sum_xx + np.vdot(decoder, decoder @ sums.sum_zz - 2.0 * sum_xz)
    # The terms nearly cancel where the code is nearly perfect.
    return max(0.0, float(0.5 * error / len(decoder) / sums.n_steps))


def log_likelihood(sums, decoder, /):
    """Mean log-likelihood of the input under Gaussian noise around its reconstruction.

    The input x of a step is taken to be drawn from ``N(D z, v I)``, where v is the residual
    variance ``mean |x - D z|^2 / n_features``, that is, twice the decoder loss. Its mean
    log-likelihood is then ``-n_features / 2 * (log(2 pi v) + 1)``.

    Parameters
    ----------
    sums : object or DendriticBalanceCoder
        Sums over steps or a coder, as for :func:`decoder_loss`.
    decoder : array-like of shape (n_features, n_units) or (n_samples, n_features)
        Decoder weights D in the units of `sums`; or the data of a coder.

    Returns
    -------
    log_likelihood : float
        In nats per step; infinite for a perfect reconstruction.

    Raises
    ------
    NotFittedError, ValueError
        As in :func:`decoder_loss`.

    See Also
    --------
    decoder_loss : The error itself.
    skdendbal.DendriticBalanceCoder.score_samples : The likelihood of every row's code.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from skdendbal.metrics import log_likelihood
    >>> sums = SimpleNamespace(n_steps=5, sum_xx=80.0, sum_xz=[[20.0]], sum_zz=[[5.0]])
    >>> round(log_likelihood(sums, [[3.0]]), 3)
    -1.419
    """
    sums, decoder = _find_sums(sums, decoder)
    variance = 2.0 * decoder_loss(sums, decoder)
    with np.errstate(divide="ignore"):
        return float(-0.5 * len(decoder) * (np.log(2.0 * np.pi * variance) + 1.0))


def firing_rates(sums, dt, /):
    """Return the firing rate of every unit.

    Parameters
    ----------
    sums : object or DendriticBalanceCoder
        Sums over steps: attributes `n_steps` and `spike_counts` of shape (n_units,), the spikes.
        Or a fitted coder, to be presented with data.
    dt : float or array-like of shape (n_samples, n_features)
        Simulation step in ms; or the data of a coder.

    Returns
    -------
    rates : ndarray of shape (n_units,)
        Firing rates in Hz; their mean is the network's mean rate.

    Raises
    ------
    NotFittedError
        If the coder is not fitted.
    TypeError
        If `dt` is not a number.
    ValueError
        If `dt` is not positive, no step was summed, or the coder cannot take the data.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from skdendbal.metrics import firing_rates
    >>> firing_rates(SimpleNamespace(n_steps=1000, spike_counts=[0, 15]), 1.0)
    array([ 0., 15.])
    """
    if isinstance(sums, BaseEstimator):
        coder = sums
        sums, _ = _find_sums(coder, dt)
        dt = coder.settings_.dt
    check_scalar(dt, "dt", Real, min_val=0, include_boundaries="neither")
    _check_steps(sums)
    return np.asarray(sums.spike_counts) / (sums.n_steps * dt) * 1e3


@validate_params(
    {
        "spikes": [np.ndarray],
        "n_units": _COUNT,
        "n_rows": _COUNT,
        "presentation_time": _POSITIVE,
        "dt": _POSITIVE,
        "n_trials": _COUNT,
        "tau": _POSITIVE,
        "every": _POSITIVE,
    },
    prefer_skip_nested_validation=True,
)
def sample_traces(
    spikes, n_units, n_rows, *, presentation_time, dt, n_trials=1, tau=10.0, every=3.0
):
    """Sample the spike traces of recorded presentations.

    In each step a trace decays by ``exp(-dt / tau)``, then grows by one for a spike. Every
    presentation starts at rest, as in :meth:`skdendbal.DendriticBalanceCoder.simulate`.

    Parameters
    ----------
    spikes : ndarray of shape (n_spikes,)
        Structured array with the fields `row`, `trial`, `time` (ms from the onset of the row,
        start of the step in which the spike falls) and `unit`, in any order.
    n_units : int
        Number of units, silent ones included.
    n_rows : int
        Number of rows that were presented, those that evoked no spike included.
    presentation_time : float
        Duration of a presentation in ms.
    dt : float
        Simulation step in ms.
    n_trials : int, default=1
        Number of times each row was presented.
    tau : float, default=10.0
        Time constant of the traces in ms.
    every : float, default=3.0
        Interval between samples in ms, rounded to a whole number m of steps, at least one.

    Returns
    -------
    traces : ndarray of shape (n_rows * n_trials, n_samples, n_units)
        Traces after the steps m, 2 m, ... of each presentation, with the spikes of these steps
        included. The trials of a row follow one another.

    Raises
    ------
    ValueError
        If a parameter is out of its range, a presentation is shorter than one sampling interval,
        or `spikes` hold a row, trial, unit or time beyond those announced.

    See Also
    --------
    trace_correlations : Correlations between these traces.
    balance : How well they balance the input.

    Notes
    -----
    A stream through which traces carry over is a single long presentation: add
    ``presentation_time * row`` to the times and set the rows to zero.

    Examples
    --------
    >>> import numpy as np
    >>> from skdendbal.metrics import sample_traces
    >>> fields = [("row", int), ("trial", int), ("time", float), ("unit", int)]
    >>> spikes = np.array([(0, 0, 1.0, 0), (0, 0, 5.0, 0)], dtype=fields)
    >>> sample_traces(spikes, 2, n_rows=1, presentation_time=9, dt=1.0).round(3)
    array([[[0.905, 0.   ],
            [1.67 , 0.   ],
            [1.237, 0.   ]]])
    """
    n_steps, interval = (max(1, round(duration / dt)) for duration in (presentation_time, every))
    n_samples = n_steps // interval
    if n_samples == 0:
        raise ValueError(
            f"every={every} ms is longer than presentation_time={presentation_time} ms: "
            "lower every to have at least one sample."
        )
    steps = np.rint(spikes["time"] / dt)
    for name, found, parameter, limit in [
        ("row", spikes["row"], f"n_rows={n_rows}", n_rows),
        ("trial", spikes["trial"], f"n_trials={n_trials}", n_trials),
        ("unit", spikes["unit"], f"n_units={n_units}", n_units),
        ("step", steps, f"presentation_time={presentation_time}, dt={dt}", n_steps),
    ]:
        outside = found[~((found >= 0) & (found < limit))]  # nan included
        if len(outside) > 0:
            raise ValueError(
                f"spikes hold {name} {outside[0]:.0f}, counted from 0, but {parameter}: "
                "pass what was presented."
            )
    steps = steps.astype(np.int64)
    sample = steps // interval
    seen = sample < n_samples
    sample, steps, spikes = sample[seen], steps[seen], spikes[seen]
    presentation = spikes["row"] * n_trials + spikes["trial"]
    traces = np.zeros((n_rows * n_trials, n_samples, n_units))
    # What a spike adds to the next sample, which is (sample + 1) * interval steps after onset ...
    grown = np.exp((steps + 1 - (sample + 1) * interval) * (dt / tau))
    np.add.at(traces, (presentation, sample, spikes["unit"]), grown)
    # ... decays from there on.
    for k in range(1, n_samples):
        traces[:, k] += np.exp(-interval * dt / tau) * traces[:, k - 1]
    return traces


def trace_correlations(traces):
    """Pearson correlations between the spike traces of all pairs of units.

    Parameters
    ----------
    traces : array-like of shape (..., n_units)
        Sampled traces; all axes but the last count as samples.

    Returns
    -------
    correlations : ndarray of shape (n_units, n_units)
        Symmetric, with ones on the diagonal. The correlation of a constant trace, such as that
        of a silent unit, is undefined; it is given as 0 with all others.

    Raises
    ------
    ValueError
        If `traces` are not finite.

    See Also
    --------
    sample_traces : Traces from recorded spikes.

    Examples
    --------
    >>> from skdendbal.metrics import trace_correlations
    >>> trace_correlations([[0.0, 1.0, 0.0], [1.0, 0.5, 0.0], [2.0, 0.0, 0.0]]).round(3)
    array([[ 1., -1.,  0.],
           [-1.,  1.,  0.],
           [ 0.,  0.,  1.]])
    """
    z = _standardise(_as_samples(traces, "traces"))
    correlations = np.clip(z.T @ z, -1.0, 1.0)
    np.fill_diagonal(correlations, 1.0)
    return correlations


def balance(inputs, traces, weights):
    """Correlation of feedforward and recurrent current in the dendritic compartments.

    The compartment of input i on neuron j receives the feedforward current ``F_ji x_i`` and the
    recurrent current ``sum_k W^d_jik z_k``. A weight ``F_ji > 0`` cancels in their Pearson
    correlation over time (a negative one would change its sign), which is -1 if the recurrent
    current follows the input perfectly and 0 if not at all::

        r_ij = corr(x_i, sum_k W^d_jik z_k)

    With exact balance ``W^d_jik = -F_ji D_ik``. F_ji cancels here too, so one number per input
    holds for its compartments on all neurons.

    Parameters
    ----------
    inputs : array-like of shape (..., n_features)
        Input x at the sampled steps, faded in as it was presented; all axes but the last count
        as samples.
    traces : array-like of shape (..., n_units)
        Spike traces z at the same steps.
    weights : array-like of shape (n_features, n_units) or (n_features, n_units, n_units)
        Decoder weights D of a network with exact balance, or recurrent weights W^d: entry
        [i, j, k] from neuron k onto the compartment of input i on neuron j.

    Returns
    -------
    correlations : ndarray of shape (n_features,) or (n_features, n_units)
        Pearson correlation over samples, one for every input, or one for every compartment,
        where entry [i, j] belongs to input i on neuron j. It is 0 where one of the currents is
        constant.

    Raises
    ------
    ValueError
        If a value is not finite, the numbers of samples of `inputs` and `traces` differ, or the
        shape of `weights` does not fit.

    See Also
    --------
    sample_traces : Traces from recorded spikes.
    decoder_loss : Also depends on differences in size, to which a correlation is blind.

    Notes
    -----
    With somatic balance a neuron is a single compartment, with the currents ``(F x)_j`` and
    ``(W z)_j``, where W_jk is the weight from neuron k onto neuron j: these correlate by
    ``balance(X @ F.T, traces, -W)``.

    Examples
    --------
    >>> from skdendbal.metrics import balance
    >>> inputs = [[0.0, 1.0], [1.0, 1.0], [3.0, 1.0]]
    >>> traces = [[0.0], [0.5], [1.5]]
    >>> balance(inputs, traces, weights=[[2.0], [0.0]]).round(3)
    array([-1.,  0.])

    Of the two compartments of one input, the first is balanced:

    >>> balance([[0.0], [1.0], [3.0]], [[0, 0], [1, 0], [3, 1]], [[[-2, 0], [0, -1]]]).round(3)
    array([[-1.   , -0.945]])
    """
    x, z = _as_samples(inputs, "inputs"), _as_samples(traces, "traces")
    check_consistent_length(x, z)
    weights = check_array(weights, dtype=np.float64, allow_nd=True, input_name="weights")
    exact = x.shape[1], z.shape[1]
    learned = (*exact, z.shape[1])
    if weights.shape not in (exact, learned):
        raise ValueError(
            f"weights have shape {weights.shape}, but inputs and traces ask for {exact} (decoder) "
            f"or {learned} (dendrites): pass weights of the network that was sampled."
        )
    if weights.ndim == 2:
        weights = -weights
    # Recurrent currents are sums of traces, so a basis of the traces can replace the samples.
    basis, z = np.linalg.qr(_centre(z))
    x = _standardise(x).T @ basis
    currents = _unit(weights @ z.T, axis=-1)
    return np.clip(np.einsum("ik,i...k->i...", x, currents), -1.0, 1.0)


@validate_params({"axis": [Options(Integral, {0, 1})]}, prefer_skip_nested_validation=True)
def treves_rolls(codes, axis=0):
    """Compute the Treves-Rolls sparseness of non-negative responses r.

    It is ``(1 - mean(r)^2 / mean(r^2)) / (1 - 1 / n)`` over the n responses along `axis`: 0 if
    all are equal, 1 if all but one are zero.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_units)
        Firing rates or codes, in any unit.
    axis : {0, 1}, default=0
        0 is lifetime sparseness, over samples for each unit; 1 is population sparseness, over
        units for each sample.

    Returns
    -------
    sparseness : ndarray of shape (n_units,) or (n_samples,)
        Sparseness in [0, 1]. Responses that are all zero count as equal and give 0.

    Raises
    ------
    ValueError
        If `codes` are negative or not finite, or there are fewer than two along `axis`.

    References
    ----------
    .. [1] E. T. Rolls and M. J. Tovee, "Sparseness of the neuronal representation of stimuli in
       the primate temporal visual cortex", Journal of Neurophysiology 73(2), 713-726, 1995.
    .. [2] W. E. Vinje and J. L. Gallant, "Sparse coding and decorrelation in primary visual
       cortex during natural vision", Science 287(5456), 1273-1276, 2000.

    Examples
    --------
    >>> from skdendbal.metrics import treves_rolls
    >>> treves_rolls([[1.0, 0.5], [0.0, 0.5], [0.0, 0.5]])
    array([1., 0.])
    """
    codes = check_array(codes, dtype=np.float64, input_name="codes")
    check_non_negative(codes, "treves_rolls")
    n = codes.shape[axis]
    if n < 2:
        raise ValueError(
            f"codes of shape {codes.shape} hold {n} response along axis={axis}: pass 2 or more."
        )
    # For a vector of unit length the ratio of means is (sum r)^2 / n.
    total = _unit(codes, axis).sum(axis=axis)
    return np.where(total > 0.0, np.clip((1.0 - total**2 / n) / (1.0 - 1.0 / n), 0.0, 1.0), 0.0)


def dictionary_recovery(components, reference):
    """How well a learned dictionary recovers a known one.

    Components are assigned to reference atoms one to one, so that the sum of their absolute
    cosine similarities is largest. Order, sign and scale do not matter.

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        Learned dictionary.
    reference : array-like of shape (n_atoms, n_features)
        Known dictionary.

    Returns
    -------
    similarity : float
        Mean over reference atoms of the absolute cosine similarity to the assigned component,
        1 for perfect recovery. Zero vectors are similar to nothing.
    assignment : ndarray of shape (n_atoms,)
        Component assigned to each reference atom. Where there are more atoms than components,
        the atoms that are left over get -1 and count with similarity 0.

    Raises
    ------
    ValueError
        If a value is not finite or the numbers of features differ.

    Examples
    --------
    >>> from skdendbal.metrics import dictionary_recovery
    >>> dictionary_recovery([[0.0, -3.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]])
    (1.0, array([1, 0]))
    """
    components = check_array(components, dtype=np.float64, input_name="components")
    reference = check_array(reference, dtype=np.float64, input_name="reference")
    if components.shape[1] != reference.shape[1]:
        raise ValueError(
            f"components have {components.shape[1]} features, but reference has "
            f"{reference.shape[1]}: pass dictionaries of the same data."
        )
    similarity = np.abs(_unit(reference, axis=1) @ _unit(components, axis=1).T)
    atoms, matches = linear_sum_assignment(similarity, maximize=True)
    assignment = np.full(len(reference), -1)
    assignment[atoms] = matches
    return float(similarity[atoms, matches].sum() / len(reference)), assignment


def _find_sums(source, decoder):
    """Return sums and decoder; for a coder, present the data, and return both in their units."""
    if not isinstance(source, BaseEstimator):
        return source, decoder
    check_is_fitted(source)
    options = {"accept_sparse": "csr", "dtype": np.float64, "order": "C", "reset": False}
    X = validate_data(source, decoder, **options)
    X = X.toarray() if issparse(X) else X
    scale = source.scale_
    sums, _ = network.evaluate(source.network_, source.settings_, X, scale)
    sums.sum_xx *= scale**2
    sums.sum_xz *= scale
    return sums, scale * source.network_.decoder


def _check_steps(sums):
    if sums.n_steps == 0:
        raise ValueError("sums.n_steps=0: evaluate at least one stimulus.")


def _as_samples(values, name):
    """Flatten values of shape (..., n) to shape (n_samples, n)."""
    values = check_array(values, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name)
    return values.reshape(-1, values.shape[-1])


def _unit(vectors, axis):
    """Scale vectors along an axis to unit length; zero vectors stay zero."""
    # Divide by the largest entry first, so that squares neither overflow nor vanish.
    largest = np.abs(vectors).max(axis=axis, keepdims=True)
    vectors = vectors / np.where(largest > 0.0, largest, 1.0)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=axis, keepdims=True), 1.0)


def _centre(samples):
    """Subtract the means of columns; constant columns become zero."""
    # Subtracting the first sample makes a constant exactly zero, however its mean is rounded.
    samples = samples - samples[0]
    return samples - samples.mean(axis=0)


def _standardise(samples):
    """Centre columns and scale them to unit length; constant columns become zero."""
    return _unit(_centre(samples), axis=0)
