"""Learning rules against their naive twins, and user-defined rules."""

import copy
from dataclasses import dataclass, replace

import naive
import numpy as np
import pytest
from networks import SMALL, VARIANTS, arrivals, as_raster, late_traces, make_trained, twin_of

from skdendbal import network
from skdendbal.metrics import decoder_loss
from skdendbal.rules import DendriticSlow, Rule


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_teacher_forced_learning_equals_the_naive_model(settings):
    net, X = make_trained(settings)
    lanes, rule, dt = settings.batch_size, settings.rule, settings.dt
    duration = lanes * settings.n_steps * dt
    eta_s = settings.noise.annealing / (settings.horizon * settings.n_steps * dt)
    for first in range(0, len(X), lanes):
        before = copy.deepcopy(net)
        spikes = network.learn(net, settings, X[first : first + lanes], record=True)
        z, in_flight = list(before.lanes.traces), list(before.lanes.in_flight)
        late = [late_traces(before.lanes, lane) for lane in range(lanes)]
        rasters, traces, targets = [], [], []
        for lane in range(lanes):
            rasters.append(as_raster(spikes, lane, settings))
            arrived, in_flight[lane] = arrivals(rasters[lane], in_flight[lane])
            traced, z[lane] = naive.replay(rasters[lane], z[lane], dt=dt, tau=settings.tau)
            _, late[lane] = naive.replay(arrived, late[lane], dt=dt, tau=settings.tau)
            x_previous, x = before.lanes.previous[lane], X[first + lane]
            traces.append(traced)
            targets.append(naive.inputs(x_previous, x, settings.n_steps, settings.fading))
        twin = twin_of(rule)
        state = twin.learn(rule, settings, twin.weights(before), traces, targets)
        D = naive.implicit_step(
            before.decoder.T,
            np.concatenate(traces),
            np.concatenate(targets),
            rule.decoder_rate * dt,
            naive.decoder_decay(settings),
        ).T
        sigma = before.variance**0.5
        b = naive.homeostasis(
            before.bias,
            rasters,
            rho=settings.rate / 1e3,
            eta_b=settings.neuron.homeostasis_rate,
            dt=dt,
            logits_per_bias=1 / sigma**2 if settings.neuron.scaled_bias else 1.0,
        )
        close = {"rtol": 1e-9, "atol": 1e-12}
        np.testing.assert_allclose(net.decoder, D, **close)
        # in the exact rule F evolved on its own, and must still equal D^T
        for name, weights in twin.weights(net).items():
            np.testing.assert_allclose(weights, state[name], **close, err_msg=name)
        np.testing.assert_allclose(net.recurrent.T, state["W"], **close)
        np.testing.assert_allclose(net.bias, b, **close)
        sigma = naive.annealed(sigma, settings.noise.final, eta_s=eta_s, duration=duration)
        np.testing.assert_allclose(net.variance**0.5, sigma, **close)
        np.testing.assert_allclose(net.lanes.traces, z, **close)
        for lane in range(lanes):
            np.testing.assert_allclose(late_traces(net.lanes, lane), late[lane], **close)
        assert np.array_equal(net.lanes.in_flight, in_flight)


@dataclass(frozen=True)
class Averaging(Rule):
    """Feedforward weights follow the mean input; an update is all that a rule needs."""

    feedforward_rate: float = 1e-4

    def initialise(self, n_features, n_components, random_state):
        return {"feedforward": 0.1 * random_state.uniform(size=(n_features, n_components))}

    def update(self, weights, batch, dt):
        weights["feedforward"] += self.feedforward_rate * dt * batch.sum_xz


def test_a_rule_of_ones_own_takes_part():
    settings = replace(SMALL, rule=Averaging())
    net, X = make_trained(settings)
    start = network.initialise(settings, 12, seed=5).weights["feedforward"]
    assert (net.weights["feedforward"] > start).all()
    assert np.array_equal(net.recurrent, np.zeros((9, 9)))
    assert np.isfinite(decoder_loss(network.evaluate(net, settings, X)[0], net.decoder))


def test_random_initial_weights_follow_the_seed():
    first, same, other = (
        network.initialise(replace(SMALL, rule=Averaging()), 12, seed).weights["feedforward"]
        for seed in (5, 5, 6)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("shape", [(9, 12), (12, 1)])
def test_a_rule_of_ones_own_with_wrong_shapes_is_refused(shape):
    @dataclass(frozen=True)
    class Misshapen(Averaging):
        def initialise(self, n_features, n_components, random_state):
            return {"feedforward": np.zeros(shape)}

    settings = replace(SMALL, rule=Misshapen())
    with pytest.raises(
        ValueError, match=r"Misshapen left .* which must be \(\(12, 9\), \(9, 9\)\)"
    ):
        make_trained(settings)


def test_a_rule_of_ones_own_with_careless_update_is_refused():
    @dataclass(frozen=True)
    class Careless(Rule):
        def update(self, weights, batch, dt):
            weights["recurrent"][0, 1] = np.nan

    with pytest.raises(
        FloatingPointError, match=r"Careless.update left values in weights \['recurrent'\]"
    ):
        make_trained(replace(SMALL, rule=Careless()))


def test_a_rule_of_ones_own_may_replace_arrays_of_any_kind():
    @dataclass(frozen=True)
    class Replacing(Averaging):
        def update(self, weights, batch, dt):
            super().update(weights, batch, dt)
            weights["feedforward"] = np.asfortranarray(weights["feedforward"], dtype=np.float32)
            weights["recurrent"] = np.zeros((9, 18))[:, ::2]

    net, _ = make_trained(replace(SMALL, rule=Replacing()))
    expected, _ = make_trained(replace(SMALL, rule=Averaging()))
    np.testing.assert_allclose(
        net.weights["feedforward"], expected.weights["feedforward"], rtol=1e-2
    )


def test_a_rule_without_an_update_is_no_rule():
    class Idle(Rule):
        pass

    with pytest.raises(TypeError, match="abstract method"):
        Idle()


def test_a_factor_on_learning_rates_is_one_on_all_of_them():
    rule = DendriticSlow(pruned=0.5, feedforward_rate=1e-5).scale_rates(10.0)
    expected = {
        "decoder_rate": 5e-3,
        "decoder_decay": 0.1,
        "feedforward_rate": 1e-4,
        "recurrent_rate": 1e-2,
        "average_rate": 1e-2,
        "pruned": 0.5,
        "correlation_rate": 9e-4,
    }
    assert rule.get_params() == pytest.approx(expected)
