"""The estimator as part of a stream: partial_fit."""

import copy
import pickle
import warnings

import naive
import numpy as np
import pytest
from coders import DIGITS, SHORT_FITS, as_bytes
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import as_raster
from sklearn.exceptions import ConvergenceWarning

from skdendbal import DendriticBalanceCoder, network
from skdendbal.rules import RULES, DendriticSlow
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
    ("learning_rule", "n_components", "batch_size"),
    [
        *((rule, 6, 4) for rule in [*RULES, DendriticSlow(pruned=0.5)]),
        *((rule, 100, 1) for rule in RULES if rule != "dendritic-simultaneous"),  # few spikes each
    ],
)
@SHORT_FITS
def test_without_learning_rates_weights_and_biases_stay(learning_rule, n_components, batch_size):
    X = DIGITS[:20, 16:32]
    params = {"batch_size": batch_size, "horizon": 100, "random_state": 0}
    coder = DendriticBalanceCoder(n_components, learning_rule=learning_rule, **params)
    coder.partial_fit(X)
    before = copy.deepcopy(coder.network_)
    coder.set_params(learning_rate=0.0, neuron__homeostasis_rate=0.0).partial_fit(X)
    assert coder.n_steps_ == 40 / batch_size
    assert before.recurrent.any()
    for name, values in coder.network_.weights.items():
        # the slow rule takes roots of squares
        np.testing.assert_allclose(values, before.weights[name], rtol=1e-12, atol=1e-15)
    assert np.array_equal(coder.network_.bias, before.bias)
    assert coder.network_.variance < before.variance


FRAMES = {"input_scale": 1.0, "horizon": 50, "batch_size": 1, "random_state": 0}


@pytest.mark.parametrize("delay", [None, 3.0])
def test_frames_of_equal_duration_are_one_stream(delay):
    X = DIGITS[:30, 16:32]
    whole = DendriticBalanceCoder(9, delay=delay, presentation_time=20.0, **FRAMES).partial_fit(X)
    frames = DendriticBalanceCoder(9, delay=delay, **FRAMES)
    for x in X:
        frames.set_params(presentation_time=20.0).partial_fit(x[None])
    assert as_bytes(frames.network_) == as_bytes(whole.network_)


@pytest.mark.parametrize("delay", [None, 3.0])
def test_frames_of_any_duration_are_those_of_the_naive_model(delay):
    X = DIGITS[:40, 16:32]
    durations = np.random.default_rng(0).choice([4.0, 10.0, 25.0, 60.0], size=len(X))
    coder = DendriticBalanceCoder(9, delay=delay, dt=0.5, rate=60.0, **FRAMES)
    coder.set_params(neuron__one_spike_per_step=False)
    coder.partial_fit(X[:1])
    z, D = coder.network_.lanes.traces[0], coder.network_.decoder
    n_spikes = 0
    for i in range(1, len(X)):
        before = coder.network_
        coder.set_params(presentation_time=durations[i]).partial_fit(X[i : i + 1])
        settings, after = coder.settings_, coder.network_
        # the same step of learning, with a record of the spikes
        spikes = network.learn(before.fork(), settings, X[i : i + 1], record=True)
        raster = as_raster(spikes, 0, settings)
        assert len(raster) == 2 * durations[i]
        x = naive.inputs(X[i - 1], X[i], len(raster))
        traces, z = naive.replay(raster, z, dt=0.5, tau=10.0)
        rate, decay = settings.rule.decoder_rate * 0.5, naive.decoder_decay(settings)
        D = naive.implicit_step(D.T, traces, x, rate, decay).T
        bias = naive.homeostasis(before.bias, [raster], rho=0.06, eta_b=0.05, dt=0.5)
        close = {"rtol": 1e-9, "atol": 1e-12}
        np.testing.assert_allclose(after.decoder, D, **close)
        np.testing.assert_allclose(after.lanes.traces[0], z, **close)
        np.testing.assert_allclose(after.bias, bias, **close)
        n_spikes += len(spikes)
    assert n_spikes > 100
    assert np.ptp(D) > 0.1


def test_spikes_of_frames_of_any_duration_have_the_law_of_the_naive_model():
    X = np.tile(DIGITS[:40, 16:32], (5, 1))
    durations = np.random.default_rng(0).choice([4.0, 10.0, 25.0], size=len(X))
    coder = DendriticBalanceCoder(9, dt=0.5, delay=2.0, rate=60.0, noise=0.2, **FRAMES)
    coder.set_params(neuron__one_spike_per_step=False).partial_fit(X)
    state, net = coder.network_.fork(), coder.network_
    F, W = net.decoder.T, net.recurrent.T
    # frozen, with the noise as it is now
    coder.set_params(learning_rate=0.0, neuron__homeostasis_rate=0.0, noise__annealing=0.0)
    coder.set_params(noise__initial=coder.noise_level_)
    z, late, in_flight = (each[0] for each in (
        net.lanes.traces, net.lanes.late_traces, net.lanes.in_flight
    ))  # fmt: skip
    x_previous = X[-1]
    p, s = [], []
    for x, duration in zip(X, durations, strict=True):
        coder.set_params(presentation_time=duration).partial_fit(x[None])
        spikes = network.learn(state, coder.settings_, x[None], record=True)
        raster, in_flight = as_raster(spikes, 0, coder.settings_), list(in_flight)
        for x_t, spiked in zip(naive.inputs(x_previous, x, len(raster)), raster, strict=True):
            a = naive.spike_logit(x_t, z, late, F, W, net.bias, state.variance**0.5, 0.25)
            p.append(naive.spike_probability(a))
            s.append(spiked)
            in_flight.append(spiked)
            z = z * np.exp(-0.05) + spiked
            late = late * np.exp(-0.05) + in_flight.pop(0)
        x_previous = x
    assert as_bytes(state) == as_bytes(coder.network_)
    p, s = np.array(p), np.array(s)
    for low, high in ((0.0, 0.02), (0.02, 0.05), (0.05, 0.1), (0.1, 0.3), (0.3, 1.0)):
        these = (low <= p) & (p < high)
        expected, deviation = p[these].sum(), np.sqrt((p * (1.0 - p))[these].sum())
        assert expected > 10
        # 5 comparisons at a significance of 1e-4 each
        assert abs(s[these].sum() - expected) < 3.9 * deviation + 1.0


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
