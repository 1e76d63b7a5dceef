"""Implicit learning steps against the equations they solve."""

import copy
from dataclasses import replace

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import SMALL, as_raster, make_trained

from skdendbal import network
from skdendbal._implicit import follow


@given(
    data=st.data(),
    n_lanes=st.integers(1, 3),
    shape=st.tuples(st.integers(1, 20), st.integers(1, 30)),
    n_steps=st.integers(1, 60),
    log_rate=st.floats(-6, 1),
    forgotten=st.just(0.0) | st.floats(0, 0.9),
)
@hypothesis_settings(max_examples=200, deadline=None)
def test_following_from_spikes_solves_the_implicit_equation(
    data, n_lanes, shape, n_steps, log_rate, forgotten
):
    n_units, n_out = shape
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    settings = replace(
        SMALL, n_components=n_units, presentation_time=n_steps, tau=rng.uniform(1.5, 1000.0)
    )
    decay, rate = settings.decay, 10**log_rate
    raster = rng.random((n_lanes, n_steps, n_units)) < data.draw(st.floats(0, 0.3))
    starts = rng.random((n_lanes, n_units)) * (rng.random((n_lanes, n_units)) < 0.7)
    new, old = rng.standard_normal((2, n_lanes, n_out))
    fade = settings.fade
    z, sum_zz = starts.copy(), np.zeros((n_units, n_units))
    sum_wz, inputs, traces = np.zeros((n_lanes, 2, n_units)), [], []
    for step in range(n_steps):
        sum_wz[:, 0] += fade[step] * z
        sum_wz[:, 1] += (1 - fade[step]) * z
        sum_zz += z.T @ z
        traces.append(z)
        inputs.append(fade[step] * new + (1 - fade[step]) * old)
        z = decay * z + raster[:, step]
    traces, inputs = np.concatenate(traces), np.concatenate(inputs)
    weights = rng.standard_normal((n_units, n_out))
    residual = traces.T @ (inputs - traces @ weights)
    pull = rate * residual - forgotten * weights
    expected = np.linalg.solve(np.eye(n_units) + rate * sum_zz, pull)
    error, total = ((inputs - traces @ weights) ** 2).sum(), (inputs**2).sum()
    batch = network.Batch.begin(settings)
    batch.few_spikes, batch.sum_wz, batch.starts = True, sum_wz, starts
    batch.n_lanes, batch.new, batch.old = n_lanes, new, old
    batch._spikes = [np.argwhere(raster)]
    moved = weights.T.copy()
    kept = 1.0 - forgotten
    explained = follow(moved, batch, rate / kept, decay=forgotten / rate / len(inputs))
    size = np.abs(expected).max()
    np.testing.assert_allclose(moved.T, weights + expected, rtol=0, atol=1e-9 * size + 1e-14)
    assert total - explained == pytest.approx(error, rel=1e-9, abs=1e-9 * (total + error))


@pytest.mark.parametrize("lanes", [1, 4])
def test_batch_learning_has_the_limit_of_explicit_steps(lanes):
    # halving the rate halves the distance between the implicit batch step and plain Euler steps
    base = replace(SMALL, batch_size=lanes)
    net, X = make_trained(base)
    distances = []
    for eta in (1e-5, 5e-6):
        settings = replace(base, rule=replace(base.rule, decoder_rate=eta))
        learned = copy.deepcopy(net)
        spikes = network.learn(learned, settings, X[:lanes], record=True)
        D = net.decoder.copy()
        for lane in range(lanes):
            raster = as_raster(spikes, lane, settings)
            traces, _ = naive.replay(raster, net.lanes.traces[lane], dt=1.0, tau=10.0)
            inputs = naive.inputs(net.lanes.previous[lane], X[lane], 100)
            for x, z in zip(inputs, traces, strict=True):
                D += eta * (np.outer(x - D @ z, z) - naive.decoder_decay(settings) * D)
        assert np.abs(learned.decoder - net.decoder).max() > 1e-6
        distances.append(np.abs(learned.decoder - D).max() / eta)
    assert distances[1] == pytest.approx(distances[0] / 2, rel=0.05)
