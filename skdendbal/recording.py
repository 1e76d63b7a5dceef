"""Recordings: the spikes that rows evoke, and all that follows from them at every step.

Between spikes, traces only decay. So spikes are all that is kept; traces, currents, potentials and
reconstructions are computed from them when they are asked for, exactly.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.signal import lfilter
from scipy.special import expit

from . import _containers, _kernels
from ._memory import check_memory
from ._timing import Timing
from .network import StreamState

__all__ = ["Recording"]

_TIME_CONSTANTS_TO_ZERO = 746  # exp(-746) is 0 in double precision


@dataclass(frozen=True, eq=False)
class Recording:
    """The spikes that rows evoke, and what happens in the network meanwhile.

    Every row was presented to the network at rest, or the rows followed one another.

    :meth:`skdendbal.DendriticBalanceCoder.record` makes it. Inputs, currents and potentials are
    in units of the scaled input, traces in spikes, times in ms. Traces and potentials of a step
    are those from before its spikes. Methods raise an IndexError if there is no such row or trial.

    Parameters
    ----------
    spikes : ndarray of shape (n_spikes,)
        Structured array with the fields `row`, `trial`, `time` (ms from the onset of the row,
        start of the step in which the spike falls) and `unit`, sorted in this order.
    X : ndarray of shape (n_rows, n_features)
        The rows, divided by `scale`.
    scale : float
        What rows were divided by.
    n_trials : int
        Number of times each row was presented.
    timing : Timing
        Step, time constant, delay, and duration of a row, as ``timing.dt``, for example.
    weights : dict of str to ndarray
        Weights of the network, see :class:`skdendbal.network.Network`.
    dynamics : Dynamics
        What potentials and spikes follow from. Its `offset` has the shape (n_units,), or (n_rows,
        n_units) under a current that changes from row to row.
    start : StreamState, default=None
        Where a stream began. None: every row was presented to the network at rest.
    state : StreamState, default=None
        Where the stream has arrived, from which another recording can go on.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdendbal import DendriticBalanceCoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> coder = DendriticBalanceCoder(n_components=16, max_iter=3, random_state=0).fit(X)
    >>> recording = coder.record(X[:2], n_trials=3, random_state=0)
    >>> recording.n_units, recording.n_rows, recording.n_trials
    (16, 2, 3)
    >>> recording.potentials(row=1, trial=2).shape
    (400, 16)
    """

    spikes: np.ndarray
    X: np.ndarray = field(repr=False)
    scale: float
    n_trials: int
    timing: Timing = field(repr=False)
    weights: dict = field(repr=False)
    dynamics: _kernels.Dynamics = field(repr=False)
    start: StreamState | None = field(default=None, repr=False)
    state: StreamState | None = field(default=None, repr=False)

    @property
    def n_rows(self):
        """Number of rows."""
        return len(self.X)

    @property
    def n_units(self):
        """Number of neurons."""
        return len(self.dynamics.recurrent)

    @property
    def n_steps(self):
        """Number of steps of a presentation."""
        return self.timing.n_steps

    @property
    def duration(self):
        """Duration of a presentation in ms, a whole number of steps."""
        return self.n_steps * self.timing.dt

    @property
    def thresholds(self):
        """Potentials at which neurons spike in a step with probability 1/2, shape (n_units,).

        They include the current of an intervention. If it changes from row to row, they have the
        shape (n_rows, n_units).
        """
        return -self.dynamics.offset / self.dynamics.gain

    def times(self, *, every=1):
        """Return the times of steps.

        Parameters
        ----------
        every : int, default=1
            Take every so many steps, from the first one on.

        Returns
        -------
        times : ndarray of shape (n_taken,)
            Starts of the steps in ms from the onset of a row.
        """
        return np.arange(0, self.n_steps, every) * self.timing.dt

    def rasters(self, row=0, trial=0):
        """Return the spikes of a presentation, step by step.

        Parameters
        ----------
        row : int, default=0
            Row that was presented.
        trial : int, default=0
            Which of its presentations.

        Returns
        -------
        raster : ndarray of shape (n_steps, n_units), bool
            Whether a neuron spiked in a step.

        Raises
        ------
        IndexError
            If there is no such row or trial.
        MemoryError
            If the result does not fit into the memory of the machine.
        """
        _check_number("row", row, self.n_rows)
        _check_number("trial", trial, self.n_trials)
        check_memory(
            24 * self.n_steps * self.n_units,
            f"{self.n_steps} steps of {self.n_units} neurons",
            "Record for a shorter transform_time, or with a larger dt.",
        )
        raster = np.zeros((self.n_steps, self.n_units), dtype=bool)
        these = self._spikes_of_rows(row, row + 1)
        these = these[these["trial"] == trial]
        raster[np.round(these["time"] / self.timing.dt).astype(int), these["unit"]] = True
        return raster

    def traces(self, row=0, trial=0, *, units=None, every=1):
        """Return traces z: ``z(t + dt) = exp(-dt / tau) z(t) + s(t)`` for spikes s.

        Parameters
        ----------
        row, trial : int, default=0
            Which presentation.
        units : array-like of int, default=None
            Which neurons. None: all.
        every : int, default=1
            Take every so many steps, from the first one on.

        Returns
        -------
        traces : ndarray of shape (n_taken, n_units)
            From before the spikes of a step.
        """
        return _take(self._traces(row, trial), units, every)

    def inputs(self, row=0, *, every=1):
        """Return the input x as it fades in.

        Parameters
        ----------
        row : int, default=0
            Which row.
        every : int, default=1
            Take every so many steps, from the first one on.

        Returns
        -------
        inputs : ndarray of shape (n_taken, n_features)
            In units of the scaled input.
        """
        _check_number("row", row, self.n_rows)
        fade = self.timing.fade[::every]
        return np.outer(fade, self.X[row]) + np.outer(1.0 - fade, self._previous(row))

    def reconstructions(self, row=0, trial=0, *, every=1):
        """Return the running reconstruction D z of the input.

        Parameters
        ----------
        row, trial : int, default=0
            Which presentation.
        every : int, default=1
            Take every so many steps, from the first one on.

        Returns
        -------
        reconstructions : ndarray of shape (n_taken, n_features)
            In units of the scaled input, read from the traces by the decoder of the network.
        """
        return self.traces(row, trial, every=every) @ self.weights["decoder"].T

    def codes(self, row=0, trial=0, *, until=None):
        """Return what the spikes so far say of the code of a row.

        In the end these are firing rates as `transform` counts them. Balance holds traces at the
        code c times the weight w with which the row has faded in. Until a step this takes
        ``c (w + (1 - exp(-dt / tau)) sum w)`` spikes, with all steps before it in the sum.

        Parameters
        ----------
        row, trial : int, default=0
            Which presentation.
        until : array-like of float, default=None
            Times in ms from the onset of the row, rounded to steps, until which spikes count.
            None: the ends of all steps.

        Returns
        -------
        codes : ndarray of shape (n_times, n_units)
            Firing rates in spikes per time constant, not negative.

        Raises
        ------
        ValueError
            If the row follows another one, whose spikes act on it, or a time is out of range.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> coder.record(X[:1], random_state=0).codes(until=[2, 4, 8, 16]).shape
        (4, 16)
        """
        if self.start is not None:
            raise ValueError(
                "Codes count the spikes of rows that are presented at rest: record with "
                "continuous=False, or take reconstructions() of a stream."
            )
        steps = np.arange(1, self.n_steps + 1) if until is None else self._find_steps(until)
        counts = np.cumsum(self.rasters(row, trial), axis=0)
        fade, per_spike = self.timing.fade, self.timing.trace_per_spike
        needed = fade + np.append(0.0, np.cumsum(fade)[:-1]) / per_spike  # spikes for a code of 1
        codes = counts / needed[:, np.newaxis]
        return np.vstack([np.zeros(self.n_units), codes])[steps]

    def animate(
        self,
        path=None,
        *,
        rows=None,
        trial=0,
        image_shape=None,
        on_off=False,
        order=None,
        n_frames=50,
        frames_per_second=10,
    ):
        """Return or save an animation of rows appearing in the spikes that they evoke.

        Above a raster that fills up with time are the rows as they fade in, and below it what the
        network reads from the spikes so far: the codes of :meth:`codes` times the weight of the
        row and the decoder of the network, or, in a stream, the traces times the decoder.

        Parameters
        ----------
        path : str or path-like, default=None
            File to write, whose name ends in ".gif" or ".webp". None: only return the animation.
        rows : array-like of int, default=None
            Rows to show one after the other. None: all.
        trial : int, default=0
            Which of their presentations.
        image_shape : tuple of (int, int), default=None
            Height and width of a row as an image in pixels. None means square images.
        on_off : bool, default=False
            Whether features are ON channels and then OFF channels, of which to show the
            differences.
        order : array-like of int, default=None
            Numbers of the units to draw, from bottom to top. None: all, sorted as in
            :meth:`skdendbal.display.RasterDisplay.from_recording`.
        n_frames : int, default=50
            Number of frames for all rows together, at equal intervals of time, at most 500. The
            last one stays for a second.
        frames_per_second : float, default=10
            Frames shown in a second.

        Returns
        -------
        animation : matplotlib FuncAnimation
            The animation, for a notebook as ``HTML(animation.to_jshtml())``.

        Raises
        ------
        IndexError
            If there is no such row or trial.
        ValueError
            If the features do not fill `image_shape`, or a number is out of range.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, transform_time=20.0)
        >>> recording = coder.fit(X).record(X[:1])
        >>> "<img" in recording.animate(n_frames=2).to_jshtml()
        True
        >>> recording.animate("digit.webp")  # doctest: +SKIP
        """
        from .display._animation import animate

        return animate(
            self, path, rows, trial, image_shape, on_off, order, n_frames, frames_per_second
        )

    def currents(self, row=0, trial=0, *, units=None, every=1):
        """Return what feedforward and recurrent connections add to somatic potentials.

        The recurrent current balances the feedforward one. Signs of weights are not constrained,
        so that neither is purely excitatory or inhibitory.

        Parameters
        ----------
        row, trial : int, default=0
            Which presentation.
        units : array-like of int, default=None
            Which neurons. None: all.
        every : int, default=1
            Take every so many steps, from the first one on.

        Returns
        -------
        feedforward : ndarray of shape (n_taken, n_units)
            ``F x``.
        recurrent : ndarray of shape (n_taken, n_units)
            ``W z``. With a delay, a neuron sees its own trace as it is, and others later.
        """
        recurrent = self.dynamics.recurrent
        feedforward = self.inputs(row) @ self.dynamics.feedforward
        traces = self._traces(row, trial)
        late = self._late_traces(row, trial, traces)
        own = (traces - late) * recurrent.diagonal()
        return _take(feedforward, units, every), _take(late @ recurrent + own, units, every)

    def potentials(self, row=0, trial=0, *, units=None, every=1):
        """Return somatic potentials u, ``u = F x + W z``.

        Parameters
        ----------
        row, trial : int, default=0
            Which presentation.
        units : array-like of int, default=None
            Which neurons. None: all.
        every : int, default=1
            Take every so many steps, from the first one on.

        Returns
        -------
        potentials : ndarray of shape (n_taken, n_units)
            The sums of both currents.
        """
        return sum(self.currents(row, trial, units=units, every=every))

    def dendritic_currents(self, unit, row=0, trial=0, *, every=1):
        """Return what reaches the compartments of a neuron, one for every input.

        Their sum is the potential of a compartment, ``u_ji = F_ji x_i + sum_k W^d_jik z_k``. In
        exact balance it is ``F_ji (x - D z)_i``, the coding error of the input of the compartment.

        Parameters
        ----------
        unit : int
            The neuron j.
        row, trial : int, default=0
            Which presentation.
        every : int, default=1
            Take every so many steps, from the first one on.

        Returns
        -------
        feedforward : ndarray of shape (n_taken, n_features)
            ``F_ji x_i``.
        recurrent : ndarray of shape (n_taken, n_features)
            ``sum_k W^d_jik z_k``.

        Raises
        ------
        ValueError
            If the neurons have no compartments: with a somatic rule, or if weights were replaced
            so that exact balance is lost.
        """
        own_weights = self.dynamics.feedforward[:, unit]
        if "dendritic" in self.weights:
            dendritic = self.weights["dendritic"][:, unit, :]
        else:
            dendritic = -own_weights[:, np.newaxis] * self.weights["decoder"]  # in exact balance
            if not np.allclose(dendritic.sum(axis=0), self.dynamics.recurrent[:, unit]):
                raise ValueError(
                    "The neurons have no dendritic compartments, as their recurrent weights are "
                    "not those of exact balance: take a dendritic rule, replace the decoder and "
                    "recurrent weights together, or take currents() of the soma."
                )
        traces = self._traces(row, trial)
        late = self._late_traces(row, trial, traces)
        late[:, unit] = traces[:, unit]  # a neuron's connection to itself is not late
        return self.inputs(row, every=every) * own_weights, late[::every] @ dendritic.T

    def spike_probabilities(self, row=0, trial=0, *, units=None, every=1):
        """Return the probabilities with which neurons spike in a step.

        Parameters
        ----------
        row, trial : int, default=0
            Which presentation.
        units : array-like of int, default=None
            Which neurons. None: all.
        every : int, default=1
            Take every so many steps, from the first one on.

        Returns
        -------
        probabilities : ndarray of shape (n_taken, n_units)
            ``1 / (1 + exp(-a))`` with the logit ``a = (u + c w_jj) / sigma^2 + bias``. Where at
            most one neuron spikes in a step, this is multiplied by the probability that no more
            probable one does.
        """
        offsets = np.broadcast_to(self.dynamics.offset, (self.n_rows, self.n_units))
        logits = self.dynamics.gain * self.potentials(row, trial, every=every) + offsets[row]
        probabilities = expit(logits)
        if self.dynamics.one_spike:
            # by logits, as large ones have the same probability, 1.0, after rounding
            order = np.argsort(-logits, axis=1, kind="stable")
            no_other = np.cumprod(expit(-np.take_along_axis(logits, order, axis=1)), axis=1)
            kept = np.take_along_axis(probabilities, order, axis=1)
            kept[:, 1:] *= no_other[:, :-1]
            np.put_along_axis(probabilities, order, kept, axis=1)
        return _take(probabilities, units, 1)

    def to_pandas(self):
        """Return the spikes as a DataFrame of pandas, one row for every spike.

        Returns
        -------
        spikes : pandas.DataFrame of shape (n_spikes, 4)
            With the columns `row`, `trial`, `unit` and `time` (ms from the onset of the row), in
            the order of rows, trials and times. Its ``attrs`` keep what spikes alone do not tell:
            `n_units`, `n_rows`, `n_trials`, `duration` of a presentation, `dt` and `tau` in ms,
            and `scale`. In a stream, ``row * duration + time`` goes on from row to row.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=3, random_state=0).fit(X)
        >>> spikes = coder.record(X[:2], n_trials=3, random_state=0).to_pandas()

        Rows or neurons without any spike are missing from such a table; put them back as zeros:

        >>> counts = spikes.groupby(["row", "unit"]).size().unstack(fill_value=0)
        >>> units = range(spikes.attrs["n_units"])
        >>> counts.reindex(index=range(2), columns=units, fill_value=0).shape
        (2, 16)
        """
        return _containers.to_pandas(self)

    def to_xarray(self, variables=()):
        """Return a Dataset of xarray: the spikes as a raster, and what else is asked for.

        Parameters
        ----------
        variables : sequence of str, default=()
            What to compute at every step beside the spikes: any of "inputs", "reconstructions",
            "traces", "feedforward_currents", "recurrent_currents", "potentials" and
            "spike_probabilities".

        Returns
        -------
        dataset : xarray.Dataset
            `spikes` are a bool array with the dimensions `row`, `trial`, `time` and `unit`. So are
            the other variables, but of floats, and with `feature` in place of `unit` for inputs
            and reconstructions. Their attribute `units` is the unit of measurement. The coordinate
            `time` is in ms from the onset of the row. A stream also has the coordinate `onset` of
            its rows in ms, and ``onset + time`` goes on from row to row. The attributes of the
            dataset are those of :meth:`to_pandas`.

        Raises
        ------
        ImportError
            If xarray is not installed.
        MemoryError
            If the result does not fit into the memory of the machine.
        ValueError
            If a variable has another name.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=3, random_state=0).fit(X)
        >>> recording = coder.record(X[:2], n_trials=3, random_state=0)
        >>> dataset = recording.to_xarray(variables=["potentials"])
        >>> dict(dataset.sizes)
        {'row': 2, 'trial': 3, 'time': 400, 'unit': 16}
        >>> late = dataset.potentials.sel(row=1, time=slice(50.0, 100.0))
        >>> late.mean(["trial", "time"]).dims
        ('unit',)
        """
        return _containers.to_xarray(self, variables)

    def to_neo(self, variables=()):
        """Return a Block of neo, for elephant and for the files that neo writes.

        Every presentation is a segment, in the order of rows and trials, and its times begin at
        its onset. A stream is one segment with an epoch for every row, along which
        ``neo.utils.cut_segment_by_epoch`` cuts it into rows. Since slices of neo include both
        ends, each epoch ends 1 ns before the next begins: a spike at an onset belongs to one row.
        Times of a stream begin at 0 even if it goes on from the `state` of another recording.

        Parameters
        ----------
        variables : sequence of str, default=()
            What to compute at every step beside the spikes, as in :meth:`to_xarray`. Each becomes
            an analog signal with a channel for every unit or feature.

        Returns
        -------
        block : neo.Block
            Every segment has a spike train in ms for each unit, silent ones included. Spike trains
            are annotated with their `unit`, channels of signals with their `unit` or `feature`,
            and the block with the attributes of :meth:`to_pandas`. Unless they are those of a
            stream, segments, spike trains and signals are also annotated with `row` and `trial`.

        Raises
        ------
        ImportError
            If neo is not installed.
        MemoryError
            If the result does not fit into the memory of the machine.
        ValueError
            If a variable has another name.

        Notes
        -----
        Every spike train takes neo about 0.2 ms and 4 KB, so that 64 neurons in 1000 presentations
        take some 10 s and 250 MB.

        Files of NWB need a date, ``block.annotate(session_start_time=...)``, and keep names, such
        as "row 0, trial 1" and "unit 5", but no annotations.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=3, random_state=0).fit(X)
        >>> block = coder.record(X[:2], n_trials=3, random_state=0).to_neo()
        >>> [segment.name for segment in block.segments[:2]]
        ['row 0, trial 0', 'row 0, trial 1']
        >>> len(block.filter(objects="SpikeTrain", unit=5))
        6
        """
        return _containers.to_neo(self, variables)

    def to_pynapple(self):
        """Return the spikes as a TsGroup of pynapple, with an IntervalSet of presentations.

        All presentations lie on one time line, in the order of rows and trials. After each comes
        a pause of the same length, so that correlograms up to the duration of a presentation do
        not pair spikes of different presentations. The rows of a stream follow one another without
        a pause; since epochs of pynapple include both ends and may not touch, each ends 1 ns
        before the next begins. Times begin at 0 even if the stream goes on from the `state` of
        another recording.

        Returns
        -------
        spikes : pynapple.TsGroup
            Times of the spikes of every unit in s, silent units included. The time support is
            that of all presentations, or the whole of a stream.
        presentations : pynapple.IntervalSet
            Start and end of every presentation in s, with the metadata `row` and `trial`.

        Raises
        ------
        ImportError
            If pynapple is not installed.

        Notes
        -----
        Give a feature for ``pynapple.compute_tuning_curves`` the `presentations` as its time
        support. Otherwise pynapple counts the pauses when it estimates the sampling rate of the
        feature, and the rates come out too low.

        Examples
        --------
        >>> import pynapple as nap
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=3, random_state=0).fit(X)
        >>> recording = coder.record(X[:2], n_trials=3, random_state=0)
        >>> spikes, presentations = recording.to_pynapple()
        >>> len(spikes), len(presentations)
        (16, 6)

        Rates in Hz that each row evokes:

        >>> epochs = {row: presentations[presentations["row"] == row] for row in range(2)}
        >>> nap.compute_response_per_epoch(spikes, epochs).shape
        (16, 2)
        """
        return _containers.to_pynapple(self)

    def _spikes_of_rows(self, start, stop):
        """Return the spikes of rows from `start` up to `stop`."""
        return self.spikes[slice(*np.searchsorted(self.spikes["row"], [start, stop]))]

    def _find_steps(self, until):
        """Return the numbers of steps until some times in ms from the onset of a row."""
        steps = np.round(np.asarray(until, dtype=np.float64) / self.timing.dt)
        if not np.all((steps >= 0.0) & (steps <= self.n_steps)):
            raise ValueError(
                f"until={until} must be from 0 to {self.duration} ms, which the presentation "
                "lasts: record with a longer transform_time."
            )
        return steps.astype(int)

    def _previous(self, row):
        """Return the row that fades out."""
        if self.start is None:
            return np.zeros(self.X.shape[1])
        return self.X[row - 1] if row > 0 else self.start.lanes.previous[0]

    def _traces(self, row, trial):
        decay = self.timing.decay
        traces = lfilter([0.0, 1.0], [1.0, -decay], self.rasters(row, trial), axis=0)
        if self.start is not None:
            steps, units = self._spikes_in_stream(row)
            began = self._left_from(self.start.lanes.traces[0], steps, units, row)
            traces += np.outer(decay ** np.arange(len(traces)), began)
        return traces

    def _late_traces(self, row, trial, traces):
        """Return traces, which are given, as other neurons see them."""
        lag, decay = self.timing.delay_steps - 1, self.timing.decay
        late = np.zeros_like(traces)
        if self.start is None or lag == 0:
            late[lag:] = traces[: len(traces) - lag]
            return late
        lanes = self.start.lanes
        on_the_way, (steps, units) = np.nonzero(lanes.in_flight[0]), self._spikes_in_stream(row)
        steps = np.concatenate([on_the_way[0], steps + lag])
        units = np.concatenate([on_the_way[1], units])
        now = steps // self.n_steps == row
        late[steps[now] - row * self.n_steps, units[now]] = 1.0  # arrivals
        began = self._left_from(lanes.late_traces[0], steps, units, row)
        late = lfilter([0.0, 1.0], [1.0, -decay], late, axis=0)
        return late + np.outer(decay ** np.arange(len(late)), began)

    def _spikes_in_stream(self, row):
        """Return steps since the start of a stream, and units, of spikes that act on a row."""
        n_rows_before = math.ceil(_TIME_CONSTANTS_TO_ZERO * self.timing.tau / self.duration) + 1
        spikes = self._spikes_of_rows(row - n_rows_before, row + 1)
        steps = np.round(spikes["time"] / self.timing.dt).astype(int)
        return spikes["row"] * self.n_steps + steps, spikes["unit"]

    def _left_from(self, traces, steps, units, row):
        """Return what traces at the start and spikes since have left at the onset of a row."""
        onset, decay = row * self.n_steps, self.timing.decay
        before = steps < onset
        left = decay ** (onset - 1.0 - steps[before])
        return decay**onset * traces + np.bincount(units[before], left, self.n_units)


def _check_number(name, number, n):
    """Refuse the number of a row or trial that was not recorded."""
    if not 0 <= number < n:
        raise IndexError(f"{name}={number} is not one of the {n} that were recorded.")


def _take(values, units, every):
    """Return some steps of some neurons."""
    values = values[::every]
    return values if units is None else values[:, units]
