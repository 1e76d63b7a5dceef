"""
Growth of time and memory
=========================

This benchmark measures how the time and the peak memory of `fit` and `transform` grow with one
size at a time. The other sizes stay at 64 components, 64 features, 1000 rows (10,000 where the
number of threads varies), 100 ms per row in steps of 0.25 ms, and one thread. Every point runs in
its own process, which first compiles the kernels with a tiny network. A row is a mixture of 4 of
64 sparse patterns on average. `fit` presents 2000 stimuli, or every row once if there are more
rows than that. A call that takes more than 20 s is timed only once.

Memory is the anonymous memory of the process, not that of files, beyond what it held before the
call; the codes that `transform` returns are not counted. Where the number of rows varies, the rows
are in a file that is mapped into memory. EV is the explained variance of 1000 further rows, and L0
the number of non-zero entries of their codes; both are those of this short fit. Batches grow with
networks, so that the largest learn from a few batches only, which is not enough for a good EV.
`fit` also codes up to 10,000 rows in the end, to which the decoder is fitted.
"""

import argparse
import ctypes
import gc
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import benchmark
import matplotlib
import numpy as np

from skdendbal import DendriticBalanceCoder

matplotlib.use("agg")
import matplotlib.pyplot as plt

BASE = {
    "n_components": 64,
    "n_features": 64,
    "presentation_time": 100.0,
    "dt": 0.25,
    "rows": 1000,
    "threads": 1,
}
SWEEPS = {
    "n_components": [16, 32, 64, 128, 256, 512, 1024, 2048],
    "n_features": [16, 64, 256, 1024, 4096],
    "presentation_time": [10.0, 30.0, 100.0, 300.0, 1000.0],
    "dt": [0.05, 0.1, 0.25, 0.5, 1.0],
    "rows": [100, 1000, 10_000, 100_000, 1_000_000],
    "threads": sorted({1, 2, os.cpu_count() // 2 or 1, os.cpu_count()}),
}
QUICK = {
    "n_components": [16, 256],
    "n_features": [16, 1024],
    "presentation_time": [10.0, 100.0],
    "dt": [0.1, 1.0],
    "rows": [100, 10_000],
    "threads": [1, 2],
}
ROWS_OF_THREADS = 10_000
N_PRESENTATIONS = 2000
N_ATOMS, N_ACTIVE = 64, 4  # patterns in all and in a row
CHUNK = 10_000  # rows made at a time
LONG = 20.0  # s; a longer call is timed once
TEST_SEED = 2**32 - 1  # for rows that no fit sees
C_LIBRARY = ctypes.CDLL(None)


# Data
# ----
def mixtures(n_rows, n_features, seed):
    """Return non-negative rows, each a few patterns with exponential weights."""
    rng = np.random.default_rng(0)
    atoms = rng.exponential(size=(N_ATOMS, n_features))
    atoms *= rng.random(atoms.shape) < 0.25
    rng = np.random.default_rng([seed, 1])
    weights = rng.exponential(size=(n_rows, N_ATOMS))
    weights *= rng.random(weights.shape) < N_ACTIVE / N_ATOMS
    return weights @ atoms


def write_rows(path, n_rows):
    """Write rows to a file that can be mapped into memory."""
    shape = (n_rows, BASE["n_features"])
    rows = np.lib.format.open_memmap(path, "w+", dtype=float, shape=shape)
    for seed, start in enumerate(range(0, n_rows, CHUNK)):
        part = rows[start : start + CHUNK]
        part[:] = mixtures(len(part), shape[1], seed)


# One point, in its own process
# -----------------------------
class PeakMemory:
    """Context that tracks the anonymous memory of this process; `peak` is its growth in MB."""

    def __enter__(self):
        gc.collect()
        if hasattr(C_LIBRARY, "malloc_trim"):
            C_LIBRARY.malloc_trim(0)  # freed memory of earlier calls would hide what this takes
        self.before = self.peak = self._now()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._follow)
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.done.set()
        self.thread.join()
        self.peak = self.peak and max(self.peak, self._now()) - self.before

    def _follow(self):
        while self.peak is not None and not self.done.wait(0.005):
            self.peak = max(self.peak, self._now())

    @staticmethod
    def _now():
        statm = Path("/proc/self/statm")
        if not statm.exists():  # not Linux
            return None
        _, resident, of_files, *_ = map(int, statm.read_text().split())
        return (resident - of_files) * os.sysconf("SC_PAGE_SIZE") / 2**20


def observe(call, repeats):
    """Return the peak memory of a call in MB, and the seconds that further calls take."""

    def timed():
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    with PeakMemory() as memory:
        first = timed()
    return memory.peak, [first] if first > LONG else [timed() for _ in range(repeats)]


def measure(point, path, repeats):
    """Return what was measured at one point, given by its sizes."""
    n_rows, n_features = point["rows"], point["n_features"]
    X = np.load(path, mmap_mode="r")[:n_rows] if path else mixtures(n_rows, n_features, seed=0)
    test = mixtures(1000, n_features, TEST_SEED)
    coder = DendriticBalanceCoder(
        point["n_components"],
        presentation_time=point["presentation_time"],
        dt=point["dt"],
        max_iter=math.ceil(N_PRESENTATIONS / n_rows),
        n_jobs=point["threads"],
        random_state=0,
    )
    tiny = DendriticBalanceCoder(2, max_iter=1, n_jobs=point["threads"])
    tiny.fit(X[:32, :2]).transform(X[:32, :2])
    fit_memory, fit_seconds = observe(lambda: coder.fit(X), repeats)
    memory, seconds = observe(lambda: coder.transform(X), repeats)
    if memory is not None:
        memory = max(0.0, memory - 8.0 * n_rows * point["n_components"] / 2**20)
    codes = coder.transform(test)
    return {
        "fit seconds": fit_seconds,
        "presentations": n_rows * coder.max_iter,
        "fit MB": fit_memory,
        "seconds": seconds,
        "MB": memory,
        "EV": coder.score(test),
        "L0": float((codes > 0.0).sum(axis=1).mean()),
    }


# All points
# ----------
def run_point(point, path, repeats):
    """Measure a point in a new process."""
    arguments = json.dumps({"point": point, "path": path and str(path), "repeats": repeats})
    command = [sys.executable, "-W", "ignore", __file__, "--point", arguments]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return {**point, **json.loads(run.stdout)}


def run_sweeps(sweeps, repeats):
    """Return the results of all points, by name of the sweep."""
    points = [(name, value) for name, values in sweeps.items() for value in values]
    results = {name: [] for name in sweeps}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        if "rows" in sweeps:
            write_rows(path, max(sweeps["rows"]))
        for name, value in benchmark.progress(points, "Points"):
            point = {**BASE, name: value}
            if name == "threads":
                point["rows"] = ROWS_OF_THREADS
            results[name].append(run_point(point, path if name == "rows" else None, repeats))
    return results


def plot(results):
    """Return a figure with time and memory against every size."""
    figure, axes = plt.subplots(
        2, len(results), figsize=(2.8 * len(results), 5.5), layout="constrained", squeeze=False
    )
    for column, (name, rows) in zip(axes.T, results.items(), strict=True):
        sizes = [row[name] for row in rows]
        for ax, parts in (
            (column[0], (("fit, us a presentation", fit_us), ("transform, us a row", us))),
            (
                column[1],
                (("fit, MB", lambda r: r["fit MB"]), ("transform, MB", lambda r: r["MB"])),
            ),
        ):
            for text, of in parts:
                values = [np.nan if of(row) is None else np.median(of(row)) for row in rows]
                ax.plot(sizes, values, "o-", markersize=3, label=text)
            ax.set_xlabel(name)
            benchmark.use_log_scale(ax.xaxis)
            benchmark.use_log_scale(ax.yaxis)
    for ax in axes[:, 0]:
        ax.legend(fontsize=7)
    return figure


def fit_us(row):
    """Return the times that a fit takes per presentation, in us."""
    return [seconds / row["presentations"] * 1e6 for seconds in row["fit seconds"]]


def us(row):
    """Return the times that transform takes per row, in us."""
    return [seconds / row["rows"] * 1e6 for seconds in row["seconds"]]


def main():
    """Measure one point for the parent process, or all."""
    parser = benchmark.command_line(__doc__)
    add = parser.add_argument
    add("--sweeps", nargs="+", choices=list(SWEEPS), default=list(SWEEPS), help="default: all")
    add("--point", type=json.loads, help=argparse.SUPPRESS)
    options = benchmark.parse(parser)
    if options.point:
        print(json.dumps(measure(**options.point)))
        return
    sweeps = QUICK if options.quick else SWEEPS
    results = run_sweeps({name: sweeps[name] for name in options.sweeps}, options.repeats)
    report = benchmark.Report(options, __doc__)
    report.figure(plot(results), "Time and memory against every size")
    raw = []
    for name, rows in results.items():
        table = [
            {
                name: row[name],
                "fit us a presentation": benchmark.spread(fit_us(row)),
                "fit MB": row["fit MB"],
                "transform us a row": benchmark.spread(us(row)),
                "transform MB": row["MB"],
                "EV": f"{row['EV']:.3f}",
                "L0": row["L0"],
            }
            for row in rows
        ]
        report.table(name, table)
        for row in rows:
            for what in ("fit seconds", "seconds"):
                kept = {k: v for k, v in row.items() if not k.endswith("seconds")}
                call = "transform" if what == "seconds" else "fit"
                raw += [
                    {"sweep": name, **kept, "call": call, "seconds": seconds}
                    for seconds in row[what]
                ]
    report.raw("times", raw)
    report.save()


if __name__ == "__main__":
    main()
