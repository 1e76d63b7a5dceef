"""What "auto" stands for."""

import warnings

import numpy as np
import pytest
from coders import DIGITS, FAST, TABLES
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skdendbal import DendriticBalanceCoder
from skdendbal.datasets import make_bars, make_patches


@pytest.mark.parametrize(
    ("parameters", "rate", "noise"),
    [
        ({"n_components": 64}, 12.5, 0.025),
        ({"n_components": 16}, 50.0, 0.025),
        ({"n_components": 1}, 50.0, 0.3),
        ({"n_components": 64, "dt": 1.0}, 7.8125, 0.04),
        ({"n_components": 16, "rate": 15.0}, 15.0, 0.025 * (50 / 15) ** 0.5),
        ({"n_components": 64, "delay": 2.75}, 12.5, 0.025 * 1.5),
        ({"n_components": 64, "delay": 90.25, "tau": 40.0}, 12.5, 0.00625 * 1.9),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rate_and_noise_have_their_documented_values(parameters, rate, noise):
    settings = DendriticBalanceCoder(**parameters, **FAST).fit(DIGITS[:20]).settings_
    assert settings.rate == pytest.approx(rate)
    assert settings.noise.final == pytest.approx(noise)


@pytest.mark.parametrize(("n_components", "batch_size"), [(1, 64), (128, 64), (300, 150)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_batches_grow_with_large_networks(n_components, batch_size):
    coder = DendriticBalanceCoder(n_components, **FAST).fit(DIGITS[:20])
    assert coder.settings_.batch_size == batch_size


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_low_rates_code_better_with_less_noise_than_in_proportion(share):
    params = {"n_components": 64, "rate": 12.5 * share, "transform_time": 20.0, "random_state": 0}
    coders = [
        DendriticBalanceCoder(noise=noise, code="balanced", **params).fit(DIGITS)
        for noise in ("auto", 0.025 / share)
    ]
    assert coders[0].score(DIGITS) > coders[1].score(DIGITS) + 0.002
    active = [np.count_nonzero(coder.transform(DIGITS)) for coder in coders]
    assert active[0] < active[1]


@pytest.mark.slow
@pytest.mark.parametrize(("delay", "least"), [(1.0, 0.88), (3.0, 0.82), (5.0, 0.78)])
def test_networks_with_a_delay_code_well_and_keep_their_rates(delay, least):
    params = {"n_components": 64, "delay": delay, "max_iter": 10, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        coder = DendriticBalanceCoder(**params).fit(DIGITS)
    assert coder.score(DIGITS) > least
    # spikes that arrive late do not keep neurons apart, so more noise has to do that
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        less_noise = DendriticBalanceCoder(noise=0.0125, **params).fit(DIGITS)
    assert off_target(coder) <= min(0.2, off_target(less_noise))


def off_target(coder):
    """Fraction of neurons that miss their target rate by more than a factor of 2."""
    ratio = coder.firing_rates_ / coder.settings_.rate
    return np.mean((ratio < 0.5) | (ratio > 2.0))


MIXED = np.random.default_rng(0).laplace(size=(4000, 8))
DELAYED = {
    "bars": (make_bars(4000, 8, 0.5, random_state=0), {"n_components": 16, "rate": 15.0}),
    "mixed sources": (MIXED @ np.random.default_rng(1).standard_normal((8, 8)), {}),
    "breast cancer": (StandardScaler().fit_transform(TABLES["breast cancer"]), {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("delay", [3.0, 10.0])
@pytest.mark.parametrize("name", DELAYED)
def test_with_a_delay_dendritic_balance_is_ahead_of_somatic_balance(name, delay):
    X, params = DELAYED[name]
    unexplained = []
    for rule in ("dendritic", "somatic"):
        coder = DendriticBalanceCoder(learning_rule=rule, delay=delay, random_state=0, **params)
        coder.fit(X)
        assert coder.firing_rates_.mean() == pytest.approx(coder.settings_.rate, rel=0.2)
        unexplained.append(1.0 - coder.score(X))
    assert unexplained[0] < 0.7 * unexplained[1]


def make_offset_data():
    """Ten kinds of data, whose means are 0 to 10 times as large as the deviations from them."""
    rng = np.random.default_rng(0)
    low_rank = 0.07 * rng.standard_normal((2000, 8)) @ rng.standard_normal((8, 40))
    low_rank += 0.03 * rng.standard_normal(low_rank.shape)
    walks = rng.standard_normal((2000, 48)).cumsum(axis=1)
    patches = make_patches(2000, 8, random_state=0)
    standardised = {name: StandardScaler().fit_transform(X) for name, X in TABLES.items()}
    return {
        "digits": DIGITS,
        "bars": make_bars(2000, 8, 0.5, random_state=0),
        "mixed sources": MIXED @ rng.standard_normal((8, 8)),
        "low rank": low_rank,
        "low rank with an offset": low_rank + 2.0,
        "walks": walks,
        "walks with an offset": walks + 50.0,
        "patches": patches,
        "patches with an offset": patches + 3.0 * patches.std(),
        "breast cancer": standardised["breast cancer"],
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_own_read_out_is_nearly_the_best_linear_one():
    for name, X in make_offset_data().items():
        X = np.random.default_rng(1).permutation(X)
        n_train = 3 * len(X) // 4
        coder = DendriticBalanceCoder(32, random_state=0).fit(X[:n_train])
        codes, rest = coder.transform(X[:n_train]), X[n_train:]
        best = np.linalg.lstsq(codes, X[:n_train], rcond=None)[0]
        errors = np.square(rest - coder.transform(rest) @ best).sum()
        total = np.square(rest - rest.mean(axis=0)).sum()
        assert coder.score(rest) > 1.0 - errors / total - 0.01, name
