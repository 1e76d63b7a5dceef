"""Random numbers that are counted, not carried: number i of a stream follows from its key.

All are outputs of splitmix64, a generator whose state is a counter. Presentations and rows have
streams of their own, so that they can be computed in any order and anywhere.
"""

import numpy as np

from .bits import make_bit_cast
from .compilation import compiled

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S12, S27, S30, S31 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31)
to_bits = make_bit_cast(np.float64, np.uint64)
ROW_GRID = 2.0**20  # rows that are equal when rounded to 2^-20 of the scale share their numbers


@compiled(inline="always")
def mix(z):
    """Finaliser of splitmix64: a bijection of 64-bit integers."""
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return z ^ (z >> S31)


@compiled(inline="always")
def uniform(key, i):
    """Number i of the stream that starts at `key`, strictly inside (0, 1)."""
    h = mix(key + GOLDEN * np.uint64(i + 1))
    return (np.float64(np.int64(h >> S12)) + 0.5) * 2.0**-52


@compiled()
def stream_key(seed, index):
    """Key of the stream of presentation number `index`."""
    return mix(mix(np.uint64(seed) + GOLDEN) ^ (np.uint64(index) * MIX_1 + GOLDEN))


@compiled()
def row_key(
    x,  # IN (n_features,) normalised row
    seed,
):
    """Key of the stream that belongs to the values of a row."""
    h = mix(np.uint64(seed) + GOLDEN)
    for i in range(x.shape[0]):
        rounded = np.rint(x[i] * ROW_GRID) + 0.0  # + 0.0 turns -0.0 into 0.0
        h = mix(h ^ to_bits(rounded)) + GOLDEN
    return h
