"""
Mikulasch et al. 2021: natural scenes with delayed inhibition
=============================================================

200 neurons code patches of natural scenes, with longer and longer delays of inhibition. Neurons
that represent similar things then spike before they can silence each other. More noise keeps them
apart, so the best noise grows with the delay. Learning with dendritic balance (exact) copes with
delays at the right noise; with somatic balance it breaks down. At each delay, we compare the rules
at the noise that is best for each of them, out of the same values; the figure shows all values.

Both networks share the decoder rule, decoder rate and noise schedule, and have an equal tuning
budget: both use the published rates. The table shows the median over seeds with its 95 % bootstrap
interval, and above it the loss of the mean of the data alone. The lower row of the figure shows
the loss over learning and the spikes that the same test patches evoke, at the delay nearest 1 ms.

As published, the step of the simulation is the delay. With ``--separate``, steps last 0.1 ms and
spikes reach the other neurons later, while a neuron's own spike resets it at once. The folder
``--data`` holds ``olshausen_scenes.npz`` with `images` (10, 512, 512), whitened. ::

    python examples/frompapers/scenes_delay.py --scale 0.1 --delays 0.1 0.3 1 3

At a small scale the somatic network has to learn so fast that it runs away or falls silent. With
100 neurons or more, this still happens at a scale of 0.03. Compare the rules at a larger scale.
"""

from functools import partial

import experiment
import numpy as np
import scenes
from matplotlib.figure import Figure

from skdendbal.display import rule_colour
from skdendbal.published import SCENES, SCENES_DELAY_RATES, SCENES_DELAY_VARIANCES, SCENES_DELAYS

TICKS = 0.1, 0.3, 1, 3, 7  # ms


def measure(images, firing_rate, parameter, rule, delay, variance, scale, seed):
    """Learn scenes with one rule, delay (as `parameter` of the settings) and final noise."""
    published = SCENES.by_rule[rule]
    noise = published.settings.noise.with_params(final=variance**0.5)
    published = published.with_settings(rate=firing_rate, noise=noise, **{parameter: delay})
    return scenes.measure(published, images, scale, seed)


preview = {"scale": 0.03, "seeds": 1, "delays": [0.1, 3.0], "variances": [0.13, 0.3]}
parser = experiment.command_line(
    __doc__, scale=0.1, seeds=5, preview=preview, data="olshausen_scenes.npz"
)
add = parser.add_argument
add("--rate", type=float, choices=SCENES_DELAY_RATES, default=5.0, help="rate in Hz (5)")
add("--delays", type=experiment.positive(float), nargs="+", default=SCENES_DELAYS, help="ms")
add(
    "--variances",
    type=experiment.positive(float),
    nargs="+",
    default=SCENES_DELAY_VARIANCES,
    help="sigma_inf^2",
)
add("--separate", action="store_true", help="steps of 0.1 ms whatever the delay")
options = parser.parse_args()
if options.separate and any(
    abs(delay / 0.1 - round(delay / 0.1)) > 1e-6 for delay in options.delays
):
    parser.error("with --separate, --delays must be multiples of the step of 0.1 ms")
points = [
    {"rule": rule, "delay": delay, "variance": variance}
    for delay in options.delays
    for rule in SCENES.by_rule
    for variance in options.variances
]
parameter = "delay" if options.separate else "dt"
images = scenes.load(options.data)
mean_in_learning, mean_alone = scenes.losses_of_mean(SCENES, images)
job = partial(measure, images, options.rate, parameter)
rows = experiment.run_all(job, points, options)
summary = experiment.summarise(rows, by=["rule", "delay", "variance"])
experiment.save_rows(rows, options, "runs")
experiment.save_rows(summary, options, "summary")

best = {}
for line in sorted(summary, key=lambda line: line["loss"]):
    best.setdefault((line["delay"], line["rule"]), line)
table = [
    {
        "delay (ms)": delay,
        "rule": rule,
        "best sigma^2": best[delay, rule]["variance"],
        "loss": experiment.with_interval(best[delay, rule], "loss"),
        "rate (Hz)": f"{best[delay, rule]['rate']:.1f}",
    }
    for delay in options.delays
    for rule in SCENES.by_rule
]
title = (
    f"Decoder loss on natural scenes at the best noise, {options.rate:g} Hz, test images "
    f"(mean of the data alone: {mean_alone:.4f})"
)
experiment.print_table(table, options, title)

n_panels = len(options.variances)
figure = Figure(figsize=(max(11.0, 3.0 * n_panels), 7.5), layout="constrained")
above, below = figure.subfigures(2, 1)
against_delay = above.subplots(1, n_panels, sharey=True, squeeze=False)[0]
learning, *rasters = below.subplots(1, 3)
shown = min(options.delays, key=lambda delay: abs(np.log(delay)))
for (rule, published), raster in zip(SCENES.by_rule.items(), rasters, strict=True):
    style = {"color": rule_colour(published.settings.rule), "label": f"{rule} balance"}
    for ax, variance in zip(against_delay, options.variances, strict=True):
        lines = experiment.select(summary, rule=rule, variance=variance)
        experiment.plot_summary(ax, options.delays, lines, **style)
    variance = best[shown, rule]["variance"]
    chosen = experiment.select(rows, rule=rule, delay=shown, variance=variance)
    experiment.plot_learning(learning, chosen, **style)
    scenes.show_spikes(raster, chosen[0], images)
    raster.set_title(
        f"{rule}{experiment.star(chosen[0])}, {shown:g} ms, $\\sigma_\\infty^2$ = {variance:g}"
    )
for ax, variance in zip(against_delay, options.variances, strict=True):
    scenes.show_mean(ax, mean_alone)
    ax.set(title=f"noise $\\sigma_\\infty^2$ = {variance:g}", xlabel="delay (ms)", xscale="log")
    ax.set_xticks(TICKS, TICKS)
    ax.minorticks_off()
against_delay[0].set_ylabel("decoder loss")
against_delay[-1].legend()
scenes.show_mean(learning, mean_in_learning)
learning.set_title(f"delay {shown:g} ms, best noise")
experiment.save_figure(figure, options)
