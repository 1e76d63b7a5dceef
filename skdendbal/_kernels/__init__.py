"""Compiled code. Numba compiles it when it is first called."""

from .arguments import Clock, Dynamics, Lanes, LaneSums, Scratch, Tails, make_scratch
from .compilation import WORK_PER_CALL, call_interruptibly
from .intervals import IntervalArrays, split_into_intervals
from .presentation import present
from .random_numbers import stream_key
from .settling import settle_rows
from .simultaneous import learn_simultaneously
from .spike_function import logit_of_probability
from .thinning import make_decay_bounds

__all__ = [
    "WORK_PER_CALL",
    "Clock",
    "Dynamics",
    "IntervalArrays",
    "LaneSums",
    "Lanes",
    "Scratch",
    "Tails",
    "call_interruptibly",
    "learn_simultaneously",
    "logit_of_probability",
    "make_decay_bounds",
    "make_scratch",
    "present",
    "settle_rows",
    "split_into_intervals",
    "stream_key",
]
