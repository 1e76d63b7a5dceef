"""The named tuples that kernels take, and their working memory."""

from collections import namedtuple

import numpy as np

from .thinning import BLOCK, MAX_CANDIDATES, MAX_SPIKES, PADDING_LOGIT

Dynamics = namedtuple(  # what logits follow from; fixed while stimuli are presented
    "Dynamics",
    [
        "feedforward",  # (n_features, n_units) F^T
        "recurrent",  # (n_units, n_units) row k: what a spike of k adds to the potentials
        "offset",  # (n_units,) logit without input: bias and self-inhibition
        "gain",  # 1 / sigma^2, from potential to logit
        "one_spike",  # whether at most one neuron spikes in a step
    ],
)
Clock = namedtuple(
    "Clock",
    [
        "fade",  # (n_steps,) weight of the new stimulus at each step
        "n_fading",  # steps at which that is below 1
        "powers",  # (n_steps + 1,) decay over 0, 1, ... steps
        "decay_bounds",  # (longest + 1, 3) of a decay over a window, see `make_decay_bounds`
        "delay_steps",  # from a spike to its first effect on other neurons, at least 1
    ],
)
# What a spike leaves behind, summed over the rest of a presentation. Entry t + 1 belongs to a
# spike of step t, entry 0 to the traces at the start.
Tails = namedtuple(
    "Tails",
    [
        "new",  # (n_steps + 1,) sum of the tail times the weight of the new stimulus
        "old",  # (n_steps + 1,) the same for the previous stimulus
        "square",  # (n_steps + 1,) sum of the squared tail
    ],
)
Lanes = namedtuple(  # copies of the network that run side by side: what each carries on
    "Lanes",
    [
        "is_new",  # (n_lanes,) whether the lane has had no stimulus yet
        "previous",  # (n_lanes, n_features) the stimulus that fades out
        "stimuli",  # (n_lanes, n_features) the stimulus that fades in
        "traces",  # (n_lanes, n_units) traces z
        "late_traces",  # (n_lanes, n_units) those of the spikes that have arrived; or (n_lanes, 0)
        "in_flight",  # (n_lanes, delay_steps - 1, n_units) row t: spikes that arrive at step t
    ],
)
LaneSums = namedtuple(  # over the steps of presentations, z being the traces before each step
    "LaneSums",
    [
        "spike_counts",  # (n_lanes, n_units); at rest (n_rows, n_units), the codes
        "wz",  # (n_lanes, 2, n_units) sums of z times the weight of x_new, and of x_old
        "crossed",  # (n_lanes, n_units) sums of traces of new spikes times the decay of old traces
        "half_zz",  # (n_units, n_units) G with G + G^T the sum of z z^T, both since the start
    ],
)
Scratch = namedtuple(
    "Scratch",
    [
        # of n_units, filled up to whole blocks
        "stimulus",  # (2, n_filled) logit under the previous stimulus, and what the new one adds
        "rounded",  # (2, n_filled) float32, the same; row 0 is rounded up by more than is lost
        "current",  # (n_filled,) recurrent part of the logit
        "bounds",  # (2, n_filled) float32, of the hazard at the start of a window and at its end
        "sums",  # (n_blocks,) bound of the hazard of a block over the window
        "candidates",  # (MAX_CANDIDATES, 3) steps into the window, unit, bound of the hazard there
        "spikes",  # (capacity, 2) step, unit
        "due",  # (delay_steps - 1,) entry t % (delay_steps - 1): whether spikes arrive at step t
        "active",  # (n_units,) the units that have spiked
        "fresh",  # (n_units,) traces of the spikes of this presentation, zero between them
    ],
)


def make_scratch(n_units, delay_steps):
    """Return the working memory of a presentation."""
    n_blocks = -(-n_units // BLOCK)
    n_filled = n_blocks * BLOCK
    stimulus, rounded = np.zeros((2, n_filled)), np.zeros((2, n_filled), dtype=np.float32)
    stimulus[0, n_units:] = rounded[0, n_units:] = PADDING_LOGIT
    return Scratch(
        stimulus,
        rounded,
        np.zeros(n_filled),
        np.zeros((2, n_filled), dtype=np.float32),
        np.empty(n_blocks),
        np.empty((MAX_CANDIDATES, 3)),
        np.empty((MAX_SPIKES + n_units, 2), dtype=np.int64),
        np.zeros(delay_steps - 1, dtype=bool),
        np.empty(n_units, dtype=np.int64),
        np.zeros(n_units),
    )
