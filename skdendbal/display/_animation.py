"""Rows that appear in the spikes that they evoke."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_scalar

from ._raster import RasterDisplay
from ._read_out import read_out
from ._style import as_images, choose, text_colour

_HEIGHT, _DPI = 4.0, 100  # inches, pixels an inch
_MAX_FRAMES = 500


def animate(recording, path, rows, trial, image_shape, on_off, order, n_frames, frames_per_second):
    """Return an animation, and save it unless `path` is None: see `Recording.animate`."""
    check_scalar(n_frames, "n_frames", Integral, min_val=1, max_val=_MAX_FRAMES)
    check_scalar(
        frames_per_second, "frames_per_second", Real, min_val=0, include_boundaries="neither"
    )
    try:
        from matplotlib.animation import FuncAnimation, PillowWriter
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError(
            "Recording.animate needs matplotlib: pip install skdendbal[examples]."
        ) from error
    image_shape = as_images(recording.X[:1], image_shape, on_off, name="rows").shape[1:]
    rows = choose("rows", rows, recording.n_rows)
    width = _HEIGHT * min(1.0 + 0.3 * (len(rows) - 1), 2.0)
    figure = Figure(figsize=(width, _HEIGHT), dpi=_DPI, layout="none")
    display = RasterDisplay.from_recording(
        recording,
        rows=rows,
        trials=[trial],
        order=order,
        image_shape=image_shape,
        on_off=on_off,
        ax=figure.subplots(),
    )
    duration = recording.duration
    times = np.linspace(0.0, len(rows) * duration, n_frames + 1)[1:]
    courses = [
        _course(recording, row, trial, np.clip(times - k * duration, 0.0, duration))
        for k, row in enumerate(rows)
    ]
    # of shape (rows, stimulus and reconstruction, frames, height, width)
    images = np.array([[as_images(each, image_shape, on_off) for each in c] for c in courses])
    spike_times = np.array([segment[0, 0] for segment in display.lines_.get_segments()])
    now = display.ax_.axvline(0.0, color=text_colour(), linewidth=0.8)
    ConstrainedLayoutEngine().execute(figure)  # once for all frames

    def draw(frame):
        time = times[frame]
        display.lines_.set_linewidths(np.where(spike_times < time, 1.0, 0.0))
        now.set_xdata([time])
        for (stimuli, read_outs), above, below in zip(
            images, display.stimulus_ims_, display.reconstruction_ims_, strict=True
        ):
            above.set_data(stimuli[frame])
            below.set_data(read_outs[frame])

    stay = round(frames_per_second)
    frames = [*range(n_frames), *[n_frames - 1] * stay]
    animation = FuncAnimation(
        figure, draw, frames, init_func=lambda: None, interval=1e3 / frames_per_second
    )
    if path is not None:
        animation.save(path, writer=PillowWriter(fps=frames_per_second), dpi=_DPI)
    return animation


def _course(recording, row, trial, until):
    """Return a row as it fades in and how it is read out, in units of the data."""
    steps = np.round(until / recording.timing.dt).astype(int)
    before = np.maximum(steps - 1, 0)
    has_begun = (steps > 0)[:, np.newaxis]
    inputs = has_begun * recording.inputs(row)[before] * recording.scale
    read_outs = has_begun * read_out(recording, row, trial, until)
    if recording.start is None:  # codes are those of the row when it has faded in
        read_outs *= recording.timing.fade[before, np.newaxis]
    return inputs, read_outs
