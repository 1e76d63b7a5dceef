"""The published experiments: one table of settings.

F. A. Mikulasch, L. Rudelt and V. Priesemann, "Local dendritic balance enables learning of
efficient representations in networks of spiking neurons", PNAS 118(50) e2021925118, 2021.

Every name in capitals is a row of the table: an :class:`Experiment` with the published numbers, or
what it is repeated for. Times are in ms, learning rates in 1/ms, firing rates in Hz. Rules that an
experiment compares share decoder rule, decoder rate, noise and its schedule, except where the
publication itself gives other numbers; comments say where.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from .rules import (
    Dendritic,
    DendriticDecay,
    DendriticSimultaneous,
    DendriticSlow,
    Somatic,
    SomaticUnwhitened,
)
from .settings import Neuron, Noise, Settings

__all__ = [
    "BARS",
    "BARS_SMALL",
    "BARS_SMALL_SHORT",
    "CORRELATIONS",
    "MNIST_DELAY",
    "MNIST_VARIANTS",
    "MNIST_WEIGHTS",
    "PRUNING",
    "PRUNING_SOMATIC",
    "SCENES",
    "SCENES_DELAYS",
    "SCENES_DELAY_RATES",
    "SCENES_DELAY_VARIANCES",
    "SCENES_RATE",
    "SPEECH",
    "SPEECH_UNWHITENED",
    "Experiment",
    "Phase",
]


@dataclass(frozen=True)
class Phase:
    """Part of a schedule: so many stimuli with these settings.

    Parameters
    ----------
    n_stimuli : int
        Number of stimuli.
    settings : Settings
        Settings of the network.
    """

    n_stimuli: int
    settings: Settings


@dataclass(frozen=True)
class Experiment(Mapping):
    """A network and the phases in which it learns, one after the other.

    It is also a mapping of the parameters that give an estimator this network:
    ``DendriticBalanceCoder(**published.BARS)`` learns as in the first phase.

    Parameters
    ----------
    phases : tuple of Phase
        The schedule. The horizon is the number of stimuli of all phases.
    n_test : int, default=500
        Number of further stimuli on which learning is tested.
    by_rule : dict of str to Experiment, default={}
        All networks that are compared in the experiment, by the name of their rule.
    """

    phases: tuple[Phase, ...]
    n_test: int = 500
    by_rule: dict = field(default_factory=dict, compare=False, repr=False)

    @property
    def settings(self):
        """Settings of the first phase, with which the network starts."""
        return self.phases[0].settings

    def __getitem__(self, parameter):
        return self._parameters[parameter]

    def __iter__(self):
        return iter(self._parameters)

    def __len__(self):
        return len(self._parameters)

    @property
    def _parameters(self):
        names = ["n_components", "rate", "presentation_time", "neuron", "noise", "dt", "tau"]
        names += ["delay", "horizon", "batch_size"]
        parameters = {name: getattr(self.settings, name) for name in names}
        return parameters | {
            "learning_rule": self.settings.rule,
            "input_scale": 1.0,
            "decoder": "online",
        }

    def with_settings(self, **changes):
        """Return the experiment with other settings in all phases.

        Parameters
        ----------
        **changes : dict
            New values of settings by name, such as ``dt``.

        Returns
        -------
        experiment : Experiment
            The changed experiment; `by_rule` stays.
        """
        return self._with_phases(
            Phase(phase.n_stimuli, replace(phase.settings, **changes)) for phase in self.phases
        )

    def with_neuron(self, **changes):
        """Return the experiment with other parameters of the neurons in all phases.

        Parameters
        ----------
        **changes : dict
            New values of parameters by name, such as ``one_spike_per_step``.

        Returns
        -------
        experiment : Experiment
            The changed experiment; `by_rule` stays.
        """
        return self._with_phases(
            Phase(n, replace(settings, neuron=settings.neuron.with_params(**changes)))
            for n, settings in ((phase.n_stimuli, phase.settings) for phase in self.phases)
        )

    def at_scale(self, scale):
        """Return the experiment with fewer stimuli and faster learning.

        Parameters
        ----------
        scale : float
            Factor on the numbers of stimuli. Learning rates of weights and decoder, and the rate
            of annealing, are divided by it. Homeostasis stays as it is.

        Returns
        -------
        experiment : Experiment
            The changed experiment; `by_rule` stays.
        """
        horizon = max(1, round(scale * self.settings.horizon))
        return self._with_phases(
            Phase(
                round(scale * n),
                replace(settings, rule=settings.rule.scale_rates(1.0 / scale), horizon=horizon),
            )
            for n, settings in ((phase.n_stimuli, phase.settings) for phase in self.phases)
        )

    def _with_phases(self, phases):
        return replace(self, phases=tuple(phases))


def _experiment(
    *schedule,
    variance,
    homeostasis_rate,
    initial_variance=None,
    annealing_rate=0.0,
    scaled_bias=False,
    self_inhibition=0.25,
    presentation_time=100.0,
    **settings,
):
    """Return an experiment; a schedule is (number of stimuli, rule with its rates), ...

    The squared noise level sigma^2 goes from `initial_variance` (None: it is constant) to
    `variance` at rate eta_s, `annealing_rate`. `homeostasis_rate` is one rate for all phases, or a
    tuple with one rate for each.
    """
    horizon = sum(n_stimuli for n_stimuli, _ in schedule)
    noise = Noise(
        variance**0.5,
        initial=(initial_variance or variance) ** 0.5,
        annealing=annealing_rate * horizon * presentation_time,
    )
    if not isinstance(homeostasis_rate, tuple):
        homeostasis_rate = (homeostasis_rate,) * len(schedule)
    return Experiment(
        tuple(
            Phase(
                n_stimuli,
                Settings(
                    rule=replace(rule, decoder_decay=0.0),
                    neuron=Neuron(self_inhibition, False, scaled_bias, eta_b),
                    noise=noise,
                    tau=10.0,
                    presentation_time=presentation_time,
                    batch_size=1,  # a stream
                    horizon=horizon,
                    **settings,
                ),
            )
            for (n_stimuli, rule), eta_b in zip(schedule, homeostasis_rate, strict=True)
        )
    )


def _compare(**experiments):
    """Return the first of some experiments, with `by_rule` that holds all of them by name."""
    by_rule = {}
    for name, experiment in experiments.items():
        by_rule[name] = replace(experiment, by_rule=by_rule)
    return next(iter(by_rule.values()))


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
    homeostasis_rate=1e-2,
)
_exact = Dendritic(5e-5)
_decay = DendriticDecay(5e-5, feedforward_rate=2e-5, recurrent_rate=1e-4, decay=0.005)
_slow = DendriticSlow(5e-5, feedforward_rate=1e-7, average_rate=5e-5, recurrent_rate=5e-5)
_simultaneous = DendriticSimultaneous(5e-5, feedforward_rate=5e-5, recurrent_rate=1e-4)
_somatic = Somatic(5e-5, feedforward_rate=5e-5, recurrent_rate=1e-4)


def _late(rule, n_waiting, n_stimuli):
    """Schedule in which feedforward weights learn only after `n_waiting` stimuli."""
    return (n_waiting, replace(rule, feedforward_rate=0.0)), (n_stimuli - n_waiting, rule)


#: Bars on 8x8 pixels, against their correlation p: dendritic and somatic balance.
BARS = _compare(
    dendritic=_bars((1_000_000, _exact), n_components=16),
    somatic=_bars((1_000_000, _somatic), n_components=16),
)
_bars_small = partial(_bars, n_components=8)
#: Bars on 4x4 pixels with p = 0.7: the exact rule, the rules that learn it, somatic balance.
BARS_SMALL = _compare(
    exact=_bars_small((1_000_000, _exact)),
    decay=_bars_small(*_late(_decay, 10_000, 1_000_000)),
    slow=_bars_small((1_000_000, _slow)),
    simultaneous=_bars_small((1_000_000, _simultaneous)),
    somatic=_bars_small((1_000_000, _somatic)),
)
# The short schedule of the reference simulation has half as many stimuli and a slower simultaneous
# rule. Feedforward weights of all learned dendritic rules wait, and start at 0.001: where they do
# not by default, in the simultaneous rule, the script bars_small.py sets them.
_slower = replace(_simultaneous, feedforward_rate=2e-5)
#: `BARS_SMALL` with half as many stimuli, as in the reference simulation.
BARS_SMALL_SHORT = _compare(
    exact=_bars_small((500_000, _exact)),
    decay=_bars_small(*_late(_decay, 5_000, 500_000)),
    slow=_bars_small(*_late(_slow, 5_000, 500_000)),
    simultaneous=_bars_small(*_late(_slower, 5_000, 500_000)),
    somatic=_bars_small((500_000, _somatic)),
)

# Pruning
# -------
_pruning = partial(_bars_small, annealing_rate=0.9 * 7e-7, homeostasis_rate=0.9 * 4e-2)
_unpruned = DendriticSlow(
    decoder_rate=0.9 * 5e-4,
    feedforward_rate=0.9 * 1e-6,
    recurrent_rate=0.9 * 5e-4,
    average_rate=0.9 * 5e-4,
    correlation_rate=0.9 * 1e-4,
    pruned=0.0,
)
#: Bars on 4x4 pixels with p = 0.6: an experiment for every fraction of pruned dendritic weights.
PRUNING = {
    fraction: _pruning((4_000, _unpruned), (396_000, replace(_unpruned, pruned=fraction)))
    for fraction in (0.0, 0.25, 0.5, 0.75, 0.9, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98)
}
#: Somatic balance beside `PRUNING`; its decoder rate differs, as published.
PRUNING_SOMATIC = _pruning(
    (400_000, Somatic(0.9 * 1e-4, feedforward_rate=0.9 * 1e-4, recurrent_rate=0.9 * 5e-4))
)

# MNIST
# -----
_mnist = partial(_experiment, n_components=9, variance=0.1, scaled_bias=True)
_variants = partial(_mnist, dt=0.1, rate=20.0, homeostasis_rate=5e-3)
_mnist_decay = DendriticDecay(3e-6, feedforward_rate=2e-6, recurrent_rate=6e-5, decay=0.005)
_mnist_slow = DendriticSlow(5e-6, feedforward_rate=4e-7, average_rate=4e-5, recurrent_rate=4e-5)
_mnist_simultaneous = DendriticSimultaneous(3e-6, feedforward_rate=2e-6, recurrent_rate=6e-6)
_mnist_somatic = Somatic(5e-6, feedforward_rate=5e-6, recurrent_rate=1e-5)
#: Digits 0 to 2 of MNIST at 16x16 pixels: all rules. Rates differ between them, as published.
MNIST_VARIANTS = _compare(
    exact=_variants((120_000, Dendritic(5e-6))),
    decay=_variants(*_late(_mnist_decay, 5_000, 120_000), rate=5.0, homeostasis_rate=3e-3),
    slow=_variants((120_000, _mnist_slow)),
    simultaneous=_variants((120_000, _mnist_simultaneous), homeostasis_rate=3e-3),
    somatic=_variants((120_000, _mnist_somatic)),
)


def _one_after_the_other(rule):
    """Schedule: biases and decoder, then recurrent weights, then feedforward weights."""
    still = replace(rule, feedforward_rate=0.0, recurrent_rate=0.0)
    return (60_000, still), (30_000, replace(still, recurrent_rate=2e-5)), (120_000, rule)


_phases_decay = _one_after_the_other(
    DendriticDecay(5e-6, feedforward_rate=1.5e-5, recurrent_rate=3e-5, decay=0.03)
)
_phases_somatic = _one_after_the_other(Somatic(5e-6, feedforward_rate=4e-6, recurrent_rate=3e-5))
_weights = partial(_mnist, rate=15.0, homeostasis_rate=7e-3)
#: The same digits: what neurons learn with dendritic and with somatic balance.
MNIST_WEIGHTS = _compare(
    decay=_weights(*_phases_decay, dt=0.1),
    somatic=_weights(*_phases_somatic, dt=0.1),
)
#: The same with a delay of 3 ms; the somatic network starts with more noise, as published.
MNIST_DELAY = _compare(
    decay=_weights(*_phases_decay, dt=3.0),
    somatic=_weights(*_phases_somatic, dt=3.0, initial_variance=1.0, annealing_rate=4e-6),
)

# Scenes
# ------
_scenes = partial(_experiment, n_components=200, rate=5.0, dt=0.1, variance=0.13)
_annealed_scenes = partial(
    _scenes, initial_variance=1.0, annealing_rate=7e-8, homeostasis_rate=(6e-3, 4e-3)
)
#: Whitened natural scenes: dendritic and somatic balance.
SCENES = _compare(
    dendritic=_annealed_scenes((200_000, Dendritic(4e-5)), (1_300_000, Dendritic(3e-5))),
    somatic=_annealed_scenes(
        (200_000, Somatic(4e-5, feedforward_rate=4e-5, recurrent_rate=1e-4)),
        (1_300_000, Somatic(3e-5, feedforward_rate=3e-5, recurrent_rate=7e-5)),
    ),
)
#: Numbers of neurons and their rate in Hz for `SCENES`: one spike per ms in all.
SCENES_RATE = {
    200: 5.0,
    133: 7.5,
    100: 10.0,
    80: 12.5,
    67: 15.0,
    57: 17.5,
    50: 20.0,
    44: 22.5,
    40: 25.0,
}
#: Steps dt in ms, the delays of inhibition, for `SCENES`.
SCENES_DELAYS = (0.1, 0.125, 0.15, 0.175, 0.2, 0.225, 0.25, 0.275, 0.3)
SCENES_DELAYS += (0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
#: Noise sigma_inf^2 that is combined with each of `SCENES_DELAYS`.
SCENES_DELAY_VARIANCES = (0.13, 0.15, 0.2, 0.3)
#: Target rates in Hz that are combined with each of `SCENES_DELAYS`.
SCENES_DELAY_RATES = (5.0, 1.5)

#: A control: feedforward and recurrent weights stand still, biases and decoder are relearned.
CORRELATIONS = _scenes(
    (20_000, Somatic(5e-4, feedforward_rate=0.0, recurrent_rate=0.0)), homeostasis_rate=5e-4
)

# Speech
# ------
# A stimulus is a sample of the recording, interpolated from the one before over its whole time.
_speech = partial(
    _experiment,
    n_components=100,
    rate=5.0,
    variance=0.2,
    presentation_time=5.0,
    fading=1.0,
    homeostasis_rate=1.4e-2,
)
#: Whitened speech; published with and without one spike a step, see `Experiment.with_neuron`.
SPEECH = _compare(
    dendritic=_speech((1_000_000, Dendritic(2.1e-4)), dt=0.05),
    somatic=_speech(
        (1_000_000, Somatic(2.1e-4, feedforward_rate=2.1e-4, recurrent_rate=5.6e-4)),
        dt=0.05,
        self_inhibition=0.5,
    ),
)
# The published dendritic network learns a somatic W beside dF_j = eta_F z_j (x - F^T z): a rule
# of speech.py, with the rates of "somatic". The exact rule has that dF too, but W = -F D.
_unwhitened = partial(_speech, dt=0.5, self_inhibition=0.5)
#: Speech that is not whitened: a rule for such input beside exact balance.
SPEECH_UNWHITENED = _compare(
    dendritic=_unwhitened((1_000_000, Dendritic(4.9e-5))),
    somatic=_unwhitened(
        (1_000_000, SomaticUnwhitened(4.9e-5, feedforward_rate=4.9e-5, recurrent_rate=2.8e-4))
    ),
)
