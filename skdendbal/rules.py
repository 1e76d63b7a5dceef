"""The learning rules: which weights a network learns, and how they follow from a batch.

Symbols follow Mikulasch, Rudelt & Priesemann, PNAS 118(50) e2021925118 (2021). Weights stand still
within a batch, so that most rules need only sums over its steps: of x z^T and of z z^T. Learning
rates are in 1/ms. `RULES` is the table of rules by name.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from . import _kernels
from ._implicit import balance_dendrites, balance_soma
from ._memory import check_memory
from ._parameters import Parameters

__all__ = [
    "RULES",
    "Dendritic",
    "DendriticDecay",
    "DendriticSimultaneous",
    "DendriticSlow",
    "LearnedDendritic",
    "Rule",
    "Somatic",
    "SomaticUnwhitened",
]

_MIN_DIVISOR = 2e-3  # smallest feedforward weight by which a dendritic potential is divided
_MIN_FEEDFORWARD = 1e-6  # where feedforward weights must stay positive
_MAX_FEEDFORWARD = 1e6  # so that no rate makes them overflow
_MAX_STRETCH = 1.0  # ms evaluated at once by a rule that follows a presentation in time
_RATE = [Interval(Real, 0, 1e12, closed="both")]


@dataclass(frozen=True)
class Rule(Parameters, ABC):
    """What all learning rules share. Base class; a rule adds `update`, and often `initialise`.

    Parameters whose names end in "_rate" are learning rates in 1/ms: the estimator's
    `learning_rate` multiplies all of them. Class attributes say what a rule asks for:
    `non_negative`, whether its input must not be negative, and `needs_intervals`, whether it
    learns from the intervals between spikes and not only from sums over a batch.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder, ``dD = eta_D ((x - D z) z^T - lambda D)``. The
        network learns the decoder, in the same way for every rule.
    decoder_decay : float, default=0.1
        Decay lambda of the decoder, relative to rho tau / 2, the variance of the trace of a
        neuron that fires at random at its target rate. Without it (0, the published model)
        neurons of opposite weights may grow against each other: where both fire, their weights
        cancel and nothing limits them, so that the code of signed data gets worse as learning
        goes on.
    """

    decoder_rate: float = 5e-4
    decoder_decay: float = 0.1

    non_negative: ClassVar[bool] = False
    needs_intervals: ClassVar[bool] = False
    _parameter_constraints: ClassVar[dict] = {"decoder_rate": _RATE, "decoder_decay": _RATE}

    def initialise(self, n_features, n_components, random_state):
        """Return the weights that the rule learns beside decoder and recurrent weights.

        Parameters
        ----------
        n_features : int
            Number of inputs n_x.
        n_components : int
            Number of neurons n_z.
        random_state : RandomState instance
            Source of random initial weights.

        Returns
        -------
        weights : dict of str to ndarray
            Their initial values. "feedforward" is F^T, of shape (n_features, n_components);
            without it, the decoder serves as feedforward weights.

        Raises
        ------
        MemoryError
            If they do not fit into the memory of the machine.
        """
        return {}

    @abstractmethod
    def update(self, weights, batch, dt):
        """Learn from the sums over one batch.

        Parameters
        ----------
        weights : dict of str to ndarray
            Written to in place: "recurrent", W^T, and the weights of `initialise`. "decoder", D,
            has learned from the batch already and is only to be read.
        batch : Batch
            Sums over all steps of the batch.
        dt : float
            Duration of a step in ms.
        """

    def scale_rates(self, factor):
        """Return the rule with other learning rates.

        Parameters
        ----------
        factor : float
            Factor on all parameters whose names end in "_rate".

        Returns
        -------
        rule : Rule
            The rule itself if the factor is 1.
        """
        if factor == 1.0:
            return self
        params = self.get_params().items()
        return replace(self, **{name: factor * v for name, v in params if name.endswith("_rate")})


@dataclass(frozen=True)
class Dendritic(Rule):
    """Exact dendritic balance: every dendritic potential is the coding error of its input.

    The potential of input i on neuron j is ``u_ji = F_ji (x - D z)_i``, the voltage-dependent
    plasticity is ``dF_j = eta (z_j (x - F^T z) - lambda F_j)``, and the decoder learns by
    ``dD = eta ((x - D z) z^T - lambda D)``. F and D start at zero and share one rate, so that
    ``D = F^T`` always holds, and only D is stored.

    The rule is evaluated once a batch with sums over all its steps, in implicit form:
    ``(I + eta dt sum (z z^T + lambda I)) F_new = F + eta dt sum z x^T`` has the same fixed points
    and the same limit of small steps, and cannot overshoot.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder, and so of F.
    decoder_decay : float, default=0.1
        Decay lambda of the decoder, relative to rho tau / 2, see :class:`Rule`.
    """

    def update(self, weights, batch, dt):
        decoder, recurrent = weights["decoder"], weights["recurrent"]
        np.matmul(decoder.T, decoder, out=recurrent)
        np.negative(recurrent, out=recurrent)


@dataclass(frozen=True)
class LearnedDendritic(Rule):
    """What the rules that learn dendritic balance share. Base class.

    The potential of input i on neuron j is ``u_ji = F_ji x_i + sum_k W^d_jik z_k``, and dendritic
    weights learn to balance it, ``dW^d_jik = -eta_W z_k u_ji``. Recurrent weights onto the soma
    are their sums over i. Feedforward weights start at zero or above and cannot follow negative
    input, which must not occur.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder.
    decoder_decay : float, default=0.1
        Decay lambda of the decoder, relative to rho tau / 2, see :class:`Rule`.
    feedforward_rate : float, default=2e-4
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    """

    feedforward_rate: float = 2e-4
    recurrent_rate: float = 1e-3

    non_negative: ClassVar[bool] = True
    initial_feedforward: ClassVar[float] = 1e-3
    _parameter_constraints: ClassVar[dict] = {"feedforward_rate": _RATE, "recurrent_rate": _RATE}

    def initialise(self, n_features, n_components, random_state):
        check_memory(
            4 * 8 * n_features * n_components**2,
            "Learned dendritic weights, n_features * n_components^2 = "
            f"{n_features} * {n_components}^2 numbers, and the copies made while learning",
            'Lower n_components, or use learning_rule="dendritic", which needs no such weights.',
        )
        return {
            "feedforward": np.full((n_features, n_components), self.initial_feedforward),
            "dendritic": np.zeros((n_features, n_components, n_components)),
        }

    def update(self, weights, batch, dt):
        self._learn_inputs(weights, batch, dt)
        feedforward = weights["feedforward"]
        np.clip(feedforward, -_MAX_FEEDFORWARD, _MAX_FEEDFORWARD, out=feedforward)
        self._learn_recurrent(weights, batch, dt)

    @abstractmethod
    def _learn_inputs(self, weights, batch, dt):
        """Change feedforward and dendritic weights."""

    def _learn_recurrent(self, weights, batch, dt):
        """Bring the recurrent weights onto the soma up to date."""
        np.sum(weights["dendritic"], axis=0, out=weights["recurrent"].T)


@dataclass(frozen=True)
class DendriticDecay(LearnedDendritic):
    """Learned dendritic balance with weight decay.

    ``dW^d_jik = eta_W (-z_k u_ji - lambda W^d_jik)`` with the potential
    ``u_ji = F_ji x_i + sum_k W^d_jik z_k``, and
    ``dF_ji = eta_F (z_j u_ji sign(F_ji) / max(0.002, |F_ji|) - lambda F_ji)``.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder.
    decoder_decay : float, default=0.1
        Decay lambda of the decoder, relative to rho tau / 2, see :class:`Rule`.
    feedforward_rate : float, default=2e-4
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    decay : float, default=0.005
        Decay lambda of feedforward and dendritic weights, relative to their rates.
    """

    decay: float = 0.005

    _parameter_constraints: ClassVar[dict] = {"decay": _RATE}

    def _learn_inputs(self, weights, batch, dt):
        F, rate = weights["feedforward"], self.feedforward_rate * dt
        sum_zu = balance_dendrites(weights, batch, self.recurrent_rate * dt, self.decay)
        F += rate * sum_zu * np.sign(F) / np.maximum(_MIN_DIVISOR, np.abs(F))
        F /= 1.0 + rate * self.decay * batch.n_steps


@dataclass(frozen=True)
class DendriticSlow(LearnedDendritic):
    """Learned dendritic balance with slow feedforward weights, and its pruning.

    ``dW^d_jik = -eta_W z_k u_ji`` with the potential ``u_ji = F_ji x_i + sum_k W^d_jik z_k``, and
    ``dFbar_ji = eta_Fbar z_j u_ji``, which the feedforward weights follow by
    ``dF_ji = eta_F (Fbar_ji / F_ji - F_ji)``: over a batch, F^2 approaches Fbar exponentially.

    With `pruned`, every dendritic weight has a score ``|W^d_jik| C_kj``, where C is the running
    mean of z z^T. The fraction `pruned` of the weights that has the lowest scores decays by
    ``dW^d = -3 eta_W W^d``, except a neuron's connections to itself. Dendritic weights then steer
    plasticity alone, and separate recurrent weights, learned as in somatic balance, drive the
    dynamics. Note that ``pruned=0`` prunes nothing but still uses these separate weights;
    ``pruned=None`` does not.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder.
    decoder_decay : float, default=0.1
        Decay lambda of the decoder, relative to rho tau / 2, see :class:`Rule`.
    feedforward_rate : float, default=1e-5
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    average_rate : float, default=1e-3
        Learning rate eta_Fbar in 1/ms, much larger than eta_F.
    pruned : float, default=None
        Fraction of dendritic weights that are pruned, from 0 to 1. None: no pruning.
    correlation_rate : float, default=9e-5
        Rate in 1/ms of the running mean C, with `pruned`.
    """

    feedforward_rate: float = 1e-5
    average_rate: float = 1e-3
    pruned: float | None = None
    correlation_rate: float = 9e-5

    _parameter_constraints: ClassVar[dict] = {
        "average_rate": _RATE,
        "pruned": [Interval(Real, 0, 1, closed="both"), None],
        "correlation_rate": _RATE,
    }

    def initialise(self, n_features, n_components, random_state):
        weights = super().initialise(n_features, n_components, random_state)
        weights["average"] = weights["feedforward"].copy()
        weights["correlation"] = np.zeros((n_components, n_components))
        return weights

    def _learn_inputs(self, weights, batch, dt):
        F, average = weights["feedforward"], weights["average"]
        sum_zu = balance_dendrites(weights, batch, self.recurrent_rate * dt)
        average += self.average_rate * dt * sum_zu
        np.clip(average, -_MAX_FEEDFORWARD, _MAX_FEEDFORWARD, out=average)
        kept = np.exp(-2.0 * self.feedforward_rate * dt * batch.n_steps)
        # the published division by F has no floor; this one keeps F positive
        np.sqrt(np.maximum(average + (F**2 - average) * kept, _MIN_FEEDFORWARD**2), out=F)

    def _learn_recurrent(self, weights, batch, dt):
        if self.pruned is None:
            super()._learn_recurrent(weights, batch, dt)
            return
        balance_soma(weights, batch, self.recurrent_rate * dt)
        dendritic, correlation = weights["dendritic"], weights["correlation"]
        duration = dt * batch.n_steps
        approach = -np.expm1(-self.correlation_rate * duration)
        correlation += approach * (batch.sum_zz / batch.n_steps - correlation)
        scores = np.abs(dendritic) * correlation
        last = min(int(self.pruned * scores.size), scores.size - 1)
        weak = scores <= np.partition(scores, last, axis=None)[last]
        weak &= ~np.eye(len(correlation), dtype=bool)
        dendritic[weak] *= np.exp(-3.0 * self.recurrent_rate * duration)


@dataclass(frozen=True)
class DendriticSimultaneous(LearnedDendritic):
    """Learned dendritic balance whose feedforward and dendritic weights learn simultaneously.

    ``dW^d_jik = -eta_W z_k u_ji`` with the potential ``u_ji = F_ji x_i + sum_k W^d_jik z_k``, and
    ``dF_ji = eta_F z_j (x_i + (u_ji - F_ji x_i) sign(F_ji) / max(0.002, |F_ji|))``.

    Here dendritic and feedforward weights chase each other within a presentation. The rule
    therefore follows it step by step, in stretches of at most 1 ms, and is slower than the others.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder.
    decoder_decay : float, default=0.1
        Decay lambda of the decoder, relative to rho tau / 2, see :class:`Rule`.
    feedforward_rate : float, default=5e-4
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    """

    feedforward_rate: float = 5e-4

    needs_intervals: ClassVar[bool] = True
    initial_feedforward: ClassVar[float] = 0.0

    def _learn_inputs(self, weights, batch, dt):
        intervals = batch.intervals
        n_features, n_units = weights["decoder"].shape
        stretch = max(1, round(_MAX_STRETCH / batch.timing.dt))
        rates = self.feedforward_rate * dt, self.recurrent_rate * dt
        n_stretches = batch.n_steps / stretch + len(intervals.traces)
        work = n_features * n_units * (n_units * len(intervals.traces) + n_stretches)
        # inputs learn independently: a few at a time, so that Python regains control
        for features in np.array_split(
            np.arange(n_features), min(n_features, 1 + int(work / _kernels.WORK_PER_CALL))
        ):
            _kernels.call_interruptibly(
                _kernels.learn_simultaneously, intervals.arrays, batch.new, batch.old,
                batch.timing.clock, stretch, _MIN_DIVISOR, _MAX_FEEDFORWARD, rates, features,
                weights["feedforward"], weights["dendritic"],
            )  # fmt: skip


@dataclass(frozen=True)
class Somatic(Rule):
    """Somatic balance with Hebbian-like plasticity: the baseline of pairwise rules.

    The potential ``u = F x + W z`` is balanced as a whole, ``dW_jk = -eta_W u_j z_k``, and
    feedforward weights follow ``dF_ji = eta_F z_j (x_i - F_ji z_j)``, each neuron by itself.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder.
    decoder_decay : float, default=0.1
        Decay lambda of the decoder, relative to rho tau / 2, see :class:`Rule`.
    feedforward_rate : float, default=2e-5
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    """

    feedforward_rate: float = 2e-5
    recurrent_rate: float = 1e-3

    _parameter_constraints: ClassVar[dict] = {"feedforward_rate": _RATE, "recurrent_rate": _RATE}

    def initialise(self, n_features, n_components, random_state):
        return {"feedforward": np.zeros((n_features, n_components))}

    def update(self, weights, batch, dt):
        self.learn_feedforward(weights["feedforward"], batch, self.feedforward_rate * dt)
        # recurrent weights balance the new feedforward weights: they must not lag
        balance_soma(weights, batch, self.recurrent_rate * dt)

    def learn_feedforward(self, feedforward, batch, rate):
        """Learn feedforward weights from the sums over one batch; a variant may replace it.

        Parameters
        ----------
        feedforward : ndarray of shape (n_features, n_components)
            F^T, changed in place.
        batch : Batch
            Sums over all steps of the batch.
        rate : float
            Learning rate eta_F times the duration of a step.
        """
        feedforward += rate * batch.sum_xz
        feedforward /= 1.0 + rate * batch.sum_zz_diagonal


@dataclass(frozen=True)
class SomaticUnwhitened(Somatic):
    """Somatic balance with a plasticity for input that is not whitened.

    As in :class:`Somatic`, but ``dF_ji = eta_F z_j x_i (1 - z_j (F x)_j / 10)``: a neuron's own
    response, not its weight, limits growth. The published 10 belongs to inputs with a squared
    norm of some tens; an estimator scales its input to 1, where F grows larger and slowly.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder.
    decoder_decay : float, default=0.1
        Decay lambda of the decoder, relative to rho tau / 2, see :class:`Rule`.
    feedforward_rate : float, default=2e-5
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    """

    needs_intervals: ClassVar[bool] = True

    def learn_feedforward(self, feedforward, batch, rate):
        intervals, fade, new, old = batch.intervals, batch.timing.fade, batch.new, batch.old
        # sums of z_j^2 over each lane, weighted by products of the two stimuli's weights
        new_new, new_old, old_old = (
            intervals.sum_by_lane(weights, power=2)
            for weights in (fade**2, fade * (1.0 - fade), (1.0 - fade) ** 2)
        )
        by_new, by_old = new @ feedforward, old @ feedforward
        limit = new.T @ (new_new * by_new + new_old * by_old)
        limit += old.T @ (new_old * by_new + old_old * by_old)
        # The change is divided by a bound of the step that would overshoot.
        size = np.einsum("li,li,lj->j", new, new, new_new)
        size += 2.0 * np.einsum("li,li,lj->j", new, old, new_old)
        size += np.einsum("li,li,lj->j", old, old, old_old)
        feedforward += rate * (batch.sum_xz - 0.1 * limit) / (1.0 + 0.1 * rate * size)


#: The rules by the names that an estimator takes.
RULES = {
    "dendritic": Dendritic,
    "dendritic-decay": DendriticDecay,
    "dendritic-slow": DendriticSlow,
    "dendritic-simultaneous": DendriticSimultaneous,
    "somatic": Somatic,
    "somatic-unwhitened": SomaticUnwhitened,
}
