"""How currents balance each other."""

import numpy as np

from ._style import legend_above, make_axes, text_colour

_FEEDFORWARD, _RECURRENT = "#AA3377", "#44AA99"  # purple and teal of Tol, not those of a rule


class BalanceDisplay:
    """Feedforward and recurrent current of a soma or of one compartment over time, and their sum.

    Where balance is good, the recurrent current mirrors the feedforward one, and their sum, the
    potential, stays near zero. Ticks at the top are spikes of the neuron.

    It is recommended to use :meth:`from_recording`. All parameters are stored as attributes.

    Parameters
    ----------
    times : ndarray of shape (n_steps,)
        Times in ms.
    feedforward : ndarray of shape (n_steps,)
        Feedforward current.
    recurrent : ndarray of shape (n_steps,)
        Recurrent current.
    spike_times : ndarray of shape (n_spikes,)
        Times of the neuron's spikes in ms.
    name : str, default=""
        Which neuron, or which of its compartments.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        Feedforward current, recurrent current, and their sum.
    ax_ : matplotlib Axes
        Axes with the currents.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    RasterDisplay : Spikes of all neurons.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skdendbal.display import BalanceDisplay
    >>> ax = Figure().subplots()
    >>> times = np.arange(4.0)
    >>> display = BalanceDisplay(times, times, -0.9 * times, np.array([2.0])).plot(ax)
    >>> [line.get_label() for line in display.lines_]
    ['feedforward', 'recurrent', 'sum']
    """

    def __init__(self, times, feedforward, recurrent, spike_times, name=""):
        self.times = times
        self.feedforward = feedforward
        self.recurrent = recurrent
        self.spike_times = spike_times
        self.name = name

    def plot(self, ax=None, *, legend=True):
        """Draw the currents.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        legend : bool, default=True
            Whether to say above the axes which curve is which.

        Returns
        -------
        display : BalanceDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = make_axes(ax, type(self).__name__)
        both = self.feedforward + self.recurrent
        curves = [
            (self.feedforward, "feedforward", _FEEDFORWARD, 1.5),
            (self.recurrent, "recurrent", _RECURRENT, 1.5),
            (both, "sum", text_colour(), 1.0),
        ]
        ax.axhline(0.0, color="0.5", linewidth=0.5)
        self.lines_ = [
            ax.plot(self.times, values, color=colour, linewidth=width, label=label)[0]
            for values, label, colour, width in curves
        ]
        ax.vlines(
            self.spike_times,
            0.94,
            1.0,
            color=text_colour(),
            linewidth=1.0,
            transform=ax.get_xaxis_transform(),
        )
        ax.margins(x=0.01, y=0.1)
        ax.set(xlabel="time (ms)", ylabel="current (scaled)")
        room = legend_above(ax) if legend else 0.0
        ax.set_title(self.name, loc="left", fontsize="medium", pad=4.0 + room)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_recording(cls, recording, unit, *, compartment=None, row=0, trial=0, ax=None):
        """Draw the currents of a soma, or of one of its compartments.

        Parameters
        ----------
        recording : Recording
            From :meth:`skdendbal.DendriticBalanceCoder.record`.
        unit : int
            Neuron.
        compartment : int, default=None
            Input whose compartment to show. None: the soma.
        row, trial : int, default=0
            Which presentation.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : BalanceDisplay
            Display with the currents drawn.

        Raises
        ------
        ValueError
            If neurons have no compartments and one is asked for.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import BalanceDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> recording = coder.record(X[:1], random_state=0)
        >>> display = BalanceDisplay.from_recording(recording, unit=3, compartment=20)
        >>> display.ax_.get_title(loc="left")
        'neuron 3, compartment 20'
        """
        return cls._from_recording(recording, unit, compartment, row, trial).plot(ax)

    @classmethod
    def compare(cls, recording, unit, compartment, *, row=0, trial=0, ax=None):
        """Draw the currents of a soma and of one of its compartments.

        Parameters
        ----------
        recording : Recording
            From :meth:`skdendbal.DendriticBalanceCoder.record`.
        unit : int
            Neuron.
        compartment : int
            Input whose compartment to show.
        row, trial : int, default=0
            Which presentation.
        ax : array-like of matplotlib Axes, default=None
            Two axes to draw on. None creates a new figure, with one below the other.

        Returns
        -------
        soma : BalanceDisplay
            Display of the soma.
        dendrite : BalanceDisplay
            Display of the compartment.

        Raises
        ------
        ValueError
            If neurons have no compartments.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import BalanceDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> recording = coder.record(X[:1], random_state=0)
        >>> soma, dendrite = BalanceDisplay.compare(recording, unit=3, compartment=20)
        >>> soma.figure_ is dendrite.figure_
        True
        """
        axes = make_axes(ax, cls.__name__, shape=(2, 1), size=lambda width: 0.6 * width + 1.2)
        above, below = np.ravel(axes)
        soma = cls._from_recording(recording, unit, None, row, trial).plot(above)
        if ax is None:  # one below the other
            above.set_xlabel("")
            above.tick_params(labelbottom=False)
        dendrite = cls._from_recording(recording, unit, compartment, row, trial)
        dendrite.plot(below, legend=False)
        return soma, dendrite

    @classmethod
    def _from_recording(cls, recording, unit, compartment, row, trial):
        if compartment is None:
            name = f"neuron {unit}"
            currents = (each[:, 0] for each in recording.currents(row, trial, units=[unit]))
        else:
            name = f"neuron {unit}, compartment {compartment}"
            both = recording.dendritic_currents(unit, row, trial)
            currents = (each[:, compartment] for each in both)
        spike_times = recording.times()[recording.rasters(row, trial)[:, unit]]
        return cls(recording.times(), *currents, spike_times, name)
