"""Sums over a batch, however it is filled and whatever of it is kept."""

import copy
from dataclasses import dataclass, replace

import naive
import numpy as np
import pytest
from networks import SMALL, VARIANTS, as_raster, make_trained

from skdendbal import network
from skdendbal.rules import Rule


@pytest.mark.parametrize("rates", [(4.0, 40.0), (40.0, 4.0)])
def test_a_rate_that_changes_within_a_batch_loses_no_spikes(rates):
    first, second = (replace(SMALL, n_components=60, batch_size=2, rate=rate) for rate in rates)
    assert first.few_spikes != second.few_spikes
    net, X = make_trained(first)
    before = copy.deepcopy(net)
    traces, targets = [], []
    for lane, settings in enumerate((first, second)):
        spikes = network.learn(net, settings, X[lane : lane + 1], record=True)
        raster = as_raster(spikes, 0, settings)
        traces.append(naive.replay(raster, before.lanes.traces[lane], dt=1.0, tau=10.0)[0])
        targets.append(naive.inputs(before.lanes.previous[lane], X[lane], settings.n_steps))
    parts = np.concatenate(traces), np.concatenate(targets)
    D = naive.implicit_step(
        before.decoder.T, *parts, SMALL.rule.decoder_rate, naive.decoder_decay(second)
    ).T
    np.testing.assert_allclose(net.decoder, D, rtol=1e-9, atol=1e-12)


def test_spikes_are_few_where_variants_say_so():
    for name, settings in VARIANTS.items():
        assert settings.few_spikes == name.startswith("fewer spikes than neurons")


def test_sums_that_a_rule_did_not_ask_for_are_refused():
    @dataclass(frozen=True)
    class Curious(Rule):
        def update(self, weights, batch, dt):
            batch.intervals  # noqa: B018

    # the second network has few spikes
    for settings in (SMALL, replace(SMALL, n_components=50, rate=7.0)):
        with pytest.raises(AttributeError, match="class attribute needs_intervals = True"):
            make_trained(replace(settings, rule=Curious()))


@pytest.mark.parametrize("name", ["lanes", "fewer spikes than neurons", "unwhitened"])
def test_sums_of_a_batch_are_those_over_its_steps(name):
    seen = []

    @dataclass(frozen=True)
    class Watching(Rule):
        needs_intervals = True

        def update(self, weights, batch, dt):
            seen.append(batch)

    settings = replace(VARIANTS[name], rule=Watching(), delay=None)
    net, X = make_trained(settings)
    before, n = copy.deepcopy(net), settings.batch_size
    spikes = network.learn(net, settings, X[:n], record=True)
    batch, x, z = seen[-1], [], []
    for lane in range(n):
        raster = as_raster(spikes, lane, settings)
        z.append(naive.replay(raster, before.lanes.traces[lane], dt=1.0, tau=settings.tau)[0])
        x.append(naive.inputs(before.lanes.previous[lane], X[lane], settings.n_steps))
    x, z = np.concatenate(x), np.concatenate(z)
    assert batch.n_steps == len(x)
    assert np.array_equal(
        batch.spike_counts, np.bincount(spikes["unit"], minlength=settings.n_components)
    )
    for name, expected in {
        "sum_xx": (x**2).sum(),
        "sum_xz": x.T @ z,
        "sum_zz": z.T @ z,
        "sum_zz_diagonal": (z**2).sum(axis=0),
    }.items():
        np.testing.assert_allclose(getattr(batch, name), expected, rtol=1e-10, atol=1e-12)
    # intervals cover all steps of all lanes, and their traces decay to those of the raster
    intervals, decayed = batch.intervals, []
    for trace, first, stop in zip(
        intervals.traces, intervals.firsts, intervals.stops, strict=True
    ):
        decayed += [trace * settings.decay**k for k in range(stop - first)]
    np.testing.assert_allclose(decayed, z, rtol=1e-10, atol=1e-12)
