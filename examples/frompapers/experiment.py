"""
What the published experiments share
====================================

This module provides the command line, learning at any scale, parallel jobs with a progress bar,
tables, CSV files and figures. A script defines ``measure(p, scale, seed)``, which trains one
network and returns its results in a dict, and calls ::

    parser = experiment.command_line(__doc__, scale=0.1, seeds=10)
    options = parser.parse_args()
    rows = experiment.run_all(measure, [{"p": 0.0}, {"p": 0.5}], options)
    experiment.save_rows(rows, options, "runs")
    summary = experiment.summarise(rows, by=["p"])
    experiment.save_rows(summary, options, "summary")
    experiment.print_table(summary, options, "Loss against p")
    experiment.save_figure(figure, options)

At ``--scale s`` a network learns from s times the published number of stimuli. All learning rates
of weights and decoder and the rate of annealing are divided by s. Only homeostasis stays as
published, unless it has to :func:`keep_pace`.
"""

import argparse
import csv
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from skdendbal import metrics, network

CHUNK = 10_000  # stimuli held in memory at a time
MAX_PER_SPIKE = 0.1  # change of a bias at a spike when homeostasis has to keep pace
N_RESAMPLES = 10_000  # bootstrap samples
console = Console(width=None if sys.stdout.isatty() else 120)  # wide tables in files


# Command line
# ------------
def command_line(description, *, scale, seeds, data=None):
    """Return a parser with the options of all experiments.

    Parameters
    ----------
    description : str
        The docstring of the script.
    scale : float
        Default scale.
    seeds : int
        Default number of seeds.
    data : str, default=None
        File that the folder `--data` has to hold. None means that the experiment makes its data.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--scale",
        type=positive(float),
        default=scale,
        help=f"fraction of the published stimuli ({scale})",
    )
    add("--seeds", type=positive(int), default=seeds, help=f"number of seeds, 0, 1, ... ({seeds})")
    add("--jobs", type=positive(int), default=1, help="networks that learn in parallel (1)")
    add("--output", type=Path, default="results", help="folder for tables and figures (results)")
    if data is not None:
        folder = os.environ.get("SKDENDBAL_DATA")
        add(
            "--data",
            type=_folder_with(data),
            default=folder,
            required=folder is None,
            help=f"folder with {data} (environment variable SKDENDBAL_DATA)",
        )
    return parser


def _folder_with(name):
    def convert(text):
        if not (Path(text) / name).is_file():
            raise argparse.ArgumentTypeError(f"{text} does not hold {name}")
        return Path(text)

    return convert


def positive(number):
    """Return a function that converts an argument to a number and requires it above 0."""

    def convert(text):
        value = number(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} must be above 0")
        return value

    return convert


def provenance(options):
    """Return the line that every output carries: the command, scale and seeds."""
    command = shlex.join(["python", *sys.argv])
    return f"{command} | scale {options.scale:g}, seeds 0 to {options.seeds - 1}"


# Learning
# --------
def train(net, published, draw, scale):
    """Let a network learn through the phases of a published experiment.

    Parameters
    ----------
    net : Network
        From ``network.initialise(published.settings, n_features, seed)``; changed in place.
    published : Experiment
        A row of :mod:`skdendbal.published`.
    draw : callable
        ``draw(n)`` returns the next n stimuli of the stream, shape (n, n_features).
    scale : float
        Fraction of the published number of stimuli.
    """
    for phase in published.at_scale(scale).phases:
        for start in range(0, phase.n_stimuli, CHUNK):
            stimuli = draw(min(CHUNK, phase.n_stimuli - start))
            network.learn(net, phase.settings, stimuli)


def keep_pace(published, scale):
    """Return the experiment with homeostasis sped up as much as learning, where that is stable.

    At low rates and small steps, biases take thousands of stimuli to adapt, which is as many as a
    short run has.
    """
    phases = []
    for phase in published.phases:
        neuron = phase.settings.neuron
        rate = neuron.homeostasis_rate
        fast = max(rate, min(rate / scale, MAX_PER_SPIKE / phase.settings.dt))
        neuron = neuron.with_params(homeostasis_rate=fast)
        phases.append(replace(phase, settings=replace(phase.settings, neuron=neuron)))
    return replace(published, phases=tuple(phases))


def loss_of_mean(published, stimuli, mean):
    """Return the loss, on a stream of stimuli, of a read-out that knows only a mean."""
    new, old = stimuli[1:] - mean, stimuli[:-1] - mean
    squares = np.mean(new * new), np.mean(new * old), np.mean(old * old)
    return 0.5 * np.dot(published.settings.overlaps, squares) / published.settings.n_steps


def test(net, published, draw):
    """Return the decoder loss and the mean firing rate (Hz) on further stimuli of `draw`."""
    settings = published.phases[-1].settings
    sums, _ = network.evaluate(net, settings, draw(published.n_test))
    return {
        "loss": metrics.decoder_loss(sums, net.decoder),
        "rate": float(metrics.firing_rates(sums, settings.dt).mean()),
    }


def stream_traces(spikes, settings, n_stimuli, every):
    """Return traces of a recorded stream, sampled at intervals of `every` ms.

    They have shape (n_samples, n_units), and carry over from stimulus to stimulus: the stream is a
    single long presentation.
    """
    spikes = spikes[spikes["row"] < n_stimuli]
    spikes["time"] += settings.presentation_time * spikes["row"]
    spikes["row"] = 0
    (traces,) = metrics.sample_traces(
        spikes,
        settings.n_components,
        n_rows=1,
        presentation_time=settings.presentation_time * n_stimuli,
        dt=settings.dt,
        tau=settings.tau,
        every=every,
    )
    return traces


def run_all(measure, points, options):
    """Run an experiment at all points of its parameters, with all seeds.

    Parameters
    ----------
    measure : callable
        ``measure(scale=..., seed=..., **point)`` returns a dict of results. It runs in another
        process if there are several jobs.
    points : list of dict
        Values of the parameters that are varied.
    options : argparse.Namespace
        From the command line.

    Returns
    -------
    rows : list of dict
        Parameters, scale, seed and results of every run.
    """
    seeds = range(options.seeds)
    jobs = [{**point, "scale": options.scale, "seed": s} for point in points for s in seeds]
    finished = Parallel(options.jobs, return_as="generator_unordered")(
        delayed(_numbered)(number, measure, job) for number, job in enumerate(jobs)
    )
    options.output.mkdir(parents=True, exist_ok=True)  # fail before the work, not after it
    rows = {}
    try:
        rows.update(track(finished, "Networks", total=len(jobs), console=console))
    except KeyboardInterrupt:
        if rows:
            save_rows(list(rows.values()), options, "interrupted")
        raise
    return [rows[number] for number in range(len(jobs))]


def _numbered(number, measure, job):
    return number, {**job, **measure(**job)}


# Results
# -------
def summarise(rows, by, of=("loss", "rate")):
    """Return median and 95 % bootstrap interval over seeds.

    Parameters
    ----------
    rows : list of dict
        From :func:`run_all`.
    by : sequence of str
        Parameters that are varied; all rows that agree in them make one line.
    of : sequence of str
        Results to summarise.

    Returns
    -------
    summary : list of dict
        The parameters, the number of seeds, and for every result its median under its own name
        and the interval as ``<name>_low``, ``<name>_high``.
    """
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    rng = np.random.default_rng(0)
    summary = []
    for key, group in groups.items():
        line = {**dict(zip(by, key, strict=True)), "seeds": len(group)}
        for name in of:
            values = np.array([row[name] for row in group])
            resampled = np.median(rng.choice(values, (N_RESAMPLES, len(values))), axis=1)
            low, high = np.quantile(resampled, [0.025, 0.975])
            line |= {name: np.median(values), f"{name}_low": low, f"{name}_high": high}
        summary.append(line)
    return summary


def with_interval(line, name, form=".4f"):
    """Return one result from a line of a summary as text: its median and interval."""
    median, low, high = (format(line[key], form) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{median} ({low}-{high})" if line["seeds"] > 1 else median


def save_rows(rows, options, name):
    """Write rows to ``<output>/<script>_<name>.csv``, without their arrays."""
    columns = [key for key, value in rows[0].items() if not isinstance(value, np.ndarray)]
    with _path(options, f"_{name}.csv").open("w", newline="") as file:
        file.write(f"# {provenance(options)}\n")
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def print_table(lines, options, title):
    """Print a list of dicts as a table; their keys are the columns."""
    table = Table(title=title, caption=provenance(options), box=box.SIMPLE)
    for column in lines[0]:
        table.add_column(column, justify="right")
    for line in lines:
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in line.values()))
    console.print(table)


def save_figure(figure, options, name=""):
    """Save a figure with ``layout="constrained"`` to ``<output>/<script><name>.png``."""
    figure.supxlabel(provenance(options), x=0.01, ha="left", fontsize=5, color="0.4")
    path = _path(options, f"{name}.png")
    figure.savefig(path, dpi=150)
    console.print(f"Figure and tables: {path.parent}", highlight=False)


def _path(options, suffix):
    options.output.mkdir(parents=True, exist_ok=True)
    return options.output / (Path(sys.argv[0]).stem + suffix)
