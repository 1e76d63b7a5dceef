"""The learning rule that follows a presentation step by step."""

import math

import numpy as np

from .compilation import compiled


@compiled(allocates=True)
def learn_simultaneously(
    intervals,  # IN IntervalArrays
    new,  # IN (n_lanes, n_features) stimuli that fade in
    old,  # IN (n_lanes, n_features) stimuli that fade out
    clock,  # IN Clock
    stretch,  # steps evaluated at once
    floor,  # of the feedforward weight by which a recurrent current is divided
    largest,  # bound of feedforward weights
    rates,  # of feedforward and recurrent weights, times the step
    features,  # IN (n,) the inputs whose weights learn
    feedforward,  # INOUT (n_features, n_units)
    dendritic,  # INOUT (n_features, n_units, n_units)
):
    """Let feedforward and dendritic weights follow each other through presentations.

    Between spikes traces only decay, so dendritic weights W move along the traces z_0 of the
    interval's start alone, and of W only W z_0 matters: a step costs n_features * n_units, a
    spike n_features * n_units^2.
    """
    traces, lanes, firsts, stops = intervals
    feedforward_rate, recurrent_rate = rates
    n_units, fade, decay = feedforward.shape[1], clock.fade, clock.powers[1]
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
            x_new, x_old = new[lanes[e], i], old[lanes[e], i]
            factor = 1.0  # by which traces have decayed
            for first in range(firsts[e], stops[e], stretch):
                # sums over the stretch of the decay times the input, and of its square
                input_sum, power, q = 0.0, 0.0, 1.0
                for step in range(first, min(first + stretch, stops[e])):
                    input_sum += q * (fade[step] * x_new + (1.0 - fade[step]) * x_old)
                    power += q * q
                    q *= decay
                rate_F = feedforward_rate * factor
                rate_W = recurrent_rate * factor * factor * square[e]
                stable = 1.0 / max(1.0, rate_W * power)  # W z moves at most as far as its goal
                for j in range(n_units):
                    f, r = F[j], recurrent[j]
                    slope = math.copysign(1.0, f) / max(floor, abs(f))
                    potential = stable * (f * input_sum + r * power)
                    moved[j] += factor * potential
                    f += rate_F * z[j] * (input_sum + r * power * slope)
                    F[j] = min(max(f, -largest), largest)
                    recurrent[j] = q * (r - rate_W * potential)
                factor *= q
            for j in range(n_units):
                for k in range(n_units):
                    W[j, k] -= recurrent_rate * moved[j] * z[k]
