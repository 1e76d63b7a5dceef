"""
Tuning in a pipeline: successive halving
========================================

:class:`~sklearn.model_selection.HalvingGridSearchCV` tunes the rate, noise and weight decay of a
coder in front of a classifier. All candidates learn for a few passes over the digits; the better
third goes on to a new round with three times as many passes, until only the best are left.

.. figure:: /images/halving.png
   :alt: Accuracy in cross-validation of every candidate against the passes over the data

   Every line is a candidate, from an earlier run.
"""

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import HalvingGridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from skdendbal import DendriticBalanceCoder

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
# A parameter of the learning rule is reached through the coder, like any other. The resource that
# is shared out is ``max_iter``; in each fit the noise falls over all of its passes, however few
# they are.
grid = {
    "coder__rate": [6.0, 12.5, 25.0],
    "coder__noise": [0.0125, 0.025, 0.05],
    "coder__learning_rule__decoder_decay": [0.03, 0.1, 0.3],
}
search = HalvingGridSearchCV(
    pipeline,
    grid,
    resource="coder__max_iter",
    min_resources=3,
    max_resources=27,
    factor=3,
    cv=4,
    n_jobs=-1,
    random_state=0,
    verbose=1,
)
with warnings.catch_warnings():  # the first rounds are too short for some candidates
    warnings.simplefilter("ignore", ConvergenceWarning)
    search.fit(X_train, y_train)

# %%
# Accuracy in cross-validation
# ----------------------------
# Lines join the rounds of a candidate. The one that is chosen in the end has error bars, standard
# errors over folds: most others are not clearly better or worse.
results = search.cv_results_
candidates = np.array([str([params[name] for name in grid]) for params in results["params"]])
passes, accuracy = results["n_resources"], results["mean_test_score"]
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for candidate in np.unique(candidates):
    rounds = candidates == candidate
    ax.plot(passes[rounds], accuracy[rounds], "o-", color="C0", alpha=0.3)
rounds = candidates == candidates[search.best_index_]
standard_errors = results["std_test_score"][rounds] / np.sqrt(search.cv - 1)
ax.errorbar(passes[rounds], accuracy[rounds], standard_errors, fmt="o-C1", capsize=3)
ax.set(xscale="log", xlabel="passes over the digits", ylabel="accuracy in cross-validation")
ax.set_xticks(search.n_resources_, search.n_resources_)
ax.minorticks_off()
# sphinx_gallery_thumbnail_path = "images/halving.png"
plt.savefig("halving.png", dpi=150)

# %%
# The best three of every round
# -----------------------------
print("passes  rate (Hz)  noise  decay        accuracy  fit (s)")
for i in range(search.n_iterations_):
    (of_round,) = np.nonzero(results["iter"] == i)
    for k in of_round[np.argsort(-accuracy[of_round])][:3]:
        rate, noise, decay = (results["params"][k][name] for name in grid)
        print(
            f"{passes[k]:6} {rate:10} {noise:6} {decay:6} {accuracy[k]:8.3f} +- "
            f"{results['std_test_score'][k]:.3f} {results['mean_fit_time'][k]:8.2f}"
        )

# %%
# It printed ::
#
#     passes  rate (Hz)  noise  decay        accuracy  fit (s)
#          3        6.0  0.025    0.3    0.979 +- 0.005     0.32
#          3       12.5  0.025    0.3    0.978 +- 0.009     0.37
#          3       25.0  0.025    0.3    0.976 +- 0.003     0.52
#          9       25.0   0.05    0.3    0.977 +- 0.007     1.84
#          9        6.0  0.025    0.3    0.974 +- 0.005     0.77
#          9        6.0  0.025   0.03    0.973 +- 0.003     1.01
#         27        6.0  0.025    0.3    0.974 +- 0.006     1.32
#         27        6.0  0.025   0.03    0.970 +- 0.004     0.88
#         27       25.0   0.05    0.3    0.970 +- 0.006     2.27
#
# Was it worth it?
# ----------------
# The test data are scored once, at the end, for the tuned pipeline and for the defaults with as
# many passes. On digits they reach 0.973 and 0.978, which differ by less than the standard error
# of a test accuracy, 0.007: there is little to gain here.
default = clone(pipeline).set_params(coder__max_iter=27).fit(X_train, y_train)
print(f"accuracy on test digits, tuned:    {search.score(X_test, y_test):.3f}")
print(f"accuracy on test digits, defaults: {default.score(X_test, y_test):.3f}")
plt.show()
