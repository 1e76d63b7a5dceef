"""The estimator: scikit-learn's contract, what is fitted, codes as a pure function of rows."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from coders import DIGITS, FAST, SHORT_FITS, as_bytes
from scipy import stats
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
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

from skdendbal import DendriticBalanceCoder
from skdendbal.rules import RULES, Dendritic
from skdendbal.settings import Neuron


@parametrize_with_checks([DendriticBalanceCoder()])
@pytest.mark.slow
def test_scikit_learn_checks_with_defaults(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        DendriticBalanceCoder(max_iter=20),
        DendriticBalanceCoder(1, max_iter=20, rate=30.0, shuffle=False),
        DendriticBalanceCoder(5, max_iter=50, batch_size=1, dt=1.0, n_jobs=2),
        DendriticBalanceCoder(12, max_iter=50, input_scale=2.0, tau=20.0, noise=0.1, horizon=300),
        DendriticBalanceCoder(max_iter=50, learning_rule="somatic"),
        DendriticBalanceCoder(
            max_iter=50,
            learning_rule="dendritic",
            neuron=Neuron(one_spike_per_step=False, scaled_bias=True),
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


@pytest.mark.parametrize(
    "learning_rule",
    [
        pytest.param(rule, marks=pytest.mark.slow if rule == "dendritic-simultaneous" else ())
        for rule in RULES
    ],
)
def test_every_rule_learns_digits(learning_rule):
    coder = DendriticBalanceCoder(16, learning_rule=learning_rule, max_iter=12, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        coder.fit(DIGITS)
    assert coder.score(DIGITS) > 0.5


def test_attributes(digits_coder):
    coder = digits_coder
    assert coder.components_.shape == (32, 64)
    assert coder.n_features_in_ == 64
    assert coder.n_iter_ == 3
    assert coder.n_steps_ == 3 * 1797 // 64
    assert isinstance(coder.seed_, int)
    assert coder.scale_ == pytest.approx(np.sqrt((DIGITS**2).sum(axis=1).mean()), rel=1e-12)
    assert coder.firing_rates_.shape == (32,)
    D = coder.network_.decoder
    np.testing.assert_allclose(coder.weights_["recurrent"], -D.T @ D, rtol=1e-10)
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


def test_default_fit_makes_at_most_40000_presentations():
    params = {"n_components": 2, "batch_size": 10, "random_state": 0}
    coder = DendriticBalanceCoder(**params, tol=None).fit(DIGITS[:300])
    assert coder.n_iter_ == 134
    assert coder.n_steps_ == 134 * 300 // 10
    assert coder.settings_.horizon == 4000
    assert DendriticBalanceCoder(**params, max_iter=2).fit(DIGITS[:300]).settings_.horizon == 600


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
    # a decoder that decays, or steps of almost one spike each, would shrink the reconstruction by
    # a few per cent
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


def test_rows_to_code_may_be_presented_for_another_time(digits_coder):
    short = DendriticBalanceCoder(32, max_iter=3, transform_time=5.0, random_state=0).fit(DIGITS)
    assert as_bytes(short.network_) == as_bytes(digits_coder.network_)  # learned with 100 ms
    coder = copy.deepcopy(digits_coder)
    codes = short.transform(DIGITS[:300])
    assert np.array_equal(codes, coder.set_params(transform_time=5).transform(DIGITS[:300]))
    coder.set_params(transform_time=None, presentation_time=5.0)
    assert np.array_equal(codes, coder.transform(DIGITS[:300]))
    assert short.simulate(DIGITS[:50], random_state=0)["time"].max() < 5.0
    # the decoder is fitted to such codes, so that it suits them better than that of long ones
    assert short.score(DIGITS) > coder.score(DIGITS)
    with pytest.raises(ValueError, match=r"transform_time=0.1 ms and dt=0.25 ms make 0.4 steps"):
        DendriticBalanceCoder(4, transform_time=0.1).fit(DIGITS)
    with pytest.raises(ValueError, match="The 'transform_time' parameter"):
        short.set_params(transform_time=-1).transform(DIGITS[:2])


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


def test_presentations_to_code_must_be_longer_than_the_delay():
    coder = DendriticBalanceCoder(8, delay=20.0, **FAST).fit(DIGITS)
    coder.set_params(presentation_time=20.0)
    with pytest.raises(ValueError, match=r"delay=20.0 ms must be .* presentation_time=20.0 ms"):
        coder.transform(DIGITS[:3])


TRUSTED_TYPES = [  # as in docs/other_tools.md
    "skdendbal._batch.Batch",
    "skdendbal._kernels.arguments.Lanes",
    "skdendbal.coder.DendriticBalanceCoder",
    "skdendbal.network.LearningRecord",
    "skdendbal.network.Network",
    "skdendbal.settings.Neuron",
    "skdendbal.settings.Noise",
    "skdendbal.settings.Settings",
]


@pytest.mark.parametrize("learning_rule", list(RULES))
@pytest.mark.parametrize("through", ["pickle", "joblib", "skops", "copy"])
def test_persistence_keeps_codes_and_learning(tmp_path, through, learning_rule):
    digits_coder = DendriticBalanceCoder(10, learning_rule=learning_rule, **FAST).fit(DIGITS)
    path = tmp_path / "coder"
    if through == "pickle":
        restored = pickle.loads(pickle.dumps(digits_coder))
    elif through == "joblib":
        joblib.dump(digits_coder, path)
        restored = joblib.load(path)
    elif through == "skops":
        skops.io.dump(digits_coder, path)
        trusted = [*TRUSTED_TYPES, f"skdendbal.rules.{RULES[learning_rule].__name__}"]
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


def test_codes_feed_a_classifier_as_they_come():
    X, y = load_digits(return_X_y=True)
    coder = DendriticBalanceCoder(64, max_iter=6, random_state=0)
    model = make_pipeline(FunctionTransformer(lambda X: X / 16), coder, LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(X[:1300], y[:1300]).score(X[1300:], y[1300:]) > 0.9


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
        repeated = coder.transform(np.vstack([X, X, X]))  # more rows than are converted at once
        assert np.array_equal(repeated, np.vstack([codes] * 3))
        for n_jobs in (2, 3, -1):
            parallel = copy.deepcopy(coder).set_params(n_jobs=n_jobs)
            assert np.array_equal(parallel.transform(X), codes)
        single = X.astype(np.float32)
        assert np.array_equal(
            coder.transform(single), coder.transform(single.astype(float)).astype(np.float32)
        )


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


@pytest.mark.slow
def test_scale_by_any_factor_changes_nothing_in_distribution():
    # Kolmogorov-Smirnov test of the mean codes of ten networks each, at a significance of 1 %
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


@pytest.mark.slow
def test_precision_of_the_data_changes_nothing_in_distribution():
    # rounding gives some rows other random numbers; we test the mean difference of their codes
    # unit by unit, at a joint significance of 1 %
    X = np.random.default_rng(0).gamma(0.5, size=(4000, 30))
    params = {"n_components": 32, "max_iter": 3, "random_state": 0}
    coder = DendriticBalanceCoder(**params).fit(X)
    codes = coder.transform(X).astype(np.float32)
    in_single = coder.transform(X.astype(np.float32))
    other = (codes != in_single).any(axis=1)
    assert other.sum() > 100
    p = stats.ttest_rel(codes[other], in_single[other]).pvalue
    assert p.min() > 0.01 / len(p)
    # learning from the rounded data ends equally well
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
    # The copies of an image differ by too little for the network to notice, but have random
    # numbers of their own. Welch tests compare their codes with the spike counts of repeated
    # trials, at a joint significance of 1 %.
    coder = DendriticBalanceCoder(16, max_iter=3, random_state=0).fit(DIGITS)
    n = 1000
    copies = DIGITS[:1] + 1e-4 * np.random.default_rng(0).standard_normal((n, 64))
    codes = coder.transform(copies)
    spikes = coder.simulate(DIGITS[:1], n_trials=n, random_state=0)
    counts = np.zeros((n, 16))
    np.add.at(counts, (spikes["trial"], spikes["unit"]), 1)
    # spikes per unit of code: one for the trace to build up, and what it loses in each of the next
    # 399 steps; the 20 steps in which the image fades in count as 10.5
    q = np.exp(-0.025)
    trials = counts / (1 + (1 - q) * (399 - 9.5))
    active = codes.std(axis=0) > 0
    p = stats.ttest_ind(codes[:, active], trials[:, active], equal_var=False).pvalue
    assert p.min() > 0.01 / active.sum()


def test_simulate_refuses_wrong_trials(digits_coder):
    for n_trials in (0, -3):
        with pytest.raises(ValueError, match="n_trials"):
            digits_coder.simulate(DIGITS[:2], n_trials=n_trials)
    with pytest.raises(TypeError, match="n_trials"):
        digits_coder.simulate(DIGITS[:2], n_trials=1.5)


def test_score_is_pooled_over_features(digits_coder):
    X = DIGITS[:300]
    reconstruction = digits_coder.inverse_transform(digits_coder.transform(X))
    pooled = 1 - ((X - reconstruction) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum()
    assert digits_coder.score(X) == pytest.approx(pooled, rel=1e-12)
    # features count in proportion to their variance
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


def test_score_of_rows_far_off_the_scale_is_finite(digits_coder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = [digits_coder.score(factor * DIGITS) for factor in (1e200, 1e-200)]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "scale",
    [1.0, *(pytest.param(scale, marks=pytest.mark.slow) for scale in (1e-150, 1e150))],
)
def test_a_refitted_decoder_reconstructs_better_from_the_same_codes(scale):
    X, X_test = DIGITS[:1200] * scale, DIGITS[1200:] * scale
    params = {"n_components": 32, "max_iter": 10, "random_state": 0}
    online = DendriticBalanceCoder(decoder="online", **params).fit(X)
    assert np.array_equal(online.components_, online.network_.decoder.T * online.scale_)
    refitted = DendriticBalanceCoder(**params).fit(pd.DataFrame(X).add_prefix("p"))
    codes = online.transform(X)
    assert np.array_equal(refitted.transform(pd.DataFrame(X).add_prefix("p")), codes)
    # nearly the training error of least squares, which is the smallest possible one
    best = np.linalg.lstsq(codes, X / scale, rcond=None)[1].sum()
    error = ((X / scale - codes @ (refitted.components_ / scale)) ** 2).sum()
    assert best < error < 1.001 * best
    refitted = DendriticBalanceCoder(**params).fit(X)
    assert refitted.score(X_test) > online.score(X_test) + 0.01
    refitted.partial_fit(X)
    assert np.array_equal(refitted.components_, online.partial_fit(X).components_)


def test_data_in_which_nothing_is_left_to_refit():
    coder = DendriticBalanceCoder(4, max_iter=2, random_state=0)
    assert np.array_equal(coder.fit(np.zeros((100, 3))).components_, np.zeros((4, 3)))


def test_likelihood_of_rows_is_that_of_their_errors(digits_coder):
    errors = DIGITS - digits_coder.transform(DIGITS) @ digits_coder.components_
    normal = stats.norm(scale=np.sqrt(digits_coder.noise_variance_))
    expected = normal.logpdf(errors).sum(axis=1)
    np.testing.assert_allclose(digits_coder.score_samples(DIGITS), expected, rtol=1e-9)
    # the noise is what is left while learning, by the loss of the traces' read-out
    loss = digits_coder.loss_curve_[-10:].mean() * digits_coder.scale_**2
    assert digits_coder.noise_variance_ == pytest.approx(2.0 * loss)


def test_likelihood_tells_anomalies(digits_coder):
    rng = np.random.default_rng(0)
    odd = rng.permuted(DIGITS[1500:], axis=1)  # the same pixels in another order
    usual, unusual = map(digits_coder.score_samples, (DIGITS[1500:], odd))
    labels = np.repeat([1, 0], [len(usual), len(unusual)])
    assert roc_auc_score(labels, np.concatenate([usual, unusual])) > 0.99


def test_likelihood_before_learning_is_that_of_the_scale():
    coder = DendriticBalanceCoder(4, random_state=0).partial_fit(DIGITS[:20])
    assert coder.noise_variance_ == pytest.approx(np.square(DIGITS[:20]).mean())
    expected = stats.norm(scale=np.sqrt(coder.noise_variance_)).logpdf(DIGITS[:5]).sum(axis=1)
    with pytest.warns(ConvergenceWarning):
        got = coder.score_samples(DIGITS[:5])
    np.testing.assert_allclose(got, expected)
