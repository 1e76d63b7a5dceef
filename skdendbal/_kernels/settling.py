"""Balanced codes: the rates of the neurons that spiked settle where their potentials are zero.

With the weights of exact balance, potentials under rates r are ``D^T (x - D r)``. Where they are
zero for all neurons with a rate above zero, and not positive for those that fell to zero, r is the
non-negative least-squares solution for x among the neurons that spiked.

Where atoms depend on each other there are many such solutions. A slight force that holds rates
where they were chooses the one nearest to them.

The rates may be shrunk: they settle where potentials are not zero, but at a level above it. They
are then the solution of a non-negative lasso among the neurons that spiked.

With recruitment, neurons that did not spike join, one after another, as long as the potential of
one is above that level. The solution is then that among all neurons.

Neurons that contribute little may be silenced, one after another, until every one left contributes
enough. Neurons that would contribute less are not recruited.
"""

import math

import numpy as np

from .compilation import compiled, inner
from .presentation import ZERO, normalise

STIFFNESS = 1e-9  # with which a rate is held where it was, relative to the square of its atom
MIN_POTENTIAL = 1e-12  # relative to the input of the neuron; what is smaller is rounding


@inner()
def list_active(rates, units):
    """List units with a rate above zero in `units` OUT, in ascending order; return how many."""
    n = ZERO
    for j in range(rates.shape[0]):
        if rates[j] != 0.0:
            units[n] = j
            n += 1
    return n


@inner()
def factorise(recurrent, units, n_units, first_row, first_column, lower):
    """Let `lower` INOUT be the Cholesky factor of minus `recurrent` IN among some units.

    It is known in rows before the first one, and in columns before the first one.

    Returns the place in `units` of the first one whose atom is zero, or too large, or `n_units`.
    """
    for a in range(first_row, n_units):
        for b in range(first_column, a + 1):
            value = -recurrent[units[a], units[b]]
            if a == b:
                value *= 1.0 + STIFFNESS
            for c in range(b):
                value -= lower[a, c] * lower[b, c]
            if b < a:
                lower[a, b] = value / lower[b, b]
            elif 0.0 < value < math.inf:
                lower[a, a] = math.sqrt(value)
            else:
                return a
    return n_units


@inner()
def solve(lower, n_units, values):
    """Let `values` INOUT be the solution of the equations whose right side they are."""
    for a in range(n_units):
        for b in range(a):
            values[a] -= lower[a, b] * values[b]
        values[a] /= lower[a, a]
    for a in range(n_units - 1, -1, -1):
        for b in range(a + 1, n_units):
            values[a] -= lower[b, a] * values[b]
        values[a] /= lower[a, a]


@inner()
def silence(place, units, n_units, lower, rates):
    """Take a unit off the list `units` INOUT; the factor stays known up to its column."""
    rates[units[place]] = 0.0
    for a in range(place, n_units - 1):
        units[a] = units[a + 1]
        for b in range(place):
            lower[a, b] = lower[a + 1, b]


@inner()
def find_first_to_fall(units, n_units, solution, rates):
    """Return the place of the first rate that is zero on the way to a solution, and how far it is.

    The place is -1, and the way 1, if the solution is positive.
    """
    place, way = -1, 1.0
    for a in range(n_units):
        if not solution[a] > 0.0:
            rate = rates[units[a]]
            own = rate / (rate - solution[a]) if rate > 0.0 else 0.0
            if place < 0 or own < way:
                place, way = a, own
    return place, way


@inner()
def find_most_excited(may_join, units, n_units, inputs, recurrent, least_gain, rates, potentials):
    """Return the silent neuron with the highest potential, or -1 if none is positive.

    It must lower the squared error by `least_gain` while the other rates stay as they are.
    """
    for j in range(potentials.shape[0]):
        potentials[j] = inputs[j]
    for a in range(n_units):
        unit, rate = units[a], rates[units[a]]
        for j in range(potentials.shape[0]):
            potentials[j] += rate * recurrent[unit, j]
    best, highest = -1, 0.0
    for j in range(potentials.shape[0]):
        potential = potentials[j]
        if (
            potential > highest
            and may_join[j]
            and rates[j] == 0.0
            and potential > MIN_POTENTIAL * abs(inputs[j])
            and potential * potential >= -recurrent[j, j] * least_gain
        ):
            best, highest = j, potential
    return best


@inner()
def settle(
    may_join,  # INOUT (n_units,) whether units may settle; those that spiked, or all
    max_units,  # that may be active at a time
    inputs,  # IN (n_units,) D^T x and the forces that hold and shrink rates, of these units
    recurrent,  # IN (n_units, n_units) -D^T D
    least_gain,  # by which a silent neuron lowers the squared error when it joins
    rates,  # INOUT (n_units,)
    units,  # OUT (n_units,)
    potentials,  # OUT (n_units,)
    solution,  # OUT (max_units or more,)
    lower,  # OUT (max_units or more, max_units or more)
):
    """Let rates settle, by the method of Lawson and Hanson, from the rates as they are.

    Rates go straight to where all potentials are zero. If one of them falls to zero on the way,
    they stop there, and go on without it. A silent neuron whose potential is positive in the end
    joins, but not if it fell silent at once when it did so before.
    """
    n = list_active(rates, units)
    first_row, first_column, joined = ZERO, ZERO, -1
    for _ in range(3 * np.sum(may_join)):
        while True:
            place = factorise(recurrent, units, n, first_row, first_column, lower)
            if place == n:
                break
            may_join[units[place]] = False
            silence(place, units, n, lower, rates)
            n, first_row, first_column = n - 1, place, ZERO  # later rows are not known yet
        for a in range(n):
            solution[a] = inputs[units[a]]
        solve(lower, n, solution)
        place, way = find_first_to_fall(units, n, solution, rates)
        for a in range(n):
            j = units[a]
            rates[j] = solution[a] if place < 0 else rates[j] + way * (solution[a] - rates[j])
        if place >= 0:
            may_join[units[place]] = units[place] != joined
            joined = -1
            silence(place, units, n, lower, rates)
            n, first_row, first_column = n - 1, place, place
            continue
        if n == max_units:
            break
        joined = find_most_excited(
            may_join, units, n, inputs, recurrent, least_gain, rates, potentials
        )
        if joined < 0:
            break
        units[n] = joined
        n, first_row, first_column = n + 1, n, ZERO


@inner()
def find_least_contribution(units, recurrent, rates, column, lower):
    """Return the place of the unit that lowers the squared error least, and by how much it does.

    Without unit j and with the rates of the others settled anew, the squared error grows by
    ``r_j^2 / (G^-1)_jj``, where G is D^T D among the units.
    """
    n = units.shape[0]
    place, least = -1, math.inf
    if factorise(recurrent, units, n, ZERO, ZERO, lower) < n:
        return place, least
    for a in range(n):
        inverse = 0.0  # entry (a, a) of the inverse of G
        for b in range(a, n):
            value = 1.0 if b == a else 0.0
            for c in range(a, b):
                value -= lower[b, c] * column[c]
            column[b] = value / lower[b, b]
            inverse += column[b] * column[b]
        contribution = rates[units[a]] ** 2 / inverse
        if contribution < least:
            place, least = a, contribution
    return place, least


@inner()
def find_inputs(
    x,  # IN (n_features,) normalised row
    scale,
    components,  # IN (n_units, n_features) D^T times the scale
    decoder,  # IN (n_features, n_units) the same transposed, read with recruitment only
    recurrent,  # IN (n_units, n_units) -D^T D
    shrinkage,
    recruitment,
    rates,  # IN (n_units,)
    active,  # IN (n_active,) units whose rates are positive
    inputs,  # OUT (n_units,) only those of active units without recruitment
):
    """Sum up what acts on neurons while they settle, apart from each other's rates."""
    for j in range(inputs.shape[0]):
        inputs[j] = -STIFFNESS * recurrent[j, j] * rates[j]
        inputs[j] -= shrinkage * math.sqrt(-recurrent[j, j])
    for i in range(x.shape[0]):
        xi = x[i] / scale
        if xi == 0.0:
            continue
        if recruitment:
            for j in range(inputs.shape[0]):
                inputs[j] += xi * decoder[i, j]
        else:
            for j in active:
                inputs[j] += xi * components[j, i]


@compiled(allocates=True)
def settle_rows(
    X,  # IN (n_rows, n_features) raw rows
    scale,
    components,  # IN (n_units, n_features) D^T times the scale
    decoder,  # IN (n_features, n_units) the same transposed, or of any size without recruitment
    recurrent,  # IN (n_units, n_units) -D^T D
    shrinkage,  # potential that is left, relative to the norm of the atom
    min_contribution,  # to the squared error of a scaled row, of an entry that is kept
    recruitment,  # whether neurons that did not spike may join
    codes,  # INOUT (n_rows, n_units)
):
    """Let the code of every row settle; silence units, least first, until each contributes enough.

    Whenever a unit was silenced, the others settle anew.
    """
    n_units, n_features = codes.shape[1], X.shape[1]
    x, inputs, potentials = np.empty(n_features), np.empty(n_units), np.empty(n_units)
    units, may_join = np.empty(n_units, dtype=np.int64), np.empty(n_units, dtype=np.bool_)
    # A recruit depends on no unit that is active when it joins, so that at most n_features join.
    most, n_recruits = ZERO, n_features if recruitment else ZERO
    for r in range(X.shape[0]):
        most = max(most, min(n_units, list_active(codes[r], units) + n_recruits))
    solution, lower = np.empty(most), np.empty((most, most))
    for r in range(X.shape[0]):
        rates = codes[r]
        active = units[: list_active(rates, units)]
        normalise(X[r], scale, x)
        find_inputs(
            x, scale, components, decoder, recurrent, shrinkage, recruitment, rates, active, inputs
        )
        for j in range(n_units):
            may_join[j] = recruitment or rates[j] > 0.0
        max_units = min(n_units, active.shape[0] + n_recruits)
        least_gain = min_contribution if recruitment else 0.0
        while True:
            settle(
                may_join, max_units, inputs, recurrent, least_gain, rates,
                units, potentials, solution, lower,
            )  # fmt: skip
            if min_contribution == 0.0:
                break
            active = units[: list_active(rates, units)]
            place, least = find_least_contribution(active, recurrent, rates, solution, lower)
            if not least < min_contribution:
                break
            rates[active[place]] = 0.0
            for j in range(n_units):
                may_join[j] = rates[j] > 0.0
