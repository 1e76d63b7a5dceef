"""Kernels: random numbers, the spike function and its bounds, compilation."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import SMALL
from scipy import stats

from skdendbal import network
from skdendbal._kernels import (
    arguments,
    presentation,
    random_numbers,
    spike_function,
    thinning,
)
from skdendbal._kernels.spike_function import MAX_LOGIT
from skdendbal.settings import Neuron


def test_random_numbers_are_splitmix64():
    # reference outputs of the published generator for seed 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert naive.splitmix64(1234567, 3) == expected
    key = np.uint64(1234567)
    with np.errstate(over="ignore"):
        got = [random_numbers.uniform.py_func(key, i) for i in range(3)]
    assert got == naive.uniforms(1234567, 1, 3)[0].tolist()


def test_rows_on_one_grid_point_share_their_random_numbers():
    x = np.array([0.3, -0.7, 0.0])
    key = random_numbers.row_key(x, np.uint64(1))
    assert random_numbers.row_key(x + 1e-9, np.uint64(1)) == key
    assert random_numbers.row_key(x * [1, 1, -1], np.uint64(1)) == key  # -0.0
    assert random_numbers.row_key(x + 2e-6, np.uint64(1)) != key
    assert random_numbers.row_key(x[::-1].copy(), np.uint64(1)) != key
    assert random_numbers.row_key(x, np.uint64(2)) != key


@given(
    data=st.data(),
    n=st.integers(1, 40),
    log_scale=st.floats(-2, 4),
    dt_over_tau=st.floats(1e-3, 1.0),
    fading=st.booleans(),
)
@hypothesis_settings(max_examples=200, deadline=None)
def test_bounds_lie_above_the_hazards(data, n, log_scale, dt_over_tau, fading):
    # sampling is exact wherever this holds, because thinning requires nothing else
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    decay_bounds = thinning.make_decay_bounds(np.exp(-dt_over_tau), 300)
    scratch = arguments.make_scratch(n, 1)
    base, slope, current = (10**log_scale * rng.standard_normal(n) for _ in range(3))
    base -= data.draw(st.floats(0, 20))
    dynamics = arguments.Dynamics(
        np.stack([base, base + slope]), np.diag(current), np.zeros(n), 1.0, False
    )
    first, second, traces = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.ones(n)
    in_flight = np.zeros((0, n), dtype=bool)
    presentation.prepare_logits(first, second, traces, np.empty(0), dynamics, in_flight, scratch)
    w, dw = rng.uniform(0, 1), 0.01 * fading

    def hazards(step):
        a = base + (w + dw * step) * slope + current * np.exp(-dt_over_tau * step)
        return naive.hazard(a)

    parts = scratch.rounded, scratch.current, scratch.bounds, scratch.sums
    start, end = scratch.bounds
    single = np.float32(w)
    total = thinning.bound_step(single, *parts)
    area = start.sum(dtype=float)
    assert area <= total <= area * (1.0 + 1e-5)
    hazard = np.minimum(hazards(0), naive.hazard(MAX_LOGIT))
    assert (start[:n] >= hazard * (1 - 1e-9))[hazard > 1e-37].all()
    assert (start[n:] == 0.0).all()
    if len(decay_bounds) > 2:
        n_steps = data.draw(st.integers(2, len(decay_bounds) - 1))
        time = single, np.float32(dw), n_steps
        total = thinning.bound_window(*time, decay_bounds, *parts)
        area = 0.5 * n_steps * scratch.bounds.sum(dtype=float)
        assert area <= total <= area * (1.0 + 1e-5)
        assert (start[n:] == 0.0).all()
        assert (end[n:] == 0.0).all()
        for step in range(n_steps):
            for time in (step, step + 1):  # points of this step are in between
                part = time / n_steps
                bound = ((1 - part) * start + part * end)[:n]
                # a hazard beyond these limits means in effect never, or always
                hazard = hazards(step)
                meant = (hazard > 1e-37) & (hazard < 700)
                assert (bound[meant] >= hazard[meant] * (1 - 1e-7)).all()


def test_limit_of_logits_changes_no_probability_and_keeps_bounds_small():
    # sampling draws about as many points as the bounds of hazards sum up to
    assert naive.spike_probability(MAX_LOGIT) == 1.0
    assert spike_function.bound_in_step(np.float32(1e6)) < 50.0


def test_lowest_bound_of_positive_logits_is_just_below_their_lowest_hazard():
    lowest = spike_function.MIN_BOUND_OF_POSITIVE_LOGIT
    assert 0.95 < lowest / naive.hazard(0.0) < 1.0


@pytest.mark.parametrize("one_spike", [False, True])
def test_spikes_of_one_step_have_their_closed_form(one_spike):
    # one step of likely and unlikely neurons: chi-square test of the eight patterns, at 1e-3
    neuron = Neuron(one_spike_per_step=one_spike)
    settings = replace(SMALL, n_components=3, neuron=neuron, dt=1.0, presentation_time=1.0)
    net = network.initialise(settings, 1, seed=0)
    logits = np.array([1.5, -1.0, 0.3])
    net.bias[:] = logits
    n_trials = 20_000
    spikes = network.simulate(net, settings, np.zeros((1, 1)), seed=0, n_trials=n_trials)
    patterns = np.bincount(
        np.bincount(spikes["trial"], weights=2.0 ** spikes["unit"], minlength=n_trials).astype(
            int
        ),
        minlength=8,
    )
    p = naive.spike_probability(logits)
    expected = np.zeros(8)
    for pattern in np.ndindex(2, 2, 2):
        probability = np.where(pattern, p, 1 - p).prod()
        units = np.flatnonzero(pattern)
        if one_spike and len(units) > 1:
            units = units[[logits[units].argmax()]]
        expected[(2**units).sum()] += probability
    possible = expected > 0
    assert patterns[~possible].sum() == 0
    test = stats.chisquare(patterns[possible], n_trials * expected[possible])
    assert test.pvalue > 1e-3
