"""
Mikulasch et al. 2021: natural scenes, few busy or many sparse neurons
======================================================================

Networks code patches of natural scenes with one spike per ms, which is shared by 40 neurons at 25
Hz or by up to 200 neurons at 5 Hz. With dendritic balance (exact), more and sparser neurons find
better parts of the scenes, and the decoder loss falls. With somatic balance it does not fall,
because neurons then have to fire together. For the largest number of neurons, the figure shows
feedforward weights, spikes that the same test patches evoke, and the loss over learning.

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

from skdendbal.display import DictionaryDisplay, rule_colour
from skdendbal.published import SCENES, SCENES_RATE

N_FIELDS = 36  # receptive fields in the figure


def measure(images, rule, neurons, scale, seed):
    """Learn scenes with one rule and a number of neurons."""
    published = SCENES.by_rule[rule].with_settings(n_components=neurons, rate=SCENES_RATE[neurons])
    return scenes.measure(published, images, scale, seed)


preview = {"scale": 0.06, "seeds": 1, "neurons": [133, 80, 40]}
parser = experiment.command_line(
    __doc__, scale=0.1, seeds=5, preview=preview, data="olshausen_scenes.npz"
)
parser.add_argument(
    "--neurons", type=int, nargs="+", choices=SCENES_RATE, default=list(SCENES_RATE)
)
options = parser.parse_args()
sizes = sorted(options.neurons)
points = [{"rule": rule, "neurons": n} for n in sizes for rule in SCENES.by_rule]
images = scenes.load(options.data)
mean_in_learning, mean_alone = scenes.losses_of_mean(SCENES, images)
rows = experiment.run_all(partial(measure, images), points, options)
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

figure = Figure(figsize=(12, 7.5), layout="constrained")
(final, *mosaics), (learning, *rasters) = figure.subplots(2, 3)
for (rule, published), mosaic, raster in zip(
    SCENES.by_rule.items(), mosaics, rasters, strict=True
):
    style = {"color": rule_colour(published.settings.rule), "label": f"{rule} balance"}
    experiment.plot_summary(final, sizes, experiment.select(summary, rule=rule), **style)
    largest = experiment.select(rows, rule=rule, neurons=sizes[-1])
    experiment.plot_learning(learning, largest, **style)
    net, _ = experiment.load_network(largest[0]["network"])
    fields = net.weights.get("feedforward", net.decoder).T[:N_FIELDS]
    DictionaryDisplay(fields, on_off=True).plot(mosaic)
    mosaic.set_title(f"{rule} balance, {sizes[-1]} neurons{experiment.star(largest[0])}")
    mosaic.set_xlabel("feedforward weights, ON - OFF")
    scenes.show_spikes(raster, largest[0], images)
scenes.show_mean(final, mean_alone)
scenes.show_mean(learning, mean_in_learning)
final.set(xlabel="number of neurons, 1 spike per ms in all", ylabel="decoder loss")
learning.set_title(f"{sizes[-1]} neurons")
final.legend()
experiment.save_figure(figure, options)
