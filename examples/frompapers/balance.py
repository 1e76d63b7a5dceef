"""
Mikulasch et al. 2021: how tight balance becomes
================================================

Images of 4x4 pixels hold two bars, which have one common index with p = 0.7. Recurrent connections
learn to balance the feedforward input, either in every dendritic compartment (dendritic balance
with weight decay) or only at the soma (somatic balance). The upper row of the figure shows the
course of learning: the correlation of feedforward and recurrent currents approaches -1, and the
recurrent weights approach those of exact balance, W^d_jik = -F_ji D_ik, or, at the soma, their
sums over inputs, W = -F D. The lower row shows the weights at the end, and the currents in a
compartment of dendritic balance (seed 0).

Both rules balance the soma. With somatic balance, however, a synapse has no access to the coding
error of its own input, and the decoder loss stays higher. Both networks share the decoder rule,
decoder rate and noise schedule. Lines are medians over the compartments or neurons of all seeds,
and bands hold the middle half. The distance from the weights of exact balance is relative to the
size of the latter. ::

    python examples/frompapers/balance.py --scale 0.1 --seeds 5
"""

from itertools import pairwise

import experiment
import numpy as np
from matplotlib.figure import Figure

from skdendbal import metrics, network
from skdendbal.datasets import make_bars
from skdendbal.display import BalanceDisplay, rule_colour
from skdendbal.published import BARS_SMALL_SHORT

SIDE = 4
CORRELATION = 0.7
CHECKPOINTS = np.geomspace(500, 500_000, 19).round().astype(int)  # stimuli at scale 1
CURVES = {("decay", "compartments"): "-", ("decay", "soma"): "--", ("somatic", "soma"): "--"}


def look(net, settings, X):
    """Return balance and recurrent weights at the soma and, if learned, in compartments."""
    recording, rows = experiment.record(net, settings, X), range(len(X))
    x = np.concatenate([recording.inputs(row) for row in rows])
    z = np.concatenate([recording.traces(row) for row in rows])
    F, D, W = net.weights["feedforward"].T, net.decoder, net.recurrent.T
    places = {"soma": (metrics.balance(x @ F.T, z, -W), W, -F @ D)}
    if "dendritic" in net.weights:
        Wd = net.weights["dendritic"]
        correlations = np.sign(F.T) * metrics.balance(x, z, Wd)
        places["compartments"] = correlations, Wd, -F.T[:, :, None] * D[:, None, :]
    sums, _ = network.evaluate(net, settings, X)
    return [
        {
            "place": place,
            "stimuli": net.n_presentations,
            "loss": metrics.decoder_loss(sums, D),
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

    published = BARS_SMALL_SHORT.by_rule[rule].at_scale(scale)
    net = network.initialise(published.settings, SIDE**2, seed)
    X_test = draw(published.n_test)
    first, last = published.phases[0], published.phases[-1]
    course = []
    ends = np.maximum(np.arange(len(CHECKPOINTS)) + 1, (scale * CHECKPOINTS).round().astype(int))
    for start, end in pairwise([0, *ends]):
        settings = (first if end <= first.n_stimuli else last).settings
        network.learn(net, settings, draw(end - start))
        course += look(net, settings, X_test)
    return {**experiment.evaluate(net, published, draw), "course": course}


preview = {"scale": 0.05, "seeds": 3}
options = experiment.command_line(__doc__, scale=0.1, seeds=5, preview=preview).parse_args()
rows = experiment.run_all(measure, [{"rule": "decay"}, {"rule": "somatic"}], options)
points = [
    {"rule": row["rule"], "seed": row["seed"], **point}
    for row in rows
    for point in row.pop("course")
]
summary = experiment.summarise(rows, by=["rule"])
experiment.save_rows(rows, options, "runs")
experiment.save_rows(points, options, "course")

figure = Figure(figsize=(13, 7), layout="constrained")
(currents, distances, losses), (dendrites, somas, example) = figure.subplots(2, 3)
table = []
for (rule, place), line_style in CURVES.items():
    curve = experiment.select(points, rule=rule, place=place)
    # Arrays of shape (seeds, checkpoints, ...)
    stimuli, loss, distance, correlations = (
        np.array([point[name] for point in curve]).reshape(options.seeds, len(CHECKPOINTS), -1)
        for name in ("stimuli", "loss", "distance", "correlations")
    )
    stimuli = stimuli[0, :, 0]
    low, median, high = np.quantile(correlations, [0.25, 0.5, 0.75], axis=(0, 2))
    loss, distance = np.median(loss, axis=(0, 2)), np.median(distance, axis=(0, 2))
    colour = rule_colour(BARS_SMALL_SHORT.by_rule[rule].settings.rule)
    style = {"color": colour, "label": f"{rule}, {place}"}
    currents.plot(stimuli, median, ls=line_style, **style)
    currents.fill_between(stimuli, low, high, color=colour, alpha=0.25, lw=0)
    distances.plot(stimuli, distance, ls=line_style, **style)
    (line,) = experiment.select(summary, rule=rule)
    if (rule, place) != ("decay", "soma"):  # a network has one loss
        losses.plot(stimuli, loss, color=colour, label=rule)
        if line["missed"]:
            experiment.mark_missed(losses, stimuli[-1:], loss[-1:], colour)
    final = curve[len(CHECKPOINTS) - 1]
    ax = somas if place == "soma" else dendrites
    ax.plot(final["exact weights"], final["weights"], ".", **style)
    table.append(
        {
            "rule": rule,
            "place": place,
            "correlation": f"{median[-1]:.2f} ({low[-1]:.2f} to {high[-1]:.2f})",
            "distance": f"{distance[-1]:.3f}",
            "decoder loss": experiment.with_interval(line, "loss"),
        }
    )
experiment.print_table(table, options, "Balance on 4x4 bars at the end of learning")

currents.set(xscale="log", ylim=(-1, 0.2), ylabel="correlation of currents")
distances.set(xscale="log", yscale="log", ylim=(0.01, 1))
distances.set_ylabel("distance from weights of exact balance")
losses.set(xscale="log", ylabel="decoder loss")
experiment.start_at_zero(losses)
for ax in (currents, distances, losses):
    ax.set(xlabel="stimuli")
for ax, symbol in ((dendrites, "W$^d$"), (somas, "W")):
    ax.axline((0, 0), slope=1, color="0.7", lw=1, zorder=0)
    ax.set(xlabel="weights of exact balance", ylabel=f"learned {symbol}")
for ax in (currents, losses, dendrites, somas):
    ax.legend()

# The currents of the compartment that receives most input of the most active neuron
net, settings = experiment.load_network(rows[0]["network"])
stimulus = make_bars(1, SIDE, CORRELATION, random_state=0)
recording = experiment.record(net, settings, stimulus)
unit = np.bincount(recording.spikes["unit"]).argmax()
compartment = (net.weights["feedforward"][:, unit] * stimulus[0]).argmax()
BalanceDisplay.from_recording(recording, unit, compartment=compartment, ax=example)
experiment.save_figure(figure, options)
