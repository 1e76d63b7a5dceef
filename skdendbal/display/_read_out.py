"""What the spikes so far tell of a row, in units of the data."""

import numpy as np


def read_out(recording, row, trial, until):
    """Return how a row is read out at some times.

    Rows that were presented at rest are read from their spikes so far, as :meth:`Recording.codes`
    counts them, those of a stream from the traces. The decoder is that of the network.

    Parameters
    ----------
    recording : Recording
        The recording.
    row, trial : int
        Which presentation.
    until : ndarray of shape (n_times,)
        Times in ms from the onset of the row.

    Returns
    -------
    reconstructions : ndarray of shape (n_times, n_features)
        In units of the data.

    Raises
    ------
    IndexError
        If there is no such row or trial.
    ValueError
        If a time is not one of the presentation.
    """
    if recording.start is None:
        codes = recording.codes(row, trial, until=until)
    else:
        steps = np.minimum(recording._find_steps(until), recording.n_steps - 1)
        codes = recording.traces(row, trial)[steps]
    return codes @ recording.weights["decoder"].T * recording.scale
