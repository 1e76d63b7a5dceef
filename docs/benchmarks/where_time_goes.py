"""
Where a fit spends its time
===========================

The parts of `fit` are timed from the outside while it runs, and the time of each does not include
the parts that it calls. They are the compiled kernels that present stimuli; the decoder and the
learning rule (`Rule.update`), which are linear algebra; the rest of `network.learn` (biases,
noise, sums over a batch); and the rest of `fit` in Python (validation, scale, order of rows).
Times are also divided by the number of spikes, because the kernels draw each spike and add it up
for learning. All fits run on one thread, after a fit that compiles the kernels. EV, the explained
variance, and L0, the number of non-zero entries of a code, are measured on test rows.
"""

import statistics
import time
import warnings
from collections import Counter
from unittest.mock import patch

import benchmark
import tasks

from skdendbal import DendriticBalanceCoder, _kernels, network
from skdendbal.rules import Dendritic

REST = "rest of fit"
SETTINGS = {  # a task, its number of rows (None: all), and parameters of the coder
    "digits, 64 units, defaults": ("digits-64", None, {}),
    "mnist, 100 units, defaults": ("mnist-100", None, {}),
    "scenes, 200 units, dt 0.1 ms, batch_size 1": (
        "scenes-200",
        5000,
        {"rate": 5.0, "dt": 0.1, "batch_size": 1, "max_iter": 1},
    ),
}


class Stopwatch:
    """Stopwatch for functions, each without the timed functions that it calls.

    `seconds` holds times and `calls` numbers of calls, both by label.
    """

    def __init__(self):
        self.seconds, self.calls = Counter(), Counter()
        self._labels, self._since = [], 0.0

    def __call__(self, label, function):
        """Return a function that is timed. A label may be a function of the first argument."""

        def timed(*args, **kwargs):
            name = label if isinstance(label, str) else label(args[0])
            self._charge()
            self._labels.append(name)
            self.calls[name] += 1
            try:
                return function(*args, **kwargs)
            finally:
                self._charge()
                self._labels.pop()

        return timed

    def _charge(self):
        now = time.perf_counter()
        if self._labels:
            self.seconds[self._labels[-1]] += now - self._since
        self._since = now


def profile(coder, X):
    """Fit a coder; return the seconds and calls of each part, and the number of spikes."""
    watch, n_spikes = Stopwatch(), 0
    learn = watch("rest of network.learn", network.learn)
    learn_decoder = watch("decoder", network.learn_decoder)
    update = watch("rule", Dendritic.update)

    def counting(rule, weights, batch, dt):
        nonlocal n_spikes
        n_spikes += int(batch.spike_counts.sum())
        return update(rule, weights, batch, dt)

    kernel = watch(lambda kernel: f"kernel {kernel.__name__}", _kernels.call_interruptibly)
    with (
        patch.object(network, "learn", learn),
        patch.object(network, "learn_decoder", learn_decoder),
        patch.object(_kernels, "call_interruptibly", kernel),
        patch.object(Dendritic, "update", counting),
    ):
        watch(REST, coder.fit)(X)
    return watch.seconds, watch.calls, n_spikes


def measure(setting, options):
    """Return one row for every part and round of a setting."""
    name, n_rows, parameters = SETTINGS[setting]
    load, n_components, _ = tasks.TASKS[name]
    split = load(options.data, seed=0)
    if options.quick:
        n_rows, parameters = 500, {**parameters, "max_iter": 1}
    X = split.train[:n_rows]
    coder = DendriticBalanceCoder(n_components, random_state=0, **parameters)
    with warnings.catch_warnings(action="ignore"):  # 32 rows are not enough
        coder.fit(X[:32])
    rows = []
    for i in benchmark.progress(range(options.repeats), setting):
        seconds, calls, n_spikes = profile(coder, X)
        n_presentations = len(X) * coder.n_iter_
        rows += [
            {
                "setting": setting,
                "part": part,
                "round": i,
                "seconds": seconds[part],
                "calls": calls[part],
                "presentations": n_presentations,
                "spikes": n_spikes,
            }
            for part in seconds
        ]
    quality = {
        "EV": coder.score(split.test),
        "L0": float((coder.transform(split.test) > 0.0).sum(axis=1).mean()),
    }
    return rows, quality


def summarise(rows, quality):
    """Return the lines of a setting: its parts, the largest first, and their sum."""
    n_spikes, n_presentations = rows[0]["spikes"], rows[0]["presentations"]
    of_part = {
        part: [row["seconds"] for row in group]
        for part, group in benchmark.group(rows, "part").items()
    }
    of_part = dict(sorted(of_part.items(), key=lambda item: -statistics.median(item[1])))
    calls = {row["part"]: row["calls"] for row in rows}
    total = [sum(seconds) for seconds in zip(*of_part.values(), strict=True)]
    return [
        {
            "part": part,
            "us a presentation": benchmark.spread(seconds, n_presentations * 1e-6),
            "share": f"{statistics.median(seconds) / statistics.median(total):.1%}",
            "ns a spike": statistics.median(seconds) / n_spikes * 1e9,
            "calls": calls.get(part),
            "presentations": n_presentations if part == "all" else None,
            "spikes a presentation": n_spikes / n_presentations if part == "all" else None,
            "EV": f"{quality['EV']:.3f}" if part == "all" else None,
            "L0": quality["L0"] if part == "all" else None,
        }
        for part, seconds in {**of_part, "all": total}.items()
    ]


def main():
    """Measure."""
    parser = benchmark.command_line(__doc__)
    benchmark.add_data(parser)
    options = benchmark.parse(parser)
    report = benchmark.Report(options, __doc__)
    raw = []
    for setting, (name, *_) in SETTINGS.items():
        if name in tasks.available(options.data):
            rows, quality = measure(setting, options)
            report.table(setting, summarise(rows, quality))
            raw += rows
    report.raw("times", raw)
    report.save()


if __name__ == "__main__":
    main()
