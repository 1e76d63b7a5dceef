"""
Learned dendritic rules against learning in every step
======================================================

This script measures the time of a presentation of 100 ms while a network learns, for the package
and for the naive twin of ``tests/naive.py``. The twin changes every weight in every step and is
compiled by numba. Both run on one thread and are timed in turn; we print medians of five. The
sizes are those of the published bars and digits, and of the digits of scikit-learn. ::

    python docs/benchmarks/learned_rules.py
"""

import sys
import time
from pathlib import Path

import numpy as np
from numba import njit
from rich.console import Console
from rich.table import Table

from skdendbal import network
from skdendbal.published import BARS
from skdendbal.rules import RULES
from skdendbal.settings import Noise

sys.path.append(str(Path(__file__).parents[2] / "tests"))
import naive

REPEATS = 5
SIZES = {  # n_features, n_components, dt in ms, presentations by the package and by the twin
    "bars 4x4": (16, 8, 1.0, 200, 200),
    "digits, published": (256, 9, 0.1, 20, 20),
    "digits, 64 neurons": (64, 64, 0.25, 10, 1),
}
NOISE = Noise(0.1**0.5, initial=0.1**0.5)
NAMES = ("decay", "slow", "simultaneous")
twin = njit(naive.learn_per_step)


def learn_in_every_step(name, X, settings):
    """Let the naive twin learn."""
    twin(name, X, 0, np.empty((0, 0, 0), dtype=bool), *naive.arguments(settings), 0)


def measure(name, n_features, n_components, dt, n_ours, n_twin):
    """Return the median time of a presentation in us, for the package and for the twin."""
    rule = RULES[f"dendritic-{name}"](5e-6, 0.0, feedforward_rate=2e-6, recurrent_rate=2e-5)
    settings = BARS.with_settings(
        rule=rule, noise=NOISE, n_components=n_components, dt=dt, horizon=10_000
    ).settings
    X = np.random.default_rng(0).random((max(n_ours, n_twin), n_features))
    net = network.initialise(settings, n_features, seed=0)
    network.learn(net, settings, X)  # compiles, and reaches the target rate
    learn_in_every_step(name, X[:1], settings)
    ours, of_twin = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        network.learn(net, settings, X[:n_ours])
        middle = time.perf_counter()
        learn_in_every_step(name, X[:n_twin], settings)
        ours.append((middle - start) / n_ours * 1e6)
        of_twin.append((time.perf_counter() - middle) / n_twin * 1e6)
    return np.median(ours), np.median(of_twin)


table = Table(title="Learning during 100 ms, one thread")
for column in ("network", "rule", "package (us)", "every step (us)", "ratio"):
    table.add_column(column, justify="left" if column in ("network", "rule") else "right")
for size, shape in SIZES.items():
    for name in NAMES:
        ours, of_twin = measure(name, *shape)
        table.add_row(size, name, f"{ours:.0f}", f"{of_twin:.0f}", f"{of_twin / ours:.0f}")
Console().print(table)
