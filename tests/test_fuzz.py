"""Some of the random configurations of fuzz.py, and tests that it notices defects."""

import re
import warnings

import numpy as np
import pytest
from fuzz import draw, run


@pytest.mark.parametrize("number", range(25))
def test_random_configurations_end_as_documented(number):
    outcome = run(number)
    coder, _, data = draw(number)
    assert not outcome.startswith("defect"), (outcome, coder.get_params(), data)


def fail(*arguments, **options):
    raise ValueError("array must not contain infs or NaNs")


def fit_and_fail(coder, X):
    coder.components_ = X
    fail()


def warn(*arguments, **options):
    warnings.warn("overflow encountered in exp", RuntimeWarning, stacklevel=2)


def warn_twice(*arguments, **options):
    warn()
    warn()


def code_nan(coder, X):
    return np.full((len(X), len(coder.components_)), np.nan)


@pytest.mark.parametrize(
    ("function", "replacement", "defect"),
    [
        ("DendriticBalanceCoder._make_settings", fail, "defect: ValueError.* is not documented"),
        ("DendriticBalanceCoder.fit", fit_and_fail, "defect: fitted in spite of ValueError"),
        ("warn", warn, "defect: RuntimeWarning.* is not documented"),
        ("warn", warn_twice, "defect: several warnings"),
        ("DendriticBalanceCoder.transform", fail, "defect: ValueError.* in coding"),
        (
            "DendriticBalanceCoder.transform",
            code_nan,
            "defect: no finite codes, no codes that are not negative, ",
        ),
    ],
)
def test_defects_are_noticed(monkeypatch, function, replacement, defect):
    assert run(1) == "as wanted"
    monkeypatch.setattr(f"skdendbal.coder.{function}", replacement)
    assert re.match(defect, run(1))
