"""
Mikulasch et al. 2021: bars with correlated occurrence
======================================================

Images of 8x8 pixels hold two bars. With probability p these are the horizontal and the vertical
bar of one index, so neurons that represent single bars have to fire together. A network with
dendritic balance (exact) keeps its decoder loss for any p. With somatic balance the loss suffers
once bars are correlated. At p = 1 this ends, because whole crosses are then the better parts for
both networks. The right panel shows how the loss falls while networks learn, at the p nearest 0.5.

Both networks share the decoder rule, decoder rate and noise schedule. The table shows the median
over seeds, its 95 % bootstrap interval and, at scale 0.1, the range of a reference simulation. ::

    python examples/frompapers/bars.py --scale 0.1 --seeds 10
"""

import experiment
import numpy as np
from matplotlib.figure import Figure

from skdendbal import network
from skdendbal.datasets import make_bars
from skdendbal.display import rule_colour
from skdendbal.published import BARS

SIDE = 8
# Range of the loss over a few seeds of a dense step-by-step simulation at scale 0.1.
REFERENCE = {
    ("dendritic", 0.0): (0.0096, 0.0103),
    ("dendritic", 0.25): (0.0101, 0.0106),
    ("dendritic", 0.5): (0.0092, 0.0099),
    ("dendritic", 0.75): (0.0080, 0.0083),
    ("dendritic", 1.0): (0.0062, 0.0066),
    ("somatic", 0.0): (0.0117, 0.0150),
    ("somatic", 0.25): (0.0137, 0.0174),
    ("somatic", 0.5): (0.0167, 0.0196),
    ("somatic", 0.75): (0.0145, 0.0162),
    ("somatic", 1.0): (0.0064, 0.0066),
}
POINTS = np.linspace(0, 1, 21).round(2).tolist()


def measure(rule, p, scale, seed):
    """Learn bars of one correlation with one rule."""
    rng = np.random.RandomState(seed)

    def draw(n):
        return make_bars(n, SIDE, p, random_state=rng)

    published = BARS.by_rule[rule].at_scale(scale)
    net = network.initialise(published.settings, SIDE**2, seed)
    experiment.train(net, published, draw)
    return experiment.evaluate(net, published, draw)


def reference(rule, p):
    """Return the range of the reference simulation as text."""
    bounds = REFERENCE.get((rule, p))
    return "" if bounds is None else "{:.4f}-{:.4f}".format(*bounds)


preview = {"scale": 0.05, "seeds": 3, "points": [0.0, 0.25, 0.5, 0.75, 1.0]}
parser = experiment.command_line(__doc__, scale=0.1, seeds=10, preview=preview)
parser.add_argument("--points", type=float, nargs="+", default=POINTS, help="values of p (0 to 1)")
options = parser.parse_args()
if not all(0.0 <= p <= 1.0 for p in options.points):
    parser.error("--points must be from 0 to 1")
points = [{"rule": rule, "p": p} for rule in BARS.by_rule for p in options.points]
rows = experiment.run_all(measure, points, options)
summary = experiment.summarise(rows, by=["rule", "p"])
experiment.save_rows(rows, options, "runs")
experiment.save_rows(summary, options, "summary")

lines = {(line["rule"], line["p"]): line for line in summary}
table = []
for p in options.points:
    row = {"p": p}
    for rule in BARS.by_rule:
        row[rule] = experiment.with_interval(lines[rule, p], "loss")
        if options.scale == 0.1:
            row[f"reference {rule}"] = reference(rule, p)
    row["ratio"] = f"{lines['somatic', p]['loss'] / lines['dendritic', p]['loss']:.2f}"
    table.append(row)
experiment.print_table(table, options, "Decoder loss on 8x8 bars")

figure = Figure(figsize=(9, 4), layout="constrained")
final, learning = figure.subplots(1, 2)
shown = min(options.points, key=lambda p: abs(p - 0.5))
for rule, published in BARS.by_rule.items():
    style = {"color": rule_colour(published.settings.rule), "label": f"{rule} balance"}
    experiment.plot_summary(
        final, options.points, [lines[rule, p] for p in options.points], **style
    )
    experiment.plot_learning(learning, experiment.select(rows, rule=rule, p=shown), **style)
experiment.start_at_zero(final)
final.set(xlabel="probability p of correlated bars", ylabel="decoder loss")
final.legend()
learning.set_title(f"p = {shown:g}")
experiment.save_figure(figure, options)
