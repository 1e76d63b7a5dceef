"""Fit and code with random parameters and data, and count the outcomes.

Every configuration must end with finite codes, with a documented error that names the parameter
and a remedy, or with one ConvergenceWarning. Anything else is a defect, and is printed with the
configuration that led to it:

    python tests/fuzz.py --n 500
"""

import argparse
import re
import sys
import warnings
from collections import Counter

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table
from sklearn.exceptions import ConvergenceWarning

from skdendbal import DendriticBalanceCoder
from skdendbal.rules import RULES

SEED = 2021
WORK = 1.5e10  # operations of a fit, roughly: a few seconds
UPDATE = 1e6  # operations that take as long as an update of a few weights
OVERSHOOT = 5  # times the target rate: how fast neurons may fire before they have learned
DENDRITES = 100_000  # largest n_features * n_components^2 for rules with dendritic weights
CODED = 20  # rows to code

DOCUMENTED = {
    r"rate=.* cannot be reached with dt=.* Lower rate or dt": "error: rate out of reach",
    r"_time=.* and dt=.* make .* steps.*: change one": "error: number of steps",
    r"delay=.* must be at least dt=.* change it, or set delay=None": "error: delay",
    r"Negative values in data .* learning_rule=.*OnOffSplitter": "error: negative values",
    r"Learned dendritic weights.* Lower n_components": "error: memory",
    r"Weights were updated.* only.* Present more by a larger max_iter": "warning: few updates",
    r"neurons are silent.* larger max_iter, or raise noise": "warning: silent neurons",
    r"miss their target rate.* larger max_iter, or raise noise": "warning: off the target rate",
    r"The decoder loss rose.* Raise noise": "warning: loss rose",
    r"The mean of X is .* Subtract it before": "warning: large mean",
    r"The largest standard deviation .* StandardScaler": "warning: columns differ in scale",
}


def draw(number):
    """Draw a configuration, which depends only on its number.

    Returns the coder, its data, and a dict that describes them.
    """
    rng = np.random.default_rng([SEED, number])

    def spread(low, high):
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def either(usual, other, share=0.2):
        return other if rng.random() < share else usual

    rule = str(rng.choice(list(RULES)))
    n_features = round(spread(1, 300))
    learned = RULES[rule].non_negative
    largest = min(1024, int(np.sqrt(DENDRITES / n_features))) if learned else 1024
    dt = spread(0.05, 5)
    coder = DendriticBalanceCoder(
        round(spread(1, largest)),
        learning_rule=rule,
        rate=either("auto", spread(1, 100), 0.5),
        noise=either("auto", spread(0.02, 2), 0.5),
        dt=dt,
        tau=spread(2, 50),
        presentation_time=spread(5, 500),
        batch_size=round(spread(1, 512)),
        learning_rate=spread(0.01, 100),
        delay=either(None, dt * spread(0.5, 50), 0.3),
        random_state=number,
    )
    most = max(2, int(WORK / count_operations(coder, n_features)))  # presentations
    n_rows = min(round(spread(50, 500)), most)
    coder.set_params(max_iter=min(round(spread(1, 200)), most // n_rows))

    data = {
        "shape": (n_rows, n_features),
        "dtype": either("float64", "float32", 0.5),
        "scale": spread(1e-6, 1e6),
        "factors": round(spread(1, n_features)),  # with few of them, features are correlated
        "power": either(1, 3),  # heavy tails
        "density": either(1.0, spread(0.01, 1), 0.5),
        "decades": either(0, 3),  # powers of ten that column scales span
        "signed": either(False, True, 0.1 if learned else 0.5),
        "constant": either(0.0, rng.random()),  # fraction of the columns
        "repeated": either(False, True),  # whether rows repeat
        "outlier": either(1.0, spread(10, 1e6)),  # factor on the first row
    }
    coder.set_params(
        code=either("rate", "balanced", 0.5),
        transform_time=either(None, spread(1, 200), 0.3),
        shrinkage=either(0.0, spread(0.01, 3), 0.5),
        min_contribution=either(0.0, spread(1e-4, 0.1), 0.5),
        recruitment=either(False, True),
    )
    return coder, make_data(rng, **data), data


def count_operations(coder, n_features):
    """Rough number of operations to learn from one presentation."""
    n, n_steps = coder.n_components, coder.presentation_time / coder.dt
    rate = min(800 / n, 50) if coder.rate == "auto" else coder.rate
    n_spikes = 1 + OVERSHOOT * n * rate * 1e-3 * coder.presentation_time
    operations = n * (n_steps + n_features + n_spikes * (n + n_features))
    update = UPDATE + n**2 * (n + n_features)
    if RULES[coder.learning_rule].non_negative:
        update += n**3 * (10 + n_features)
    if coder.learning_rule == "dendritic-simultaneous":
        operations += 10 * n_features * n * (n * n_spikes + coder.presentation_time)
    return operations + update / coder.batch_size


def make_data(
    rng, shape, dtype, scale, factors, power, density, decades, signed, constant, repeated, outlier
):
    n_rows, n_features = shape
    X = rng.standard_normal((n_rows, factors)) @ rng.standard_normal((factors, n_features))
    X = X**power * (rng.random(shape) < density) * 10.0 ** rng.uniform(-decades, 0, n_features)
    X[:, rng.random(n_features) < constant] = rng.standard_normal()
    if repeated:
        X = X[rng.integers(1 + n_rows // 10, size=n_rows)]
    X[0] *= outlier
    return (scale * (X if signed else np.abs(X))).astype(dtype)


def run(number):
    """Fit and code with one configuration; return the outcome, "defect: ..." if it is wrong."""
    coder, X, _ = draw(number)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "No weights have been learned yet")  # as fit has said
        try:
            coder.fit(X)
        except Exception as error:
            if hasattr(coder, "components_"):
                return f"defect: fitted in spite of {error!r}"
            return name_of(error, (ValueError, MemoryError))
        try:
            failed = [what for what, holds in checks(coder, X) if not holds]
        except Exception as error:
            return f"defect: {error!r} in coding"
    if failed:
        return f"defect: no {', no '.join(failed)}"
    messages = [warning.message for warning in caught]
    if len(messages) > 1:
        return f"defect: several warnings {messages}"
    return name_of(messages[0], ConvergenceWarning) if messages else "as wanted"


def name_of(message, kind):
    """The name of an error or warning that must be of that kind and documented."""
    for pattern, name in DOCUMENTED.items():
        if isinstance(message, kind) and re.search(pattern, str(message)):
            return name
    return f"defect: {message!r} is not documented"


def checks(coder, X):
    """Yield what must hold after a fit, in words, and whether it does."""
    codes = coder.transform(X[:CODED])
    yield "finite codes", np.isfinite(codes).all()
    yield "codes that are not negative", (codes >= 0).all()
    yield "codes as precise as X", codes.dtype == X.dtype
    yield "the same codes again", np.array_equal(coder.transform(X[:CODED]), codes)
    yield "the same code of one row alone", np.array_equal(coder.transform(X[:1]), codes[:1])
    yield "finite score", np.isfinite(coder.score(X[:CODED]))
    fitted = {
        name: value
        for name, value in vars(coder).items()
        if name.endswith("_") and isinstance(value, (int, float, np.ndarray))
    }
    for name, value in (fitted | coder.weights_).items():
        yield f"finite {name}", np.isfinite(value).all()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=500, help="number of configurations")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    arguments = parser.parse_args()
    numbers = range(arguments.first, arguments.first + arguments.n)
    outcomes = {number: run(number) for number in track(numbers, "Fitting and coding")}

    defects = {number: how for number, how in outcomes.items() if how.startswith("defect")}
    counts = Counter("defect" if number in defects else outcomes[number] for number in numbers)
    table = Table("outcome", Column("configurations", justify="right"))
    for outcome in sorted(counts.keys() | {"defect"}):
        table.add_row(outcome, str(counts[outcome]))
    Console().print(table)
    for number, defect in defects.items():
        coder, _, data = draw(number)
        print(f"\n{number}: {defect}\n{coder.get_params()}\n{data}")
    return int(bool(defects))


if __name__ == "__main__":
    sys.exit(main())
