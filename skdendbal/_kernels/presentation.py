"""Presentation of stimuli: from a stimulus to spikes, and to the sums that learning needs.

Arrays hold one row per feature or per *sending* unit, so that every inner loop runs over
contiguous receiving units and adds in a fixed order: no result depends on what else is computed
beside it. Arguments are tagged IN, OUT, INOUT or TMP.
"""

import numpy as np

from .compilation import compiled, inner
from .random_numbers import row_key, stream_key
from .thinning import (
    MAX_LOGIT_PART,
    MAX_SPIKES,
    ROUNDING,
    bound_step,
    choose_window,
    draw_candidates,
    draw_most_probable,
    keep_most_probable,
    thin_step,
    thin_window,
)

MAX_INPUT = 1e100  # inputs are clipped here, so that no product of them overflows
# Counters start from these: numba would compile what is called with a literal 0 once more.
ZERO, ONE = np.int64(0), np.int64(1)


@inner()
def normalise(row, scale, x):
    """Divide `row` IN (n_features,) by the scale, clipped to +-MAX_INPUT, into `x` OUT."""
    for i in range(row.shape[0]):
        x[i] = min(max(row[i] / scale, -MAX_INPUT), MAX_INPUT)


@inner()
def project(x, weights, out):
    """Let `out` OUT (n_out,) be `x` IN (n_in,) @ `weights` IN, added up in this order."""
    out[:] = 0.0
    for i in range(x.shape[0]):
        xi = x[i]
        if xi != 0.0:
            for j in range(out.shape[0]):
                out[j] += xi * weights[i, j]


@compiled()
def prepare_logits(
    previous,  # IN (n_features,) normalised stimulus that fades out
    stimulus,  # IN (n_features,) normalised stimulus that fades in
    traces,  # IN (n_units,)
    late_traces,  # IN (n_units,) or (0,)
    dynamics,  # IN Dynamics
    in_flight,  # IN (delay_steps - 1, n_units)
    scratch,  # OUT Scratch: stimulus, rounded, current, due
):
    """Split the logits at the first step into what `sample_spikes` needs."""
    n_units, gain, recurrent = traces.shape[0], dynamics.gain, dynamics.recurrent
    base, slope = scratch.stimulus[0, :n_units], scratch.stimulus[1, :n_units]
    high, slope_32 = scratch.rounded[0], scratch.rounded[1]
    current = scratch.current[:n_units]
    project(previous, dynamics.feedforward, base)
    project(stimulus, dynamics.feedforward, slope)
    if late_traces.shape[0] > 0:
        project(late_traces, recurrent, current)
        for j in range(n_units):  # a neuron's own spikes are not late
            current[j] += (traces[j] - late_traces[j]) * recurrent[j, j]
    else:
        project(traces, recurrent, current)
    for j in range(n_units):
        slope[j] = gain * (slope[j] - base[j])
        base[j] = gain * base[j] + dynamics.offset[j]
        current[j] *= gain
        up = base[j] + ROUNDING * (abs(base[j]) + abs(slope[j]))
        high[j] = min(max(up, -MAX_LOGIT_PART), MAX_LOGIT_PART)
        slope_32[j] = min(max(slope[j], -MAX_LOGIT_PART), MAX_LOGIT_PART)
    for t in range(in_flight.shape[0]):
        scratch.due[t] = False
        for k in range(n_units):
            scratch.due[t] |= in_flight[t, k]


@inner()
def rescale(factor, values):
    """Let traces or currents, `values` INOUT (n_units,), decay."""
    for j in range(values.shape[0]):
        values[j] *= factor


@inner(forceinline=True)
def deliver_spike(unit, decay, recurrent, gain, current):
    """Let `current` INOUT (n_filled,) decay and add what a spike of a unit adds to it."""
    for j in range(recurrent.shape[1]):
        current[j] = decay * current[j] + gain * recurrent[unit, j]


@inner(forceinline=True)
def steps_until_arrival(step, n_steps, due):
    """Return the steps up to the next arrival, at most `n_steps`; `due` is that of Scratch."""
    for t in range(n_steps):
        if due[(step + t) % due.shape[0]]:
            return t + 1
    return n_steps


@inner()
def step_delay_line(
    step,
    first,  # the spikes of this step are those from number `first` up to, not including, `last`
    last,
    powers,  # IN (n_steps + 1,) decay over 0, 1, ... steps
    dynamics,  # IN Dynamics
    late_traces,  # INOUT (n_units,) as they will be at the end of the presentation
    in_flight,  # INOUT (delay_steps - 1, n_units)
    scratch,  # INOUT Scratch
):
    """Let the spikes arrive that are due, and take in those of this step.

    A spike acts on its own neuron at once, and on the others when it arrives.
    """
    recurrent, gain, current = dynamics.recurrent, dynamics.gain, scratch.current
    t = step % in_flight.shape[0]
    if scratch.due[t]:
        for k in range(in_flight.shape[1]):
            if in_flight[t, k]:
                in_flight[t, k] = False
                late_traces[k] += powers[powers.shape[0] - 2 - step]
                own = current[k]
                deliver_spike(k, 1.0, recurrent, gain, current)
                current[k] = own
    scratch.due[t] = last > first
    for e in range(first, last):
        k = scratch.spikes[e, 1]
        in_flight[t, k] = True
        current[k] += gain * recurrent[k, k]


@inner(error_model="numpy")
def sample_spikes(step, number, length, key, clock, dynamics, late_traces, in_flight, scratch):
    """Draw the spikes of a presentation from some step on, as far as there is room.

    Windows of steps without a candidate are skipped. A window ends early with the first step in
    which units spike or delayed spikes arrive. Random numbers are those of the stream `key`, one
    after another. If `one_spike` is true, only the most probable of several spikes in a step is
    kept. A spike of step t arrives at other neurons at step t + delay_steps - 1, and acts on them
    from the next step on.

    `step` is the first step, `number` that of random numbers used so far and `length` that of the
    first window. `scratch` INOUT is as `prepare_logits` left it, and receives the spikes. Row
    t % (delay_steps - 1) of `in_flight` INOUT arrives at step t. `late_traces` INOUT are those at
    the end of the presentation.

    Returns the step reached, the number of random numbers used, the length of the next window and
    the number of spikes.
    """
    fade, n_fading, powers, decay_bounds, delay_steps = clock
    recurrent, gain, one_spike = dynamics.recurrent, dynamics.gain, dynamics.one_spike
    stimulus, rounded, current, bounds, sums, candidates, spikes, due, _, _ = scratch
    n_spikes, crowded = ZERO, step
    while step < fade.shape[0] and n_spikes <= MAX_SPIKES:
        n_before, passed = n_spikes, 1
        if delay_steps > 1:
            length = steps_until_arrival(step, min(length, decay_bounds.shape[0] - 1), due)
        length, total, crowded = choose_window(
            step, length, crowded, fade, n_fading, decay_bounds, rounded, current, bounds, sums
        )
        if length > 1:
            number, n = draw_candidates(number, key, total, length, bounds, sums, candidates)
            number, n_spikes, passed = thin_window(
                step, number, key, length, n, candidates,
                fade, powers, stimulus, current, n_spikes, spikes,
            )  # fmt: skip
        else:
            w, unit = fade[step], -1
            total = bound_step(np.float32(w), rounded, current, bounds, sums)
            if one_spike:  # the most probable unit, if it spikes, is all there is to draw
                number, unit, is_spike = draw_most_probable(
                    number, key, w, stimulus, current, sums
                )
                if is_spike:
                    spikes[n_spikes, 0], spikes[n_spikes, 1] = step, unit
                    n_spikes += 1
            if n_spikes == n_before:
                number, n_spikes = thin_step(
                    step, number, key, total, w, unit,
                    stimulus, current, bounds, sums, n_spikes, spikes,
                )  # fmt: skip
        last, decay = step + passed - 1, powers[passed]
        if one_spike and n_spikes > n_before + 1:
            keep_most_probable(
                fade[last], powers[passed - 1], stimulus, current, n_before, n_spikes, spikes
            )
            n_spikes = n_before + 1
        if delay_steps > 1 or n_spikes == n_before:
            rescale(decay, current)
        if delay_steps > 1:
            step_delay_line(
                last, n_before, n_spikes, powers, dynamics, late_traces, in_flight, scratch
            )
        else:
            for e in range(n_before, n_spikes):
                deliver_spike(spikes[e, 1], decay, recurrent, gain, current)
                decay = 1.0
        step += passed
        # the next window expects one candidate, if hazards stay
        if n_spikes > n_before or step >= crowded:
            crowded = step
            length = np.int64(min(4.0 * length, 1.0 + length / total))
        else:
            length = max(1, min(length, np.int64(length / total)))
    return step, number, length, n_spikes


@inner()
def add_spikes(
    n_spikes,
    spikes,  # IN (capacity, 2) step, unit
    now,  # step before which `fresh` holds
    tails,  # IN Tails
    powers,  # IN (n_steps + 1,) decay over 0, 1, ... steps
    active,  # INOUT (n_units,) units that have spiked
    n_active,  # how many
    fresh,  # INOUT (n_units,) traces of the spikes of this presentation
    wz,  # INOUT (2, n_units) sums over steps of the trace times the weight of x_new, x_old
    crossed,  # INOUT (n_units,) sums of the fresh trace times what is left of older ones
    half_zz,  # INOUT (n_units, n_units) whose symmetrisation sums fresh traces; may be empty
):
    """Add the contribution of spikes to the sums over all steps of a presentation.

    A spike of step t adds a decaying tail to its trace: tails hold the sums of such
    a tail, weighted by the two stimuli and, for pairs, by the tail of the other trace. Every pair
    is added at its later spike, to one of its two entries.

    Returns the step before which `fresh` holds now, and how many units have spiked.
    """
    for e in range(n_spikes):
        step, k = spikes[e]
        if step >= now:
            for a in range(n_active):
                fresh[active[a]] *= powers[step + 1 - now]
            now = step + 1
        wz[0, k] += tails.new[now]
        wz[1, k] += tails.old[now]
        if half_zz.size > 0:
            tail = tails.square[now]
            crossed[k] += tail * powers[now]
            for a in range(n_active):
                half_zz[k, active[a]] += tail * fresh[active[a]]
            half_zz[k, k] += 0.5 * tail
        if fresh[k] == 0.0:
            active[n_active] = k
            n_active += 1
        fresh[k] += 1.0
    return now, n_active


@inner()
def clear_delay_line(late_traces, in_flight):
    """Let no spike be on its way: `late_traces` INOUT and `in_flight` INOUT of a lane."""
    rescale(0.0, late_traces)
    for t in range(in_flight.shape[0]):
        for k in range(in_flight.shape[1]):
            in_flight[t, k] = False


@inner()
def write_record(
    row,
    n_spikes,
    spikes,  # IN (capacity, 2) step, unit
    n_recorded,  # so far
    record,  # INOUT (capacity, 3) row, step, unit
):
    """Append spikes to a record while it has room; return how many there have been."""
    for e in range(n_spikes):
        if n_recorded < record.shape[0]:
            record[n_recorded, 0] = row
            record[n_recorded, 1] = spikes[e, 0]
            record[n_recorded, 2] = spikes[e, 1]
        n_recorded += 1
    return n_recorded


@compiled()
def present(
    X,  # IN (n_rows, n_features) raw rows, presented in this order
    scale,
    seed,
    at_rest,  # whether every row is presented to the network at rest, or else to a lane of its own
    first,  # number of the first presentation, in lanes
    lanes,  # INOUT Lanes; at rest a single one, which holds what a row needs
    dynamics,  # IN Dynamics
    clock,  # IN Clock
    tails,  # IN Tails
    scratch,  # TMP Scratch
    per_spike,  # what a spike counts
    sums,  # INOUT LaneSums; at rest only its spike counts
    record,  # OUT (capacity, 3) row, step, unit of the first spikes; may be empty
):
    """Present rows with fixed weights and add up spikes, and in lanes also what learning needs.

    In lanes, row r is presentation number first + r of the stream. At rest, a row has the random
    numbers of its own values. Both are one kernel because compiling one takes seconds.

    Returns the number of spikes.
    """
    n_steps, n_units, n_spikes = clock.fade.shape[0], lanes.traces.shape[1], ZERO
    powers, fresh, active = clock.powers, scratch.fresh, scratch.active
    for r in range(X.shape[0]):
        lane = ZERO if at_rest else r
        x, previous, z = lanes.stimuli[lane], lanes.previous[lane], lanes.traces[lane]
        late, in_flight = lanes.late_traces[lane], lanes.in_flight[lane]
        normalise(X[r], scale, x)
        if at_rest:
            clear_delay_line(late, in_flight)
            key = row_key(x, seed)
        else:
            key = stream_key(seed, first + r)
        if lanes.is_new[lane]:
            for i in range(x.shape[0]):  # the first stimulus fades from itself
                previous[i] = x[i]
            lanes.is_new[lane] = False
        prepare_logits(previous, x, z, late, dynamics, in_flight, scratch)
        rescale(powers[n_steps], late)
        if not at_rest:
            for j in range(n_units):
                sums.wz[r, 0, j], sums.wz[r, 1, j] = tails.new[0] * z[j], tails.old[0] * z[j]
                z[j] *= powers[n_steps]
        step, now, number, length, n_active = ZERO, ZERO, ZERO, ONE, ZERO
        while step < n_steps:
            step, number, length, n = sample_spikes(
                step, number, length, key, clock, dynamics, late, in_flight, scratch
            )
            for e in range(n):
                sums.spike_counts[r, scratch.spikes[e, 1]] += per_spike
            n_spikes = write_record(r, n, scratch.spikes, n_spikes, record)
            if not at_rest:
                now, n_active = add_spikes(
                    n, scratch.spikes, now, tails, powers, active, n_active, fresh,
                    sums.wz[r], sums.crossed[r], sums.half_zz,
                )  # fmt: skip
        for a in range(n_active):
            z[active[a]] += powers[n_steps - now] * fresh[active[a]]
            fresh[active[a]] = 0.0
    return n_spikes
