"""
Lanes: when a batch may stand for one stimulus after another
============================================================

The published networks see one stimulus after another, and learn in every step. With batches,
several copies of the network, or lanes, see one stimulus each before the weights change, and a
presentation takes a fraction of the time. This study asks how large a batch may be before the
published result changes.

Networks of 16 neurons learn images of bars (8x8 pixels, p = 0.7) with the published settings of
dendritic and of somatic balance, and read out by the decoder that they learn with. The published
schedule has 1,000,000 stimuli. Shorter ones have learning rates that are larger by the same
factor. "step" says how far weights may move during a batch: it is the decoder rate times the
duration of a presentation times the number of lanes. The table gives the unexplained variance of
2000 new rows as mean ± standard deviation over seeds, and the processor time of a presentation as
median, least and largest.

With up to four lanes both rules have the result of a single one within the scatter of seeds, at
every learning rate tried, and a presentation takes a third to a quarter of the time. From 16 lanes
on, this still holds for somatic balance, while dendritic balance explains more of the variance
than with a single lane, by 0.004 to 0.017.
"""

import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import benchmark
from differences import CORRELATION, N_TEST, N_TRAIN, RULES, SIDE, as_published
from sklearn.exceptions import ConvergenceWarning

from skdendbal.datasets import make_bars

LANES = (1, 4, 16, 64)
SCALES = (0.2, 0.05, 0.02)  # of the published number of stimuli


def measure(scale, n_lanes, rule, seed):
    """Return the unexplained variance, and how far weights move during a batch."""
    coder = as_published(rule, scale).set_params(batch_size=n_lanes, random_state=seed)
    X = make_bars(N_TRAIN, SIDE, CORRELATION, random_state=seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        coder.fit(X)
    seconds = time.process_time() - start
    test = make_bars(N_TEST, SIDE, CORRELATION, random_state=1000 + seed)
    return {
        "stimuli": coder.network_.n_presentations,
        "lanes": n_lanes,
        "rule": rule,
        "seed": seed,
        "step": coder.learning_rule.decoder_rate * coder.presentation_time * n_lanes,
        "unexplained": 1.0 - coder.score(test),
        "us": 1e6 * seconds / coder.network_.n_presentations,
    }


def summarise(rows):
    """Return a line for every schedule and number of lanes."""
    lines = []
    for (stimuli, n_lanes), group in benchmark.group(rows, "stimuli", "lanes").items():
        line = {"stimuli": f"{stimuli:,}", "lanes": n_lanes, "step": group[0]["step"]}
        for rule, cell in benchmark.group(group, "rule").items():
            line[rule] = benchmark.interval([row["unexplained"] for row in cell])
        line["us a presentation"] = benchmark.spread([row["us"] for row in group])
        lines.append(line)
    return lines


def main():
    """Measure."""
    options = benchmark.parse(benchmark.command_line(__doc__, repeats=3))
    tasks = [
        (scale, n_lanes, rule, seed)
        for scale in ((0.01,) if options.quick else SCALES)
        for n_lanes in LANES
        for rule in RULES
        for seed in range(options.repeats)
    ]
    rows = [measure(*task) for task in benchmark.progress(tasks, "Networks")]
    report = benchmark.Report(options, __doc__)
    report.raw("networks", rows)
    report.table("unexplained variance of bars", summarise(rows))
    report.save()


if __name__ == "__main__":
    main()
