"""Recordings: what follows from spikes, against a literal model that goes step by step."""

import pickle

import numpy as np
import pytest
from coders import DIGITS, FAST, SHORT_FITS
from sklearn.exceptions import NotFittedError

from skdendbal import DendriticBalanceCoder
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


def test_streams_have_one_trial_and_fade(digits_coder):
    with pytest.raises(ValueError, match="n_trials == 2"):
        digits_coder.record(DIGITS[:2], continuous=True, n_trials=2)
    with pytest.raises(ValueError, match=r"fade == 0\.0"):
        digits_coder.record(DIGITS[:2], continuous=True, fade=0.0)


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
        (
            {"current": np.zeros(31)},
            r"shape \(31,\) must be one finite number, or one",
        ),
        ({"current": np.nan}, "must be one finite number"),
        ({"noise": 0.0}, "noise=0.0 must be a number from 1e-06"),
    ],
)
def test_wrong_interventions(digits_coder, params, message):
    with pytest.raises(ValueError, match=message):
        digits_coder.record(DIGITS[:2], **params)
