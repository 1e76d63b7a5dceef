"""
Mikulasch et al. 2021: how tight balance becomes
================================================

Images of 4x4 pixels hold two bars, which have one common index with p = 0.7. Recurrent connections
learn to balance the feedforward input, either in every dendritic compartment (dendritic balance
with weight decay) or only at the soma (somatic balance). The upper row of the figure shows the
course of learning: the correlation of feedforward and recurrent currents approaches -1, and the
recurrent weights approach those of exact balance, W^d_jik = -F_ji D_ik, or, at the soma, their
sums over inputs, W = -F D. The lower row shows the weights at the end (seed 0).

Both rules balance the soma. With somatic balance, however, a synapse has no access to the coding
error of its own input, and the decoder loss stays higher. Both networks share the decoder rule,
decoder rate and noise schedule. Lines are medians over the compartments or neurons of all seeds,
and bands hold the middle half. The distance from the weights of exact balance is relative to the
size of the latter. ::

    python examples/frompapers/balance.py --scale 0.1 --seeds 5
"""

from dataclasses import replace
from itertools import pairwise

import experiment
import numpy as np
from matplotlib.figure import Figure

from skdendbal import metrics, network
from skdendbal.datasets import make_bars
from skdendbal.display import rule_colour
from skdendbal.published import BARS_SMALL_SHORT, Phase

SIDE = 4
CORRELATION = 0.7
CHECKPOINTS = np.geomspace(500, 500_000, 19).round().astype(int)  # stimuli at scale 1
CURVES = {  # line style
    ("decay", "compartments"): "-",
    ("decay", "soma"): "--",
    ("somatic", "soma"): "--",
}


def sample(net, settings, X):
    """Return inputs and traces at every step of a stream of stimuli.

    The first stimulus is left out, because traces from before the stream still decay during it.
    """
    _, spikes = network.evaluate(net, settings, X)
    traces = experiment.stream_traces(spikes, settings, len(X), every=settings.dt)
    fade = settings.fade[:, None]
    inputs = fade * X[1:, None] + (1.0 - fade) * X[:-1, None]
    # the potentials of a step depend on the traces before its spikes
    return inputs.reshape(-1, X.shape[1]), traces[settings.n_steps - 1 : -1]


def look(net, settings, X):
    """Return balance and recurrent weights at the soma and, if learned, in compartments."""
    x, z = sample(net, settings, X)
    F, D, W = net.weights["feedforward"].T, net.decoder, net.recurrent.T
    places = {"soma": (metrics.balance(x @ F.T, z, -W), W, -F @ D)}
    if "dendritic" in net.weights:
        Wd = net.weights["dendritic"]
        correlations = np.sign(F.T) * metrics.balance(x, z, Wd)
        places["compartments"] = correlations, Wd, -F.T[:, :, None] * D[:, None, :]
    return [
        {
            "place": place,
            "stimuli": net.n_presentations,
            "correlation": np.median(correlations),
            "distance": np.linalg.norm(weights - exact) / np.linalg.norm(exact),
            "correlations": correlations.ravel(),
            "weights": weights.ravel(),
            "exact weights": exact.ravel(),
        }
        for place, (correlations, weights, exact) in places.items()
    ]


def measure(rule, scale, seed):
    """Learn small bars with one rule and measure the balance at every checkpoint."""
    rng = np.random.RandomState(seed)

    def draw(n):
        return make_bars(n, SIDE, CORRELATION, random_state=rng)

    published = BARS_SMALL_SHORT.by_rule[rule]
    net = network.initialise(published.settings, SIDE**2, seed)
    X_test = draw(published.n_test)
    first, last = published.phases[0], published.phases[-1]
    course = []
    for start, end in pairwise([0, *CHECKPOINTS]):
        phase = first if end <= first.n_stimuli else last
        stretch = replace(published, phases=(Phase(end - start, phase.settings),))
        experiment.train(net, stretch, draw, scale)
        course += look(net, stretch.settings, X_test)
    return {**experiment.test(net, published, draw), "course": course}


options = experiment.command_line(__doc__, scale=0.1, seeds=5).parse_args()
rows = experiment.run_all(measure, [{"rule": "decay"}, {"rule": "somatic"}], options)
points = [
    {"rule": row["rule"], "seed": row["seed"], **point}
    for row in rows
    for point in row.pop("course")
]
experiment.save_rows(rows, options, "runs")
experiment.save_rows(points, options, "course")

figure = Figure(figsize=(8, 7), layout="constrained")
(currents, distances), (dendrites, somas) = figure.subplots(2, 2)
table = []
for (rule, place), line in CURVES.items():
    curve = [point for point in points if (point["rule"], point["place"]) == (rule, place)]
    # Arrays of shape (seeds, checkpoints, ...)
    stimuli, distance, correlations = (
        np.array([point[name] for point in curve]).reshape(options.seeds, len(CHECKPOINTS), -1)
        for name in ("stimuli", "distance", "correlations")
    )
    low, median, high = np.quantile(correlations, [0.25, 0.5, 0.75], axis=(0, 2))
    distance = np.median(distance, axis=(0, 2))
    colour = rule_colour(BARS_SMALL_SHORT.by_rule[rule].settings.rule)
    style = {"color": colour, "label": f"{rule}, {place}"}
    currents.plot(stimuli[0], median, line, **style)
    currents.fill_between(stimuli[0, :, 0], low, high, color=colour, alpha=0.25, lw=0)
    distances.plot(stimuli[0], distance, line, **style)
    final = curve[len(CHECKPOINTS) - 1]
    ax = somas if place == "soma" else dendrites
    ax.plot(final["exact weights"], final["weights"], ".", **style)
    table.append(
        {
            "rule": rule,
            "place": place,
            "correlation": f"{median[-1]:.2f} ({low[-1]:.2f} to {high[-1]:.2f})",
            "distance": f"{distance[-1]:.3f}",
            "decoder loss": f"{np.median([r['loss'] for r in rows if r['rule'] == rule]):.4f}",
        }
    )
experiment.print_table(table, options, "Balance on 4x4 bars at the end of learning")

currents.set(xscale="log", ylim=(-1, 0.2), ylabel="correlation of currents")
distances.set(xscale="log", yscale="log", ylim=(0.01, 1))
distances.set_ylabel("distance from weights of exact balance")
for ax in (currents, distances):
    ax.set(xlabel="stimuli")
for ax, symbol in ((dendrites, "W$^d$"), (somas, "W")):
    ax.axline((0, 0), slope=1, color="0.7", lw=1, zorder=0)
    ax.set(xlabel="weights of exact balance", ylabel=f"learned {symbol}")
for ax in (currents, dendrites, somas):
    ax.legend()
experiment.save_figure(figure, options)
