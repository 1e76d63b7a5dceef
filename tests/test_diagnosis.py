"""When a fit stops, and what it says if it failed."""

import warnings

import numpy as np
import pytest
from coders import DIGITS, FAST, TABLES
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skdendbal import DendriticBalanceCoder
from skdendbal.datasets import make_patches
from skdendbal.preprocessing import OnOffSplitter
from skdendbal.settings import Neuron


@pytest.mark.slow
def test_fit_stops_once_the_noise_has_fallen_and_the_loss_stands_still():
    params = {"n_components": 16, "max_iter": 60, "random_state": 0}
    coder = DendriticBalanceCoder(horizon=9000, tol=0.01, n_iter_no_change=2, **params)
    assert 9000 / 1797 + 3 <= coder.fit(DIGITS).n_iter_ < 30
    full = DendriticBalanceCoder(horizon=9000, tol=None, **params).fit(DIGITS)
    assert full.n_iter_ == 60
    assert coder.score(DIGITS) > full.score(DIGITS) - 0.02


def test_fit_stops_after_the_horizon_only_and_without_improvement():
    params = {"n_components": 16, "random_state": 0}
    # a fit that is as long as its horizon never stops before its end
    coder = DendriticBalanceCoder(
        tol=0.5, n_iter_no_change=1, max_iter=6, horizon=6 * 1797, **params
    )
    assert coder.fit(DIGITS).n_iter_ == 6
    # no improvement reaches this tolerance: one pass sets the level, and the next, which ends with
    # its block, is not better by as much
    params |= {"horizon": 1797, "tol": 0.9, "n_iter_no_change": 1, "max_iter": 60}
    assert 3 <= DendriticBalanceCoder(**params).fit(DIGITS).n_iter_ <= 4


def test_silent_neurons_are_revived_by_learning_on():
    params = {"horizon": 14376, "decoder": "online", "random_state": 0}
    coder = DendriticBalanceCoder(32, max_iter=8, **params).fit(DIGITS)
    before = coder.score(DIGITS)
    coder.network_.bias[:16] -= 200.0
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


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_bursts_end_in_a_usable_state_and_one_warning(seed):
    # if all neurons may spike in one step, they overshoot together in every run with noise as low
    # as this; the time of the last burst decides whether rates or the loss reveal it
    X = np.random.default_rng(0).standard_normal((500, 20))
    neuron = Neuron(one_spike_per_step=False)
    coder = DendriticBalanceCoder(128, neuron=neuron, noise=0.01, max_iter=20, random_state=seed)
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
    # thresholds are in units of potential and stay fixed: once noise falls, nothing causes spikes
    neuron = Neuron(homeostasis_rate=0.0, scaled_bias=True)
    coder = DendriticBalanceCoder(4, neuron=neuron, random_state=0)
    with pytest.warns(ConvergenceWarning, match="4 of 4 neurons are silent") as record:
        coder.fit(np.zeros((10, 3)))
    assert len(record) == 1
    assert coder.n_silent_units_ == 4


def test_wrong_rates_say_so():
    neuron = Neuron(homeostasis_rate=0.0)
    coder = DendriticBalanceCoder(4, neuron=neuron, rate=5.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="4 of 4 neurons miss their target rate of 5 Hz"):
        coder.fit(DIGITS[:100])


def test_a_fit_that_ends_before_its_horizon_says_so():
    coder = DendriticBalanceCoder(8, horizon=10_000, **FAST)
    with pytest.warns(
        ConvergenceWarning, match=r"ended after 1797 of horizon=10000 .*Lower horizon or raise max"
    ):
        coder.fit(DIGITS)


def test_a_stream_says_so_once_its_horizon_is_over():
    neuron = Neuron(homeostasis_rate=0.0, scaled_bias=True)
    params = {"neuron": neuron, "horizon": 500, "batch_size": 16, "random_state": 0}
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


@pytest.mark.slow
def test_a_large_mean_of_the_data_is_said_to_be_the_cause():
    coder = DendriticBalanceCoder(32, random_state=0)
    with pytest.warns(ConvergenceWarning, match="mean of X is 24.* Subtract it before"):
        coder.fit(16.0 * DIGITS + 100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        centred = StandardScaler(with_std=False).fit_transform(16.0 * DIGITS + 100.0)
        assert coder.fit(centred).score(centred) > 0.8


def test_columns_of_very_different_scale_say_so():
    coder = DendriticBalanceCoder(16, random_state=0)
    for name in ("breast cancer", "wine"):
        with pytest.warns(ConvergenceWarning, match="StandardScaler") as record:
            coder.fit(TABLES[name])
        assert len(record) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            coder.fit(StandardScaler().fit_transform(TABLES[name]))


def test_images_say_nothing(mnist, find_data):
    scenes = np.load(find_data("olshausen_scenes.npz"))["images"]
    patches = make_patches(3000, images=scenes, whiten=False, random_state=0)
    for X in (DIGITS, 255.0 * mnist, patches, OnOffSplitter().fit_transform(patches)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            DendriticBalanceCoder(32, random_state=0, max_iter=5).fit(X)


def test_a_small_fit_stops_when_nothing_improves():
    X = StandardScaler().fit_transform(TABLES["breast cancer"])
    params = {"n_components": 30, "random_state": 0}
    short = DendriticBalanceCoder(**params).fit(X)
    full = DendriticBalanceCoder(**params, tol=None).fit(X)
    assert full.n_iter_ == 71
    assert short.n_iter_ < full.n_iter_ / 2
    assert short.score(X) > full.score(X) - 0.005


def test_tolerance_acts_without_a_horizon():
    params = {"n_components": 8, "max_iter": 60, "n_iter_no_change": 1, "random_state": 0}
    coder = DendriticBalanceCoder(tol=0.9, **params).fit(DIGITS)
    # two passes and a bit until the noise has fallen, and two that are alike
    assert 5 <= coder.n_iter_ <= 6
