"""The published experiments: a single synapse in full, all scripts at a tiny scale."""

import argparse
import csv
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from skdendbal import metrics, network, published
from skdendbal.datasets import make_bars
from skdendbal.rules import Somatic

FOLDER = Path(__file__).parents[1] / "examples" / "frompapers"


@pytest.fixture
def single_synapse(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import single_synapse

    return single_synapse


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import experiment

    return experiment


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


@pytest.mark.slow
def test_single_synapse_as_a_script(tmp_path):
    command = [sys.executable, FOLDER / "single_synapse.py", "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in tmp_path.iterdir()} == {".csv", ".png"}


# Networks in files
# -----------------
def bars(n, seed=0):
    return make_bars(n, 4, 0.7, random_state=seed)


def learn(settings, n_stimuli=300):
    net = network.initialise(settings, 16, seed=0)
    network.learn(net, settings, bars(n_stimuli))
    return net


EXPERIMENTS = {
    **published.BARS_SMALL_SHORT.by_rule,
    "pruned": published.PRUNING[0.9],
    "unwhitened": published.SPEECH_UNWHITENED.by_rule["somatic"],
    "delay": published.BARS_SMALL.with_settings(delay=3.0),
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_saved_network_goes_on_as_if_it_had_not_been_saved(name, experiment, tmp_path):
    settings = EXPERIMENTS[name].at_scale(0.001).phases[-1].settings
    net = learn(settings)
    experiment.save_network(net, settings, tmp_path / "net.npz")
    loaded, loaded_settings = experiment.load_network(tmp_path / "net.npz")
    assert loaded_settings == settings
    assert loaded.record.loss_curve == net.record.loss_curve
    X = bars(100, seed=1)
    losses = [
        metrics.decoder_loss(network.evaluate(each, settings, X)[0], each.decoder)
        for each in (net, loaded)
    ]
    assert losses[0] == losses[1]
    for each in (net, loaded):
        network.learn(each, settings, X)
    assert net.weights.keys() == loaded.weights.keys()
    assert all(np.array_equal(net.weights[key], loaded.weights[key]) for key in net.weights)
    assert np.array_equal(net.bias, loaded.bias)
    assert np.array_equal(net.record.firing_rates, loaded.record.firing_rates)
    assert net.record.loss_curve == loaded.record.loss_curve


def test_a_rule_that_a_script_has_defined_has_to_be_defined_to_load_its_network(
    experiment, tmp_path
):
    settings = replace(published.BARS_SMALL.settings, rule=type("Mine", (Somatic,), {})())
    experiment.save_network(learn(settings), settings, tmp_path / "net.npz")
    rule = experiment.load_network(tmp_path / "net.npz")[1].rule
    assert type(rule).__name__ == "Mine"
    with np.load(tmp_path / "net.npz") as saved:
        arrays = {name: saved[name] for name in saved}
    arrays["settings"] = str(arrays["settings"]).replace("Mine", "Theirs")
    np.savez(tmp_path / "net.npz", **arrays)
    with pytest.raises(LookupError, match="Theirs"):
        experiment.load_network(tmp_path / "net.npz")


def test_a_recording_has_the_spikes_of_the_test(experiment):
    settings = published.BARS_SMALL.settings
    net, X = learn(settings), bars(20, seed=1)
    recording = experiment.record(net, settings, X)
    _, spikes = network.evaluate(net, settings, X)
    assert np.array_equal(recording.spikes, spikes)
    # traces of the stream, as a sum over spikes
    times = 100.0 * spikes["row"] + spikes["time"]
    for row in (0, 7):
        at = 100.0 * row + 50.0
        before = times < at
        traces = net.lanes.traces[0] * np.exp(-at / 10.0)
        # a spike counts 1 from the next step on
        since = at - times[before] - 1.0
        traces += np.bincount(spikes["unit"][before], np.exp(-since / 10.0), minlength=8)
        np.testing.assert_allclose(recording.traces(row)[50], traces, rtol=1e-6)


# Learning
# --------
@pytest.mark.parametrize("rule", ["exact", "decay"])
def test_the_loss_curve_runs_through_all_phases(rule, experiment, tmp_path):
    scaled = published.BARS_SMALL_SHORT.by_rule[rule].at_scale(0.002)  # 1000 stimuli
    files = []
    for seed in range(3):
        net = network.initialise(scaled.settings, 16, seed)
        decoders = experiment.train(net, scaled, lambda n: bars(n))
        assert len(decoders) == len(scaled.phases)
        assert np.array_equal(decoders[-1], net.decoder)
        assert len(net.record.loss_curve) == scaled.settings.points_per_horizon == 100
        files.append(tmp_path / f"{seed}.npz")
        experiment.save_network(net, scaled.phases[-1].settings, files[-1])
    curves = [experiment.load_network(file)[0].record.loss_curve for file in files]
    ax = Figure().subplots()
    experiment.plot_learning(ax, [{"network": file, "missed": False} for file in files])
    (line,) = ax.lines[:1]
    assert np.array_equal(line.get_xdata(), np.arange(10, 1001, 10))
    assert np.array_equal(line.get_ydata(), np.median(curves, axis=0))
    assert ax.get_ylim()[0] == 0.0
    assert ax.get_ylim()[1] > np.max(curves[0][:1])


def test_homeostasis_keeps_pace_where_that_is_stable(experiment):
    scaled = experiment.keep_pace(published.SCENES, 0.1)
    assert [phase.n_stimuli for phase in scaled.phases] == [20_000, 130_000]
    rates = [phase.settings.neuron.homeostasis_rate for phase in scaled.phases]
    assert rates == pytest.approx([0.06, 0.04])
    steps = [rate * 0.1 for rate in rates]
    assert max(steps) <= experiment.MAX_PER_SPIKE


# Rates that are missed
# ---------------------
@pytest.fixture
def rows(experiment):
    """Two networks at the target, and one with biases that are too low."""
    scaled = published.BARS_SMALL.at_scale(0.001)
    rows = []
    for p, shift in ((0.0, 0.0), (0.5, 0.0), (1.0, -1.0)):
        net = learn(scaled.settings, 1000)
        net.bias = net.bias + shift
        rows.append({"p": p, **experiment.evaluate(net, scaled, bars)})
    return rows


def test_networks_that_miss_their_rate_are_marked(experiment, rows, capsys):
    assert [row["missed"] for row in rows] == [False, False, True]
    assert rows[2]["rate"] < 0.8 * 15.0
    summary = experiment.summarise(rows, by=["p"])
    assert [line["missed"] for line in summary] == [0, 0, 1]
    cells = [experiment.with_interval(line, "loss") for line in summary]
    assert [cell.endswith("*") for cell in cells] == [False, False, True]
    ax = Figure().subplots()
    experiment.plot_summary(ax, [0.0, 0.5, 1.0], summary, color="b")
    open_markers = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert np.concatenate([line.get_xdata() for line in open_markers]) == [1.0]
    options = argparse.Namespace(scale=0.1, seeds=1)
    experiment.print_table([{"loss": cell} for cell in cells[:2]], options, "Title")
    assert "target" not in capsys.readouterr().out
    experiment.print_table([{"loss": cell} for cell in cells], options, "Title")
    assert "off the target" in " ".join(capsys.readouterr().out.split())


def test_a_rate_is_missed_only_if_that_for_familiar_stimuli_is(experiment):
    scaled = published.BARS_SMALL.at_scale(0.001)
    net = learn(scaled.settings, 1000)
    dim = experiment.evaluate(net, scaled, lambda n: 0.1 * bars(n))
    assert dim["missed"]
    results = experiment.evaluate(net, scaled, lambda n: 0.1 * bars(n), bars)
    assert results["rate"] == dim["rate"]
    assert results["familiar rate"] == pytest.approx(15.0, rel=0.2)
    assert not results["missed"]


# Scripts
# -------
def test_a_preview_changes_defaults_only(experiment):
    preview = {"scale": 0.01, "points": [0.5]}
    parser = experiment.command_line("", scale=0.1, seeds=10, preview=preview)
    parser.add_argument("--points", type=float, nargs="+", default=[0.0, 1.0])
    options = parser.parse_args(["--preview", "--seeds", "2"])
    assert (options.scale, options.seeds, options.points) == (0.01, 2, [0.5])
    assert options.output == Path("results/preview")
    options = parser.parse_args(["--scale", "0.3", "--preview"])
    assert (options.scale, options.points) == (0.3, [0.5])
    assert "--points 0.5" in " ".join(parser.format_help().split())


SCRIPTS = {
    "bars": ["--points", "0.5"],
    "bars_small": [],
    "pruning": ["--fractions", "0.0", "0.9"],
    "balance": [],
    "speech": [],
    "mnist": ["weights"],
    "mnist variants": ["variants"],
    "scenes_rate": ["--neurons", "40"],
    "scenes_delay": ["--delays", "0.3", "--variances", "0.2", "--separate"],
}
NEEDS = {
    "mnist": "mnist_t10k.npz",
    "scenes_rate": "olshausen_scenes.npz",
    "scenes_delay": "olshausen_scenes.npz",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name, experiment, find_data, tmp_path):
    """Scripts finish, and write finite losses, a picture and networks with their loss curves."""
    script = name.split()[0]
    command = [sys.executable, FOLDER / f"{script}.py", *SCRIPTS[name]]
    command += ["--scale", "0.0005", "--seeds", "1", "--output", tmp_path]
    if script in NEEDS:
        command += ["--data", find_data(NEEDS[script]).parent]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert list(tmp_path.glob("*.png"))
    rows = read_rows(tmp_path)
    assert np.isfinite([float(row["loss"]) for row in rows]).all()
    files = {Path(row["network"]) for row in rows}
    assert files == set(tmp_path.glob(f"{script}_networks/*.npz"))
    assert len(files) == len(rows)
    marked = done.stdout.count("*") > 0
    assert marked == any(row["missed"] == "True" for row in rows)
    for file in files:
        with np.load(file) as saved:
            assert np.isfinite(saved["decoder"]).all()
        if "rule=coding-error" in file.name:  # a rule of the script
            continue
        net, settings = experiment.load_network(file)
        n_points = len(net.record.loss_curve)
        assert n_points == net.n_updates // settings.updates_per_point
        assert n_points >= settings.points_per_horizon


def read_rows(folder):
    (path,) = folder.glob("*_runs.csv")
    return list(csv.DictReader(line for line in path.open() if not line.startswith("#")))


@pytest.mark.slow
def test_the_networks_of_bars_have_the_losses_of_the_table(experiment, tmp_path, monkeypatch):
    command = [sys.executable, FOLDER / "bars.py", "--scale", "0.0005", "--points", "0.5"]
    command += ["--seeds", "1", "--output", tmp_path / "results" / "preview"]
    subprocess.run(command, check=True, capture_output=True)
    for row in read_rows(tmp_path / "results" / "preview"):
        rng = np.random.RandomState(0)
        make_bars(500, 8, 0.5, random_state=rng)  # which it has learned from
        X = make_bars(500, 8, 0.5, random_state=rng)
        net, settings = experiment.load_network(row["network"])
        sums, _ = network.evaluate(net, settings, X)
        assert metrics.decoder_loss(sums, net.decoder) == float(row["loss"])
    # what the page shows works with them
    monkeypatch.chdir(tmp_path)
    text = (FOLDER.parents[1] / "docs" / "paper.md").read_text()
    (snippet,) = re.findall(r"```python\n(import experiment\n.*?)```", text, re.DOTALL)
    exec(snippet, {})
    assert Path("spikes.png").exists()
