"""
Sparse coders to compare with
=============================

The peers are MiniBatchDictionaryLearning of scikit-learn with coordinate descent, orthogonal
matching pursuit with the dictionary that this has learned, and the online dictionary learning of
SPAMS in C++. SPAMS takes part only if ``pip install spams-bin`` has installed it. All codes are
non-negative except those of matching pursuit.
"""

import importlib.util
import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import MiniBatchDictionaryLearning, SparseCoder

BATCH = 256
# This concerns one or two rows in ten thousand, whose codes have almost converged.
warnings.filterwarnings("ignore", message="Objective did not converge")

HAS_SPAMS = importlib.util.find_spec("spams") is not None


def minibatch(n_components, alpha, max_iter=30):
    """Return MiniBatchDictionaryLearning by coordinate descent, with non-negative codes."""
    return MiniBatchDictionaryLearning(
        n_components,
        alpha=alpha,
        max_iter=max_iter,
        batch_size=BATCH,
        fit_algorithm="cd",
        transform_algorithm="lasso_cd",
        positive_code=True,
        random_state=0,
        n_jobs=1,
    )


def matching_pursuit(components, n_nonzero):
    """Return orthogonal matching pursuit with atoms of norm 1, and these atoms."""
    norms = np.linalg.norm(components, axis=1, keepdims=True)
    atoms = components / np.maximum(norms, 1e-12)
    coder = SparseCoder(atoms, transform_algorithm="omp", transform_n_nonzero_coefs=n_nonzero)
    return coder, atoms


class Spams(TransformerMixin, BaseEstimator):
    """Lasso codes and dictionary by SPAMS, with one thread."""

    def __init__(self, n_components, alpha=0.3, n_batches=300):
        self.n_components = n_components
        self.alpha = alpha
        self.n_batches = n_batches

    def fit(self, X, y=None):
        """Learn a dictionary in mini-batches."""
        import spams

        self.components_ = spams.trainDL(
            np.asfortranarray(X.T),
            K=self.n_components,
            lambda1=self.alpha,
            iter=self.n_batches,
            batchsize=BATCH,
            mode=spams.PENALTY,
            posAlpha=True,
            numThreads=1,
            verbose=False,
        ).T
        return self

    def transform(self, X):
        """Code rows by the lasso."""
        import spams

        codes = spams.lasso(
            np.asfortranarray(X.T),
            D=np.asfortranarray(self.components_.T),
            lambda1=self.alpha,
            mode=spams.PENALTY,
            pos=True,
            numThreads=1,
        )
        return codes.T.toarray()
