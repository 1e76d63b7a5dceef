"""Balanced codes: non-negative least squares among the neurons that spiked."""

import itertools
import pickle

import numpy as np
import pytest
from coders import DIGITS, FAST, SHORT_FITS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from sklearn.linear_model import Lasso
from sklearn.utils._param_validation import InvalidParameterError

from skdendbal import DendriticBalanceCoder
from skdendbal._kernels.settling import STIFFNESS
from skdendbal._settling import Settling
from skdendbal.rules import RULES

SIGNED = np.random.default_rng(0).laplace(size=(600, 12)) @ np.random.default_rng(1).normal(
    size=(12, 12)
)


@pytest.fixture(scope="module")
def coder():
    return DendriticBalanceCoder(32, code="balanced", max_iter=4, random_state=0).fit(DIGITS)


def rates_of(coder, X):
    """Codes before they settle."""
    return pickle.loads(pickle.dumps(coder)).set_params(code="rate").transform(X)


def twin(rates, X, components, stiffness=0.0):
    """Least squares by scipy, among the neurons that spiked; rates may be held where they were."""
    codes = np.zeros_like(rates)
    for code, rate, x in zip(codes, rates, X, strict=True):
        active = rate > 0.0
        if active.any():  # scipy aborts on empty matrices
            held = np.sqrt(stiffness) * np.linalg.norm(components[active], axis=1)
            matrix = np.vstack([components[active].T, np.diag(held)])
            code[active] = nnls(matrix, np.concatenate([x, held * rate[active]]))[0]
    return codes


def assert_close(codes, expected):
    np.testing.assert_allclose(codes, expected, rtol=1e-6, atol=1e-6 * expected.max())


@SHORT_FITS
@pytest.mark.parametrize("learning_rule", sorted(RULES))
def test_codes_are_least_squares_for_every_rule(learning_rule):
    params = {"learning_rule": learning_rule, "random_state": 0, "max_iter": 2}
    coder = DendriticBalanceCoder(9, code="balanced", **params).fit(DIGITS[:500])
    codes = coder.transform(DIGITS[:100])
    rates = rates_of(coder, DIGITS[:100])
    assert not np.array_equal(codes, rates)
    assert_close(codes, twin(rates, DIGITS[:100], coder.components_))


@pytest.mark.parametrize("presentation_time", [1.0, 5.0, 100.0])
@pytest.mark.parametrize("decoder", ["online", "refit"])
@SHORT_FITS
def test_codes_of_signed_data_are_least_squares(decoder, presentation_time):
    coder = DendriticBalanceCoder(
        20, code="balanced", decoder=decoder, max_iter=10, random_state=0
    ).fit(SIGNED)
    coder.set_params(presentation_time=presentation_time)
    X = SIGNED[:200]
    codes, rates = coder.transform(X), rates_of(coder, X)
    # if about as many neurons have spiked as there are inputs, many codes have the same error
    is_unique = (rates > 0.0).sum(axis=1) < X.shape[1] - 2
    assert is_unique.any()
    expected = twin(rates, X, coder.components_)
    assert_close(codes[is_unique], expected[is_unique])
    assert_close(codes, twin(rates, X, coder.components_, stiffness=STIFFNESS))


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_units=st.integers(1, 24),
    n_features=st.integers(1, 16),
    kind=st.sampled_from(["signed", "positive", "duplicates", "zeros", "nearly parallel"]),
    exponent=st.sampled_from([-100, 0, 100]),
)
@example(seed=20000, n_units=10, n_features=7, kind="signed", exponent=-100)  # nearly dependent
def test_any_atoms_lead_to_the_least_error(seed, n_units, n_features, kind, exponent):
    rng = np.random.default_rng(seed)
    components = rng.standard_normal((n_units, n_features))
    if kind == "positive":
        components = np.abs(components)
    elif kind == "duplicates":
        components = components[rng.integers(n_units, size=n_units)]
    elif kind == "zeros":
        components[rng.random(n_units) < 0.5] = 0.0
    elif kind == "nearly parallel":
        components = components[0] + 1e-3 * components
    X = rng.standard_normal((4, n_features))
    rates = rng.random((4, n_units)) * (rng.random((4, n_units)) < 0.7)
    scale = 10.0**exponent
    codes = rates.copy()
    Settling(scale * components, scale).settle(scale * X, codes)
    fewer, less, more = rates.copy(), rates.copy(), rates.copy()
    Settling(scale * components, scale).settle(scale * X, fewer, min_contribution=0.1)
    Settling(scale * components, scale).settle(scale * X, less, shrinkage=0.1)
    Settling(scale * components, scale).settle(scale * X, more, recruitment=True)
    for settled in (codes, fewer, less, more):
        assert np.isfinite(settled).all()
        assert (settled >= 0.0).all()
    for settled in (codes, fewer, less):
        assert (settled[rates == 0.0] == 0.0).all()
    for settled, among in ((codes, rates), (more, np.ones_like(rates))):
        best = twin(among, X, components)
        least = squared_errors(X, best, components)
        assert (squared_errors(X, settled, components) > least - 1e-6).all()
        # together with the work of the force that holds rates, the error of no code is less
        bound = least + work(rates, best, components)
        found = squared_errors(X, settled, components) + work(rates, settled, components)
        assert (found < bound + 1e-6).all()


def squared_errors(X, codes, components):
    """The squared error of every row."""
    return ((X - codes @ components) ** 2).sum(axis=1)


def work(rates, codes, components):
    """Twice the work, for every row, of the force that holds rates where they were."""
    return STIFFNESS * ((codes - rates) ** 2 @ (components**2).sum(axis=1))


def error(components, x, active):
    """The least squared error of a row with some atoms, and the rates that attain it."""
    if not active.any():
        return x @ x, np.empty(0)
    rates, _ = nnls(components[active].T, x)
    return np.square(x - rates @ components[active]).sum(), rates


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_units=st.integers(1, 12),
    is_positive=st.booleans(),
    shrinkage=st.sampled_from([0.0, 0.1, 0.5]),
    min_contribution=st.floats(0.01, 1.0),
    exponent=st.sampled_from([-100, 0, 100]),
)
def test_entries_that_contribute_little_are_dropped(
    seed, n_units, is_positive, shrinkage, min_contribution, exponent
):
    rng = np.random.default_rng(seed)
    components = rng.standard_normal((n_units, 16))
    if is_positive:
        components = np.abs(components)
    x, scale = rng.standard_normal(16) + components.sum(axis=0), 10.0**exponent
    codes = np.ones((1, n_units))
    Settling(scale * components, scale).settle(
        scale * x[np.newaxis], codes, shrinkage, min_contribution
    )
    # shrinking is least squares for another row
    x = x - shrinkage * np.linalg.lstsq(components, np.linalg.norm(components, axis=1))[0]
    # take out the entry without which unconstrained least squares lose least, one at a time
    active = np.ones(n_units, dtype=bool)
    while True:
        _, rates = error(components, x, active)
        active[active] = rates > 0.0
        losses = np.full(n_units, np.inf)
        for unit in np.flatnonzero(active):
            others = components[active & (np.arange(n_units) != unit)]
            residuals = x - np.linalg.lstsq(others.T, x)[0] @ others
            losses[unit] = residuals @ residuals - error(components, x, active)[0]
        if not losses.min() < min_contribution:
            break
        active[losses.argmin()] = False
    expected = np.zeros(n_units)
    expected[active] = error(components, x, active)[1]
    assert_close(codes[0], expected) if active.any() else np.testing.assert_array_equal(codes, 0)


@pytest.mark.parametrize("transform_time", [1.0, 100.0])
@pytest.mark.parametrize("recruitment", [False, True])
@pytest.mark.parametrize("shrinkage", [0.05, 0.3])
def test_shrunk_codes_are_a_lasso(coder, shrinkage, recruitment, transform_time):
    """Among the neurons that spiked, or among all of them with recruitment."""
    X = DIGITS[:60]
    coder = pickle.loads(pickle.dumps(coder)).set_params(
        shrinkage=shrinkage, recruitment=recruitment, transform_time=transform_time
    )
    codes = coder.transform(X)
    components, spiked = coder.components_, rates_of(coder, X) > 0.0
    norms = np.linalg.norm(components, axis=1)
    lasso = Lasso(
        shrinkage * coder.scale_ / X.shape[1],
        positive=True,
        fit_intercept=False,
        tol=1e-12,
        max_iter=100_000,
    )
    for code, active, x in zip(codes, spiked | recruitment, X, strict=True):
        lasso.fit((components[active] / norms[active, np.newaxis]).T, x)
        assert_close(code[active] * norms[active], lasso.coef_)
        assert (code[~active] == 0.0).all()


@SHORT_FITS
@pytest.mark.parametrize("recruitment", [False, True])
def test_with_recruitment_components_do_not_depend_on_the_time_to_code(recruitment):
    params = {"code": "balanced", "shrinkage": 0.1, "random_state": 0, "max_iter": 2}
    short, long = (
        DendriticBalanceCoder(9, transform_time=time, recruitment=recruitment, **params).fit(
            DIGITS
        )
        for time in (1.0, 100.0)
    )
    assert np.array_equal(short.components_, long.components_) == recruitment


@pytest.mark.parametrize("min_contribution", [0.002, 0.02])
def test_recruits_contribute_enough(coder, min_contribution):
    X = DIGITS[:200]
    coder = pickle.loads(pickle.dumps(coder)).set_params(
        transform_time=2.0, min_contribution=min_contribution
    )
    without = coder.transform(X)
    codes = coder.set_params(recruitment=True).transform(X)
    assert (codes[without == 0.0] > 0.0).any()
    least = min_contribution * coder.scale_**2
    errors = np.square(X - codes @ coder.components_).sum(axis=1)
    assert errors.mean() < np.square(X - without @ coder.components_).sum(axis=1).mean()
    for code, x, expected in zip(codes, X, errors, strict=True):
        active = code > 0.0
        for unit in np.flatnonzero(active):
            others = active.copy()
            others[unit] = False
            assert error(coder.components_, x, others)[0] > expected + 0.999 * least


def test_few_large_contributions_explain_more_than_many_spikes_cut_short(coder):
    """At equal numbers of active entries, long presentations and dropping beat short ones."""
    codes = {
        params: pickle.loads(pickle.dumps(coder))
        .set_params(transform_time=params[0], min_contribution=params[1])
        .transform(DIGITS)
        for params in ((2.0, 0.0), (20.0, 0.012))
    }
    short, dropped = codes.values()
    assert np.count_nonzero(dropped) < np.count_nonzero(short)
    short, dropped = (np.square(DIGITS - z @ coder.components_).sum() for z in (short, dropped))
    assert dropped < 0.95 * short


def test_values_at_the_ends_of_the_range_lead_to_finite_codes():
    for size in (1e-300, 1e-160, 1e150, 1e300):
        for scale in (1e-200, 1.0, 1e200):
            codes = np.ones((3, 4))
            X = np.array([[size, 0.0], [-size, size], [0.0, 0.0]])
            Settling(np.array([[size, 0.0], [0.0, -size], [1.0, 1.0], [0.0, 0.0]]), scale).settle(
                X, codes
            )
            assert np.isfinite(codes).all()


def test_balance_leaves_no_potential(coder):
    X = DIGITS[:300]
    codes = coder.transform(X)
    potentials = (X - codes @ coder.components_) @ coder.components_.T
    largest = np.abs(X @ coder.components_.T).max()
    assert np.abs(potentials[codes > 0.0]).max() < 1e-9 * largest
    fell_silent = (codes == 0.0) & (rates_of(coder, X) > 0.0)
    assert fell_silent.any()
    assert potentials[fell_silent].max() < 1e-9 * largest


def test_balanced_codes_explain_more_the_shorter_the_presentation(coder):
    gains = []
    for presentation_time in (5.0, 20.0, 100.0):
        scores = [
            pickle.loads(pickle.dumps(coder))
            .set_params(code=code, presentation_time=presentation_time)
            .score(DIGITS)
            for code in ("rate", "balanced")
        ]
        gains.append(scores[1] - scores[0])
    assert gains[0] > gains[1] > gains[2] > 0.0


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"shrinkage": 0.1, "min_contribution": 0.01},
        {"shrinkage": 0.1, "recruitment": True},
        {"min_contribution": 0.01, "recruitment": True},
    ],
)
def test_codes_do_not_depend_on_what_else_is_coded(coder, params):
    X = DIGITS[:300]
    coder = pickle.loads(pickle.dumps(coder)).set_params(**params)
    codes = coder.transform(X)
    order = np.random.default_rng(0).permutation(300)
    assert np.array_equal(coder.transform(X[order]), codes[order])
    assert np.array_equal(np.vstack([coder.transform(x[None]) for x in X[:50]]), codes[:50])
    assert np.array_equal(coder.transform(np.asfortranarray(X)), codes)
    threads = pickle.loads(pickle.dumps(coder)).set_params(n_jobs=2)
    assert np.array_equal(threads.transform(X), codes)
    assert np.array_equal(coder.transform(X.astype(np.float32)), codes.astype(np.float32))


def test_code_may_change_after_fit(coder):
    other = DendriticBalanceCoder(32, max_iter=4, random_state=0).fit(DIGITS)
    assert np.array_equal(other.components_, coder.components_)
    codes = other.set_params(code="balanced").transform(DIGITS[:50])
    assert np.array_equal(codes, coder.transform(DIGITS[:50]))
    with pytest.raises(InvalidParameterError, match="'code' parameter"):
        other.set_params(code="other").transform(DIGITS[:50])
    other.set_params(code="balanced")
    wrong = itertools.product(("shrinkage", "min_contribution"), (-1.0, np.inf))
    for name, value in (*wrong, ("recruitment", "all")):
        with pytest.raises(InvalidParameterError, match=f"'{name}' parameter"):
            pickle.loads(pickle.dumps(other)).set_params(**{name: value}).transform(DIGITS[:50])


def test_codes_settle_for_the_components_as_they_are(coder):
    other = pickle.loads(pickle.dumps(coder))
    other.components_[:4] *= 2.0  # in place
    codes, expected = other.transform(DIGITS[:50]), coder.transform(DIGITS[:50])
    assert_close(2.0 * codes[:, :4], expected[:, :4])
    assert_close(codes[:, 4:], expected[:, 4:])


@SHORT_FITS
def test_streams_have_balanced_codes_too():
    coder = DendriticBalanceCoder(9, code="balanced", random_state=0)
    for _ in range(3):
        coder.partial_fit(DIGITS)
    codes = coder.transform(DIGITS[:50])
    assert_close(codes, twin(rates_of(coder, DIGITS[:50]), DIGITS[:50], coder.components_))


@SHORT_FITS
def test_rows_without_spikes_have_empty_codes():
    coder = DendriticBalanceCoder(4, code="balanced", **FAST).fit(np.zeros((80, 3)))
    assert not coder.transform(np.zeros((5, 3))).any()
