"""What the displays draw."""

import copy
import sys
from itertools import combinations, pairwise
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from coders import DIGITS
from matplotlib import pyplot as plt
from matplotlib.animation import AbstractMovieWriter
from matplotlib.colors import to_rgb, to_rgba
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.exceptions import NotFittedError

from skdendbal import DendriticBalanceCoder
from skdendbal.display import (
    RULE_COLOURS,
    AnyTimeDisplay,
    BalanceDisplay,
    DictionaryDisplay,
    DictionaryHistoryDisplay,
    FiringRateDisplay,
    InterspikeIntervalDisplay,
    LearningDisplay,
    RasterDisplay,
    rule_colour,
)
from skdendbal.monitoring import LearningMonitor
from skdendbal.network import SPIKE
from skdendbal.preprocessing import OnOffSplitter
from skdendbal.recording import Recording
from skdendbal.rules import RULES, Rule, Somatic

matplotlib.use("Agg")
SPIKES = np.array([(0, 0, 10.0, 4), (0, 1, 10.0, 3), (2, 0, 99.5, 0)], dtype=SPIKE)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def coder():
    return DendriticBalanceCoder(n_components=10, max_iter=2, random_state=0).fit(DIGITS)


@pytest.fixture(scope="module")
def recording(coder):
    return coder.record(DIGITS[[0, 1, 2]], n_trials=2, random_state=0)


@pytest.fixture(scope="module")
def stream(coder):
    return coder.record(DIGITS[:20], continuous=True, random_state=0)


@pytest.fixture(scope="module")
def monitor():
    """Stands in for a LearningMonitor."""
    rng = np.random.default_rng(0)
    n_presentations = np.array([64, 256, 1024, 4096])
    return SimpleNamespace(
        n_presentations_=n_presentations,
        losses_=1.0 / n_presentations,
        noise_levels_=np.array([0.3, 0.2, 0.1, 0.05]),
        firing_rates_=np.array([[1.0, 2.0, 3.0]] * 3 + [[20.0, 30.0, 10.0]]),
        n_silent_units_=np.zeros(4, dtype=int),
        explained_variances_=np.array([np.nan, 0.4, np.nan, 0.8]),
        snapshots_at_=np.array([64, 128, 512, 1024, 4096]),
        dictionaries_=rng.standard_normal((5, 3, 8)),
        balance_correlations_=np.array([0.1, 0.2, 0.5, 0.7, 0.9]),
    )


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


# Colours
# -------
def luminance(colour):
    """Relative luminance of a colour, as guidelines for accessible content define it."""
    return linear(colour) @ (0.2126, 0.7152, 0.0722)


def linear(colour):
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


# What an eye without one kind of cone makes of linear RGB (Machado et al. 2009).
EYES = {
    "all cones": np.eye(3),
    "no L cones": [[0.1523, 1.0526, -0.205], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.052]],
    "no M cones": [[0.3673, 0.8606, -0.228], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "no S cones": [[1.2555, -0.0767, -0.179], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.304]],
}


def cie_lab(rgb):
    """Coordinates of linear RGB in which distances of about 2 are just noticeable."""
    to_xyz = [[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]]
    xyz = to_xyz @ np.clip(rgb, 0.0, 1.0) / (0.9505, 1.0, 1.0888)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", EYES)
def test_colours_can_be_told_apart(eye, recording):
    currents = [line.get_color() for line in BalanceDisplay.from_recording(recording, 0).lines_]
    for colours in (RULE_COLOURS.values(), currents):
        seen = [cie_lab(EYES[eye] @ linear(colour)) for colour in colours]
        assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 10


def test_every_rule_has_a_colour_that_shows_on_white_and_black():
    assert RULE_COLOURS.keys() == RULES.keys()
    for colour in RULE_COLOURS.values():
        assert min(contrast(colour, "white"), contrast(colour, "black")) > 2


def test_colour_of_a_rule():
    class Own(Somatic):
        pass

    class Other(Rule):
        def update(self, weights, batch, dt):
            pass

    for name, rule in RULES.items():
        assert rule_colour(name) == rule_colour(rule()) == RULE_COLOURS[name]
    assert rule_colour(Own()) == RULE_COLOURS["somatic"]
    assert rule_colour(Other()) not in RULE_COLOURS.values()
    with pytest.raises(KeyError):
        rule_colour("hebbian")


# Dictionaries
# ------------
def test_channels_are_folded(coder):
    splitter = OnOffSplitter()
    signed = np.random.default_rng(0).standard_normal((5, 6))
    channels = splitter.fit_transform(signed)
    folded = DictionaryDisplay(channels, (2, 3), on_off=True).plot().im_
    plain = DictionaryDisplay(splitter.inverse_transform(channels), (2, 3)).plot().im_
    assert_array_equal(folded.get_array(), plain.get_array())
    assert folded.get_clim() == plain.get_clim() == (-1, 1)
    with pytest.raises(ValueError, match="ON and an OFF channel each: pass on_off=False"):
        DictionaryDisplay(np.ones((2, 3)), on_off=True).plot()
    # 64 features are an ON and an OFF channel of 4 x 8 pixels
    display = DictionaryDisplay.from_estimator(coder, image_shape=(4, 8), on_off=True)
    difference = display.components[0, :32] - display.components[0, 32:]
    expected = difference.reshape(4, 8) / np.abs(difference).max()
    assert_allclose(display.im_.get_array()[:4, :8], expected)


def test_components_of_given_scales():
    components = np.array([[0.0, 2.0], [0.0, 3.0], [0.0, 1.0]])
    image = DictionaryDisplay(components, (1, 2), scales=[4.0, 3.0, 0.0]).plot().im_
    assert_allclose(image.get_array().compressed().sum(), 0.5 + 1.0 + 1.0)


def test_dictionary_fills_in(monitor):
    display = DictionaryHistoryDisplay.from_monitor(monitor, image_shape=(2, 4))
    order = [1, 0, 2]  # by firing rate in the end
    chosen = [0, 1, 3, 4]
    shown = monitor.dictionaries_[chosen][:, order]
    assert_array_equal(display.dictionaries, shown)
    scales = np.abs(shown).max(axis=(0, 2))
    for panel, dictionary in zip(display.displays_, shown, strict=True):
        assert panel.im_.get_clim() == (-1, 1)
        for k in range(3):
            expected = dictionary[k].reshape(2, 4) / scales[k]
            assert_allclose(cell(panel, k, 2, (2, 4)), expected)
    assert [ax.get_title() for ax in display.axes_] == ["64 stimuli", "128", "1,024", "4,096"]
    assert {ax.figure for ax in display.axes_} == {display.figure_}


def test_dictionary_fills_in_on_axes_of_the_user(monitor):
    figure, axes = plt.subplots(1, 2)
    display = DictionaryHistoryDisplay.from_monitor(
        monitor, snapshots=[2, 0], image_shape=(2, 4), order=[2], ax=axes
    )
    assert_array_equal(display.dictionaries, monitor.dictionaries_[[2, 0]][:, [2]])
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure
    with pytest.raises(ValueError, match="draws on 4 axes, and ax holds 2"):
        DictionaryHistoryDisplay.from_monitor(monitor, image_shape=(2, 4), ax=axes)


def test_no_snapshots(coder, monitor):
    with pytest.raises(ValueError, match="no dictionary to draw: let LearningMonitor take"):
        DictionaryHistoryDisplay.from_monitor(monitor, snapshots=[])
    without = LearningMonitor(snapshots=0)
    without.observe(coder)
    with pytest.raises(ValueError, match="no dictionary to draw: let LearningMonitor take"):
        DictionaryHistoryDisplay.from_monitor(without)


# Rasters
# -------
def test_raster_of_a_recording(recording):
    display = RasterDisplay.from_recording(recording)
    order = display.order
    spikes = recording.spikes
    segments = np.array(display.lines_.get_segments())
    places = np.argsort(order)[np.searchsorted(np.sort(order), spikes["unit"])]
    assert_allclose(segments[:, :, 0], (100 * spikes["row"] + spikes["time"])[:, None] * [1, 1])
    # trials are apart, the first one above the second
    middle = places + np.where(spikes["trial"] == 0, 0.2, -0.2)
    assert_allclose(segments[:, :, 1].mean(axis=1), middle, atol=1e-9)
    assert np.all(np.abs(segments[:, :, 1] - places[:, None]) < 0.41)
    colours = [tuple(c) for c in display.lines_.get_colors()]
    assert len(set(colours)) == len(set(zip(spikes["unit"], colours, strict=True))) == len(order)


def test_units_are_sorted_by_preferred_row_and_first_spike(recording):
    order = RasterDisplay.from_recording(recording).order
    keys = []
    for unit in order:
        spikes = recording.spikes[recording.spikes["unit"] == unit]
        counts = [np.count_nonzero(spikes["row"] == row) for row in range(3)]
        preferred = counts.index(max(counts))
        keys.append((preferred, spikes["time"][spikes["row"] == preferred].min()))
    assert keys == sorted(keys)
    assert sorted(order) == sorted(set(recording.spikes["unit"]))


def test_silent_units_are_left_out_of_an_order(coder):
    recording = coder.record(DIGITS[:3], silenced=[1, 4], random_state=0)
    assert {1, 4}.isdisjoint(RasterDisplay.from_recording(recording).order)
    silent = coder.record(DIGITS[:3], silenced=np.arange(10), random_state=0)
    display = RasterDisplay.from_recording(silent, image_shape=(8, 8))
    assert display.lines_.get_segments() == []
    assert display.reconstruction_ims_[0].get_array().max() == 0
    display.figure_.draw_without_rendering()


def test_rows_trials_and_units_are_chosen(recording):
    display = RasterDisplay.from_recording(recording, rows=[2, 0], trials=[1], order=[7, 3])
    spikes = recording.spikes[recording.spikes["trial"] == 1]
    expected = [
        [100 * column + spike["time"], place]
        for column, row in enumerate([2, 0])
        for place, unit in enumerate([7, 3])
        for spike in spikes[(spikes["row"] == row) & (spikes["unit"] == unit)]
    ]
    drawn = [segment.mean(axis=0) for segment in display.lines_.get_segments()]
    assert_allclose(sorted(map(tuple, drawn)), sorted(map(tuple, expected)))
    assert display.ax_.get_xlim() == (0, 200)
    labels = dict(zip(display.ax_.get_yticks(), display.ax_.get_yticklabels(), strict=True))
    assert {place: label.get_text() for place, label in labels.items()} == {0: "7", 1: "3"}


def test_a_row_is_drawn_as_often_as_it_is_chosen(recording):
    display = RasterDisplay.from_recording(recording, rows=[1, 0, 1])
    columns = [display.spikes[display.spikes["row"] == column] for column in range(3)]
    for column, row in enumerate([1, 0, 1]):
        expected = recording.spikes[recording.spikes["row"] == row]
        for name in ("trial", "time", "unit"):
            assert_array_equal(columns[column][name], expected[name])
    assert display.n_rows == 3


@pytest.mark.parametrize("numbers", [[3], [-1], [], np.arange(0), [True] * 3])
@pytest.mark.parametrize("what", ["rows", "trials"])
def test_rows_and_trials_that_were_not_recorded(recording, what, numbers):
    with pytest.raises(IndexError, match=rf"{what}=\[.*\] must be one or more numbers of "):
        RasterDisplay.from_recording(recording, **{what: numbers})
    if what == "rows":
        for draw in (AnyTimeDisplay.from_recording, Recording.animate):
            with pytest.raises(IndexError, match=r"rows=\[.*\] must be one or more numbers"):
                draw(recording, rows=numbers)


def test_images_above_and_below_the_spikes(coder, recording):
    display = RasterDisplay.from_recording(recording, rows=[2, 1], image_shape=(8, 8))
    display.figure_.draw_without_rendering()
    to_pixels = display.ax_.transData.transform
    for column, row in enumerate([2, 1]):
        above, below = display.stimulus_ims_[column], display.reconstruction_ims_[column]
        assert_allclose(above.get_array(), DIGITS[row].reshape(8, 8), atol=1e-12)
        codes = np.mean([recording.codes(row, trial)[-1] for trial in (0, 1)], axis=0)
        expected = codes @ coder.network_.decoder.T * coder.scale_
        assert_allclose(below.get_array(), expected.reshape(8, 8))
        assert above.get_clim() == below.get_clim() == (0, DIGITS[row].max())
        (left, _), (right, _) = to_pixels([(100 * column, 0), (100 * column + 100, 0)])
        spikes = display.ax_.get_window_extent()
        for image, is_above in ((above, True), (below, False)):
            box = image.axes.get_window_extent()
            assert left < box.x0 < box.x1 < right
            assert box.width == pytest.approx(box.height)
            assert box.y0 > spikes.y1 if is_above else box.y1 < spikes.y0
            assert display.figure_.bbox.containsy(box.y0)
            assert display.figure_.bbox.containsy(box.y1)
        label = display.ax_.xaxis.label.get_window_extent()
        assert not label.overlaps(below.axes.get_window_extent())


def test_raster_of_a_stream(coder, stream):
    display = RasterDisplay.from_recording(stream, rows=[4], image_shape=(8, 8))
    expected = stream.reconstructions(4)[-1] * coder.scale_
    assert_allclose(display.reconstruction_ims_[0].get_array(), expected.reshape(8, 8))


# After some ms
# -------------
def strips(display, n_rows, n_columns, shape):
    """Images of an AnyTimeDisplay, with the gaps between them checked."""
    array = display.im_.get_array()
    gap = max(1, round(0.1 * shape[1]))
    assert array.shape == (
        n_rows * (shape[0] + gap) - gap,
        n_columns * (shape[1] + gap) - gap,
    )
    assert array.count() == n_rows * n_columns * shape[0] * shape[1]
    return [
        [
            array[i : i + shape[0], j : j + shape[1]].filled(np.nan)
            for j in range(0, array.shape[1], shape[1] + gap)
        ]
        for i in range(0, array.shape[0], shape[0] + gap)
    ]


def test_rows_coded_in_a_few_ms(coder):
    before = coder.get_params()
    display = AnyTimeDisplay.from_estimator(coder, DIGITS[:2], times=[3, 12])
    assert coder.get_params() == before
    images = strips(display, 2, 3, (8, 8))
    for i in range(2):
        expected = [DIGITS[i]]
        for time in (3.0, 12.0):
            other = copy.deepcopy(coder).set_params(transform_time=time)
            expected.append(other.inverse_transform(other.transform(DIGITS[:2]))[i])
        for image, values in zip(images[i], expected, strict=True):
            assert_allclose(image, values.reshape(8, 8) / DIGITS[i].max(), atol=1e-12)
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["input", "3 ms", "12 ms"]
    assert display.im_.get_clim() == (0, 1)


def test_course_of_a_presentation(coder, recording):
    display = AnyTimeDisplay.from_recording(recording, rows=[1], trial=1, times=[5, 100])
    read_outs = recording.codes(1, 1, until=[5, 100]) @ coder.network_.decoder.T * coder.scale_
    _, *images = strips(display, 1, 3, (8, 8))[0]
    assert_allclose(images, read_outs.reshape(2, 8, 8) / DIGITS[1].max())
    unscaled = AnyTimeDisplay.from_recording(recording)
    assert_array_equal(unscaled.times, [2, 4, 8, 16, 32, 64])
    assert unscaled.reconstructions.shape == (3, 6, 64)


def test_times_are_within_a_short_presentation(coder):
    for duration, times in ((1.0, [1]), (2.0, [2]), (10.0, [2, 4, 8]), (16.0, [2, 4, 8, 16])):
        other = copy.deepcopy(coder).set_params(transform_time=duration)
        recording = other.record(DIGITS[:1], random_state=0)
        assert_array_equal(AnyTimeDisplay.from_recording(recording).times, times)


@pytest.mark.parametrize("time", [-1.0, 101.0])
def test_times_that_were_not_recorded(recording, stream, time):
    for each in (recording, stream):
        with pytest.raises(ValueError, match=r"must be from 0 to 100\.0 ms"):
            AnyTimeDisplay.from_recording(each, rows=[0], times=[time])


def test_signed_and_blank_rows():
    rows = np.array([[-2.0, 1.0], [0.0, 0.0]])
    display = AnyTimeDisplay(rows, 0.5 * rows[:, np.newaxis], [4], (1, 2)).plot()
    assert display.im_.get_clim() == (-1, 1)
    images = strips(display, 2, 2, (1, 2))
    assert_allclose(images, [[[[-1, 0.5]], [[-0.5, 0.25]]], [[[0, 0]], [[0, 0]]]])


# Balance
# -------
def test_balance_of_a_soma_and_of_a_compartment(recording):
    feedforward, recurrent = recording.currents(1, 1)
    soma = BalanceDisplay.from_recording(recording, 2, row=1, trial=1)
    curves = [line.get_ydata() for line in soma.lines_]
    assert_allclose(curves[0], feedforward[:, 2])
    assert_allclose(curves[1], recurrent[:, 2])
    assert_allclose(curves[2], recording.potentials(1, 1)[:, 2])
    assert len(soma.spike_times) == recording.rasters(1, 1)[:, 2].sum()
    one = BalanceDisplay.from_recording(recording, 2, compartment=5, row=1, trial=1)
    parts = [each[:, 5] for each in recording.dendritic_currents(2, 1, 1)]
    assert_allclose(one.lines_[2].get_ydata(), sum(parts))
    assert one.ax_.get_xlabel() == "time (ms)"
    texts = [text.get_text() for text in one.ax_.get_legend().get_texts()]
    assert texts == ["feedforward", "recurrent", "sum"]


def test_soma_and_compartment_are_compared(recording):
    _, axes = plt.subplots(1, 2)
    soma, dendrite = BalanceDisplay.compare(recording, 2, 5, row=1, trial=1, ax=axes)
    assert (soma.ax_, dendrite.ax_) == tuple(axes)
    for display, compartment in ((soma, None), (dendrite, 5)):
        alone = BalanceDisplay.from_recording(
            recording, 2, compartment=compartment, row=1, trial=1
        )
        for one, other in zip(display.lines_, alone.lines_, strict=True):
            assert_array_equal(one.get_ydata(), other.get_ydata())
            assert one.get_color() == other.get_color()
    assert dendrite.ax_.get_legend() is None
    assert [ax.get_xlabel() for ax in axes] == ["time (ms)"] * 2
    soma, dendrite = BalanceDisplay.compare(recording, 2, 5)
    assert (soma.ax_.get_xlabel(), dendrite.ax_.get_xlabel()) == ("", "time (ms)")
    assert soma.figure_ is dendrite.figure_


def test_legend_and_title_are_apart(recording):
    for size, font in (((6.4, 4.8), 10), ((3.3, 2.5), 8)):  # on a screen, in print
        with plt.rc_context({"figure.figsize": size, "font.size": font}):
            display = BalanceDisplay.from_recording(recording, 2, compartment=5)
        display.figure_.draw_without_rendering()
        renderer = display.figure_.canvas.get_renderer()
        legend = display.ax_.get_legend().get_window_extent(renderer)
        texts = display.ax_.findobj(plt.Text)
        (title,) = (text for text in texts if text.get_text() == display.name)
        title = title.get_window_extent(renderer)
        axes = display.ax_.get_window_extent(renderer)
        assert axes.y1 <= legend.y0 + 1 < legend.y1 < title.y0
        assert legend.x1 <= display.figure_.bbox.x1


# Learning
# --------
def test_loss_and_noise_stand_where_they_were_measured():
    coder = DendriticBalanceCoder(
        6, learning_rule="somatic", horizon=2000, batch_size=8, random_state=0, input_scale=1.0
    )
    n_presentations, noise_levels = [], []
    for start in range(0, 1600, 8):
        coder.partial_fit(DIGITS[start : start + 8])
        if len(coder.loss_curve_) > len(n_presentations):
            n_presentations.append(coder.n_presentations_)
            noise_levels.append(coder.noise_level_)
    display = LearningDisplay.from_estimator(coder)
    assert len(n_presentations) > 50
    assert_array_equal(display.loss_line_.get_xdata(), n_presentations)
    assert_array_equal(display.loss_line_.get_ydata(), coder.loss_curve_)
    assert_allclose(display.noise_levels, noise_levels)
    outline = display.noise_area_.get_paths()[0].vertices
    assert outline[:, 1].max() == pytest.approx(noise_levels[0])
    assert display.loss_line_.get_color() == RULE_COLOURS["somatic"]
    assert display.measures_ax_ is None
    assert (display.ax_.get_ylabel(), display.ax_.get_xlabel()) == ("decoder loss", "stimuli")
    # the noise is behind the loss
    assert display.noise_ax_.get_zorder() < display.ax_.get_zorder()
    assert not display.ax_.patch.get_visible()


def test_what_a_monitor_has_measured(monitor):
    display = LearningDisplay.from_monitor(monitor, rule="dendritic-slow")
    assert_array_equal(
        display.loss_line_.get_xydata().T, [monitor.n_presentations_, monitor.losses_]
    )
    assert_allclose(display.explained_variance_line_.get_xydata(), [[256, 0.4], [4096, 0.8]])
    assert_array_equal(
        display.balance_line_.get_xydata().T,
        [monitor.snapshots_at_, monitor.balance_correlations_],
    )
    assert display.loss_line_.get_color() == RULE_COLOURS["dendritic-slow"]
    assert display.measures_ax_.get_xlim() == display.ax_.get_xlim()
    texts = [text.get_text() for text in display.measures_ax_.get_legend().get_texts()]
    assert texts == ["explained variance", "$r(W^d, -FD)$"]
    _, ax = plt.subplots()
    assert LearningDisplay.from_monitor(monitor, ax=ax).measures_ax_ is None
    _, axes = plt.subplots(1, 2)
    display = LearningDisplay.from_monitor(monitor, ax=axes)
    assert (display.ax_, display.measures_ax_) == tuple(axes)


def test_what_a_monitor_has_not_measured(monitor):
    nothing = SimpleNamespace(**vars(monitor))
    nothing.balance_correlations_ = np.full(5, np.nan)
    display = LearningDisplay.from_monitor(nothing)
    assert display.balance_line_ is None
    assert display.explained_variance_line_ is not None
    nothing.explained_variances_ = np.full(4, np.nan)
    assert LearningDisplay.from_monitor(nothing).measures_ax_ is None
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match="draws on 1 axes, and ax holds 2"):
        LearningDisplay.from_monitor(nothing, ax=axes)


def test_a_loss_that_has_no_point_yet():
    coder = DendriticBalanceCoder(4, random_state=0).partial_fit(DIGITS[:10])
    display = LearningDisplay.from_estimator(coder)
    assert len(display.loss_line_.get_xdata()) == 0
    display.figure_.draw_without_rendering()


# Histograms
# ----------
def test_histogram_of_firing_rates(coder, recording):
    display = FiringRateDisplay.from_estimator(coder, bins=[0, 50, 1000])
    counts = [np.sum(coder.firing_rates_ < 50), np.sum(coder.firing_rates_ >= 50)]
    assert_array_equal(display.histogram_.get_data().values, counts)
    assert display.target_line_.get_xdata() == [50, 50]
    assert display.ax_.get_xlabel() == "firing rate (Hz)"
    of_recording = FiringRateDisplay.from_recording(recording)
    assert of_recording.target_line_ is None
    seconds = 3 * 2 * 0.1
    expected = [np.sum(recording.spikes["unit"] == unit) / seconds for unit in range(10)]
    assert_allclose(of_recording.firing_rates, expected)
    assert of_recording.histogram_.get_data().values.sum() == 10


def test_intervals_are_those_between_spikes_of_a_neuron(recording, stream):
    expected = [
        later - earlier
        for row in range(3)
        for trial in range(2)
        for unit in range(10)
        for earlier, later in pairwise(recording.times()[recording.rasters(row, trial)[:, unit]])
    ]
    intervals = InterspikeIntervalDisplay.from_recording(recording).intervals
    assert_allclose(np.sort(intervals), np.sort(expected))
    # a stream goes on
    times = np.concatenate(
        [100 * row + stream.times()[stream.rasters(row)[:, 7]] for row in range(20)]
    )
    display = InterspikeIntervalDisplay.from_recording(stream, units=[7])
    assert_allclose(display.intervals, np.diff(times))
    assert display.intervals.max() > 100


def test_histogram_of_intervals_and_their_exponential():
    intervals = np.random.default_rng(0).exponential(20.0, 5000)
    display = InterspikeIntervalDisplay(intervals).plot()
    densities, edges, _ = display.histogram_.get_data()
    shown = intervals < 5 * intervals.mean()
    assert densities @ np.diff(edges) == pytest.approx(shown.mean())
    times, exponential = display.exponential_.get_data()
    mean = np.trapezoid(times * exponential, times) / np.trapezoid(exponential, times)
    of_cut = 1 - 5 * np.exp(-5) / (1 - np.exp(-5))  # cut at five times its mean
    assert mean == pytest.approx(intervals.mean() * of_cut, rel=1e-3)
    middle = (edges[1:] + edges[:-1]) / 2
    near = np.interp(middle, times, exponential)
    assert_allclose(densities[:20], near[:20], rtol=0.3)
    assert (display.ax_.get_yscale(), display.ax_.get_ylabel()) == ("log", "density (1/ms)")


def test_histogram_of_no_intervals():
    display = InterspikeIntervalDisplay([]).plot()
    assert display.exponential_ is None
    assert display.histogram_.get_data().values.sum() == 0
    display.figure_.draw_without_rendering()


# Animations
# ----------
class Frames(AbstractMovieWriter):
    """Looks at frames instead of writing them: at the raster, then the images above and below."""

    def __init__(self, look):
        super().__init__()
        self.look, self.frame = look, 0

    def setup(self, fig, outfile, dpi=None):
        super().setup(fig, outfile, dpi)

    def grab_frame(self, **kwargs):
        raster = self.fig.axes[0]
        images = [ax.images[0].get_array() for ax in raster.child_axes]
        half = len(images) // 2
        self.look(self.frame, raster, images[:half], images[half:])
        self.frame += 1

    def finish(self):
        pass


def test_frames_of_an_animation(coder, tmp_path):
    recording = coder.record(DIGITS[:2], n_trials=2, random_state=0)
    fade, D = recording.timing.fade, coder.network_.decoder * coder.scale_

    def look(frame, raster, above, below):
        time = 25 * min(frame + 1, 8)  # the last frame stays
        assert raster.lines[0].get_xdata() == [time]
        spikes = raster.collections[1]
        times = np.array(spikes.get_segments())[:, 0, 0]
        assert len(times) == np.sum(recording.spikes["trial"] == 1)
        assert_array_equal(np.array(spikes.get_linewidths()) > 0, times < time)
        for row in range(2):
            local = np.clip(time - 100 * row, 0, 100)
            weight = fade[round(local / coder.dt) - 1] if local > 0 else 0
            assert_allclose(above[row].ravel(), weight * DIGITS[row], atol=1e-12)
            code = recording.codes(row, 1, until=[local])[0]
            assert_allclose(below[row].ravel(), weight * D @ code)

    frames = Frames(look)
    animation = recording.animate(trial=1, n_frames=8, frames_per_second=3)
    animation.save(tmp_path / "not written", writer=frames)
    assert frames.frame == 8 + 3
    assert not plt.get_fignums()


def test_frames_of_a_stream(coder, stream, tmp_path):
    def look(frame, raster, above, below):
        if frame == 0:
            assert_allclose(above[0].ravel(), stream.inputs(3)[199] * coder.scale_)
        if frame == 3:
            assert_allclose(above[1].ravel(), DIGITS[4], atol=1e-12)
            expected = stream.reconstructions(4)[-1] * coder.scale_
            assert_allclose(below[1].ravel(), expected)

    animation = stream.animate(rows=[3, 4], n_frames=4)
    animation.save(tmp_path / "not written", writer=Frames(look))


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_animation_is_a_small_file(coder, tmp_path, suffix):
    other = copy.deepcopy(coder).set_params(transform_time=20.0)
    recording = other.record(DIGITS[:1], random_state=0)
    path = tmp_path / f"digit.{suffix}"
    recording.animate(path, n_frames=5, frames_per_second=5)
    with Image.open(path) as file:
        assert file.is_animated
        assert file.size == (400, 400)
        duration = 0
        for frame in range(file.n_frames):
            file.seek(frame)
            file.load()
            duration += file.info["duration"]
    assert duration == pytest.approx(2000, rel=0.05)  # a second, and the last frame for another
    assert path.stat().st_size < 1e6
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"n_frames": 0}, ValueError),
        ({"n_frames": 100_000}, ValueError),
        ({"frames_per_second": 0}, ValueError),
        ({"image_shape": (3, 5)}, ValueError),
        ({"rows": [5]}, IndexError),
        ({"trial": 2}, IndexError),
    ],
)
def test_animations_that_are_refused(recording, parameters, error):
    with pytest.raises(error):
        recording.animate(**parameters)


# All displays
# ------------
DRAW = {
    "dictionary": lambda coder, recording, monitor, ax: DictionaryDisplay.from_estimator(
        coder, ax=ax
    ),
    "raster": lambda coder, recording, monitor, ax: RasterDisplay.from_estimator(
        coder, DIGITS[:2], ax=ax
    ),
    "ordered raster": lambda coder, recording, monitor, ax: RasterDisplay.from_recording(
        recording, image_shape=(8, 8), ax=ax
    ),
    "balance": lambda coder, recording, monitor, ax: BalanceDisplay.from_recording(
        recording, 2, ax=ax
    ),
    "learning": lambda coder, recording, monitor, ax: LearningDisplay.from_estimator(coder, ax=ax),
    "monitored learning": lambda coder, recording, monitor, ax: LearningDisplay.from_monitor(
        monitor, ax=ax
    ),
    "rates": lambda coder, recording, monitor, ax: FiringRateDisplay.from_estimator(coder, ax=ax),
    "intervals": lambda coder, recording, monitor, ax: InterspikeIntervalDisplay.from_recording(
        recording, ax=ax
    ),
    "any time": lambda coder, recording, monitor, ax: AnyTimeDisplay.from_recording(
        recording, ax=ax
    ),
    "coded any time": lambda coder, recording, monitor, ax: AnyTimeDisplay.from_estimator(
        coder, DIGITS[:2], ax=ax
    ),
}


@pytest.mark.parametrize("name", DRAW)
def test_axes_are_used_or_made(name, coder, recording, monitor):
    figure, axes = plt.subplots(1, 2)
    display = DRAW[name](coder, recording, monitor, axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].has_data()
    assert plt.get_fignums() == [1]
    assert display.plot() is display
    assert plt.get_fignums() == [1, 2]
    assert display.figure_ is plt.figure(2)
    display.figure_.draw_without_rendering()


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", DRAW)
def test_nothing_vanishes_in_the_background(name, style, coder, recording, monitor):
    with plt.style.context(style):
        display = DRAW[name](coder, recording, monitor, None)
        figure = display.figure_
        figure.canvas.draw()
        background = figure.get_facecolor()
        drawn = [text.get_color() for text in figure.findobj(plt.Text) if text.get_text().strip()]
        for ax in [figure.axes[0], *figure.axes[1:], *figure.axes[0].child_axes]:
            assert to_rgba(ax.get_facecolor()) == background
            drawn += [line.get_color() for line in ax.lines]
            drawn += [colour for lines in ax.collections for colour in lines.get_edgecolor()]
            drawn += [spine.get_edgecolor() for spine in ax.spines.values()]
            for image in ax.images:  # zero is the background
                zero, most = (image.to_rgba(np.full((1, 1), v))[0, 0] for v in (0.0, 1e9))
                assert contrast(zero, background) < 1.2
                assert contrast(most, background) > 2
        assert len(drawn) > 4
        assert min(contrast(colour, background) for colour in drawn) > 1.9


def test_zero_is_black_in_a_dark_style():
    with plt.style.context("dark_background"):
        image = DictionaryDisplay(np.diag([1.0, -1.0, 1.0, 1.0])).plot().im_
    assert_allclose(image.to_rgba(np.zeros((1, 1)))[0, 0, :3], 0, atol=0.02)
    positive, negative = (image.to_rgba(np.full((1, 1), v))[0, 0] for v in (1.0, -1.0))
    assert positive[0] > positive[2]
    assert negative[0] < negative[2]


UNFITTED = {
    "dictionary": lambda coder: DictionaryDisplay.from_estimator(coder),
    "raster": lambda coder: RasterDisplay.from_estimator(coder, DIGITS[:2]),
    "learning": lambda coder: LearningDisplay.from_estimator(coder),
    "rates": lambda coder: FiringRateDisplay.from_estimator(coder),
    "any time": lambda coder: AnyTimeDisplay.from_estimator(coder, DIGITS[:2]),
}


@pytest.mark.parametrize("name", UNFITTED)
def test_not_fitted(name):
    with pytest.raises(NotFittedError):
        UNFITTED[name](DendriticBalanceCoder())
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    "display",
    [
        DictionaryDisplay(np.eye(4)),
        DictionaryHistoryDisplay([np.eye(4)], [64]),
        RasterDisplay(SPIKES, 6, 4, 100.0),
        BalanceDisplay(np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(0)),
        LearningDisplay([1], [1.0], [1.0]),
        AnyTimeDisplay(np.ones((1, 4)), np.ones((1, 1, 4)), [2]),
        FiringRateDisplay([1.0]),
        InterspikeIntervalDisplay([1.0]),
    ],
    ids=lambda display: type(display).__name__,
)
def test_without_matplotlib(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    message = rf"{type(display).__name__} needs matplotlib: pip install skdendbal\[examples\]"
    with pytest.raises(ImportError, match=message):
        display.plot()


def test_animation_without_matplotlib(recording, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.animation", None)
    with pytest.raises(ImportError, match=r"animate needs matplotlib: pip install"):
        recording.animate()


def test_a_raster_is_as_long_as_rows_are_coded(coder):
    other = copy.deepcopy(coder).set_params(transform_time=10.0)
    assert RasterDisplay.from_estimator(other, DIGITS[:3]).ax_.get_xlim() == (0.0, 30.0)


def test_a_raster_is_as_long_as_steps_last(coder, tmp_path):
    other = copy.deepcopy(coder).set_params(transform_time=0.7)  # three steps of 0.25 ms
    assert RasterDisplay.from_estimator(other, DIGITS[:4]).ax_.get_xlim() == (0.0, 3.0)
    recording = other.record(DIGITS[:4], current=100.0, random_state=0)  # a spike in every step

    def look(frame, raster, above, below):
        assert raster.get_xlim() == (0.0, 3.0)
        assert np.count_nonzero(raster.collections[1].get_linewidths()) == min(frame + 1, 12)

    assert len(recording.spikes) == 12
    recording.animate(n_frames=12).save(tmp_path / "not written", writer=Frames(look))
