"""The network against its naive twin and closed forms: spikes, codes, evaluation, records."""

import copy
import itertools
import pickle
from dataclasses import replace

import naive
import numpy as np
import pytest
from networks import (
    BARS,
    ONE_SPIKE,
    QUIET,
    SMALL,
    VARIANTS,
    arrivals,
    as_neurons,
    as_raster,
    late_traces,
    logit_bias,
    make_trained,
    onset,
    weights_of,
)
from scipy import stats

from skdendbal import network
from skdendbal.datasets import make_bars
from skdendbal.metrics import decoder_loss
from skdendbal.settings import Noise


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_sampling_without_noise_equals_the_naive_model(settings):
    net, X = make_trained(settings)
    F, W = weights_of(net, settings)
    assert np.ptp(F) > 0.1
    assert np.ptp(W) > 0.01 or W.size == 1
    net.variance = QUIET
    start = copy.deepcopy(net)
    _, spikes = network.evaluate(net, settings, X)
    assert len(spikes) > 20
    lanes = settings.batch_size
    for lane in range(lanes):
        z, x_previous = start.lanes.traces[lane], start.lanes.previous[lane]
        late, in_flight = late_traces(start.lanes, lane), start.lanes.in_flight[lane]
        for row in range(lane, len(X), lanes):
            raster, _, _, z, late, in_flight = naive.present(
                x_previous,
                X[row],
                z,
                F,
                W,
                logit_bias(net, settings),
                QUIET**0.5,
                **as_neurons(settings),
                numbers=np.full((settings.n_steps, settings.n_components), 0.5),
                late=late,
                in_flight=in_flight,
                fading=settings.fading,
            )
            assert np.array_equal(raster, as_raster(spikes, row, settings))
            x_previous = X[row]


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_codes_without_noise_equal_the_naive_model_at_rest(settings):
    net, X = make_trained(settings)
    net.variance = QUIET
    codes = np.empty((len(X), settings.n_components))
    network.encode(net, settings, X, seed=3, out=codes)
    F, W = weights_of(net, settings)
    fading = onset(settings)
    for row, x in enumerate(X):
        raster, *_ = naive.present(
            np.zeros_like(x),
            x,
            np.zeros(settings.n_components),
            F,
            W,
            logit_bias(net, settings),
            QUIET**0.5,
            **as_neurons(settings),
            numbers=np.full((settings.n_steps, settings.n_components), 0.5),
            in_flight=np.zeros((settings.delay_steps - 1, settings.n_components)),
            fading=fading,
        )
        # there are sum_t (z(t + 1) - q z(t)) spikes; for z(t + 1) = w(t) and z(0) = 0, these are
        w = np.minimum(1.0, np.arange(1, len(raster) + 1) / (fading * len(raster)))
        spikes = w.sum() - np.exp(-settings.dt / settings.tau) * w[:-1].sum()
        np.testing.assert_allclose(codes[row], raster.sum(axis=0) / spikes, rtol=1e-12)


def kept_probabilities(p):
    """Probabilities, for each step, that a neuron spikes and no more probable one does."""
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    none_before = np.cumprod(np.column_stack([np.ones(len(p)), 1 - ranked[:, :-1]]), axis=1)
    kept = np.empty_like(p)
    np.put_along_axis(kept, order, ranked * none_before, axis=1)
    return kept


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_spikes_follow_the_law_of_the_naive_model_given_the_past(settings):
    # Sums of (spike - p) times anything known before the step have mean zero and a known
    # variance. Seeds are fixed; the joint significance of all tests of a variant is 1e-3.
    net, X = make_trained(settings)
    lanes = settings.batch_size
    X = np.concatenate([X] * 8 * lanes)
    F, W = weights_of(net, settings)
    start = copy.deepcopy(net)
    _, spikes = network.evaluate(net, settings, X)
    p, spiked, known = [], [], {"input": [], "recurrent": [], "fading": [], "step": []}
    for lane in range(lanes):
        z, x_previous = start.lanes.traces[lane], start.lanes.previous[lane]
        late, in_flight = late_traces(start.lanes, lane), start.lanes.in_flight[lane]
        for row in range(lane, len(X), lanes):
            raster = as_raster(spikes, row, settings)
            arrived, in_flight = arrivals(raster, in_flight)
            traces, z = naive.replay(raster, z, dt=settings.dt, tau=settings.tau)
            seen, late = naive.replay(arrived, late, dt=settings.dt, tau=settings.tau)
            x = naive.inputs(x_previous, X[row], settings.n_steps, settings.fading)
            x_previous = X[row]
            by_input = x @ F.T / net.variance
            by_traces = (seen @ W.T + (traces - seen) * W.diagonal()) / net.variance
            own = settings.neuron.self_inhibition * W.diagonal() / net.variance
            spiked.append(raster)
            p.append(
                naive.spike_probability(by_input + by_traces + own + logit_bias(net, settings))
            )
            steps = np.linspace(0, 1, settings.n_steps)[:, np.newaxis] + np.zeros_like(raster)
            known["step"].append(steps)
            known["fading"].append(by_input * (steps < settings.fading))
            known["input"].append(by_input)
            known["recurrent"].append(by_traces)
    p, spiked = np.concatenate(p), np.concatenate(spiked)
    known = {name: np.concatenate(values) for name, values in known.items()}
    known["all"] = np.ones_like(p)
    edges = [0.0, 1e-3, 1e-2, 0.1, 0.5, 1.0]
    for low, high in itertools.pairwise(edges):
        known[f"p from {low} to {high}"] = ((p >= low) & (p < high)).astype(float)
    for unit in range(settings.n_components):
        known[f"unit {unit}"] = np.zeros_like(p)
        known[f"unit {unit}"][:, unit] = 1.0
    single = settings.neuron.one_spike_per_step
    law = kept_probabilities(p) if single else p
    scores = {}
    for name, g in known.items():
        if single:
            variance = ((law * g**2).sum(axis=1) - (law * g).sum(axis=1) ** 2).sum()
        else:
            variance = (law * (1 - law) * g**2).sum()
        if variance > 20 * (g**2).max():  # enough spikes for a normal law
            scores[name] = ((spiked - law) * g).sum() / variance**0.5
    if not single and settings.n_components > 1:  # pairs in one step are independent
        residual, v = spiked - law, law * (1 - law)
        pairs = (residual.sum(axis=1) ** 2 - (residual**2).sum(axis=1)).sum() / 2
        scores["pairs"] = pairs / ((v.sum(axis=1) ** 2 - (v**2).sum(axis=1)).sum() / 2) ** 0.5
    assert {"all", "input", "step"} <= set(scores)
    limit = stats.norm.isf(0.5e-3 / len(scores))
    assert {name: z for name, z in scores.items() if abs(z) > limit} == {}


def two_samples(first, second):
    """Two-sided p-value of a difference between two samples of small integers."""
    values, index = np.unique(np.concatenate([first, second]), return_inverse=True)
    table = np.array([np.bincount(i, minlength=len(values)) for i in
                      (index[: len(first)], index[len(first) :])])  # fmt: skip
    # neighbouring values are pooled until at least ten of each group are expected
    groups = np.minimum(np.cumsum(table.sum(axis=0)) // 40, table.sum() // 40)
    merged = np.array([np.bincount(groups, weights=row) for row in table])
    merged = merged[:, merged.sum(axis=0) > 0]
    return stats.chi2_contingency(merged).pvalue if merged.shape[1] > 1 else 1.0


FREE = {
    "ms": SMALL,
    "fine": replace(SMALL, dt=0.2, presentation_time=40.0),
    "coarse": replace(SMALL, dt=4.0, presentation_time=80.0, rate=80.0),
    "rare": replace(SMALL, rate=4.0),
    "late": replace(SMALL, delay=5.0, presentation_time=60.0),
    "single": replace(SMALL, rate=80.0, neuron=ONE_SPIKE),
    "noisy": replace(SMALL, noise=Noise(0.3), presentation_time=50.0),
    "sharp": replace(SMALL, noise=Noise(0.03), dt=0.5, presentation_time=50.0),
}


@pytest.mark.parametrize("name", FREE)
def test_trials_have_the_law_of_naive_trials(name):
    # five statistics per setting, with a fixed seed and a joint significance of 1e-3
    settings, n_trials = FREE[name], 600
    net, X = make_trained(settings)
    x = X[:1]
    spikes = network.simulate(net, settings, x, seed=1, n_trials=n_trials)
    rasters = np.zeros((n_trials, settings.n_steps, settings.n_components))
    steps = np.rint(spikes["time"] / settings.dt).astype(int)
    rasters[spikes["trial"], steps, spikes["unit"]] = 1
    F, W = weights_of(net, settings)
    rng = np.random.default_rng(2)
    naive_rasters = np.array([
        naive.present(
            np.zeros_like(x[0]),
            x[0],
            np.zeros(settings.n_components),
            F,
            W,
            logit_bias(net, settings),
            net.variance**0.5,
            **as_neurons(settings),
            numbers=rng.random((settings.n_steps, settings.n_components)),
            in_flight=np.zeros((settings.delay_steps - 1, settings.n_components)),
            fading=onset(settings),
        )[0]
        for _ in range(n_trials)
    ])  # fmt: skip

    def statistics(rasters):
        """Counts, first spikes, pairs within five steps, intervals, crowded steps."""
        unit = naive_rasters.sum(axis=(0, 1)).argmax()
        train = rasters[:, :, unit]
        window = np.cumsum(rasters.sum(axis=2), axis=1)
        near = window[:, 5:] - window[:, :-5]
        events = [np.flatnonzero(each) for each in train]
        return (
            rasters.sum(axis=(1, 2)),
            np.where(train.any(axis=1), train.argmax(axis=1), -1),
            near[:, ::5].max(axis=1),
            np.array([np.diff(e)[0] if len(e) > 1 else -1 for e in events]),
            (rasters.sum(axis=2) > 1).sum(axis=1),
        )

    p = [two_samples(*pair) for pair in zip(statistics(rasters), statistics(naive_rasters),
                                             strict=True)]  # fmt: skip
    assert min(p) > 1e-3 / len(p)


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_sums_give_the_decoder_loss(settings):
    net, X = make_trained(settings)
    start = copy.deepcopy(net)
    sums, spikes = network.evaluate(net, settings, X)
    lanes = settings.batch_size
    x, z_after = [], []
    for lane in range(lanes):
        z, x_previous = start.lanes.traces[lane], start.lanes.previous[lane]
        for row in range(lane, len(X), lanes):
            raster = as_raster(spikes, row, settings)
            traces, z = naive.replay(raster, z, dt=settings.dt, tau=settings.tau)
            x.extend(naive.inputs(x_previous, X[row], settings.n_steps, settings.fading))
            z_after.extend(np.exp(-settings.dt / settings.tau) * traces + raster)
            x_previous = X[row]
    expected = naive.decoder_loss(np.array(x), np.array(z_after), net.decoder)
    assert decoder_loss(sums, net.decoder) == pytest.approx(expected, rel=1e-10)
    assert np.array_equal(
        sums.spike_counts, np.bincount(spikes["unit"], minlength=len(sums.spike_counts))
    )


def test_evaluation_leaves_the_network_alone():
    net, X = make_trained(VARIANTS["lanes"])
    before = pickle.dumps(net)
    network.evaluate(net, VARIANTS["lanes"], X[:13])
    assert pickle.dumps(net) == before


@pytest.mark.parametrize("n_before", [2, 5, 13])
def test_evaluation_within_a_batch_continues_every_lane(n_before):
    # lanes that the unfinished batch has used continue; others, in a new network, start anew
    settings = VARIANTS["lanes"]
    net = make_trained(settings)[0]
    fresh = network.initialise(settings, 12, seed=0)
    fresh.decoder[:], fresh.recurrent[:] = net.decoder, net.recurrent
    X = make_trained(settings)[1]
    network.learn(fresh, settings, X[:n_before])
    fresh.variance = QUIET
    _, spikes = network.evaluate(fresh, settings, X[20:25])
    for lane in range(5):
        seen = [X[k] for k in range(n_before) if k % 5 == lane]
        raster, *_ = naive.present(
            seen[-1] if seen else X[20 + lane],
            X[20 + lane],
            fresh.lanes.traces[lane],
            *weights_of(fresh, settings),
            fresh.bias,
            QUIET**0.5,
            c=0.25,
            dt=1.0,
            tau=10.0,
            one_spike=False,
            numbers=np.full((100, 9), 0.5),
        )
        assert np.array_equal(raster, as_raster(spikes, lane, settings))


def test_loss_curve_is_the_mean_loss_before_learning():
    settings = replace(VARIANTS["lanes"], horizon=2000)  # a point every 20 presentations
    net, X = make_trained(settings)
    start = copy.deepcopy(net)
    losses = []
    for first in range(0, 20, 5):
        before = copy.deepcopy(net)
        spikes = network.learn(net, settings, X[first : first + 5], record=True)
        for lane in range(5):
            raster = as_raster(spikes, lane, settings)
            traces, _ = naive.replay(raster, before.lanes.traces[lane], dt=1.0, tau=10.0)
            x = naive.inputs(before.lanes.previous[lane], X[first + lane], 100)
            losses.append(naive.decoder_loss(x, traces, before.decoder))
    assert len(net.record.loss_curve) == len(start.record.loss_curve) + 1
    assert net.record.loss_curve[-1] == pytest.approx(np.mean(losses), rel=1e-9)


def test_recording_does_not_disturb_learning():
    net, X = make_trained(VARIANTS["lanes"])
    recorded = copy.deepcopy(net)
    assert network.learn(net, VARIANTS["lanes"], X) is None
    spikes = network.learn(recorded, VARIANTS["lanes"], X, record=True)
    assert len(spikes) > 0
    assert np.array_equal(net.decoder, recorded.decoder)
    assert np.array_equal(net.lanes.traces, recorded.lanes.traces)


def test_an_untrained_network_fires_at_its_target_rate():
    # counts of independent neurons are binomial: two-sided tests at a joint significance of 1 %
    settings = replace(SMALL, n_components=40, rate=25.0, dt=0.5, batch_size=3)
    net = network.initialise(settings, 2, seed=0)
    sums, _ = network.evaluate(net, settings, np.zeros((3000, 2)))
    n = sums.n_steps
    p = [stats.binomtest(int(count), n, 0.0125).pvalue for count in sums.spike_counts]
    assert min(p) > 0.01 / 40
    assert stats.binomtest(int(sums.spike_counts.sum()), 40 * n, 0.0125).pvalue > 0.01


def test_recent_rates_are_those_of_the_end_of_learning():
    settings = replace(BARS, n_components=8, horizon=2000)
    X = make_bars(2000, 4, 0.5, random_state=0)
    net = network.initialise(settings, 16, seed=0)
    network.learn(net, settings, X[:1700])
    spikes = network.learn(net, settings, X[1700:], record=True)
    counts = np.bincount(spikes["unit"], minlength=8)
    np.testing.assert_allclose(net.record.firing_rates, counts / 30.0, rtol=0.25)
    assert np.abs(net.record.firing_rates - 15).max() < 6
