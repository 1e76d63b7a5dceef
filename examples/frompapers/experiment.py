"""
What the published experiments share
====================================

This module provides the command line, learning at any scale, parallel jobs with a progress bar,
networks in files, tables and panels of figures. A script defines ``measure(p, scale, seed)``,
which trains one network and returns its results in a dict, and calls ::

    preview = {"scale": 0.02, "seeds": 3}
    options = experiment.command_line(__doc__, scale=0.1, seeds=10, preview=preview).parse_args()
    rows = experiment.run_all(measure, [{"p": 0.0}, {"p": 0.5}], options)
    experiment.save_rows(rows, options, "runs")
    summary = experiment.summarise(rows, by=["p"])
    experiment.save_rows(summary, options, "summary")
    experiment.print_table(summary, options, "Loss against p")
    experiment.plot_summary(ax, [0.0, 0.5], summary)
    experiment.save_figure(figure, options)

At ``--scale s`` a network learns from s times the published number of stimuli. All learning rates
of weights and decoder and the rate of annealing are divided by s. Only homeostasis stays as
published, unless it has to :func:`keep_pace`.

A network misses its rate if, after learning, its mean firing rate for stimuli like those that it
has learned from differs from the target by more than 20 %. Asterisks in tables and open markers in
figures show such networks. Their losses cannot be compared, as they have more or fewer spikes.
"""

import argparse
import csv
import json
import os
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from skdendbal import metrics, network
from skdendbal.recording import Recording
from skdendbal.rules import Rule

CHUNK = 10_000  # stimuli held in memory at a time
MAX_MISS = 0.2  # relative deviation from the target rate
MISSED = "mean rate for stimuli like those learned from is more than 20 % off the target"
MAX_PER_SPIKE = 0.1  # change of a bias at a spike when homeostasis has to keep pace
N_RESAMPLES = 10_000  # bootstrap samples
console = Console(width=None if sys.stdout.isatty() else 120)  # wide tables in files


# Command line
# ------------
class _Parser(argparse.ArgumentParser):
    """Parser whose option `--preview` changes the defaults of the others."""

    preview: dict

    def parse_args(self, args=None, namespace=None):
        options = super().parse_args(args, namespace)
        if options.preview:
            self.set_defaults(**self.preview)
            options = super().parse_args(args, namespace)
        return options


def command_line(description, *, scale, seeds, preview, data=None):
    """Return a parser with the options of all experiments.

    Parameters
    ----------
    description : str
        The docstring of the script.
    scale : float
        Default scale.
    seeds : int
        Default number of seeds.
    preview : dict
        Values of options, those of the script included, with which `--preview` shows the point of
        the experiment within five minutes on two cores.
    data : str, default=None
        File that the folder `--data` has to hold. None means that the experiment makes its data.
    """
    parser = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.preview = {"jobs": 2, "output": "results/preview", **preview}
    add = parser.add_argument
    add(
        "--scale",
        type=positive(float),
        default=scale,
        help=f"fraction of the published stimuli ({scale})",
    )
    add("--seeds", type=positive(int), default=seeds, help=f"number of seeds, 0, 1, ... ({seeds})")
    add("--jobs", type=positive(int), default=1, help="networks that learn in parallel (1)")
    add("--output", type=Path, default="results", help="folder for all results (results)")
    add(
        "--preview",
        action="store_true",
        help=f"a short version with other defaults: {_as_arguments(parser.preview)}",
    )
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


def _as_arguments(options):
    """Return options as they would be given on the command line."""
    values = {name: v if isinstance(v, list) else [v] for name, v in options.items()}
    return " ".join(f"--{name} {' '.join(map(str, v))}" for name, v in values.items())


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
def keep_pace(published, scale):
    """Return the experiment at a scale, with homeostasis sped up as well, where that is stable.

    At low rates and small steps, biases take thousands of stimuli to adapt, which is as many as a
    short run has.
    """
    phases = []
    for phase in published.at_scale(scale).phases:
        neuron = phase.settings.neuron
        rate = neuron.homeostasis_rate
        fast = max(rate, min(rate / scale, MAX_PER_SPIKE / phase.settings.dt))
        neuron = neuron.with_params(homeostasis_rate=fast)
        phases.append(replace(phase, settings=replace(phase.settings, neuron=neuron)))
    return replace(published, phases=tuple(phases))


def train(net, published, draw):
    """Let a network learn through the phases of an experiment.

    Parameters
    ----------
    net : Network
        From ``network.initialise(published.settings, n_features, seed)``; changed in place.
    published : Experiment
        A row of :mod:`skdendbal.published`, at some scale.
    draw : callable
        ``draw(n)`` returns the next n stimuli of the stream, shape (n, n_features).

    Returns
    -------
    decoders : ndarray of shape (n_phases, n_features, n_units)
        The decoder at the end of each phase.
    """
    decoders = []
    for phase in published.phases:
        for start in range(0, phase.n_stimuli, CHUNK):
            stimuli = draw(min(CHUNK, phase.n_stimuli - start))
            network.learn(net, phase.settings, stimuli)
        decoders.append(net.decoder.copy())
    return np.array(decoders)


def loss_of_mean(published, stimuli, mean):
    """Return the loss, on a stream of stimuli, of a read-out that knows only a mean."""
    new, old = stimuli[1:] - mean, stimuli[:-1] - mean
    squares = np.mean(new * new), np.mean(new * old), np.mean(old * old)
    return 0.5 * np.dot(published.settings.overlaps, squares) / published.settings.n_steps


def evaluate(net, published, draw, draw_familiar=None):
    """Return how well a network codes further stimuli, and the network itself.

    Parameters
    ----------
    net : Network
        The network.
    published : Experiment
        What it has learned by.
    draw : callable
        ``draw(n)`` returns n stimuli for the test.
    draw_familiar : callable, default=None
        The same for stimuli like those that the network has learned from, if others are tested.

    Returns
    -------
    results : dict
        Decoder loss and mean firing rate (Hz) in the test; the mean rate for familiar stimuli, and
        whether it misses the target; and the network with its settings.
    """
    settings = published.phases[-1].settings
    sums, _ = network.evaluate(net, settings, draw(published.n_test))
    loss = metrics.decoder_loss(sums, net.decoder)
    rate = familiar_rate = float(metrics.firing_rates(sums, settings.dt).mean())
    if draw_familiar is not None:
        sums, _ = network.evaluate(net, settings, draw_familiar(published.n_test))
        familiar_rate = float(metrics.firing_rates(sums, settings.dt).mean())
    return {
        "loss": loss,
        "rate": rate,
        "familiar rate": familiar_rate,
        "missed": abs(familiar_rate / settings.rate - 1.0) > MAX_MISS,
        "network": (net, settings),
    }


def record(net, settings, X):
    """Return a recording of further stimuli, with the spikes that `evaluate` would count."""
    start = network.StreamState(net.lanes, net.seed, net.n_presentations)
    spikes, end = network.present_stream(net, settings, X, state=start)
    dynamics = network.make_dynamics(net, settings)
    return Recording(spikes, X, 1.0, 1, settings, net.weights, dynamics, start, end)


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
        Parameters, scale, seed and results of every run. Instead of the network there is the name
        of the file in which it was saved, in the folder ``<output>/<script>_networks``.
    """
    seeds = range(options.seeds)
    jobs = [{**point, "scale": options.scale, "seed": s} for point in points for s in seeds]
    folder = _path(options, "_networks")
    folder.mkdir(exist_ok=True)  # fail before the work, not after it
    finished = Parallel(options.jobs, return_as="generator_unordered")(
        delayed(_run)(number, measure, job, folder) for number, job in enumerate(jobs)
    )
    rows = {}
    try:
        rows.update(track(finished, "Networks", total=len(jobs), console=console))
    except KeyboardInterrupt:
        if rows:
            save_rows(list(rows.values()), options, "interrupted")
        raise
    return [rows[number] for number in range(len(jobs))]


def _run(number, measure, job, folder):
    row = {**job, **measure(**job)}
    name = "_".join(f"{key}={value}" for key, value in job.items() if key != "scale")
    file = folder / f"{name.replace(' ', '-')}.npz"
    save_network(*row["network"], file)
    return number, {**row, "network": file}


# Networks in files
# -----------------
_STATE = ("bias", "variance", "seed", "n_presentations", "n_updates", "progress")


def save_network(net, settings, file):
    """Save a network in a file of named arrays, and its settings as text (JSON).

    Weights have their own names, as in :class:`skdendbal.network.Network`. Arrays whose names
    begin with "lanes_" and "record_" hold the state of the stream and the course of learning.
    """
    rule = {"name": type(settings.rule).__name__, **asdict(settings.rule)}
    np.savez_compressed(
        file,
        **net.weights,
        **{name: getattr(net, name) for name in _STATE},
        **{f"lanes_{name}": value for name, value in net.lanes._asdict().items()},
        **{f"record_{name}": value for name, value in vars(net.record).items()},
        settings=json.dumps({**asdict(settings), "rule": rule}),
    )


def load_network(file):
    """Return a network that was saved, ready to go on.

    Parameters
    ----------
    file : path-like
        The file.

    Returns
    -------
    net : Network
        The network in the state at the end of learning.
    settings : Settings
        Its settings in the last phase of learning.

    Raises
    ------
    LookupError
        If the network has a rule that is not defined here, as the script did.
    """
    with np.load(file) as saved:
        arrays = {name: values[()] for name, values in saved.items()}
    settings = _make_settings(json.loads(arrays.pop("settings")))
    net = network.initialise(settings, len(arrays["decoder"]), seed=0)
    for name in _STATE:
        setattr(net, name, arrays.pop(name))
    net.lanes = net.lanes._replace(**_take_prefixed(arrays, "lanes_"))
    net.record = network.LearningRecord(**_take_prefixed(arrays, "record_"))
    net.record.loss_curve = list(net.record.loss_curve)
    net.weights = arrays
    return net, settings


def _make_settings(values):
    """Return settings from their values as text."""
    parameters = values.pop("rule")
    name, rules = parameters.pop("name"), [Rule]
    for rule in rules:
        rules += rule.__subclasses__()
    known = {rule.__name__: rule for rule in rules}
    if name not in known:
        raise LookupError(f"The network has learned with the rule {name}: define it first.")
    return network.Settings(
        **values
        | {
            "rule": known[name](**parameters),
            "neuron": network.Neuron(**values["neuron"]),
            "noise": network.Noise(**values["noise"]),
        }
    )


def _take_prefixed(arrays, prefix):
    """Take out the arrays whose names begin with a prefix, and return them without it."""
    names = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays.pop(name) for name in names}


# Results
# -------
def select(rows, **values):
    """Return the rows that have some values."""
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


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
        and the interval as ``<name>_low``, ``<name>_high``; and how many networks missed their
        rate.
    """
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    summary = []
    for key, group in groups.items():
        line = {**dict(zip(by, key, strict=True)), "seeds": len(group)}
        for name in of:
            low, median, high = _median_with_interval([row[name] for row in group])
            line |= {name: median, f"{name}_low": low, f"{name}_high": high}
        line["missed"] = sum(row["missed"] for row in group)
        summary.append(line)
    return summary


def _median_with_interval(values):
    """Return the low end of the interval, the median and the high end, over the first axis."""
    values = np.asarray(values)
    chosen = np.random.default_rng(0).integers(len(values), size=(N_RESAMPLES, len(values)))
    low, high = np.quantile(np.median(values[chosen], axis=1), [0.025, 0.975], axis=0)
    return low, np.median(values, axis=0), high


def with_interval(line, name, form=".4f"):
    """Return one result from a line of a summary as text: its median and interval.

    An asterisk follows if a network missed its rate.
    """
    low, median, high = (format(line[key], form) for key in (f"{name}_low", name, f"{name}_high"))
    text = f"{median} ({low}-{high})" if line["seeds"] > 1 else median
    return text + star(line)


def star(row):
    """Return the asterisk that marks a row, or a line of a summary, in which a rate is missed."""
    return "*" if row["missed"] else ""


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
    cells = [
        [f"{v:.4g}" if isinstance(v, float) else str(v) for v in line.values()] for line in lines
    ]
    for row in cells:
        table.add_row(*row)
    if any(cell.endswith("*") for row in cells for cell in row):
        table.caption += f"\n* {MISSED}, in some networks"
    console.print(table)


# Figures
# -------
def plot_summary(ax, x, lines, name="loss", **style):
    """Plot a result of the lines of a summary, with its interval, against x."""
    x = np.asarray(x)
    middle, low, high, missed = (
        np.array([line[key] for line in lines])
        for key in (name, f"{name}_low", f"{name}_high", "missed")
    )
    (curve,) = ax.plot(x, middle, **{"marker": "o", "markersize": 4, **style})
    ax.fill_between(x, low, high, color=curve.get_color(), alpha=0.2, linewidth=0)
    mark_missed(ax, x[missed > 0], middle[missed > 0], curve.get_color())


def mark_missed(ax, x, y, colour):
    """Mark the results of networks that miss their rate."""
    ax.plot(x, y, "o", markersize=4, markerfacecolor="white", markeredgecolor=colour, zorder=3)


def plot_learning(ax, rows, **style):
    """Plot the loss while learning: the median over the networks of some rows and its interval.

    It is that of stimuli before the network learns from them, read from the traces before the
    spikes of a step, and a mean over about a hundredth of the stimuli.
    """
    nets, settings = zip(*(load_network(row["network"]) for row in rows), strict=True)
    low, middle, high = _median_with_interval([net.record.loss_curve for net in nets])
    stimuli = settings[0].updates_per_point * np.arange(1, len(middle) + 1)
    (curve,) = ax.plot(stimuli, middle, **style)
    ax.fill_between(stimuli, low, high, color=curve.get_color(), alpha=0.2, linewidth=0)
    if any(row["missed"] for row in rows):
        mark_missed(ax, stimuli[-1:], middle[-1:], curve.get_color())
    ax.set(xlabel="stimuli", ylabel="decoder loss while learning")
    start_at_zero(ax)


def start_at_zero(ax):
    """Let the vertical axis begin at zero, with some room above all that was plotted so far."""
    ax.set_ylim(0.0, 1.05 * ax.dataLim.y1)


def save_figure(figure, options, name=""):
    """Save a figure with ``layout="constrained"`` to ``<output>/<script><name>.png``."""
    text = f"{provenance(options)}\nopen markers, *: {MISSED}"
    figure.supxlabel(text, x=0.01, ha="left", fontsize=6, color="0.4")
    path = _path(options, f"{name}.png")
    figure.savefig(path, dpi=150)
    console.print(f"Figure and tables: {path.parent}", highlight=False)


def _path(options, suffix):
    options.output.mkdir(parents=True, exist_ok=True)
    return options.output / (Path(sys.argv[0]).stem + suffix)
