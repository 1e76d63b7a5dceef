"""Learned dictionaries as mosaics of images."""

import math

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._style import SEPARATOR, as_images, hide_ticks, image_colours, make_axes

_N_PANELS = 4  # of a dictionary filling in, unless snapshots are chosen


class DictionaryDisplay:
    """Learned dictionary as a mosaic of images.

    Each component is scaled by its own largest absolute value. Zero is white, and black in a dark
    style; non-negative dictionaries are drawn in greys, signed ones in red (positive) and blue
    (negative). For panels with the same colours, give `vmin` (-1 or 0); for frames with the same
    order, give `order`.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        Dictionary, in the order in which to draw it: left to right, then top to bottom.
    image_shape : tuple of (int, int), default=None
        Height and width of an image in pixels. None means square images.
    on_off : bool, default=False
        Whether the first half of the features are ON channels and the second half OFF channels, as
        :class:`skdendbal.preprocessing.OnOffSplitter` orders them. Drawn is ON minus OFF.
    scales : array-like of shape (n_components,), default=None
        What components are divided by, instead of their own largest absolute values.

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
    DictionaryHistoryDisplay : The dictionary at several times while it is learned.
    RasterDisplay : Spikes evoked by data.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skdendbal.display import DictionaryDisplay
    >>> ax = Figure().subplots()
    >>> display = DictionaryDisplay(np.eye(6), image_shape=(2, 3)).plot(ax)
    >>> display.im_.get_array().shape
    (6, 6)
    """

    def __init__(self, components, image_shape=None, *, on_off=False, scales=None):
        self.components = components
        self.image_shape = image_shape
        self.on_off = on_off
        self.scales = scales

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
            Colours. None: "RdBu_r" if `vmin` is negative, and otherwise "gray_r"; in a dark style,
            their counterparts in which zero is black.

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
        images = as_images(self.components, self.image_shape, self.on_off)
        n, height, width = images.shape
        scales = np.abs(images).max(axis=(1, 2)) if self.scales is None else self.scales
        scales = np.asarray(scales, dtype=np.float64).reshape(n, 1, 1)
        ax = make_axes(ax, type(self).__name__)

        rows = max(1, round(math.sqrt(n * width / height)))  # mosaic about as wide as high
        columns = math.ceil(n / rows)
        rows = math.ceil(n / columns)
        cells = np.full((rows * columns, height, width), np.nan)  # nan is not drawn
        cells[:n] = images / np.where(scales > 0.0, scales, 1.0)
        mosaic = cells.reshape(rows, columns, height, width).swapaxes(1, 2)
        if vmin is None:
            vmin = -1.0 if images.min() < 0.0 else 0.0
        self.im_ = ax.imshow(
            mosaic.reshape(rows * height, columns * width),
            cmap=image_colours(ax, signed=vmin < 0.0) if cmap is None else cmap,
            vmin=vmin,
            vmax=1.0 if vmax is None else vmax,
            interpolation="nearest",
        )
        right, bottom = columns * width - 0.5, rows * height - 0.5
        thin = {**SEPARATOR, "linewidth": min(1.0, ax.bbox.width / ax.figure.dpi / columns * 4.0)}
        ax.vlines(np.arange(1, columns) * width - 0.5, -0.5, bottom, **thin)
        ax.hlines(np.arange(1, rows) * height - 0.5, -0.5, right, **thin)
        hide_ticks(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        image_shape=None,
        on_off=False,
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
        on_off : bool, default=False
            Whether features are ON channels and then OFF channels, of which to draw the
            differences.
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
        display = cls(estimator.components_[np.asarray(order)], image_shape, on_off=on_off)
        return display.plot(ax, vmin=vmin, vmax=vmax, cmap=cmap)


class DictionaryHistoryDisplay:
    """Dictionary at several times while it is learned: how it fills in.

    All panels have the same order of components and the same colours. A component is scaled by its
    largest absolute value in any of the panels, so that it is faint before it has been learned.

    It is recommended to use :meth:`from_monitor`. All parameters are stored as attributes.

    Parameters
    ----------
    dictionaries : array-like of shape (n_snapshots, n_components, n_features)
        Dictionaries, in the order in which to draw components.
    n_presentations : array-like of int of shape (n_snapshots,)
        Numbers of stimuli presented until then.
    image_shape : tuple of (int, int), default=None
        Height and width of an image in pixels. None means square images.
    on_off : bool, default=False
        Whether features are ON channels and then OFF channels, of which to draw the differences.

    Attributes
    ----------
    displays_ : list of DictionaryDisplay
        The panels.
    axes_ : ndarray of shape (n_snapshots,) of matplotlib Axes
        Axes with the panels.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    DictionaryDisplay : One dictionary.
    LearningDisplay : The loss meanwhile.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skdendbal.display import DictionaryHistoryDisplay
    >>> axes = Figure().subplots(1, 3)
    >>> snapshots = np.linspace(0.0, 1.0, 3)[:, np.newaxis, np.newaxis] * np.eye(4)
    >>> display = DictionaryHistoryDisplay(snapshots, [0, 500, 1000]).plot(axes)
    >>> [ax.get_title() for ax in display.axes_]
    ['0 stimuli', '500', '1,000']
    """

    def __init__(self, dictionaries, n_presentations, image_shape=None, *, on_off=False):
        self.dictionaries = dictionaries
        self.n_presentations = n_presentations
        self.image_shape = image_shape
        self.on_off = on_off

    def plot(self, ax=None, *, cmap=None):
        """Draw the panels.

        Parameters
        ----------
        ax : array-like of matplotlib Axes, default=None
            Axes to draw on, one for each panel. None creates a new figure.
        cmap : str or matplotlib Colormap, default=None
            Colours, as in :meth:`DictionaryDisplay.plot`.

        Returns
        -------
        display : DictionaryHistoryDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is no dictionary, dictionaries are not finite, their features do not fill
            `image_shape`, or there is another number of axes.
        ImportError
            If matplotlib is not installed.
        """
        if len(self.dictionaries) == 0:
            raise ValueError(
                "There is no dictionary to draw: let LearningMonitor take snapshots, or choose "
                "one of them."
            )
        images = np.array([as_images(D, self.image_shape, self.on_off) for D in self.dictionaries])
        n_panels, n_components, height, width = images.shape
        scales = np.abs(images).max(axis=(0, 2, 3))
        axes = make_axes(
            ax,
            type(self).__name__,
            shape=(1, n_panels),
            size=lambda figure_width: figure_width * height / width / n_panels + 0.3,
        )
        self.axes_ = np.ravel(axes)
        self.displays_ = []
        panels = zip(self.axes_, images, self.n_presentations, strict=True)
        for ax, dictionary, n in panels:
            display = DictionaryDisplay(
                dictionary.reshape(n_components, -1), (height, width), scales=scales
            )
            display.plot(ax, vmin=-1.0 if images.min() < 0.0 else 0.0, cmap=cmap)
            ax.set_title(f"{n:,}" if self.displays_ else f"{n:,} stimuli", fontsize="medium")
            self.displays_.append(display)
        self.figure_ = self.axes_[0].figure
        return self

    @classmethod
    def from_monitor(
        cls, monitor, *, snapshots=None, image_shape=None, on_off=False, order=None, ax=None
    ):
        """Draw dictionaries that a monitor has kept while a coder learned.

        Parameters
        ----------
        monitor : LearningMonitor
            What has followed a coder, see :class:`skdendbal.monitoring.LearningMonitor`.
        snapshots : array-like of int, default=None
            Numbers of the snapshots to draw. None: four from the first to the last, or all if
            there are fewer.
        image_shape : tuple of (int, int), default=None
            Height and width of an image in pixels. None means square images.
        on_off : bool, default=False
            Whether features are ON channels and then OFF channels, of which to draw the
            differences.
        order : array-like of int, default=None
            Numbers of the units to draw, in this order. None: all, those first that fire most in
            the end.
        ax : array-like of matplotlib Axes, default=None
            Axes to draw on, one for each panel. None creates a new figure.

        Returns
        -------
        display : DictionaryHistoryDisplay
            Display with the panels drawn.

        Raises
        ------
        ValueError
            If there is no snapshot, the features do not fill `image_shape`, or there is another
            number of axes.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import DictionaryHistoryDisplay
        >>> from skdendbal.monitoring import LearningMonitor
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, random_state=0)
        >>> monitor = LearningMonitor(snapshots=[500, 1000, 2000])
        >>> for start in range(0, 1500, 250):
        ...     monitor.observe(coder.partial_fit(X[start : start + 250]))
        >>> display = DictionaryHistoryDisplay.from_monitor(monitor)
        >>> [ax.get_title() for ax in display.axes_]
        ['500 stimuli', '1,000']
        """
        n_snapshots = len(monitor.dictionaries_)
        if snapshots is None:
            snapshots = np.linspace(0, n_snapshots - 1, min(_N_PANELS, n_snapshots)).round()
        if order is None:
            order = np.argsort(-monitor.firing_rates_[-1], kind="stable")
        chosen, order = np.asarray(snapshots, dtype=int), np.asarray(order)
        display = cls(
            np.array([dictionary[order] for dictionary in monitor.dictionaries_[chosen]]),
            monitor.snapshots_at_[chosen],
            image_shape,
            on_off=on_off,
        )
        return display.plot(ax)
