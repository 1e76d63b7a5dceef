"""What a network knows of a row after a few milliseconds."""

import copy

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ._read_out import read_out
from ._style import as_images, choose, hide_ticks, image_colours, make_axes

_FIRST, _LAST = 2.0, 64.0  # ms between which times double, unless they are chosen


class AnyTimeDisplay:
    """Reconstructions of a few rows after a few milliseconds: a strip for each row.

    The first image of a strip is the row itself. All images of a strip have its colours, from zero
    to its largest absolute value; zero has the colour of the background.

    It is recommended to use :meth:`from_estimator`, which shows what `transform` codes in a given
    time, or :meth:`from_recording`, which shows the course of single presentations. All parameters
    are stored as attributes.

    Parameters
    ----------
    stimuli : array-like of shape (n_rows, n_features)
        Rows that were presented.
    reconstructions : array-like of shape (n_rows, n_times, n_features)
        What is read out at each time, in the units of `stimuli`.
    times : array-like of shape (n_times,)
        Times in ms.
    image_shape : tuple of (int, int), default=None
        Height and width of an image in pixels. None means square images.
    on_off : bool, default=False
        Whether features are ON channels and then OFF channels, of which to show the differences.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All strips.
    ax_ : matplotlib Axes
        Axes with the strips.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    RasterDisplay : The spikes that are read.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skdendbal.display import AnyTimeDisplay
    >>> ax = Figure().subplots()
    >>> row = np.array([[0.0, 2.0, 1.0, 0.0]])
    >>> course = np.array([[0.5 * row[0], row[0]]])
    >>> display = AnyTimeDisplay(row, course, times=[2, 4]).plot(ax)
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['input', '2 ms', '4 ms']
    """

    def __init__(self, stimuli, reconstructions, times, image_shape=None, *, on_off=False):
        self.stimuli = stimuli
        self.reconstructions = reconstructions
        self.times = times
        self.image_shape = image_shape
        self.on_off = on_off

    def plot(self, ax=None, *, cmap=None):
        """Draw the strips.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.
        cmap : str or matplotlib Colormap, default=None
            Colours. None: "gray_r" for rows that are not negative, and otherwise "RdBu_r"; in a
            dark style, their counterparts in which zero is black.

        Returns
        -------
        display : AnyTimeDisplay
            The display itself.

        Raises
        ------
        ValueError
            If rows are not finite, or their features do not fill `image_shape`.
        ImportError
            If matplotlib is not installed.
        """
        stimuli = as_images(self.stimuli, self.image_shape, self.on_off, name="rows")
        n_rows, height, width = stimuli.shape
        read_outs = np.reshape(self.reconstructions, (n_rows * len(self.times), -1))
        read_outs = as_images(read_outs, (height, width), self.on_off, name="reconstructions")
        read_outs = read_outs.reshape(n_rows, len(self.times), height, width)
        images = np.concatenate([stimuli[:, np.newaxis], read_outs], axis=1)
        largest = np.abs(stimuli).max(axis=(1, 2)).reshape(n_rows, 1, 1, 1)
        images = images / np.where(largest > 0.0, largest, 1.0)

        n_columns, gap = images.shape[1], max(1, round(0.1 * width))
        frame = (0, 0), (0, 0), (0, gap), (0, gap)  # nan is not drawn
        framed = np.pad(images, frame, constant_values=np.nan)
        strips = framed.swapaxes(1, 2).reshape(n_rows * (height + gap), n_columns * (width + gap))
        ax = make_axes(
            ax,
            type(self).__name__,
            size=lambda figure_width: figure_width * n_rows * height / n_columns / width + 0.3,
        )
        signed = stimuli.min() < 0.0
        self.im_ = ax.imshow(
            strips[:-gap, :-gap],
            cmap=image_colours(ax, signed=signed) if cmap is None else cmap,
            vmin=-1.0 if signed else 0.0,
            vmax=1.0,
            interpolation="nearest",
        )
        hide_ticks(ax)
        ax.spines[:].set_visible(False)
        middle = np.arange(n_columns) * (width + gap) + (width - 1) / 2.0
        ax.set_xticks(middle, ["input", *(f"{time:g} ms" for time in self.times)])
        ax.tick_params(top=False, bottom=False, labeltop=True, labelbottom=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls, estimator, X, *, times=(2.0, 4.0, 8.0, 16.0), image_shape=None, on_off=False, ax=None
    ):
        """Code rows in several times and draw their reconstructions.

        An image is what `inverse_transform` makes of the codes of `transform`, for every time as
        `transform_time`. These are presentations of their own, the shorter of which fade in
        faster.

        Parameters
        ----------
        estimator : DendriticBalanceCoder
            Fitted coder.
        X : array-like of shape (n_rows, n_features)
            Rows to present.
        times : array-like of float, default=(2.0, 4.0, 8.0, 16.0)
            Durations of the presentations in ms.
        image_shape : tuple of (int, int), default=None
            Height and width of an image in pixels. None means square images.
        on_off : bool, default=False
            Whether features are ON channels and then OFF channels, of which to show the
            differences.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : AnyTimeDisplay
            Display with the strips drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` is not finite or has another number of features than in `fit`, its features do
            not fill `image_shape`, or a time is shorter than a step.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import AnyTimeDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> display = AnyTimeDisplay.from_estimator(coder, X[:3], times=[2, 8])
        >>> display.reconstructions.shape
        (3, 2, 64)
        """
        check_is_fitted(estimator)
        coder = copy.copy(estimator)
        reconstructions = []
        for time in times:
            coder.set_params(transform_time=float(time), sparse_output=False)
            reconstructions.append(coder.inverse_transform(coder.transform(X)))
        stimuli = check_array(X, dtype=np.float64, input_name="X")
        display = cls(stimuli, np.stack(reconstructions, 1), times, image_shape, on_off=on_off)
        return display.plot(ax)

    @classmethod
    def from_recording(
        cls,
        recording,
        *,
        rows=None,
        trial=0,
        times=None,
        image_shape=None,
        on_off=False,
        ax=None,
    ):
        """Draw what the spikes of a presentation tell until several times.

        Codes are those of :meth:`skdendbal.recording.Recording.codes`, read by the decoder of the
        network. In a stream, where earlier spikes count, too, it reads the traces.

        Parameters
        ----------
        recording : Recording
            From :meth:`skdendbal.DendriticBalanceCoder.record`.
        rows : array-like of int, default=None
            Rows to draw, in this order. None: all.
        trial : int, default=0
            Which presentation of the rows.
        times : array-like of float, default=None
            Times in ms from the onset of a row. None: 2, 4, 8, ... up to 64, as far as rows were
            presented.
        image_shape : tuple of (int, int), default=None
            Height and width of an image in pixels. None means square images.
        on_off : bool, default=False
            Whether features are ON channels and then OFF channels, of which to show the
            differences.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : AnyTimeDisplay
            Display with the strips drawn.

        Raises
        ------
        IndexError
            If there is no such row or trial.
        ValueError
            If the features do not fill `image_shape`, or a time is longer than the presentation.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import AnyTimeDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> recording = coder.record(X[:3], random_state=0)
        >>> AnyTimeDisplay.from_recording(recording).times.tolist()
        [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
        """
        rows = choose("rows", rows, recording.n_rows)
        if times is None:
            last = min(recording.duration, _LAST)
            n_doublings = int(np.log2(max(last / _FIRST, 1.0)))
            times = np.minimum(_FIRST * 2.0 ** np.arange(n_doublings + 1), last)
        times = np.asarray(times, dtype=np.float64)
        stimuli = recording.X[rows] * recording.scale
        reconstructions = np.array([read_out(recording, row, trial, times) for row in rows])
        return cls(stimuli, reconstructions, times, image_shape, on_off=on_off).plot(ax)
