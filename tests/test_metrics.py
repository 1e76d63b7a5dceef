"""The measures against closed forms, the naive model and the real network."""

from dataclasses import replace
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from skdendbal import DendriticBalanceCoder, metrics, network
from skdendbal.datasets import make_bars
from skdendbal.rules import Dendritic
from skdendbal.settings import Neuron, Noise, Settings

SETTINGS = Settings(
    n_components=9,
    rule=Dendritic(decoder_rate=2e-3),
    neuron=Neuron(homeostasis_rate=1e-2, one_spike_per_step=False),
    noise=Noise(0.1),
    rate=40.0,
    dt=0.5,
    tau=8.0,
    presentation_time=40.0,
    batch_size=1,
    horizon=600,
)
TIMES = {"presentation_time": 40.0, "dt": 0.5, "tau": 8.0}
X = make_bars(650, side=4, random_state=0) / 6**0.5


@pytest.fixture(scope="module")
def net():
    net = network.initialise(SETTINGS, 16, seed=1)
    network.learn(net, SETTINGS, X[:600])
    return net


@pytest.fixture(scope="module")
def stream(net):
    """Sums and spikes over a stream, with its inputs and traces at each step."""
    sums, spikes = network.evaluate(net, SETTINGS, X[600:])
    x = [
        naive.inputs(old, new, SETTINGS.n_steps)
        for old, new in zip(np.vstack([net.lanes.previous, X[600:-1]]), X[600:], strict=True)
    ]
    raster = np.zeros((len(x) * SETTINGS.n_steps, 9))
    steps = spikes["row"] * SETTINGS.n_steps + np.rint(spikes["time"] / SETTINGS.dt).astype(int)
    raster[steps, spikes["unit"]] = 1
    z = traces_after(raster, net.lanes.traces[0])
    return SimpleNamespace(sums=sums, spikes=spikes, x=np.concatenate(x), raster=raster, z=z)


def traces_after(raster, z):
    before, z = naive.replay(raster, z, dt=SETTINGS.dt, tau=SETTINGS.tau)
    return np.vstack([before[1:], z])


def sum_up(x, z):
    return SimpleNamespace(n_steps=len(x), sum_xx=(x**2).sum(), sum_xz=x.T @ z, sum_zz=z.T @ z)


def tables(limit, min_side=1, min_value=None):
    low = -limit if min_value is None else min_value
    shapes = array_shapes(min_dims=2, max_dims=2, min_side=min_side, max_side=6)
    return arrays(np.float64, shapes, elements=st.floats(low, limit))


# Decoder loss, likelihood and rates


def test_decoder_loss_of_a_stream(net, stream):
    expected = naive.decoder_loss(stream.x, stream.z, net.decoder)
    assert 0.001 < expected < naive.decoder_loss(stream.x, stream.z, 0 * net.decoder)
    loss = metrics.decoder_loss(stream.sums, net.decoder)
    assert isinstance(loss, float)
    assert loss == pytest.approx(expected, rel=1e-10)


def test_log_likelihood_of_a_stream(net, stream):
    residual = stream.x - stream.z @ net.decoder.T
    normal = stats.multivariate_normal(np.zeros(16), (residual**2).mean() * np.eye(16))
    likelihood = metrics.log_likelihood(stream.sums, net.decoder)
    assert isinstance(likelihood, float)
    assert likelihood == pytest.approx(normal.logpdf(residual).mean(), rel=1e-10)
    # the fitted variance is the most likely one
    for factor in (0.9, 1.1):
        normal = stats.multivariate_normal(
            np.zeros(16), factor * (residual**2).mean() * np.eye(16)
        )
        assert normal.logpdf(residual).mean() < likelihood


def test_the_least_squares_decoder_has_the_lowest_loss(net, stream):
    sums = stream.sums
    best = np.linalg.solve(sums.sum_zz, sums.sum_xz.T).T
    loss = metrics.decoder_loss(sums, best)
    assert loss < metrics.decoder_loss(sums, net.decoder)
    for factor in (0.99, 1.01):
        assert loss < metrics.decoder_loss(sums, factor * best)


def test_perfect_reconstruction():
    z = np.random.default_rng(0).gamma(1.0, size=(40, 5))
    decoder = np.random.default_rng(1).standard_normal((7, 5))
    sums = sum_up(z @ decoder.T, z)
    assert 0 <= metrics.decoder_loss(sums, decoder) < 1e-14
    silence = sum_up(np.zeros((40, 7)), np.zeros((40, 5)))
    assert metrics.decoder_loss(silence, decoder) == 0
    assert metrics.log_likelihood(silence, decoder) == np.inf


def test_firing_rates(stream):
    rates = metrics.firing_rates(stream.sums, 0.5)
    assert_allclose(rates, stream.raster.sum(axis=0) / (50 * 40e-3))
    assert 10 < rates.mean() < 100


@pytest.mark.parametrize("decoder", [np.ones((9, 16)), np.ones((16, 8))])
def test_a_decoder_of_another_shape_is_refused(stream, decoder):
    for measure in (metrics.decoder_loss, metrics.log_likelihood):
        with pytest.raises(ValueError, match=r"but sums\.sum_xz has \(16, 9\)"):
            measure(stream.sums, decoder)


def test_a_bad_decoder_or_empty_sums_are_refused(stream):
    with pytest.raises(ValueError, match="Input decoder contains NaN"):
        metrics.decoder_loss(stream.sums, np.full((16, 9), np.nan))
    nothing = replace(stream.sums, n_steps=0)
    for measure in (metrics.decoder_loss, metrics.log_likelihood):
        with pytest.raises(ValueError, match="n_steps=0: evaluate at least one"):
            measure(nothing, np.ones((16, 9)))
    with pytest.raises(ValueError, match="n_steps=0: evaluate at least one"):
        metrics.firing_rates(nothing, 0.5)
    with pytest.raises(ValueError, match="dt == 0, must be > 0"):
        metrics.firing_rates(stream.sums, 0)
    with pytest.raises(TypeError, match="dt must be an instance of"):
        metrics.firing_rates(stream.sums, "fast")


@pytest.fixture(scope="module")
def coder():
    params = {"n_components": 9, "noise": 0.1, "dt": 0.5, "tau": 8.0, "presentation_time": 40.0}
    return DendriticBalanceCoder(batch_size=1, max_iter=1, random_state=0, **params).fit(3 * X)


@pytest.mark.parametrize("container", [np.array, np.asfortranarray, csr_array])
def test_measures_of_a_coder_are_those_of_its_network(coder, container):
    data = 3 * X[600:]
    net, settings, scale = coder.network_, coder.settings_, coder.scale_
    sums, spikes = network.evaluate(net, settings, data, scale)
    loss = scale**2 * metrics.decoder_loss(sums, net.decoder)
    assert metrics.decoder_loss(coder, container(data)) == pytest.approx(loss, rel=1e-10)
    # in units of X, the density of an entry is smaller by the scale
    likelihood = metrics.log_likelihood(sums, net.decoder) - 16 * np.log(scale)
    assert metrics.log_likelihood(coder, container(data)) == pytest.approx(likelihood)
    rates = np.bincount(spikes["unit"], minlength=9) / (50 * 40e-3)
    assert_allclose(metrics.firing_rates(coder, container(data)), rates)


def test_measures_of_what_is_no_fitted_coder(coder):
    for measure in (metrics.decoder_loss, metrics.log_likelihood, metrics.firing_rates):
        with pytest.raises(NotFittedError):
            measure(DendriticBalanceCoder(), X)
        with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 16"):
            measure(coder, X[:, :3])


# Traces


@pytest.mark.parametrize(("every", "interval"), [(3.0, 6), (0.5, 1), (0.1, 1), (2.8, 6), (40, 80)])
def test_sampled_traces_of_presentations_from_rest(net, every, interval):
    silent = np.zeros((1, 16))  # the last row evokes few spikes, or none
    rows = np.vstack([X[600:604], silent])
    spikes = network.simulate(net, SETTINGS, rows, seed=0, n_trials=3)
    traces = metrics.sample_traces(spikes, 9, 5, n_trials=3, every=every, **TIMES)
    assert traces.shape == (15, 80 // interval, 9)
    for presentation, sampled in enumerate(traces):
        row, trial = divmod(presentation, 3)
        raster = np.zeros((80, 9))
        here = spikes[(spikes["row"] == row) & (spikes["trial"] == trial)]
        raster[np.rint(here["time"] / 0.5).astype(int), here["unit"]] = 1
        expected = traces_after(raster, np.zeros(9))[interval - 1 :: interval]
        assert_allclose(sampled, expected, rtol=1e-12, atol=1e-15)
    # the order of the record does not matter
    shuffled = np.random.default_rng(0).permutation(spikes)
    again = metrics.sample_traces(shuffled, 9, 5, n_trials=3, every=every, **TIMES)
    assert_allclose(again, traces, rtol=1e-12)


def test_sampled_traces_of_a_stream(net, stream):
    spikes = stream.spikes.copy()
    spikes["time"] += 40.0 * spikes["row"]
    spikes["row"] = 0
    traces = metrics.sample_traces(spikes, 9, 1, **TIMES | {"presentation_time": 50 * 40.0})
    start = net.lanes.traces[0] * np.exp(-np.arange(1, len(stream.z) + 1) * 0.5 / 8.0)[:, None]
    assert_allclose(traces[0], (stream.z - start)[5::6], rtol=1e-12, atol=1e-12)


def test_no_spikes():
    traces = metrics.sample_traces(np.empty(0, network.SPIKE), 9, 5, n_trials=3, **TIMES)
    assert_array_equal(traces, np.zeros((15, 13, 9)))


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("n_rows", 50, "spikes hold row 50, counted from 0, but n_rows=50"),
        ("n_units", 8, "spikes hold unit 8, counted from 0, but n_units=8"),
        ("n_trials", 2, "spikes hold trial 2, counted from 0, but n_trials=2"),
        (
            "presentation_time",
            39.5,
            r"spikes hold step 79, .* but presentation_time=39\.5, dt=0\.5",
        ),
        ("every", 40.5, r"every=40\.5 ms is longer than presentation_time=40\.0 ms"),
        ("dt", 0, "'dt' parameter of sample_traces must be a float in the range"),
        ("tau", np.inf, "'tau' parameter of sample_traces must be a float in the range"),
        ("n_units", 8.0, "'n_units' parameter of sample_traces must be an int in the range"),
        ("spikes", [(0, 0, 1.0, 0)], "'spikes' parameter of sample_traces must be an instance"),
    ],
)
def test_traces_of_what_was_not_presented(parameter, value, message):
    spikes = np.array([(50, 2, 39.5, 8)], dtype=network.SPIKE)
    arguments = {"spikes": spikes, "n_units": 9, "n_rows": 51, "n_trials": 3, **TIMES}
    with pytest.raises(ValueError, match=message):
        metrics.sample_traces(**arguments | {parameter: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("row", -1, "hold row -1"),
        ("trial", -1, "hold trial -1"),
        ("unit", -1, "hold unit -1"),
        ("time", -20.0, "hold step -40"),
        ("time", np.nan, "hold step nan"),
    ],
)
def test_traces_of_spikes_before_the_first_of_all(name, value, message):
    spikes = np.zeros(3, dtype=network.SPIKE)
    spikes[name][1] = value
    with pytest.raises(ValueError, match=message):
        metrics.sample_traces(spikes, 9, 5, n_trials=3, **TIMES)


# Correlations


def test_trace_correlations(stream):
    expected = np.corrcoef(stream.z.T)
    assert_allclose(metrics.trace_correlations(stream.z), expected, rtol=1e-9, atol=1e-12)
    stacked = stream.z.reshape(50, 80, 9)
    assert_array_equal(metrics.trace_correlations(stacked), metrics.trace_correlations(stream.z))


def test_constant_units_are_uncorrelated():
    traces = np.random.default_rng(0).random((1001, 5))
    traces[:, 1:4] = 0.0, 0.1, 0.7  # the means of so many samples are rounded
    correlations = metrics.trace_correlations(traces)
    expected = np.eye(5)
    expected[0, 4] = expected[4, 0] = np.corrcoef(traces[:, 0], traces[:, 4])[0, 1]
    assert_allclose(correlations, expected, atol=1e-15)


@settings(deadline=None)
@given(tables(1e150) | tables(1.0) | tables(1e-300))
def test_correlations_are_correlations(traces):
    correlations = metrics.trace_correlations(traces)
    assert_array_equal(np.diag(correlations), 1)
    assert_array_equal(correlations, correlations.T)
    assert (np.abs(correlations) <= 1).all()
    # scaling by powers of two changes no bit
    scaled = traces * 2.0 ** np.arange(traces.shape[1])
    if np.abs(traces[traces != 0]).min(initial=1) > 1e-200:
        assert_array_equal(metrics.trace_correlations(scaled), correlations)


def test_bad_traces_are_refused():
    with pytest.raises(ValueError, match="Input traces contains NaN"):
        metrics.trace_correlations([[[np.nan]]])


# Balance


def correlation_of_currents(feedforward, recurrent):
    return [stats.pearsonr(f, r)[0] for f, r in zip(feedforward.T, recurrent.T, strict=True)]


def test_exact_balance_equals_the_correlation_of_currents(net, stream):
    F, D = net.decoder.T, net.decoder
    got = metrics.balance(stream.x, stream.z, D)
    assert got.shape == (16,)
    for neuron in (0, 8):
        feedforward = F[neuron] * stream.x
        recurrent = -F[neuron] * (stream.z @ D.T)
        assert_allclose(got, correlation_of_currents(feedforward, recurrent), rtol=1e-9)
    assert got.mean() < -0.7  # a trained network is balanced


def test_learned_balance_equals_the_correlation_of_currents(stream):
    rng = np.random.default_rng(0)
    F, W = rng.gamma(1.0, size=(9, 16)), rng.standard_normal((16, 9, 9))
    got = metrics.balance(stream.x, stream.z, W)
    assert got.shape == (16, 9)
    for neuron in range(9):
        feedforward, recurrent = F[neuron] * stream.x, stream.z @ W[:, neuron].T
        assert_allclose(got[:, neuron], correlation_of_currents(feedforward, recurrent), rtol=1e-8)


def test_dendritic_weights_that_balance_exactly(net, stream):
    F, D = np.random.default_rng(0).gamma(1.0, size=(9, 16)), net.decoder
    W = -F.T[:, :, None] * D[:, None, :]
    expected = np.repeat(metrics.balance(stream.x, stream.z, D)[:, None], 9, axis=1)
    assert_allclose(metrics.balance(stream.x, stream.z, W), expected, rtol=1e-12)


def test_somatic_balance_equals_the_correlation_of_currents(net, stream):
    F, W = net.decoder.T, np.random.default_rng(0).standard_normal((9, 9))
    feedforward, recurrent = stream.x @ F.T, stream.z @ W.T
    got = metrics.balance(feedforward, stream.z, -W)
    assert_allclose(got, correlation_of_currents(feedforward, recurrent), rtol=1e-9)
    # the exact rule's own recurrent weights balance the soma, too
    assert metrics.balance(feedforward, stream.z, -net.recurrent.T).mean() < -0.7


def test_balance_of_samples_from_rest(net):
    spikes = network.simulate(net, SETTINGS, X[600:], seed=0, n_trials=1)
    traces = metrics.sample_traces(spikes, 9, 50, **TIMES)
    inputs = SETTINGS.fade[5::6, None] * X[600:, None]
    assert traces.shape[:2] == inputs.shape[:2]
    assert metrics.balance(inputs, traces, net.decoder).mean() < -0.7
    # inputs of other rows are not balanced
    assert metrics.balance(inputs[::-1], traces, net.decoder).mean() > -0.4


def test_limits_of_balance():
    z = np.random.default_rng(0).gamma(1.0, size=(200, 4))
    decoder = np.random.default_rng(1).standard_normal((5, 4))
    x = z @ decoder.T
    for weights in (decoder, -np.repeat(decoder[:, None], 4, axis=1)):
        assert_allclose(metrics.balance(3 * x, z, weights), -1)
        assert_allclose(metrics.balance(-x, z, weights), 1)
        assert_array_equal(metrics.balance(0 * x, z, weights), 0)
        assert_array_equal(metrics.balance(x, 0 * z, weights), 0)
        assert_array_equal(metrics.balance(x, z, 0 * weights), 0)


def test_balance_of_fewer_samples_than_units():
    rng = np.random.default_rng(0)
    x, z, W = rng.random((3, 2)), rng.random((3, 6)), rng.standard_normal((2, 6, 6))
    got = metrics.balance(x, z, W)
    for neuron in range(6):
        expected = correlation_of_currents(x, z @ W[:, neuron].T)
        assert_allclose(got[:, neuron], expected, rtol=1e-9)


@pytest.mark.parametrize("shape", [(5, 2), (2, 5, 2), (2, 5, 5, 5)])
def test_balance_of_what_does_not_fit(shape):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        metrics.balance(np.ones((3, 2)), np.ones((4, 5)), np.ones((2, 5)))
    with pytest.raises(
        ValueError, match=r"ask for \(2, 5\) \(decoder\) or \(2, 5, 5\) \(dendrites\)"
    ):
        metrics.balance(np.ones((4, 2)), np.ones((4, 5)), np.ones(shape))
    with pytest.raises(ValueError, match="Input weights contains NaN"):
        metrics.balance(np.ones((4, 2)), np.ones((4, 5)), np.full((2, 5), np.nan))


# Sparseness


def test_limits_of_sparseness():
    one_hot = 0.3 * np.eye(7)
    for axis in (0, 1):
        assert_allclose(metrics.treves_rolls(one_hot, axis), 1, rtol=1e-15)
        assert_allclose(metrics.treves_rolls(np.full((7, 7), 0.3), axis), 0, atol=1e-15)
        assert_array_equal(metrics.treves_rolls(np.zeros((7, 7)), axis), 0)


def test_sparseness_of_random_codes():
    codes = np.random.default_rng(0).exponential(size=(20_000, 3))
    # mean 1 and mean square 2
    assert_allclose(metrics.treves_rolls(codes), 0.5, atol=0.02)
    assert_allclose(metrics.treves_rolls(codes[:5].T, axis=1), metrics.treves_rolls(codes[:5]))


@settings(deadline=None)
@given(tables(1e300, 2, 0) | tables(1.0, 2, 0), st.sampled_from([0, 1]), st.integers(-300, 10))
def test_sparseness_is_bounded_and_blind_to_scale(codes, axis, exponent):
    sparseness = metrics.treves_rolls(codes, axis)
    assert sparseness.shape == (codes.shape[1 - axis],)
    assert ((sparseness >= 0) & (sparseness <= 1)).all()
    if codes[codes > 0].min(initial=1) > 1e-200:
        assert_array_equal(metrics.treves_rolls(codes * 2.0**exponent, axis), sparseness)


@pytest.mark.parametrize(
    ("codes", "axis", "message"),
    [
        ([[1.0, -1.0]], 1, "Negative values in data passed to treves_rolls"),
        ([[1.0, np.inf]], 1, "Input codes contains infinity"),
        ([[1.0, 2.0]], 0, r"codes of shape \(1, 2\) hold 1 response along axis=0"),
        ([[1.0, 2.0]], 2, "'axis' parameter of treves_rolls must be an? int among"),
    ],
)
def test_sparseness_of_bad_codes(codes, axis, message):
    with pytest.raises(ValueError, match=message):
        metrics.treves_rolls(codes, axis)


# Dictionaries


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 6))
def test_recovery_is_blind_to_order_sign_and_scale(seed, n_atoms, n_features):
    rng = np.random.default_rng(seed)
    reference = rng.standard_normal((n_atoms, n_features))
    order = rng.permutation(n_atoms)
    scale = rng.choice([-1, 1], n_atoms) * 10.0 ** rng.integers(-280, 280, n_atoms)
    components = (scale[:, None] * reference)[order]
    similarity, assignment = metrics.dictionary_recovery(components, reference)
    assert similarity == pytest.approx(1)
    if n_features > 1:  # with one feature, any order is as good
        assert_array_equal(order[assignment], np.arange(n_atoms))


def test_recovery_assigns_one_to_one():
    # both atoms prefer component 0, but only one can have it
    components = [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    reference = [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    similarity, assignment = metrics.dictionary_recovery(components, reference)
    assert assignment.tolist() == [0, 1]
    assert similarity == pytest.approx((1 + 3**-0.5) / 2)


def test_recovery_of_another_number_of_atoms():
    similarity, assignment = metrics.dictionary_recovery(np.eye(4)[[2, 0]], np.eye(4))
    assert similarity == 0.5
    assert assignment[[0, 2]].tolist() == [1, 0]
    assert assignment[[1, 3]].tolist() == [-1, -1]
    similarity, assignment = metrics.dictionary_recovery(np.eye(4), np.eye(4)[[2, 0]])
    assert (similarity, assignment.tolist()) == (1.0, [2, 0])
    assert metrics.dictionary_recovery(np.zeros((4, 4)), np.eye(4))[0] == 0


def test_recovery_of_other_features():
    with pytest.raises(ValueError, match="components have 3 features, but reference has 4"):
        metrics.dictionary_recovery(np.eye(3), np.eye(4))
