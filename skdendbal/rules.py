"""The learning rules: which weights a network learns, and how they follow from a batch.

Symbols follow Mikulasch, Rudelt & Priesemann, PNAS 118(50) e2021925118 (2021). Weights are held
fixed within a batch, so that most rules need only sums over its steps: of x z^T and of z z^T.
Learning rates are in 1/ms. `RULES` is the table of rules by name.
"""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import ClassVar, get_args, get_type_hints

import numpy as np
from scipy.linalg.blas import dsymm
from scipy.linalg.lapack import dposv, dpotrf, dpotri

from . import _kernels

NOISE_RANGE = 1e-6, 1e6  # where powers of the noise level neither vanish nor overflow
FLOOR = 2e-3  # of the feedforward weight by which a dendritic potential is divided
LEAST = 1e-6  # feedforward weights, where they must stay positive
LARGEST = 1e6  # bound of feedforward weights, so that no rate makes them overflow
LARGE_STEP = 1e3  # learning step, as a part of the weights, from where an inverse is inexact
STRETCH = 1.0  # ms over which rules that follow a presentation step by step are evaluated at once


@dataclass(frozen=True)
class Rule:
    """What all learning rules share. Base class; a rule adds `initialise` and `update`.

    Class attributes say what a rule asks for: `non_negative`, whether its input must not be
    negative, and `needs_intervals`, whether it learns from the intervals between spikes and not
    only from sums over a batch.

    Parameters
    ----------
    decoder_rate : float, default=5e-4
        Learning rate eta_D in 1/ms of the decoder, ``dD = eta_D ((x - D z) z^T - lambda D)``.
    decoder_decay : float, default=0.1
        Decay lambda of the decoder, as a part of rho tau / 2, the variance of the trace of a
        neuron that fires at random at its target rate. Without it (0, the published model)
        neurons of opposite weights may grow against each other: where both fire, their weights
        cancel and nothing limits them, so that the code of signed data gets worse as learning
        goes on.
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
    decoder_decay: float = 0.1
    homeostasis_rate: float = 0.05
    initial_noise: float = 0.3
    annealing: float = 7.0
    scaled_bias: bool = False
    self_inhibition: float = 0.25
    one_spike_per_step: bool = True

    non_negative: ClassVar[bool] = False
    needs_intervals: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs):
        """Let "{shared}" in a docstring stand for the parameters that all rules share."""
        super().__init_subclass__(**kwargs)
        shared = Rule.__doc__.partition("----------\n")[2].strip()
        cls.__doc__ = (cls.__doc__ or "").replace("{shared}", shared)
        cls.__repr__ = Rule.__repr__  # where dataclasses would write a longer one

    def __post_init__(self):
        hints = get_type_hints(type(self))
        for name in (parameter.name for parameter in fields(self)):
            value, kinds = getattr(self, name), get_args(hints[name]) or (hints[name],)
            low, high = RANGES.get(name, (0.0, 1e6))
            span = f"from {low:g} to {high:g}"
            checks = {
                float: (isinstance(value, Real) and low <= value <= high, f"a number {span}"),
                int: (isinstance(value, Integral) and low <= value <= high, f"an integer {span}"),
                bool: (isinstance(value, (bool, np.bool_)), "True or False"),
                str: (isinstance(value, str), "a string"),
                type(None): (value is None, "None"),
            }
            if not checks.keys() >= set(kinds):
                continue  # a kind that a rule of a user's own checks itself
            checks = [checks[kind] for kind in kinds]
            if not any(valid for valid, _ in checks):
                expected = ", or ".join(text for _, text in checks)
                raise ValueError(f"{name}={value!r} must be {expected}.")

    def __repr__(self):
        changed = (
            f"{f.name}={getattr(self, f.name)!r}"
            for f in fields(self)
            if getattr(self, f.name) != f.default
        )
        return f"{type(self).__name__}({', '.join(changed)})"

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

        Raises
        ------
        MemoryError
            If they do not fit into the memory of the machine.
        """
        return {}

    def update(self, network, batch, step):
        """Learn from the sums over one batch.

        Parameters
        ----------
        network : Network
            Changed in place: decoder, recurrent weights and those of `initialise`.
        batch : Batch
            Sums over all steps of the batch.
        step : float
            Duration of a step in ms, times the factor on learning rates.

        Returns
        -------
        error : float
            Squared error of the decoder before learning, summed over the steps.
        """
        rate = self.decoder_rate * step
        decay = self.decoder_decay * batch.settings.trace_variance
        return batch.square - _follow(network.decoder, batch, rate, decay=decay)


RANGES = {
    "initial_noise": NOISE_RANGE,
    "pruned": (0.0, 1.0),
}  # parameters with a range of their own


@dataclass(frozen=True)
class Dendritic(Rule):
    """Exact dendritic balance: every dendritic potential is the coding error of its input.

    The potential of input i on neuron j is ``u_ji = F_ji (x - D z)_i``, the voltage-dependent
    plasticity ``dF_j = eta (z_j (x - F^T z) - lambda F_j)`` and the decoder learns
    ``dD = eta ((x - D z) z^T - lambda D)``. Both start at zero and share one rate, so ``D = F^T``
    always holds and is stored once.

    The rule is evaluated once a batch with sums over all its steps, in implicit form:
    ``(I + eta dt sum (z z^T + lambda I)) F_new = F + eta dt sum z x^T`` has the same fixed points
    and the same limit of small steps, and cannot overshoot.

    Parameters
    ----------
    {shared}
    """

    def update(self, network, batch, step):
        error = super().update(network, batch, step)
        np.matmul(network.decoder.T, network.decoder, out=network.recurrent)
        np.negative(network.recurrent, out=network.recurrent)
        return error


@dataclass(frozen=True)
class LearnedDendritic(Rule, ABC):
    """What the rules that learn dendritic balance share. Base class.

    The potential of input i on neuron j is ``u_ji = F_ji x_i + sum_k W^d_jik z_k``, and dendritic
    weights learn to balance it, ``dW^d_jik = -eta_W z_k u_ji``. Recurrent weights onto the soma
    are their sums over i. Feedforward weights start positive and cannot follow negative input,
    which must not occur.

    Parameters
    ----------
    {shared}
    feedforward_rate : float, default=2e-4
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    """

    feedforward_rate: float = 2e-4
    recurrent_rate: float = 1e-3

    non_negative: ClassVar[bool] = True
    start: ClassVar[float] = 1e-3  # feedforward weights before learning

    def initialise(self, n_features, n_components):
        _check_memory(n_features, n_components)
        return {
            "feedforward": np.full((n_features, n_components), self.start),
            "dendritic": np.zeros((n_features, n_components, n_components)),
        }

    def update(self, network, batch, step):
        self._learn_inputs(network, batch, step)
        feedforward = network.weights["feedforward"]
        np.clip(feedforward, -LARGEST, LARGEST, out=feedforward)
        self._learn_recurrent(network, batch, step)
        return super().update(network, batch, step)

    @abstractmethod
    def _learn_inputs(self, network, batch, step):
        """Change feedforward and dendritic weights."""

    def _learn_recurrent(self, network, batch, step):
        """Bring the recurrent weights onto the soma up to date."""
        np.sum(network.weights["dendritic"], axis=0, out=network.recurrent.T)


@dataclass(frozen=True)
class DendriticDecay(LearnedDendritic):
    """Learned dendritic balance with weight decay.

    ``dW^d_jik = eta_W (-z_k u_ji - lambda W^d_jik)`` with the potential
    ``u_ji = F_ji x_i + sum_k W^d_jik z_k``, and
    ``dF_ji = eta_F (z_j u_ji sign(F_ji) / max(0.002, |F_ji|) - lambda F_ji)``.

    Parameters
    ----------
    {shared}
    feedforward_rate : float, default=2e-4
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    decay : float, default=0.005
        Decay lambda of feedforward and dendritic weights, relative to their rates.
    """

    decay: float = 0.005

    def _learn_inputs(self, network, batch, step):
        F, rate = network.weights["feedforward"], self.feedforward_rate * step
        drive = _balance_dendrites(network, batch, self.recurrent_rate * step, self.decay)
        F += rate * drive * np.sign(F) / np.maximum(FLOOR, np.abs(F))
        F /= 1.0 + rate * self.decay * batch.n_steps


@dataclass(frozen=True)
class DendriticSlow(LearnedDendritic):
    """Learned dendritic balance with slow feedforward weights, and its pruning.

    ``dW^d_jik = -eta_W z_k u_ji`` with the potential ``u_ji = F_ji x_i + sum_k W^d_jik z_k``, and
    ``dFbar_ji = eta_Fbar z_j u_ji``, which the feedforward weights follow by
    ``dF_ji = eta_F (Fbar_ji / F_ji - F_ji)``: over a batch, F^2 approaches Fbar exponentially.

    With `pruned`, dendritic weights whose scores ``|W^d_jik| C_kj``, C the running mean of z z^T,
    are among that fraction of all decay by ``dW^d = -3 eta_W W^d``, except a neuron's connections
    to itself. Dendritic weights then steer plasticity alone; recurrent weights of their own,
    learned as in somatic balance, drive the dynamics. So they do with ``pruned=0``, which is not
    None.

    Parameters
    ----------
    {shared}
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

    def initialise(self, n_features, n_components):
        weights = super().initialise(n_features, n_components)
        weights["average"] = weights["feedforward"].copy()
        weights["correlation"] = np.zeros((n_components, n_components))
        return weights

    def _learn_inputs(self, network, batch, step):
        F, average = network.weights["feedforward"], network.weights["average"]
        drive = _balance_dendrites(network, batch, self.recurrent_rate * step)
        average += self.average_rate * step * drive
        np.clip(average, -LARGEST, LARGEST, out=average)
        kept = np.exp(-2.0 * self.feedforward_rate * step * batch.n_steps)
        # the published division by F has no floor; this one keeps F positive
        np.sqrt(np.maximum(average + (F**2 - average) * kept, LEAST**2), out=F)

    def _learn_recurrent(self, network, batch, step):
        if self.pruned is None:
            super()._learn_recurrent(network, batch, step)
            return
        _balance_soma(network, batch, self.recurrent_rate * step)
        dendritic, correlation = network.weights["dendritic"], network.weights["correlation"]
        duration = step * batch.n_steps
        approach = -np.expm1(-self.correlation_rate * duration)
        correlation += approach * (batch.gram / batch.n_steps - correlation)
        scores = np.abs(dendritic) * correlation
        last = min(int(self.pruned * scores.size), scores.size - 1)
        weak = scores <= np.partition(scores, last, axis=None)[last]
        weak &= ~np.eye(len(correlation), dtype=bool)
        dendritic[weak] *= np.exp(-3.0 * self.recurrent_rate * duration)


@dataclass(frozen=True)
class DendriticSimultaneous(LearnedDendritic):
    """Learned dendritic balance with feedforward weights that learn as fast.

    ``dW^d_jik = -eta_W z_k u_ji`` with the potential ``u_ji = F_ji x_i + sum_k W^d_jik z_k``, and
    ``dF_ji = eta_F z_j (x_i + (u_ji - F_ji x_i) sign(F_ji) / max(0.002, |F_ji|))``.

    Here dendritic and feedforward weights chase each other within a presentation, so that the
    rule follows it step by step, in stretches of at most 1 ms: slower than the other rules.

    Parameters
    ----------
    {shared}
    feedforward_rate : float, default=5e-4
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    """

    feedforward_rate: float = 5e-4

    needs_intervals: ClassVar[bool] = True
    start: ClassVar[float] = 0.0

    def _learn_inputs(self, network, batch, step):
        intervals, settings = batch.intervals, batch.intervals.settings
        n_features, n_units = network.decoder.shape
        stretch = max(1, round(STRETCH / settings.dt))
        n_stretches = batch.n_steps / stretch + len(intervals.traces)
        work = n_features * n_units * (n_units * len(intervals.traces) + n_stretches)
        # inputs learn independently: a few at a time, so that Python regains control
        for features in np.array_split(
            np.arange(n_features), min(n_features, 1 + int(work / _kernels.CALL))
        ):
            _kernels.call(
                _kernels.learn_simultaneously,
                intervals.traces,
                intervals.lanes,
                intervals.firsts,
                intervals.stops,
                intervals.new,
                intervals.old,
                settings.fade,
                settings.decay,
                stretch,
                FLOOR,
                LARGEST,
                self.feedforward_rate * step,
                self.recurrent_rate * step,
                features,
                network.weights["feedforward"],
                network.weights["dendritic"],
            )


@dataclass(frozen=True)
class Somatic(Rule):
    """Somatic balance with Hebbian-like plasticity: the baseline of pairwise rules.

    The potential ``u = F x + W z`` is balanced as a whole, ``dW_jk = -eta_W u_j z_k``, and
    feedforward weights follow ``dF_ji = eta_F z_j (x_i - F_ji z_j)``, each neuron by itself.

    Parameters
    ----------
    {shared}
    feedforward_rate : float, default=2e-5
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    """

    feedforward_rate: float = 2e-5
    recurrent_rate: float = 1e-3

    def initialise(self, n_features, n_components):
        return {"feedforward": np.zeros((n_features, n_components))}

    def update(self, network, batch, step):
        self.learn_feedforward(network.weights["feedforward"], batch, self.feedforward_rate * step)
        _balance_soma(network, batch, self.recurrent_rate * step)  # of the new F: it must not lag
        return super().update(network, batch, step)

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
        feedforward += rate * batch.cross
        feedforward /= 1.0 + rate * batch.trace_squares


@dataclass(frozen=True)
class SomaticUnwhitened(Somatic):
    """Somatic balance with a plasticity for input that is not whitened.

    As in :class:`Somatic`, but ``dF_ji = eta_F z_j x_i (1 - z_j (F x)_j / 10)``: a neuron's own
    response, not its weight, limits growth. The published 10 belongs to inputs with a squared
    norm of some tens; an estimator scales its input to 1, where F grows larger and slowly.

    Parameters
    ----------
    {shared}
    feedforward_rate : float, default=2e-5
        Learning rate eta_F in 1/ms.
    recurrent_rate : float, default=1e-3
        Learning rate eta_W in 1/ms.
    """

    needs_intervals: ClassVar[bool] = True

    def learn_feedforward(self, feedforward, batch, rate):
        intervals = batch.intervals
        fade, squares = intervals.settings.fade, intervals.traces**2
        starts = np.searchsorted(intervals.lanes, np.arange(len(intervals.new)))
        # sums of z_j^2 over each lane, weighted by products of the two stimuli's weights
        new_new, new_old, old_old = (
            np.add.reduceat(intervals.sum(weights, 2)[:, np.newaxis] * squares, starts)
            for weights in (fade**2, fade * (1.0 - fade), (1.0 - fade) ** 2)
        )
        new, old = intervals.new, intervals.old
        by_new, by_old = new @ feedforward, old @ feedforward
        limit = new.T @ (new_new * by_new + new_old * by_old)
        limit += old.T @ (new_old * by_new + old_old * by_old)
        # The change is divided by a bound of the step that would overshoot.
        size = np.einsum("li,li,lj->j", new, new, new_new)
        size += 2.0 * np.einsum("li,li,lj->j", new, old, new_old)
        size += np.einsum("li,li,lj->j", old, old, old_old)
        feedforward += rate * (batch.cross - 0.1 * limit) / (1.0 + 0.1 * rate * size)


RULES = {
    "dendritic": Dendritic,
    "dendritic-decay": DendriticDecay,
    "dendritic-slow": DendriticSlow,
    "dendritic-simultaneous": DendriticSimultaneous,
    "somatic": Somatic,
    "somatic-unwhitened": SomaticUnwhitened,
}


def _balance_dendrites(network, batch, rate, decay=0.0):
    """Learn dendritic weights, ``dW^d_ji = -rate (u_ji z^T + decay W^d_ji)``.

    With F and the spikes of the batch given that is linear, ``dW = -rate (F_ji c + W H)`` with
    c = sum x_i z^T and H = sum z z^T + decay n_steps, and integrated exactly for the mean of its
    steps: W changes by ``-rate (F_ji c + W H) phi(rate H)``, ``phi(a) = (1 - exp(-a)) / a``, and
    is ``W phi(rate H) - rate F_ji c psi(rate H)`` in the mean, ``psi(a) = (1 - phi(a)) / a``.
    Returns the sums of z_j u_ji while the weights move.
    """
    feedforward, dendritic = network.weights["feedforward"], network.weights["dendritic"]
    values, vectors = np.linalg.eigh(batch.gram)
    values = np.maximum(values, 0.0) + decay * batch.n_steps
    a = rate * values
    large = np.maximum(a, 1e-4)
    phi = np.where(a > 1e-4, -np.expm1(-large) / large, 1.0 - a / 2.0 + a**2 / 6.0)
    psi = np.where(a > 1e-4, (1.0 - phi) / large, 0.5 - a / 6.0)
    change = dendritic @ ((vectors * (values * phi)) @ vectors.T)
    phi, psi = ((vectors * diagonal) @ vectors.T for diagonal in (phi, psi))
    change += feedforward[:, :, np.newaxis] * (batch.cross @ phi)[:, np.newaxis, :]
    drive = change.diagonal(axis1=1, axis2=2).copy()
    if decay > 0.0:
        mean = np.einsum("ijk,kj->ij", dendritic, phi) - rate * feedforward * (batch.cross @ psi)
        drive -= decay * batch.n_steps * mean
    change *= rate
    dendritic -= change
    return drive


def _balance_soma(network, batch, rate):
    """Learn recurrent weights that balance the somatic potential, ``dW = -rate u z^T``."""
    recurrent = network.recurrent.T.copy()
    _follow(recurrent, batch, rate, response=-network.weights["feedforward"].T)
    network.recurrent[:] = recurrent.T


def _follow(weights, batch, rate, response=None, decay=0.0):
    """Move weights w by a backward Euler step of ``dw = rate ((target - w z) z^T - decay w)``.

    `weights` has the shape (n, n_components); the target is the input, or its product with
    `response`. Returns the sum over all steps of ``2 target^T w z - |w z|^2``. Where spikes are
    few, the sum of z z^T is not formed.
    """
    # ((1 + a) I + rate sum z z^T) w_new = w + rate sum target z^T, divided by 1 + a
    a = rate * decay * batch.n_steps
    rate, kept = rate / (1.0 + a), 1.0 / (1.0 + a)
    if not batch.few_spikes:
        cross = batch.cross if response is None else response @ batch.cross
        return _solve(weights, cross, batch.gram, rate, kept)
    new, old = batch.new, batch.old
    if response is not None:
        new, old = new @ response.T, old @ response.T
    # only coordinates in the span of the traces learn; those outside it are kept in part
    span = batch.span
    inside, drive = span.project(weights), span.project(batch.drive)
    cross = np.dot(new.T, drive[:, 0])  # matmul is slow where there is one lane
    cross += np.dot(old.T, drive[:, 1])
    explained = _solve(inside, cross, batch.span_gram, rate, kept)
    weights *= kept
    span.put(inside, weights)
    return explained


def _solve(weights, cross, gram, rate, kept):
    """Do what `_follow` does, from sums of target z^T and of z z^T; `kept` is left by decay."""
    # Where the rate outweighs the identity below by more, rounding would lose it.
    size = gram.trace()
    rate = min(rate, 1e12 / (1.0 + size))
    system = rate * gram
    system.flat[:: len(system) + 1] += 1.0
    if len(weights) > len(gram) and rate * size < LARGE_STEP:  # the inverse is quicker
        explained = 2.0 * np.vdot(weights, cross) - np.vdot(gram, weights.T @ weights)
        factor, _ = dpotrf(system)
        inverse, _ = dpotri(factor, overwrite_c=True)
        goal = rate * cross
        goal += kept * weights
        weights[:] = dsymm(1.0, inverse, goal.T).T
    else:
        residual = cross - weights @ gram
        explained = np.vdot(weights, cross + residual)
        pull = rate * residual - (1.0 - kept) * weights
        _, change, _ = dposv(system, pull.T, overwrite_b=True)
        weights += change.T
    return explained


def _check_memory(n_features, n_components):
    """Refuse dendritic weights that, with copies while learning, do not fit into memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not told on this platform
        return
    needed = 4 * 8 * n_features * n_components**2
    if needed > memory:
        raise MemoryError(
            f"Learned dendritic weights, n_features * n_components^2 = {n_features} * "
            f"{n_components}^2 numbers and copies while learning, take {needed / 2**30:.3g} GiB "
            f"of {memory / 2**30:.3g} GiB. Lower n_components, or use "
            'learning_rule="dendritic", which needs no such weights.'
        )
