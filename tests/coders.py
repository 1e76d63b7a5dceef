"""Data and parameters that tests of the estimator share."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_blobs

DIGITS = load_digits().data / 16
TABLES = {
    "breast cancer": load_breast_cancer().data,
    "wine": load_wine().data,
    "blobs": make_blobs(500, 8, centers=4, random_state=0)[0],
    "signed random": np.random.default_rng(0).standard_normal((500, 20)),
}
FAST = {"max_iter": 1, "random_state": 0}
SHORT_FITS = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def as_bytes(state):
    """Every bit of the state of a network."""
    if is_dataclass(state):
        names = {field.name for field in fields(state)} - {"shares_weights"}
        state = {name: getattr(state, name) for name in sorted(names)}
    if isinstance(state, dict):
        return b"".join(name.encode() + as_bytes(value) for name, value in state.items())
    if isinstance(state, (tuple, list)):
        return b"".join(map(as_bytes, state))
    return np.asarray(state).tobytes()
