"""Compiled code: random numbers, drive, sampling of spikes, and sums over spikes.

Arrays hold one row per feature or per *sending* unit, so that every inner loop runs over
contiguous receiving units and adds in a fixed order: a result never depends on what else is
computed beside it. Arguments are tagged IN, OUT, INOUT or TMP.
"""

import math
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S12, S27, S30, S31 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31)
BLOCK = 16  # units whose hazards are summed before the search for one of them
EVENTS = 1 << 14  # capacity of the event buffer, in spikes beyond those of one step
CANDIDATES = 64  # of a window, which expects at most CROWDED: more have a probability of 1e-60
CROWDED = 3.0  # candidates that a window of several steps may expect, or else it is shortened
LONGEST = 0.2  # window, in time constants
SURE = 40.0  # a logit from where not to spike has a probability below the rounding of 1
NEVER = -1e9  # logit of units that only fill up the last block
# The bits of e^a, in single precision, are about a * PER_LOGIT + ONE, which is rounded up.
PER_LOGIT, ONE = np.float32(2.0**23 / math.log(2.0)), np.float32(127.0 * 2.0**23 + 256.0)
HIGHEST = np.float32(2e9)  # bits of a number of which sums are still finite
ROUNDING = 2e-6  # more than single precision loses of parts of a logit, and of sums of a block
LARGEST = np.float32(1e30)  # parts of a logit in single precision
LOG_2, SURE_32, ZERO = np.float32(0.69315), np.float32(SURE), np.float32(0.0)
CALL = 1e8  # work of one kernel call, in about ns, so that Python regains control
LIMIT = 1e100  # inputs are clipped here, so that no product of them overflows
GRID = 2.0**20  # rows that agree to 2^-20 of the scale share their random numbers

Weights = namedtuple(
    "Weights",
    [
        "feedforward",  # (n_features, n_units) F^T
        "recurrent",  # (n_units, n_units) row k: what a spike of k adds to the potentials
        "offset",  # (n_units,) logit without input: bias and self-inhibition
        "gain",  # 1 / sigma^2, from potential to logit
    ],
)
Clock = namedtuple(
    "Clock",
    [
        "fade",  # (n_steps,) weight of the new stimulus at each step
        "n_fading",  # steps at which that is below 1
        "powers",  # (n_steps + 1,) decay over 0, 1, ... steps
        "lines",  # (longest + 1, 3) bounds of a decay over a window, see `make_lines`
        "one_spike",  # whether at most one neuron spikes in a step
        "delay",  # steps from a spike to its first effect, at least 1
    ],
)
# Entry t + 1 belongs to a spike that arrives at step t, entry 0 to the traces at the start.
Tails = namedtuple(
    "Tails",
    [
        "new",  # (n_steps + 1,) sum of the tail times the weight of the new stimulus
        "old",  # (n_steps + 1,) the same for the previous stimulus
        "square",  # (n_steps + 1,) sum of the squared tail
    ],
)
Scratch = namedtuple(
    "Scratch",
    [
        # of n_units, filled up to whole blocks
        "stimulus",  # (2, n_filled) logit under the previous stimulus, and what the new one adds
        "rounded",  # (2, n_filled) float32, the same; row 0 up, also by what else may be lost
        "current",  # (n_filled,) recurrent part of the logit
        "bounds",  # (2, n_filled) float32, of the hazard at the start of a window and at its end
        "sums",  # (n_blocks,) bound of the hazard of a block over the window
        "candidates",  # (CANDIDATES, 3) steps into the window, unit, bound of the hazard there
        "spikes",  # (capacity, 2) step, unit
        "arrivals",  # (capacity, 2) the same, of arriving spikes; with the least delay the spikes
        "due",  # (delay - 1,) whether spikes arrive at step t, in entry t % (delay - 1)
    ],
)


def call(kernel, *args):
    """Call a kernel; when it must be compiled first, in a thread of its own.

    Ctrl-C then reaches the caller at once. A compilation that it hits is broken or, worse, goes
    on without a word.
    """
    if kernel.overloads:
        return kernel(*args)
    pool = ThreadPoolExecutor(1)
    result = pool.submit(kernel, *args)
    pool.shutdown(wait=False)
    return result.result()


def make_scratch(n_units, delay):
    """Working memory of `present` and `encode`."""
    n_blocks = -(-n_units // BLOCK)
    n_filled = n_blocks * BLOCK
    stimulus, rounded = np.zeros((2, n_filled)), np.zeros((2, n_filled), dtype=np.float32)
    stimulus[0, n_units:] = rounded[0, n_units:] = NEVER
    spikes = np.empty((EVENTS + n_units, 2), dtype=np.int32)
    return Scratch(
        stimulus,
        rounded,
        np.zeros(n_filled),
        np.zeros((2, n_filled), dtype=np.float32),
        np.empty(n_blocks),
        np.empty((CANDIDATES, 3)),
        spikes,
        spikes if delay == 1 else np.empty_like(spikes),
        np.zeros(delay - 1, dtype=bool),
    )


def make_lines(decay, n_steps):
    """Straight lines above a decaying current, for windows of 0, 1, ... steps.

    Row n holds the slope of the chord of ``decay^t`` from its first to its last step, which lies
    above a positive current, and intercept and slope of its tangent in the middle, which lies
    above a negative one.
    """
    rate = -math.log(decay)
    last = np.arange(max(1, min(n_steps, int(LONGEST / rate))) + 1) - 1.0
    middle = np.exp(-rate * last / 2.0)
    chord = np.expm1(-rate * last) / np.where(last > 0.0, last, 1.0)
    return np.column_stack([chord, middle * (1.0 + rate * last / 2.0), -rate * middle])


def compiled(**options):
    """Decorate what numba compiles and keeps on disk, or in memory where it cannot write."""

    def decorate(function):
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # neither beside this file nor in a folder of the user
            return numba.njit(nogil=True, **options)(function)

    return decorate


@compiled(inline="always")
def mix(z):
    """Finaliser of splitmix64: a bijection of 64-bit integers."""
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return z ^ (z >> S31)


@compiled(inline="always")
def uniform(key, i):
    """Number i of the splitmix64 stream that starts at `key`, strictly inside (0, 1)."""
    h = mix(key + GOLDEN * np.uint64(i + 1))
    return (np.float64(np.int64(h >> S12)) + 0.5) * 2.0**-52


@intrinsic
def from_bits(typingctx, bits):
    """The number in single precision of some bits."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.int32), codegen


@compiled()
def stream_key(seed, index):
    """Start of the random stream of presentation number `index`."""
    return mix(mix(np.uint64(seed) + GOLDEN) ^ (np.uint64(index) * MIX_1 + GOLDEN))


@compiled()
def row_key(
    x,  # IN (n_features,) normalised row
    bits,  # TMP (n_features,) float64
    seed,
):
    """Start of the random stream that belongs to the values of a row."""
    for i in range(x.shape[0]):
        bits[i] = np.rint(x[i] * GRID) + 0.0  # + 0.0 turns -0.0 into 0.0
    words = bits.view(np.uint64)
    h = mix(np.uint64(seed) + GOLDEN)
    for i in range(x.shape[0]):
        h = mix(h ^ words[i]) + GOLDEN
    return h


@compiled()
def normalise(
    row,  # IN (n_features,)
    scale,
    x,  # OUT (n_features,)
):
    """Divide a row by the scale, clipped to +-LIMIT."""
    for i in range(row.shape[0]):
        x[i] = min(max(row[i] / scale, -LIMIT), LIMIT)


@compiled()
def project(
    x,  # IN (n_in,)
    weights,  # IN (n_in, n_out)
    out,  # OUT (n_out,)
):
    """out = x @ weights, added up in the order of the inputs."""
    out[:] = 0.0
    for i in range(x.shape[0]):
        xi = x[i]
        if xi != 0.0:
            for j in range(out.shape[0]):
                out[j] += xi * weights[i, j]


# The hazard of a unit in a step is ``-log(1 - p) = log(1 + e^a)``, a the logit. Points of a
# Poisson process with this intensity fall into a step with probability p. Such a process is drawn
# by thinning: points of a bound of the hazard are its candidates, and each is kept with the
# probability that the hazard is of the bound. Bounds need no exponential: a number whose bits
# are linear in a runs above e^a in chords from one power of two to the next, 6 % at most. They
# need no double precision either, as long as they are rounded up.
#
# A caller that compiles and one that loads what was compiled must get the same bits. So the order
# of operations is fixed here, none may be exchanged for speed, and what is fused is said. Unsigned
# indices tell the compiler that none counts from the end, without which it does not vectorise.


@intrinsic
def sum_of_block(typingctx, block, x):
    """Sum of the numbers of a block, in single precision: of halves, of their halves and so on."""

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


@intrinsic
def fma(typingctx, a, b, c):
    """``a * b + c``, rounded once."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return types.float32(types.float32, types.float32, types.float32), codegen


@compiled(error_model="numpy")
def bound_step(
    w,  # float32, weight of the new stimulus
    high,  # IN (n_filled,) float32
    slope,  # IN (n_filled,) float32
    current,  # IN (n_filled,)
    start,  # OUT (n_filled,) float32
    sums,  # OUT (n_blocks,)
):
    """Bounds of the hazards of one step; returns their sum."""
    more, less = np.float32(1.0 + ROUNDING), np.float32(1.0 - ROUNDING)
    for j in range(np.uint64(start.shape[0])):
        c = np.float32(current[j])
        up, down = min(max(c, ZERO), LARGEST), max(min(c, ZERO), -LARGEST)
        a = fma(down, less, fma(up, more, fma(w, slope[j], high[j])))
        # log(1 + e^a) <= a + log 2 for positive a
        below = from_bits(np.int32(max(fma(min(a, ZERO), PER_LOGIT, ONE), ZERO)))
        start[j] = min(a, SURE_32) + LOG_2 if a > ZERO else below
    total = 0.0
    for k in range(sums.shape[0]):
        sums[k] = sum_of_block(k, start) * (1.0 + ROUNDING)
        total += sums[k]
    return total


@compiled(error_model="numpy")
def bound_window(
    w,  # float32, weight of the new stimulus at the first step
    dw,  # float32, its growth from step to step
    n_steps,  # length of the window, at least 2
    lines,  # IN (longest + 1, 3)
    high,  # IN (n_filled,) float32
    slope,  # IN (n_filled,) float32
    current,  # IN (n_filled,)
    start,  # OUT (n_filled,) float32
    end,  # OUT (n_filled,) float32
    sums,  # OUT (n_blocks,)
):
    """Bounds of the hazards over some steps, linear from `start` to `end`; returns their sum.

    A straight line above a logit is found, then the chord above its exponential.
    """
    more, length = np.float32(1.0 + ROUNDING), np.float32(n_steps)
    chord = np.float32(lines[n_steps, 0])
    tangent = np.float32(lines[n_steps, 1] * (1.0 - ROUNDING))
    tangent_slope = np.float32(lines[n_steps, 2])
    for j in range(np.uint64(start.shape[0])):
        c = np.float32(current[j])
        up, down = min(max(c, ZERO), LARGEST), max(min(c, ZERO), -LARGEST)
        growth = fma(down, tangent_slope, fma(up, chord, dw * slope[j]))
        # points lie between this step and the next one: where the line falls, it falls later
        a = fma(down, tangent, fma(up, more, fma(w, slope[j], high[j]))) - min(growth, ZERO)
        b = fma(length, growth, a)
        start[j] = from_bits(np.int32(min(max(fma(a, PER_LOGIT, ONE), ZERO), HIGHEST)))
        end[j] = from_bits(np.int32(min(max(fma(b, PER_LOGIT, ONE), ZERO), HIGHEST)))
    total = 0.0
    for k in range(sums.shape[0]):
        both = sum_of_block(k, start) + sum_of_block(k, end)
        sums[k] = 0.5 * n_steps * both * (1.0 + ROUNDING)
        total += sums[k]
    return total


@compiled(inline="always")
def below_hazard(value, a):
    """Whether a value is below ``log(1 + e^a)``, the hazard of a logit."""
    e = math.exp(min(a, SURE))
    if e - 0.5 * e * e <= value < e:  # else that tells without the logarithm
        return value < math.log1p(e)
    return value < e


@compiled(inline="always")
def find_block(
    position,
    sums,  # IN (n_blocks,)
):
    """The block in which a position among all bounds lies, and the position in it."""
    k = 0
    while k < sums.shape[0] - 1 and position >= sums[k]:
        position -= sums[k]
        k += 1
    return k, position


@compiled(forceinline=True)
def logit(
    unit,
    w,  # weight of the new stimulus
    decay,  # of the current
    stimulus,  # IN (2, n_filled)
    current,  # IN (n_filled,)
):
    """Logit of a unit."""
    return stimulus[0, unit] + w * stimulus[1, unit] + decay * current[unit]


@compiled(forceinline=True)
def most_probable(
    w,  # weight of the new stimulus
    n_units,
    stimulus,  # IN (2, n_filled)
    current,  # IN (n_filled,)
    sums,  # IN (n_blocks,) those of the bounds of the step
):
    """The unit that most probably spikes in a step and its logit, or -1 if none is positive."""
    best, highest = -1, 0.0
    for k in range(sums.shape[0]):
        if sums[k] > 0.69:  # the bound of a positive logit is log 2
            for j in range(k * BLOCK, min(k * BLOCK + BLOCK, n_units)):
                a = logit(j, w, 1.0, stimulus, current)
                if a > highest:
                    best, highest = j, a
    return best, highest


@compiled(forceinline=True, error_model="numpy")
def thin_step(
    step,
    number,  # of random numbers used so far
    key,
    total,  # sum of the bounds
    w,  # weight of the new stimulus
    n_units,
    quiet,  # unit that does not spike, or -1
    stimulus,  # IN (2, n_filled)
    current,  # IN (n_filled,)
    start,  # IN (n_filled,) bounds
    sums,  # IN (n_blocks,) of bounds
    n_events,  # spikes so far
    spikes,  # INOUT (capacity, 2)
):
    """Draw the spikes of one step, in the order of units.

    Returns the new numbers of random numbers and of spikes.
    """
    position = 0.0
    while True:
        number += 1
        position -= math.log(uniform(key, number))
        if position >= total:
            return number, n_events
        k, rest = find_block(position, sums)
        j, last = k * BLOCK, min(k * BLOCK + BLOCK, n_units) - 1
        while j < last and rest >= start[j]:
            rest -= start[j]
            j += 1
        if rest >= start[j]:  # beyond, where the sum is rounded up
            continue
        number += 1
        if j == quiet:
            position += start[j] - rest
        elif below_hazard(uniform(key, number) * start[j], logit(j, w, 1.0, stimulus, current)):
            spikes[n_events, 0], spikes[n_events, 1] = step, j
            n_events += 1
            position += start[j] - rest  # on to the next unit


@compiled(forceinline=True, error_model="numpy")
def draw_candidates(
    number,  # of random numbers used so far
    key,
    total,  # sum of the bounds
    n_steps,  # length of the window
    n_units,
    start,  # IN (n_filled,) bounds
    end,  # IN (n_filled,) bounds
    sums,  # IN (n_blocks,) of bounds
    candidates,  # OUT (CANDIDATES, 3)
):
    """Draw the candidates of a window and sort them by step and unit.

    Returns the new number of random numbers and the number of candidates.
    """
    n, position = 0, 0.0
    while True:
        number += 1
        position -= math.log(uniform(key, number))
        if position >= total or n == CANDIDATES:
            return number, n
        k, rest = find_block(position, sums)
        j, last = k * BLOCK, min(k * BLOCK + BLOCK, n_units) - 1
        area = 0.5 * n_steps * (np.float64(start[j]) + end[j])
        while j < last and rest >= area:
            rest -= area
            j += 1
            area = 0.5 * n_steps * (np.float64(start[j]) + end[j])
        if rest >= area:  # beyond, where the sum is rounded up
            continue
        # the time at which the area below a line reaches a part u of the whole
        u, low, high = rest / area, np.float64(start[j]), np.float64(end[j])
        root = math.sqrt(low * low + u * (high - low) * (high + low))
        time = n_steps * u * (low + high) / (low + root)
        step = min(int(time), n_steps - 1)
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


@compiled(forceinline=True)
def thin_window(
    first,  # step
    number,  # of random numbers used so far
    key,
    n_steps,  # length of the window
    n_candidates,
    candidates,  # IN (CANDIDATES, 3)
    fade,  # IN (n_steps,)
    powers,  # IN (n_steps + 1,)
    stimulus,  # IN (2, n_filled)
    current,  # IN (n_filled,)
    n_events,  # spikes so far
    spikes,  # INOUT (capacity, 2)
):
    """Draw the spikes of a window up to the end of the first step that has one.

    Returns the new numbers of random numbers and of spikes, and the steps that have passed.
    """
    n_before = n_events
    for e in range(n_candidates):
        step, j = int(candidates[e, 0]), int(candidates[e, 1])
        if n_events == n_before or (step < n_steps and j != spikes[n_events - 1, 1]):
            a = logit(j, fade[first + step], powers[step], stimulus, current)
            number += 1
            if below_hazard(uniform(key, number) * candidates[e, 2], a):
                spikes[n_events, 0], spikes[n_events, 1] = first + step, j
                n_events += 1
                n_steps = step + 1
    return number, n_events, n_steps


@compiled(forceinline=True)
def keep_most_probable(
    w,  # weight of the new stimulus
    decay,  # of the current, up to the step of these spikes
    stimulus,  # IN (2, n_filled)
    current,  # IN (n_filled,)
    n_before,
    n_events,
    spikes,  # INOUT (capacity, 2)
):
    """Leave one of the spikes of a step."""
    best, highest = spikes[n_before, 1], -math.inf
    for e in range(n_before, n_events):
        j = spikes[e, 1]
        a = logit(j, w, decay, stimulus, current)
        if a > highest:
            best, highest = j, a
    spikes[n_before, 1] = best


@compiled(forceinline=True)
def arrive(
    unit,
    decay,
    recurrent,  # IN (n_units, n_units)
    gain,
    current,  # INOUT (n_filled,)
):
    """Let the recurrent current decay and add what a spike of a unit adds to it."""
    for j in range(recurrent.shape[1]):
        current[j] = decay * current[j] + gain * recurrent[unit, j]


@compiled(forceinline=True)
def until_arrival(
    step,
    n_steps,
    due,  # IN (delay - 1,)
):
    """Number of steps up to the next one, of at most `n_steps`, in which spikes arrive."""
    for t in range(n_steps):
        if due[(step + t) % due.shape[0]]:
            return t + 1
    return n_steps


@compiled()
def exchange(
    step,
    first,  # first and last + 1 of the spikes of this step
    last,
    n_arrivals,
    weights,  # IN Weights
    late,  # INOUT (delay - 1, n_units)
    scratch,  # INOUT Scratch
):
    """Let the spikes arrive that are due, and take in those of this step.

    Returns the new number of arrivals.
    """
    t = step % late.shape[0]
    if scratch.due[t]:
        for k in range(late.shape[1]):
            if late[t, k]:
                late[t, k] = False
                scratch.arrivals[n_arrivals, 0], scratch.arrivals[n_arrivals, 1] = step, k
                n_arrivals += 1
                arrive(k, 1.0, weights.recurrent, weights.gain, scratch.current)
    scratch.due[t] = last > first
    for e in range(first, last):
        late[t, scratch.spikes[e, 1]] = True
    return n_arrivals


@compiled(error_model="numpy")
def sample(
    step,  # first step
    number,  # of random numbers used so far
    length,  # of the first window
    key,
    clock,  # IN Clock
    weights,  # IN Weights
    late,  # INOUT (delay - 1, n_units) row t % (delay - 1): spikes that arrive at step t
    scratch,  # INOUT Scratch as `begin` left it; spikes and arrivals are written to it
):
    """Draw the spikes of a presentation from some step on, as far as there is room.

    Windows of steps without a candidate are skipped; a window also ends with the first step in
    which units spike, or delayed spikes arrive. Random numbers are those of the stream `key`, one
    after another. If `one_spike`, only the most probable of several spikes in a step is kept. A
    spike of step t acts from step t + delay on: it arrives at step t + delay - 1. Returns the step
    reached, the number of random numbers used, the length of the next window, and the numbers of
    spikes and of arrivals.
    """
    # taken out once: it counts references, which would take a fifth of the time, and so it did
    # where a function inlined below left its loop early
    fade, powers, lines = clock.fade, clock.powers, clock.lines
    recurrent, gain = weights.recurrent, weights.gain
    stimulus, current, sums = scratch.stimulus, scratch.current, scratch.sums
    high, slope = scratch.rounded[0], scratch.rounded[1]
    start, end = scratch.bounds[0], scratch.bounds[1]
    candidates, spikes, due = scratch.candidates, scratch.spikes, scratch.due
    n_units = recurrent.shape[0]
    n_events, n_arrivals = 0, 0
    crowded = step  # up to this step a longer window has been found to expect too many candidates
    while step < fade.shape[0] and max(n_events, n_arrivals) <= EVENTS:
        fading = step < clock.n_fading
        length = min(length, lines.shape[0] - 1)
        length = min(length, (clock.n_fading if fading else fade.shape[0]) - step)
        if clock.delay > 1:
            length = until_arrival(step, length, due)
        w, dw = np.float32(fade[step]), np.float32(fade[0] if fading else 0.0)
        total = math.inf
        while length > 1:
            total = bound_window(w, dw, length, lines, high, slope, current, start, end, sums)
            if total <= CROWDED:
                break
            crowded = step + length
            length = max(1, int(length / total))
        n_before = n_events
        if length > 1:
            number, n_candidates = draw_candidates(
                number, key, total, length, n_units, start, end, sums, candidates
            )
            number, n_events, passed = thin_window(
                step,
                number,
                key,
                length,
                n_candidates,
                candidates,
                fade,
                powers,
                stimulus,
                current,
                n_events,
                spikes,
            )
        else:
            passed, quiet = 1, -1
            total = bound_step(w, high, slope, current, start, sums)
            if clock.one_spike:
                # the most probable unit, if it spikes, is all there is to draw
                quiet, a = most_probable(fade[step], n_units, stimulus, current, sums)
                if quiet >= 0:
                    number += 1
                    if uniform(key, number) < 1.0 / (1.0 + math.exp(-a)):
                        spikes[n_events, 0], spikes[n_events, 1] = step, quiet
                        n_events += 1
            if n_events == n_before:
                number, n_events = thin_step(
                    step,
                    number,
                    key,
                    total,
                    fade[step],
                    n_units,
                    quiet,
                    stimulus,
                    current,
                    start,
                    sums,
                    n_events,
                    spikes,
                )
        last = step + passed - 1
        if clock.one_spike and n_events > n_before + 1:
            keep_most_probable(
                fade[last], powers[passed - 1], stimulus, current, n_before, n_events, spikes
            )
            n_events = n_before + 1
        decay = powers[passed]
        if clock.delay > 1 or n_events == n_before:
            rescale(decay, current)
        if clock.delay > 1:
            n_arrivals = exchange(last, n_before, n_events, n_arrivals, weights, late, scratch)
        else:
            for e in range(n_before, n_events):
                arrive(spikes[e, 1], decay, recurrent, gain, current)
                decay = 1.0
            n_arrivals = n_events
        step += passed
        # the next window expects one candidate, if hazards stay
        if n_events > n_before or step >= crowded:
            crowded = step
            length = int(min(4.0 * length, 1.0 + length / total))
        else:
            length = max(1, min(length, int(length / total)))
    return step, number, length, n_events, n_arrivals


@compiled()
def begin(
    previous,  # IN (n_features,) normalised stimulus that fades out
    stimulus,  # IN (n_features,) normalised stimulus that fades in
    traces,  # IN (n_units,)
    weights,  # IN Weights
    late,  # IN (delay - 1, n_units)
    scratch,  # OUT Scratch: stimulus, rounded, current, due
):
    """Split the logits at the first step into what `sample` needs."""
    n_units, gain = traces.shape[0], weights.gain
    base, slope = scratch.stimulus[0, :n_units], scratch.stimulus[1, :n_units]
    high, slope_32 = scratch.rounded[0], scratch.rounded[1]
    current = scratch.current[:n_units]
    project(previous, weights.feedforward, base)
    project(stimulus, weights.feedforward, slope)
    project(traces, weights.recurrent, current)
    for j in range(n_units):
        slope[j] = gain * (slope[j] - base[j])
        base[j] = gain * base[j] + weights.offset[j]
        current[j] *= gain
        up = base[j] + ROUNDING * (abs(base[j]) + abs(slope[j]))
        high[j] = min(max(up, -LARGEST), LARGEST)
        slope_32[j] = min(max(slope[j], -LARGEST), LARGEST)
    for t in range(late.shape[0]):
        scratch.due[t] = late[t].any()


@compiled()
def rescale(
    factor,
    traces,  # INOUT (n_units,)
):
    """Let traces decay."""
    for j in range(traces.shape[0]):
        traces[j] *= factor


@compiled()
def open_sums(
    traces,  # IN (n_units,) before the first step
    tail_new,
    tail_old,
    tail_square,
    drive,  # OUT (2, n_units)
    gram,  # INOUT (n_units, n_units), or empty: not wanted
):
    """Add what the traces at the start of a presentation contribute to its sums."""
    for j in range(traces.shape[0]):
        drive[0, j] = tail_new * traces[j]
        drive[1, j] = tail_old * traces[j]
        half = 0.5 * tail_square * traces[j]
        if half > 0.0 and gram.size > 0:
            for k in range(traces.shape[0]):
                gram[j, k] += half * traces[k]


@compiled()
def add_spikes(
    n_events,
    events,  # IN (capacity, 2) step, unit
    now,  # step before which `traces` hold
    tails,  # IN Tails
    powers,  # IN (n_steps + 1,) decay over 0, 1, ... steps
    traces,  # INOUT (n_units,)
    drive,  # INOUT (2, n_units) sums over steps of the trace times the weight of x_new, x_old
    gram,  # INOUT (n_units, n_units) half of the sum over steps of z z^T; may be empty
):
    """Add the contribution of spikes to the sums over all steps of a presentation.

    A spike that arrives at step t adds a decaying tail to its trace: tails hold the sums of such
    a tail, weighted by the two stimuli and, for pairs, by the tail of the other trace. Every pair
    is added at its later spike and in one triangle order only: sum z z^T = gram + gram^T.
    Returns the step before which `traces` hold now.
    """
    n_units = traces.shape[0]
    for e in range(n_events):
        step, k = events[e]
        if step >= now:
            rescale(powers[step + 1 - now], traces)
            now = step + 1
        drive[0, k] += tails.new[now]
        drive[1, k] += tails.old[now]
        if gram.size > 0:
            tail = tails.square[now]
            for j in range(n_units):
                gram[k, j] += tail * traces[j]
            gram[k, k] += 0.5 * tail
        traces[k] += 1.0
    return now


@compiled()
def add_to_traces(
    n_events,
    events,  # IN (capacity, 2) step, unit
    now,  # step before which `traces` hold
    powers,  # IN (n_steps + 1,) decay over 0, 1, ... steps
    traces,  # INOUT (n_units,)
):
    """Add spikes to traces; return the step before which they hold now."""
    for e in range(n_events):
        step, k = events[e]
        rescale(powers[step + 1 - now], traces)
        now = step + 1
        traces[k] += 1.0
    return now


@compiled()
def turn(
    late,  # INOUT (n_rows, n_units)
    n_steps,
):
    """Let row 0 be what arrives next, after `n_steps` steps."""
    before = late.copy()
    for t in range(late.shape[0]):
        late[t] = before[(t + n_steps) % late.shape[0]]


@compiled()
def write_record(
    row,
    n_events,
    events,  # IN (capacity, 2) step, unit
    n_spikes,  # recorded so far
    record,  # INOUT (capacity, 3)
):
    """Append events to a record while it has room; return how many there have been."""
    for e in range(n_events):
        if n_spikes < record.shape[0]:
            record[n_spikes, 0] = row
            record[n_spikes, 1] = events[e, 0]
            record[n_spikes, 2] = events[e, 1]
        n_spikes += 1
    return n_spikes


@compiled()
def present(
    X,  # IN (n_rows, n_features) raw rows, presented in this order
    scale,
    seed,
    first,  # number of the first presentation
    n_started,  # number of these lanes that have held a stimulus before
    previous,  # INOUT (n_rows, n_features) last stimulus of each lane
    stimuli,  # OUT (n_rows, n_features) stimulus of each lane
    traces,  # INOUT (n_rows, n_units) as the recurrent currents have them
    late,  # INOUT (n_rows, delay - 1, n_units) row t: spikes that arrive at step t
    at_once,  # whether to sum the traces of spikes, in `undelayed`, or those of arrivals
    undelayed,  # INOUT (n_rows, n_units)
    weights,  # IN Weights
    clock,  # IN Clock
    tails,  # IN Tails
    scratch,  # TMP Scratch
    counts,  # INOUT (n_units,)
    drive,  # OUT (n_rows, 2, n_units)
    gram,  # INOUT (n_units, n_units); may be empty
    record,  # OUT (capacity, 3) row, step, unit of the first spikes; may be empty
    arrivals,  # OUT (capacity, 3) row, step, unit of the first arrivals; may be empty
):
    """Present rows to lanes of a batch, the weights standing still; sum what learning needs.

    Row r is presentation number first + r of the stream and runs on lane r of those given, from
    the traces and the stimulus that this lane held last. Returns the numbers of spikes and of
    arrivals.
    """
    n_steps = clock.fade.shape[0]
    powers = clock.powers
    n_spikes, n_arrivals = 0, 0
    for r in range(X.shape[0]):
        z = traces[r]
        summed = undelayed[r] if at_once else z
        normalise(X[r], scale, stimuli[r])
        if r >= n_started:
            previous[r] = stimuli[r]  # the first stimulus fades from itself
        begin(previous[r], stimuli[r], z, weights, late[r], scratch)
        key = stream_key(seed, first + r)
        open_sums(summed, tails.new[0], tails.old[0], tails.square[0], drive[r], gram)
        now, now_summed = 0, 0
        step, number, length = 0, 0, 1
        while step < n_steps:
            step, number, length, n_new, n_arrived = sample(
                step, number, length, key, clock, weights, late[r], scratch
            )
            for e in range(n_new):
                counts[scratch.spikes[e, 1]] += 1
            n_spikes = write_record(r, n_new, scratch.spikes, n_spikes, record)
            n_arrivals = write_record(r, n_arrived, scratch.arrivals, n_arrivals, arrivals)
            if at_once:
                now_summed = add_spikes(
                    n_new, scratch.spikes, now_summed, tails, powers, summed, drive[r], gram
                )
                now = add_to_traces(n_arrived, scratch.arrivals, now, powers, z)
            else:
                now = add_spikes(
                    n_arrived, scratch.arrivals, now, tails, powers, z, drive[r], gram
                )
        rescale(powers[n_steps - now], z)
        if at_once:
            rescale(powers[n_steps - now_summed], summed)
        if clock.delay > 1:
            turn(late[r], n_steps)
    return n_spikes, n_arrivals


@compiled()
def encode(
    X,  # IN (n_rows, n_features) raw rows
    scale,
    seed,
    weights,  # IN Weights
    clock,  # IN Clock
    value,  # what a spike adds to the code
    scratch,  # TMP Scratch
    late,  # TMP (delay - 1, n_units)
    codes,  # OUT (n_rows, n_units)
    record,  # OUT (capacity, 3) row, step, unit of the first spikes; may be empty
):
    """Present every row to the network at rest, with the random numbers of its own values.

    Returns the number of spikes.
    """
    n_steps = clock.fade.shape[0]
    rest = np.zeros(X.shape[1])
    x = np.empty(X.shape[1])
    bits = np.empty(X.shape[1])
    silence = np.zeros(codes.shape[1])
    n_spikes = 0
    for r in range(X.shape[0]):
        normalise(X[r], scale, x)
        late[:] = False
        begin(rest, x, silence, weights, late, scratch)
        key = row_key(x, bits, seed)
        codes[r] = 0.0
        step, number, length = 0, 0, 1
        while step < n_steps:
            step, number, length, n_events, _ = sample(
                step, number, length, key, clock, weights, late, scratch
            )
            for e in range(n_events):
                codes[r, scratch.spikes[e, 1]] += value
            n_spikes = write_record(r, n_events, scratch.spikes, n_spikes, record)
    return n_spikes


@compiled()
def split(
    arrivals,  # IN (n_arrivals, 3) row, step, unit in order of time
    start,  # IN (n_rows, n_units) traces of each row at its start
    powers,  # IN (n_steps + 1,) decay over 0, 1, ... steps
    traces,  # OUT (n_arrivals + n_rows, n_units) at the first step of each interval
    rows,  # OUT (n_arrivals + n_rows,) row of each interval
    firsts,  # OUT (n_arrivals + n_rows,) first step
    stops,  # OUT (n_arrivals + n_rows,) step after the last
):
    """Split presentations into the intervals in which all traces only decay.

    Returns the number of intervals.
    """
    n_steps = powers.shape[0] - 1
    n, e = 0, 0
    for r in range(start.shape[0]):
        traces[n] = start[r]
        rows[n], firsts[n] = r, 0
        while e < arrivals.shape[0] and arrivals[e, 0] == r:
            step, k = arrivals[e, 1], arrivals[e, 2]
            e += 1
            if step + 1 == n_steps:  # acts in the next presentation
                continue
            if step + 1 > firsts[n]:
                stops[n] = step + 1
                for j in range(start.shape[1]):
                    traces[n + 1, j] = powers[step + 1 - firsts[n]] * traces[n, j]
                n += 1
                rows[n], firsts[n] = r, step + 1
            traces[n, k] += 1.0
        stops[n] = n_steps
        n += 1
    return n


@compiled()
def learn_simultaneously(
    traces,  # IN (n_intervals, n_units) at the first step of each interval
    rows,  # IN (n_intervals,)
    firsts,  # IN (n_intervals,)
    stops,  # IN (n_intervals,)
    new,  # IN (n_rows, n_features) stimuli that fade in
    old,  # IN (n_rows, n_features) stimuli that fade out
    fade,  # IN (n_steps,)
    decay,
    stretch,  # steps evaluated at once
    floor,  # of the feedforward weight by which a recurrent current is divided
    largest,  # bound of feedforward weights
    feedforward_rate,  # times the step
    recurrent_rate,  # times the step
    features,  # IN (n,) the inputs whose weights learn
    feedforward,  # INOUT (n_features, n_units)
    dendritic,  # INOUT (n_features, n_units, n_units)
):
    """Let feedforward and dendritic weights follow each other through presentations.

    Between spikes traces only decay, so dendritic weights W move along the traces z_0 of the
    interval's start alone, and of W only W z_0 matters: a step costs n_features * n_units, a
    spike n_features * n_units^2.
    """
    n_units = feedforward.shape[1]
    recurrent = np.empty(n_units)  # W z
    moved = np.empty(n_units)  # W changes by -moved z_0^T
    square = np.empty(traces.shape[0])
    for e in range(traces.shape[0]):
        square[e] = np.dot(traces[e], traces[e])
    for i in features:
        F, W = feedforward[i], dendritic[i]
        for e in range(traces.shape[0]):
            z = traces[e]
            np.dot(W, z, recurrent)
            moved[:] = 0.0
            x_new, x_old = new[rows[e], i], old[rows[e], i]
            factor = 1.0  # by which traces have decayed
            for first in range(firsts[e], stops[e], stretch):
                # sums over the stretch of the decay times the input, and of its square
                drive, power, q = 0.0, 0.0, 1.0
                for step in range(first, min(first + stretch, stops[e])):
                    drive += q * (fade[step] * x_new + (1.0 - fade[step]) * x_old)
                    power += q * q
                    q *= decay
                rate_F = feedforward_rate * factor
                rate_W = recurrent_rate * factor * factor * square[e]
                stable = 1.0 / max(1.0, rate_W * power)  # W z moves to its goal at most
                for j in range(n_units):
                    f, r = F[j], recurrent[j]
                    slope = math.copysign(1.0, f) / max(floor, abs(f))
                    potential = stable * (f * drive + r * power)
                    moved[j] += factor * potential
                    f += rate_F * z[j] * (drive + r * power * slope)
                    F[j] = min(max(f, -largest), largest)
                    recurrent[j] = q * (r - rate_W * potential)
                factor *= q
            for j in range(n_units):
                for k in range(n_units):
                    W[j, k] -= recurrent_rate * moved[j] * z[k]
