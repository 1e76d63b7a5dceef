"""What all displays share: axes, colours and images."""

import math

import numpy as np
from sklearn.utils import check_array

from ..rules import RULES

# Colours of Okabe and Ito, which can be told apart in all forms of colour blindness.
RULE_COLOURS = {
    "dendritic": "#0072B2",  # blue
    "dendritic-decay": "#56B4E9",  # sky blue
    "dendritic-slow": "#009E73",  # green
    "dendritic-simultaneous": "#CC79A7",  # purple
    "somatic": "#D55E00",  # vermilion
    "somatic-unwhitened": "#E69F00",  # orange
}
SEPARATOR = {"color": "0.6", "linewidth": 1.0}


def rule_colour(rule):
    """Return the colour of a learning rule, which is the same in all pictures.

    Parameters
    ----------
    rule : str or Rule
        Learning rule, by name or as an object of :mod:`skdendbal.rules`.

    Returns
    -------
    colour : str
        Its colour in `RULE_COLOURS`. For a rule of one's own, that of the rule it derives from, or
        "0.5", a grey, if there is none.

    Raises
    ------
    KeyError
        If there is no rule of that name.

    Examples
    --------
    >>> from skdendbal.display import rule_colour
    >>> from skdendbal.rules import Somatic
    >>> rule_colour("somatic") == rule_colour(Somatic(decoder_rate=1e-3))
    True
    """
    if isinstance(rule, str):
        return RULE_COLOURS[rule]
    names = {cls: name for name, cls in RULES.items()}
    known = (RULE_COLOURS[names[cls]] for cls in type(rule).__mro__ if cls in names)
    return next(known, "0.5")


def make_axes(ax, caller, *, shape=(1, 1), size=None):
    """Return the axes to draw on: `ax`, or those of a new figure of some size if it is None.

    Sizes are functions of the width of figures in the style.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib: pip install skdendbal[examples]."
        ) from error
    if ax is None:
        width = plt.rcParams["figure.figsize"][0]
        figsize = None if size is None else (width, size(width))
        return plt.subplots(*shape, figsize=figsize, layout="constrained")[1]
    given = np.asarray(ax, dtype=object)
    if given.size != math.prod(shape):
        raise ValueError(
            f"{caller} draws on {math.prod(shape)} axes, and ax holds {given.size}: pass one for "
            "each panel, or None."
        )
    return ax if shape == (1, 1) else given.reshape(shape)


def text_colour():
    """Return the colour of text in the style, which stands out from the background."""
    from matplotlib import rcParams

    return rcParams["text.color"]


def is_dark(ax):
    """Tell whether axes have a dark background."""
    return np.dot(ax.get_facecolor()[:3], (0.299, 0.587, 0.114)) < 0.5


def image_colours(ax, *, signed):
    """Return colours of images in which zero vanishes in the background."""
    if not is_dark(ax):
        return "RdBu_r" if signed else "gray_r"
    if not signed:
        return "gray"
    from matplotlib.colors import LinearSegmentedColormap

    colours = ["#92C5DE", "#2166AC", "black", "#B2182B", "#F4A582"]
    return LinearSegmentedColormap.from_list("RdBu_r_dark", colours)


def as_images(values, image_shape, on_off=False, *, name="components"):
    """Return rows as images, of shape (n_rows, height, width)."""
    values = check_array(values, dtype=np.float64, input_name=name)
    what = f"{name.capitalize()} of {values.shape[1]} features"
    if on_off:
        if values.shape[1] % 2 != 0:
            raise ValueError(
                f"{what} cannot have an ON and an OFF channel each: pass on_off=False."
            )
        on, off = np.hsplit(values, 2)
        values, what = on - off, f"{what}, {values.shape[1] // 2} of them ON channels,"
    n_rows, n_features = values.shape
    square = (math.isqrt(n_features),) * 2
    height, width = square if image_shape is None else image_shape
    if height * width != n_features or height < 1:
        raise ValueError(
            f"{what} cannot be images of image_shape={image_shape} (None: square): pass "
            f"image_shape=(height, width) with height * width = {n_features}."
        )
    return values.reshape(n_rows, height, width)


def choose(name, numbers, n):
    """Return the numbers of some rows or trials out of n that were recorded; None means all."""
    numbers = np.arange(n) if numbers is None else np.asarray(numbers)
    is_some = numbers.size > 0 and numbers.dtype.kind in "iu"
    if not is_some or not np.isin(numbers, np.arange(n)).all():
        raise IndexError(
            f"{name}={numbers.tolist()} must be one or more numbers of {name} that were recorded, "
            f"from 0 to {n - 1}."
        )
    return numbers


def legend_above(ax):
    """Name the curves in one line above the axes; return the height of the line in points."""
    legend = ax.legend(
        frameon=False,
        ncols=len(ax.get_legend_handles_labels()[0]),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.0,
        borderpad=0.2,
        handletextpad=0.5,
        handlelength=1.3,
        columnspacing=0.8,
        fontsize="small",
    )
    return 1.5 * legend.get_texts()[0].get_fontsize()


def hide_ticks(ax):
    """Leave only a thin frame around images."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(**SEPARATOR)


def draw_image(ax, image, largest, *, signed):
    """Draw an image from zero, or minus `largest`, to `largest`."""
    im = ax.imshow(
        image,
        cmap=image_colours(ax, signed=signed),
        vmin=-largest if signed else 0.0,
        vmax=largest,
        interpolation="nearest",
    )
    hide_ticks(ax)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_visible(False)  # they take longer to draw than the image
    return im
