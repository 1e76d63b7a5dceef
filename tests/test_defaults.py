"""What "auto" stands for."""

import warnings

import pytest
from coders import DIGITS
from sklearn.exceptions import ConvergenceWarning

from skdendbal import DendriticBalanceCoder


@pytest.mark.slow
@pytest.mark.parametrize(("delay", "least"), [(1.0, 0.82), (3.0, 0.7), (5.0, 0.6)])
def test_noise_grows_with_the_delay(delay, least):
    # spikes that arrive late do not keep neurons apart, so more noise has to do that
    params = {"n_components": 64, "delay": delay, "max_iter": 10, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        coder = DendriticBalanceCoder(**params).fit(DIGITS)
    assert coder.score(DIGITS) > least
    assert coder.score(DIGITS) > DendriticBalanceCoder(noise=0.025, **params).fit(DIGITS).score(
        DIGITS
    )
