"""What the displays draw."""

import copy
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from skdendbal import DendriticBalanceCoder
from skdendbal.display import BalanceDisplay, DictionaryDisplay, RasterDisplay
from skdendbal.network import SPIKE

matplotlib.use("Agg")
DIGITS = load_digits().data / 16
SPIKES = np.array([(0, 0, 10.0, 4), (0, 1, 10.0, 3), (2, 0, 99.5, 0)], dtype=SPIKE)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def coder():
    return DendriticBalanceCoder(n_components=10, max_iter=2, random_state=0).fit(DIGITS)


def cell(display, k, columns, shape):
    """Image of component k in the mosaic."""
    (i, j), (height, width) = divmod(k, columns), shape
    mosaic = display.im_.get_array().filled(np.nan)
    return mosaic[i * height : (i + 1) * height, j * width : (j + 1) * width]


def test_dictionary_is_ordered_by_firing_rate_and_scaled(coder):
    display = DictionaryDisplay.from_estimator(coder)
    components = coder.components_[np.argsort(coder.firing_rates_)[::-1]]
    assert_array_equal(display.components, components)
    assert display.im_.get_array().shape == (3 * 8, 4 * 8)
    for k, component in enumerate(components):
        expected = component.reshape(8, 8) / np.abs(component).max()
        assert_array_equal(cell(display, k, 4, (8, 8)), expected)
    assert np.isnan(cell(display, 10, 4, (8, 8))).all()
    assert np.isnan(cell(display, 11, 4, (8, 8))).all()


@pytest.mark.parametrize(("sign", "limits"), [(1, (0, 1)), (-1, (-1, 1))])
def test_zero_is_white(sign, limits):
    components = np.array([[0.0, 2.0], [0.0, sign * 3.0], [0.0, 0.0]])
    image = DictionaryDisplay(components, (1, 2)).plot().im_
    assert image.get_clim() == limits
    assert_allclose(image.to_rgba(np.zeros((1, 1)))[0, 0, :3], 1, atol=0.04)
    colour = image.to_rgba(np.ones((1, 1)))[0, 0, :3]
    assert np.ptp(colour) == 0 if sign > 0 else colour[0] > colour[2]


def test_panels_have_the_same_colours_on_request():
    _, axes = plt.subplots(1, 2)
    panels = np.eye(4), np.diag([1.0, -1.0, 1.0, 1.0])
    one, other = (
        DictionaryDisplay(components).plot(ax, vmin=-1).im_
        for components, ax in zip(panels, axes, strict=True)
    )
    assert one.get_clim() == other.get_clim() == (-1.0, 1.0)
    assert one.get_cmap() == other.get_cmap() == plt.get_cmap("RdBu_r")
    image = DictionaryDisplay(panels[1]).plot(vmin=0, vmax=0.5, cmap="viridis").im_
    assert image.get_clim() == (0.0, 0.5)
    assert image.get_cmap() == plt.get_cmap("viridis")


def test_frames_have_the_same_order_on_request(coder):
    order = [3, 0, 7]
    display = DictionaryDisplay.from_estimator(coder, order=order, vmin=-1, vmax=2, cmap="PuOr")
    assert_array_equal(display.components, coder.components_[order])
    assert display.im_.get_clim() == (-1.0, 2.0)
    assert display.im_.get_cmap() == plt.get_cmap("PuOr")


@pytest.mark.parametrize(
    ("n", "image_shape", "mosaic"),
    [
        (1, (3, 2), (3, 2)),
        (5, (2, 2), (4, 6)),
        (12, (1, 1), (3, 4)),
        (50, (25, 1), (25, 50)),
        (50, (1, 25), (25, 50)),
        (5, np.array([2, 2]), (4, 6)),
    ],
)
def test_mosaic_of_any_images(n, image_shape, mosaic):
    components = np.arange(1.0, n * np.prod(image_shape) + 1).reshape(n, -1)
    display = DictionaryDisplay(components, image_shape=image_shape).plot()
    drawn = display.im_.get_array()
    assert drawn.shape == mosaic
    assert drawn.count() == components.size
    rows, columns = np.array(mosaic) // image_shape
    last = components[-1].reshape(image_shape) / components[-1].max()
    assert_array_equal(cell(display, n - 1, columns, image_shape), last)
    vertical, horizontal = (lines.get_segments() for lines in display.ax_.collections)
    assert [s[0, 0] for s in vertical] == [k * image_shape[1] - 0.5 for k in range(1, columns)]
    assert [s[0, 1] for s in horizontal] == [k * image_shape[0] - 0.5 for k in range(1, rows)]
    assert display.ax_.get_xlim() == (-0.5, mosaic[1] - 0.5)
    assert display.ax_.get_ylim() == (mosaic[0] - 0.5, -0.5)


@pytest.mark.parametrize("image_shape", [None, (3, 4), (-2, -5)])
def test_features_that_fill_no_image(image_shape):
    message = r"Components of 10 features .*pass image_shape=\(height, width\)"
    with pytest.raises(ValueError, match=message):
        DictionaryDisplay(np.ones((2, 10)), image_shape).plot()
    assert not plt.get_fignums()


def test_raster_draws_every_spike_where_it_belongs():
    display = RasterDisplay(SPIKES, n_units=6, n_rows=4, presentation_time=100.0).plot()
    segments = display.lines_.get_segments()
    assert_allclose([s.mean(axis=0) for s in segments], [[10, 4], [10, 3], [299.5, 0]])
    separators = [s[0, 0] for s in display.ax_.collections[0].get_segments()]
    assert separators == [100.0, 200.0, 300.0]
    assert display.ax_.get_xlim() == (0, 400)
    assert display.ax_.get_ylim() == (-0.5, 5.5)
    assert display.ax_.get_xlabel() == "time (ms)"
    assert display.ax_.get_ylabel() == "unit"


def test_raster_of_silence():
    display = RasterDisplay(SPIKES[:0], n_units=6, n_rows=1, presentation_time=100.0).plot()
    assert display.lines_.get_segments() == []
    assert display.ax_.get_xlim() == (0, 100)


def test_raster_from_estimator(coder):
    display = RasterDisplay.from_estimator(coder, DIGITS[:5], random_state=3)
    spikes = coder.simulate(DIGITS[:5], random_state=3)
    assert_array_equal(display.spikes, spikes)
    assert len(display.lines_.get_segments()) == len(spikes) > 50
    assert display.ax_.get_xlim() == (0, 500)
    assert display.ax_.get_ylim() == (-0.5, 9.5)


@pytest.mark.parametrize(
    "draw",
    [
        lambda coder, ax: DictionaryDisplay.from_estimator(coder, ax=ax),
        lambda coder, ax: RasterDisplay.from_estimator(coder, DIGITS[:2], ax=ax),
    ],
)
def test_axes_are_used_or_made(coder, draw):
    figure, axes = plt.subplots(1, 2)
    display = draw(coder, axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].has_data()
    assert plt.get_fignums() == [1]
    assert display.plot() is display
    assert plt.get_fignums() == [1, 2]
    assert display.figure_ is plt.figure(2)
    display.figure_.draw_without_rendering()


def test_not_fitted():
    with pytest.raises(NotFittedError):
        DictionaryDisplay.from_estimator(DendriticBalanceCoder())
    with pytest.raises(NotFittedError):
        RasterDisplay.from_estimator(DendriticBalanceCoder(), DIGITS[:2])


@pytest.mark.parametrize(
    "display", [DictionaryDisplay(np.eye(4)), RasterDisplay(SPIKES, 6, 4, 100.0)]
)
def test_without_matplotlib(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    message = rf"{type(display).__name__} needs matplotlib: pip install skdendbal\[examples\]"
    with pytest.raises(ImportError, match=message):
        display.plot()


def test_balance_of_a_soma_and_of_a_compartment(coder):
    recording = coder.record(DIGITS[:2], n_trials=2, random_state=0)
    feedforward, recurrent = recording.currents(1, 1)
    soma = BalanceDisplay.from_recording(recording, 2, row=1, trial=1)
    curves = [line.get_ydata() for line in soma.lines_]
    np.testing.assert_allclose(curves[0], feedforward[:, 2])
    np.testing.assert_allclose(curves[1], recurrent[:, 2])
    np.testing.assert_allclose(curves[2], recording.potentials(1, 1)[:, 2])
    assert len(soma.spike_times) == recording.rasters(1, 1)[:, 2].sum()
    one = BalanceDisplay.from_recording(recording, 2, compartment=5, row=1, trial=1)
    parts = [each[:, 5] for each in recording.dendritic_currents(2, 1, 1)]
    np.testing.assert_allclose(one.lines_[2].get_ydata(), sum(parts))
    soma.figure_.draw_without_rendering()


def test_a_raster_is_as_long_as_rows_are_coded(coder):
    other = copy.deepcopy(coder).set_params(transform_time=10.0)
    assert RasterDisplay.from_estimator(other, DIGITS[:3]).ax_.get_xlim() == (0.0, 30.0)
