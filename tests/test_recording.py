"""Recordings: what follows from spikes, against a literal model that goes step by step."""

import copy
import pickle
from dataclasses import replace

import naive
import numpy as np
import pytest
from coders import DIGITS, FAST, SHORT_FITS, as_bytes
from scipy.signal import lfilter
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from skdendbal import DendriticBalanceCoder, _kernels, network
from skdendbal.rules import RULES

X = DIGITS[:300, 16:32]


def literal(recording, row, trial):
    """Traces, potentials and those of compartments, as the model page defines them."""
    spikes = recording.spikes
    spikes = spikes[(spikes["row"] == row) & (spikes["trial"] == trial)]
    return step_by_step(recording, spikes, [np.zeros(recording.X.shape[1]), recording.X[row]])


def step_by_step(recording, spikes, rows):
    """The same for rows that follow one another, the first of which is the one before."""
    timing, weights = recording.timing, recording.weights
    D = weights["decoder"]
    F = weights.get("feedforward", D).T
    W = weights["recurrent"].T
    n_units, lag = len(F), timing.delay_steps - 1
    times = spikes["time"] + (spikes["row"] - spikes["row"].min()) * timing.presentation_time
    history, potentials, compartments = [np.zeros(n_units)], [], []
    for t in range((len(rows) - 1) * timing.n_steps):
        z = history[-1]
        late = history[t - lag] if t >= lag else np.zeros(n_units)
        row, step = divmod(t, timing.n_steps)
        w = min(1.0, (step + 1) / (timing.fading * timing.n_steps))
        x = w * rows[row + 1] + (1.0 - w) * rows[row]
        u, u_by_input = np.zeros(n_units), np.zeros((n_units, len(x)))
        for j in range(n_units):
            seen = late.copy()
            seen[j] = z[j]
            u[j] = F[j] @ x + W[j] @ seen
            if "dendritic" in weights:
                u_by_input[j] = F[j] * x + weights["dendritic"][:, j] @ seen
            else:
                u_by_input[j] = F[j] * (x - D @ seen)
        potentials.append(u)
        compartments.append(u_by_input)
        spiked = np.zeros(n_units)
        spiked[spikes["unit"][np.isclose(times, t * timing.dt)]] = 1.0
        history.append(z * np.exp(-timing.dt / timing.tau) + spiked)
    return np.array(history[:-1]), np.array(potentials), np.array(compartments)


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("learning_rule", list(RULES))
@SHORT_FITS
def test_potentials_are_those_of_the_literal_model(learning_rule, delay):
    coder = DendriticBalanceCoder(6, learning_rule=learning_rule, delay=delay, **FAST).fit(X)
    recording = coder.record(X[:2], n_trials=2, random_state=0)
    assert len(recording.spikes) > 20
    row, trial = 1, 1
    traces, potentials, compartments = literal(recording, row, trial)
    np.testing.assert_allclose(recording.traces(row, trial), traces, rtol=0, atol=1e-10)
    np.testing.assert_allclose(recording.potentials(row, trial), potentials, rtol=0, atol=1e-10)
    if learning_rule.startswith("dendritic"):
        for unit in range(6):
            u = sum(recording.dendritic_currents(unit, row, trial))
            np.testing.assert_allclose(u, compartments[:, unit], rtol=0, atol=1e-10)
            # the soma receives the sum of its compartments
            np.testing.assert_allclose(u.sum(axis=1), potentials[:, unit], rtol=0, atol=1e-10)
    else:
        with pytest.raises(ValueError, match="no dendritic compartments"):
            recording.dendritic_currents(0, row, trial)
    # a part is that part of the whole
    part = recording.potentials(row, trial, units=[4, 1], every=7)
    np.testing.assert_allclose(part, potentials[::7, [4, 1]], rtol=0, atol=1e-10)
    assert len(recording.times(every=7)) == len(part)


@pytest.mark.parametrize("one_spike_per_step", [True, False])
@SHORT_FITS
def test_spike_probabilities_are_calibrated(one_spike_per_step):
    coder = DendriticBalanceCoder(16, max_iter=3, random_state=0)
    coder.set_params(neuron__one_spike_per_step=one_spike_per_step).fit(DIGITS)
    recording = coder.record(DIGITS[:5], n_trials=100, random_state=0)
    pairs = [
        (recording.spike_probabilities(row, trial).ravel(), recording.rasters(row, trial).ravel())
        for row in range(5)
        for trial in range(100)
    ]
    expected, observed = map(np.concatenate, zip(*pairs, strict=True))
    bins = np.digitize(expected, [1e-3, 1e-2, 0.03, 0.1, 0.3, 0.6, 0.9])
    for each in range(8):
        p, s = expected[bins == each], observed[bins == each]
        assert p.sum() > 30
        # 16 comparisons at a significance of 1e-4 each
        assert abs(s.sum() - p.sum()) < 3.9 * np.sqrt((p * (1.0 - p)).sum()) + 1.0


def test_a_recording_has_the_spikes_and_codes_of_the_coder(digits_coder):
    rows = DIGITS[:4]
    recording = digits_coder.record(rows, n_trials=3, random_state=7)
    spikes = digits_coder.simulate(rows, n_trials=3, random_state=7)
    assert np.array_equal(recording.spikes, spikes)
    assert (recording.n_rows, recording.n_trials, recording.n_units) == (4, 3, 32)
    assert recording.n_steps == 400
    assert recording.times()[-1] == pytest.approx(99.75)
    counts = np.bincount(
        spikes["unit"][(spikes["row"] == 2) & (spikes["trial"] == 1)], minlength=32
    )
    assert np.array_equal(recording.rasters(2, 1).sum(axis=0), counts)
    reconstruction = recording.reconstructions(2, 1)
    expected = recording.traces(2, 1) @ digits_coder.network_.decoder.T
    np.testing.assert_allclose(reconstruction, expected)
    # in the end it is near the input, which has faded in
    x = recording.inputs(2)[-1]
    np.testing.assert_allclose(x, rows[2] / digits_coder.scale_)
    assert np.square(x - reconstruction[-1]).sum() < 0.5 * np.square(x).sum()


def test_recurrent_currents_balance_feedforward_ones(digits_coder):
    feedforward, recurrent = digits_coder.record(DIGITS[:1], random_state=0).currents()
    late = slice(100, None)  # the input has faded in
    for unit in np.argsort(-np.abs(feedforward[-1]))[:5]:
        rest = np.abs(feedforward[late, unit] + recurrent[late, unit]).mean()
        assert rest < 0.3 * np.abs(feedforward[late, unit]).mean()


def test_thresholds_are_where_spikes_have_even_odds():
    coder = DendriticBalanceCoder(4, **FAST)
    coder.set_params(neuron__one_spike_per_step=False).fit(DIGITS)
    recording = coder.record(DIGITS[:1], random_state=0)
    dynamics = recording.dynamics
    logits = dynamics.gain * recording.thresholds + dynamics.offset
    np.testing.assert_allclose(logits, 0.0, atol=1e-9)


def test_learning_on_does_not_change_a_recording():
    coder = DendriticBalanceCoder(9, **FAST).fit(DIGITS)
    recording = coder.record(DIGITS[:1], random_state=0)
    before = recording.potentials()
    coder.partial_fit(DIGITS)
    assert np.array_equal(recording.potentials(), before)
    assert np.array_equal(pickle.loads(pickle.dumps(recording)).potentials(), before)


def test_errors(digits_coder):
    with pytest.raises(NotFittedError):
        DendriticBalanceCoder().record(DIGITS)
    recording = digits_coder.record(DIGITS[:2], random_state=0)
    with pytest.raises(IndexError, match="row=2 is not one of the 2"):
        recording.traces(2)
    with pytest.raises(IndexError, match="trial=1 is not one of the 1"):
        recording.potentials(0, 1)
    stream = digits_coder.record(DIGITS[:2], continuous=True, random_state=0)
    for each in (recording, stream):
        with pytest.raises(IndexError, match="row=-1 is not one of the 2"):
            each.inputs(-1)


def test_no_units_are_a_choice_of_units(digits_coder):
    recording = digits_coder.record(DIGITS[:2], random_state=0)
    for what in (recording.traces, recording.potentials, recording.spike_probabilities):
        assert what(1, units=[]).shape == (400, 0)


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("learning_rule", ["dendritic", "dendritic-decay", "somatic"])
@SHORT_FITS
def test_streams_are_those_of_the_literal_model(learning_rule, delay):
    coder = DendriticBalanceCoder(
        6, learning_rule=learning_rule, delay=delay, transform_time=20.0, **FAST
    ).fit(X)
    recording = coder.record(X[:4], continuous=True, fade=0.5, random_state=0)
    rows = [np.zeros(X.shape[1]), *recording.X]
    traces, potentials, compartments = step_by_step(recording, recording.spikes, rows)
    for got, expected in ((recording.traces, traces), (recording.potentials, potentials)):
        got = np.concatenate([got(row) for row in range(4)])
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)
    if learning_rule != "somatic":
        got = np.concatenate([sum(recording.dendritic_currents(2, row)) for row in range(4)])
        np.testing.assert_allclose(got, compartments[:, 2], rtol=0, atol=1e-10)


@SHORT_FITS
@pytest.mark.parametrize("tau", [1.0, 10.0])
def test_late_rows_of_a_long_stream(tau):
    coder = DendriticBalanceCoder(6, tau=tau, transform_time=50.0, **FAST).fit(X)
    recording = coder.record(X, continuous=True, random_state=0)
    whole = np.concatenate([recording.rasters(row) for row in range(len(X))])
    whole = lfilter([0.0, 1.0], [1.0, -recording.timing.decay], whole, axis=0)
    for row in (20, 299):
        expected = whole[row * recording.n_steps :][: recording.n_steps]
        np.testing.assert_allclose(recording.traces(row), expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("delay", [None, 3.0])
def test_a_stream_in_pieces_is_the_stream(delay):
    coder = DendriticBalanceCoder(9, delay=delay, horizon=100, transform_time=10.0, **FAST)
    coder.fit(DIGITS)
    whole = coder.record(DIGITS[:7], continuous=True, random_state=3)
    first = coder.record(DIGITS[:3], continuous=True, random_state=3)
    coder.partial_fit(DIGITS)  # learning on does not change what was recorded
    assert np.array_equal(first.spikes, whole.spikes[whole.spikes["row"] < 3])
    coder = DendriticBalanceCoder(9, delay=delay, horizon=100, transform_time=10.0, **FAST)
    coder.fit(DIGITS)
    for _ in range(2):  # a state may be the start of several
        second = coder.record(DIGITS[3:7], continuous=True, state=first.state)
        later = whole.spikes[whole.spikes["row"] >= 3]
        assert np.array_equal(second.spikes["row"] + 3, later["row"])
        for name in ("time", "unit"):
            assert np.array_equal(second.spikes[name], later[name])
    for row in range(4):
        for what in ("inputs", "traces", "potentials", "spike_probabilities"):
            mine, theirs = getattr(second, what)(row), getattr(whole, what)(row + 3)
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-10)


@SHORT_FITS
def test_spike_probabilities_of_a_stream_are_calibrated():
    coder = DendriticBalanceCoder(16, delay=1.0, max_iter=3, transform_time=20.0, random_state=0)
    coder.fit(DIGITS)
    recording = coder.record(DIGITS[:1000], continuous=True, random_state=0)
    p = np.concatenate([recording.spike_probabilities(row) for row in range(1000)])
    s = np.concatenate([recording.rasters(row) for row in range(1000)])
    bins = np.digitize(p, [1e-3, 1e-2, 0.03, 0.1, 0.3, 0.6, 0.9])
    for each in range(8):
        expected, observed = p[bins == each], s[bins == each].sum()
        deviation = np.sqrt((expected * (1.0 - expected)).sum())
        # 8 comparisons at a significance of 1e-4 each
        assert abs(observed - expected.sum()) < 3.9 * deviation + 1.0


def test_states_of_other_networks_are_refused(digits_coder):
    state = digits_coder.record(DIGITS[:1], continuous=True, random_state=0).state
    with pytest.raises(ValueError, match="continues a stream of rows"):
        digits_coder.record(DIGITS[:1], state=state)
    for params in ({"n_components": 9}, {"n_components": 32, "delay": 2.0}):
        other = DendriticBalanceCoder(**params, horizon=100, **FAST).fit(DIGITS)
        with pytest.raises(ValueError, match="state is that of a network with other numbers"):
            other.record(DIGITS[:1], continuous=True, state=state)


def test_what_is_no_state_is_refused(digits_coder):
    recording = digits_coder.record(DIGITS[:1], continuous=True, random_state=0)
    for state in (recording, (1, 2, 3)):
        with pytest.raises(ValueError, match="pass the attribute state of a recording"):
            digits_coder.record(DIGITS[:1], continuous=True, state=state)


def test_streams_have_one_trial_and_fade(digits_coder):
    for n_trials in (2, 0):
        with pytest.raises(ValueError, match=f"n_trials={n_trials} must be 1 for a stream"):
            digits_coder.record(DIGITS[:2], continuous=True, n_trials=n_trials)
    for fade in (0.0, 1.1, np.nan, "half"):
        with pytest.raises(ValueError, match=f"fade={fade!r} must be a number above 0 and at"):
            digits_coder.record(DIGITS[:2], continuous=True, fade=fade)


def test_interventions_change_the_recording_but_not_the_coder(digits_coder):
    rows, params = DIGITS[:20], {"random_state": 0, "n_trials": 2}
    plain = digits_coder.record(rows, **params)
    counts = np.bincount(plain.spikes["unit"], minlength=32)
    loudest = np.argsort(-counts)[:4]

    silenced = digits_coder.record(rows, silenced=loudest, **params)
    after = np.bincount(silenced.spikes["unit"], minlength=32)
    assert not after[loudest].any()
    assert after.sum() > after[loudest].sum()
    rest = np.delete(after, loudest).sum()
    assert rest > np.delete(counts, loudest).sum()  # others speak in their place

    current = np.zeros(32)
    current[loudest[0]] = 0.05
    driven = digits_coder.record(rows, current=current, **params)
    assert np.bincount(driven.spikes["unit"])[loudest[0]] > 1.2 * counts[loudest[0]]
    gain = driven.dynamics.gain
    np.testing.assert_allclose(driven.dynamics.offset - plain.dynamics.offset, gain * current)

    noisy = digits_coder.record(rows, noise=0.2, **params)
    assert noisy.dynamics.gain == pytest.approx(25.0)

    def error(recording):
        late = slice(100, None)  # after the fade
        return sum(
            np.square(recording.inputs(row) - recording.reconstructions(row))[late].sum()
            for row in range(20)
        )

    assert error(noisy) > 2.0 * error(plain)
    assert np.array_equal(digits_coder.record(rows, **params).spikes, plain.spikes)
    nothing = digits_coder.record(rows, silenced=[], current=0.0, **params)
    assert np.array_equal(nothing.spikes, plain.spikes)


def test_a_silenced_stream(digits_coder):
    recording = digits_coder.record(
        DIGITS[:5], continuous=True, silenced=np.arange(31), random_state=0
    )
    assert set(recording.spikes["unit"]) == {31}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"silenced": [32]}, "numbers of neurons below 32"),
        ({"silenced": [-1]}, "numbers of neurons below 32"),
        ({"silenced": np.arange(32) < 3}, "numbers of neurons below 32"),  # a mask
        ({"silenced": [0.5]}, "numbers of neurons below 32"),
        (
            {"current": np.zeros(31)},
            r"shape \(31,\) must be one finite number, or one",
        ),
        ({"current": np.nan}, "must be one finite number"),
        ({"current": np.zeros(2)}, r"row to row, pass an array of shape \(2, 32\), or \(2, 1\)"),
        ({"current": np.zeros((1, 32))}, r"shape \(1, 32\) must be one finite number"),
        ({"current": np.zeros((1, 2, 32))}, r"shape \(1, 2, 32\) must be one finite number"),
        ({"current": [[0.0], [np.inf]]}, r"shape \(2, 1\) must be one finite number"),
        ({"noise": 0.0}, "noise=0.0 must be a number from 1e-06"),
        ({"noise": "auto"}, "noise='auto' must be a number from 1e-06"),
        ({"noise": np.full(32, 0.1)}, r"(?s)noise=array.* must be a number from 1e-06"),
        (
            {"weights": {"W": np.zeros((32, 32))}},
            r"name 'W', which must be one of \['bias', 'decoder', 'feedforward', 'recurrent'\]",
        ),
        (
            {"weights": {"decoder": np.zeros((32, 64))}},
            r"weights\['decoder'\] of shape \(32, 64\) must be finite and of shape \(64, 32\)",
        ),
        ({"weights": {"bias": np.full(32, np.nan)}}, r"weights\['bias'\] of shape \(32,\) must"),
        ({"weights": {"recurrent": 0.0}}, r"shape \(\) must be finite and of shape \(32, 32\)"),
    ],
)
def test_wrong_interventions(digits_coder, params, message):
    with pytest.raises(ValueError, match=message):
        digits_coder.record(DIGITS[:2], **params)


def kept(logits):
    """Probabilities that a neuron spikes and that no more probable one does, one by one."""
    result = np.empty_like(logits)
    for step, a in enumerate(logits):
        for j in range(len(a)):
            others = np.array([other for other in a if other > a[j]])
            result[step, j] = 1.0 / (1.0 + np.exp(-a[j])) * np.prod(1.0 / (1.0 + np.exp(others)))
    return result


@pytest.mark.parametrize("scaled_bias", [False, True])
@pytest.mark.parametrize("continuous", [False, True])
@SHORT_FITS
def test_a_current_may_change_from_row_to_row(continuous, scaled_bias):
    coder = DendriticBalanceCoder(6, transform_time=20.0, **FAST)
    coder.set_params(neuron__scaled_bias=scaled_bias).fit(X)
    rows, params = X[:4], {"continuous": continuous, "random_state": 0}
    current = np.random.default_rng(0).normal(scale=0.1, size=(4, 6))
    recording = coder.record(rows, current=current, **params)
    net, neuron = coder.network_, coder.settings_.neuron
    bias = net.bias / (net.variance if scaled_bias else 1.0)
    own = neuron.self_inhibition * net.recurrent.diagonal()
    if continuous:
        all_rows = [np.zeros(16), *recording.X]
        potentials = step_by_step(recording, recording.spikes, all_rows)[1].reshape(4, 80, 6)
    else:
        potentials = np.array([literal(recording, row, 0)[1] for row in range(4)])
    for row in range(4):
        logits = (potentials[row] + current[row] + own) / net.variance + bias
        got = recording.spike_probabilities(row)
        np.testing.assert_allclose(got, kept(logits), rtol=1e-6, atol=1e-12)
    plain = coder.record(rows, **params)
    assert not np.array_equal(plain.spikes, recording.spikes)
    np.testing.assert_allclose(recording.thresholds, plain.thresholds - current)
    # what does not change is the same as one current for all rows, and for all neurons
    constant = coder.record(rows, current=current[0], **params)
    repeated = coder.record(rows, current=np.tile(current[0], (4, 1)), **params)
    assert np.array_equal(repeated.spikes, constant.spikes)
    for_all = coder.record(rows, current=[[0.1], [0.0], [-0.1], [0.0]], **params)
    each = np.outer([0.1, 0.0, -0.1, 0.0], np.ones(6))
    assert np.array_equal(coder.record(rows, current=each, **params).spikes, for_all.spikes)
    # two axes are rows and neurons, also if there is one row
    one = coder.record(rows[:1], current=current[:1], **params)
    assert np.array_equal(one.spikes, recording.spikes[recording.spikes["row"] == 0])


@pytest.mark.parametrize("continuous", [False, True])
@SHORT_FITS
def test_spike_probabilities_under_a_changing_current_are_calibrated(continuous):
    coder = DendriticBalanceCoder(16, delay=1.0, max_iter=3, transform_time=20.0, random_state=0)
    coder.fit(DIGITS)
    n_rows = 600
    current = 0.1 * np.sin(0.3 * np.arange(n_rows))[:, None] * np.linspace(-1.0, 1.0, 16)
    recording = coder.record(
        DIGITS[:n_rows], continuous=continuous, current=current, random_state=0
    )
    p = np.array([recording.spike_probabilities(row) for row in range(n_rows)])
    s = np.array([recording.rasters(row) for row in range(n_rows)])
    bins = np.digitize(p, [1e-3, 1e-2, 0.03, 0.1, 0.3, 0.6, 0.9])
    sign = np.broadcast_to(np.sign(current)[:, None, :], p.shape)
    for each in range(8):
        for direction in (-1, 1):
            these = (bins == each) & (sign == direction)
            expected, observed = p[these], s[these].sum()
            deviation = np.sqrt((expected * (1.0 - expected)).sum())
            # 16 comparisons at a significance of 1e-4 each
            assert abs(observed - expected.sum()) < 3.9 * deviation + 1.0


@pytest.mark.parametrize("delay", [None, 3.0])
def test_a_stream_with_a_time_course_in_pieces_is_the_stream(delay):
    coder = DendriticBalanceCoder(9, delay=delay, horizon=100, transform_time=10.0, **FAST)
    coder.fit(DIGITS)
    current = 0.1 * np.sin(np.arange(63)).reshape(7, 9)
    whole = coder.record(DIGITS[:7], continuous=True, current=current, random_state=3)
    first = coder.record(DIGITS[:3], continuous=True, current=current[:3], random_state=3)
    second = coder.record(DIGITS[3:7], continuous=True, current=current[3:], state=first.state)
    assert np.array_equal(first.spikes, whole.spikes[whole.spikes["row"] < 3])
    later = whole.spikes[whole.spikes["row"] >= 3]
    assert np.array_equal(second.spikes["row"] + 3, later["row"])
    assert np.array_equal(second.spikes["unit"], later["unit"])
    for row in range(4):
        mine, theirs = second.spike_probabilities(row), whole.spike_probabilities(row + 3)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("learning_rule", list(RULES))
@SHORT_FITS
def test_weights_of_a_network_made_elsewhere(learning_rule):
    params = {"n_components": 6, "learning_rule": learning_rule, **FAST}
    coder = DendriticBalanceCoder(**params).fit(X)
    other = DendriticBalanceCoder(**{**params, "random_state": 1}).fit(X)
    before = as_bytes(coder.network_)
    other.scale_ = coder.scale_
    weights = {**other.network_.weights, "bias": other.network_.bias}
    recording = coder.record(X[:3], weights=weights, random_state=0)
    expected = other.record(X[:3], random_state=0)
    assert np.array_equal(recording.spikes, expected.spikes)
    assert np.array_equal(recording.potentials(2), expected.potentials(2))
    assert np.array_equal(recording.spike_probabilities(2), expected.spike_probabilities(2))
    assert np.array_equal(recording.reconstructions(2), expected.reconstructions(2))
    if learning_rule.startswith("dendritic"):
        pairs = zip(recording.dendritic_currents(1), expected.dendritic_currents(1), strict=True)
        assert all(np.array_equal(mine, theirs) for mine, theirs in pairs)
    own = coder.record(X[:3], random_state=0)
    assert not np.array_equal(recording.spikes, own.spikes)
    assert as_bytes(coder.network_) == before
    # the recording keeps what it was given
    potentials = recording.potentials()
    for values in weights.values():
        values[:] = 0.0
    assert np.array_equal(recording.potentials(), potentials)


def test_what_spikes_follow_from(digits_coder):
    rows, params = DIGITS[:5], {"random_state": 0}
    plain = digits_coder.record(rows, **params)
    F = D = digits_coder.network_.decoder
    W = digits_coder.network_.recurrent
    doubled = digits_coder.record(rows, weights={"feedforward": 2.0 * F}, **params)
    np.testing.assert_allclose(doubled.currents()[0], 2.0 * plain.currents()[0])
    assert np.array_equal(doubled.weights["decoder"], D)
    # with feedforward weights of its own, a network does not see its decoder
    read_out = digits_coder.record(rows, weights={"feedforward": F, "decoder": 3.0 * D}, **params)
    assert np.array_equal(read_out.spikes, plain.spikes)
    np.testing.assert_allclose(read_out.reconstructions(), 3.0 * plain.reconstructions())
    moved = digits_coder.record(rows, weights={"decoder": 2.0 * D}, **params)
    assert np.array_equal(moved.spikes, doubled.spikes)
    # neurons that inhibit no one but themselves fire more often
    alone = digits_coder.record(rows, weights={"recurrent": np.diag(W.diagonal())}, **params)
    assert len(alone.spikes) > 1.5 * len(plain.spikes)
    shuffled = W[np.random.default_rng(0).permutation(32)]
    recording = digits_coder.record(rows, weights={"recurrent": shuffled}, **params)
    currents = recording.currents()[1]
    np.testing.assert_allclose(currents, recording.traces() @ shuffled, atol=1e-9)
    # interventions work together: the bias and the current, which is given as another bias
    bias, variance = digits_coder.network_.bias, digits_coder.network_.variance
    current = np.linspace(-0.05, 0.05, 32)
    as_bias = digits_coder.record(rows, weights={"bias": bias + current / variance}, **params)
    as_current = digits_coder.record(rows, current=current, **params)
    assert np.array_equal(as_bias.spikes, as_current.spikes)
    for each in (recording, moved, doubled):
        with pytest.raises(ValueError, match="no dendritic compartments, as their recurrent"):
            each.dendritic_currents(0)
    together = {"feedforward": 2.0 * F, "recurrent": -2.0 * D.T @ F}
    recording = digits_coder.record(rows, weights=together, **params)
    u = sum(recording.dendritic_currents(4)).sum(axis=1)
    np.testing.assert_allclose(u, recording.potentials()[:, 4], rtol=0, atol=1e-9)


@SHORT_FITS
def test_a_second_coder_takes_the_traces_of_the_first():
    first = DendriticBalanceCoder(9, max_iter=3, random_state=0).fit(DIGITS)
    recording = first.record(DIGITS[:6], continuous=True, random_state=0)
    traces = np.concatenate([recording.traces(row) for row in range(6)])
    dt = recording.timing.dt
    second = DendriticBalanceCoder(
        5, batch_size=1, presentation_time=dt, horizon=1000, random_state=0
    )
    second.partial_fit(traces[:1600])
    assert second.n_steps_ == 1600  # a weight update in every step
    assert second.network_.decoder.any()

    recorded = second.record(traces[1600:], continuous=True, random_state=0)
    inputs = [recorded.inputs(step) for step in range(800)]
    assert {x.shape for x in inputs} == {(1, 9)}
    np.testing.assert_allclose(np.concatenate(inputs) * second.scale_, traces[1600:], rtol=1e-15)
    assert len(recorded.spikes) > 50
    stream = [np.zeros(9), *recorded.X]
    z, potentials, compartments = step_by_step(recorded, recorded.spikes, stream)
    for got, expected in ((recorded.traces, z), (recorded.potentials, potentials)):
        got = np.concatenate([got(step) for step in range(800)])
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)
    got = np.concatenate([sum(recorded.dendritic_currents(3, step)) for step in range(800)])
    np.testing.assert_allclose(got, compartments[:, 3], rtol=0, atol=1e-10)
    probabilities = np.concatenate([recorded.spike_probabilities(step) for step in range(800)])
    deviation = np.sqrt((probabilities * (1.0 - probabilities)).sum())
    assert abs(len(recorded.spikes) - probabilities.sum()) < 3.9 * deviation


def test_a_second_coder_learns_from_the_traces_as_the_naive_model_does():
    first = DendriticBalanceCoder(9, max_iter=3, random_state=0).fit(DIGITS)
    recording = first.record(DIGITS[:2], continuous=True, random_state=0)
    traces = np.concatenate([recording.traces(row) for row in range(2)])
    second = DendriticBalanceCoder(
        5, batch_size=1, presentation_time=0.25, rate=100.0, input_scale=1.0, random_state=0
    ).partial_fit(traces[:400])
    before, settings = second.network_, second.settings_
    spikes = network.learn(before.fork(), settings, traces[400:], record=True)
    second.partial_fit(traces[400:])
    z, D = before.lanes.traces[0], before.decoder
    rate, decay = settings.rule.decoder_rate * 0.25, naive.decoder_decay(settings)
    for step, x in enumerate(traces[400:]):
        D = naive.implicit_step(D.T, [z], [x], rate, decay).T
        spiked = np.zeros(5)
        spiked[spikes["unit"][spikes["row"] == step]] = 1.0
        z = z * np.exp(-0.025) + spiked
    assert len(spikes) > 20
    np.testing.assert_allclose(second.network_.decoder, D, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(second.network_.recurrent, -D.T @ D, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(second.network_.lanes.traces[0], z, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("transform_time", [100.0, 10.0, 2.0, 0.25])
def test_codes_in_the_end_are_those_of_the_network(digits_coder, transform_time):
    coder = copy.copy(digits_coder).set_params(transform_time=transform_time)
    recording = coder.record(DIGITS[:3], n_trials=2, random_state=7)
    seed = check_random_state(7).randint(np.iinfo(np.int32).max)
    settings = replace(coder.settings_, presentation_time=transform_time)
    for trial in range(2):
        expected = np.empty((3, 32))
        key = _kernels.stream_key(np.uint64(seed), trial)
        network.encode(
            coder.network_, settings, DIGITS[:3], coder.scale_, seed=int(key), out=expected
        )
        codes = [recording.codes(row, trial)[-1] for row in range(3)]
        np.testing.assert_allclose(codes, expected, rtol=1e-12)


def test_codes_of_spikes_so_far(digits_coder):
    recording = digits_coder.record(DIGITS[:1], random_state=0)
    until = [0.0, 3.0, 10.0, 50.0]
    codes = recording.codes(until=until)
    spikes, timing = recording.spikes, digits_coder.settings_
    assert np.array_equal(codes[0], np.zeros(32))
    assert np.array_equal(codes, np.vstack([codes[:1], recording.codes()[[11, 39, 199]]]))
    for time, code in zip(until, codes, strict=True):
        counts = np.bincount(spikes["unit"][spikes["time"] < time], minlength=32)
        assert np.array_equal(code > 0, counts > 0)
        if time >= 10.0:  # as for a presentation of this duration, in which a row fades in as fast
            per_spike = replace(timing, presentation_time=time).at_rest.code_per_spike
            np.testing.assert_allclose(code, counts * per_spike)


def test_codes_of_a_row_that_fades_in_are_in_balance(digits_coder):
    """A trace that follows a code times the weight of the row takes so many spikes."""
    recording = digits_coder.record(DIGITS[:1], random_state=0)
    fade, decay = recording.timing.fade, recording.timing.decay
    code = 3.0
    trace, spikes = 0.0, 0.0
    needed = []
    for weight in fade:
        spike = code * weight - decay * trace  # what is missing
        trace = decay * trace + spike
        spikes += spike
        needed.append(spikes)
    counts = np.cumsum(recording.rasters(), axis=0)
    expected = counts * code / np.array(needed)[:, np.newaxis]
    np.testing.assert_allclose(recording.codes(), expected)


@pytest.mark.parametrize("until", [[-1.0], [101.0], [np.nan]])
def test_codes_at_times_that_were_not_recorded(digits_coder, until):
    recording = digits_coder.record(DIGITS[:1], random_state=0)
    with pytest.raises(ValueError, match=r"must be from 0 to 100\.0 ms"):
        recording.codes(until=until)


def test_codes_of_a_stream_are_refused(digits_coder):
    stream = digits_coder.record(DIGITS[:2], continuous=True, random_state=0)
    with pytest.raises(ValueError, match="presented at rest: record with continuous=False"):
        stream.codes()
