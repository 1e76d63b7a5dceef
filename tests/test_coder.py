"""The estimator: scikit-learn's contract, purity, stability, hostile input, interruption."""

import copy
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import (
    check_estimators_dtypes,
    check_estimators_nan_inf,
    check_estimators_pickle,
    check_fit2d_1feature,
    check_fit2d_1sample,
    check_methods_sample_order_invariance,
    check_positive_only_tag_during_fit,
    check_readonly_memmap_input,
    check_transformer_general,
    parametrize_with_checks,
)

import skdendbal
from skdendbal import DendriticBalanceCoder
from skdendbal.coder import _threads
from skdendbal.rules import RULES, Dendritic, DendriticSlow, Somatic

DIGITS = load_digits().data / 16
FAST = {"max_iter": 1, "random_state": 0}
SHORT_FITS = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def as_bytes(network):
    """Every bit of a network's state."""
    state = {**vars(network), **network.weights}
    del state["weights"]
    return {name: np.asarray(value).tobytes() for name, value in state.items()}


@pytest.fixture(scope="module")
def digits_coder():
    return DendriticBalanceCoder(32, max_iter=3, random_state=0).fit(DIGITS)


@pytest.fixture(scope="module")
def signed_coder():
    X = np.random.default_rng(0).standard_normal((300, 20))
    return DendriticBalanceCoder(40, max_iter=20, random_state=0).fit(X), X


# scikit-learn's contract


@parametrize_with_checks(
    [
        DendriticBalanceCoder(),
        DendriticBalanceCoder(1, max_iter=20, rate=30.0, shuffle=False),
        DendriticBalanceCoder(5, max_iter=50, batch_size=1, dt=1.0, n_jobs=2),
        DendriticBalanceCoder(12, max_iter=50, input_scale=2.0, tau=20.0, noise=0.1, horizon=300),
        DendriticBalanceCoder(max_iter=50, learning_rule="somatic"),
        DendriticBalanceCoder(
            max_iter=50,
            learning_rule=Dendritic(one_spike_per_step=False, scaled_bias=True),
            presentation_time=40.0,
            learning_rate=0.5,
        ),
    ]
)
@SHORT_FITS
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        check_estimators_dtypes,
        check_estimators_nan_inf,
        check_estimators_pickle,
        check_fit2d_1feature,
        check_fit2d_1sample,
        check_methods_sample_order_invariance,
        check_positive_only_tag_during_fit,
        check_readonly_memmap_input,
        check_transformer_general,
    ],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize("learning_rule", sorted(set(RULES) - {"dendritic", "somatic"}))
@SHORT_FITS
def test_scikit_learn_checks_of_other_rules(learning_rule, check):
    coder = DendriticBalanceCoder(max_iter=10, learning_rule=learning_rule)
    check(type(coder).__name__, coder)


@pytest.mark.parametrize("learning_rule", RULES)
def test_every_rule_learns_digits(learning_rule):
    coder = DendriticBalanceCoder(16, learning_rule=learning_rule, max_iter=12, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        coder.fit(DIGITS)
    assert coder.score(DIGITS) > 0.5


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


def test_dendritic_weights_beyond_memory_are_refused(monkeypatch):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**18}  # 1 GiB
    monkeypatch.setattr("skdendbal.rules.os.sysconf", pages.get)
    coder = DendriticBalanceCoder(1000, learning_rule="dendritic-decay", **FAST)
    with pytest.raises(MemoryError, match=r"64 \* 1000\^2 numbers .* take 1\.91 GiB of 1 GiB"):
        coder.fit(DIGITS)
    assert not hasattr(coder, "components_")


@pytest.mark.parametrize("learning_rule", sorted(set(RULES) - {"dendritic-simultaneous"}))
@SHORT_FITS
def test_large_batches_code_as_well(learning_rule):
    scores = [
        DendriticBalanceCoder(
            16, learning_rule=learning_rule, batch_size=size, max_iter=12, random_state=0
        )
        .fit(DIGITS)
        .score(DIGITS)
        for size in (16, 256)
    ]
    assert scores[1] > scores[0] - 0.03


def test_delay():
    def codes(**parameters):
        coder = DendriticBalanceCoder(16, random_state=0, max_iter=4, **parameters)
        return coder.fit(DIGITS).transform(DIGITS)

    assert np.array_equal(codes(delay=0.25), codes())  # one step
    assert np.array_equal(codes(dt=0.5, delay=1.9, noise=0.1), codes(dt=0.5, delay=2.0, noise=0.1))
    assert not np.array_equal(codes(delay=0.5), codes())
    for delay in (0.1, 100.0):
        with pytest.raises(ValueError, match=rf"delay={delay} ms must be at least dt=0\.25 ms"):
            codes(delay=delay)
    coder = DendriticBalanceCoder(16, delay=1.0, **FAST).fit(DIGITS)
    with pytest.raises(ValueError, match="delay in steps changed from 4 to 8"):
        coder.set_params(delay=2.0).partial_fit(DIGITS)


@pytest.mark.parametrize(("delay", "least"), [(1.0, 0.82), (3.0, 0.7), (5.0, 0.6)])
def test_noise_grows_with_the_delay(delay, least):
    # neurons that learn too late of each other's spikes need more noise to keep them apart
    params = {"n_components": 64, "delay": delay, "max_iter": 10, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        coder = DendriticBalanceCoder(**params).fit(DIGITS)
    assert coder.score(DIGITS) > least
    assert coder.score(DIGITS) > DendriticBalanceCoder(noise=0.025, **params).fit(DIGITS).score(
        DIGITS
    )


def test_attributes(digits_coder):
    coder = digits_coder
    assert coder.components_.shape == (32, 64)
    assert coder.n_features_in_ == 64
    assert coder.n_iter_ == 3
    assert coder.n_steps_ == 3 * 1797 // 64
    assert isinstance(coder.seed_, int)
    assert coder.scale_ == pytest.approx(np.sqrt((DIGITS**2).sum(axis=1).mean()), rel=1e-12)
    assert coder.firing_rates_.shape == (32,)
    D = coder.components_ / coder.scale_
    np.testing.assert_allclose(coder.weights_["recurrent"], -D @ D.T, rtol=1e-10)
    assert coder.n_silent_units_ == 0
    assert coder.to_hz_ == pytest.approx(1000 * (1 - np.exp(-0.025)) / 0.25)
    assert list(coder.get_feature_names_out()[:2]) == [
        "dendriticbalancecoder0",
        "dendriticbalancecoder1",
    ]


def test_loss_curve_has_a_point_for_every_hundredth_and_falls():
    loss = DendriticBalanceCoder(32, max_iter=5, random_state=0).fit(DIGITS).loss_curve_
    assert 95 <= len(loss) <= 145  # of 140 updates
    assert loss[-10:].mean() < 0.3 * loss[:3].mean()


def test_default_fit_makes_40000_presentations():
    coder = DendriticBalanceCoder(2, batch_size=10, random_state=0).fit(DIGITS[:300])
    assert coder.n_iter_ == 134
    assert coder.n_steps_ == 134 * 300 // 10


def test_identity_of_codes_and_components(digits_coder):
    codes = digits_coder.transform(DIGITS)
    reconstruction = codes @ digits_coder.components_
    assert np.array_equal(digits_coder.inverse_transform(codes), reconstruction)
    assert codes.min() == 0.0
    assert 0.01 < codes.mean() < 1.0
    assert digits_coder.score(DIGITS) == pytest.approx(
        1 - ((DIGITS - reconstruction) ** 2).sum() / ((DIGITS - DIGITS.mean(axis=0)) ** 2).sum()
    )


@pytest.mark.parametrize("dt", [0.1, 0.5, 1.0])
def test_reconstruction_is_unbiased_at_any_step(dt):
    # a decoder that decays makes it a few per cent smaller, as do steps with almost one spike each
    params = {"learning_rule": Dendritic(decoder_decay=0.0), "rate": 20.0, "max_iter": 4}
    coder = DendriticBalanceCoder(32, dt=dt, random_state=0, **params).fit(DIGITS)
    for presentation_time in (60.0, 300.0):
        coder.set_params(presentation_time=presentation_time)
        reconstruction = coder.inverse_transform(coder.transform(DIGITS))
        assert reconstruction.sum() / DIGITS.sum() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_output_has_the_precision_of_the_input(digits_coder, dtype):
    codes = digits_coder.transform(DIGITS.astype(dtype))
    assert codes.dtype == dtype
    assert digits_coder.inverse_transform(codes).dtype == dtype
    assert DendriticBalanceCoder(4, **FAST).fit_transform(DIGITS.astype(dtype)).dtype == dtype


def test_fit_transform_is_fit_then_transform():
    codes = DendriticBalanceCoder(6, **FAST).fit_transform(DIGITS)
    assert np.array_equal(codes, DendriticBalanceCoder(6, **FAST).fit(DIGITS).transform(DIGITS))


@SHORT_FITS
def test_data_frames():
    frame = pd.DataFrame(DIGITS[:100], columns=[f"pixel{i}" for i in range(64)])
    coder = DendriticBalanceCoder(4, **FAST).set_output(transform="pandas").fit(frame)
    assert list(coder.feature_names_in_) == list(frame.columns)
    codes = coder.transform(frame)
    assert isinstance(codes, pd.DataFrame)
    assert list(codes.columns) == [f"dendriticbalancecoder{i}" for i in range(4)]
    assert coder.inverse_transform(codes).shape == (100, 64)
    assert np.isfinite(coder.score(frame))

    coder.set_output(transform="polars")
    assert isinstance(coder.transform(frame), pl.DataFrame)
    in_polars = clone(coder).set_output(transform="default").fit(pl.from_pandas(frame))
    assert np.array_equal(in_polars.transform(pl.from_pandas(frame)), codes.to_numpy())


def test_coding_for_another_time_after_fit(digits_coder):
    coder = copy.deepcopy(digits_coder)
    scores = []
    for presentation_time in (5.0, 20.0, 100.0, 400.0):
        scores.append(coder.set_params(presentation_time=presentation_time).score(DIGITS[:300]))
    assert np.all(np.diff(scores) > 0)
    assert scores[2] == digits_coder.score(DIGITS[:300])
    with pytest.raises(ValueError, match=r"make 0\.4 steps"):
        coder.set_params(presentation_time=0.1).transform(DIGITS[:2])
    with pytest.raises(ValueError, match="The 'presentation_time' parameter"):
        coder.set_params(presentation_time=-1).simulate(DIGITS[:2])


@pytest.mark.parametrize("learning_rule", ["dendritic", "dendritic-simultaneous", "somatic"])
@pytest.mark.parametrize("through", ["pickle", "joblib", "skops", "copy"])
def test_persistence_keeps_codes_and_learning(tmp_path, through, learning_rule):
    digits_coder = DendriticBalanceCoder(32, learning_rule=learning_rule, **FAST).fit(DIGITS)
    path = tmp_path / "coder"
    if through == "pickle":
        restored = pickle.loads(pickle.dumps(digits_coder))
    elif through == "joblib":
        joblib.dump(digits_coder, path)
        restored = joblib.load(path)
    elif through == "skops":
        skops.io.dump(digits_coder, path)
        trusted = skops.io.get_untrusted_types(file=path)
        assert all(name.startswith("skdendbal.") for name in trusted)
        restored = skops.io.load(path, trusted=trusted)
    else:
        restored = copy.deepcopy(digits_coder)
    original = copy.deepcopy(digits_coder)
    assert np.array_equal(restored.transform(DIGITS[:50]), original.transform(DIGITS[:50]))
    restored.partial_fit(DIGITS[:100])
    original.partial_fit(DIGITS[:100])
    assert np.array_equal(restored.components_, original.components_)


def test_use_in_scikit_learn():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    coder = DendriticBalanceCoder(24, max_iter=10, random_state=0)
    pipeline = make_pipeline(coder, LogisticRegression(max_iter=1000))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.8

    search = GridSearchCV(coder, {"n_components": [1, 24]}, cv=2).fit(X)
    assert search.best_params_ == {"n_components": 24}

    halves = ColumnTransformer([("top", coder, slice(0, 32)), ("bottom", coder, slice(32, 64))])
    names = halves.fit(X).get_feature_names_out()
    assert names[0] == "top__dendriticbalancecoder0"
    assert halves.transform(X).shape == (300, 48)


def test_n_components_default_is_the_number_of_features():
    assert DendriticBalanceCoder(**FAST).fit(DIGITS[:50, :7]).components_.shape == (7, 7)


def test_random_state_decides_everything():
    def fit(random_state):
        return DendriticBalanceCoder(6, max_iter=1, random_state=random_state).fit(DIGITS)

    assert np.array_equal(fit(3).components_, fit(3).components_)
    assert not np.array_equal(fit(3).components_, fit(4).components_)
    assert fit(None).seed_ != fit(None).seed_


def test_transform_is_a_pure_function_of_the_row(digits_coder, signed_coder):
    rng = np.random.default_rng(1)
    for coder, X in ((digits_coder, DIGITS), signed_coder):
        codes = coder.transform(X)
        order = rng.permutation(len(X))
        assert np.array_equal(coder.transform(X[order]), codes[order])
        assert np.array_equal(coder.transform(X[7:19]), codes[7:19])
        assert np.array_equal(np.vstack([coder.transform(x[None]) for x in X[:20]]), codes[:20])
        assert np.array_equal(coder.transform(np.asfortranarray(X)), codes)
        assert np.array_equal(coder.transform(np.repeat(X, 2, axis=1)[:, ::2]), codes)
        assert np.array_equal(coder.transform(X.tolist()), codes)
        repeated = coder.transform(np.vstack([X, X, X]))  # more than one chunk of digits
        assert np.array_equal(repeated, np.vstack([codes] * 3))
        for n_jobs in (2, 3, -1):
            parallel = copy.deepcopy(coder).set_params(n_jobs=n_jobs)
            assert np.array_equal(parallel.transform(X), codes)
        single = X.astype(np.float32)
        assert np.array_equal(
            coder.transform(single), coder.transform(single.astype(float)).astype(np.float32)
        )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"learning_rule": "dendritic-simultaneous"},
        {"n_components": 400, "rate": 0.2},  # fewer spikes than neurons
        {"delay": 5.0, "learning_rule": "somatic"},
    ],
    ids=["default", "simultaneous", "few spikes", "delay"],
)
def test_learning_does_not_depend_on_workers(params):
    X = DIGITS[:120, 20:40]
    params = {"n_components": 12, "batch_size": 36, "max_iter": 2, "random_state": 0, **params}
    coder = DendriticBalanceCoder(**params).fit(X)
    for n_jobs in (2, 5):
        parallel = DendriticBalanceCoder(**params, n_jobs=n_jobs).fit(X)
        assert np.array_equal(parallel.components_, coder.components_)
        assert np.array_equal(parallel.firing_rates_, coder.firing_rates_)
    for backend in ("loky", "threading"):
        with joblib.parallel_config(backend, n_jobs=2):
            parallel = DendriticBalanceCoder(**params).fit(X)
        assert np.array_equal(parallel.components_, coder.components_)
    # in pieces that part batches, and parts of batches
    streams = [
        DendriticBalanceCoder(**params, n_jobs=n, input_scale=10.0, horizon=240) for n in (1, 2, 2)
    ]
    for stream, cuts in zip(streams, ([], [], [3, 11, 12, 50, 97]), strict=True):
        for piece in np.split(X, cuts):
            stream.partial_fit(piece)
        assert np.array_equal(stream.components_, streams[0].components_)
        assert np.array_equal(stream.transform(X), streams[0].transform(X))


def test_an_error_in_another_thread_stops_this_one():
    main, failed, calls = threading.current_thread(), threading.Event(), []

    def work(i):
        calls.append(i)
        if threading.current_thread() is not main:
            failed.set()
            raise ZeroDivisionError
        failed.wait(10.0)
        time.sleep(0.05)

    with pytest.raises(ZeroDivisionError), _threads(2) as apply:
        apply(work, [(i,) for i in range(100)])
    assert len(calls) < 10


def test_an_error_does_not_wait_for_other_threads():
    main, started, over = threading.current_thread(), threading.Event(), threading.Event()
    finished = []

    def work(i):
        if threading.current_thread() is main:
            started.wait(10.0)
            raise ZeroDivisionError
        started.set()
        over.wait(10.0)
        finished.append(i)

    with pytest.raises(ZeroDivisionError), _threads(2) as apply:
        apply(work, [(i,) for i in range(100)])
    assert finished == []
    over.set()


def test_signed_zeros_are_zeros(signed_coder):
    coder, X = signed_coder
    X = np.where(X > 0, X, 0.0)
    assert np.array_equal(coder.transform(X), coder.transform(np.where(X > 0, X, -0.0)))


def test_scale_by_a_power_of_two_changes_no_bit(signed_coder):
    for X in (DIGITS, signed_coder[1]):
        coder = DendriticBalanceCoder(10, **FAST).fit(X)
        for factor in (256.0, 2.0**-30):
            scaled = DendriticBalanceCoder(10, **FAST).fit(factor * X)
            assert scaled.scale_ == factor * coder.scale_
            assert np.array_equal(scaled.components_, factor * coder.components_)
            assert np.array_equal(scaled.transform(factor * X), coder.transform(X))


def test_scale_by_any_factor_changes_nothing_in_distribution():
    # mean codes of ten networks each; Kolmogorov-Smirnov at a significance of 1 %
    codes = {
        factor: [
            DendriticBalanceCoder(16, max_iter=3, random_state=seed)
            .fit(factor * DIGITS)
            .transform(factor * DIGITS[:200])
            .mean(axis=0)
            for seed in range(10)
        ]
        for factor in (1.0, 255.0)
    }
    assert stats.ks_2samp(np.ravel(codes[1.0]), np.ravel(codes[255.0])).pvalue > 0.01


def test_precision_of_the_data_changes_nothing_in_distribution():
    # rounding gives some rows other random numbers: the mean difference of their codes, unit by
    # unit, at a significance of 1 % in all
    X = np.random.default_rng(0).gamma(0.5, size=(4000, 30))
    params = {"n_components": 32, "max_iter": 3, "random_state": 0}
    coder = DendriticBalanceCoder(**params).fit(X)
    codes = coder.transform(X).astype(np.float32)
    in_single = coder.transform(X.astype(np.float32))
    other = (codes != in_single).any(axis=1)
    assert other.sum() > 100
    p = stats.ttest_rel(codes[other], in_single[other]).pvalue
    assert p.min() > 0.01 / len(p)
    # learning on them ends alike
    again = DendriticBalanceCoder(**params).fit(X.astype(np.float32))
    assert again.score(X) == pytest.approx(coder.score(X), abs=0.02)


def test_repeated_trials(digits_coder):
    spikes = digits_coder.simulate(DIGITS[:5], n_trials=40, random_state=2)
    assert np.array_equal(spikes, np.sort(spikes, order=["row", "trial", "time", "unit"]))
    assert set(np.unique(spikes["row"])) == set(range(5))
    assert set(np.unique(spikes["trial"])) == set(range(40))
    assert spikes["time"].min() >= 0.0
    assert spikes["time"].max() < 100.0
    assert np.allclose(spikes["time"] % 0.25, 0.0)
    again = digits_coder.simulate(DIGITS[3:4], n_trials=40, random_state=2)
    third = spikes[spikes["row"] == 3]
    assert np.array_equal(again[["time", "unit"]], third[["time", "unit"]])
    other = digits_coder.simulate(DIGITS[3:4], n_trials=40, random_state=3)
    assert not np.array_equal(again, other)
    trials = [third[third["trial"] == t][["time", "unit"]].tolist() for t in range(40)]
    assert len({tuple(trial) for trial in trials}) == 40


def test_trials_have_the_mean_of_the_code():
    # codes of one image whose pixels differ by less than anything the network could tell, each
    # with its own random numbers, against spike counts of repeated trials: Welch tests, 1 % in all
    coder = DendriticBalanceCoder(16, max_iter=3, random_state=0).fit(DIGITS)
    n = 1000
    copies = DIGITS[:1] + 1e-4 * np.random.default_rng(0).standard_normal((n, 64))
    codes = coder.transform(copies)
    spikes = coder.simulate(DIGITS[:1], n_trials=n, random_state=0)
    counts = np.zeros((n, 16))
    np.add.at(counts, (spikes["trial"], spikes["unit"]), 1)
    # one for the traces to build up, and what they lose in each of the next 399 steps; those in
    # which the image fades in, 20, count as 10.5
    q = np.exp(-0.025)
    trials = counts / (1 + (1 - q) * (399 - 9.5))
    active = codes.std(axis=0) > 0
    p = stats.ttest_ind(codes[:, active], trials[:, active], equal_var=False).pvalue
    assert p.min() > 0.01 / active.sum()


# streams


STREAM = {"input_scale": 4.0, "horizon": 600, "batch_size": 7, "random_state": 0}


@hypothesis_settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 199), max_size=5))
def test_any_split_over_partial_fit_equals_fit(cuts):
    X = DIGITS[:200]
    whole = DendriticBalanceCoder(9, max_iter=1, shuffle=False, **STREAM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole.fit(X)
    split = DendriticBalanceCoder(9, **STREAM)
    for part in np.split(X, sorted(set(cuts))):
        split.partial_fit(part)
        split = pickle.loads(pickle.dumps(split))  # stopping in mid-stream changes nothing
    assert as_bytes(split._network) == as_bytes(whole._network)
    assert np.array_equal(split.loss_curve_, whole.loss_curve_)
    assert np.array_equal(split.transform(X), whole.transform(X))
    assert split.n_iter_ == len(set(cuts)) + 1


def test_partial_fit_continues_fit_in_phases():
    coder = DendriticBalanceCoder(9, max_iter=2, batch_size=16, random_state=0).fit(DIGITS)
    n_steps, before = coder.n_steps_, coder.components_
    coder.set_params(learning_rate=0.0)  # neither learning nor decay
    coder.partial_fit(DIGITS[:166])  # fills a batch
    assert coder.n_steps_ > n_steps
    assert coder.n_iter_ == 3
    np.testing.assert_allclose(coder.components_, before, rtol=1e-12)
    coder.set_params(learning_rate=1.0, rate=100.0, dt=0.5)
    coder.partial_fit(DIGITS[:1600])
    assert np.median(coder.firing_rates_) > 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_components": 5}, "n_components changed from 9 to 5"),
        ({"batch_size": 8}, "batch_size changed from 7 to 8"),
        ({"dt": 1.0}, "within a batch, dt changed from 0.25 to 1.0"),
        ({"input_scale": 5.0}, "input_scale changed from 4.0 to 5.0"),
        ({"learning_rule": "somatic"}, "learning_rule changed from Dendritic to Somatic"),
        ({"learning_rule": Dendritic(scaled_bias=True)}, "scaled_bias changed from False to True"),
        ({"noise": -1.0}, "The 'noise' parameter"),
    ],
)
def test_partial_fit_refuses_what_it_cannot_follow(change, message):
    coder = DendriticBalanceCoder(9, **STREAM).partial_fit(DIGITS[:10])
    before = as_bytes(coder._network)
    coder.set_params(**change)
    with pytest.raises(ValueError, match=message):
        coder.partial_fit(DIGITS[:10])
    assert as_bytes(coder._network) == before


def test_partial_fit_first_and_wrong_number_of_features():
    coder = DendriticBalanceCoder(4, random_state=0).partial_fit(DIGITS[:3])
    assert coder.n_steps_ == coder.n_silent_units_ == 0
    assert np.array_equal(coder.components_, np.zeros((4, 64)))
    assert np.isfinite(coder.transform(DIGITS)).all()
    with pytest.raises(ValueError, match="X has 63 features, but DendriticBalanceCoder is expec"):
        coder.partial_fit(DIGITS[:, :63])
    assert coder.n_features_in_ == 64


# hostile input


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


def test_sparse_input_is_refused(digits_coder):
    for call in (DendriticBalanceCoder().fit, digits_coder.transform):
        with pytest.raises(TypeError, match="Sparse data was passed"):
            call(csr_array(DIGITS[:5]))


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
        warnings.simplefilter("ignore", ConvergenceWarning)  # of so short a fit
        codes = coder.fit_transform(X)
    assert np.isfinite(codes).all()
    assert (codes >= 0).all()
    assert np.isfinite(coder.components_).all()
    assert np.isfinite(coder.firing_rates_).all()
    assert np.isfinite(coder.loss_curve_).all()
    coder.partial_fit(X)
    assert np.isfinite(coder.transform(X)).all()


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
        learning_rule=Dendritic(one_spike_per_step=one_spike),
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
            {"rate": 1500.0, "dt": 1.0, "learning_rule": Dendritic(one_spike_per_step=False)},
            "needs 1.5 spikes a step",
        ),
    ],
)
def test_contradictory_parameters(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        DendriticBalanceCoder(**parameters).fit(DIGITS)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("decoder_rate", -1.0),
        ("homeostasis_rate", np.nan),
        ("initial_noise", 0.0),
        ("annealing", -1.0),
        ("self_inhibition", np.inf),
        ("one_spike_per_step", "no"),
    ],
)
def test_wrong_rule_parameters(parameter, value):
    with pytest.raises(ValueError, match=f"{parameter}={value!r}"):
        Dendritic(**{parameter: value})


def test_simulate_refuses_wrong_trials(digits_coder):
    for n_trials in (0, -3):
        with pytest.raises(ValueError, match="n_trials"):
            digits_coder.simulate(DIGITS[:2], n_trials=n_trials)
    with pytest.raises(TypeError, match="n_trials"):
        digits_coder.simulate(DIGITS[:2], n_trials=1.5)


# early stopping, revival, another read-out


def test_fit_stops_once_the_noise_has_fallen_and_the_loss_stands_still():
    params = {"n_components": 16, "max_iter": 60, "random_state": 0}
    coder = DendriticBalanceCoder(horizon=9000, tol=0.01, n_iter_no_change=2, **params)
    assert 9000 / 1797 + 3 <= coder.fit(DIGITS).n_iter_ < 30
    full = DendriticBalanceCoder(horizon=9000, **params).fit(DIGITS)
    assert full.n_iter_ == 60
    assert coder.score(DIGITS) > full.score(DIGITS) - 0.02
    # a fit that the horizon takes whole never stops before its end
    params["max_iter"] = 6
    assert DendriticBalanceCoder(tol=0.5, n_iter_no_change=1, **params).fit(DIGITS).n_iter_ == 6
    # no improvement reaches this one: a pass sets the level, another, to the end of its block, is
    # no better
    params |= {"horizon": 1797, "tol": 0.9, "n_iter_no_change": 1}
    assert 3 <= DendriticBalanceCoder(**params).fit(DIGITS).n_iter_ <= 4


def test_silent_neurons_are_revived_by_learning_on():
    coder = DendriticBalanceCoder(32, max_iter=8, horizon=14376, random_state=0).fit(DIGITS)
    before = coder.score(DIGITS)
    coder._network.bias[:16] -= 200.0
    assert coder.score(DIGITS) < before - 0.1
    with pytest.warns(ConvergenceWarning, match="16 of 32 neurons are silent"):
        coder.partial_fit(DIGITS)
    assert coder.n_silent_units_ == 16
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(12):
            coder.partial_fit(DIGITS)
    assert coder.n_silent_units_ == 0
    assert coder.score(DIGITS) > before - 0.02


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_a_refitted_decoder_reconstructs_better_from_the_same_codes(scale):
    X, X_test = DIGITS[:1200] * scale, DIGITS[1200:] * scale
    params = {"n_components": 32, "max_iter": 10, "random_state": 0}
    online = DendriticBalanceCoder(**params).fit(X)
    refitted = DendriticBalanceCoder(decoder="refit", **params).fit(
        pd.DataFrame(X).add_prefix("p")
    )
    codes = online.transform(X)
    assert np.array_equal(refitted.transform(pd.DataFrame(X).add_prefix("p")), codes)
    # nearly that of least squares, whose training error is the least
    best = np.linalg.lstsq(codes, X / scale, rcond=None)[1].sum()
    error = ((X / scale - codes @ (refitted.components_ / scale)) ** 2).sum()
    assert best < error < 1.001 * best
    refitted = DendriticBalanceCoder(decoder="refit", **params).fit(X)
    assert refitted.score(X_test) > online.score(X_test) + 0.01
    refitted.partial_fit(X)
    assert np.array_equal(refitted.components_, online.partial_fit(X).components_)


def test_data_in_which_nothing_is_left_to_refit():
    coder = DendriticBalanceCoder(4, decoder="refit", max_iter=2, random_state=0)
    assert np.array_equal(coder.fit(np.zeros((100, 3))).components_, np.zeros((4, 3)))


# stability

SIZES = [1, 16, 64, 256, 512]


def assert_stable(coders, X):
    """Rates near the target and explained variance that grows with the number of neurons."""
    scores = []
    for coder in coders:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            coder.fit(X)
        ratio = coder.firing_rates_ / min(800 / len(coder.components_), 50)
        assert np.mean((ratio > 0.5) & (ratio < 2.0)) >= 0.95
        scores.append(coder.score(X))
    assert np.all(np.diff(scores) > 0), scores


def test_stability_on_digits():
    assert_stable([DendriticBalanceCoder(n, random_state=0) for n in SIZES], DIGITS)


TABLES = {
    "breast cancer": load_breast_cancer().data,
    "wine": load_wine().data,
    "blobs": make_blobs(500, 8, centers=4, random_state=0)[0],
    "signed random": np.random.default_rng(0).standard_normal((500, 20)),
}


@pytest.mark.parametrize("X", TABLES.values(), ids=TABLES)
def test_stability_on_tables(X):
    X = StandardScaler().fit_transform(X)
    assert_stable([DendriticBalanceCoder(n, random_state=2) for n in (1, 16, 64, 256)], X)


def test_somatic_balance_learns_but_less():
    somatic = DendriticBalanceCoder(64, learning_rule="somatic", random_state=0).fit(DIGITS)
    dendritic = DendriticBalanceCoder(64, random_state=0).fit(DIGITS)
    assert 0.7 < somatic.score(DIGITS) < dendritic.score(DIGITS)
    assert np.median(somatic.firing_rates_) == pytest.approx(12.5, rel=0.2)
    by_object = DendriticBalanceCoder(64, learning_rule=Somatic(), random_state=0).fit(DIGITS)
    assert np.array_equal(by_object.components_, somatic.components_)


@pytest.mark.parametrize("name", TABLES)
def test_learning_on_and_on_does_no_harm(name):
    # opposite neurons would grow against each other if the decoder did not decay
    X = StandardScaler().fit_transform(TABLES[name])
    params = {"n_components": 2 * X.shape[1], "random_state": 0}
    short = DendriticBalanceCoder(**params).fit(X)
    long = DendriticBalanceCoder(max_iter=5 * short.n_iter_, **params).fit(X)
    assert long.score(X) > short.score(X) - 0.01
    np.testing.assert_allclose(long.firing_rates_, np.mean(long.firing_rates_), rtol=0.25)


def test_stability_on_mnist(mnist):
    assert_stable([DendriticBalanceCoder(n, random_state=0) for n in (16, 100, 256)], mnist)


@pytest.mark.parametrize("seed", range(3))
def test_bursts_end_in_a_usable_state_and_one_warning(seed):
    # neurons that spike in one step overshoot together if all of them may, in every run where
    # noise is this low; when the last burst was decides whether rates or the loss tell of it
    X = np.random.default_rng(0).standard_normal((500, 20))
    rule = Dendritic(one_spike_per_step=False)
    coder = DendriticBalanceCoder(
        128, learning_rule=rule, noise=0.01, max_iter=20, random_state=seed
    )
    with pytest.warns(ConvergenceWarning, match="[Rr]aise noise") as record:
        coder.fit(X)
    assert len(record) == 1
    assert np.isfinite(coder.transform(X)).all()


def test_too_short_a_fit_says_so():
    with pytest.warns(
        ConvergenceWarning, match="updated 0 times only.* batches of 64. Present more"
    ):
        DendriticBalanceCoder(4, **FAST).fit(DIGITS[:10])


def test_silence_says_so():
    # thresholds in units of potential and no homeostasis: the noise falls, nothing else drives
    rule = Dendritic(homeostasis_rate=0.0, scaled_bias=True)
    coder = DendriticBalanceCoder(4, learning_rule=rule, random_state=0)
    with pytest.warns(ConvergenceWarning, match="4 of 4 neurons are silent") as record:
        coder.fit(np.zeros((10, 3)))
    assert len(record) == 1
    assert coder.n_silent_units_ == 4


def test_wrong_rates_say_so():
    rule = Dendritic(homeostasis_rate=0.0)
    coder = DendriticBalanceCoder(4, learning_rule=rule, rate=5.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="4 of 4 neurons miss their target rate of 5 Hz"):
        coder.fit(DIGITS[:100])


def test_a_fit_that_ends_before_its_horizon_says_so():
    coder = DendriticBalanceCoder(8, horizon=10_000, **FAST)
    with pytest.warns(
        ConvergenceWarning, match=r"ended after 1797 of horizon=10000 .*Lower horizon or raise max"
    ):
        coder.fit(DIGITS)


def test_a_stream_says_so_once_its_horizon_is_over():
    rule = Dendritic(homeostasis_rate=0.0, scaled_bias=True)
    params = {"learning_rule": rule, "horizon": 500, "batch_size": 16, "random_state": 0}
    coder = DendriticBalanceCoder(4, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coder.partial_fit(np.zeros((490, 3)))
    with pytest.warns(ConvergenceWarning, match="4 of 4 neurons are silent"):
        coder.partial_fit(np.zeros((10, 3)))


def test_a_stream_may_change_for_the_worse_without_a_warning():
    coder = DendriticBalanceCoder(32, horizon=3000, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            coder.partial_fit(DIGITS)
        coder.set_params(noise=0.2)
        for _ in range(5):
            coder.partial_fit(DIGITS)
    assert coder.loss_curve_[-10:].mean() > 2.0 * coder.loss_curve_[40:46].mean()


def test_a_large_mean_of_the_data_is_said_to_be_the_cause():
    coder = DendriticBalanceCoder(32, random_state=0)
    with pytest.warns(ConvergenceWarning, match="mean of X is 24.* Subtract it before"):
        coder.fit(16.0 * DIGITS + 100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        centred = StandardScaler(with_std=False).fit_transform(16.0 * DIGITS + 100.0)
        assert coder.fit(centred).score(centred) > 0.8


def test_presentations_to_code_must_be_longer_than_the_delay():
    coder = DendriticBalanceCoder(8, delay=20.0, **FAST).fit(DIGITS)
    coder.set_params(presentation_time=20.0)
    with pytest.raises(ValueError, match=r"delay=20.0 ms must be .* presentation_time=20.0 ms"):
        coder.transform(DIGITS[:3])


def test_score_of_rows_far_off_the_scale_is_finite(digits_coder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = [digits_coder.score(factor * DIGITS) for factor in (1e200, 1e-200)]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("batch_size", [1, 256, 1024])
@pytest.mark.parametrize("n_components", [8, 64])
def test_stability_of_small_and_large_batches(n_components, batch_size):
    coder = DendriticBalanceCoder(n_components, batch_size=batch_size, random_state=0).fit(DIGITS)
    ratio = coder.firing_rates_ / min(800 / n_components, 50)
    assert np.mean((ratio > 0.5) & (ratio < 2.0)) >= 0.95
    assert coder.score(DIGITS) > {8: 0.55, 64: 0.88}[n_components]


def test_scale_is_found_from_the_first_rows_that_are_not_all_zero():
    coder = DendriticBalanceCoder(16, horizon=2000, random_state=0)
    for X in (np.zeros((100, 64)), DIGITS[:500], DIGITS[500:1000]):
        coder.partial_fit(255.0 * X)
    expected = 255.0 * np.sqrt(np.square(DIGITS[:500]).sum(axis=1).mean())
    assert coder.scale_ == pytest.approx(expected)
    assert coder.score(255.0 * DIGITS[1000:]) > 0.3


def test_all_zero_data_are_no_fault():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coder = DendriticBalanceCoder(random_state=0).fit(np.zeros((100, 3)))
    assert np.array_equal(coder.components_, np.zeros((3, 3)))
    np.testing.assert_allclose(coder.firing_rates_, 50.0, rtol=0.1)


# interruption, progress


def interrupt_after(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_interrupted_fit_leaves_the_estimator_as_it_was():
    endless = {"max_iter": 10**7, "random_state": 0}
    coder = DendriticBalanceCoder(20, **endless)
    interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        coder.fit(DIGITS)
    assert vars(coder) == vars(DendriticBalanceCoder(20, **endless))
    with pytest.raises(NotFittedError):
        coder.transform(DIGITS)

    coder.set_params(max_iter=1).fit(DIGITS[:, :30])
    codes = coder.transform(DIGITS[:, :30])
    interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        coder.set_params(max_iter=10**7).fit(DIGITS)
    assert coder.n_features_in_ == 30
    assert np.array_equal(coder.transform(DIGITS[:, :30]), codes)

    before = as_bytes(coder._network)
    interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        coder.partial_fit(np.repeat(DIGITS[:, :30], 200, axis=0))
    assert as_bytes(coder._network) == before


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_compilation_can_be_interrupted(tmp_path, seconds):
    script = """if True:
        import numpy as np
        from skdendbal import DendriticBalanceCoder
        coder = DendriticBalanceCoder(8, max_iter=10**7)
        print("fitting", flush=True)
        try:
            coder.fit(np.eye(8))
        except KeyboardInterrupt:
            print("interrupted", coder.__sklearn_is_fitted__(), flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},  # nothing compiled yet
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "fitting\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out == "interrupted False\n"
    assert err == ""


def test_what_compiles_and_what_loads_it_give_the_same_bits(tmp_path):
    script = """if True:
        import hashlib
        from sklearn.datasets import load_digits
        from skdendbal import DendriticBalanceCoder
        X = load_digits().data[:1300]
        coder = DendriticBalanceCoder(64, max_iter=4, random_state=0).fit(X)
        learned, codes = coder.components_.tobytes(), coder.transform(X).tobytes()
        print(hashlib.sha256(learned + codes).hexdigest())
    """
    command = [sys.executable, "-c", script]
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}  # nothing compiled yet
    first, second = (
        subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first == second


def test_import_where_nothing_compiled_can_be_kept(tmp_path):
    package = Path(skdendbal.__file__).parent
    shutil.copytree(package, tmp_path / "skdendbal", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "skdendbal" / "__pycache__").touch()  # no folder, nor can one be made
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": os.devnull}
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        env.pop(name, None)
    script = "import skdendbal; print(skdendbal.__file__)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith(str(tmp_path)), done.stderr


class Recorder:
    """A scikit-learn callback that keeps the scores of the growing estimator."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.scores, self.begun = [], 0

    def setup(self, estimator, context):
        self.max_subtasks = context.max_subtasks

    def on_fit_task_begin(self, estimator, context):
        self.begun += 1

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.scores.append(fitted_estimator.score(X[:200]))
        return len(self.scores) == self.stop_after

    def teardown(self, estimator, context):
        self.done = True


def test_callbacks_follow_and_stop_a_fit():
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    params = {"n_components": 16, "max_iter": 2, "batch_size": 16, "random_state": 0}
    plain = DendriticBalanceCoder(**params).fit(DIGITS)
    recorder = Recorder()
    coder = DendriticBalanceCoder(**params).set_callbacks(recorder)
    coder.fit(DIGITS)
    assert recorder.done
    # 225 batches in blocks of three, and the fit itself
    assert recorder.max_subtasks == 75
    assert recorder.begun == len(recorder.scores) == 76
    assert recorder.scores[-1] == coder.score(DIGITS[:200]) > recorder.scores[0]
    assert np.array_equal(coder.components_, plain.components_)

    recorder = Recorder(stop_after=10)
    coder.set_callbacks(recorder).fit(DIGITS)
    assert coder.n_iter_ == 1
    assert coder.n_steps_ == 10 * 3
    assert coder.score(DIGITS[:200]) == recorder.scores[-1]


def test_a_failing_callback_leaves_the_estimator_as_it_was():
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")

    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            if context.parent is None:
                raise RuntimeError("after the last task")

    coder = DendriticBalanceCoder(4, **FAST).set_callbacks(Failing())
    with pytest.raises(RuntimeError, match="after the last task"):
        coder.fit(DIGITS)
    with pytest.raises(NotFittedError):
        coder.transform(DIGITS)


def test_progress_bar(capsys):
    callback = pytest.importorskip("sklearn.callback", reason="came with scikit-learn 1.9")
    coder = DendriticBalanceCoder(4, **FAST).set_callbacks(callback.ProgressBar())
    coder.fit(DIGITS)
    assert "DendriticBalanceCoder - fit" in capsys.readouterr().out


def test_score_is_pooled_over_features(digits_coder):
    X = DIGITS[:300]
    reconstruction = digits_coder.inverse_transform(digits_coder.transform(X))
    pooled = 1 - ((X - reconstruction) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum()
    assert digits_coder.score(X) == pytest.approx(pooled, rel=1e-12)
    # features of the same units weigh as they vary
    assert abs(pooled - r2_score(X, reconstruction, multioutput="uniform_average")) > 1e-3
    assert digits_coder.score(X[:1]) == 0.0  # one row has no variance to explain
    assert digits_coder.score(np.repeat(X[:1] / 3.0, 50, axis=0)) == 0.0
    assert DendriticBalanceCoder(2, **FAST).fit(0 * X).score(0 * X) == 1.0


def test_score_of_a_frame_warns_of_nothing():
    frame = pd.DataFrame(DIGITS[:60], columns=[f"pixel {i}" for i in range(64)])
    coder = DendriticBalanceCoder(4, batch_size=1, **FAST).fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = coder.score(frame)
    assert score == coder.fit(DIGITS[:60]).score(DIGITS[:60])


def test_codes_feed_a_classifier_as_they_come():
    X, y = load_digits(return_X_y=True)
    coder = DendriticBalanceCoder(64, max_iter=6, random_state=0)
    model = make_pipeline(FunctionTransformer(lambda X: X / 16), coder, LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(X[:1300], y[:1300]).score(X[1300:], y[1300:]) > 0.9
