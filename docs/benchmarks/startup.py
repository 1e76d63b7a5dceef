"""
Starting: import, compilation, single rows
==========================================

The first table gives the seconds that an import takes in a new process, when the system still
holds the files in memory. The second table gives the seconds of the first and of a further `fit`
(one pass over 1300 digits, 64 components) and `transform` (497 digits) in a new process. The cache
of numba is either empty, so that the first calls compile the kernels, or filled by an earlier
process. A digest shows that the codes are the same. The third table gives the microseconds that
`transform` takes for a single row, for coders fitted on the digits, and their quality on test
digits as defined in `tasks.py`. All run on one thread; new processes and coders are timed in turn.
"""

import json
import os
import subprocess
import sys
import tempfile

import benchmark
import numpy as np
import peers
import tasks
from sklearn.decomposition import PCA

from skdendbal import DendriticBalanceCoder

N_CALLS = 100  # calls with a single row, timed together
IMPORTS = ["numpy", "sklearn.decomposition", "numba", "skdendbal"] + ["spams"] * peers.HAS_SPAMS
IMPORT = """
import sys, time
start = time.perf_counter()
__import__(sys.argv[1])
print(time.perf_counter() - start)
"""
FIRST_USE = """
import hashlib, json, time

def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start

def load():
    import skdendbal
    return skdendbal.DendriticBalanceCoder(64, max_iter=1, random_state=0)

coder, seconds = timed(load)
result = {"import": seconds}
from sklearn.datasets import load_digits
X = load_digits().data
train, test = X[:1300], X[1300:]
for which in ("first", "further"):
    _, result[which + " fit"] = timed(lambda: coder.fit(train))
    codes, result[which + " transform"] = timed(lambda: coder.transform(test))
result["EV"] = coder.score(test)
result["digest of codes"] = hashlib.sha256(codes.tobytes()).hexdigest()[:8]
print(json.dumps(result))
"""
STEPS = ("import", "first fit", "further fit", "first transform", "further transform")


def run(code, *arguments, **environment):
    """Run code in a new process and return the value that it prints."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    output = subprocess.run(
        command, env=os.environ | environment, stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    return json.loads(output)


def imports(options):
    """Return a table and raw numbers of the imports."""
    calls = {name: lambda name=name: run(IMPORT, name) for name in IMPORTS}
    seconds = benchmark.interleave(calls, options.repeats, "Imports")
    return [{"import": name, "s": benchmark.spread(times)} for name, times in seconds.items()], [
        {"what": f"import {name}", "cache": "", "round": i, "seconds": time}
        for name, times in seconds.items()
        for i, time in enumerate(times)
    ]


def first_use(options):
    """Return a table and raw numbers of first calls, with an empty and with a filled cache."""
    results = {"empty": [], "filled": []}
    with tempfile.TemporaryDirectory() as filled:
        run(FIRST_USE, NUMBA_CACHE_DIR=filled)
        for _ in benchmark.progress(range(options.repeats), "First calls"):
            with tempfile.TemporaryDirectory() as empty:
                results["empty"].append(run(FIRST_USE, NUMBA_CACHE_DIR=empty))
            results["filled"].append(run(FIRST_USE, NUMBA_CACHE_DIR=filled))
    table, raw = [], []
    for cache, runs in results.items():
        row = {"numba cache": cache}
        row |= {f"{step} s": benchmark.spread([run[step] for run in runs]) for step in STEPS}
        row["EV"] = f"{runs[0]['EV']:.3f}"
        row["digest of codes"] = ", ".join(dict.fromkeys(run["digest of codes"] for run in runs))
        table.append(row)
        raw += [
            {"what": step, "cache": cache, "round": i, "seconds": run[step]}
            for i, run in enumerate(runs)
            for step in STEPS
        ]
    return table, raw


def single_rows(options):
    """Return a table and raw numbers of calls with a single row."""
    split = tasks.digits(None, seed=0)
    coder = DendriticBalanceCoder(64, random_state=0, max_iter=2 if options.quick else None)
    coders = {
        "DendriticBalanceCoder": coder,
        "MiniBatchDL lasso_cd 0.3": peers.minibatch(64, 0.3),
        "PCA 32": PCA(32, random_state=0),
    }
    if peers.HAS_SPAMS:
        coders["SPAMS lasso 0.3"] = peers.Spams(64, 0.3)
    quality, calls = {}, {}
    for name, coder in benchmark.progress(coders.items(), "Fits"):
        codes = [coder.fit(split.train).transform(X) for X in (split.train, split.test)]
        quality[name] = tasks.quality(split, *codes, coder.components_)
        if name.startswith("PCA"):  # it codes centred data
            back = coder.inverse_transform(codes[1])
            quality[name]["EV"] = tasks.explained(split.test, back, split.train.mean(axis=0))

        def call(coder=coder):
            for row in split.test[:N_CALLS, np.newaxis]:
                coder.transform(row)

        calls[name] = call
    seconds = benchmark.interleave(calls, options.repeats, "Single rows")
    table = [
        {
            "coder": name,
            "us a call": benchmark.spread(times, N_CALLS * 1e-6),
            "L0": quality[name]["L0"],
            **{m: f"{quality[name][m]:.3f}" for m in ("EV", "EVlin", "accuracy")},
        }
        for name, times in seconds.items()
    ]
    return table, [
        {"what": f"{name}, {N_CALLS} rows", "cache": "", "round": i, "seconds": time}
        for name, times in seconds.items()
        for i, time in enumerate(times)
    ]


def main():
    """Measure."""
    options = benchmark.parse(benchmark.command_line(__doc__))
    report = benchmark.Report(options, __doc__)
    raw = []
    for title, part in (
        ("Imports", imports),
        ("First calls in a new process", first_use),
        ("A single row, 64 components", single_rows),
    ):
        table, times = part(options)
        report.table(title, table)
        raw += times
    report.raw("times", raw)
    report.save()


if __name__ == "__main__":
    main()
