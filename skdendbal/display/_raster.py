"""Spike rasters."""

import numpy as np

from ._read_out import read_out
from ._style import SEPARATOR, as_images, choose, draw_image, make_axes, text_colour

_MAX_NUMBERED = 16  # units in an order of their own, some of whose numbers are beside a raster
_MAX_IMAGE_HEIGHT = 0.24  # of the height that axes have before there are images
_ABOVE, _BELOW = 0.4, 3.6  # room between axes and images, with tick and axis labels, in lines
_HUES = ["#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7"]  # readable on white and black


class RasterDisplay:
    """Spike raster of presented rows, side by side.

    Each spike is a tick at its time (horizontal) and unit (vertical); vertical lines separate
    the rows. If there are several trials, each has its own line within a unit.

    It is recommended to use :meth:`from_recording` or :meth:`from_estimator`. All parameters are
    stored as attributes.

    Parameters
    ----------
    spikes : ndarray of shape (n_spikes,)
        Structured array with the fields `row`, `time` (ms from the onset of the row), `unit` and,
        if there are several trials, `trial`, as
        :meth:`skdendbal.DendriticBalanceCoder.simulate` returns it.
    n_units : int
        Number of units, silent ones included.
    n_rows : int
        Number of rows that were presented, those that evoked no spike included.
    presentation_time : float
        Duration of a presentation in ms.
    n_trials : int, default=1
        Number of trials to tell apart. With 1, trials are drawn on top of each other.
    order : array-like of int, default=None
        Numbers of the units to draw, from bottom to top. None: all, by their number.
    stimuli : array-like of shape (n_rows, height, width), default=None
        Images to show above the spikes of a row.
    reconstructions : array-like of shape (n_rows, height, width), default=None
        Images to show below them, in the colours of `stimuli`, which they need.

    Attributes
    ----------
    lines_ : matplotlib LineCollection
        One line for each spike.
    stimulus_ims_ : list of matplotlib AxesImage
        The images above the spikes.
    reconstruction_ims_ : list of matplotlib AxesImage
        The images below the spikes.
    ax_ : matplotlib Axes
        Axes with the raster.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    DictionaryDisplay : What the units stand for.
    AnyTimeDisplay : What the spikes say after some ms.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skdendbal.display import RasterDisplay
    >>> ax = Figure().subplots()
    >>> fields = [("row", int), ("time", float), ("unit", int)]
    >>> spikes = np.array([(0, 40.0, 1), (2, 35.5, 0)], dtype=fields)
    >>> display = RasterDisplay(spikes, n_units=2, n_rows=3, presentation_time=100.0).plot(ax)
    >>> [line[0].tolist() for line in display.lines_.get_segments()]
    [[40.0, 0.6], [235.5, -0.4]]
    """

    def __init__(
        self,
        spikes,
        n_units,
        n_rows,
        presentation_time,
        n_trials=1,
        *,
        order=None,
        stimuli=None,
        reconstructions=None,
    ):
        self.spikes = spikes
        self.n_units = n_units
        self.n_rows = n_rows
        self.presentation_time = presentation_time
        self.n_trials = n_trials
        self.order = order
        self.stimuli = stimuli
        self.reconstructions = reconstructions

    def plot(self, ax=None, *, cmap=None):
        """Draw the raster.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        cmap : str or matplotlib Colormap, default=None
            Colours of the units, from bottom to top. None: all have the colour of text, or, if
            `order` is given, hues from blue to purple.

        Returns
        -------
        display : RasterDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = make_axes(ax, type(self).__name__)
        order = np.arange(self.n_units) if self.order is None else np.asarray(self.order)
        n_lines = len(order)
        places = np.full(self.n_units, -1)
        places[order] = np.arange(n_lines)
        spikes = self.spikes[places[self.spikes["unit"]] >= 0]
        place = places[spikes["unit"]]
        height = 0.8 / self.n_trials
        bottom = place - 0.4
        if self.n_trials > 1:
            bottom = bottom + height * (self.n_trials - 1 - spikes["trial"])  # first one on top
        time = spikes["row"] * self.presentation_time + spikes["time"]
        onsets = np.arange(self.n_rows + 1) * self.presentation_time
        ax.vlines(onsets[1:-1], -0.5, n_lines - 0.5, **SEPARATOR)
        colours = text_colour()
        if cmap is not None or self.order is not None:
            colours = _sample_colours(_HUES if cmap is None else cmap, n_lines)[place]
        # caps keep the spikes of many units visible
        capstyle = "projecting" if n_lines > _MAX_NUMBERED else "butt"
        self.lines_ = ax.vlines(
            time, bottom, bottom + height, color=colours, linewidth=1.0, capstyle=capstyle
        )
        ax.set(
            xlim=(0.0, onsets[-1]),
            ylim=(-0.5, max(n_lines, 1) - 0.5),
            xlabel="time (ms)",
            ylabel="unit",
        )
        if self.order is None:
            ax.yaxis.get_major_locator().set_params(integer=True)
        elif n_lines <= _MAX_NUMBERED:
            numbered = np.arange(0, n_lines, 1 if n_lines <= _MAX_NUMBERED // 2 else 2)
            ax.set_yticks(numbered, order[numbered])
        else:
            ax.set(yticks=[], ylabel=f"{n_lines} of {self.n_units} units")
        self.ax_, self.figure_ = ax, ax.figure
        self.stimulus_ims_ = self._draw_images(self.stimuli, is_above=True)
        self.reconstruction_ims_ = self._draw_images(self.reconstructions, is_above=False)
        return self

    def _draw_images(self, images, *, is_above):
        """Draw images above or below the spikes of their rows, all in the colours of stimuli."""
        if images is None:
            return []
        from matplotlib import rcParams
        from matplotlib.transforms import ScaledTranslation, blended_transform_factory

        ax, artists = self.ax_, []
        # images are as wide as the presentations of their rows, unless they get too high
        _, available = ax.figure.dpi_scale_trans.inverted().transform(ax.bbox.size)
        height, line = _MAX_IMAGE_HEIGHT * available, rcParams["font.size"] / 72.0
        edge, bottom = (1.0, _ABOVE * line) if is_above else (0.0, -_BELOW * line - height)
        inches_from_edge = ax.figure.dpi_scale_trans + ScaledTranslation(0.0, edge, ax.transAxes)
        transform = blended_transform_factory(ax.transData, inches_from_edge)
        margin = 0.03 * self.presentation_time
        width, signed = self.presentation_time - 2.0 * margin, np.min(self.stimuli) < 0.0
        for row, (image, stimulus) in enumerate(zip(images, self.stimuli, strict=True)):
            left = row * self.presentation_time + margin
            inset = ax.inset_axes([left, bottom, width, height], transform=transform)
            inset.set_anchor("S" if is_above else "N")
            artists.append(draw_image(inset, image, np.abs(stimulus).max(), signed=signed))
        return artists

    @classmethod
    def from_recording(
        cls,
        recording,
        *,
        rows=None,
        trials=None,
        order=None,
        image_shape=None,
        on_off=False,
        ax=None,
        cmap=None,
    ):
        """Draw the spikes of a recording.

        Units are sorted by the row for which they fire most, and then by their first spike in it.
        Those without a spike are left out.

        Parameters
        ----------
        recording : Recording
            From :meth:`skdendbal.DendriticBalanceCoder.record`.
        rows : array-like of int, default=None
            Rows to draw, in this order. None: all.
        trials : array-like of int, default=None
            Trials to draw, in this order. None: all.
        order : array-like of int, default=None
            Numbers of the units to draw, from bottom to top. None: those that spike, sorted
            as above.
        image_shape : tuple of (int, int), default=None
            Height and width of a row as an image in pixels. With it, the images are shown above
            the spikes, and below them what the network reads from the spikes: the mean over
            trials of the codes times its decoder. None: no images.
        on_off : bool, default=False
            Whether features are ON channels and then OFF channels, of which to show the
            differences.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        cmap : str or matplotlib Colormap, default=None
            Colours of the units, as in :meth:`plot`.

        Returns
        -------
        display : RasterDisplay
            Display with the raster drawn.

        Raises
        ------
        IndexError
            If there is no such row or trial, or none is chosen.
        ValueError
            If the features do not fill `image_shape`.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import RasterDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> recording = coder.record(X[:5], random_state=0)
        >>> display = RasterDisplay.from_recording(recording, image_shape=(8, 8))
        >>> len(display.stimulus_ims_), len(display.reconstruction_ims_)
        (5, 5)
        """
        spikes = recording.spikes
        spikes, rows = _choose_spikes(spikes, "row", rows, recording.n_rows)
        spikes, trials = _choose_spikes(spikes, "trial", trials, recording.n_trials)
        if order is None:
            order = _sort_units(spikes, recording.n_units)
        stimuli = reconstructions = None
        if image_shape is not None:
            end = np.array([recording.duration])
            read_outs = [
                np.mean([read_out(recording, row, trial, end)[0] for trial in trials], axis=0)
                for row in rows
            ]
            stimuli = as_images(recording.X[rows] * recording.scale, image_shape, on_off)
            reconstructions = as_images(read_outs, image_shape, on_off)
        display = cls(
            spikes,
            recording.n_units,
            len(rows),
            recording.duration,
            len(trials),
            order=order,
            stimuli=stimuli,
            reconstructions=reconstructions,
        )
        return display.plot(ax, cmap=cmap)

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
        display = cls(recording.spikes, recording.n_units, recording.n_rows, recording.duration)
        return display.plot(ax)


def _choose_spikes(spikes, field, numbers, n):
    """Return the spikes of some rows or trials, which they number anew, and these numbers."""
    if numbers is None:
        return spikes, np.arange(n)
    numbers = choose(f"{field}s", numbers, n)
    chosen = [spikes[spikes[field] == number] for number in numbers]  # copies
    for new, each in enumerate(chosen):
        each[field] = new
    return np.concatenate(chosen), numbers


def _sort_units(spikes, n_units):
    """Return the units that spike, sorted by preferred row and first spike in it."""
    counts = np.zeros((n_units, spikes["row"].max(initial=0) + 1), dtype=int)
    np.add.at(counts, (spikes["unit"], spikes["row"]), 1)
    preferred = counts.argmax(axis=1)
    first = np.full(n_units, np.inf)
    in_preferred = spikes[preferred[spikes["unit"]] == spikes["row"]]
    np.minimum.at(first, in_preferred["unit"], in_preferred["time"])
    order = np.lexsort((first, preferred))
    return order[counts[order].any(axis=1)]


def _sample_colours(cmap, n):
    """Return colours from a colour map, or from one that runs through a list of colours."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    is_list = isinstance(cmap, list)
    cmap = LinearSegmentedColormap.from_list("", cmap) if is_list else colormaps.get_cmap(cmap)
    return cmap(np.linspace(0.0, 1.0, n))
