"""Recordings in the containers of pandas, xarray, neo and pynapple.

Every package is optional and imported where it is used. All spikes are kept, and every container
knows how many neurons there are, so that silent ones are not forgotten.
"""

import importlib
import math

import numpy as np

from ._memory import check_memory

_VARIABLES = {  # what there is at every step: how to read it, its dimension, its unit
    "inputs": (lambda r, row, trial: r.inputs(row), "feature", "scaled input"),
    "reconstructions": (lambda r, *which: r.reconstructions(*which), "feature", "scaled input"),
    "traces": (lambda r, *which: r.traces(*which), "unit", "1"),
    "feedforward_currents": (lambda r, *which: r.currents(*which)[0], "unit", "scaled input"),
    "recurrent_currents": (lambda r, *which: r.currents(*which)[1], "unit", "scaled input"),
    "potentials": (lambda r, *which: r.potentials(*which), "unit", "scaled input"),
    "spike_probabilities": (lambda r, *which: r.spike_probabilities(*which), "unit", "1"),
}
_BYTES_PER_SPIKE_TRAIN = 4000  # in neo, without any spikes
_GAP = 1e-9  # s between epochs: they include both ends and must not touch


def to_pandas(recording):
    """Return a DataFrame, see :meth:`skdendbal.recording.Recording.to_pandas`."""
    pandas = _import("pandas")
    columns = {name: recording.spikes[name] for name in ("row", "trial", "unit", "time")}
    spikes = pandas.DataFrame(columns)
    spikes.attrs = _describe(recording)
    return spikes


def to_xarray(recording, variables):
    """Return a Dataset, see :meth:`skdendbal.recording.Recording.to_xarray`."""
    xarray = _import("xarray")
    spikes, n_units = recording.spikes, recording.n_units
    shape = recording.n_rows, recording.n_trials, recording.n_steps
    variables = _check(recording, variables, bytes_of_spikes=math.prod(shape) * n_units)

    raster = np.zeros((*shape, n_units), dtype=bool)
    raster[spikes["row"], spikes["trial"], _find_steps(recording, spikes), spikes["unit"]] = True
    data = {"spikes": (("row", "trial", "time", "unit"), raster)}
    for name in variables:
        read, dimension, unit = _VARIABLES[name]
        values = np.empty((*shape, _sizes(recording)[dimension]))
        for row, trial in np.ndindex(shape[:2]):
            values[row, trial] = read(recording, row, trial)
        data[name] = ("row", "trial", "time", dimension), values, {"units": unit}

    dataset = xarray.Dataset(data, attrs=_describe(recording))
    coordinates = {name: np.arange(size) for name, size in dataset.sizes.items()}
    coordinates["time"] = "time", recording.times(), {"units": "ms"}
    if recording.start is not None:
        onsets = np.arange(recording.n_rows) * recording.duration
        coordinates["onset"] = "row", onsets, {"units": "ms"}
    return dataset.assign_coords(coordinates)


def to_neo(recording, variables):
    """Return a Block, see :meth:`skdendbal.recording.Recording.to_neo`."""
    neo = _import("neo")
    presentations = list(np.ndindex(recording.n_rows, recording.n_trials))
    is_stream = recording.start is not None
    n_segments = 1 if is_stream else len(presentations)
    bytes_of_spikes = _BYTES_PER_SPIKE_TRAIN * n_segments * recording.n_units
    variables = _check(recording, variables, bytes_of_spikes)

    block = neo.Block("recording", **_describe(recording))
    if is_stream:
        segment = neo.Segment("stream", index=0)
        _add_presentations(segment, recording, presentations, recording.spikes, variables)
        segment.epochs.append(_make_epoch(recording))
        block.segments.append(segment)
        return block
    bounds = np.searchsorted(_find_presentations(recording), np.arange(1, n_segments))
    each = zip(presentations, np.split(recording.spikes, bounds), strict=True)
    for index, ((row, trial), spikes) in enumerate(each):
        which = {"row": row, "trial": trial}
        segment = neo.Segment(f"row {row}, trial {trial}", index=index, **which)
        _add_presentations(segment, recording, [(row, trial)], spikes, variables, **which)
        block.segments.append(segment)
    return block


def to_pynapple(recording):
    """Return both objects, see :meth:`skdendbal.recording.Recording.to_pynapple`."""
    nap = _import("pynapple")
    spikes, n_steps, is_stream = recording.spikes, recording.n_steps, recording.start is not None
    rows, trials = np.divmod(np.arange(recording.n_rows * recording.n_trials), recording.n_trials)
    step = recording.timing.dt / 1e3  # in s
    onsets = np.arange(len(rows)) * (n_steps if is_stream else 2 * n_steps)  # in steps
    starts, ends = onsets * step, (onsets + n_steps) * step
    which = {"row": rows, "trial": trials}
    presentations = nap.IntervalSet(starts, ends - _GAP if is_stream else ends, metadata=which)
    recorded = nap.IntervalSet(0.0, ends[-1]) if is_stream else presentations
    times = (onsets[_find_presentations(recording)] + _find_steps(recording, spikes)) * step
    each = enumerate(_split_by_unit(recording, times, spikes))
    trains = {unit: nap.Ts(times, time_support=recorded) for unit, times in each}
    return nap.TsGroup(trains, time_support=recorded, bypass_check=True), presentations


def _add_presentations(segment, recording, presentations, spikes, variables, **annotations):
    """Add the spikes and variables of presentations without pauses between them to a Segment."""
    import neo
    from quantities import ms

    dt, n_steps = recording.timing.dt, recording.n_steps
    # both in ms, as spikes are: neo takes several times as long to convert units
    start, stop = 0.0 * ms, len(presentations) * n_steps * dt * ms
    first_row = presentations[0][0]
    steps = (spikes["row"] - first_row) * n_steps + _find_steps(recording, spikes)
    segment.spiketrains.extend(
        [
            neo.SpikeTrain(
                times, stop, ms, t_start=start, name=f"unit {unit}", unit=unit, **annotations
            )
            for unit, times in enumerate(_split_by_unit(recording, steps * dt, spikes))
        ]
    )
    for name in variables:
        read, dimension, _ = _VARIABLES[name]
        signal = neo.AnalogSignal(
            np.concatenate([read(recording, row, trial) for row, trial in presentations]),
            "dimensionless",
            t_start=start,
            sampling_period=dt * ms,
            name=name,
            array_annotations={dimension: np.arange(_sizes(recording)[dimension])},
            **annotations,
        )
        segment.analogsignals.append(signal)


def _make_epoch(recording):
    """Return an Epoch of the rows of a stream."""
    import neo
    from quantities import ms

    rows = np.arange(recording.n_rows)
    return neo.Epoch(
        rows * recording.n_steps * recording.timing.dt * ms,
        np.full(len(rows), recording.duration - 1e3 * _GAP) * ms,
        [f"row {row}" for row in rows],
        name="rows",
        array_annotations={"row": rows},
    )


def _import(package):
    """Return a module, which may not be installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"Recording.to_{package} needs {package}: pip install skdendbal[containers]."
        ) from error


def _describe(recording):
    """Return what spikes alone do not tell, as plain numbers, which files can hold."""
    return {
        "n_units": recording.n_units,
        "n_rows": recording.n_rows,
        "n_trials": int(recording.n_trials),
        "duration": float(recording.duration),
        "dt": float(recording.timing.dt),
        "tau": float(recording.timing.tau),
        "scale": float(recording.scale),
    }


def _find_presentations(recording):
    """Return the number of the presentation of every spike, in the order of rows and trials."""
    return recording.spikes["row"] * recording.n_trials + recording.spikes["trial"]


def _find_steps(recording, spikes):
    """Return the steps of their presentations in which spikes fall."""
    return np.round(spikes["time"] / recording.timing.dt).astype(int)


def _split_by_unit(recording, times, spikes):
    """Return the times of the spikes of every unit."""
    order = np.argsort(spikes["unit"], kind="stable")
    bounds = np.searchsorted(spikes["unit"][order], np.arange(1, recording.n_units))
    return np.split(times[order], bounds)


def _check(recording, variables, bytes_of_spikes):
    """Return the names of variables; refuse those that do not exist, and what does not fit."""
    names = tuple(variables)  # an iterator has them only once
    if not set(names) <= _VARIABLES.keys():
        raise ValueError(
            f"variables={variables!r} must be a sequence of names out of {', '.join(_VARIABLES)}."
        )
    n_steps = recording.n_rows * recording.n_trials * recording.n_steps
    per_step = 8 * sum(_sizes(recording)[_VARIABLES[name][1]] for name in names)
    check_memory(
        bytes_of_spikes + n_steps * per_step,
        f"{recording.n_rows} rows in n_trials={recording.n_trials} of {recording.n_steps} steps "
        f"with {recording.n_units} neurons",
        "Record fewer rows or trials, or take fewer variables.",
    )
    return names


def _sizes(recording):
    """Return how many values a variable has at every step."""
    return {"unit": recording.n_units, "feature": recording.X.shape[1]}
