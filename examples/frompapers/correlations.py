"""
Mikulasch et al. 2021: correlations between neurons and their part in the code
==============================================================================

Neurons that code natural scenes fire in a correlated way, and with dendritic balance (exact) their
recurrent connections turn this into a good code. As a control, we permute the recurrent weights
between neurons. Biases and decoder then learn once more, at the final noise, while all other
weights stay fixed. A copy with the original recurrent weights relearns its biases and decoder too,
so the relearned and the permuted network differ only in the permutation. The decoder loss that the
permutation adds measures the part that correlations play in the code.

The networks are those of ``scenes_rate.py``. They share the decoder rule, decoder rate and noise
schedule, and have an equal tuning budget: both use the published rates. The table shows medians
over seeds of the decoder loss, with its 95 % bootstrap interval, and of the root mean square, over
all pairs of neurons, of the Pearson correlation between their spike traces, sampled every 3 ms.
The folder ``--data`` holds ``olshausen_scenes.npz`` with `images` (10, 512, 512), whitened. ::

    python examples/frompapers/correlations.py --scale 0.1 --neurons 200 100

At any scale, relearning takes the published 20,000 stimuli, because faster relearning would make
the decoder noisy.
"""

from functools import partial

import experiment
import numpy as np
import scenes
from matplotlib.figure import Figure

from skdendbal import metrics
from skdendbal.display import rule_colour
from skdendbal.published import CORRELATIONS, SCENES, SCENES_RATE

VERSIONS = {"learned": "-", "relearned": "--", "permuted": ":"}
BINS = np.linspace(-0.5, 1.0, 76)
EVERY = 3.0  # ms between samples of a trace


def learn(images, rule, neurons, scale, seed):
    """Learn scenes with one rule and a number of neurons."""
    published = SCENES.by_rule[rule].with_settings(n_components=neurons, rate=SCENES_RATE[neurons])
    results = scenes.measure(published, images, scale, seed)
    return {**results, **correlate(*results["network"], images)}


def relearn(images, files, rule, neurons, version, scale, seed):
    """Learn biases and decoder once more, with or without permutation of recurrent weights."""
    net, _ = experiment.load_network(files[rule, neurons, seed])
    control = CORRELATIONS.with_settings(n_components=neurons, rate=SCENES_RATE[neurons])
    net.weights.setdefault("feedforward", net.decoder.copy())  # stays fixed
    net.variance = control.settings.noise.final**2
    if version == "permuted":
        between = ~np.eye(neurons, dtype=bool)
        weights = net.recurrent[between]
        net.recurrent[between] = np.random.default_rng(seed).permutation(weights)
    train_images, test_images = images
    draw = scenes.stream(train_images, seed)
    experiment.train(net, control, draw)
    results = experiment.evaluate(net, control, scenes.stream(test_images, scenes.TEST_SEED), draw)
    return {**results, **correlate(net, control.settings, images)}


def correlate(net, settings, images):
    """Return size and density of the trace correlations between neurons."""
    recording = scenes.record(net, settings, images, CORRELATIONS.n_test)
    every = round(EVERY / settings.dt)
    traces = [recording.traces(row, every=every) for row in range(recording.n_rows)]
    correlations = metrics.trace_correlations(np.concatenate(traces))
    pairs = correlations[np.triu_indices_from(correlations, k=1)]
    return {
        "correlation": np.sqrt(np.mean(pairs**2)),
        "density": np.histogram(pairs, BINS, density=True)[0],
    }


preview = {"scale": 0.03, "seeds": 1, "neurons": [50, 40]}
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
_, mean_alone = scenes.losses_of_mean(CORRELATIONS, images)
learned = experiment.run_all(partial(learn, images), points, options)
files = {(row["rule"], row["neurons"], row["seed"]): row["network"] for row in learned}
points = [{**point, "version": version} for point in points for version in list(VERSIONS)[1:]]
rows = [{**row, "version": "learned"} for row in learned]
rows += experiment.run_all(partial(relearn, images, files), points, options)
rows.sort(key=lambda row: (row["neurons"], row["rule"]))
summary = experiment.summarise(
    rows, by=["rule", "neurons", "version"], of=["loss", "rate", "correlation"]
)
experiment.save_rows(rows, options, "runs")
experiment.save_rows(summary, options, "summary")

table = [
    {
        **{key: line[key] for key in ("neurons", "rule", "version")},
        "loss": experiment.with_interval(line, "loss"),
        "rate (Hz)": f"{line['rate']:.1f}",
        "correlation": f"{line['correlation']:.3f}",
    }
    for line in summary
]
title = f"Correlations on natural scenes, test images (mean of the data alone: {mean_alone:.4f})"
experiment.print_table(table, options, title)

figure = Figure(figsize=(12, 7), layout="constrained")
axes = figure.subplots(2, 3, sharex="col", sharey="col")
for (histogram, sizes_of_correlations, losses), rule in zip(axes, SCENES.by_rule, strict=True):
    colour = rule_colour(SCENES.by_rule[rule].settings.rule)
    for version, line_style in VERSIONS.items():
        style = {"color": colour, "ls": line_style, "label": version}
        largest = experiment.select(rows, rule=rule, neurons=sizes[-1], version=version)
        densities = [row["density"] for row in largest]
        histogram.stairs(np.mean(densities, axis=0), BINS, **style)
        lines = experiment.select(summary, rule=rule, version=version)
        experiment.plot_summary(sizes_of_correlations, sizes, lines, "correlation", **style)
        experiment.plot_summary(losses, sizes, lines, **style)
    scenes.show_mean(losses, mean_alone)
    histogram.set(title=f"{rule} balance, {sizes[-1]} neurons", ylabel="density", yscale="log")
    sizes_of_correlations.set(title=f"{rule} balance", ylabel="correlation (root mean square)")
    losses.set(title=f"{rule} balance", ylabel="decoder loss")
    losses.legend()
axes[0, 1].set_ylim(bottom=0.0)
for ax, label in zip(
    axes[1], ["correlation of two traces", *["number of neurons"] * 2], strict=True
):
    ax.set_xlabel(label)
experiment.save_figure(figure, options)
