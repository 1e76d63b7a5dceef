"""
Ordinary tables: the coder in place of PCA
==========================================

We run DendriticBalanceCoder with its defaults, with as many components as there are columns, in a
pipeline on ordinary tables. These are breast cancer, wine and diabetes of scikit-learn, with
columns in their own units, and a made-up table whose columns are in units that differ by powers of
ten, from 0.01 to 1000. All tables are used as they are, and after StandardScaler. We compare the
coder with the columns themselves, with PCA with half as many components, and with
MiniBatchDictionaryLearning and the distances of KMeans, both with as many components as columns.

The score is the accuracy on test rows of logistic regression or, for diabetes, the R^2 of ridge
regression; both take the features as they come. We give mean ± standard deviation over splits. EV
is the `score` of the coder on test rows. Silent units and warnings are totals over all splits;
warnings of the coder in `fit` and `transform` are counted separately from those of the model after
it. All run on one thread. The coders are fitted in turn on each split, after a fit that compiles
the kernels.
"""

import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import benchmark
import numpy as np
import peers
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine, make_classification
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdendbal import DendriticBalanceCoder

OURS = "DendriticBalanceCoder"
ALPHA = 0.3
SCALERS = {"raw": "passthrough", "standardised": StandardScaler()}


def mixed_scales():
    """Return rows of two classes, in columns whose units differ by powers of ten."""
    X, y = make_classification(1000, n_informative=8, random_state=0)
    return X * 10.0 ** np.resize(np.arange(-2, 4), X.shape[1]), y


def load():
    """Return the rows and targets of every table, its model, and the name of its score."""
    classifier = LogisticRegression(max_iter=1000)
    return {
        "breast cancer": (*load_breast_cancer(return_X_y=True), classifier, "accuracy"),
        "wine": (*load_wine(return_X_y=True), classifier, "accuracy"),
        "diabetes": (*load_diabetes(return_X_y=True, scaled=False), Ridge(), "R^2"),
        "mixed scales": (*mixed_scales(), classifier, "accuracy"),
    }


def make_coders(n_features, seed):
    """Return the coders by name."""
    return {
        "columns": "passthrough",
        "PCA, half": PCA(n_features // 2, random_state=seed),
        f"MiniBatchDL lasso_cd {ALPHA}": peers.minibatch(n_features, ALPHA),
        "KMeans distances": KMeans(n_features, random_state=seed),
        OURS: DendriticBalanceCoder(random_state=seed),
    }


def measure(scaler, coder, model, train, test):
    """Return results of a coder and a model after it; `train` and `test` are (rows, targets)."""
    features = make_pipeline(scaler, coder)
    with warnings.catch_warnings(record=True) as of_coder:
        warnings.simplefilter("always")
        start = time.perf_counter()
        features.fit(train[0])
        seconds = time.perf_counter() - start
        train_codes, test_codes = features.transform(train[0]), features.transform(test[0])
    with warnings.catch_warnings(record=True) as of_model:
        warnings.simplefilter("always")
        score = model.fit(train_codes, train[1]).score(test_codes, test[1])
    ours = isinstance(coder, DendriticBalanceCoder)
    return {
        "score": score,
        "EV": features.score(test[0]) if ours else None,
        "silent units": coder.n_silent_units_ if ours else None,
        "warnings": len(of_coder),
        "first warning": str(of_coder[0].message) if of_coder else "",
        "warnings of model": len(of_model),
        "seconds": seconds,
    }


def measure_all(name, X, y, model, repeats):
    """Return one row of results for every split of a table, scaler and coder."""
    splits = ShuffleSplit(repeats, test_size=0.3, random_state=0).split(X)
    return [
        {"table": name, "scaling": scaling, "coder": coder_name, "split": seed}
        | measure(scaler, coder, model, (X[train], y[train]), (X[test], y[test]))
        for seed, (train, test) in enumerate(benchmark.progress(splits, name, total=repeats))
        for scaling, scaler in SCALERS.items()
        for coder_name, coder in make_coders(X.shape[1], seed).items()
    ]


def summarise(rows, score):
    """Return one line for every scaling and coder: means, totals and times of all splits."""
    groups = benchmark.group(rows, "scaling", "coder")
    lines = []
    for (scaling, coder), group in groups.items():
        columns = {name: [row[name] for row in group] for name in group[0]}
        ours = coder == OURS
        lines.append(
            {
                "scaling": scaling,
                "coder": coder,
                score: benchmark.interval(columns["score"]),
                "EV": benchmark.interval(columns["EV"]),
                "silent units": sum(columns["silent units"]) if ours else None,
                "warnings": sum(columns["warnings"]),
                "of model": sum(columns["warnings of model"]),
                "ms to fit": benchmark.spread(columns["seconds"], 1e-3),
            }
        )
    return lines


def main():
    """Measure."""
    options = benchmark.parse(benchmark.command_line(__doc__))
    tables = load()
    DendriticBalanceCoder(max_iter=1).fit_transform(tables["wine"][0])
    if options.quick:
        tables = {"wine": tables["wine"]}
    report = benchmark.Report(options, __doc__)
    raw = []
    for name, (X, y, model, score) in tables.items():
        rows = measure_all(name, X, y, model, options.repeats)
        report.table(f"{name}, {len(X)} rows, {X.shape[1]} columns", summarise(rows, score))
        raw += rows
    report.raw("splits", raw)
    report.save()


if __name__ == "__main__":
    main()
