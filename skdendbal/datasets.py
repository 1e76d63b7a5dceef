"""Synthetic bars and natural-image patches for representation learning."""

from numbers import Integral, Real

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dctn, idctn
from sklearn.datasets import load_sample_images
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

__all__ = ["make_bars", "make_patches"]


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "side": [Interval(Integral, 1, None, closed="left")],
        "correlation": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_bars(n_samples=1000, side=8, correlation=0.5, *, random_state=None):
    """Generate images of two bars whose co-occurrence can be correlated.

    With probability `correlation` an image holds the horizontal and the vertical bar of one
    common index, drawn uniformly. Otherwise the orientation and the index of each of its two
    bars are drawn independently and uniformly, so that the two may be parallel or coincide.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of images.
    side : int, default=8
        Height and width of an image, in pixels. There are ``2 * side`` different bars.
    correlation : float, default=0.5
        Probability, in [0, 1], that the two bars of an image share their index.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same images at each call.

    Returns
    -------
    X : ndarray of shape (n_samples, side * side)
        Flattened images (row by row, float64): 1 where there is a bar, 0 elsewhere.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    make_patches : Patches of natural images.

    Notes
    -----
    The expected mean of an image is ``2 / side - 1 / side**2`` for any `correlation`. The two
    bars of a given index meet in one image with probability
    ``correlation / side + (1 - correlation) / (2 * side**2)``.

    References
    ----------
    .. [1] F. A. Mikulasch, L. Rudelt and V. Priesemann, "Local dendritic balance enables
       learning of efficient representations in networks of spiking neurons", Proceedings of
       the National Academy of Sciences 118(50), e2021925118, 2021.

    Examples
    --------
    >>> from skdendbal.datasets import make_bars
    >>> X = make_bars(n_samples=3, side=4, correlation=1, random_state=0)
    >>> X.shape
    (3, 16)
    >>> X[0].reshape(4, 4)
    array([[1., 1., 1., 1.],
           [1., 0., 0., 0.],
           [1., 0., 0., 0.],
           [1., 0., 0., 0.]])
    """
    rng = check_random_state(random_state)
    # All bars as flattened images: the horizontal ones, then the vertical ones.
    bars = np.vstack([np.repeat(np.eye(side), side, axis=1), np.tile(np.eye(side), side)])
    first, second = rng.randint(2 * side, size=(2, n_samples))
    crossed = rng.random_sample(n_samples) < correlation
    second = np.where(crossed, (first + side) % (2 * side), second)
    return np.maximum(bars[first], bars[second])


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "side": [Interval(Integral, 1, None, closed="left")],
        "images": ["array-like", None],
        "whiten": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_patches(n_samples=10_000, side=8, images=None, *, whiten=True, random_state=None):
    """Draw patches at random positions of natural images.

    The image of each patch and the position in it are drawn uniformly, with replacement.

    Parameters
    ----------
    n_samples : int, default=10000
        Number of patches.
    side : int, default=8
        Height and width of a patch, in pixels.
    images : array-like of shape (n_images, height, width) or sequence of arrays, default=None
        Images of shape (height, width), or (height, width, 3) if they are in colour; colours are
        averaged to grey. Sizes may differ. None uses the two photographs of
        :func:`sklearn.datasets.load_sample_images`.
    whiten : bool, default=True
        Whether to flatten the amplitude spectrum of each image and scale it to zero mean
        and unit variance (see Notes). Use False for images that are whitened already.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same patches at each call.

    Returns
    -------
    X : ndarray of shape (n_samples, side * side)
        Flattened patches (row by row, float64): signed, in standard deviations of the
        whitened image, or in the units of `images` if `whiten` is False.

    Raises
    ------
    ValueError
        If a parameter is out of its range, `images` is empty, or an image is not a finite
        array of the shapes above, is smaller than a patch, or is constant but to be whitened.
    ImportError
        If `images` is None and Pillow is not installed.

    See Also
    --------
    make_bars : Images of two bars.
    skdendbal.preprocessing.OnOffSplitter : Turn signed patches into non-negative channels.

    Notes
    -----
    The whitening filter [1]_ has amplitude ``f * exp(-(f / 0.4)**4)`` at spatial frequency
    `f` in cycles/pixel: it undoes the ``1/f`` spectrum of natural scenes and suppresses the
    noise near the highest frequencies. It is applied to the cosine transform, that is, to
    the image continued by its mirror images. There is no jump at the borders that could cause
    ringing, so patches are drawn right up to them.

    References
    ----------
    .. [1] B. A. Olshausen and D. J. Field, "Sparse coding with an overcomplete basis set: a
       strategy employed by V1?", Vision Research 37(23), 3311-3325, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from skdendbal.datasets import make_patches
    >>> image = np.arange(20.0).reshape(4, 5)
    >>> make_patches(2, side=2, images=[image], whiten=False, random_state=0)
    array([[ 0.,  1.,  5.,  6.],
           [ 8.,  9., 13., 14.]])
    """
    rng = check_random_state(random_state)
    images = _sample_images() if images is None else images
    images = [_prepare(image, f"images[{k}]", side, whiten) for k, image in enumerate(images)]
    if not images:
        raise ValueError("images is empty: give at least one image, or None for the default.")
    source = rng.randint(len(images), size=n_samples)
    X = np.empty((n_samples, side * side))
    for k, image in enumerate(images):
        windows = sliding_window_view(image, (side, side))
        here = source == k
        rows, columns = (rng.randint(n, size=here.sum()) for n in windows.shape[:2])
        X[here] = windows[rows, columns].reshape(-1, side * side)
    return X


def _sample_images():
    try:
        return load_sample_images().images
    except ImportError as error:
        raise ImportError(
            "images=None needs Pillow: pip install skdendbal[examples], or pass images."
        ) from error


def _prepare(image, name, side, whiten):
    """Check an image and return it grey, as float64, and whitened if asked."""
    # Images that are too small are left to the check below, which names the size of a patch.
    image = check_array(
        image,
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_min_samples=0,
        input_name=name,
    )
    if image.ndim == 3 and image.shape[2] == 3:
        image = image.mean(axis=2)
    if image.ndim != 2:
        raise ValueError(
            f"{name} has shape {image.shape}, expected (height, width) or (height, width, 3); "
            "pass a single image as images=[image]."
        )
    if min(image.shape) < side:
        raise ValueError(
            f"{name} of shape {image.shape} is smaller than a patch of side={side}; "
            "use a larger image or a smaller side."
        )
    if not whiten:
        return image
    if np.ptp(image) == 0:
        raise ValueError(f"{name} is constant and cannot be whitened; use whiten=False.")
    # Component k of a cosine transform of length n has k / (2 n) cycles/pixel.
    f = np.hypot(*np.ix_(*(np.arange(n) / (2 * n) for n in image.shape)))
    image = idctn(dctn(image) * f * np.exp(-((f / 0.4) ** 4)))
    return image / image.std()  # the filter has removed the mean
