"""Recordings in the containers of other packages, read back and analysed with these packages.

Tests are skipped if their packages are missing: pip install skdendbal[containers] elephant.
"""

import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
from coders import DIGITS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skdendbal import DendriticBalanceCoder

VARIABLES = [
    "inputs",
    "reconstructions",
    "traces",
    "feedforward_currents",
    "recurrent_currents",
    "potentials",
    "spike_probabilities",
]
KINDS = ["trials", "stream", "silence"]
SILENT = 4


@pytest.fixture(scope="module")
def coder():
    """Its step divides neither 1 ms nor the 20 ms of a presentation."""
    coder = DendriticBalanceCoder(8, dt=0.3, max_iter=2, random_state=0).fit(DIGITS)
    return coder.set_params(transform_time=20.0)


@pytest.fixture(scope="module")
def recordings(coder):
    """Recordings of three kinds, in all of which at least one neuron is silent."""
    params = {"silenced": [SILENT], "random_state": 0}
    return {
        "trials": coder.record(DIGITS[:3], n_trials=2, **params),
        "stream": coder.record(DIGITS[:5], continuous=True, **params),
        "silence": coder.record(DIGITS[:2], silenced=range(8), random_state=0),
    }


@pytest.fixture(params=KINDS)
def recording(recordings, request):
    return recordings[request.param]


def count(recording, **which):
    """How often every neuron spiked."""
    these = np.ones(len(recording.spikes), dtype=bool)
    for name, value in which.items():
        these &= recording.spikes[name] == value
    return np.bincount(recording.spikes["unit"][these], minlength=recording.n_units)


def as_events(rows, trials, steps, units):
    """Spikes in the order of recordings."""
    events = np.column_stack([rows, trials, steps, units]).astype(int)
    return events[np.lexsort(events.T[::-1])]


def events_of(recording):
    steps = np.rint(recording.spikes["time"] / recording.timing.dt)
    return as_events(*(recording.spikes[name] for name in ("row", "trial")), steps,
                     recording.spikes["unit"])  # fmt: skip


@st.composite
def random_spikes(draw, recording):
    """The recording with another step and other spikes, at onsets and in last steps too."""
    n_steps = draw(st.integers(1, 40))
    dt = draw(st.floats(1e-3, 5.0))
    timing = replace(recording.timing, dt=dt, presentation_time=n_steps * dt)
    fields = st.tuples(
        st.integers(0, recording.n_rows - 1),
        st.integers(0, recording.n_trials - 1),
        st.sampled_from([0, n_steps - 1]) | st.integers(0, n_steps - 1),
        st.integers(0, recording.n_units - 1),
    )
    events = sorted(draw(st.sets(fields, max_size=40)))
    spikes = np.empty(len(events), recording.spikes.dtype)
    for name, column in zip(("row", "trial", "time", "unit"), range(4), strict=True):
        spikes[name] = [event[column] for event in events]
    spikes["time"] *= dt
    return replace(recording, spikes=spikes, timing=timing)


# pandas


def test_pandas_has_every_spike(recording):
    spikes = recording.to_pandas()
    assert list(spikes.columns) == ["row", "trial", "unit", "time"]
    for name in spikes.columns:
        assert_array_equal(spikes[name], recording.spikes[name])
        assert spikes[name].dtype == recording.spikes[name].dtype
    before = recording.spikes.copy()
    spikes["time"] += 1.0  # a copy
    assert_array_equal(recording.spikes, before)


def test_pandas_knows_silent_neurons_and_durations(recordings, coder):
    spikes = recordings["trials"].to_pandas()
    facts = spikes.attrs
    assert (facts["n_units"], facts["n_rows"], facts["n_trials"]) == (8, 3, 2)
    assert facts["duration"] == pytest.approx(67 * 0.3)  # 20 ms in whole steps
    assert (facts["dt"], facts["tau"], facts["scale"]) == (0.3, 10.0, coder.scale_)
    counts = spikes.groupby("unit").size().reindex(range(facts["n_units"]), fill_value=0)
    assert counts[SILENT] == 0
    assert_array_equal(counts, count(recordings["trials"]))


# xarray


def test_xarray_has_every_spike_where_it_belongs(recording):
    pytest.importorskip("xarray")
    dataset = recording.to_xarray()
    assert dataset.spikes.dtype == bool
    spikes = dataset.spikes.to_series()
    spikes = spikes[spikes].reset_index()
    assert len(spikes) == len(recording.spikes)
    assert_allclose(spikes["time"], recording.spikes["time"])
    for name in ("row", "trial", "unit"):
        assert_array_equal(spikes[name], recording.spikes[name])
    assert dataset.sizes["unit"] == 8
    assert dataset.time.attrs["units"] == "ms"


def test_xarray_has_the_variables_of_the_recording(recording):
    pytest.importorskip("xarray")
    dataset = recording.to_xarray(VARIABLES)
    row, trial = recording.n_rows - 1, recording.n_trials - 1
    last = dataset.sel(row=row, trial=trial)
    feedforward, recurrent = recording.currents(row, trial)
    assert_array_equal(last.inputs, recording.inputs(row))
    assert_array_equal(last.reconstructions, recording.reconstructions(row, trial))
    assert_array_equal(last.traces, recording.traces(row, trial))
    assert_array_equal(last.feedforward_currents, feedforward)
    assert_array_equal(last.recurrent_currents, recurrent)
    assert_array_equal(last.potentials, recording.potentials(row, trial))
    assert_array_equal(last.spike_probabilities, recording.spike_probabilities(row, trial))
    assert last.potentials.dims == ("time", "unit")
    assert last.inputs.dims == ("time", "feature")
    assert last.potentials.attrs["units"] == "scaled input"


def test_xarray_of_a_stream_goes_on_from_row_to_row(recordings):
    pytest.importorskip("xarray")
    dataset = recordings["stream"].to_xarray()
    times = (dataset.onset + dataset.time).stack(step=["row", "time"])
    assert_allclose(times, np.arange(5 * 67) * 0.3)
    assert "onset" not in recordings["trials"].to_xarray().coords


def test_xarray_survives_a_file(recording, tmp_path):
    xarray = pytest.importorskip("xarray")
    dataset = recording.to_xarray(["potentials", "inputs"])
    dataset.to_netcdf(tmp_path / "recording.nc", engine="scipy")
    with xarray.open_dataset(tmp_path / "recording.nc", engine="scipy") as loaded:
        assert loaded.identical(dataset)


# neo and elephant


def events_of_neo(block, dt, n_steps):
    """Spikes of a block by the annotations of its spike trains."""
    events = [np.empty((4, 0))]
    for segment in block.segments:
        for train in segment.spiketrains:
            steps = np.rint(train.rescale("ms").magnitude / dt)
            if segment.name == "stream":
                (row, steps), trial = np.divmod(steps, n_steps), 0
            else:
                row, trial = train.annotations["row"], train.annotations["trial"]
                assert segment.annotations == {"row": row, "trial": trial}
            unit = train.annotations["unit"]
            events.append(np.stack(np.broadcast_arrays(row, trial, steps, unit)))
    return as_events(*np.concatenate(events, axis=1))


@pytest.mark.parametrize("kind", ["trials", "stream"])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_neo_has_every_spike(recordings, kind, data):
    pytest.importorskip("neo")
    recording = data.draw(random_spikes(recordings[kind]))
    block = recording.to_neo()
    assert all(len(segment.spiketrains) == 8 for segment in block.segments)
    events = events_of_neo(block, recording.timing.dt, recording.n_steps)
    assert_array_equal(events, events_of(recording))


def test_neo_times_are_those_of_the_recording(recordings):
    pytest.importorskip("neo")
    recording = recordings["trials"]
    for segment in recording.to_neo().segments:
        row, trial = segment.annotations["row"], segment.annotations["trial"]
        spikes = recording.spikes
        spikes = spikes[(spikes["row"] == row) & (spikes["trial"] == trial)]
        for train in segment.spiketrains:
            times = spikes["time"][spikes["unit"] == train.annotations["unit"]]
            assert_array_equal(train.rescale("ms").magnitude, times)
            assert float(train.t_start) == 0.0
            assert float(train.t_stop.rescale("ms")) == pytest.approx(67 * 0.3)


def test_neo_finds_the_spike_trains_of_a_unit(recordings):
    pytest.importorskip("neo")
    block = recordings["trials"].to_neo()
    names = ["row 0, trial 0", "row 0, trial 1", "row 1, trial 0", "row 1, trial 1",
             "row 2, trial 0", "row 2, trial 1"]  # fmt: skip
    assert [segment.name for segment in block.segments] == names
    assert block.annotations["n_trials"] == 2
    counts = count(recordings["trials"])
    trains = block.filter(objects="SpikeTrain", unit=int(counts.argmax()))
    assert [train.segment.name for train in trains] == names
    assert sum(map(len, trains)) == counts.max() > 0
    assert sum(map(len, block.filter(objects="SpikeTrain", unit=SILENT))) == 0


def test_neo_has_the_signals_of_the_recording(recording):
    pytest.importorskip("neo")
    n_steps = recording.n_steps
    for segment in recording.to_neo(["potentials", "inputs"]).segments:
        potentials, inputs = segment.analogsignals
        assert (potentials.name, inputs.name) == ("potentials", "inputs")
        assert_array_equal(potentials.array_annotations["unit"], np.arange(8))
        assert_array_equal(inputs.array_annotations["feature"], np.arange(64))
        for signal in (potentials, inputs):
            assert str(signal.times.dimensionality) == "ms"
            assert_allclose(signal.times.magnitude, np.arange(len(signal)) * 0.3)
        if segment.name == "stream":
            presentations = [(row, 0) for row in range(5)]
        else:
            presentations = [(segment.annotations["row"], segment.annotations["trial"])]
        for i, (row, trial) in enumerate(presentations):
            steps = slice(i * n_steps, (i + 1) * n_steps)
            assert_array_equal(potentials.magnitude[steps], recording.potentials(row, trial))
            assert_array_equal(inputs.magnitude[steps], recording.inputs(row))


@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_neo_cuts_a_stream_into_its_rows(recordings, data):
    """A spike at an onset belongs to one row only, although slices of neo include both ends."""
    pytest.importorskip("neo")
    from neo.utils import cut_segment_by_epoch

    recording = data.draw(random_spikes(recordings["stream"]))
    (segment,) = recording.to_neo(["traces"]).segments
    rows = cut_segment_by_epoch(segment, segment.epochs[0], reset_time=True)
    assert len(rows) == 5
    for row, part in enumerate(rows):
        assert part.annotations["row"] == row
        assert_array_equal([len(train) for train in part.spiketrains], count(recording, row=row))
        assert_array_equal(part.analogsignals[0].magnitude, recording.traces(row))


def test_neo_survives_a_pickle(recording):
    pytest.importorskip("neo")
    block = recording.to_neo(["potentials"])
    loaded = pickle.loads(pickle.dumps(block))
    dt, n_steps = recording.timing.dt, recording.n_steps
    assert_array_equal(events_of_neo(loaded, dt, n_steps), events_of(recording))
    assert loaded.annotations == block.annotations


def test_neo_survives_nwb(recordings, tmp_path):
    """Files of NWB keep names, but no annotations."""
    neo = pytest.importorskip("neo")
    pytest.importorskip("pynwb")
    from datetime import UTC, datetime

    block = recordings["trials"].to_neo()
    block.annotate(session_start_time=datetime(2000, 1, 1, tzinfo=UTC))
    neo.io.NWBIO(str(tmp_path / "recording.nwb"), "w").write_all_blocks([block], validate=False)
    (loaded,) = neo.io.NWBIO(str(tmp_path / "recording.nwb"), "r").read_all_blocks()
    for before, after in zip(block.segments, loaded.segments, strict=True):
        assert before.name == after.name
        for train, saved in zip(before.spiketrains, after.spiketrains, strict=True):
            assert train.name == saved.name
            assert_allclose(saved.rescale("ms").magnitude, train.magnitude)


def test_elephant_computes_rates_of_every_neuron(recording):
    statistics = pytest.importorskip("elephant.statistics")
    for segment in recording.to_neo().segments:
        which, n_together = segment.annotations, recording.n_rows
        if segment.name != "stream":
            n_together = 1
        rates = [statistics.mean_firing_rate(train).rescale("Hz") for train in segment.spiketrains]
        duration = n_together * 67 * 0.3e-3
        assert_allclose(rates, count(recording, **which) / duration)


def test_elephant_computes_rates_over_time(recordings):
    """The integral of the rate is the number of spikes."""
    statistics = pytest.importorskip("elephant.statistics")
    from elephant.kernels import GaussianKernel
    from quantities import ms

    (segment,) = recordings["stream"].to_neo().segments
    rates = statistics.instantaneous_rate(
        segment.spiketrains,
        sampling_period=0.3 * ms,
        kernel=GaussianKernel(5 * ms),
        border_correction=True,
    )
    n_spikes = rates.rescale("1/ms").magnitude.sum(axis=0) * 0.3
    assert_allclose(n_spikes, count(recordings["stream"]), rtol=0.02)


def test_elephant_computes_correlations(recordings):
    conversion = pytest.importorskip("elephant.conversion")
    from elephant.spike_train_correlation import correlation_coefficient
    from quantities import ms

    recording = recordings["stream"]
    (segment,) = recording.to_neo().segments
    binned = conversion.BinnedSpikeTrain(segment.spiketrains, bin_size=0.3 * ms)
    raster = np.concatenate([recording.rasters(row) for row in range(5)])
    assert_array_equal(binned.to_array(), raster.T)

    active = np.flatnonzero(raster.any(axis=0))
    binned = conversion.BinnedSpikeTrain(
        [segment.spiketrains[unit] for unit in active], bin_size=67 * 0.3 * ms
    )
    counts = np.array([count(recording, row=row)[active] for row in range(5)])
    assert_allclose(correlation_coefficient(binned), np.corrcoef(counts.T), atol=1e-12)


# pynapple


@pytest.mark.parametrize("kind", ["trials", "stream"])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_pynapple_has_every_spike_in_its_presentation(recordings, kind, data):
    pytest.importorskip("pynapple")
    recording = data.draw(random_spikes(recordings[kind]))
    spikes, presentations = recording.to_pynapple()
    assert list(spikes.keys()) == list(range(8))
    events = [np.empty((4, 0))]
    for i in range(len(presentations)):
        row, trial = presentations["row"][i], presentations["trial"][i]
        for unit, train in spikes.restrict(presentations[i]).items():
            times = train.t - presentations.start[i]
            steps = np.rint(times * 1e3 / recording.timing.dt)
            assert_allclose(times * 1e3, steps * recording.timing.dt, rtol=0, atol=2e-6)  # 2 ns
            events.append(np.stack(np.broadcast_arrays(row, trial, steps, unit)))
    assert_array_equal(as_events(*np.concatenate(events, axis=1)), events_of(recording))
    assert sum(map(len, spikes.values())) == len(recording.spikes)


def test_pynapple_rates_count_silent_neurons_and_all_time(recording):
    pytest.importorskip("pynapple")
    spikes, presentations = recording.to_pynapple()
    n = recording.n_rows * recording.n_trials
    assert len(presentations) == n
    assert_array_equal(presentations["row"], np.repeat(np.arange(n // recording.n_trials),
                                                       recording.n_trials))  # fmt: skip
    assert_allclose(spikes["rate"], count(recording) / (n * 67 * 0.3e-3))
    assert spikes["rate"][SILENT] == 0.0


@pytest.mark.parametrize("kind", ["trials", "stream"])
def test_pynapple_computes_tuning_curves(recordings, coder, kind):
    nap = pytest.importorskip("pynapple")
    recording = recordings[kind]
    spikes, presentations = recording.to_pynapple()
    n_rows, duration = recording.n_rows, recording.n_trials * 67 * 0.3e-3
    rates = [count(recording, row=row) / duration for row in range(n_rows)]

    epochs = {row: presentations[presentations["row"] == row] for row in range(n_rows)}
    response = nap.compute_response_per_epoch(spikes, epochs)
    assert_allclose(response.transpose("epochs", "unit"), rates, rtol=1e-6)

    # the same with the row as a feature at every step
    times = (presentations.start[:, np.newaxis] + recording.times() / 1e3).ravel()
    values = np.repeat(presentations["row"].to_numpy(float), recording.n_steps)
    feature = nap.Tsd(times, values, time_support=presentations)
    bins = [np.arange(n_rows + 1) - 0.5]
    curves = nap.compute_tuning_curves(spikes, feature, bins=bins, feature_names=["row"])
    assert_allclose(curves.transpose("row", "unit"), rates)


def test_pynapple_aligns_spikes_to_onsets(recordings):
    nap = pytest.importorskip("pynapple")
    recording = recordings["trials"]
    spikes, presentations = recording.to_pynapple()
    unit = count(recording).argmax()
    aligned = nap.compute_perievent(spikes[unit], nap.Ts(presentations.start), (0.0, 0.02))
    for i, train in aligned.items():
        raster = recording.rasters(*divmod(i, 2))[:, unit]
        assert_allclose(train.t * 1e3, recording.times()[raster], atol=1e-5)


def test_pynapple_pairs_no_spikes_of_different_presentations(recordings):
    """If a neuron spikes once in a presentation, no lag within one is found."""
    nap = pytest.importorskip("pynapple")
    recording = recordings["trials"]
    times = [0.0, 18.0, 0.0, 18.0, 0.0, 18.0]
    rows, trials = [0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1]
    spikes = np.array(list(zip(rows, trials, times, [0] * 6, strict=True)), recording.spikes.dtype)
    single = replace(recording, spikes=spikes)
    spikes, _ = single.to_pynapple()
    correlogram = nap.compute_autocorrelogram(spikes[[0]], 0.001, 0.019, norm=False)
    assert not correlogram.to_numpy().any()


# refusals


@pytest.mark.parametrize("package", ["pandas", "xarray", "neo", "pynapple"])
def test_without_the_package(recordings, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"Recording.to_{package} needs {package}: pip install skdendbal\[containers\]."
    with pytest.raises(ImportError, match=message):
        getattr(recordings["trials"], f"to_{package}")()


def test_variables_may_come_from_an_iterator(recordings):
    pytest.importorskip("xarray")
    dataset = recordings["trials"].to_xarray(reversed(["traces", "inputs"]))
    assert set(dataset) == {"spikes", "traces", "inputs"}
    pytest.importorskip("neo")
    segments = recordings["trials"].to_neo(reversed(["traces", "inputs"])).segments
    assert {signal.name for signal in segments[0].analogsignals} == {"traces", "inputs"}


@pytest.mark.parametrize("package", ["xarray", "neo"])
@pytest.mark.parametrize("variables", ["potentials", ["potential"], ["spikes"]])
def test_variables_that_do_not_exist(recordings, package, variables):
    pytest.importorskip(package)
    with pytest.raises(ValueError, match=r"variables=.* must be .* out of inputs, reconstr"):
        getattr(recordings["trials"], f"to_{package}")(variables)


@pytest.mark.parametrize("package", ["xarray", "neo"])
def test_what_does_not_fit_into_memory(recordings, package, monkeypatch):
    pytest.importorskip(package)
    convert = getattr(recordings["trials"], f"to_{package}")
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**6}  # 256 KiB
    monkeypatch.setattr("skdendbal._memory.os.sysconf", pages.get)
    message = r"3 rows in n_trials=2 of 67 steps with 8 neurons take .* Record fewer rows"
    convert(["potentials"])
    with pytest.raises(MemoryError, match=message):
        convert(["potentials", "inputs", "reconstructions"])
    monkeypatch.setattr("skdendbal._memory.os.sysconf", lambda name: 4)  # 16 bytes
    with pytest.raises(MemoryError, match=message):
        convert()
