"""
Evaluation: what the codes are worth
====================================

This study asks what codes are worth as descriptions of the data and as features of a classifier,
also with few labels, with noise in the data and without some of the units. We compare
DendriticBalanceCoder, with its defaults, with MiniBatchDictionaryLearning (lasso, alpha 0.1 and
0.3), orthogonal matching pursuit (OMP) and random features. OMP uses the atoms of the lasso at
alpha 0.3, and as many non-zero entries as DendriticBalanceCoder has on test rows. Random features
are random projections that are rectified above a threshold, at which every unit is active in as
many training rows as a unit of DendriticBalanceCoder on average. "input" is not a code, but the
data themselves. Every split of the data has its own seed, which is also that of the coders; we
report mean ± standard deviation over splits.

EVlin is the variance explained by a linear least-squares read-out, which is fitted to training
codes in the same way for all coders. Accuracy is that of logistic regression on the codes (see
`tasks.py`), and L0 the mean number of non-zero entries. The first panel of a figure also shows
DendriticBalanceCoder with other presentation times. Read-out and classifier are fitted anew for
every condition, with two exceptions:

- Noise: we add noise to the test rows, and ask the read-outs of clean rows for the clean rows. The
  standard deviation of the noise is given as a fraction of that of all training data.
- Silencing: we silence units, the same random ones for all coders, and report the read-outs of the
  intact codes and, separately, "refitted" ones. A silenced unit of DendriticBalanceCoder can no
  longer spike, so it does not inhibit other units either. Lasso and OMP code again with the atoms
  that remain. "Homeostasis" is the same network after 40,000 presentations without learning, in
  which the biases of the remaining units bring them back to the target rate.

"Lifetime" and "population" are the sparseness of Treves and Rolls of a unit over rows and of a row
over units. For OMP, whose codes are signed, it is that of the magnitudes. Planted dictionaries of
sparse non-negative atoms with 64 features are learned from 5000 mixtures with exponential weights.
Recovery is the mean cosine similarity of atoms to the components assigned to them, and "found" is
the fraction of atoms for which it is above 0.9. A Fano factor is the variance of spike counts over
20 trials, divided by their mean and pooled over 200 test rows and all units. Noise of codes, or of
their reconstructions, is the fraction of their variance that lies between trials of a row.
"Shuffled" reconstructions take the trial of every unit at random, so that units cannot correct
each other.
"""

import copy
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import benchmark
import matplotlib
import numpy as np
import peers
import tasks
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import FunctionTransformer

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay
from skdendbal.metrics import dictionary_recovery, treves_rolls
from skdendbal.preprocessing import OnOffSplitter

matplotlib.use("agg")
import matplotlib.pyplot as plt

OURS, OMP, RANDOM, INPUT = "DendriticBalanceCoder", "OMP", "random features", "input"
ADAPTED = f"{OURS}, homeostasis"
ALPHAS = {"lasso 0.1": 0.1, "lasso 0.3": 0.3}
OF_OMP = "lasso 0.3"  # coder whose atoms OMP uses
COLOURS = {
    name: f"C{i}" for i, name in enumerate((OURS, ADAPTED, *ALPHAS, OMP, RANDOM, INPUT, "rows"))
}
TASKS = ("digits-64", "mnist-100", "scenes-200")
LABELS = (1, 3, 10, 30)  # per class
DRAWS = 10  # of few labels, for each split
NOISES = (0.0, 0.1, 0.2, 0.5)
SILENCED = (0.0, 0.1, 0.3, 0.5)
NEVER = -1e6  # bias of a unit that does not spike
N_ADAPT = 40_000  # presentations
TIMES = (10.0, 20.0, 50.0, 100.0, 400.0)  # ms
PLANTED = ((32, 2), (64, 2), (64, 4), (64, 8), (128, 4))  # atoms, and those active on average
N_MIXTURES, N_FEATURES = 5000, 64
N_REPEATED, N_TRIALS = 200, 20


# Coders
# ------
class RandomFeatures(TransformerMixin, BaseEstimator):
    """Random projections, rectified above thresholds that a fraction of the rows exceeds."""

    def __init__(self, n_components, fraction, random_state):
        self.n_components = n_components
        self.fraction = fraction
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw directions and find thresholds."""
        rng = np.random.default_rng(self.random_state)
        self.components_ = rng.normal(size=(self.n_components, X.shape[1]))
        self.thresholds_ = np.quantile(X @ self.components_.T, 1.0 - self.fraction, axis=0)
        return self

    def transform(self, X):
        """Project and rectify."""
        return np.maximum(X @ self.components_.T - self.thresholds_, 0.0)


@dataclass
class Case:
    """One split of a task and, by name, fitted coders, their codes and their `tasks.reader`."""

    seed: int
    split: tasks.Split
    coders: dict
    train: dict
    test: dict
    readers: dict


def prepare(name, seed, options):
    """Fit all coders on one split of a task."""
    load, n_components, _ = tasks.TASKS[name]
    split = load(options.data, seed)
    case = Case(seed, split, {}, {}, {}, {})

    def add(name, coder):
        case.coders[name] = coder
        case.train[name] = encode(coder, split.train[: tasks.N_READ_OUT])
        case.test[name] = encode(coder, split.test)
        case.readers[name] = tasks.reader(split, case.train[name])

    add(OURS, DendriticBalanceCoder(n_components, random_state=seed).fit(split.train))
    fraction = tasks.active(case.train[OURS]) / n_components
    for peer, alpha in ALPHAS.items():
        coder = peers.minibatch(n_components, alpha).set_params(random_state=seed)
        add(peer, coder.fit(split.train))
    atoms = case.coders[OF_OMP].components_
    add(OMP, peers.matching_pursuit(atoms, round(tasks.active(case.test[OURS])))[0])
    add(RANDOM, RandomFeatures(n_components, fraction, seed).fit(split.train))
    add(INPUT, FunctionTransformer().fit(split.train))
    return case


def encode(coder, X):
    """Return the codes of some rows."""
    return np.asarray(coder.transform(X))


def silence(coder, units):
    """Return a copy of a coder in which some units are always silent."""
    coder = copy.deepcopy(coder)
    if isinstance(coder, DendriticBalanceCoder):
        coder.network_.bias[units] = NEVER
    elif isinstance(coder, RandomFeatures):
        coder.thresholds_[units] = np.inf
    else:
        atoms = coder.dictionary if hasattr(coder, "dictionary") else coder.components_
        atoms[units] = 0.0
    return coder


def adapt(coder, X):
    """Return a copy of a coder after presentations that change only its biases."""
    coder = copy.deepcopy(coder).set_params(learning_rate=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # about the silenced units
        return coder.partial_fit(np.resize(X, (N_ADAPT, X.shape[1])))


# Parts: each yields rows of raw numbers for one split
# ----------------------------------------------------
def sparseness(case):
    """Error against sparseness."""
    for name, codes in case.test.items():
        if name != INPUT:
            yield {
                "coder": name,
                "EVlin": case.readers[name](codes)["EVlin"],
                "L0": tasks.active(codes),
                "spikes": tasks.count_spikes(case.coders[name], case.split.test)
                if name == OURS
                else None,
                "active": tasks.active(codes) / codes.shape[1],
                "lifetime": float(treves_rolls(np.abs(codes), axis=0).mean()),
                "population": float(treves_rolls(np.abs(codes), axis=1).mean()),
            }


def few_labels(case):
    """Accuracy with few labels a class (the last: all)."""
    labels = case.split.train_labels
    if labels is None:
        return
    rng = np.random.default_rng(case.seed)
    classes = np.unique(labels)
    orders = [rng.permutation(len(labels)) for _ in range(DRAWS)]
    for name, codes in case.train.items():
        for n in LABELS:
            scores = []
            for order in orders:
                rows = np.concatenate([order[labels[order] == each][:n] for each in classes])
                accuracy = tasks.classifier(codes[rows], labels[rows])
                scores.append(accuracy(case.test[name], case.split.test_labels))
            yield {"coder": name, "labels": n, "accuracy": float(np.mean(scores))}
        accuracy = case.readers[name](case.test[name])["accuracy"]
        yield {"coder": name, "labels": len(labels) // len(classes), "accuracy": accuracy}


def noisy_input(case):
    """Noise in the input."""
    test = case.split.test
    noise = np.random.default_rng(case.seed).normal(size=test.shape) * case.split.train.std()
    for name, coder in case.coders.items():
        for level in NOISES:
            yield {
                "coder": name,
                "noise": level,
                **case.readers[name](encode(coder, test + level * noise)),
            }


def silenced_units(case):
    """Silenced units."""
    split = case.split
    train = split.train[: tasks.N_READ_OUT]
    n_units = case.train[OURS].shape[1]
    order = np.random.default_rng(case.seed).permutation(n_units)
    for part in SILENCED:
        units = order[: round(part * n_units)]
        damaged = {
            name: silence(coder, units) for name, coder in case.coders.items() if name != INPUT
        }
        damaged[ADAPTED] = adapt(damaged[OURS], split.train)
        for name, coder in damaged.items():
            codes = encode(coder, split.test)
            refitted = tasks.reader(split, encode(coder, train))(codes)
            yield {
                "coder": name,
                "silenced": part,
                "L0": tasks.active(codes),
                **case.readers[OURS if name == ADAPTED else name](codes),
                **{f"{measure}, refitted": value for measure, value in refitted.items()},
            }


def any_time(case):
    """Codes after some time."""
    split, coder = case.split, copy.copy(case.coders[OURS])
    for time in TIMES:
        coder.set_params(presentation_time=time)
        codes = encode(coder, split.test)
        train_codes = encode(coder, split.train[: tasks.N_READ_OUT])
        yield {
            "coder": OURS,
            "ms": time,
            "L0": tasks.active(codes),
            "spikes": tasks.count_spikes(coder, split.test),
            "EV": tasks.explained(split.test, codes @ coder.components_, split.train.mean(axis=0)),
            **tasks.reader(split, train_codes)(codes),
        }


def repeated_trials(case):
    """Variability from trial to trial."""
    coder, test = case.coders[OURS], case.split.test[:N_REPEATED]
    spikes = coder.simulate(test, n_trials=N_TRIALS, random_state=case.seed)
    counts = np.zeros((len(test), N_TRIALS, len(coder.components_)))
    np.add.at(counts, (spikes["row"], spikes["trial"], spikes["unit"]), 1.0)
    often = counts.mean(axis=1) >= 1.0
    shuffled = np.random.default_rng(case.seed).permuted(counts, axis=1)

    def fano(counts):
        return float(counts.var(axis=1, ddof=1).sum() / counts.mean(axis=1).sum())

    def noise(values):
        within = values.var(axis=1, ddof=1).mean(axis=0).sum()
        return float(within / values.var(axis=(0, 1), ddof=1).sum())

    yield {
        "spikes": float(counts.sum(axis=2).mean()),
        "Fano of units": fano(counts),
        "with a spike or more": fano(counts.swapaxes(1, 2)[often][:, :, None]),
        "Fano of all spikes": fano(counts.sum(axis=2, keepdims=True)),
        "noise of codes": noise(counts),
        "of reconstructions": noise(counts @ coder.components_),
        "shuffled": noise(shuffled @ coder.components_),
    }


PARTS = {  # the keys of the lines of each part's table, and the key across its columns
    sparseness: (("coder",), None),
    few_labels: (("coder",), "labels"),
    noisy_input: (("coder", "noise"), None),
    silenced_units: (("coder", "silenced"), None),
    any_time: (("coder", "ms"), None),
    repeated_trials: (("task",), None),
}


def planted(seed):
    """Recovery of planted dictionaries."""
    rng = np.random.default_rng(seed)
    for n_atoms, n_active in PLANTED:
        atoms = rng.exponential(size=(n_atoms, N_FEATURES))
        atoms *= rng.random(atoms.shape) < 0.25
        atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
        weights = rng.exponential(size=(N_MIXTURES, n_atoms))
        weights *= rng.random(weights.shape) < n_active / n_atoms
        X = weights @ atoms
        learned = {OURS: DendriticBalanceCoder(n_atoms, random_state=seed).fit(X).components_}
        for peer, alpha in ALPHAS.items():
            coder = peers.minibatch(n_atoms, alpha).set_params(random_state=seed)
            learned[peer] = coder.fit(X).components_
        learned["rows"] = rng.choice(X[X.any(axis=1)], n_atoms, replace=False)
        for name, components in learned.items():
            recovery, assignment = dictionary_recovery(components, atoms)
            matches = components[assignment]
            cosines = np.abs((atoms * matches).sum(axis=1))
            found = cosines > 0.9 * np.linalg.norm(matches, axis=1)
            yield {
                "atoms": n_atoms,
                "active": n_active,
                "coder": name,
                "recovery": recovery,
                "found": float(found.mean()),
            }


# Results
# -------
def averages(rows, keys, across=None):
    """Return a line for every value of some keys, with mean ± standard deviation of the rest.

    Each value of the key `across`, if any, gets its own columns. Empty columns are left out.
    """
    lines = {}
    for row in rows:
        line = lines.setdefault(tuple(row[key] for key in keys), {})
        for name, value in row.items():
            if name not in (*keys, across, "task", "split"):
                column = f"{name} {row[across]}" if across else name
                line.setdefault(column, []).append(value)
    columns = dict.fromkeys(name for line in lines.values() for name in line)
    columns = [
        name for name in columns if any(line[name][0] is not None for line in lines.values())
    ]
    return [
        dict(zip(keys, values, strict=True))
        | {name: benchmark.interval(line[name]) for name in columns}
        for values, line in lines.items()
    ]


def draw(ax, rows, x, y, by=None, dashed=False):
    """Draw a curve for every coder: means and standard deviations of rows with equal x.

    Where x is itself measured, rows are grouped by the key `by` instead.
    """
    for name in dict.fromkeys(row["coder"] for row in rows):
        groups = {}
        for row in rows:
            if row["coder"] == name and row[y] is not None:
                groups.setdefault(row[by or x], []).append((row[x], row[y]))
        if groups:
            means = np.array([np.mean(points, axis=0) for points in groups.values()])
            deviations = [
                benchmark.deviation([y for _, y in points]) for points in groups.values()
            ]
            ax.errorbar(
                *means.T,
                deviations,
                color=COLOURS[name],
                linestyle="--" if dashed else "-",
                marker="o",
                markersize=3,
                linewidth=1,
                label=None if dashed else name,
            )
    ax.set(xlabel=x, ylabel=y.partition(",")[0])


def plot(rows):
    """Return a figure of one task from the rows of all parts."""
    measures = ("EVlin", "accuracy") if rows[few_labels] else ("EVlin",)
    figure, axes = plt.subplots(
        len(measures), 4, figsize=(13, 3.2 * len(measures)), layout="constrained", squeeze=False
    )
    draw(axes[0, 0], rows[sparseness], "L0", "EVlin", by="coder")
    draw(axes[0, 0], rows[any_time], "L0", "EVlin", by="ms")
    for line, measure in zip(axes, measures, strict=True):
        if measure == "accuracy":
            draw(line[0], rows[few_labels], "labels", measure)
            line[0].set_xlabel("labels a class")
            benchmark.use_log_scale(line[0].xaxis)
        draw(line[1], rows[noisy_input], "noise", measure)
        draw(line[2], rows[silenced_units], "silenced", measure)
        draw(line[2], rows[silenced_units], "silenced", f"{measure}, refitted", dashed=True)
        line[2].set_xlabel("silenced (dashed: refitted)")
        draw(line[3], rows[any_time], "ms", measure)
        benchmark.use_log_scale(line[3].xaxis)
    handles = {}
    for ax in axes.flat:
        handles |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))
    return figure


def plot_fields(case):
    """Return a figure with the receptive fields on scenes, ON minus OFF."""
    names = (OURS, OF_OMP)
    figure, axes = plt.subplots(1, len(names), figsize=(10, 5.2), layout="constrained")
    splitter = OnOffSplitter().fit(np.zeros((1, case.split.train.shape[1] // 2)))
    for ax, name in zip(axes, names, strict=True):
        fields = splitter.inverse_transform(case.coders[name].components_)
        DictionaryDisplay(fields).plot(ax)
        ax.set_title(name)
    return figure


def main():
    """Evaluate."""
    options = tasks.parse(benchmark.command_line(__doc__), TASKS)
    seeds = range(2 if options.quick else options.repeats)
    report = benchmark.Report(options, __doc__)
    raw = {part: [] for part in PARTS}
    for name in options.tasks:
        rows = {part: [] for part in PARTS}
        for seed in seeds:
            with benchmark.log.status(f"{name}, split {seed}: fitting") as status:
                case = prepare(name, seed, options)
                for part in PARTS:
                    status.update(f"{name}, split {seed}: {part.__doc__}")
                    rows[part] += [{"task": name, "split": seed, **row} for row in part(case)]
        report.figure(plot(rows), f"{name}: bars are standard deviations over splits", name)
        if tasks.TASKS[name][0] is tasks.scenes:
            report.figure(plot_fields(case), "Receptive fields, ON minus OFF", "fields")
        for part, (keys, across) in PARTS.items():
            raw[part] += rows[part]
            if rows[part]:
                title = f"{name}: {part.__doc__[0].lower()}{part.__doc__[1:].rstrip('.')}"
                report.table(title, averages(rows[part], keys, across))
    rows = [
        {"split": seed, **row}
        for seed in benchmark.progress(seeds, "Planted dictionaries")
        for row in planted(seed)
    ]
    report.table(planted.__doc__.rstrip("."), averages(rows, ("atoms", "active", "coder")))
    for part, rows_of_part in {**raw, planted: rows}.items():
        if rows_of_part:
            report.raw(part.__name__, rows_of_part)
    report.save()


if __name__ == "__main__":
    main()
