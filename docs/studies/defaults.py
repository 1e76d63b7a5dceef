"""
Defaults: what each parameter does
==================================

This study shows why the defaults of DendriticBalanceCoder are what they are. One parameter at a
time is moved away from its default, and coders with each value learn the same data. Only the
training rows of the first split of a task are used (see `tasks.py`), in four folds. A coder learns
from three of them and codes the fourth, on which we test a classifier that has learned from the
codes of the three. Two tasks are images. The third, breast cancer, is a table of measurements; it
is standardised and therefore has negative entries.

EV is the variance that the coder's own read-out explains, and EVlin the variance that a linear
read-out fitted to the codes explains. The number of spikes per row determines the computing time,
and L0 is the number of active entries. "Off target" is the fraction of neurons whose firing rate
differs from the target by more than a factor of 2. A "factor" multiplies the automatic value of a
parameter. Fits with more presentations show whether a network stays good when it goes on learning.

A higher rate gives more spikes. They reconstruct better, but codes are less sparse, and time grows
in proportion. Accuracy hardly depends on the rate from half the default on, and falls by about
0.01 at a quarter of it; its means have standard errors of 0.006, 0.002 and 0.007 for the three
tasks. Twice the noise makes the codes of images worse and less sparse. Half the noise codes as
well as the default, but the default keeps a distance from the noise at which neurons fire above
their target rate, as they begin to at a quarter. Without decay of the decoder, images are
reconstructed better by 0.006 to 0.008, and signed data worse by 0.014; decay also makes codes
sparser. Time steps up to 0.5 ms, batches of up to 256 rows, the rate of homeostasis and the course
of the noise matter little. Steps of 1 ms hold fewer spikes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import benchmark
import numpy as np
import tasks
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from skdendbal import DendriticBalanceCoder
from skdendbal._defaults import auto_noise, auto_rate

FOLDS = 4
PRESENTATIONS = 40_000
# The default comes first.
SWEEPS = {
    "rate, factor": (1.0, 0.25, 0.5, 2.0),
    "noise, factor": (1.0, 0.25, 0.5, 2.0, 4.0),
    "dt": (0.25, 0.1, 0.5, 1.0),
    "tau": (10.0, 5.0, 20.0),
    "presentation_time": (100.0, 25.0, 50.0, 200.0),
    "batch_size": (64, 16, 256, 1024),
    "learning_rate": (1.0, 0.2, 0.5, 2.0),
    "presentations": (PRESENTATIONS, 5_000, 20_000, 160_000),
    "learning_rule__decoder_decay": (0.1, 0.0, 0.03, 0.3),
    "neuron__homeostasis_rate": (0.05, 0.005, 0.5),
    "neuron__self_inhibition": (0.25, 0.0, 0.5),
    "noise__initial": (0.3, 0.1, 1.0),
    "noise__annealing": (7.0, 2.0, 20.0),
}


def breast_cancer(folder, seed):
    """Return the standardised measurements of tumours, without test rows: they are not used."""
    X, y = load_breast_cancer(return_X_y=True)
    return tasks.Split(StandardScaler().fit_transform(X), X[:0], y, y[:0])


# For the name of a task: its data and the number of components.
TASKS = {name: tasks.TASKS[name][:2] for name in ("digits-64", "mnist-100")}
TASKS["breast cancer"] = breast_cancer, 30


def make(parameter, value, n_components, n_rows, seed):
    """Return a coder with one parameter changed from its default, and its target rate."""
    default = DendriticBalanceCoder()
    rate = auto_rate(n_components, value if parameter == "dt" else default.dt)
    params, n_presentations = {}, PRESENTATIONS
    if parameter == "rate, factor":
        params["rate"] = value * rate
    elif parameter == "noise, factor":
        params["noise"] = value * auto_noise(n_components, rate, default.tau, default.dt)
    elif parameter == "presentations":
        n_presentations = value
    else:
        params[parameter] = value
    max_iter = max(1, round(n_presentations / n_rows))
    coder = DendriticBalanceCoder(n_components, max_iter=max_iter, random_state=seed)
    return coder.set_params(**params), params.get("rate", rate)


def measure(name, parameter, value, split):
    """Return the results of one value, in one row for every fold."""
    rows = []
    folds = KFold(FOLDS, shuffle=True, random_state=0).split(split.train)
    for fold, (learn, test) in enumerate(folds):
        X, y = split.train, split.train_labels
        part = tasks.Split(X[learn], X[test], y[learn], y[test])
        coder, rate = make(parameter, value, TASKS[name][1], len(learn), fold)
        codes = coder.fit(part.train).transform(part.test)
        train_codes = coder.transform(part.train[: tasks.N_READ_OUT])
        ratio = coder.firing_rates_ / rate
        rows.append(
            {
                "task": name,
                "parameter": parameter,
                "value": value,
                "fold": fold,
                "spikes": tasks.count_spikes(coder, part.test),
                **tasks.quality(part, train_codes, codes, coder.components_),
                "off target": np.mean((ratio < 0.5) | (ratio > 2.0)),
            }
        )
    return rows


def line(folds):
    """Return a line of the table: the means over folds."""
    first = folds[0]
    mean = {name: np.mean([row[name] for row in folds]) for name in list(first)[4:]}
    is_default = first["value"] == SWEEPS[first["parameter"]][0]
    return {
        "parameter": "defaults" if is_default else first["parameter"],
        "value": "" if is_default else f"{first['value']:g}",
        **{name: mean[name] for name in ("spikes", "L0")},
        **{name: f"{mean[name]:.3f}" for name in ("EV", "EVlin")},
        "accuracy": f"{mean['accuracy']:.4f}",
        "off target": f"{mean['off target']:.2f}",
    }


def main():
    """Sweep."""
    options = tasks.parse(benchmark.command_line(__doc__), TASKS)
    first = next(iter(SWEEPS))
    points = [(first, SWEEPS[first][0])]
    points += [(p, value) for p in SWEEPS for value in SWEEPS[p][1 : 2 if options.quick else None]]
    report = benchmark.Report(options, __doc__)
    rows = []
    DendriticBalanceCoder(4, max_iter=1, batch_size=4).fit(np.eye(8)).transform(np.eye(8))
    for name in options.tasks:
        split = TASKS[name][0](options.data, 0)
        folds = [measure(name, *point, split) for point in benchmark.progress(points, name)]
        report.table(f"{name}, means of {FOLDS} folds", [line(each) for each in folds])
        rows += [row for each in folds for row in each]
    report.raw("folds", rows)
    report.save()


if __name__ == "__main__":
    main()
