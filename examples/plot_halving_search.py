"""
Tuning in a pipeline: successive halving
========================================

`HalvingGridSearchCV` tunes the rate, noise and weight decay of a coder in front of a classifier.
All candidates learn for a few passes over the digits; then the better third goes on to a new round
with three times as many passes, until only the best are left. The resource that is shared out is
``max_iter``; in each fit the noise falls over all of its passes, however few they are.

The search uses only training data. The test data are scored once, at the end, for the tuned
pipeline and for the defaults with as many passes. On digits the two differ by less than the
standard error of a test accuracy, 0.007, so there is little to gain here.

.. figure:: /images/halving.png
   :alt: Accuracy in cross-validation of every candidate against the passes over the data

   The figure of this example, from an earlier run.
"""

# sphinx_gallery_thumbnail_path = "images/halving.png"
# %%
import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import HalvingGridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from skdendbal import DendriticBalanceCoder

parser = argparse.ArgumentParser(description="Tune a coder by successive halving.")
parser.add_argument("--output", type=Path, default=Path("halving"), help="folder for the figure")
parser.add_argument("--jobs", type=int, default=-1, help="processes (-1: as many as cores)")
arguments = parser.parse_args()

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
pipeline = Pipeline(
    [
        ("coder", DendriticBalanceCoder(64, random_state=0)),
        ("classifier", LogisticRegression(max_iter=1000)),
    ]
)

# %%
# The search
# ----------
# A parameter of the learning rule is reached through the coder, like any other.
grid = {
    "coder__rate": [6.0, 12.5, 25.0],
    "coder__noise": [0.0125, 0.025, 0.05],
    "coder__learning_rule__decoder_decay": [0.03, 0.1, 0.3],
}
PASSES = 27
# In the first rounds, fits are too short for some candidates, which then warn.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
search = HalvingGridSearchCV(
    pipeline,
    grid,
    resource="coder__max_iter",
    min_resources=3,
    max_resources=PASSES,
    factor=3,
    cv=4,
    n_jobs=arguments.jobs,
    random_state=0,
)
search.fit(X_train, y_train)

# %%
# What was found
# --------------
console = Console()
results = search.cv_results_
table = Table(title="Accuracy in cross-validation, the best three of every round")
for column in ("passes", "candidates", "rate (Hz)", "noise", "decay", "accuracy", "s to fit"):
    table.add_column(column, justify="right")
for i, passes in enumerate(search.n_resources_):
    of_round = np.flatnonzero(results["iter"] == i)
    for k in of_round[np.argsort(-results["mean_test_score"][of_round])][:3]:
        params = results["params"][k]
        table.add_row(
            str(passes),
            str(len(of_round)),
            f"{params['coder__rate']:g}",
            f"{params['coder__noise']:g}",
            f"{params['coder__learning_rule__decoder_decay']:g}",
            f"{results['mean_test_score'][k]:.3f} +- {results['std_test_score'][k]:.3f}",
            f"{results['mean_fit_time'][k]:.2f}",
        )
console.print(table)
default = clone(pipeline).set_params(coder__max_iter=PASSES).fit(X_train, y_train)
for name, model in (("tuned", search), ("defaults", default)):
    console.print(f"Test accuracy, {name}: {model.score(X_test, y_test):.3f}", highlight=False)

# %%
# The accuracy of every candidate in each of its rounds.
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
candidates = [str([params[name] for name in grid]) for params in results["params"]]
for candidate in dict.fromkeys(candidates):
    rounds = [k for k, other in enumerate(candidates) if other == candidate]
    accuracy = results["mean_test_score"][rounds]
    ax.plot(results["n_resources"][rounds], accuracy, "o-", color="C0", alpha=0.4)
ax.set(xscale="log", xlabel="passes over the data", ylabel="accuracy in cross-validation")
ax.set_xticks(search.n_resources_, search.n_resources_)
ax.minorticks_off()
arguments.output.mkdir(parents=True, exist_ok=True)
figure.savefig(arguments.output / "halving.png", dpi=150)
console.print(f"Picture: {arguments.output / 'halving.png'}")
plt.show()
