"""Noise while learning, and the settings that an estimator makes."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from coders import DIGITS, FAST, SHORT_FITS
from networks import SMALL, make_trained
from scipy.integrate import solve_ivp

from skdendbal import DendriticBalanceCoder, network
from skdendbal.settings import Neuron, Noise


@pytest.mark.parametrize(("initial", "final"), [(1.0, 0.3), (0.1, 0.4), (0.2, 0.2)])
def test_the_noise_level_solves_the_published_equation(initial, final):
    annealing = 3.0
    solution = solve_ivp(
        lambda t, sigma: annealing * (final**2 - sigma**2) / sigma,
        (0.0, 2.0),
        [initial],
        t_eval=np.linspace(0.0, 2.0, 9),
        rtol=1e-10,
        atol=1e-12,
    )
    noise = Noise(final, initial=initial, annealing=annealing)
    levels = [noise.level(progress) for progress in solution.t]
    np.testing.assert_allclose(levels, solution.y[0], rtol=1e-8)


@dataclass(frozen=True)
class Halfway(Noise):
    """A user-defined schedule: the final level from the middle of the horizon on."""

    def level(self, progress):
        return self.initial if progress < 0.5 else self.final


def test_a_noise_schedule_of_ones_own_is_followed():
    settings = replace(SMALL, noise=Halfway(0.1))
    net = network.initialise(settings, 12, seed=0)
    levels = []
    for x in make_trained(SMALL)[1].repeat(5, axis=0)[:, np.newaxis]:
        network.learn(net, settings, x)
        levels.append(net.variance**0.5)
    assert levels[:199] == pytest.approx([0.3] * 199)
    assert levels[199:] == pytest.approx([0.1] * 101)


@SHORT_FITS
def test_a_noise_schedule_of_ones_own_is_a_parameter_of_the_coder():
    coder = DendriticBalanceCoder(16, noise=Halfway(initial=0.2), **FAST).fit(DIGITS)
    assert coder.settings_.noise == Halfway(0.025, initial=0.2)
    assert coder.network_.variance**0.5 == pytest.approx(0.025)


@SHORT_FITS
def test_noise_goes_on_falling_after_a_fit():
    coder = DendriticBalanceCoder(16, noise=Noise(annealing=1.0), **FAST).fit(DIGITS)
    before = coder.network_.variance
    coder.partial_fit(DIGITS)  # its horizon is much longer
    assert 0.025**2 < coder.network_.variance < before
    assert coder.network_.progress == pytest.approx(28 * 64 / 1797 + 28 * 64 / 4000)


def test_settings_of_a_coder_are_its_parameters_with_numbers_for_auto():
    coder = DendriticBalanceCoder(
        64, neuron=Neuron(self_inhibition=0.1), learning_rate=2.0, horizon=1797, **FAST
    ).fit(DIGITS)
    settings = coder.settings_
    assert settings.rate == 12.5
    assert settings.noise == Noise(0.025)
    assert settings.neuron == Neuron(self_inhibition=0.1)
    assert settings.rule.decoder_rate == 1e-3
    assert (settings.dt, settings.tau, settings.delay) == (0.25, 10.0, None)
    assert (settings.batch_size, settings.horizon) == (64, 1797)
