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

import copy
from functools import partial

import experiment
import numpy as np
import scenes
from matplotlib.figure import Figure

from skdendbal import metrics, network
from skdendbal.published import CORRELATIONS, SCENES, SCENES_RATE

NETWORKS = ("learned", "relearned", "permuted")
BINS = np.linspace(-0.5, 1.0, 76)
EVERY = 3.0  # ms between samples of a trace


def measure(train_images, test_images, rule, neurons, scale, seed):
    """Learn scenes with one rule, then relearn the read-out with and without permutation."""
    size = {"n_components": neurons, "rate": SCENES_RATE[neurons]}
    published = SCENES.by_rule[rule].with_settings(**size)
    control = CORRELATIONS.with_settings(**size)
    learned = scenes.learn(published, train_images, scale, seed)

    relearned = copy.deepcopy(learned)
    relearned.weights.setdefault("feedforward", learned.decoder.copy())  # stay fixed
    relearned.variance = control.settings.noise**2
    permuted = copy.deepcopy(relearned)
    between = ~np.eye(neurons, dtype=bool)
    weights = permuted.recurrent[between]
    permuted.recurrent[between] = np.random.default_rng(seed).permutation(weights)
    for net in (relearned, permuted):
        experiment.train(net, control, scenes.stream(train_images, seed), scale=1.0)

    nets = zip(NETWORKS, (learned, relearned, permuted), strict=True)
    return {
        name: code(net, control, scenes.stream(test_images, scenes.TEST_SEED))
        for name, net in nets
    }


def code(net, published, draw):
    """Return the loss, the rate in Hz, and the size and density of trace correlations."""
    settings, n_test = published.settings, published.n_test
    sums, spikes = network.evaluate(net, settings, draw(n_test))
    traces = experiment.stream_traces(spikes, settings, n_test, EVERY)
    correlations = metrics.trace_correlations(traces)
    pairs = correlations[np.triu_indices_from(correlations, k=1)]
    return {
        "loss": metrics.decoder_loss(sums, net.decoder),
        "rate": metrics.firing_rates(sums, settings.dt).mean(),
        "correlation": np.sqrt(np.mean(pairs**2)),
        "density": np.histogram(pairs, BINS, density=True)[0],
    }


parser = experiment.command_line(__doc__, scale=0.1, seeds=5, data="olshausen_scenes.npz")
parser.add_argument(
    "--neurons", type=int, nargs="+", choices=SCENES_RATE, default=list(SCENES_RATE)
)
options = parser.parse_args()
sizes = sorted(options.neurons)
points = [{"rule": rule, "neurons": n} for n in sizes for rule in SCENES.by_rule]
images = scenes.load(options.data)
mean_alone = scenes.loss_of_mean(CORRELATIONS, *images)
runs = experiment.run_all(partial(measure, *images), points, options)
common = ("rule", "neurons", "scale", "seed")
rows = [
    {**{key: run[key] for key in common}, "network": name, **run[name]}
    for run in runs
    for name in NETWORKS
]
summary = experiment.summarise(
    rows, by=["rule", "neurons", "network"], of=["loss", "rate", "correlation"]
)
experiment.save_rows(rows, options, "runs")
experiment.save_rows(summary, options, "summary")

table = [
    {
        **{key: line[key] for key in ("neurons", "rule", "network")},
        "loss": experiment.with_interval(line, "loss"),
        "rate (Hz)": f"{line['rate']:.1f}",
        "correlation": f"{line['correlation']:.3f}",
    }
    for line in summary
]
title = f"Correlations on natural scenes, test images (mean of the data alone: {mean_alone:.4f})"
experiment.print_table(table, options, title)

figure = Figure(figsize=(9, 7), layout="constrained")
axes = figure.subplots(2, 2, sharex="row", sharey="row")
for (histogram, ax), rule in zip(axes.T, SCENES.by_rule, strict=True):
    for name in NETWORKS:
        densities = [
            row["density"]
            for row in rows
            if (row["rule"], row["neurons"], row["network"]) == (rule, sizes[-1], name)
        ]
        histogram.stairs(np.mean(densities, axis=0), BINS, label=name)
        lines = [line for line in summary if (line["rule"], line["network"]) == (rule, name)]
        scenes.plot_loss(ax, sizes, lines, label=name)
    scenes.show_mean(ax, mean_alone)
    histogram.set(title=f"{rule} balance, {sizes[-1]} neurons", xlabel="correlation of two traces")
    ax.set(title=f"{rule} balance", xlabel="number of neurons")
axes[0, 0].set(ylabel="density", yscale="log")
axes[1, 0].set(ylabel="decoder loss")
axes[1, 1].legend()
experiment.save_figure(figure, options)
