"""Exact sampling of the spikes of a presentation by thinning.

The logit of a unit is ``base + w * slope + current``: the logit under the previous stimulus, what
the new stimulus adds, w being its weight, and the recurrent current, which decays between spikes.
Bounds of all hazards over a window of several steps are found at once. The points of a Poisson
process with these bounds as its intensity are candidates for spikes, and each becomes a spike with
a probability of the hazard divided by its bound. So potentials of all units are never formed: a
window without a candidate is skipped, and elsewhere the logits of candidates suffice.

The functions of this module share their arguments:

- `step` and `n_steps` count steps, `w` is the weight of the new stimulus at a step, `key` the
  stream of random numbers, and `number` how many of them have been used;
- `stimulus` IN (2, n_filled): logits under the previous stimulus, and what the new one adds;
- `rounded` IN (2, n_filled) float32: the same, the first row rounded up;
- `current` IN (n_filled,): the recurrent part of the logits at the start of the window;
- `bounds` (2, n_filled) float32: bounds of the hazards at the start of the window, OUT of
  `bound_step`, and at its end, OUT of `bound_window`; IN elsewhere;
- `sums` (n_blocks,): sums of these bounds over the steps and the units of a block, likewise;
- `candidates` (MAX_CANDIDATES, 3): steps into the window, unit, bound of the hazard there; OUT of
  `draw_candidates`;
- `spikes` INOUT (capacity, 2): step and unit of the `n_spikes` spikes so far;
- `fade`, `powers` and `decay_bounds` IN: of the `Clock`;
- `silent` is a unit that is known not to spike in this step, or -1;
- `crowded` is the step before which windows do not grow, as a longer one had too large a bound.

Units are filled up to whole blocks with units that never spike.

Results must be the same to the bit whether this code was just compiled or loaded from the cache.
Therefore the order of floating-point operations is fixed (no fastmath), and fused operations are
written as such. Unsigned indices tell the compiler that none counts from the end; otherwise it
would not vectorise. Measure after every change.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .compilation import COMPILES, compiled, inner
from .random_numbers import uniform
from .spike_function import (
    MIN_BOUND_OF_POSITIVE_LOGIT,
    bound_in_step,
    bound_on_line,
    fma,
    is_below_hazard,
    spike_probability,
)

BLOCK = 16  # units whose bounds are summed before the search for one of them
MAX_SPIKES = 1 << 14  # capacity of the buffers of spikes, beyond those of one step
MAX_CANDIDATES = 64  # of a window: if MAX_EXPECTED are expected, more have a probability of 1e-60
MAX_EXPECTED = 3.0  # candidates of a window of several steps, or else it is shortened
MAX_WINDOW = 0.2  # in time constants
PADDING_LOGIT = -1e9  # of units that only fill up the last block
MAX_LOGIT_PART = np.float32(1e30)  # of the parts of a logit in single precision
ROUNDING = 2e-6  # more than single precision loses of parts of a logit, and of sums of a block
ZERO = np.float32(0.0)


def make_decay_bounds(decay, n_steps):
    """Return straight lines above a decaying current, for windows of 0, 1, ... steps.

    Row n holds the slope of the chord of ``decay^t`` from its first to its last step, which lies
    above a positive current, and intercept and slope of its tangent in the middle, which lies
    above a negative one.
    """
    log_decay = math.log(decay)
    last = np.arange(max(1, min(n_steps, int(-MAX_WINDOW / log_decay))) + 1) - 1.0
    middle = np.exp(log_decay * last / 2.0)
    chord = np.expm1(log_decay * last) / np.where(last > 0.0, last, 1.0)
    return np.column_stack([chord, middle * (1.0 - log_decay * last / 2.0), log_decay * middle])


if COMPILES:

    @intrinsic
    def sum_of_block(typingctx, block, x):
        """Sum of the numbers of a block, in single precision: by halves, and their halves.

        The blocks of an array of several rows are numbered from row to row.
        """

        def codegen(context, builder, signature, args):
            array = context.make_array(signature.args[1])(context, builder, args[1])
            first = builder.mul(args[0], ir.Constant(args[0].type, BLOCK))
            pointer = builder.gep(array.data, [first])
            vector = ir.VectorType(ir.FloatType(), BLOCK)
            numbers = builder.load(builder.bitcast(pointer, vector.as_pointer()), align=4)
            n = BLOCK
            while n > 1:
                n //= 2
                low, high = (
                    builder.shuffle_vector(
                        numbers, numbers, ir.Constant(ir.VectorType(ir.IntType(32), n), list(part))
                    )
                    for part in (range(n), range(n, 2 * n))
                )
                numbers = builder.fadd(low, high)
            return builder.extract_element(numbers, ir.Constant(ir.IntType(32), 0))

        return types.float32(types.intp, x), codegen

else:

    def sum_of_block(block, x):
        """Sum of the numbers of a block, in single precision, in the same order."""
        numbers = x.reshape(-1, BLOCK)[block]
        while len(numbers) > 1:
            numbers = numbers[: len(numbers) // 2] + numbers[len(numbers) // 2 :]
        return numbers[0]


@compiled(forceinline=True, error_model="numpy")
def bound_step(w, rounded, current, bounds, sums):
    """Bounds of the hazards of one step; returns their sum."""
    more, less = np.float32(1.0 + ROUNDING), np.float32(1.0 - ROUNDING)
    for j in range(np.uint64(current.shape[0])):
        c = np.float32(current[j])
        up, down = min(max(c, ZERO), MAX_LOGIT_PART), max(min(c, ZERO), -MAX_LOGIT_PART)
        a = fma(down, less, fma(up, more, fma(w, rounded[1, j], rounded[0, j])))
        bounds[0, j] = bound_in_step(a)
    total = 0.0
    for k in range(sums.shape[0]):
        sums[k] = sum_of_block(k, bounds) * (1.0 + ROUNDING)
        total += sums[k]
    return total


@compiled(forceinline=True, error_model="numpy")
def bound_window(w, dw, n_steps, decay_bounds, rounded, current, bounds, sums):
    """Bounds of the hazards over some steps, linear in between; returns their sum.

    A straight line above a logit is found first, then the chord above its hazards.
    """
    more, length = np.float32(1.0 + ROUNDING), np.float32(n_steps)
    chord = np.float32(decay_bounds[n_steps, 0])
    tangent = np.float32(decay_bounds[n_steps, 1] * (1.0 - ROUNDING))
    tangent_slope = np.float32(decay_bounds[n_steps, 2])
    for j in range(np.uint64(current.shape[0])):
        c = np.float32(current[j])
        up, down = min(max(c, ZERO), MAX_LOGIT_PART), max(min(c, ZERO), -MAX_LOGIT_PART)
        growth = fma(down, tangent_slope, fma(up, chord, dw * rounded[1, j]))
        a = fma(down, tangent, fma(up, more, fma(w, rounded[1, j], rounded[0, j])))
        # points of a step lie between it and the next one, so a falling line is moved by one step
        a -= min(growth, ZERO)
        bounds[0, j] = bound_on_line(a)
        bounds[1, j] = bound_on_line(fma(length, growth, a))
    total, n_blocks = 0.0, sums.shape[0]
    for k in range(n_blocks):
        both = sum_of_block(k, bounds) + sum_of_block(n_blocks + k, bounds)
        sums[k] = 0.5 * n_steps * both * (1.0 + ROUNDING)
        total += sums[k]
    return total


@compiled(inline="always")
def find_block(position, sums):
    """The block in which a position among all bounds lies, and the position in it."""
    k = 0
    while k < sums.shape[0] - 1 and position >= sums[k]:
        position -= sums[k]
        k += 1
    return k, position


@compiled(forceinline=True)
def logit(unit, w, decay, stimulus, current):
    """Logit of a unit."""
    return stimulus[0, unit] + w * stimulus[1, unit] + decay * current[unit]


@inner(forceinline=True)
def find_most_probable(w, stimulus, current, sums):
    """The unit that most probably spikes in a step and its logit, or -1 if none is positive."""
    best, highest = -1, 0.0
    for k in range(sums.shape[0]):
        if sums[k] > MIN_BOUND_OF_POSITIVE_LOGIT:
            for j in range(k * BLOCK, k * BLOCK + BLOCK):
                a = logit(j, w, 1.0, stimulus, current)
                if a > highest:
                    best, highest = j, a
    return best, highest


@inner(forceinline=True, error_model="numpy")
def thin_step(
    step, number, key, total, w, silent, stimulus, current, bounds, sums, n_spikes, spikes
):
    """Draw the spikes of one step, in the order of units.

    Returns the new numbers of random numbers and of spikes.
    """
    number += 1
    position = -math.log(uniform(key, number))
    while position < total:
        k, rest = find_block(position, sums)
        j, last = k * BLOCK, k * BLOCK + BLOCK - 1
        while j < last and rest >= bounds[0, j]:
            rest -= bounds[0, j]
            j += 1
        if rest < bounds[0, j]:  # otherwise it lies beyond the block, whose sum is rounded up
            number += 1
            is_spike = j != silent and is_below_hazard(
                uniform(key, number) * bounds[0, j], logit(j, w, 1.0, stimulus, current)
            )
            if is_spike:
                spikes[n_spikes, 0], spikes[n_spikes, 1] = step, j
                n_spikes += 1
            if is_spike or j == silent:
                position += bounds[0, j] - rest  # on to the next unit
        number += 1
        position -= math.log(uniform(key, number))
    return number, n_spikes


@inner(forceinline=True, error_model="numpy")
def draw_candidates(number, key, total, n_steps, bounds, sums, candidates):
    """Draw the candidates of a window and sort them by step and unit.

    Returns the new number of random numbers and the number of candidates.
    """
    n, position = 0, 0.0
    while True:
        number += 1
        position -= math.log(uniform(key, number))
        if position >= total or n == MAX_CANDIDATES:
            return number, n
        k, rest = find_block(position, sums)
        j, last = k * BLOCK, k * BLOCK + BLOCK - 1
        area = 0.5 * n_steps * (np.float64(bounds[0, j]) + bounds[1, j])
        while j < last and rest >= area:
            rest -= area
            j += 1
            area = 0.5 * n_steps * (np.float64(bounds[0, j]) + bounds[1, j])
        if rest >= area:  # beyond, where the sum is rounded up
            continue
        # the time at which the area below a line reaches a part u of the whole
        u, low, high = rest / area, np.float64(bounds[0, j]), np.float64(bounds[1, j])
        root = math.sqrt(low * low + u * (high - low) * (high + low))
        time = n_steps * u * (low + high) / (low + root)
        step = min(np.int64(time), n_steps - 1)
        e = n
        while e > 0 and (
            candidates[e - 1, 0] > step
            or (candidates[e - 1, 0] == step and candidates[e - 1, 1] > j)
        ):
            for i in range(3):
                candidates[e, i] = candidates[e - 1, i]
            e -= 1
        candidates[e, 0], candidates[e, 1] = step, j
        candidates[e, 2] = low + (high - low) * (time / n_steps)
        n += 1


@inner(forceinline=True)
def thin_window(
    first,
    number,
    key,
    n_steps,
    n_candidates,
    candidates,
    fade,
    powers,
    stimulus,
    current,
    n_spikes,
    spikes,
):
    """Draw the spikes of a window up to the end of the first step that has one.

    Returns the new numbers of random numbers and of spikes, and the steps that have passed.
    """
    n_before = n_spikes
    for e in range(n_candidates):
        step, j = np.int64(candidates[e, 0]), np.int64(candidates[e, 1])
        if n_spikes == n_before or (step < n_steps and j != spikes[n_spikes - 1, 1]):
            a = logit(j, fade[first + step], powers[step], stimulus, current)
            number += 1
            if is_below_hazard(uniform(key, number) * candidates[e, 2], a):
                spikes[n_spikes, 0], spikes[n_spikes, 1] = first + step, j
                n_spikes += 1
                n_steps = step + 1
    return number, n_spikes, n_steps


@inner(forceinline=True)
def keep_most_probable(w, decay, stimulus, current, n_before, n_spikes, spikes):
    """Leave one of the spikes of a step."""
    best, highest = spikes[n_before, 1], -math.inf
    for e in range(n_before, n_spikes):
        j = spikes[e, 1]
        a = logit(j, w, decay, stimulus, current)
        if a > highest:
            best, highest = j, a
    spikes[n_before, 1] = best


@inner(forceinline=True)
def choose_window(
    step, length, crowded, fade, n_fading, decay_bounds, rounded, current, bounds, sums
):
    """Bound hazards over a window that is short enough to expect few candidates.

    Returns the length of the window, the sum of the bounds if it is longer than one step, and the
    new `crowded`.
    """
    is_fading = step < n_fading
    length = min(length, decay_bounds.shape[0] - 1)
    length = min(length, (n_fading if is_fading else fade.shape[0]) - step)
    w, dw = np.float32(fade[step]), np.float32(fade[0] if is_fading else 0.0)
    total = math.inf
    while length > 1 and total > MAX_EXPECTED:
        total = bound_window(w, dw, length, decay_bounds, rounded, current, bounds, sums)
        if total > MAX_EXPECTED:
            crowded = step + length
            length = max(1, np.int64(length / total))
    return length, total, crowded


@inner(forceinline=True)
def draw_most_probable(number, key, w, stimulus, current, sums):
    """Draw whether the unit that most probably spikes in a step does.

    Returns the new number of random numbers, the unit, or -1 if no logit is positive, and whether
    it spikes.
    """
    unit, a = find_most_probable(w, stimulus, current, sums)
    if unit < 0:
        return number, unit, False
    return number + 1, unit, uniform(key, number + 1) < spike_probability(a)
