"""
The published experiments: one table of settings
================================================

F. A. Mikulasch, L. Rudelt and V. Priesemann, "Local dendritic balance enables learning of
efficient representations in networks of spiking neurons", PNAS 118(50) e2021925118, 2021.

Every name in capitals is a row of the table: an :class:`Experiment`, or a dict of them by learning
rule, with the published numbers. Times are in ms, learning rates in 1/ms, firing rates in Hz.
Rules that an experiment compares share decoder rule, decoder rate, noise and its schedule, except
where the publication itself gives other numbers; comments say where. Variants are made with
:meth:`Experiment.with_settings` and :meth:`Experiment.with_rule`.
"""

from dataclasses import dataclass, replace
from functools import partial

from skdendbal.network import Settings
from skdendbal.rules import (
    Dendritic,
    DendriticDecay,
    DendriticSimultaneous,
    DendriticSlow,
    Rule,
    Somatic,
    SomaticUnwhitened,
)


@dataclass(frozen=True)
class Phase:
    """Part of a schedule: so many stimuli with this rule and its rates."""

    n_stimuli: int
    rule: Rule


@dataclass(frozen=True)
class Experiment:
    """A network and the phases in which it learns, one after the other.

    `settings` hold the rule of the first phase, with which the network starts, and the published
    number of stimuli of all phases as horizon. Learning is tested on `n_test` further stimuli.
    """

    settings: Settings
    phases: tuple[Phase, ...]
    n_test: int = 500

    def with_settings(self, **changes):
        """Return the experiment with other settings, such as ``dt`` or ``n_components``."""
        return replace(self, settings=replace(self.settings, **changes))

    def with_rule(self, **changes):
        """Return the experiment with other parameters of the rule, the same in all phases."""
        phases = tuple(
            replace(phase, rule=replace(phase.rule, **changes)) for phase in self.phases
        )
        return replace(self.with_settings(rule=phases[0].rule), phases=phases)


def _experiment(
    *schedule,
    n_components,
    rate,
    dt,
    variance,
    initial_variance=None,
    annealing_rate=0.0,
    presentation_time=100.0,
    scaled_bias=False,
    one_spike_per_step=False,
    **further,
):
    """Return an experiment; a schedule is (number of stimuli, rule with its rates), ...

    The noise sigma^2 goes from `initial_variance` (None: stays) to `variance` at rate eta_s.
    """
    horizon = sum(n_stimuli for n_stimuli, _ in schedule)
    common = {
        "initial_noise": (initial_variance or variance) ** 0.5,
        "annealing": annealing_rate * horizon * presentation_time,
        "scaled_bias": scaled_bias,
        "one_spike_per_step": one_spike_per_step,
        "decoder_decay": 0.0,
    }
    phases = tuple(Phase(n_stimuli, replace(rule, **common)) for n_stimuli, rule in schedule)
    settings = Settings(
        n_components=n_components,
        rule=phases[0].rule,
        rate=rate,
        noise=variance**0.5,
        dt=dt,
        tau=10.0,
        presentation_time=presentation_time,
        batch_size=1,  # a stream
        learning_rate=1.0,
        horizon=horizon,
        **further,
    )
    return Experiment(settings, phases)


# Bars
# ----
_bars = partial(
    _experiment,
    rate=15.0,
    dt=1.0,
    variance=0.1,
    initial_variance=1.0,
    annealing_rate=7e-8,
    scaled_bias=True,
)
_BARS_RATES = {"decoder_rate": 5e-5, "homeostasis_rate": 1e-2}
_exact = Dendritic(**_BARS_RATES)
_decay = DendriticDecay(**_BARS_RATES, feedforward_rate=2e-5, recurrent_rate=1e-4, decay=0.005)
_slow = DendriticSlow(**_BARS_RATES, feedforward_rate=1e-7, average_rate=5e-5, recurrent_rate=5e-5)
_simultaneous = DendriticSimultaneous(**_BARS_RATES, feedforward_rate=5e-5, recurrent_rate=1e-4)
_somatic = Somatic(**_BARS_RATES, feedforward_rate=5e-5, recurrent_rate=1e-4)


def _late(rule, n_waiting, n_stimuli):
    """Schedule in which feedforward weights learn after `n_waiting` stimuli only."""
    return (n_waiting, replace(rule, feedforward_rate=0.0)), (n_stimuli - n_waiting, rule)


BARS = {  # 8x8, against p
    "dendritic": _bars((1_000_000, _exact), n_components=16),
    "somatic": _bars((1_000_000, _somatic), n_components=16),
}
BARS_SMALL = {  # 4x4, p 0.7
    "exact": _bars((1_000_000, _exact), n_components=8),
    "decay": _bars(*_late(_decay, 10_000, 1_000_000), n_components=8),
    "slow": _bars((1_000_000, _slow), n_components=8),
    "simultaneous": _bars((1_000_000, _simultaneous), n_components=8),
    "somatic": _bars((1_000_000, _somatic), n_components=8),
}
# The short schedule of the reference simulation: half as many stimuli, feedforward weights of all
# learned dendritic rules start at 0.001 and wait, and the simultaneous rule is slower.
BARS_SMALL_SHORT = {
    "exact": _bars((500_000, _exact), n_components=8),
    "decay": _bars(*_late(_decay, 5_000, 500_000), n_components=8),
    "slow": _bars(*_late(_slow, 5_000, 500_000), n_components=8),
    "simultaneous": _bars(
        *_late(replace(_simultaneous, feedforward_rate=2e-5), 5_000, 500_000), n_components=8
    ),
    "somatic": _bars((500_000, _somatic), n_components=8),
}

# Smallest and largest loss of a few seeds of a dense step-by-step simulation at scale 0.1.
BARS_REFERENCE = {
    ("dendritic", 0.0): (0.0096, 0.0103),
    ("dendritic", 0.25): (0.0101, 0.0106),
    ("dendritic", 0.5): (0.0092, 0.0099),
    ("dendritic", 0.75): (0.0080, 0.0083),
    ("dendritic", 1.0): (0.0062, 0.0066),
    ("somatic", 0.0): (0.0117, 0.0150),
    ("somatic", 0.25): (0.0137, 0.0174),
    ("somatic", 0.5): (0.0167, 0.0196),
    ("somatic", 0.75): (0.0145, 0.0162),
    ("somatic", 1.0): (0.0064, 0.0066),
}
BARS_SMALL_SHORT_REFERENCE = {
    "exact": (0.0358, 0.0369),
    "decay": (0.0378, 0.0391),
    "slow": (0.0388, 0.0434),
    "simultaneous": (0.0446, 0.0469),
    "somatic": (0.0496, 0.0518),
}

# Pruning
# -------
_pruning = partial(_bars, n_components=8, annealing_rate=0.9 * 7e-7)
_PRUNING_RATES = {"homeostasis_rate": 0.9 * 4e-2, "recurrent_rate": 0.9 * 5e-4}
_unpruned = DendriticSlow(
    **_PRUNING_RATES,
    decoder_rate=0.9 * 5e-4,
    feedforward_rate=0.9 * 1e-6,
    average_rate=0.9 * 5e-4,
    correlation_rate=0.9 * 1e-4,
    pruned=0.0,
)
PRUNING = {  # 4x4, p 0.6, by pruned fraction
    fraction: _pruning((4_000, _unpruned), (396_000, replace(_unpruned, pruned=fraction)))
    for fraction in (0.0, 0.25, 0.5, 0.75, 0.9, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98)
}
PRUNING_SOMATIC = _pruning(  # its decoder rate differs, as published
    (
        400_000,
        Somatic(**_PRUNING_RATES, decoder_rate=0.9 * 1e-4, feedforward_rate=0.9 * 1e-4),
    )
)

# MNIST
# -----
_mnist = partial(_experiment, n_components=9, dt=0.1, variance=0.1, scaled_bias=True)
_VARIANTS = {"decoder_rate": 5e-6, "homeostasis_rate": 5e-3}
_VARIANTS_SLOWER = {"decoder_rate": 3e-6, "homeostasis_rate": 3e-3}
_mnist_decay = DendriticDecay(
    **_VARIANTS_SLOWER, feedforward_rate=2e-6, recurrent_rate=6e-5, decay=0.005
)
_mnist_slow = DendriticSlow(
    **_VARIANTS, feedforward_rate=4e-7, average_rate=4e-5, recurrent_rate=4e-5
)
_mnist_simultaneous = DendriticSimultaneous(
    **_VARIANTS_SLOWER, feedforward_rate=2e-6, recurrent_rate=6e-6
)
_mnist_somatic = Somatic(**_VARIANTS, feedforward_rate=5e-6, recurrent_rate=1e-5)
MNIST_VARIANTS = {  # rates differ from rule to rule, as published
    "exact": _mnist((120_000, Dendritic(**_VARIANTS)), rate=20.0),
    "decay": _mnist(*_late(_mnist_decay, 5_000, 120_000), rate=5.0),
    "slow": _mnist((120_000, _mnist_slow), rate=20.0),
    "simultaneous": _mnist((120_000, _mnist_simultaneous), rate=20.0),
    "somatic": _mnist((120_000, _mnist_somatic), rate=20.0),
}


def _one_after_the_other(rule):
    """Schedule: biases and decoder, then recurrent weights, then feedforward weights."""
    still = replace(rule, feedforward_rate=0.0, recurrent_rate=0.0)
    return (60_000, still), (30_000, replace(still, recurrent_rate=2e-5)), (120_000, rule)


_MNIST_RATES = {"decoder_rate": 5e-6, "homeostasis_rate": 7e-3, "recurrent_rate": 3e-5}
_mnist_phases_decay = _one_after_the_other(
    DendriticDecay(**_MNIST_RATES, feedforward_rate=1.5e-5, decay=0.03)
)
_mnist_phases_somatic = _one_after_the_other(Somatic(**_MNIST_RATES, feedforward_rate=4e-6))
MNIST_WEIGHTS = {
    "decay": _mnist(*_mnist_phases_decay, rate=15.0),
    "somatic": _mnist(*_mnist_phases_somatic, rate=15.0),
}
_annealed = {"initial_variance": 1.0, "annealing_rate": 4e-6}
MNIST_DELAY = {  # the somatic network starts with more noise, as published
    "decay": _mnist(*_mnist_phases_decay, rate=15.0, dt=3.0),
    "somatic": _mnist(*_mnist_phases_somatic, rate=15.0, dt=3.0, **_annealed),
}

# Scenes
# ------
_scenes = partial(
    _experiment,
    n_components=200,
    rate=5.0,
    dt=0.1,
    variance=0.13,
    initial_variance=1.0,
    annealing_rate=7e-8,
)
_SCENES_RATES = {"decoder_rate": 4e-5, "homeostasis_rate": 6e-3}
_SCENES_LATER = {"decoder_rate": 3e-5, "homeostasis_rate": 4e-3}
SCENES = {
    "dendritic": _scenes(
        (200_000, Dendritic(**_SCENES_RATES)), (1_300_000, Dendritic(**_SCENES_LATER))
    ),
    "somatic": _scenes(
        (200_000, Somatic(**_SCENES_RATES, feedforward_rate=4e-5, recurrent_rate=1e-4)),
        (1_300_000, Somatic(**_SCENES_LATER, feedforward_rate=3e-5, recurrent_rate=7e-5)),
    ),
}
# Neurons and their rate in Hz, one spike per ms in all.
SCENES_RATE = (
    (200, 5.0),
    (133, 7.5),
    (100, 10.0),
    (80, 12.5),
    (67, 15.0),
    (57, 17.5),
    (50, 20.0),
    (44, 22.5),
    (40, 25.0),
)
# Steps dt (the delay of inhibition), noise sigma_inf^2 and firing rates of the delay experiment.
SCENES_DELAYS = (0.1, 0.125, 0.15, 0.175, 0.2, 0.225, 0.25, 0.275, 0.3)
SCENES_DELAYS += (0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
SCENES_DELAY_VARIANCES = (0.13, 0.15, 0.2, 0.3)
SCENES_DELAY_RATES = (5.0, 1.5)

# A control: feedforward and recurrent weights stand still, biases and decoder are relearned.
CORRELATIONS = _experiment(
    (
        20_000,
        Somatic(
            decoder_rate=5e-4, homeostasis_rate=5e-4, feedforward_rate=0.0, recurrent_rate=0.0
        ),
    ),
    n_components=200,
    rate=5.0,
    dt=0.1,
    variance=0.13,
)

# Speech
# ------
# A stimulus is a sample of the recording, interpolated from the one before over its whole time.
_speech = partial(
    _experiment,
    n_components=100,
    rate=5.0,
    dt=0.05,
    variance=0.2,
    presentation_time=5.0,
    fading=1.0,
)
_SPEECH_RATES = {"decoder_rate": 2.1e-4, "homeostasis_rate": 1.4e-2}
_speech_somatic = Somatic(
    **_SPEECH_RATES, feedforward_rate=2.1e-4, recurrent_rate=5.6e-4, self_inhibition=0.5
)
SPEECH = {  # published with and without one_spike_per_step: see Experiment.with_rule
    "dendritic": _speech((1_000_000, Dendritic(**_SPEECH_RATES))),
    "somatic": _speech((1_000_000, _speech_somatic)),
}
_UNWHITENED_RATES = {"decoder_rate": 4.9e-5, "homeostasis_rate": 1.4e-2}
_unwhitened_somatic = SomaticUnwhitened(
    **_UNWHITENED_RATES, feedforward_rate=4.9e-5, recurrent_rate=2.8e-4, self_inhibition=0.5
)
# The published dendritic network learns a somatic W beside dF_j = eta_F z_j (x - F^T z): a rule
# of speech.py, with the rates of "somatic". The exact rule has that dF too, but W = -F D.
SPEECH_UNWHITENED = {
    "dendritic": _speech((1_000_000, Dendritic(**_UNWHITENED_RATES, self_inhibition=0.5)), dt=0.5),
    "somatic": _speech((1_000_000, _unwhitened_somatic), dt=0.5),
}
