"""The estimator as part of a stream: partial_fit."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from coders import DIGITS, as_bytes
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skdendbal import DendriticBalanceCoder
from skdendbal.settings import Neuron

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
    assert as_bytes(split.network_) == as_bytes(whole.network_)
    assert np.array_equal(split.loss_curve_, whole.loss_curve_)
    assert np.array_equal(split.transform(X), whole.transform(X))
    assert split.n_iter_ == len(set(cuts)) + 1


def test_partial_fit_continues_fit_in_phases():
    params = {"batch_size": 16, "decoder": "online", "random_state": 0}
    coder = DendriticBalanceCoder(9, max_iter=2, **params).fit(DIGITS)
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
        ({"neuron": Neuron(scaled_bias=True)}, "scaled_bias changed from False to True"),
        ({"noise": -1.0}, "The 'noise' parameter"),
    ],
)
def test_partial_fit_refuses_what_it_cannot_follow(change, message):
    coder = DendriticBalanceCoder(9, **STREAM).partial_fit(DIGITS[:10])
    before = as_bytes(coder.network_)
    coder.set_params(**change)
    with pytest.raises(ValueError, match=message):
        coder.partial_fit(DIGITS[:10])
    assert as_bytes(coder.network_) == before


def test_partial_fit_first_and_wrong_number_of_features():
    coder = DendriticBalanceCoder(4, random_state=0).partial_fit(DIGITS[:3])
    assert coder.n_steps_ == coder.n_silent_units_ == 0
    assert np.array_equal(coder.components_, np.zeros((4, 64)))
    assert np.isfinite(coder.transform(DIGITS)).all()
    with pytest.raises(ValueError, match="X has 63 features, but DendriticBalanceCoder is expec"):
        coder.partial_fit(DIGITS[:, :63])
    assert coder.n_features_in_ == 64


def test_codes_of_a_coder_that_has_not_learned_come_with_a_warning():
    coder = DendriticBalanceCoder(4, batch_size=20, random_state=0).partial_fit(DIGITS[:19])
    uses = (coder.transform, coder.simulate, coder.score, coder.score_samples)
    for use in uses:
        with pytest.warns(ConvergenceWarning, match=r"No weights .*batch_size=20 rows") as record:
            use(DIGITS[:3])
        assert [warning.filename for warning in record] == [__file__]
    coder.partial_fit(DIGITS[19:20])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for use in uses:
            use(DIGITS[:3])


def test_how_far_learning_is_can_be_seen():
    coder = DendriticBalanceCoder(9, noise=0.1, horizon=1000, batch_size=50, random_state=0)
    coder.partial_fit(DIGITS[:30])
    assert (coder.n_presentations_, coder.n_steps_) == (30, 0)
    assert coder.settings_.horizon == 1000
    first = coder.noise_level_
    assert first == coder.settings_.noise.level(0.0)
    coder.partial_fit(DIGITS[:500])
    assert coder.n_presentations_ == 530
    assert coder.noise_level_ == pytest.approx(coder.settings_.noise.level(0.5))
    coder.partial_fit(DIGITS[:500])
    assert 0.1 <= coder.noise_level_ < 0.101 < first


@pytest.mark.parametrize(
    ("n_rows", "name"),
    [
        pytest.param(n_rows, name, marks=() if n_rows == 2000 else pytest.mark.slow)
        for n_rows in (2000, 10_000, 40_000, 200_000)
        for name in ("digits", "mnist", "signed")
    ],
)
def test_a_stream_learns_as_much_as_a_fit(n_rows, name, request):
    if name == "digits":
        X, n_components = DIGITS, 64
    elif name == "mnist":
        X, n_components = request.getfixturevalue("mnist"), 100
    else:  # sums of sparse signed sources
        rng = np.random.default_rng(0)
        X, n_components = rng.laplace(size=(4000, 16)) @ rng.standard_normal((16, 24)), 32
    X, X_test = X[:-500], X[-500:]
    params = {"n_components": n_components, "decoder": "online", "random_state": 0}
    fit = DendriticBalanceCoder(max_iter=-(-n_rows // len(X)), tol=None, **params).fit(X)
    rng = np.random.default_rng(1)
    stream = DendriticBalanceCoder(**params)
    for n in np.diff([*range(0, n_rows, 1000), n_rows]):
        stream.partial_fit(X[rng.integers(len(X), size=n)])
    assert stream.n_presentations_ == n_rows
    assert stream.score(X_test) > fit.score(X_test) - 0.02


def test_rows_that_only_wait_for_a_batch_copy_no_weights():
    # otherwise a stream of single rows would take dozens of times as long as one of batches
    coder = DendriticBalanceCoder(9, **STREAM).partial_fit(DIGITS[:70])
    network = coder.network_
    for row in DIGITS[70:76]:
        coder.partial_fit(row[None])
        assert coder.network_ is not network
        assert all(
            np.shares_memory(values, network.weights[name])
            for name, values in coder.network_.weights.items()
        )
    assert network.n_presentations == 70  # what was fitted before is as it was
    decoder = network.decoder.copy()
    coder.partial_fit(DIGITS[76:77])
    assert np.array_equal(network.decoder, decoder)
    assert not np.array_equal(coder.network_.decoder, decoder)


def test_copies_of_a_stream_go_on_apart():
    coder = DendriticBalanceCoder(9, **STREAM).partial_fit(DIGITS[:68])
    other = copy.copy(coder)  # shallow
    coder.partial_fit(DIGITS[68:100])
    other.partial_fit(DIGITS[168:200])
    for stream, rows in ((coder, slice(68, 100)), (other, slice(168, 200))):
        whole = DendriticBalanceCoder(9, **STREAM).partial_fit(DIGITS[np.r_[0:68, rows]])
        assert as_bytes(stream.network_) == as_bytes(whole.network_)


def test_scale_is_found_from_the_first_rows_that_are_not_all_zero():
    coder = DendriticBalanceCoder(16, horizon=2000, random_state=0)
    for X in (np.zeros((100, 64)), DIGITS[:500], DIGITS[500:1000]):
        coder.partial_fit(255.0 * X)
    expected = 255.0 * np.sqrt(np.square(DIGITS[:500]).sum(axis=1).mean())
    assert coder.scale_ == pytest.approx(expected)
    assert coder.score(255.0 * DIGITS[1000:]) > 0.3
