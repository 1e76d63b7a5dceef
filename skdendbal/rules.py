"""The learning rules: which weights a network learns, and how they follow from a batch.

Symbols follow Mikulasch, Rudelt & Priesemann, PNAS 118(50) e2021925118 (2021). Weights are held
fixed within a batch, so every rule that works per step needs only sums over the steps: of x z^T
and of z z^T. Learning rates are in 1/ms.
"""

from dataclasses import dataclass, fields
from numbers import Real

import numpy as np
from scipy.linalg.lapack import dposv

NOISE_RANGE = 1e-6, 1e6  # where powers of the noise level neither vanish nor overflow


@dataclass(frozen=True)
class Rule:
    """What all learning rules share. Base class; a rule adds `initialise` and `update`.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder, ``dD = eta_D (x - D z) z^T``.
    homeostasis_rate : float, default=0.05
        Rate eta_b in 1/ms at which biases approach the target firing rate.
    initial_noise : float, default=0.3
        Noise level sigma_0 at the start of learning, in units of the scaled input.
    annealing : float, default=7.0
        Decay of the noise level over the horizon: eta_s times the horizon's duration.
    scaled_bias : bool, default=False
        Whether biases count in units of potential, i.e. are divided by sigma^2.
    self_inhibition : float, default=0.25
        Instantaneous part c of a neuron's connection to itself.
    one_spike_per_step : bool, default=True
        Whether only the most probable of several spikes in one step is kept. Neurons that
        spike in one step cannot yet inhibit each other; where noise is low, many of them, or
        all, would overshoot the input together, and again in the opposite direction.
    """

    decoder_rate: float = 5e-4
    homeostasis_rate: float = 0.05
    initial_noise: float = 0.3
    annealing: float = 7.0
    scaled_bias: bool = False
    self_inhibition: float = 0.25
    one_spike_per_step: bool = True

    def __post_init__(self):
        for parameter in fields(self):
            name, value = parameter.name, getattr(self, parameter.name)
            if parameter.type is bool:
                valid, expected = isinstance(value, (bool, np.bool_)), "True or False"
            else:
                low, high = NOISE_RANGE if name == "initial_noise" else (0.0, 1e6)
                valid = isinstance(value, Real) and low <= value <= high
                expected = f"a number from {low:g} to {high:g}"
            if not valid:
                raise ValueError(f"{name}={value!r} must be {expected}.")

    def initialise(self, n_features, n_components):
        """Return the weights that the rule learns beside the decoder.

        Parameters
        ----------
        n_features : int
            Number of inputs n_x.
        n_components : int
            Number of neurons n_z.

        Returns
        -------
        weights : dict of str to ndarray
            Their start; "feedforward" is F^T of shape (n_features, n_components). None of that
            name: the decoder serves.
        """
        return {}

    def update(self, network, sums, step):
        """Learn from the sums over one batch.

        Parameters
        ----------
        network : Network
            Changed in place: decoder, recurrent weights and those of `initialise`.
        sums : Sums
            Sums over all steps of the batch.
        step : float
            Duration of a step in ms, times the factor on learning rates.

        Returns
        -------
        error : float
            Squared error of the decoder before learning, summed over the steps.
        """
        decoder = network.decoder
        residual = sums.cross - decoder @ sums.gram
        error = sums.square - np.vdot(decoder, sums.cross + residual)
        decoder += _implicit_change(self.decoder_rate * step, residual, sums.gram)
        return error


@dataclass(frozen=True)
class Dendritic(Rule):
    """Exact dendritic balance: every dendritic potential is the coding error of its input.

    The potential of input i on neuron j is ``u_ji = F_ji (x - D z)_i``, the voltage-dependent
    plasticity ``dF_j = eta z_j (x - F^T z)`` and the decoder learns ``dD = eta (x - D z) z^T``.
    Both start at zero and share one rate, so ``D = F^T`` always holds and is stored once.

    The rule is evaluated once a batch with sums over all its steps, in implicit form:
    ``(I + eta dt sum z z^T) F_new = F + eta dt sum z x^T`` has the same fixed points and the same
    limit of small steps, and cannot overshoot.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_F = eta_D in 1/ms.
    homeostasis_rate : float, default=0.05
        Rate eta_b in 1/ms at which biases approach the target firing rate.
    initial_noise : float, default=0.3
        Noise level sigma_0 at the start of learning, in units of the scaled input.
    annealing : float, default=7.0
        Decay of the noise level over the horizon: eta_s times the horizon's duration.
    scaled_bias : bool, default=False
        Whether biases count in units of potential, i.e. are divided by sigma^2.
    self_inhibition : float, default=0.25
        Instantaneous part c of a neuron's connection to itself.
    one_spike_per_step : bool, default=True
        Whether only the most probable of several spikes in one step is kept. Neurons that
        spike in one step cannot yet inhibit each other; where noise is low, many of them, or
        all, would overshoot the input together, and again in the opposite direction.
    """

    def update(self, network, sums, step):
        """Learn from the sums over one batch, see :meth:`Rule.update`.

        Parameters
        ----------
        network : Network
            Changed in place: decoder and recurrent weights.
        sums : Sums
            Sums over all steps of the batch.
        step : float
            Duration of a step in ms, times the factor on learning rates.

        Returns
        -------
        error : float
            Squared error of the decoder before learning, summed over the steps.
        """
        error = super().update(network, sums, step)
        np.matmul(-network.decoder.T, network.decoder, out=network.recurrent)
        return error


@dataclass(frozen=True)
class Somatic(Rule):
    """Somatic balance with Hebbian-like plasticity: the baseline of pairwise rules.

    The potential ``u = F x + W z`` is balanced as a whole, ``dW_jk = -eta_W u_j z_k``, and
    feedforward weights follow ``dF_ji = eta_F z_j (x_i - F_ji z_j)``, each neuron by itself.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder, ``dD = eta_D (x - D z) z^T``.
    homeostasis_rate : float, default=0.05
        Rate eta_b in 1/ms at which biases approach the target firing rate.
    initial_noise : float, default=0.3
        Noise level sigma_0 at the start of learning, in units of the scaled input.
    annealing : float, default=7.0
        Decay of the noise level over the horizon: eta_s times the horizon's duration.
    scaled_bias : bool, default=False
        Whether biases count in units of potential, i.e. are divided by sigma^2.
    self_inhibition : float, default=0.25
        Instantaneous part c of a neuron's connection to itself.
    one_spike_per_step : bool, default=True
        Whether only the most probable of several spikes in one step is kept. Neurons that
        spike in one step cannot yet inhibit each other; where noise is low, many of them, or
        all, would overshoot the input together, and again in the opposite direction.
    feedforward_rate : float, default=5e-5
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    """

    feedforward_rate: float = 5e-5
    recurrent_rate: float = 1e-3

    def initialise(self, n_features, n_components):
        """Return the feedforward weights, zero at the start, see :meth:`Rule.initialise`.

        Parameters
        ----------
        n_features : int
            Number of inputs n_x.
        n_components : int
            Number of neurons n_z.

        Returns
        -------
        weights : dict of str to ndarray
            "feedforward": F^T of shape (n_features, n_components).
        """
        return {"feedforward": np.zeros((n_features, n_components))}

    def update(self, network, sums, step):
        """Learn from the sums over one batch, see :meth:`Rule.update`.

        Parameters
        ----------
        network : Network
            Changed in place: decoder, recurrent and feedforward weights.
        sums : Sums
            Sums over all steps of the batch.
        step : float
            Duration of a step in ms, times the factor on learning rates.

        Returns
        -------
        error : float
            Squared error of the decoder before learning, summed over the steps.
        """
        feedforward, recurrent = network.weights["feedforward"], network.recurrent
        potential = feedforward.T @ sums.cross + recurrent.T @ sums.gram  # sum of u z^T
        recurrent += _implicit_change(self.recurrent_rate * step, -potential, sums.gram).T
        rate = self.feedforward_rate * step
        feedforward += rate * sums.cross
        feedforward /= 1.0 + rate * sums.gram.diagonal()
        return super().update(network, sums, step)


RULES = {"dendritic": Dendritic, "somatic": Somatic}


def _implicit_change(rate, force, gram):
    """Change of weights w in a backward Euler step of ``dw = rate (force_0 - w gram)``.

    `force`, of shape (n, n_components), is that of the weights before the step.
    """
    # Where the rate outweighs the identity below by more, rounding would lose it.
    rate = min(rate, 1e12 / (1.0 + gram.trace()))
    system = rate * gram
    system.flat[:: len(system) + 1] += 1.0
    _, change, _ = dposv(system, rate * force.T)
    return change.T
