"""The table of published settings, and an estimator that takes it."""

import inspect
import math

import numpy as np
import pytest
from sklearn.base import clone

from skdendbal import DendriticBalanceCoder, network, published
from skdendbal.datasets import make_bars
from skdendbal.published import Experiment

EXPERIMENTS = {
    f"{name} {rule}": experiment
    for name, value in vars(published).items()
    if isinstance(value, Experiment)
    for rule, experiment in (value.by_rule or {"": value}).items()
}


@pytest.mark.parametrize("rule", ["dendritic", "somatic"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_with_published_parameters_is_the_published_network(rule):
    experiment = published.BARS.by_rule[rule]
    X = make_bars(300, 8, 0.5, random_state=0)
    coder = DendriticBalanceCoder(**experiment, shuffle=False, max_iter=1, random_state=0).fit(X)
    assert coder.settings_ == experiment.settings
    net = network.initialise(experiment.settings, 64, coder.seed_)
    network.learn(net, experiment.settings, X)
    assert np.array_equal(coder.components_, net.decoder.T)
    assert np.array_equal(coder.network_.bias, net.bias)


def test_published_bars_have_the_published_numbers():
    settings = published.BARS.settings
    assert published.BARS.by_rule["dendritic"] == published.BARS
    assert (settings.n_components, settings.rate, settings.dt, settings.tau) == (16, 15, 1, 10)
    assert (settings.batch_size, settings.horizon) == (1, 1_000_000)
    assert (settings.rule.decoder_rate, settings.rule.decoder_decay) == (5e-5, 0.0)
    assert settings.neuron.homeostasis_rate == 1e-2
    assert settings.neuron.scaled_bias
    assert not settings.neuron.one_spike_per_step
    assert settings.noise.level(0.0) == 1.0
    # dsigma = eta_s (sigma_inf^2 - sigma^2) / sigma with eta_s = 7e-8 / ms
    left = math.exp(-2 * 7e-8 * 100 * 500_000)
    assert settings.noise.level(0.5) ** 2 == pytest.approx(0.1 + 0.9 * left)


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_every_experiment_is_a_set_of_parameters(experiment):
    assert set(experiment) <= set(inspect.signature(DendriticBalanceCoder).parameters)
    coder = clone(DendriticBalanceCoder(**experiment))
    assert coder.get_params(deep=False) == {**coder.get_params(deep=False), **experiment}
    assert sum(phase.n_stimuli for phase in experiment.phases) == experiment.settings.horizon


def test_an_experiment_at_scale_learns_faster_from_fewer_stimuli():
    experiment = published.SCENES.by_rule["somatic"]
    scaled = experiment.at_scale(0.1)
    assert [phase.n_stimuli for phase in scaled.phases] == [20_000, 130_000]
    for phase, before in zip(scaled.phases, experiment.phases, strict=True):
        assert phase.settings.horizon == 150_000
        assert phase.settings.noise == before.settings.noise
        assert phase.settings.neuron == before.settings.neuron
        rates = ("decoder_rate", "feedforward_rate", "recurrent_rate")
        for name in rates:
            rate = getattr(phase.settings.rule, name)
            assert rate == pytest.approx(10 * getattr(before.settings.rule, name))


def test_variants_of_an_experiment_hold_in_all_phases():
    changed = published.SCENES.with_settings(dt=0.5).with_neuron(one_spike_per_step=True)
    for phase, before in zip(changed.phases, published.SCENES.phases, strict=True):
        assert phase.settings.dt == 0.5
        assert phase.settings.neuron.one_spike_per_step
        homeostasis = before.settings.neuron.homeostasis_rate
        assert phase.settings.neuron.homeostasis_rate == homeostasis
        assert phase.settings.rule == before.settings.rule
