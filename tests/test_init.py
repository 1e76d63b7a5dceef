"""The package as it is imported."""

import importlib.metadata
import shutil
from pathlib import Path

import pytest
from processes import run_script

import skdendbal


def test_version_is_that_of_the_distribution():
    assert skdendbal.__version__ == importlib.metadata.version("skdendbal")


WITHOUT_METADATA = """
import importlib.metadata, sys
version = importlib.metadata.version

def only_of_others(name):
    if name == "skdendbal":
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = only_of_others
sys.path.insert(0, {path!r})
import numpy as np
import skdendbal
coder = skdendbal.DendriticBalanceCoder(2, max_iter=100, random_state=0)
print(skdendbal.__file__)
print(skdendbal.__version__, coder.fit(np.eye(8)).transform(np.eye(8)).shape)
"""


@pytest.mark.parametrize(
    "pack",
    ["folder", pytest.param("zip", marks=pytest.mark.slow)],  # compiles in memory
)
def test_package_is_imported_without_metadata(tmp_path, pack):
    package = Path(skdendbal.__file__).parent
    shutil.copytree(package, tmp_path / "vendored" / "skdendbal")
    path = str(tmp_path / "vendored")
    if pack == "zip":
        path = shutil.make_archive(path, "zip", path)
    where, what = run_script(WITHOUT_METADATA.format(path=path)).splitlines()
    assert where.startswith(path)
    assert what == f"{skdendbal.__version__} (8, 2)"
