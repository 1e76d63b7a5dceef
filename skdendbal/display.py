"""Pictures of a fitted coder and of recordings, following scikit-learn's Display convention.

Matplotlib is optional.
"""

import math

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

__all__ = ["BalanceDisplay", "DictionaryDisplay", "RasterDisplay"]

_SEPARATOR = {"color": "0.6", "linewidth": 1.0}


class DictionaryDisplay:
    """Learned dictionary as a mosaic of images.

    Each component is scaled by its own largest absolute value. White is zero; non-negative
    dictionaries are drawn in greys, signed ones in red (positive) and blue (negative). For panels
    with the same colours, give `vmin` (-1 or 0); for frames with the same order, give `order`.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        Dictionary, in the order in which to draw it: left to right, then top to bottom.
    image_shape : tuple of (int, int), default=None
        Height and width of an image in pixels. None means square images.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        The mosaic.
    ax_ : matplotlib Axes
        Axes with the mosaic.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    RasterDisplay : Spikes evoked by data.

    Notes
    -----
    Components over the ON and OFF channels of :class:`skdendbal.preprocessing.OnOffSplitter`
    become signed images when its `inverse_transform` merges the channels.

    Examples
    --------
    >>> import numpy as np
    >>> from skdendbal.display import DictionaryDisplay
    >>> display = DictionaryDisplay(np.eye(6), image_shape=(2, 3)).plot()
    >>> display.im_.get_array().shape
    (6, 6)
    """

    def __init__(self, components, image_shape=None):
        self.components = components
        self.image_shape = image_shape

    def plot(self, ax=None, *, vmin=None, vmax=None, cmap=None):
        """Draw the mosaic.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        vmin : float, default=None
            Lowest value of the colours, where 1 is the largest absolute value of a component.
            None: -1 if any component has negative values, and otherwise 0.
        vmax : float, default=None
            Highest value of the colours. None: 1.
        cmap : str or matplotlib Colormap, default=None
            Colours. None: "RdBu_r" if `vmin` is negative, and otherwise "gray_r".

        Returns
        -------
        display : DictionaryDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `components` are not finite, or their features do not fill `image_shape`.
        ImportError
            If matplotlib is not installed.
        """
        components = check_array(self.components, dtype=np.float64, input_name="components")
        n, n_features = components.shape
        square = (math.isqrt(n_features),) * 2
        height, width = square if self.image_shape is None else self.image_shape
        if height * width != n_features or height < 1:
            raise ValueError(
                f"Components of {n_features} features cannot be images of image_shape="
                f"{self.image_shape} (None: square): pass image_shape=(height, width) with "
                f"height * width = {n_features}."
            )
        ax = _make_axes(ax, "DictionaryDisplay")

        rows = max(1, round(math.sqrt(n * width / height)))  # mosaic about as wide as high
        columns = math.ceil(n / rows)
        rows = math.ceil(n / columns)
        largest = np.abs(components).max(axis=1, keepdims=True)
        images = np.full((rows * columns, height, width), np.nan)  # nan is not drawn
        images[:n] = (components / np.where(largest > 0.0, largest, 1.0)).reshape(n, height, width)
        mosaic = images.reshape(rows, columns, height, width).swapaxes(1, 2)
        if vmin is None:
            vmin = -1.0 if components.min() < 0.0 else 0.0
        if cmap is None:
            cmap = "RdBu_r" if vmin < 0.0 else "gray_r"
        self.im_ = ax.imshow(
            mosaic.reshape(rows * height, columns * width),
            cmap=cmap,
            vmin=vmin,
            vmax=1.0 if vmax is None else vmax,
            interpolation="nearest",
        )
        right, bottom = columns * width - 0.5, rows * height - 0.5
        ax.vlines(np.arange(1, columns) * width - 0.5, -0.5, bottom, **_SEPARATOR)
        ax.hlines(np.arange(1, rows) * height - 0.5, -0.5, right, **_SEPARATOR)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(**_SEPARATOR)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        image_shape=None,
        order=None,
        ax=None,
        vmin=None,
        vmax=None,
        cmap=None,
    ):
        """Draw the dictionary of a fitted coder.

        Parameters
        ----------
        estimator : DendriticBalanceCoder
            Fitted coder.
        image_shape : tuple of (int, int), default=None
            Height and width of an image in pixels. None means square images.
        order : array-like of int, default=None
            Numbers of the units to draw, in this order. None: all, those that fire most first.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        vmin : float, default=None
            Lowest value of the colours, as in :meth:`plot`.
        vmax : float, default=None
            Highest value of the colours, as in :meth:`plot`.
        cmap : str or matplotlib Colormap, default=None
            Colours, as in :meth:`plot`.

        Returns
        -------
        display : DictionaryDisplay
            Display with the mosaic drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the features do not fill `image_shape`.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import DictionaryDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> DictionaryDisplay.from_estimator(coder).im_.get_array().shape
        (32, 32)
        """
        check_is_fitted(estimator)
        if order is None:
            order = np.argsort(-estimator.firing_rates_, kind="stable")
        display = cls(estimator.components_[np.asarray(order)], image_shape)
        return display.plot(ax, vmin=vmin, vmax=vmax, cmap=cmap)


class RasterDisplay:
    """Spike raster of presented rows, side by side.

    Each spike is a tick at its time (horizontal) and unit (vertical); vertical lines separate
    the rows. Trials of a row are drawn on top of each other.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    spikes : ndarray of shape (n_spikes,)
        Structured array with the fields `row`, `time` (ms from the onset of the row) and `unit`,
        as :meth:`skdendbal.DendriticBalanceCoder.simulate` returns it.
    n_units : int
        Number of units, silent ones included.
    n_rows : int
        Number of rows that were presented, those that evoked no spike included.
    presentation_time : float
        Duration of a presentation in ms.

    Attributes
    ----------
    lines_ : matplotlib LineCollection
        One line for each spike.
    ax_ : matplotlib Axes
        Axes with the raster.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    DictionaryDisplay : What the units stand for.

    Examples
    --------
    >>> import numpy as np
    >>> from skdendbal.display import RasterDisplay
    >>> fields = [("row", int), ("time", float), ("unit", int)]
    >>> spikes = np.array([(0, 40.0, 1), (2, 35.5, 0)], dtype=fields)
    >>> display = RasterDisplay(spikes, n_units=2, n_rows=3, presentation_time=100.0).plot()
    >>> [line[0].tolist() for line in display.lines_.get_segments()]
    [[40.0, 0.6], [235.5, -0.4]]
    """

    def __init__(self, spikes, n_units, n_rows, presentation_time):
        self.spikes = spikes
        self.n_units = n_units
        self.n_rows = n_rows
        self.presentation_time = presentation_time

    def plot(self, ax=None):
        """Draw the raster.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : RasterDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = _make_axes(ax, "RasterDisplay")
        spikes, unit = self.spikes, self.spikes["unit"]
        time = spikes["row"] * self.presentation_time + spikes["time"]
        onsets = np.arange(self.n_rows + 1) * self.presentation_time
        ax.vlines(onsets[1:-1], -0.5, self.n_units - 0.5, **_SEPARATOR)
        self.lines_ = ax.vlines(time, unit - 0.4, unit + 0.4, color="k", linewidth=1.0)
        ax.set(
            xlim=(0.0, onsets[-1]),
            ylim=(-0.5, self.n_units - 0.5),
            xlabel="time (ms)",
            ylabel="unit",
        )
        ax.yaxis.get_major_locator().set_params(integer=True)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(cls, estimator, X, *, random_state=None, ax=None):
        """Present the rows of X to a fitted coder, each from rest, and draw the spikes.

        Parameters
        ----------
        estimator : DendriticBalanceCoder
            Fitted coder.
        X : array-like of shape (n_samples, n_features)
            Rows to present, once each.
        random_state : int, RandomState instance or None, default=None
            Source of the noise; pass an int for the same spikes at each call.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : RasterDisplay
            Display with the raster drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` is not finite or has another number of features than in `fit`.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import RasterDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> display = RasterDisplay.from_estimator(coder, X[:5], random_state=0)
        >>> display.ax_.get_xlim()
        (np.float64(0.0), np.float64(500.0))
        """
        recording = estimator.record(X, random_state=random_state)
        duration = recording.timing.presentation_time
        return cls(recording.spikes, recording.n_units, recording.n_rows, duration).plot(ax)


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
    >>> from skdendbal.display import BalanceDisplay
    >>> times = np.arange(4.0)
    >>> display = BalanceDisplay(times, times, -0.9 * times, np.array([2.0])).plot()
    >>> [line.get_label() for line in display.lines_]
    ['feedforward', 'recurrent', 'sum: potential']
    """

    def __init__(self, times, feedforward, recurrent, spike_times, name=""):
        self.times = times
        self.feedforward = feedforward
        self.recurrent = recurrent
        self.spike_times = spike_times
        self.name = name

    def plot(self, ax=None):
        """Draw the currents.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : BalanceDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = _make_axes(ax, "BalanceDisplay")
        both = self.feedforward + self.recurrent
        curves = [
            (self.feedforward, "feedforward", "#D55E00", 1.5),
            (self.recurrent, "recurrent", "#0072B2", 1.5),
            (both, "sum: potential", "0.5", 1.0),
        ]
        ax.axhline(0.0, color="0.5", linewidth=0.5)
        self.lines_ = [
            ax.plot(self.times, values, color=colour, linewidth=width, label=label)[0]
            for values, label, colour, width in curves
        ]
        ax.vlines(self.spike_times, 0.96, 1.0, color="0.5", transform=ax.get_xaxis_transform())
        ax.margins(x=0.0, y=0.1)
        ax.set(xlabel="time (ms)", ylabel="current (scaled input)", title=self.name)
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
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
        >>> display.ax_.get_title()
        'neuron 3, compartment of input 20'
        """
        if compartment is None:
            name = f"neuron {unit}"
            currents = (each[:, 0] for each in recording.currents(row, trial, units=[unit]))
        else:
            name = f"neuron {unit}, compartment of input {compartment}"
            both = recording.dendritic_currents(unit, row, trial)
            currents = (each[:, compartment] for each in both)
        spike_times = recording.times()[recording.rasters(row, trial)[:, unit]]
        return cls(recording.times(), *currents, spike_times, name).plot(ax)


def _make_axes(ax, caller):
    """Return the axes to draw on: `ax`, or those of a new figure if it is None."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib: pip install skdendbal[examples]."
        ) from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax
