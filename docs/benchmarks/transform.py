"""
Coding: time against quality
============================

This benchmark compares the time that `transform` takes per row with two measures of quality on
test rows: the variance that a linear read-out of the codes explains (EVlin), and the accuracy of a
linear classifier on them. `tasks.py` defines both. Compare coders at equal EVlin, or at an equal
mean number of non-zero entries (L0).

DendriticBalanceCoder is fitted once, with its defaults, and then codes with several presentation
times. Its peers are fitted again for every penalty alpha. The exception is orthogonal matching
pursuit, which uses the dictionary of MiniBatchDictionaryLearning at alpha 0.3, with atoms of norm
1, and codes with several numbers of non-zero entries. All run on one thread. The coders of a task
are timed in turn on the same rows, in one call each.
"""

import copy
import time

import benchmark
import matplotlib
import numpy as np
import peers
import tasks

from skdendbal import DendriticBalanceCoder

matplotlib.use("agg")
import matplotlib.pyplot as plt

N_TIMED = 1000  # rows of a timed call
OURS, LASSO, OMP, SPAMS = "DendriticBalanceCoder", "MiniBatchDL lasso_cd", "OMP", "SPAMS lasso"
SETTINGS = {OURS: "presentation_time", LASSO: "alpha", OMP: "n_nonzero", SPAMS: "alpha"}
TIMES = (2.5, 5.0, 7.5, 10.0, 20.0, 50.0, 100.0, 200.0)  # ms
ALPHAS = (0.05, 0.1, 0.3, 1.0)
OF_OMP = 0.3  # alpha of the dictionary that OMP uses
N_NONZERO = (3, 5, 10, 20)
MEASURES = ("EV", "EVlin", "L0", "accuracy")


def fit_all(split, n_components, seed, options):
    """Yield (family, setting, fit seconds, coder, components) for all coders."""
    times, alphas, n_nonzero = TIMES, ALPHAS, N_NONZERO
    if options.quick:
        times, alphas, n_nonzero = TIMES[::3], (OF_OMP, 1.0), N_NONZERO[::2]
    coder, seconds = timed_fit(DendriticBalanceCoder(n_components, random_state=seed), split)
    for presentation_time in times:
        variant = copy.copy(coder).set_params(presentation_time=presentation_time)
        yield OURS, presentation_time, seconds, variant, coder.components_
    for alpha in alphas:
        coder, seconds = timed_fit(peers.minibatch(n_components, alpha), split)
        yield LASSO, alpha, seconds, coder, coder.components_
        if alpha == OF_OMP:
            for n in n_nonzero:
                yield OMP, n, seconds, *peers.matching_pursuit(coder.components_, n)
    for alpha in alphas if peers.HAS_SPAMS else ():
        coder, seconds = timed_fit(peers.Spams(n_components, alpha), split)
        yield SPAMS, alpha, seconds, coder, coder.components_


def timed_fit(coder, split):
    """Fit a coder; return it and the seconds that this took."""
    start = time.perf_counter()
    coder.fit(split.train)
    return coder, time.perf_counter() - start


def measure(name, seed, options):
    """Return one row of results for every coder on one split of a task."""
    load, n_components, _ = tasks.TASKS[name]
    split = load(options.data, seed)
    rows, calls = [], {}
    timed = split.test[:N_TIMED]
    with benchmark.log.status(f"{name}, split {seed}: fitting") as status:
        for family, setting, fit, coder, components in fit_all(split, n_components, seed, options):
            status.update(f"{name}, split {seed}: {family}, {SETTINGS[family]} {setting:g}")
            train, test = (
                np.asarray(coder.transform(X))
                for X in (split.train[: tasks.N_READ_OUT], split.test)
            )
            rows.append(
                {"task": name, "split": seed, "coder": family, "setting": setting, "fit s": fit}
                | tasks.quality(split, train, test, components)
            )
            calls[family, setting] = lambda coder=coder: coder.transform(timed)
    times = benchmark.interleave(calls, options.repeats, f"{name}, split {seed}")
    for row in rows:
        row["seconds"] = times[row["coder"], row["setting"]]
        row["rows"] = len(timed)
    return rows


def summarise(rows):
    """Return one line for every coder: means over splits, and the times of all of them."""
    groups = benchmark.group(rows, "task", "coder", "setting")
    lines = []
    for (task, coder, setting), group in sorted(groups.items()):
        line = {"task": task, "coder": coder, "setting": setting}
        line["us"] = [s / row["rows"] * 1e6 for row in group for s in row["seconds"]]
        line["fit s"] = float(np.mean([row["fit s"] for row in group]))
        for measure in MEASURES:
            values = [row[measure] for row in group]
            line[measure] = None if values[0] is None else float(np.mean(values))
        lines.append(line)
    return lines


def plot(lines, names):
    """Return a figure with EVlin and accuracy against time, a column for every task."""
    figure, axes = plt.subplots(
        2, len(names), figsize=(3.2 * len(names) + 1, 6), layout="constrained", squeeze=False
    )
    for column, name in zip(axes.T, names, strict=True):
        for ax, measure in zip(column, ("EVlin", "accuracy"), strict=True):
            for family in SETTINGS:
                points = [p for p in lines if p["task"] == name and p["coder"] == family]
                points = [p for p in points if p[measure] is not None]
                x, y = [np.median(p["us"]) for p in points], [p[measure] for p in points]
                ax.plot(x, y, "o-", markersize=3, label=family)
                for point, *position in zip(points, x, y, strict=True):
                    ax.annotate(
                        f"{point['setting']:g}",
                        position,
                        textcoords="offset points",
                        xytext=(2, 3),
                        fontsize=6,
                    )
            ax.set(xlabel="us a row", ylabel=measure)
            benchmark.use_log_scale(ax.xaxis)
        column[0].set_title(name)
        if all(p["accuracy"] is None for p in lines if p["task"] == name):
            column[1].set_axis_off()
    axes[0, 0].legend(fontsize=7)
    return figure


def main():
    """Measure."""
    parser = benchmark.command_line(__doc__)
    add = parser.add_argument
    add("--seeds", type=benchmark.positive, help="splits of a task (digits: 5, others: 1)")
    options = tasks.parse(parser)
    names = options.tasks
    rows = []
    for name in names:
        n_splits = options.seeds or (1 if options.quick else tasks.TASKS[name][2])
        for seed in range(n_splits):
            rows += measure(name, seed, options)
    lines = summarise(rows)
    report = benchmark.Report(options, __doc__)
    report.figure(plot(lines, names), "Quality against time; numbers are the settings")
    for name in names:
        table = [
            {
                "coder": line["coder"],
                "setting": f"{SETTINGS[line['coder']]} {line['setting']:g}",
                "us a row": benchmark.spread(line["us"]),
                "L0": line["L0"],
                **{
                    m: None if line[m] is None else f"{line[m]:.3f}" for m in MEASURES if m != "L0"
                },
                "fit s": line["fit s"],
            }
            for line in lines
            if line["task"] == name
        ]
        report.table(name, table)
    report.raw(
        "times",
        [
            {**row, "seconds": seconds, "round": i}
            for row in rows
            for i, seconds in enumerate(row["seconds"])
        ],
    )
    report.save()


if __name__ == "__main__":
    main()
