"""
Mikulasch et al. 2021: the learned variants of dendritic balance on small bars
==============================================================================

Images of 4x4 pixels hold two bars, which have one common index with p = 0.7. In the exact rule,
recurrent weights balance every dendritic compartment by definition. In the variants (decay, slow,
simultaneous) they learn to do so, while feedforward weights learn from the dendritic potential.
The decoder losses of the variants approach that of the exact rule and lie below that of somatic
balance. The right panel shows how the loss falls while networks learn.

All networks share the decoder rule, decoder rate and noise schedule. The schedule "short" is that
of the reference simulation. At scale 0.1 it has 50,000 stimuli, and the table shows the range of
the reference simulation beside the median over seeds and its 95 % bootstrap interval. The schedule
"published" has twice as many stimuli. ::

    python examples/frompapers/bars_small.py --scale 0.1 --seeds 5
"""

import experiment
import numpy as np
from matplotlib.figure import Figure

from skdendbal import network
from skdendbal.datasets import make_bars
from skdendbal.display import rule_colour
from skdendbal.published import BARS_SMALL, BARS_SMALL_SHORT

SIDE = 4
CORRELATION = 0.7
# Range of the loss over a few seeds of a dense step-by-step simulation at scale 0.1.
REFERENCE = {
    "exact": (0.0358, 0.0369),
    "decay": (0.0378, 0.0391),
    "slow": (0.0388, 0.0434),
    "simultaneous": (0.0446, 0.0469),
    "somatic": (0.0496, 0.0518),
}
SCHEDULES = {"short": BARS_SMALL_SHORT, "published": BARS_SMALL}


def measure(schedule, rule, scale, seed):
    """Learn small bars with one rule."""
    rng = np.random.RandomState(seed)

    def draw(n):
        return make_bars(n, SIDE, CORRELATION, random_state=rng)

    published = SCHEDULES[schedule].by_rule[rule].at_scale(scale)
    net = network.initialise(published.settings, SIDE**2, seed)
    if rule == "simultaneous":  # the other learned rules start at 0.001 in both schedules
        net.weights["feedforward"][:] = 0.001 if schedule == "short" else 0.0
    experiment.train(net, published, draw)
    return experiment.evaluate(net, published, draw)


preview = {"scale": 0.05, "seeds": 3}
parser = experiment.command_line(__doc__, scale=0.1, seeds=5, preview=preview)
parser.add_argument("--schedule", choices=SCHEDULES, default="short", help="see above (short)")
options = parser.parse_args()
points = [{"schedule": options.schedule, "rule": rule} for rule in BARS_SMALL.by_rule]
rows = experiment.run_all(measure, points, options)
summary = experiment.summarise(rows, by=["schedule", "rule"])
experiment.save_rows(rows, options, "runs")
experiment.save_rows(summary, options, "summary")

compared = options.schedule == "short" and options.scale == 0.1
table = []
for line in summary:
    row = {
        "rule": line["rule"],
        "loss": experiment.with_interval(line, "loss"),
        "rate (Hz)": experiment.with_interval(line, "rate", ".2f"),
    }
    if compared:
        row["reference loss"] = "{:.4f}-{:.4f}".format(*REFERENCE[line["rule"]])
    table.append(row)
experiment.print_table(table, options, "Decoder loss on 4x4 bars")

figure = Figure(figsize=(10, 4), layout="constrained")
final, learning = figure.subplots(1, 2)
for number, (rule, published) in enumerate(BARS_SMALL.by_rule.items()):
    colour = rule_colour(published.settings.rule)
    nets = experiment.select(rows, rule=rule)
    missed, reached = (experiment.select(nets, missed=missed) for missed in (True, False))
    final.plot([number] * len(reached), [net["loss"] for net in reached], "o", color=colour)
    experiment.mark_missed(final, [number] * len(missed), [net["loss"] for net in missed], colour)
    if compared:
        final.vlines(number, *REFERENCE[rule], colors="0.85", lw=14, zorder=0)
    experiment.plot_learning(learning, nets, color=colour, label=rule)
if compared:
    final.set_title("grey: reference simulation", fontsize="medium")
final.set_xticks(range(len(BARS_SMALL.by_rule)), BARS_SMALL.by_rule)
final.set_ylabel("decoder loss")
experiment.start_at_zero(final)
learning.legend()
experiment.save_figure(figure, options)
