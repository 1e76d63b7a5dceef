"""How often neurons fire, and how regularly."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._style import legend_above, make_axes, text_colour

_FILLED = {"color": "0.5", "fill": True}
_LONGEST = 5.0  # mean intervals: of an exponential, 0.7 % are longer


class FiringRateDisplay:
    """Histogram of the firing rates of neurons, with their target rate marked.

    It is recommended to use :meth:`from_estimator` or :meth:`from_recording`. All parameters are
    stored as attributes.

    Parameters
    ----------
    firing_rates : array-like of shape (n_units,)
        Firing rates in Hz.
    target : float, default=None
        Target rate in Hz. None: it is not marked.

    Attributes
    ----------
    histogram_ : matplotlib StepPatch
        The histogram.
    target_line_ : matplotlib Line2D
        The mark at the target rate, or None.
    ax_ : matplotlib Axes
        Axes with the histogram.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    InterspikeIntervalDisplay : How regularly neurons fire.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skdendbal.display import FiringRateDisplay
    >>> ax = Figure().subplots()
    >>> display = FiringRateDisplay([10.0, 12.0, 11.0, 20.0], target=12.5).plot(ax, bins=2)
    >>> display.histogram_.get_data().values
    array([3, 1])
    """

    def __init__(self, firing_rates, target=None):
        self.firing_rates = firing_rates
        self.target = target

    def plot(self, ax=None, *, bins="auto"):
        """Draw the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        bins : int, str or array-like of float, default="auto"
            Bins, as :func:`numpy.histogram_bin_edges` takes them.

        Returns
        -------
        display : FiringRateDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = make_axes(ax, type(self).__name__)
        self.histogram_ = ax.stairs(*np.histogram(self.firing_rates, bins), **_FILLED)
        self.target_line_ = None
        if self.target is not None:
            self.target_line_ = ax.axvline(
                self.target,
                color=text_colour(),
                linestyle="--",
                label=f"target, {self.target:.3g} Hz",
            )
            legend_above(ax)
        ax.set(xlim=(0.0, None), xlabel="firing rate (Hz)", ylabel="number of units")
        ax.yaxis.get_major_locator().set_params(integer=True)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(cls, estimator, *, bins="auto", ax=None):
        """Draw the firing rates of a fitted coder at the end of learning.

        Parameters
        ----------
        estimator : DendriticBalanceCoder
            Fitted coder, whose `firing_rates_` are shown and the target rate of its settings.
        bins : int, str or array-like of float, default="auto"
            Bins, as in :meth:`plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : FiringRateDisplay
            Display with the histogram drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import FiringRateDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> FiringRateDisplay.from_estimator(coder).target
        50.0
        """
        check_is_fitted(estimator)
        return cls(estimator.firing_rates_, estimator.settings_.rate).plot(ax, bins=bins)

    @classmethod
    def from_recording(cls, recording, *, target=None, bins="auto", ax=None):
        """Draw the mean firing rates of a recording.

        Parameters
        ----------
        recording : Recording
            From :meth:`skdendbal.DendriticBalanceCoder.record`. At the onset of a row that was
            presented at rest, neurons fire more often.
        target : float, default=None
            Target rate in Hz to mark. None: no mark.
        bins : int, str or array-like of float, default="auto"
            Bins, as in :meth:`plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : FiringRateDisplay
            Display with the histogram drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import FiringRateDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> recording = coder.record(X[:20], random_state=0)
        >>> FiringRateDisplay.from_recording(recording).firing_rates.shape
        (16,)
        """
        counts = np.bincount(recording.spikes["unit"], minlength=recording.n_units)
        n_presentations = recording.n_rows * recording.n_trials
        seconds = n_presentations * recording.duration * 1e-3
        return cls(counts / seconds, target).plot(ax, bins=bins)


class InterspikeIntervalDisplay:
    """Histogram of the intervals between two spikes of a neuron, beside an exponential.

    Intervals of a neuron that fires at random at a constant rate are distributed exponentially.
    The exponential shown has their mean, and is a straight line because the axis of densities is
    logarithmic. Of rows that were presented at rest, only intervals
    within a presentation count, so that none is longer than that; those of a stream run on.

    It is recommended to use :meth:`from_recording`. All parameters are stored as attributes.

    Parameters
    ----------
    intervals : array-like of shape (n_intervals,)
        Intervals in ms.

    Attributes
    ----------
    histogram_ : matplotlib StepPatch
        The histogram.
    exponential_ : matplotlib Line2D
        The exponential, or None if there is no interval.
    ax_ : matplotlib Axes
        Axes with the histogram.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    FiringRateDisplay : How often neurons fire.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skdendbal.display import InterspikeIntervalDisplay
    >>> ax = Figure().subplots()
    >>> display = InterspikeIntervalDisplay([10.0, 30.0, 20.0]).plot(ax)
    >>> display.exponential_.get_label()
    'exponential, mean 20 ms'
    """

    def __init__(self, intervals):
        self.intervals = intervals

    def plot(self, ax=None, *, bins=50):
        """Draw the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        bins : int or array-like of float, default=50
            Number of bins from zero to five times the mean interval, or their edges in ms. Longer
            intervals are not shown, but count in the density.

        Returns
        -------
        display : InterspikeIntervalDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = make_axes(ax, type(self).__name__)
        intervals = np.asarray(self.intervals, dtype=np.float64)
        mean = intervals.mean() if len(intervals) > 0 else 1.0
        if np.ndim(bins) == 0:
            bins = np.linspace(0.0, _LONGEST * mean, bins + 1)
        counts, edges = np.histogram(intervals, bins)
        densities = counts / (max(1, len(intervals)) * np.diff(edges))
        self.histogram_ = ax.stairs(densities, edges, **_FILLED)
        self.exponential_ = None
        if len(intervals) > 0:
            times = np.linspace(edges[0], edges[-1], 200)
            (self.exponential_,) = ax.plot(
                times,
                np.exp(-times / mean) / mean,
                color=text_colour(),
                linestyle="--",
                label=f"exponential, mean {mean:.3g} ms",
            )
            ax.set_yscale("log")
            legend_above(ax)
        ax.set(xlim=edges[[0, -1]], xlabel="inter-spike interval (ms)", ylabel="density (1/ms)")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_recording(cls, recording, *, units=None, bins=50, ax=None):
        """Draw the intervals between spikes of a recording.

        Parameters
        ----------
        recording : Recording
            From :meth:`skdendbal.DendriticBalanceCoder.record`.
        units : array-like of int, default=None
            Neurons whose intervals to pool. None: all.
        bins : int or array-like of float, default=50
            Bins, as in :meth:`plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : InterspikeIntervalDisplay
            Display with the histogram drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import InterspikeIntervalDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> recording = coder.record(X[:20], random_state=0)
        >>> display = InterspikeIntervalDisplay.from_recording(recording)
        >>> display.ax_.get_xlabel()
        'inter-spike interval (ms)'
        """
        spikes = recording.spikes
        if units is not None:
            spikes = spikes[np.isin(spikes["unit"], units)]
        time, presentation = spikes["time"], spikes["row"] * recording.n_trials + spikes["trial"]
        if recording.start is not None:
            time = time + spikes["row"] * recording.duration
            presentation = np.zeros_like(presentation)
        order = np.lexsort((time, presentation, spikes["unit"]))
        together = np.diff(spikes["unit"][order]) == 0
        together &= np.diff(presentation[order]) == 0
        return cls(np.diff(time[order])[together]).plot(ax, bins=bins)
