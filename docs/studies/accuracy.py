"""
Accuracy: seeds, dictionaries and encoders
==========================================

This study asks how accurate linear classifiers of codes are, how much of that is chance, and
whether the dictionary or the encoder limits it.

The first tables compare coders on the same test rows. DendriticBalanceCoder has its defaults,
shrunk codes of 20 ms (`code="balanced"`, `shrinkage=0.1`), or recruited ones, which are such codes
of 1 ms that silent neurons join (`recruitment=True`). The accuracy of a seed is the mean over the
splits of a task (see `tasks.py`); the tables give means ± standard deviations over seeds. A seed
sets the random numbers of the coder and a new order of the training rows. SPAMS has no seed of its
own, but learns another dictionary from the new order. "Scaled" is the accuracy on codes divided by
their overall standard deviation, and "as is" the accuracy on codes as they come. Accuracy alone
says little about a code, so the variance that a linear read-out explains (EVlin) and the mean
number of non-zero entries (L0) stand beside it.

The other tables combine every dictionary with every encoder. The dictionaries are those that SPAMS
has learned with several penalties, and that of DendriticBalanceCoder with atoms of norm 1. The
encoders are the lasso of SPAMS with several penalties and, under "its own", DendriticBalanceCoder
itself. Only the training rows of the first split are used, in four folds and several repeats. The
first number in a cell is the better of the two accuracies, with a standard error that ignores that
folds share rows; the second is L0.

A linear classifier is about as good with any of these codes. The best pair of dictionary and
encoder is up to 0.002 better than DendriticBalanceCoder, with standard errors of 0.002, and the
number of components matters more than the choice of either. Over seeds, and with the better of
the two scalings, rates of DendriticBalanceCoder are 0.002 to 0.003 behind SPAMS at alpha 0.3 on
digits, and 0.001 to 0.002 ahead of it on MNIST. Recruited codes are within 0.001 of SPAMS or ahead
by up to 0.003. Rates explain 0.04 to 0.07 more of the variance than SPAMS at alpha 0.3, and
recruited codes 0.02 to 0.06 more, both with more entries.
"""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import benchmark
import numpy as np
import peers
import tasks
from sklearn.model_selection import RepeatedStratifiedKFold

from skdendbal import DendriticBalanceCoder

OURS = "DendriticBalanceCoder"
SHRUNK, RECRUITED = f"{OURS}, shrunk", f"{OURS}, recruited"
ALPHAS = (0.1, 0.3)  # of the coders in the first tables
SEEDS = {"digits-64": 10, "digits-100": 10, "mnist-100": 5, "mnist-256": 5}
APART = ("digits-64", "digits-100")  # tasks of the other tables
LEARNED_WITH, CODED_WITH = (0.05, 0.1, 0.3, 1.0), (0.05, 0.1, 0.3, 1.0)
FOLDS, FOLD_REPEATS = 4, 5
MEASURES = ("scaled", "as is", "EVlin", "L0")


def make_coders(n_components, seed):
    """Return the coders by name."""
    shrunk = {"code": "balanced", "shrinkage": 0.1}
    ours = {
        OURS: {},
        SHRUNK: {**shrunk, "transform_time": 20.0},
        RECRUITED: {**shrunk, "transform_time": 1.0, "recruitment": True},
    }
    coders = {
        name: DendriticBalanceCoder(n_components, random_state=seed, **params)
        for name, params in ours.items()
    }
    for alpha in ALPHAS:
        lasso = peers.minibatch(n_components, alpha).set_params(random_state=seed)
        coders[f"MiniBatchDL lasso_cd {alpha}"] = lasso
    for alpha in ALPHAS if peers.HAS_SPAMS else ():
        coders[f"SPAMS lasso {alpha}"] = peers.Spams(n_components, alpha)
    return coders


def accuracies(codes, labels, test_codes, test_labels):
    """Return the accuracies of classifiers on scaled codes and on codes as they are."""
    return {
        name: tasks.classifier(codes, labels, scale)(test_codes, test_labels)
        for name, scale in (("scaled", None), ("as is", 1.0))
    }


def measure(name, seed, options):
    """Return one row of results for every split of a task and every coder."""
    load, n_components, n_splits = tasks.TASKS[name]
    rows = []
    for number in range(1 if options.quick else n_splits):
        split = load(options.data, number)
        order = np.random.default_rng(seed).permutation(len(split.train))
        X, y = split.train[order], split.train_labels[order]
        split = tasks.Split(X, split.test, y, split.test_labels)
        for coder_name, coder in make_coders(n_components, seed).items():
            codes, test_codes = coder.fit(X).transform(X), coder.transform(split.test)
            explained = tasks.quality(split, codes, test_codes, coder.components_, classify=False)
            rows.append(
                {"task": name, "coder": coder_name, "seed": seed, "split": number}
                | accuracies(codes, y, test_codes, split.test_labels)
                | explained
            )
    return rows


def line(coder, rows):
    """Return a line of the first table: intervals, over seeds, of the means over splits."""
    seeds = benchmark.group(rows, "seed").values()
    cells = {"coder": coder}
    for measure in MEASURES:
        means = [statistics.fmean(row[measure] for row in of_seed) for of_seed in seeds]
        digits = 1 if measure == "L0" else 4
        cells[measure] = (
            f"{statistics.fmean(means):.{digits}f} ± {benchmark.deviation(means):.{digits}f}"
        )
    return cells


def lasso(components, alpha):
    """Return the lasso of SPAMS with some components, scaled to norm 1."""
    coder = peers.Spams(len(components), alpha)
    coder.components_ = components / np.linalg.norm(components, axis=1, keepdims=True)
    return coder


def take_apart(name, options):
    """Return one row of results for every fold, dictionary and encoder."""
    load, n_components, _ = tasks.TASKS[name]
    split = load(options.data, 0)
    X, y = split.train, split.train_labels
    repeats = 1 if options.quick else FOLD_REPEATS
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=repeats, random_state=0)
    rows = []
    n_folds = folds.get_n_splits()
    for fold, (train, test) in enumerate(benchmark.progress(folds.split(X, y), name, n_folds)):
        learned = {f"SPAMS {alpha}": peers.Spams(n_components, alpha) for alpha in LEARNED_WITH}
        learned[OURS] = DendriticBalanceCoder(n_components, random_state=fold)
        for dictionary, learner in learned.items():
            components = learner.fit(X[train]).components_
            encoders = {f"lasso {alpha}": lasso(components, alpha) for alpha in CODED_WITH}
            if dictionary == OURS:
                encoders["its own"] = learner
            for encoder, coder in encoders.items():
                codes, test_codes = coder.transform(X[train]), coder.transform(X[test])
                rows.append(
                    {"task": name, "dictionary": dictionary, "encoder": encoder, "fold": fold}
                    | accuracies(codes, y[train], test_codes, y[test])
                    | {"L0": tasks.active(test_codes)}
                )
    return rows


def grid(rows):
    """Return the lines of the second table: dictionaries by encoders."""
    cells = benchmark.group(rows, "dictionary", "encoder")
    dictionaries, encoders = (benchmark.group(rows, name) for name in ("dictionary", "encoder"))
    return [
        {"dictionary": dictionary}
        | {encoder: cell(cells.get((dictionary, encoder))) for encoder in encoders}
        for dictionary in dictionaries
    ]


def cell(rows):
    """Return the better of the two mean accuracies, its standard error, and L0."""
    if rows is None:
        return None
    values = ([row[name] for row in rows] for name in ("scaled", "as is"))
    best = max(values, key=statistics.fmean)
    error = benchmark.deviation(best) / len(best) ** 0.5
    n_active = statistics.fmean(row["L0"] for row in rows)
    return f"{statistics.fmean(best):.4f} ± {error:.4f}, {n_active:.1f}"


def main():
    """Measure."""
    options = tasks.parse(benchmark.command_line(__doc__), SEEDS)
    report = benchmark.Report(options, __doc__)
    over_seeds, apart = [], []
    for name in options.tasks:
        n_seeds = 2 if options.quick else SEEDS[name]
        rows = [
            row
            for seed in benchmark.progress(range(n_seeds), name)
            for row in measure(name, seed, options)
        ]
        coders = benchmark.group(rows, "coder")
        n_splits = len({row["split"] for row in rows})
        title = f"{name}: {n_seeds} seeds, {n_splits} split{'s' * (n_splits > 1)}"
        report.table(title, [line(*each) for each in coders.items()])
        over_seeds += rows
    for name in APART if peers.HAS_SPAMS else ():
        if name in options.tasks:
            rows = take_apart(name, options)
            report.table(f"{name}: dictionaries by encoders", grid(rows))
            apart += rows
    report.raw("seeds", over_seeds)
    if apart:
        report.raw("apart", apart)
    report.save()


if __name__ == "__main__":
    main()
