"""The published experiments: a single synapse in full, all scripts at a tiny scale."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "frompapers"


@pytest.fixture
def single_synapse(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import single_synapse

    return single_synapse


@pytest.mark.parametrize(
    ("protocol", "expected", "measured", "error"),
    [
        ("LTP", 62.6, 63.0, 21.0),
        ("LTD", 2.5, 2.9, 3.7),
        ("LTD with GABA", -38.2, -38.0, 5.2),
    ],
)
def test_single_synapse(single_synapse, protocol, expected, measured, error):
    weights = single_synapse.pair(protocol)
    assert len(weights) == 81
    assert weights[0] == 1.0
    change = 100 * (weights[-1] - 1)
    assert change == pytest.approx(expected, abs=0.5)
    assert change == pytest.approx(measured, abs=error)


SCRIPTS = {
    "bars": ["--points", "0.5"],
    "bars_small": [],
    "pruning": [],
    "balance": [],
    "speech": [],
    "mnist": ["weights"],
    "scenes_rate": ["--neurons", "40"],
    "scenes_delay": ["--delays", "0.3", "--variances", "0.2", "--separate"],
}
NEEDS = {
    "mnist": "mnist_t10k.npz",
    "scenes_rate": "olshausen_scenes.npz",
    "scenes_delay": "olshausen_scenes.npz",
}


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_script(script, find_data, tmp_path):
    """Scripts finish, and write finite losses and a picture."""
    command = [sys.executable, FOLDER / f"{script}.py", *SCRIPTS[script]]
    command += ["--scale", "0.0005", "--seeds", "1", "--output", tmp_path]
    if script in NEEDS:
        command += ["--data", find_data(NEEDS[script]).parent]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("*.png"))
    if script != "balance":  # it also tests networks that have not learned yet
        (path,) = tmp_path.glob("*_runs.csv")
        rows = csv.DictReader(line for line in path.open() if not line.startswith("#"))
        assert np.isfinite([float(row["loss"]) for row in rows]).all()
