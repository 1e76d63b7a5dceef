"""
Mikulasch et al. 2021: pruning of dendritic inhibition
======================================================

Images of 4x4 pixels hold two bars, which have one common index with p = 0.6. A network with
dendritic balance has a recurrent weight from every neuron to every dendritic compartment. While
the network learns, the weights that contribute least, as judged by their size and the correlation
of the two neurons, are pulled to zero. Most of them can go before the decoder loss reaches that of
somatic balance (dashed line), a network whose feedforward weights learn without any dendritic
inhibition.

In both networks a somatic recurrent matrix, learned by the same rule at the same rate, drives the
dynamics. They also share the decoder rule and noise schedule. The decoder rate of the somatic
network is lower, as published. The table shows the median over seeds with its 95 % bootstrap
interval. ::

    python examples/frompapers/pruning.py --scale 0.1 --seeds 5
"""

import experiment
import numpy as np
from matplotlib.figure import Figure

from skdendbal import network
from skdendbal.datasets import make_bars
from skdendbal.display import rule_colour
from skdendbal.published import PRUNING, PRUNING_SOMATIC

SIDE = 4
CORRELATION = 0.6


def measure(rule, fraction, scale, seed):
    """Learn small bars while a fraction of the dendritic recurrent weights is pruned."""
    rng = np.random.RandomState(seed)

    def draw(n):
        return make_bars(n, SIDE, CORRELATION, random_state=rng)

    published = (PRUNING_SOMATIC if rule == "somatic" else PRUNING[fraction]).at_scale(scale)
    net = network.initialise(published.settings, SIDE**2, seed)
    experiment.train(net, published, draw)
    return experiment.evaluate(net, published, draw)


preview = {"scale": 0.05, "seeds": 3, "fractions": [0.0, 0.5, 0.75, 0.9, 0.95, 0.98]}
parser = experiment.command_line(__doc__, scale=0.1, seeds=5, preview=preview)
parser.add_argument(
    "--fractions",
    type=float,
    nargs="+",
    choices=PRUNING,
    default=list(PRUNING),
    help="pruned fractions",
)
options = parser.parse_args()
points = [{"rule": "dendritic", "fraction": fraction} for fraction in options.fractions]
points.append({"rule": "somatic", "fraction": ""})
rows = experiment.run_all(measure, points, options)
summary = experiment.summarise(rows, by=["rule", "fraction"])
experiment.save_rows(rows, options, "runs")
experiment.save_rows(summary, options, "summary")

table = [
    {
        "rule": line["rule"],
        "pruned fraction": line["fraction"],
        "loss": experiment.with_interval(line, "loss"),
        "rate (Hz)": experiment.with_interval(line, "rate", ".2f"),
    }
    for line in summary
]
experiment.print_table(table, options, "Decoder loss on 4x4 bars with pruning")

*dendritic, somatic = summary
colours = [rule_colour(each.settings.rule) for each in (PRUNING[0.0], PRUNING_SOMATIC)]
figure = Figure(figsize=(5, 4), layout="constrained")
ax = figure.subplots()
experiment.plot_summary(
    ax, options.fractions, dendritic, color=colours[0], label="dendritic balance"
)
experiment.plot_summary(
    ax, [0.0, 1.0], [somatic] * 2, color=colours[1], ls="--", marker="", label="somatic balance"
)
ax.set(xlabel="pruned fraction of dendritic recurrent weights", ylabel="decoder loss")
ax.set_xlim(-0.02, 1.0)
experiment.start_at_zero(ax)
ax.legend(loc="lower left")
experiment.save_figure(figure, options)
