"""Benchmarks that use the parts of the package: they run in their small version."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("frontier", ()), ("simulation", ("--peers", "numpy", "--stimuli", "10"))],
)
def test_benchmark(name, options, tmp_path):
    command = [sys.executable, FOLDER / f"{name}.py", "--quick", "--output", tmp_path, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{name}.md").exists()
