"""
What all benchmarks share
=========================

This module limits all computation to one thread. It times calls in turn, describes the machine,
and writes tables and raw numbers into a section of the results page. A script imports it before
numpy, and calls ::

    options = benchmark.parse(benchmark.command_line(__doc__))
    seconds = benchmark.interleave({"first": call, "second": other}, options.repeats)
    report = benchmark.Report(options, __doc__)
    report.raw("times", [...])
    report.table("What was measured", [{"coder": ..., "time": ...}, ...])
    report.save()

A section is written to ``<output>/<script>.md``. Raw numbers go to ``<script>_<name>.csv`` in the
same folder, and figures to ``<script>.png`` or ``<script>_<name>.png``.
"""

import argparse
import csv
import functools
import os
import platform
import shlex
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
PACKAGES = ("skdendbal", "numpy", "scipy", "scikit-learn", "numba")
FOLDER = Path(__file__).parent
SCRIPT = Path(sys.argv[0]).resolve()

if "numpy" in sys.modules:
    raise ImportError("import benchmark before numpy: it sets the number of threads")
os.environ.update(dict.fromkeys(THREADS, "1"))

console = Console(width=None if sys.stdout.isatty() else 140)  # wide tables in files
log = Console(stderr=True)
progress = functools.partial(track, console=log, transient=True)


# Command line
# ------------
def command_line(doc, *, repeats=5):
    """Return a parser with the options of all benchmarks; `doc` is the script's docstring."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    default = repeats or "those of each script"
    add("--repeats", type=positive, default=repeats, help=f"rounds of timing ({default})")
    add("--quick", action="store_true", help="a small version, to try the script")
    add(
        "--output",
        type=Path,
        default=SCRIPT.parent / "results",
        help="folder of sections, raw numbers and figures (results, beside the script)",
    )
    return parser


def add_data(parser):
    """Add the option --data, the folder of MNIST, the natural scenes and CIFAR-10."""
    folder = os.environ.get("SKDENDBAL_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(folder) if folder else None,
        help="folder with mnist_t10k.npz, olshausen_scenes.npz and, for images.py, "
        "cifar10_part.npz (variable SKDENDBAL_DATA)",
    )


def parse(parser):
    """Return the options and, as `command`, the command line to show, without local folders."""
    options = parser.parse_args()
    words = ["python", f"docs/{SCRIPT.parent.name}/{SCRIPT.name}"]
    for name, value in vars(options).items():
        if value != parser.get_default(name) and not isinstance(value, Path):
            words.append(f"--{name}")
            words += (
                map(str, value) if isinstance(value, list) else [str(value)] * (value is not True)
            )
    options.command = shlex.join(words)
    return options


def positive(text):
    """Convert an argument of the command line to an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return value


# Timing
# ------
def interleave(calls, repeats, what="Timing"):
    """Time callables in turn, in rounds that each begin with a different one.

    Parameters
    ----------
    calls : dict of str to callable
        Callables without arguments. One that returns a float has timed itself, in seconds.
    repeats : int
        Number of rounds.
    what : str, default="Timing"
        Label of the progress bar.

    Returns
    -------
    seconds : dict of str to list of float
        Times of each callable, one per round.
    """
    names = list(calls)
    seconds = {name: [] for name in names}
    for turn in progress(range(repeats * len(names)), what):
        this_round, place = divmod(turn, len(names))
        name = names[(this_round + place) % len(names)]
        start = time.perf_counter()
        own = calls[name]()
        total = time.perf_counter() - start
        seconds[name].append(own if isinstance(own, float) else total)
    return seconds


def spread(seconds, unit=1.0):
    """Return the median, minimum and maximum of some times as text, divided by `unit`."""
    low, median, high = (
        number(value / unit) for value in (min(seconds), statistics.median(seconds), max(seconds))
    )
    return f"{median} ({low}-{high})" if len(seconds) > 1 else median


def group(rows, *names):
    """Group rows by the values of some columns: a dict from these values to lists of rows."""
    groups = {}
    for row in rows:
        key = tuple(row[name] for name in names)
        groups.setdefault(key if len(names) > 1 else key[0], []).append(row)
    return groups


def interval(values):
    """Return mean ± standard deviation over splits as text, or None if nothing was measured.

    A single split has no deviation.
    """
    if values[0] is None:
        return None
    mean = statistics.fmean(values)
    digits = 3 if abs(mean) < 2.0 else 1
    spread = f" ± {deviation(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{spread}"


def deviation(values):
    """Return the standard deviation over splits, or 0 for a single split."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def number(value):
    """Return a number as text, with three digits or with all digits before the point."""
    if isinstance(value, float):
        return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
    return "" if value is None else str(value)


def machine(packages=PACKAGES):
    """Describe the machine and the versions of packages in words."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        model = next((v.strip() for k, _, v in lines if k.strip() == "model name"), model)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return (
        f"{model}, {os.cpu_count()} cores, {platform.platform(aliased=True, terse=True)}, "
        f"Python {platform.python_version()}, {versions}"
    )


# Results
# -------
def panels(n, **options):
    """Return a figure with n panels, three a row and with room for a legend, and their axes."""
    from matplotlib.figure import Figure

    n_columns = min(3, n)
    n_rows = -(-n // n_columns)
    figure = Figure(figsize=(3.6 * n_columns, 3.0 * n_rows + 0.6), **options)
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for axis in axes.flat[n:]:
        axis.remove()
    return figure, axes


def use_log_scale(axis):
    """Make a matplotlib axis logarithmic, with plain numbers that do not overlap."""
    from matplotlib import ticker

    name = axis.axis_name
    getattr(axis.axes, f"set_{name}scale")("log")
    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high < 100.0 * low else (1.0,)
    axis.set_major_locator(ticker.LogLocator(subs=subs, numticks=6))
    axis.set_major_formatter(
        ticker.FuncFormatter(lambda x, _: f"{x:g}" if x < 1e4 else f"{x / 1e3:g}k")
    )
    axis.set_minor_formatter(ticker.NullFormatter())


class Report:
    """Tables, raw numbers and figures of one script.

    Parameters
    ----------
    options : argparse.Namespace
        From the command line.
    doc : str
        The docstring of the script; it opens the section.
    """

    def __init__(self, options, doc):
        self.folder = options.output
        self.name = SCRIPT.stem
        title, _, *lines = doc.strip().splitlines()
        text = "\n".join(lines).strip().replace("``", "`")
        self.parts = [f"## {title}", text, f"`{options.command}`"]

    def table(self, title, rows, note=""):
        """Print a list of dicts, whose keys are the columns, and add it to the section, folded."""
        columns = list(rows[0])
        cells = [[number(row[column]) for column in columns] for row in rows]
        table = Table(title=title, caption=note, box=box.SIMPLE)
        words = [any(row[i][:1].isalpha() for row in cells) for i in range(len(columns))]
        for column, left in zip(columns, words, strict=True):
            table.add_column(column, justify="left" if left else "right")
        for row in cells:
            table.add_row(*row)
        console.print(table)
        lines = [columns, ["---" if left else "---:" for left in words], *cells]
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        self.parts += [f"<details><summary>{title}</summary>", text, *[note] * bool(note)]
        self.parts.append("</details>")

    def raw(self, name, rows):
        """Write a list of dicts to a CSV file."""
        with self._path(f"_{name}.csv").open("w", newline="") as file:
            file.write(f"# {machine()}\n")
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def figure(self, figure, text, name=None):
        """Save a matplotlib figure and show it in the section; several need a `name`."""
        path = self._path(f"_{name}.png" if name else ".png")
        figure.savefig(path, dpi=120)
        self.parts.append(f"![{text}]({path.name})")

    def save(self):
        """Write the section."""
        path = self._path(".md")
        path.write_text("\n\n".join([*self.parts, f"*{machine()}*"]) + "\n")
        console.print(f"Section, raw numbers and figures: {self.folder}", highlight=False)

    def _path(self, suffix):
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / (self.name + suffix)
