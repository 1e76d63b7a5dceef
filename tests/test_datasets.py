import sys
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest, chisquare, norm

from skdendbal.datasets import make_bars, make_patches

# Seeds are fixed, so these tests pass or fail for good: a correct implementation had a chance
# of at most ALPHA, shared by the comparisons of one test, of drawing a failing seed.
ALPHA = 1e-3


def assert_binomial(counts, n, p):
    """Assert that each count may be a draw from a binomial(n, p)."""
    pvalues = [binomtest(int(count), n, p).pvalue for count in np.ravel(counts)]
    assert min(pvalues) > ALPHA / len(pvalues)


def find_bars(X, side):
    """Return which rows and which columns of each image are full."""
    images = X.reshape(-1, side, side) == 1
    return images.all(axis=2), images.all(axis=1)


@pytest.mark.parametrize("correlation", [0, 0.5, 1])
def test_bars_statistics(correlation):
    n, side = 20_000, 6
    X = make_bars(n, side, correlation, random_state=0)
    rows, columns = find_bars(X, side)
    # A pixel is lit by the bar of its row or of its column; on the diagonal these are one pair.
    independent = 2 / side - 1 / side**2
    diagonal = np.eye(side, dtype=bool).ravel()
    for where, correlated in ((diagonal, 1 / side), (~diagonal, 2 / side)):
        p = correlation * correlated + (1 - correlation) * independent
        assert_binomial(X.sum(axis=0)[where], n, p)
    # The mean over the image does not depend on the correlation.
    means = X.mean(axis=1)
    error = norm.isf(ALPHA / 2) * means.std() / n**0.5
    assert_allclose(means.mean(), independent, rtol=1e-12, atol=error)
    meet = correlation / side + (1 - correlation) / (2 * side**2)
    assert_binomial((rows & columns).sum(axis=0), n, meet)
    # Two bars coincide only when drawn independently.
    alone = rows.sum(axis=1) + columns.sum(axis=1) == 1
    assert_binomial(alone.sum(), n, (1 - correlation) / (2 * side))
    # Of two bars with different indices, row 0 and column 1 must be drawn independently.
    assert_binomial((rows[:, 0] & columns[:, 1]).sum(), n, (1 - correlation) / (2 * side**2))


@pytest.mark.parametrize("correlation", [0, 0.3, 1])
@pytest.mark.parametrize("side", [3, 8])
def test_bars_are_unions_of_two_bars(side, correlation):
    X = make_bars(500, side, correlation, random_state=1)
    assert X.dtype == np.float64
    assert X.shape == (500, side**2)
    rows, columns = find_bars(X, side)
    assert set(rows.sum(axis=1) + columns.sum(axis=1)) <= {1, 2}
    assert_array_equal(X.reshape(-1, side, side), rows[:, :, None] | columns[:, None, :])


def test_correlated_bars_share_their_index():
    rows, columns = find_bars(make_bars(300, 5, 1, random_state=2), 5)
    assert_array_equal(rows, columns)
    assert_array_equal(rows.sum(axis=1), 1)
    assert rows.any(axis=0).all()


@pytest.mark.parametrize("correlation", [0, 1])
def test_bars_smallest(correlation):
    assert_array_equal(make_bars(1, 1, correlation), [[1]])
    assert make_bars(1, 4, correlation).sum() in (4, 7, 8)


def test_bars_defaults():
    assert make_bars().shape == (1000, 64)
    assert_array_equal(make_bars(random_state=0), make_bars(1000, 8, 0.5, random_state=0))


@pytest.mark.parametrize(
    "make", [make_bars, partial(make_patches, images=[np.eye(20)])], ids=["bars", "patches"]
)
def test_random_state(make):
    X = make(50, random_state=3)
    assert_array_equal(X, make(50, random_state=3))
    rng = np.random.RandomState(3)
    assert_array_equal(X, make(50, random_state=rng))
    assert (X != make(50, random_state=rng)).any()
    assert (X != make(50, random_state=4)).any()


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (make_bars, {"n_samples": 0}),
        (make_bars, {"n_samples": 2.0}),
        (make_bars, {"side": 0}),
        (make_bars, {"correlation": -0.1}),
        (make_bars, {"correlation": 1.1}),
        (make_bars, {"correlation": np.nan}),
        (make_bars, {"random_state": "a"}),
        (make_patches, {"n_samples": 0}),
        (make_patches, {"side": 0}),
        (make_patches, {"images": 3}),
        (make_patches, {"whiten": "yes"}),
        (make_patches, {"random_state": "a"}),
    ],
)
def test_invalid_parameters(make, parameters):
    (name,) = parameters
    message = f"The '{name}' parameter of {make.__name__} must be"
    with pytest.raises(ValueError, match=message):
        make(**parameters)


def test_patches_are_windows_of_the_images():
    # Each pixel value occurs once, so that the first pixel of a patch gives its place.
    small, large = np.arange(20).reshape(4, 5), np.arange(100, 156).reshape(7, 8)
    places = [
        image[i : i + 3, j : j + 3].ravel()
        for image in (small, large)
        for i in range(image.shape[0] - 2)
        for j in range(image.shape[1] - 2)
    ]
    X = make_patches(5000, 3, [small, large], whiten=False, random_state=0)
    assert X.dtype == np.float64
    assert X.shape == (5000, 9)
    found, counts = np.unique(X, axis=0, return_counts=True)
    assert_array_equal(found, places)
    # 6 places in the one image, 30 in the other; images, then places, are drawn uniformly.
    expected = np.repeat([2500 / 6, 2500 / 30], [6, 30])
    assert chisquare(counts, expected).pvalue > ALPHA


def test_patches_of_the_size_of_the_image():
    image = np.arange(9.0).reshape(3, 3)
    X = make_patches(2, 3, [image], whiten=False)
    assert_array_equal(X, [image.ravel()] * 2)
    assert_array_equal(make_patches(1, 1, [[[7]]], whiten=False), [[7]])


@pytest.mark.parametrize("whiten", [False, True])
def test_patches_kinds_of_images(whiten):
    images = np.random.RandomState(0).randint(256, size=(3, 12, 14, 3)).astype(np.uint8)
    images.flags.writeable = False
    grey = images.mean(axis=3)
    X = make_patches(30, 4, images, whiten=whiten, random_state=0)
    for same in (list(images), grey, [grey[0], images[1], grey[2].tolist()]):
        assert_allclose(X, make_patches(30, 4, same, whiten=whiten, random_state=0))


def test_patches_default_images():
    X = make_patches(random_state=0)
    assert X.shape == (10_000, 64)
    assert np.isfinite(X).all()
    assert abs(X.mean()) < 0.05
    assert abs(X.std() - 1) < 0.1
    raw = make_patches(100, whiten=False, random_state=0)
    assert raw.min() >= 0
    assert 1 < raw.max() <= 255


def whole(image, **parameters):
    """Return a square image, whitened, by drawing it as its only possible patch."""
    side = len(image)
    return make_patches(1, side, [image], **parameters).reshape(side, side)


def test_whitening_filter_gain():
    # Cosines with extrema at the borders keep their shape; their ratio shows the filter.
    n = 40
    low, high = 3, 20

    def wave(k):
        return np.cos(np.pi * k * (np.arange(n) + 0.5) / n)

    def amplitude(f):
        return f * np.exp(-((f / 0.4) ** 4))

    waves = np.stack([np.outer(wave(low), np.ones(n)), np.outer(wave(high), wave(high))])
    expected = amplitude(low / n / 2) * waves[0] + amplitude(2**0.5 * high / n / 2) * waves[1]
    assert_allclose(whole(5 + waves.sum(axis=0)), expected / expected.std(), atol=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_whitened_image_is_standardised(scale):
    image = scale * (3 + np.random.RandomState(0).random_sample((32, 32)))
    white = whole(image)
    assert_allclose([white.mean(), white.std()], [0, 1], atol=1e-12)
    assert_allclose(white, whole(image / scale), atol=1e-9)


def test_whitening_flattens_the_spectrum():
    side = 32
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    low, mid = (0.04 <= f) & (f < 0.08), (0.2 <= f) & (f < 0.25)
    window = np.outer(np.hanning(side), np.hanning(side))

    def low_to_mid_power(whiten):
        X = make_patches(2000, side, whiten=whiten, random_state=0)
        X = (X - X.mean(axis=1, keepdims=True)).reshape(-1, side, side)
        power = (np.abs(np.fft.fft2(X * window)) ** 2).mean(axis=0)
        return power[low].mean() / power[mid].mean()

    assert low_to_mid_power(whiten=False) > 20
    assert 1 / 3 < low_to_mid_power(whiten=True) < 3


def test_whitening_does_not_ring_at_borders():
    # A cut-out of a 1/f texture: its opposite borders differ, as those of a photograph do.
    # With a periodic filter, the variance there is 1.2 to 2.1 times as large.
    n = 512
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n)))
    f[0, 0] = np.inf
    border = np.ones((128, 128), dtype=bool)
    border[2:-2, 2:-2] = False
    ratios = []
    for seed in range(5):
        noise = np.random.RandomState(seed).standard_normal((n, n))
        white = whole(np.fft.ifft2(np.fft.fft2(noise) / f).real[:128, :128])
        ratios.append(white[border].var() / white[~border].var())
    assert_allclose(np.mean(ratios), 1, atol=0.1)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "images is empty"),
        ([np.eye(9), np.eye(7)], r"images\[1\] of shape \(7, 7\) is smaller .* side=8"),
        ([np.ones((20, 7))], r"images\[0\] of shape \(20, 7\) is smaller"),
        ([np.ones((0, 20))], r"images\[0\] of shape \(0, 20\) is smaller"),
        (np.eye(9), r"images\[0\] has shape \(9,\).*images=\[image\]"),
        ([3.0], r"images\[0\] has shape \(\)"),
        ([np.ones((9, 9, 4))], r"images\[0\] has shape \(9, 9, 4\)"),
        ([np.ones((9, 9, 9, 3))], r"images\[0\] has shape \(9, 9, 9, 3\)"),
        ([np.full((9, 9), np.nan)], r"images\[0\] contains NaN"),
        ([np.full((9, 9), np.inf)], r"images\[0\] contains infinity"),
        ([np.eye(9), np.full((9, 9), 0.1)], r"images\[1\] is constant.*whiten=False"),
    ],
)
def test_patches_invalid_images(images, message):
    with pytest.raises(ValueError, match=message):
        make_patches(10, images=images)


def test_patches_of_constant_image():
    assert_array_equal(make_patches(2, 2, [np.full((4, 4), 0.1)], whiten=False), 0.1)


def test_patches_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install skdendbal\[examples\]"):
        make_patches(1)
    assert make_patches(1, 2, [np.eye(4)]).shape == (1, 4)
