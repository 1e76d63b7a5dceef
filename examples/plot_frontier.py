"""
Explained variance against sparseness
=====================================

A sparse code can always buy explained variance with active entries, so coders are compared by
curves. Here they code held-out digits: lasso codes and orthogonal matching pursuit, both on a
dictionary learned by :class:`~sklearn.decomposition.DictionaryLearning`, and the codes of a
spiking network, which gets more accurate the longer it looks.
"""

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import nnls
from sklearn.datasets import load_digits
from sklearn.decomposition import DictionaryLearning, sparse_encode
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from skdendbal import DendriticBalanceCoder

warnings.simplefilter("ignore", ConvergenceWarning)  # the lasso stops a little early
X, _ = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X / 16.0, random_state=0)
coder = DendriticBalanceCoder(n_components=64, random_state=0).fit(X_train)
lasso = DictionaryLearning(
    64, alpha=0.2, max_iter=20, fit_algorithm="cd", positive_code=True, random_state=0
).fit(X_train)


def curve(codes, components, *args, **kwargs):
    """Draw explained variance against the number of active entries."""
    explained = [r2_score(X_test, c @ components, multioutput="variance_weighted") for c in codes]
    plt.plot([np.count_nonzero(c) / len(c) for c in codes], explained, *args, **kwargs)


def debias(codes, components):
    """Return the non-negative least-squares codes with the same active entries."""
    debiased = np.zeros_like(codes)
    for row, x, active in zip(debiased, X_test, codes > 0, strict=True):
        row[active], _ = nnls(components[active].T, x)
    return debiased


plt.figure(figsize=(6, 4), layout="constrained")
for code, style in (("balanced", "o-C0"), ("rate", "o--C0")):
    coder.set_params(code=code)
    codes = [coder.set_params(transform_time=t).transform(X_test) for t in (2, 3, 5, 10, 30, 100)]
    curve(codes, coder.components_, style, label=f"{code} codes, 2 to 100 ms")
codes = [
    sparse_encode(X_test, lasso.components_, algorithm="lasso_cd", alpha=a, positive=True)
    for a in (1.0, 0.5, 0.3, 0.2, 0.1)
]
curve(
    [debias(c, lasso.components_) for c in codes],
    lasso.components_,
    "s-C1",
    label="lasso, debiased",
)
curve(codes, lasso.components_, "s--C1", label="lasso")
codes = [
    sparse_encode(X_test, lasso.components_, algorithm="omp", n_nonzero_coefs=n)
    for n in (2, 4, 6, 9, 12, 16)
]
curve(codes, lasso.components_, "s--C2", label="matching pursuit, signed")
plt.xlabel("active entries of a code")
plt.ylabel("explained variance")
plt.ylim(0.4, 1)
plt.legend()
plt.show()

# %%
# The lasso shrinks entries, as its penalty is on their sum. Debiased codes and balanced codes are
# least-squares codes with the same active entries, so compare these two, and lasso codes with rate
# codes. Orthogonal matching pursuit may use negative entries, which the other codes here may not,
# and so explains most. The :doc:`benchmarks </benchmarks/README>` have these curves for nine data
# sets, with the dictionary of each coder at its best penalty, and with times.
