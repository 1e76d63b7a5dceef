"""The spike function: the probability with which the logit of a neuron makes it spike in a step.

A neuron whose logit is a spikes with probability ``p = 1 / (1 + e^-a)``. Its hazard in the step is
``-log(1 - p) = log(1 + e^a)``: points of a Poisson process with this intensity fall into the step
with probability p. Spikes are drawn from such a process by thinning, which needs bounds that
are never below the hazard. These are cheap because they need no exponential: a number in single
precision whose bits grow linearly with a runs above e^a, along chords from one power of two to the
next, by at most 6 %. Single precision suffices as long as everything is rounded up.

Another spike function is another version of this file. Sampling uses nothing of it but the
functions and MIN_BOUND_OF_POSITIVE_LOGIT; tests also use MAX_LOGIT.
"""

import math

import numpy as np
from numba import types
from numba.extending import intrinsic

from .bits import make_bit_cast
from .compilation import COMPILES, compiled

MAX_LOGIT = 40.0  # with a hazard of 40: not to spike has a probability below the rounding of 1
# The bits of e^a in single precision are about a * BITS_PER_LOGIT + BITS_OF_ONE, rounded up.
BITS_PER_LOGIT = np.float32(2.0**23 / math.log(2.0))
BITS_OF_ONE = np.float32(127.0 * 2.0**23 + 256.0)
MAX_BITS = np.float32(2e9)  # of a number whose sums are still finite
ZERO, LOG_2, MAX_LOGIT_32 = np.float32(0.0), np.float32(0.69315), np.float32(MAX_LOGIT)
from_bits = make_bit_cast(np.int32, np.float32)
MIN_BOUND_OF_POSITIVE_LOGIT = 0.69  # just below log 2, the hazard of logit 0


def logit_of_probability(p):
    """Return the logit at which a neuron spikes with probability `p` in a step."""
    return math.log(p / (1.0 - p))


@compiled(inline="always")
def spike_probability(a):
    """Probability that a neuron with logit `a` spikes in a step."""
    return 1.0 / (1.0 + math.exp(-a))


@compiled(inline="always")
def is_below_hazard(value, a):
    """Whether a value is below ``log(1 + e^a)``, the hazard of logit `a`."""
    e = math.exp(min(a, MAX_LOGIT))
    if e - 0.5 * e * e <= value < e:  # otherwise the logarithm is not needed
        return value < math.log1p(e)
    return value < e


if COMPILES:

    @intrinsic
    def fma(typingctx, a, b, c):
        """``a * b + c``, rounded once."""

        def codegen(context, builder, signature, args):
            return builder.fma(*args)

        return types.float32(types.float32, types.float32, types.float32), codegen

else:

    def fma(a, b, c):
        """``a * b + c``, rounded almost once."""
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))


@compiled(inline="always")
def bound_in_step(a):
    """Bound of the hazard of logit `a`, in single precision."""
    # log(1 + e^a) <= a + log 2 for positive a
    below = from_bits(np.int32(max(fma(min(a, ZERO), BITS_PER_LOGIT, BITS_OF_ONE), ZERO)))
    return min(a, MAX_LOGIT_32) + LOG_2 if a > ZERO else below


@compiled(inline="always")
def bound_on_line(a):
    """Bound of the hazard of logit `a`, in single precision.

    While a logit moves along a straight line, its hazards stay below the chord of these bounds.
    """
    return from_bits(np.int32(min(max(fma(a, BITS_PER_LOGIT, BITS_OF_ONE), ZERO), MAX_BITS)))
