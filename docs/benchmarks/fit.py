"""
Learning: time to equal quality
===============================

This benchmark compares the time that `fit` takes with the quality of what it has learned, which is
the variance of test rows that a linear read-out of their codes explains (EVlin, see `tasks.py`).
Every coder is fitted for several lengths of learning. DendriticBalanceCoder learns from a given
number of presentations, in passes over at most that many rows, with its other parameters at their
defaults. MiniBatchDictionaryLearning with coordinate descent ("cd") makes a given number of passes
(`max_iter`) or stops earlier, and SPAMS learns from a given number of mini-batches of 256 rows.
All run on one thread. In every round, all coders are fitted in turn on a new split of the data.
Before the first round, a fit on a few rows compiles the kernels.

The first table gives the time that each coder takes to reach the EVlin of the longest SPAMS fit,
or 99 % of it. This is the time of the fastest fit, among those measured, that does so. SPAMS and
MiniBatchDictionaryLearning are fitted with two penalties alpha.

A denser code reaches a given EVlin more easily, and rates have more non-zero entries (L0) than
lasso codes, above all after short fits. The same networks therefore also code with balanced codes
of 2 ms that silent neurons join (`recruitment`). Entries that contribute little are dropped: the
`min_contribution` for each alpha is one that leaves about as many entries as the lasso has.
"""

import math

import benchmark
import numpy as np
import peers
import tasks

from skdendbal import DendriticBalanceCoder

OURS, LASSO, SPAMS = "DendriticBalanceCoder", "MiniBatchDL cd", "SPAMS"
RECRUITED = f"{OURS}, recruited"
UNITS = {  # of lengths of learning
    OURS: "presentations",
    RECRUITED: "presentations",
    LASSO: "max_iter",
    SPAMS: "batches",
}
LENGTHS = {
    OURS: (1000, 2000, 5000, 10_000, 20_000, 40_000),
    LASSO: (1, 2, 5, 10, 30),
    SPAMS: (5, 10, 30, 100, 300),
}
PENALTIES = {  # alpha of lasso codes: `min_contribution` of codes with about as many entries
    tasks.digits: {0.3: 0.002, 0.1: 0.0002},
    tasks.mnist: {0.3: 0.002, 0.1: 0.0002},
    tasks.scenes: {1.0: 0.002, 0.3: 0.0002},
}
COLOURS = {OURS: "#0072B2", RECRUITED: "#009E73", LASSO: "#E69F00", SPAMS: "#D55E00"}
GOALS = {"it": 1.0, "99 % of it": 0.99}


def make(family, alpha, length, n_components, n_rows, seed):
    """Return a coder and the rows that it learns from."""
    if family == OURS:
        rows = slice(min(length, n_rows))
        max_iter = math.ceil(length / rows.stop)
        return DendriticBalanceCoder(n_components, max_iter=max_iter, random_state=seed), rows
    if family == LASSO:
        return peers.minibatch(n_components, alpha, max_iter=length), slice(None)
    return peers.Spams(n_components, alpha, n_batches=length), slice(None)


def measure(name, options):
    """Return results of every coder, penalty, length and round on one task."""
    load, n_components, _ = tasks.TASKS[name]
    splits = [load(options.data, seed) for seed in range(options.repeats)]
    every = 2 if options.quick else 1
    penalties = dict(list(PENALTIES[load].items())[:1] if options.quick else PENALTIES[load])
    fitted = {
        (family, alpha, length): []
        for family in LENGTHS
        for alpha in ((None,) if family == OURS else penalties)
        for length in LENGTHS[family][::every]
    }

    def fit(family, alpha, length):
        seed = len(fitted[family, alpha, length])
        train = splits[seed].train
        coder, rows = make(family, alpha, length, n_components, len(train), seed)
        fitted[family, alpha, length].append(coder.fit(train[rows]))

    few = splits[0].train[:20]
    DendriticBalanceCoder(n_components, max_iter=10, batch_size=16).fit(few).transform(few)
    peers.minibatch(n_components, 0.3, max_iter=1).fit(few)
    calls = {key: lambda key=key: fit(*key) for key in fitted}
    times = benchmark.interleave(calls, options.repeats, f"{name}: fits")
    rows = []
    for key, coders in benchmark.progress(fitted.items(), f"{name}: codes"):
        family, alpha, length = key
        codes = [(family, alpha)]
        if family == OURS:
            codes += [(RECRUITED, penalty) for penalty in penalties.values()]
        for seed, (coder, split) in enumerate(zip(coders, splits, strict=True)):
            for kind, penalty in codes:
                if kind == RECRUITED:
                    recruit(coder, penalty)
                train = coder.transform(split.train[: tasks.N_READ_OUT])
                test = coder.transform(split.test)
                row = {"task": name, "coder": kind, "penalty": penalty, "length": length}
                row |= {"split": seed, "seconds": times[key][seed]}
                row["passes"] = getattr(coder, "n_iter_", None)
                row |= tasks.quality(split, train, test, coder.components_, classify=False)
                rows.append(row)
    return rows


def recruit(coder, min_contribution):
    """Let a fitted coder make balanced codes that silent neurons join."""
    coder.set_params(
        code="balanced",
        recruitment=True,
        transform_time=2.0,
        min_contribution=min_contribution,
    )


def summarise(rows):
    """Return one line for every coder, penalty and length: mean quality and all times."""
    groups = benchmark.group(rows, "task", "coder", "penalty", "length")
    return [
        {
            "task": task,
            "coder": coder,
            "penalty": penalty,
            "length": length,
            "seconds": [row["seconds"] for row in group],
            **{m: float(np.mean([row[m] for row in group])) for m in ("EV", "EVlin", "L0")},
        }
        for (task, coder, penalty, length), group in groups.items()
    ]


def times_to_reach(lines, name):
    """Return the time each coder takes to reach the EVlin of the longest SPAMS fit, by alpha."""
    lines = [line for line in lines if line["task"] == name]
    table = []
    penalties = PENALTIES[tasks.TASKS[name][0]]
    for alpha in dict.fromkeys(line["penalty"] for line in lines if line["coder"] == SPAMS):
        comparable = [line for line in lines if line["penalty"] in (None, alpha, penalties[alpha])]
        goal = [line for line in comparable if line["coder"] == SPAMS][-1]
        for family in UNITS:
            fits = [line for line in comparable if line["coder"] == family]
            row = {"task": name, "alpha": alpha, "EVlin": f"{goal['EVlin']:.3f}", "coder": family}
            for what, part in GOALS.items():
                reached = [line for line in fits if line["EVlin"] >= part * goal["EVlin"]]
                first = min(reached, key=lambda line: np.median(line["seconds"]), default=None)
                row[f"s to {what}"] = benchmark.spread(first["seconds"]) if first else "-"
                row[f"L0 at {what}"] = first and first["L0"]
            row["best EVlin"] = f"{max(line['EVlin'] for line in fits):.3f}"
            table.append(row)
    return table


def label(family, penalty):
    """Return the name of a coder with its penalty."""
    return family if penalty is None else f"{family} {penalty:g}"


def plot(lines, names):
    """Return a figure with EVlin against seconds, a panel for every task."""
    figure, axes = benchmark.panels(len(names), layout="constrained")
    for axis, name in zip(axes.flat, names, strict=False):
        of_task = [line for line in lines if line["task"] == name]
        for (family, penalty), points in benchmark.group(of_task, "coder", "penalty").items():
            others = [p for p in of_task if p["coder"] == family and p["penalty"] != penalty]
            is_smaller = others and penalty < others[0]["penalty"]
            axis.plot(
                [np.median(p["seconds"]) for p in points],
                [p["EVlin"] for p in points],
                "o--" if is_smaller else "o-",
                color=COLOURS[family],
                markersize=3,
                label=None if is_smaller else family,
            )
        axis.set_title(name)
        benchmark.use_log_scale(axis.xaxis)
    for axis in axes[:, 0]:
        axis.set_ylabel("EVlin")
    for axis in axes[-1]:
        axis.set_xlabel("s to fit")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def main():
    """Measure."""
    parser = benchmark.command_line(__doc__)
    options = tasks.parse(parser)
    if not peers.HAS_SPAMS:
        parser.error("SPAMS sets the goal: pip install spams-bin")
    names = options.tasks
    rows = [row for name in names for row in measure(name, options)]
    lines = summarise(rows)
    report = benchmark.Report(options, __doc__)
    report.figure(plot(lines, names), "EVlin against the time to fit; dashed: the smaller penalty")
    report.table(
        "Time to the EVlin of SPAMS after all its batches",
        [row for name in names for row in times_to_reach(lines, name)],
    )
    for name in names:
        table = [
            {
                "coder": label(line["coder"], line["penalty"]),
                "length": f"{line['length']} {UNITS[line['coder']]}",
                "s to fit": benchmark.spread(line["seconds"]),
                "L0": line["L0"],
                "EV": f"{line['EV']:.3f}",
                "EVlin": f"{line['EVlin']:.3f}",
            }
            for line in lines
            if line["task"] == name
        ]
        report.table(name, table)
    report.raw("times", rows)
    report.save()


if __name__ == "__main__":
    main()
