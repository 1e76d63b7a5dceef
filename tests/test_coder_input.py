"""The estimator with hostile input: data and parameters that are odd or wrong."""

import copy
import re
import warnings

import numpy as np
import pytest
from coders import DIGITS, FAST, SHORT_FITS
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skdendbal import DendriticBalanceCoder
from skdendbal.rules import Dendritic, DendriticSlow
from skdendbal.settings import Neuron


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[np.nan, 1.0]], "Input X contains NaN"),
        ([[np.inf, 1.0]], "Input X contains infinity"),
        (np.empty((0, 3)), "Found array with 0 sample"),
        (np.empty((3, 0)), r"Found array with 0 feature\(s\)"),
        ([1.0, 2.0], "Expected 2D array, got 1D array"),
        (np.zeros((2, 2, 2)), "Found array with dim 3"),
        ([["a", "b"]], "could not convert string to float"),
        (np.array([[1.0 + 1.0j]]), "Complex data not supported"),
    ],
)
def test_refused_input(digits_coder, X, message):
    for call in (DendriticBalanceCoder().fit, DendriticBalanceCoder().partial_fit):
        with pytest.raises(ValueError, match=message):
            call(X)
    fitted = copy.deepcopy(digits_coder)
    for call in (fitted.transform, fitted.fit, fitted.partial_fit, fitted.simulate, fitted.score):
        with pytest.raises(ValueError, match=message):
            call(X)
    assert np.array_equal(fitted.transform(DIGITS[:9]), digits_coder.transform(DIGITS[:9]))


def test_wrong_number_of_features(digits_coder):
    message = "X has 3 features, but DendriticBalanceCoder is expecting 64 features"
    for call in (digits_coder.transform, digits_coder.simulate, digits_coder.score):
        with pytest.raises(ValueError, match=message):
            call(DIGITS[:, :3])
    with pytest.raises(ValueError, match=r"X has 3 columns, but .* has 32 components"):
        digits_coder.inverse_transform(DIGITS[:, :3])


def test_not_fitted():
    coder = DendriticBalanceCoder()
    for method in ("transform", "inverse_transform", "simulate", "score"):
        with pytest.raises(NotFittedError):
            getattr(coder, method)(DIGITS)
    with pytest.raises(NotFittedError):
        coder.get_feature_names_out()


RNG = np.random.default_rng(5)


ODD_DATA = {
    "one row": DIGITS[:1],
    "one feature": RNG.random((100, 1)),
    "one value": [[3.0]],
    "constant features": np.hstack([np.ones((60, 3)), RNG.random((60, 2))]),
    "constant": np.ones((40, 5)),
    "zero rows": np.vstack([DIGITS[:40], np.zeros((40, 64))]),
    "all zero": np.zeros((50, 4)),
    "huge": 1e12 * RNG.standard_normal((50, 4)),
    "tiny": 1e-12 * RNG.standard_normal((50, 4)),
    "near overflow": 1e308 * RNG.random((20, 4)),
    "near underflow": 5e-324 * np.arange(40).reshape(10, 4),
    "mixed scales": RNG.standard_normal((50, 4)) * [1e-9, 1.0, 1e6, 1e12],
    "one outlier": np.vstack([RNG.standard_normal((80, 4)), 1e9 * np.ones((1, 4))]),
    "integers": (255 * RNG.random((60, 8))).astype(np.uint8),
    "booleans": RNG.random((60, 8)) > 0.5,
    "negative": -RNG.random((60, 8)),
    "objects": RNG.random((60, 3)).astype(object),
    "more features than rows": RNG.standard_normal((5, 300)),
}


@pytest.mark.parametrize("n_components", [None, 30])
@pytest.mark.parametrize("X", ODD_DATA.values(), ids=ODD_DATA)
def test_odd_data_give_finite_codes(X, n_components):
    coder = DendriticBalanceCoder(n_components, max_iter=30, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the fit is short
        codes = coder.fit_transform(X)
    assert np.isfinite(codes).all()
    assert (codes >= 0).all()
    assert np.isfinite(coder.components_).all()
    assert np.isfinite(coder.firing_rates_).all()
    assert np.isfinite(coder.loss_curve_).all()
    coder.partial_fit(X)
    assert np.isfinite(coder.transform(X)).all()


@pytest.mark.parametrize("name", ["near underflow", "near overflow", "mixed scales", "integers"])
@SHORT_FITS
def test_results_do_not_depend_on_how_numpy_treats_errors(name):
    X = ODD_DATA[name]
    codes = DendriticBalanceCoder(5, **FAST).fit_transform(X)
    with np.errstate(all="raise"):
        coder = DendriticBalanceCoder(5, **FAST).fit(X)
        coder.partial_fit(X)
        assert np.isfinite(coder.inverse_transform(coder.transform(X))).all()
        coder.score(X)
        coder.simulate(X)
        assert np.array_equal(coder.fit(X).transform(X), codes)
        coder.score_samples(X)


@pytest.mark.parametrize("learning_rule", ["dendritic", "somatic"])
def test_nan_that_was_assumed_to_be_finite_is_found(learning_rule):
    X = DIGITS[:200].copy()
    X[70, 3] = np.nan
    coder = DendriticBalanceCoder(5, learning_rule=learning_rule, **FAST)
    with config_context(assume_finite=True):
        for fit in (coder.fit, coder.partial_fit):
            with pytest.raises(ValueError, match="Input X contains NaN"):
                fit(X)
    assert not hasattr(coder, "components_")


@pytest.mark.parametrize("factor", [1e-300, 1e-12, 1e12, 1e300])
def test_rows_far_off_the_scale_give_finite_codes(digits_coder, factor):
    codes = digits_coder.transform(factor * DIGITS[:20])
    assert np.isfinite(codes).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        coder = DendriticBalanceCoder(8, input_scale=1.0, **FAST).fit(factor * DIGITS[:200])
    assert np.isfinite(coder.transform(factor * DIGITS[:20])).all()
    assert np.isfinite(coder.components_).all()


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.integers(1, 12),
    st.floats(-20, 20),
    st.sampled_from([1, 3, 16]),
    st.sampled_from([0.02, 0.3, 2.0]),
    st.sampled_from([0.1, 1.0, 7.0]),
    st.booleans(),
)
def test_no_parameters_or_data_lead_to_nan(
    seed, n_features, n_components, log_scale, batch_size, noise, dt, one_spike
):
    rng = np.random.default_rng(seed)
    X = 10.0**log_scale * rng.standard_normal((30, n_features)) ** 3
    coder = DendriticBalanceCoder(
        n_components,
        neuron=Neuron(one_spike_per_step=one_spike),
        rate=10.0,
        batch_size=batch_size,
        noise=noise,
        dt=dt,
        presentation_time=35.0,
        max_iter=5,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        codes = coder.fit_transform(X)
    assert np.isfinite(codes).all()
    assert np.isfinite(coder.components_).all()


def test_all_zero_data_are_no_fault():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coder = DendriticBalanceCoder(random_state=0).fit(np.zeros((100, 3)))
    assert np.array_equal(coder.components_, np.zeros((3, 3)))
    np.testing.assert_allclose(coder.firing_rates_, 50.0, rtol=0.1)


@pytest.mark.parametrize(
    "learning_rule", ["dendritic-decay", DendriticSlow(pruned=0.5), "dendritic-simultaneous"]
)
def test_rules_that_need_input_that_is_not_negative_refuse_others(learning_rule):
    coder = DendriticBalanceCoder(4, learning_rule=learning_rule, **FAST)
    assert coder.__sklearn_tags__().input_tags.positive_only
    with pytest.raises(ValueError, match=r"Negative values in data passed to .*OnOffSplitter"):
        coder.fit(-DIGITS)
    with pytest.raises(ValueError, match="Negative values in data passed to"):
        coder.fit(DIGITS).transform(-DIGITS)
    assert not DendriticBalanceCoder().__sklearn_tags__().input_tags.positive_only


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"learning_rule": "dendritic-decay", "n_components": 1000},
            r"64 \* 1000\^2 numbers,.* take 1\.91 GiB of 1 GiB.* Lower n_components",
        ),
        (
            {"n_components": 5000},
            r"n_components=5000 .* take 1\.5 GiB of 1 GiB. Lower n_components",
        ),
        (
            {"n_components": 64, "batch_size": 500_000},
            r"batch_size=500000 .* take 1\.43 GiB of 1 GiB. Lower n_components or batch_size",
        ),
    ],
)
def test_networks_beyond_memory_are_refused(monkeypatch, params, message):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**18}  # 1 GiB
    monkeypatch.setattr("skdendbal._memory.os.sysconf", pages.get)
    coder = DendriticBalanceCoder(**params, **FAST)
    for fit in (coder.fit, coder.partial_fit):
        with pytest.raises(MemoryError, match=message):
            fit(DIGITS)
        assert not hasattr(coder, "components_")


def test_one_neuron_for_each_of_many_features_is_refused():
    message = r"n_components=None .* 20000 features.* 38\.7 GiB of memory and hours"
    with pytest.raises(ValueError, match=message):
        DendriticBalanceCoder().fit(np.ones((3, 20_000)))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n_components", 0),
        ("n_components", 2.5),
        ("learning_rule", "hebbian"),
        ("learning_rule", Dendritic),
        ("rate", 0.0),
        ("rate", "fast"),
        ("noise", 0.0),
        ("noise", "high"),
        ("noise", 1e-200),
        ("tau", 1e200),
        ("dt", -1.0),
        ("tau", 0.0),
        ("presentation_time", None),
        ("max_iter", 0),
        ("horizon", 1.5),
        ("batch_size", 0),
        ("learning_rate", -0.1),
        ("input_scale", 0.0),
        ("shuffle", "yes"),
        ("random_state", "seed"),
        ("n_jobs", 1.5),
        ("n_jobs", 0),
    ],
)
def test_wrong_parameters(parameter, value):
    coder = DendriticBalanceCoder(**{parameter: value})
    message = f"The '{parameter}' parameter of DendriticBalanceCoder must be"
    with pytest.raises(ValueError, match=message):
        coder.fit(DIGITS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("parameter", ["rate", "noise", "dt", "tau", "presentation_time"])
def test_parameters_must_be_finite(parameter, value):
    with pytest.raises(ValueError, match=parameter):
        DendriticBalanceCoder(**{parameter: value}).fit(DIGITS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dt": 11.0, "presentation_time": 10.0}, "make 0.909 steps, which must be from 1 to"),
        ({"dt": 1e-5}, "make 1e+07 steps"),
        ({"rate": 30.0, "dt": 1.0, "n_components": 40}, "needs 1.2 spikes a step"),
        (
            {"rate": 1500.0, "dt": 1.0, "neuron": Neuron(one_spike_per_step=False)},
            "needs 1.5 spikes a step",
        ),
    ],
)
def test_contradictory_parameters(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        DendriticBalanceCoder(**parameters).fit(DIGITS)
