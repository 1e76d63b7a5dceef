"""How a fit goes: when it has nothing left to gain, and what to say if it failed."""

import math
import sys
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

MIN_UPDATES = 10  # fewer do not make a fit
SILENT_FRACTION = 0.1  # of the target rate, below which a neuron counts as silent
MAX_BAD_FRACTION = 0.2  # of the neurons may be silent or off the target rate without a warning
MAX_RATE_RATIO = 2.0  # a rate that is off by more than this factor is off the target
MAX_SPREAD = 100.0  # of the standard deviations of columns, relative to their median
MAX_OFFSET = 10.0  # of the mean of rows, in root mean squared deviations from it
_INNER = {"skdendbal", "sklearn"}  # packages whose lines are not the user's
MAX_LOSS_RISE = 1.7  # learning has failed if the loss ends above this multiple of its minimum


class EarlyStopping:
    """Watches the decoder loss of successive passes, once the noise has fallen.

    Learning goes on as long as many neurons miss their target rate.

    Parameters
    ----------
    network : Network
        The network that learns.
    settings : Settings
        Its settings.
    n_samples : int
        Number of rows of a pass.
    tol : float or None
        Relative improvement below which a pass is no better. None: never stop.
    n_iter_no_change : int
        Number of such passes in a row after which to stop.
    """

    def __init__(self, network, settings, n_samples, tol, n_iter_no_change):
        self.network, self.settings, self.n_samples = network, settings, n_samples
        self.tol, self.n_iter_no_change = tol, n_iter_no_change
        self.end_of_pass = settings.horizon + n_samples
        self.n_points = None  # of the loss curve before this pass
        self.best_loss, self.n_passes = np.inf, 0

    def is_due(self):
        """Tell whether enough passes were no better, and enough neurons meet their target rate."""
        if self.tol is None:
            return False
        curve, now = self.network.record.loss_curve, self.network.n_presentations
        if self.n_points is None and now >= self.end_of_pass - self.n_samples:
            self.n_points = len(curve)
        if now >= self.end_of_pass and len(curve) > self.n_points:
            loss = np.mean(curve[self.n_points :])
            is_better = loss < (1.0 - self.tol) * self.best_loss
            self.best_loss = min(loss, self.best_loss)
            self.n_passes = 0 if is_better else self.n_passes + 1
            self.end_of_pass, self.n_points = now + self.n_samples, len(curve)
        return self.n_passes >= self.n_iter_no_change and not self._misses_rates()

    def _misses_rates(self):
        """Tell whether :func:`describe_failure` would speak of rates."""
        firing_rates, rate = self.network.record.firing_rates, self.settings.rate
        return count_off_target(firing_rates, rate) > MAX_BAD_FRACTION * len(firing_rates)


def count_silent(firing_rates, rate):
    """Return the number of neurons that fire far below the target rate.

    Parameters
    ----------
    firing_rates : ndarray of shape (n_components,)
        Firing rates in Hz.
    rate : float
        Target rate in Hz.

    Returns
    -------
    n_silent : int
        Number of silent neurons.
    """
    return int((firing_rates < SILENT_FRACTION * rate).sum())


def count_off_target(firing_rates, rate):
    """Return the number of neurons whose rate is off the target by more than a factor of two.

    Parameters
    ----------
    firing_rates : ndarray of shape (n_components,)
        Firing rates in Hz.
    rate : float
        Target rate in Hz.

    Returns
    -------
    n_off_target : int
        Number of such neurons.
    """
    ratio = firing_rates / rate
    return int(((ratio < 1.0 / MAX_RATE_RATIO) | (ratio > MAX_RATE_RATIO)).sum())


def describe_failure(network, settings, loss_curve, spread=1.0, offset=0.0):
    """Return what went wrong in learning, with its cause and a remedy.

    Parameters
    ----------
    network : Network
        The network that has learned.
    settings : Settings
        Its settings.
    loss_curve : ndarray of shape (n_points,)
        Decoder loss, whose end is compared with its minimum.
    spread : float, default=1.0
        Largest standard deviation of a column of the data, relative to their median.
    offset : float, default=0.0
        Norm of the mean of the data, in root mean squared deviations from it.

    Returns
    -------
    message : str or None
        None if nothing went wrong.
    """
    firing_rates = network.record.firing_rates
    n_silent = count_silent(firing_rates, settings.rate)
    n_off_target = count_off_target(firing_rates, settings.rate)
    whole = len(loss_curve) // 10 * 10
    losses = loss_curve[:whole].reshape(-1, 10).mean(axis=1).tolist()
    if network.n_updates < MIN_UPDATES:
        return (
            f"Weights were updated {network.n_updates} times only: "
            f"{network.n_presentations} presentations fill as many batches of "
            f"{settings.batch_size}. Present more by a larger max_iter or "
            "further calls of partial_fit, or start anew with a smaller batch_size."
        )
    if network.n_presentations < settings.horizon:
        return (
            f"Learning ended after {network.n_presentations} of "
            f"horizon={settings.horizon} presentations, with a noise level of "
            f"{math.sqrt(network.variance):.3g} that was to fall to "
            f"{settings.noise.final:.3g}. Lower horizon or raise max_iter."
        )
    if spread > MAX_SPREAD:
        return (
            f"The largest standard deviation of a column of X is {spread:.3g} times their median, "
            "so that few columns take all the spikes. Standardise the columns before, for example "
            "by StandardScaler."
        )
    if offset > MAX_OFFSET:
        return (
            f"The mean of X is {offset:.3g} times as large as the deviations from it, so that "
            "spikes stand for little else. Subtract it before, for example by "
            "StandardScaler(with_std=False)."
        )
    if n_silent > MAX_BAD_FRACTION * settings.n_components:
        return (
            f"{n_silent} of {settings.n_components} neurons are silent, below a "
            f"tenth of their target rate of {settings.rate:.3g} Hz. Give them more time with "
            "a larger max_iter, or raise noise."
        )
    if n_off_target > MAX_BAD_FRACTION * settings.n_components:
        return (
            f"{n_off_target} of {settings.n_components} neurons miss their target rate of "
            f"{settings.rate:.3g} Hz by more than a factor of 2. Give them more time with a "
            "larger max_iter, or raise noise."
        )
    if losses and losses[-1] > MAX_LOSS_RISE * min(losses):
        return (
            f"The decoder loss rose from {min(losses):.3g} to {losses[-1]:.3g} while the "
            "noise fell: neurons overshoot the input in turn. Raise noise."
        )
    return None


def warn(message):
    """Issue one ConvergenceWarning if there is something to say, at the line of the user's call.

    Parameters
    ----------
    message : str or None
        From :func:`describe_failure`.
    """
    if message is None:
        return
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INNER:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, ConvergenceWarning, stacklevel=level)
