"""Intervals between spikes, in which all traces only decay."""

from collections import namedtuple

from .compilation import compiled

IntervalArrays = namedtuple(
    "IntervalArrays",
    [
        "traces",  # (n_intervals, n_units) at the first step of each interval
        "lanes",  # (n_intervals,) lane of each interval
        "firsts",  # (n_intervals,) first step, within the presentation
        "stops",  # (n_intervals,) the step after the last one
    ],
)


@compiled()
def split_into_intervals(
    spikes,  # IN (n_spikes, 3) lane, step, unit in order of time
    lag,  # steps after which a spike changes the traces
    start,  # IN (n_lanes, n_units) traces of each lane at the first step
    powers,  # IN (n_steps + 1,) decay over 0, 1, ... steps
    intervals,  # OUT IntervalArrays with room for n_spikes + n_lanes
):
    """Split presentations into intervals; return their number."""
    traces, lanes, firsts, stops = intervals
    n_steps = powers.shape[0] - 1
    n, e = 0, 0
    for r in range(start.shape[0]):
        for j in range(start.shape[1]):
            traces[n, j] = start[r, j]
        lanes[n], firsts[n] = r, 0
        while e < spikes.shape[0] and spikes[e, 0] == r:
            step, k = spikes[e, 1] + lag, spikes[e, 2]
            e += 1
            if step == n_steps:  # acts in the next presentation
                continue
            if step > firsts[n]:
                stops[n] = step
                for j in range(start.shape[1]):
                    traces[n + 1, j] = powers[step - firsts[n]] * traces[n, j]
                n += 1
                lanes[n], firsts[n] = r, step
            traces[n, k] += 1.0
        stops[n] = n_steps
        n += 1
    return n
