"""Networks that tests share, and the twin of each rule in the naive model.

A new rule needs an entry in `TWINS` and one or more in `VARIANTS`; all tests of networks and rules
then run on it.
"""

from dataclasses import replace

import naive
import numpy as np

from skdendbal import network
from skdendbal.rules import (
    Dendritic,
    DendriticDecay,
    DendriticSimultaneous,
    DendriticSlow,
    Somatic,
    SomaticUnwhitened,
)
from skdendbal.settings import Neuron, Noise, Settings

QUIET = 1e-12  # sigma^2 at which neurons spike if and only if the potential is positive

SEVERAL_SPIKES = Neuron(homeostasis_rate=1e-2, one_spike_per_step=False)
BARS = Settings(  # the published 8x8 bars with a tenth of the stimuli
    n_components=16,
    rule=Dendritic(decoder_rate=5e-4, decoder_decay=0.0),
    neuron=replace(SEVERAL_SPIKES, scaled_bias=True),
    noise=Noise(0.1**0.5, initial=1.0, annealing=7.0),
    rate=15.0,
    dt=1.0,
    tau=10.0,
    presentation_time=100.0,
    batch_size=1,
    horizon=100_000,
)
SOMATIC_BARS = Somatic(
    decoder_rate=5e-4, decoder_decay=0.0, feedforward_rate=5e-4, recurrent_rate=1e-3
)
SMALL = replace(
    BARS,
    n_components=9,
    rule=Dendritic(decoder_rate=2e-3),
    neuron=SEVERAL_SPIKES,
    noise=Noise(0.1),
    rate=40.0,
    horizon=400,
)
ONE_SPIKE = replace(SEVERAL_SPIKES, one_spike_per_step=True)
LEARNED = {"decoder_rate": 2e-3, "feedforward_rate": 1e-3, "recurrent_rate": 2e-3}
DECAY = DendriticDecay(**LEARNED, decay=0.5)
SLOW = DendriticSlow(**{**LEARNED, "feedforward_rate": 1e-4}, average_rate=5e-3)
SIMULTANEOUS = DendriticSimultaneous(**{**LEARNED, "feedforward_rate": 3e-4})
SOMATIC = Somatic(**LEARNED)

VARIANTS = {
    "stream": SMALL,
    "lanes": replace(SMALL, batch_size=5),
    "scaled bias": replace(
        SMALL,
        batch_size=3,
        neuron=Neuron(
            one_spike_per_step=False, scaled_bias=True, homeostasis_rate=1e-3, self_inhibition=0.5
        ),
    ),
    "coarse steps": replace(SMALL, dt=3.0, tau=7.0, presentation_time=60.0),
    "fine steps": replace(SMALL, dt=0.3, presentation_time=50.0),
    "one spike a step": replace(SMALL, neuron=ONE_SPIKE),
    "somatic": replace(SMALL, batch_size=2, rule=SOMATIC),
    "decay": replace(SMALL, batch_size=2, rule=DECAY),
    "slow": replace(SMALL, batch_size=3, rule=SLOW),
    "pruned": replace(SMALL, rule=replace(SLOW, pruned=0.4)),
    "simultaneous": replace(SMALL, batch_size=2, rule=SIMULTANEOUS),
    "simultaneous in fine steps": replace(
        SMALL, dt=0.3, presentation_time=50.0, rule=SIMULTANEOUS
    ),
    "unwhitened": replace(SMALL, batch_size=2, rule=SomaticUnwhitened(**LEARNED)),
    "delay": replace(SMALL, delay=4.0, batch_size=2),
    "delay beyond a presentation": replace(
        SMALL, delay=45.0, presentation_time=30.0, rule=SomaticUnwhitened(**LEARNED)
    ),
    "delay, one spike a step": replace(SMALL, delay=2.5, dt=0.5, neuron=ONE_SPIKE),
    "fading all the time": replace(SMALL, fading=1.0),
    "one neuron": replace(SMALL, n_components=1),
    "more than a block of neurons": replace(SMALL, n_components=40),
    "fewer spikes than neurons": replace(SMALL, n_components=50, rate=7.0),
    "fewer spikes than neurons, lanes": replace(
        SMALL, n_components=60, rate=4.0, batch_size=2, delay=3.0
    ),
    "fewer spikes than neurons, somatic": replace(SMALL, n_components=50, rate=7.0, rule=SOMATIC),
    "fewer spikes than neurons, decay": replace(SMALL, n_components=30, rate=9.0, rule=DECAY),
}


def make_trained(settings, n_features=12, n_rows=420, seed=0):
    """A network with some history, and further rows like those it learned."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(0.5, size=(n_rows + 60, n_features))
    X /= np.sqrt((X**2).sum(axis=1).mean())
    net = network.initialise(settings, n_features, seed=seed + 5)
    network.learn(net, settings, X[:n_rows])
    return net, X[n_rows:]


def as_raster(spikes, row, settings):
    raster = np.zeros((settings.n_steps, settings.n_components))
    events = spikes[spikes["row"] == row]
    raster[np.rint(events["time"] / settings.dt).astype(int), events["unit"]] = 1
    return raster


def late_traces(lanes, lane):
    """Traces of the spikes that have arrived at other neurons; all have if there is no delay."""
    return lanes.late_traces[lane] if lanes.late_traces.size else lanes.traces[lane]


def arrivals(raster, in_flight):
    """The spikes that arrive in each step and those in flight after the last, from those fired."""
    spikes = np.concatenate([in_flight, raster])
    return spikes[: len(raster)], spikes[len(raster) :]


def onset(settings):
    """Fraction of a presentation from rest in which a row fades in: at most half a tau."""
    return min(0.5, 0.5 * settings.tau / settings.presentation_time)


def logit_bias(net, settings):
    return net.bias / (net.variance if settings.neuron.scaled_bias else 1.0)


def as_neurons(settings):
    """What the naive presentation takes from the settings of a network."""
    return {
        "c": settings.neuron.self_inhibition,
        "dt": settings.dt,
        "tau": settings.tau,
        "one_spike": settings.neuron.one_spike_per_step,
    }


# Twins: the weights of a network by the naive model's names, and how they learn from a batch


class DendriticTwin:
    """Exact balance: F evolves on its own and stays equal to D^T."""

    def weights(self, net):
        F = net.decoder.T
        return {"F": F, "W": naive.exact_recurrent(F, net.decoder)}

    def learn(self, rule, settings, state, traces, targets):
        """One batch, from the traces and inputs (steps of a lane, ...) of each lane."""
        rate, decay = rule.decoder_rate * settings.dt, naive.decoder_decay(settings)
        traces, targets = np.concatenate(traces), np.concatenate(targets)
        F = naive.implicit_step(state["F"], traces, targets, rate, decay)
        return {"F": F, "W": naive.exact_recurrent(F, F.T)}


class SomaticTwin:
    def weights(self, net):
        return {"F": net.weights["feedforward"].T, "W": net.recurrent.T}

    def learn(self, rule, settings, state, traces, targets):
        data = np.concatenate(traces), np.concatenate(targets)
        rates = {"eta_F": rule.feedforward_rate, "eta_W": rule.recurrent_rate}
        F, W = naive.somatic_step(state["F"], state["W"], *data, **rates, dt=settings.dt)
        return {"F": F, "W": W}


class UnwhitenedTwin(SomaticTwin):
    def learn(self, rule, settings, state, traces, targets):
        data, dt = (np.concatenate(traces), np.concatenate(targets)), settings.dt
        F = naive.unwhitened_step(state["F"], *data, eta_F=rule.feedforward_rate, dt=dt)
        W = naive.soma_step(F, state["W"], *data, eta_W=rule.recurrent_rate, dt=dt)
        return {"F": F, "W": W}


class DecayTwin:
    """The soma receives the sum of what the dendrites receive."""

    def weights(self, net):
        Wd = net.weights["dendritic"].transpose(1, 0, 2)
        return {"F": net.weights["feedforward"].T, "Wd": Wd, "W": Wd.sum(axis=1)}

    def learn(self, rule, settings, state, traces, targets):
        data = np.concatenate(traces), np.concatenate(targets)
        rates = {"eta_F": rule.feedforward_rate, "eta_W": rule.recurrent_rate, "dt": settings.dt}
        F, Wd = naive.decay_step(state["F"], state["Wd"], *data, decay=rule.decay, **rates)
        return {"F": F, "Wd": Wd, "W": Wd.sum(axis=1)}


class SlowTwin(DecayTwin):
    """With pruning, separate somatic recurrent weights drive the dynamics."""

    def weights(self, net):
        state = super().weights(net)
        return state | {"Fbar": net.weights["average"].T}

    def learn(self, rule, settings, state, traces, targets):
        data, dt = (np.concatenate(traces), np.concatenate(targets)), settings.dt
        rates = {"eta_F": rule.feedforward_rate, "eta_W": rule.recurrent_rate, "dt": dt}
        F, Fbar, Wd = naive.slow_step(
            state["F"], state["Fbar"], state["Wd"], *data, eta_Fbar=rule.average_rate, **rates
        )
        return {"F": F, "Fbar": Fbar, "Wd": Wd, "W": Wd.sum(axis=1)}


class PrunedTwin(SlowTwin):
    def weights(self, net):
        state = super().weights(net)
        return state | {"C": net.weights["correlation"], "W": net.recurrent.T}

    def learn(self, rule, settings, state, traces, targets):
        new = super().learn(rule, settings, state, traces, targets)
        data, balance = (
            (np.concatenate(traces), np.concatenate(targets)),
            {"eta_W": rule.recurrent_rate, "dt": settings.dt},
        )
        pruning = {"fraction": rule.pruned, "a": rule.correlation_rate, **balance}
        new["Wd"], new["C"] = naive.pruning_step(new["Wd"], state["C"], data[0], **pruning)
        new["W"] = naive.soma_step(new["F"], state["W"], *data, **balance)
        return new


class SimultaneousTwin(DecayTwin):
    """Lanes learn one after the other, in stretches of at most 1 ms."""

    def learn(self, rule, settings, state, traces, targets):
        F, Wd, dt = state["F"], state["Wd"], settings.dt
        rates = {"eta_F": rule.feedforward_rate, "eta_W": rule.recurrent_rate, "dt": dt}
        time = {"tau": settings.tau, "stretch": max(1, round(1 / dt))}
        for lane in zip(traces, targets, strict=True):
            F, Wd = naive.simultaneous_step(F, Wd, *lane, **rates, **time)
        return {"F": F, "Wd": Wd, "W": Wd.sum(axis=1)}


TWINS = {
    Dendritic: DendriticTwin(),
    DendriticDecay: DecayTwin(),
    DendriticSlow: SlowTwin(),
    DendriticSimultaneous: SimultaneousTwin(),
    Somatic: SomaticTwin(),
    SomaticUnwhitened: UnwhitenedTwin(),
}


def twin_of(rule):
    return PrunedTwin() if getattr(rule, "pruned", None) is not None else TWINS[type(rule)]


def weights_of(net, settings):
    """F and W in the shapes of the naive model."""
    weights = twin_of(settings.rule).weights(net)
    return weights["F"], weights["W"]
