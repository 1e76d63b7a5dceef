"""Data for tests; some of them are in a folder given by --data or SKDENDBAL_DATA."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from coders import DIGITS

from skdendbal import DendriticBalanceCoder


def pytest_addoption(parser):
    parser.addoption(
        "--data",
        default=os.environ.get("SKDENDBAL_DATA"),
        help="folder with mnist_t10k.npz (default: the environment variable SKDENDBAL_DATA)",
    )


@pytest.fixture(scope="session")
def find_data(request):
    """Find a file of data that is optional; without it the test is skipped."""

    def find(name):
        path = Path(request.config.getoption("--data") or "") / name
        if not path.exists():
            pytest.skip(f"needs {name}: give its folder by --data or SKDENDBAL_DATA")
        return path

    return find


@pytest.fixture(scope="session")
def mnist(find_data):
    """MNIST digits at half size, 14 x 14 pixels in [0, 1], shape (8000, 196)."""
    with np.load(find_data("mnist_t10k.npz")) as f:
        images = f["images"][:8000] / 255.0
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196)


@pytest.fixture(scope="session")
def digits_coder():
    return DendriticBalanceCoder(32, max_iter=3, random_state=0).fit(DIGITS)


@pytest.fixture(scope="session")
def signed_coder():
    X = np.random.default_rng(0).standard_normal((300, 20))
    return DendriticBalanceCoder(40, max_iter=20, random_state=0).fit(X), X


def pytest_collection_modifyitems(items):
    """Skip the examples of converters whose packages are not installed."""
    for item in items:
        package = item.name.rpartition(".to_")[2]
        if isinstance(item, pytest.DoctestItem) and package in ("xarray", "neo", "pynapple"):
            missing = find_spec(package) is None
            item.add_marker(pytest.mark.skipif(missing, reason=f"needs {package}"))
