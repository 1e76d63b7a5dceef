"""
Mikulasch et al. 2021: natural scenes, few busy or many sparse neurons
======================================================================

Networks code patches of natural scenes with one spike per ms, which is shared by 40 neurons at 25
Hz or by up to 200 neurons at 5 Hz. With dendritic balance (exact), more and sparser neurons find
better parts of the scenes, and the decoder loss falls. With somatic balance it does not fall,
because neurons then have to fire together.

Both networks share the decoder rule, decoder rate and noise schedule, and have an equal tuning
budget: both use the published rates. The table shows the median over seeds with its 95 % bootstrap
interval, and above it the loss of the mean of the data alone. The folder ``--data`` holds
``olshausen_scenes.npz`` with `images` (10, 512, 512), whitened. ::

    python examples/frompapers/scenes_rate.py --scale 0.1 --neurons 200 100 50

At a small scale the somatic network has to learn so fast that it runs away or falls silent. With
100 neurons or more, this still happens at a scale of 0.03. Compare the rules at a larger scale.
"""

from functools import partial

import experiment
import scenes
from matplotlib.figure import Figure

from skdendbal.display import RULE_COLOURS, DictionaryDisplay
from skdendbal.published import SCENES, SCENES_RATE

N_FIELDS = 36  # receptive fields in the figure


def measure(train_images, test_images, rule, neurons, scale, seed):
    """Learn scenes with one rule and a number of neurons."""
    published = SCENES.by_rule[rule].with_settings(n_components=neurons, rate=SCENES_RATE[neurons])
    net = scenes.learn(published, train_images, scale, seed)
    return {
        **experiment.test(net, published, scenes.stream(test_images, scenes.TEST_SEED)),
        "fields": net.weights.get("feedforward", net.decoder).T[:N_FIELDS],
    }


parser = experiment.command_line(__doc__, scale=0.1, seeds=5, data="olshausen_scenes.npz")
parser.add_argument(
    "--neurons", type=int, nargs="+", choices=SCENES_RATE, default=list(SCENES_RATE)
)
options = parser.parse_args()
sizes = sorted(options.neurons)
points = [{"rule": rule, "neurons": n} for n in sizes for rule in SCENES.by_rule]
images = scenes.load(options.data)
mean_alone = scenes.loss_of_mean(SCENES, *images)
rows = experiment.run_all(partial(measure, *images), points, options)
summary = experiment.summarise(rows, by=["rule", "neurons"])
experiment.save_rows(rows, options, "runs")
experiment.save_rows(summary, options, "summary")

table = [
    {
        "neurons": line["neurons"],
        "rule": line["rule"],
        "loss": experiment.with_interval(line, "loss"),
        "rate (Hz)": experiment.with_interval(line, "rate", ".1f"),
        "target (Hz)": SCENES_RATE[line["neurons"]],
    }
    for line in summary
]
title = f"Decoder loss on natural scenes, test images (mean of the data alone: {mean_alone:.4f})"
experiment.print_table(table, options, title)

figure = Figure(figsize=(11, 4), layout="constrained")
ax, *mosaics = figure.subplots(1, 3)
for rule, mosaic in zip(SCENES.by_rule, mosaics, strict=True):
    lines = [line for line in summary if line["rule"] == rule]
    scenes.plot_loss(ax, sizes, lines, color=RULE_COLOURS[rule], label=f"{rule} balance")
    row = next(row for row in rows if (row["rule"], row["neurons"]) == (rule, sizes[-1]))
    DictionaryDisplay(row["fields"], on_off=True).plot(mosaic)
    mosaic.set_title(f"ON - OFF weights, {rule},\n{sizes[-1]} neurons")
scenes.show_mean(ax, mean_alone)
ax.set(xlabel="number of neurons, 1 spike per ms in all", ylabel="decoder loss")
ax.legend()
experiment.save_figure(figure, options)
