"""Fits of many sizes and data: rates near the target, and more neurons explain more."""

import warnings

import numpy as np
import pytest
from coders import DIGITS, SHORT_FITS, TABLES
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skdendbal import DendriticBalanceCoder
from skdendbal.rules import RULES, Somatic

pytestmark = pytest.mark.slow


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


SIZES = [1, 16, 64, 256, 512]


def assert_stable(coders, X):
    """Rates are near the target, and more neurons explain more variance."""
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
    long = DendriticBalanceCoder(max_iter=5 * short.n_iter_, tol=None, **params).fit(X)
    assert long.score(X) > short.score(X) - 0.01
    np.testing.assert_allclose(long.firing_rates_, np.mean(long.firing_rates_), rtol=0.25)


def test_stability_on_mnist(mnist):
    assert_stable([DendriticBalanceCoder(n, random_state=0) for n in (16, 100, 256)], mnist)


@pytest.mark.parametrize("batch_size", [1, 256, 1024])
@pytest.mark.parametrize("n_components", [8, 64])
def test_stability_of_small_and_large_batches(n_components, batch_size):
    coder = DendriticBalanceCoder(n_components, batch_size=batch_size, random_state=0).fit(DIGITS)
    ratio = coder.firing_rates_ / min(800 / n_components, 50)
    assert np.mean((ratio > 0.5) & (ratio < 2.0)) >= 0.95
    assert coder.score(DIGITS) > {8: 0.55, 64: 0.88}[n_components]
