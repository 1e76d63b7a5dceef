"""Compiled code: random numbers, drive, sampling of spikes, and sums over spikes.

Arrays hold one row per feature or per *sending* unit, so that every inner loop runs over
contiguous receiving units and adds in a fixed order: a result never depends on what else is
computed beside it. Arguments are tagged IN, OUT, INOUT or TMP.
"""

import math
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S12, S27, S30, S31 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31)
BLOCK = 16  # units tested at once for a possible spike
EVENTS = 1 << 14  # capacity of the event buffer, filled a stretch of steps at a time
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
        "decay",  # of traces over one step
        "powers",  # (n_steps + 1,) decay over 0, 1, ... steps
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
        "base",  # (n_units,) logit under the previous stimulus, without recurrent current
        "slope",  # (n_units,) logit under the new stimulus minus `base`
        "current",  # (n_units,) recurrent part of the logit
        "logit",  # (n_units,)
        "steps",  # (capacity,) spikes: step
        "units",  # (capacity,) spikes: unit
        "arrival_steps",  # (capacity,) arrivals of spikes: step; with the least delay the spikes
        "arrival_units",  # (capacity,) arrivals of spikes: unit
        "stride",  # steps whose spikes fit
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
    floats = [np.empty(n_units) for _ in range(4)]
    stride = max(1, EVENTS // n_units)
    spikes = [np.empty(stride * n_units, dtype=np.int32) for _ in range(2)]
    arrivals = spikes if delay == 1 else [np.empty_like(array) for array in spikes]
    return Scratch(*floats, *spikes, *arrivals, stride)


@njit(cache=True, nogil=True, inline="always")
def mix(z):
    """Finaliser of splitmix64: a bijection of 64-bit integers."""
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return z ^ (z >> S31)


@njit(cache=True, nogil=True, inline="always")
def uniform(key, i):
    """Number i of the splitmix64 stream that starts at `key`, strictly inside (0, 1)."""
    h = mix(key + GOLDEN * np.uint64(i + 1))
    return (np.float64(np.int64(h >> S12)) + 0.5) * 2.0**-52


@njit(cache=True, nogil=True)
def stream_key(seed, index):
    """Start of the random stream of presentation number `index`."""
    return mix(mix(np.uint64(seed) + GOLDEN) ^ (np.uint64(index) * MIX_1 + GOLDEN))


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def normalise(
    row,  # IN (n_features,)
    scale,
    x,  # OUT (n_features,)
):
    """Divide a row by the scale, clipped to +-LIMIT."""
    for i in range(row.shape[0]):
        x[i] = min(max(row[i] / scale, -LIMIT), LIMIT)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def advance(
    w,
    decay,
    base,  # IN (n_units,)
    slope,  # IN (n_units,)
    current,  # INOUT (n_units,)
    logit,  # OUT (n_units,)
):
    """Logits of one step; the recurrent current then decays."""
    for j in range(base.shape[0]):
        logit[j] = base[j] + w * slope[j] + current[j]
        current[j] *= decay


@njit(cache=True, nogil=True)
def count_candidates(
    logit,  # IN (n,)
    key,
):
    """Number of units that can spike, found without an exponential.

    For a < 0, sigmoid(a) < exp(a) <= 1 / P with P = (1 + y + y^2/2 + y^3/6 + y^4/24)^8 and
    y = -a / 8: where u P >= 1 there is no spike.
    """
    n = 0
    for j in range(logit.shape[0]):
        a = logit[j]
        y = -0.125 * a if a < 0.0 else 0.0
        p = 1.0 + y * (1.0 + y * (1 / 2 + y * (1 / 6 + y * (1 / 24))))
        p *= p
        p *= p
        p *= p
        n += 1 if uniform(key, j) * p < 1.0 + 1e-9 else 0
    return n


@njit(cache=True, nogil=True)
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
    row = late[step % late.shape[0]]
    for k in range(row.shape[0]):
        if row[k]:
            row[k] = False
            scratch.arrival_steps[n_arrivals] = step
            scratch.arrival_units[n_arrivals] = k
            n_arrivals += 1
            for j in range(row.shape[0]):
                scratch.current[j] += weights.gain * weights.recurrent[k, j]
    for e in range(first, last):
        row[scratch.units[e]] = True
    return n_arrivals


@njit(cache=True, nogil=True)
def sample(
    first,
    key,
    clock,  # IN Clock
    weights,  # IN Weights
    late,  # INOUT (delay - 1, n_units) row t % (delay - 1): spikes that arrive at step t
    scratch,  # INOUT Scratch as `begin` left it; spikes and arrivals are written to it
):
    """Draw all spikes of the stretch of steps that begins at `first`.

    Every unit and step has its own uniform number u, number `step * n_units + unit` of the
    stream `key`; the unit spikes where u < sigmoid(logit). If `one_spike`, only the most
    probable of several spikes in a step is kept. A spike of step t acts from step t + delay on:
    it arrives at step t + delay - 1. Returns the numbers of spikes and of arrivals.
    """
    base, slope, current, logit = scratch.base, scratch.slope, scratch.current, scratch.logit
    steps, units = scratch.steps, scratch.units
    n_units = base.shape[0]
    n_events, n_arrivals = 0, 0
    for step in range(first, min(first + scratch.stride, clock.fade.shape[0])):
        advance(clock.fade[step], clock.decay, base, slope, current, logit)
        n_before = n_events
        for start in range(0, n_units, BLOCK):
            stop = min(start + BLOCK, n_units)
            block_key = key + GOLDEN * np.uint64(step * n_units + start)
            if count_candidates(logit[start:stop], block_key) > 0:
                for j in range(start, stop):
                    u = uniform(block_key, j - start)
                    if u < 1.0 / (1.0 + math.exp(-logit[j])):
                        steps[n_events] = step
                        units[n_events] = j
                        n_events += 1
        if clock.one_spike and n_events > n_before + 1:
            best = units[n_before]
            for e in range(n_before + 1, n_events):
                if logit[units[e]] > logit[best]:
                    best = units[e]
            units[n_before] = best
            n_events = n_before + 1
        if clock.delay == 1:
            for e in range(n_before, n_events):
                for j in range(n_units):
                    current[j] += weights.gain * weights.recurrent[units[e], j]
            n_arrivals = n_events
        else:
            n_arrivals = exchange(step, n_before, n_events, n_arrivals, weights, late, scratch)
    return n_events, n_arrivals


@njit(cache=True, nogil=True)
def begin(
    previous,  # IN (n_features,) normalised stimulus that fades out
    stimulus,  # IN (n_features,) normalised stimulus that fades in
    traces,  # IN (n_units,)
    weights,  # IN Weights
    scratch,  # OUT Scratch: base, slope, current
):
    """Split the logits at the first step into what `sample` needs."""
    base, slope, current = scratch.base, scratch.slope, scratch.current
    gain = weights.gain
    project(previous, weights.feedforward, base)
    project(stimulus, weights.feedforward, slope)
    project(traces, weights.recurrent, current)
    for j in range(base.shape[0]):
        slope[j] = gain * (slope[j] - base[j])
        base[j] = gain * base[j] + weights.offset[j]
        current[j] *= gain


@njit(cache=True, nogil=True)
def rescale(
    factor,
    traces,  # INOUT (n_units,)
):
    """Let traces decay."""
    for j in range(traces.shape[0]):
        traces[j] *= factor


@njit(cache=True, nogil=True)
def open_sums(
    traces,  # IN (n_units,) before the first step
    tail_new,
    tail_old,
    tail_square,
    drive,  # OUT (2, n_units)
    gram,  # INOUT (n_units, n_units)
):
    """Add what the traces at the start of a presentation contribute to its sums."""
    for j in range(traces.shape[0]):
        drive[0, j] = tail_new * traces[j]
        drive[1, j] = tail_old * traces[j]
        half = 0.5 * tail_square * traces[j]
        if half > 0.0:
            for k in range(traces.shape[0]):
                gram[j, k] += half * traces[k]


@njit(cache=True, nogil=True)
def add_spikes(
    n_events,
    steps,  # IN (capacity,)
    units,  # IN (capacity,)
    now,  # step before which `traces` hold
    tails,  # IN Tails
    powers,  # IN (n_steps + 1,) decay over 0, 1, ... steps
    traces,  # INOUT (n_units,)
    drive,  # INOUT (2, n_units) sums over steps of the trace times the weight of x_new, x_old
    gram,  # INOUT (n_units, n_units) half of the sum over steps of z z^T, see below
):
    """Add the contribution of spikes to the sums over all steps of a presentation.

    A spike that arrives at step t adds a decaying tail to its trace: tails hold the sums of such
    a tail, weighted by the two stimuli and, for pairs, by the tail of the other trace. Every pair
    is added at its later spike and in one triangle order only: sum z z^T = gram + gram^T.
    Returns the step before which `traces` hold now.
    """
    n_units = traces.shape[0]
    for e in range(n_events):
        step, k = steps[e], units[e]
        if step >= now:
            rescale(powers[step + 1 - now], traces)
            now = step + 1
        drive[0, k] += tails.new[now]
        drive[1, k] += tails.old[now]
        tail = tails.square[now]
        for j in range(n_units):
            gram[k, j] += tail * traces[j]
        gram[k, k] += 0.5 * tail
        traces[k] += 1.0
    return now


@njit(cache=True, nogil=True)
def add_to_traces(
    n_events,
    steps,  # IN (capacity,)
    units,  # IN (capacity,)
    now,  # step before which `traces` hold
    powers,  # IN (n_steps + 1,) decay over 0, 1, ... steps
    traces,  # INOUT (n_units,)
):
    """Add spikes to traces; return the step before which they hold now."""
    for e in range(n_events):
        rescale(powers[steps[e] + 1 - now], traces)
        now = steps[e] + 1
        traces[units[e]] += 1.0
    return now


@njit(cache=True, nogil=True)
def turn(
    late,  # INOUT (n_rows, n_units)
    n_steps,
):
    """Let row 0 be what arrives next, after `n_steps` steps."""
    before = late.copy()
    for t in range(late.shape[0]):
        late[t] = before[(t + n_steps) % late.shape[0]]


@njit(cache=True, nogil=True)
def write_record(
    row,
    n_events,
    steps,  # IN (capacity,)
    units,  # IN (capacity,)
    n_spikes,  # recorded so far
    record,  # INOUT (capacity, 3)
):
    """Append events to a record while it has room; return how many there have been."""
    for e in range(n_events):
        if n_spikes < record.shape[0]:
            record[n_spikes, 0] = row
            record[n_spikes, 1] = steps[e]
            record[n_spikes, 2] = units[e]
        n_spikes += 1
    return n_spikes


@njit(cache=True, nogil=True)
def present(
    X,  # IN (n_rows, n_features) raw rows, presented in this order
    scale,
    seed,
    first,  # number of the first presentation
    n_started,  # number of lanes that have held a stimulus before
    previous,  # INOUT (n_lanes, n_features) last stimulus of each lane
    stimuli,  # OUT (n_lanes, n_features) stimulus of each lane
    traces,  # INOUT (n_lanes, n_units) as the recurrent currents have them
    late,  # INOUT (n_lanes, delay - 1, n_units) row t: spikes that arrive at step t
    at_once,  # whether to sum the traces of spikes, in `undelayed`, or those of arrivals
    undelayed,  # INOUT (n_lanes, n_units)
    weights,  # IN Weights
    clock,  # IN Clock
    tails,  # IN Tails
    scratch,  # TMP Scratch
    counts,  # INOUT (n_units,)
    drive,  # OUT (n_lanes, 2, n_units)
    gram,  # INOUT (n_units, n_units)
    record,  # OUT (capacity, 3) row, step, unit of the first spikes; may be empty
    arrivals,  # OUT (capacity, 3) row, step, unit of the first arrivals; may be empty
):
    """Present rows to the lanes of a batch, the weights standing still; sum what learning needs.

    Row r is presentation number first + r of the stream and runs on lane (first + r) mod
    n_lanes, from the traces and the stimulus that this lane held last. Returns the numbers of
    spikes and of arrivals.
    """
    n_lanes = traces.shape[0]
    n_steps = clock.fade.shape[0]
    powers = clock.powers
    n_spikes, n_arrivals = 0, 0
    for r in range(X.shape[0]):
        lane = (first + r) % n_lanes
        z = traces[lane]
        summed = undelayed[lane] if at_once else z
        normalise(X[r], scale, stimuli[lane])
        if lane >= n_started:
            previous[lane] = stimuli[lane]  # the first stimulus fades from itself
        begin(previous[lane], stimuli[lane], z, weights, scratch)
        key = stream_key(seed, first + r)
        open_sums(summed, tails.new[0], tails.old[0], tails.square[0], drive[lane], gram)
        now, now_summed = 0, 0
        for start in range(0, n_steps, scratch.stride):
            n_new, n_arrived = sample(start, key, clock, weights, late[lane], scratch)
            steps, units = scratch.steps, scratch.units
            for e in range(n_new):
                counts[units[e]] += 1
            n_spikes = write_record(r, n_new, steps, units, n_spikes, record)
            if at_once:
                now_summed = add_spikes(
                    n_new, steps, units, now_summed, tails, powers, summed, drive[lane], gram
                )
            steps, units = scratch.arrival_steps, scratch.arrival_units
            n_arrivals = write_record(r, n_arrived, steps, units, n_arrivals, arrivals)
            if at_once:
                now = add_to_traces(n_arrived, steps, units, now, powers, z)
            else:
                now = add_spikes(n_arrived, steps, units, now, tails, powers, z, drive[lane], gram)
        rescale(powers[n_steps - now], z)
        if at_once:
            rescale(powers[n_steps - now_summed], summed)
        if clock.delay > 1:
            turn(late[lane], n_steps)
    return n_spikes, n_arrivals


@njit(cache=True, nogil=True)
def encode(
    X,  # IN (n_rows, n_features) raw rows
    scale,
    seed,
    weights,  # IN Weights
    clock,  # IN Clock
    read,  # IN (n_steps,) what a spike at a step adds to the code
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
        begin(rest, x, silence, weights, scratch)
        key = row_key(x, bits, seed)
        codes[r] = 0.0
        late[:] = False
        for start in range(0, n_steps, scratch.stride):
            n_events, _ = sample(start, key, clock, weights, late, scratch)
            for e in range(n_events):
                codes[r, scratch.units[e]] += read[scratch.steps[e]]
            n_spikes = write_record(r, n_events, scratch.steps, scratch.units, n_spikes, record)
    return n_spikes


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def dot(
    a,  # IN (n,)
    b,  # IN (n,)
):
    """Scalar product; the order of the terms is free, so that the loop vectorises."""
    total = 0.0
    for k in range(a.shape[0]):
        total += a[k] * b[k]
    return total


@njit(cache=True, nogil=True)
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
        square[e] = dot(traces[e], traces[e])
    for i in features:
        F, W = feedforward[i], dendritic[i]
        for e in range(traces.shape[0]):
            z = traces[e]
            for j in range(n_units):
                recurrent[j] = dot(W[j], z)
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
