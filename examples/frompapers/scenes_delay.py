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
interval, and above it the loss of the mean of the data alone. As published, the step of the
simulation is the delay. With ``--separate``, steps last 0.1 ms and spikes reach the other neurons
later, while a neuron's own spike resets it at once.
The folder ``--data`` holds ``olshausen_scenes.npz`` with `images` (10, 512, 512), whitened. ::

    python examples/frompapers/scenes_delay.py --scale 0.1 --delays 0.1 0.3 1 3

At a small scale the somatic network has to learn so fast that it runs away or falls silent. With
100 neurons or more, this still happens at a scale of 0.03. Compare the rules at a larger scale.
"""

from functools import partial

import experiment
import scenes
from matplotlib.figure import Figure

from skdendbal.published import SCENES, SCENES_DELAY_RATES, SCENES_DELAY_VARIANCES, SCENES_DELAYS

TICKS = 0.1, 0.3, 1, 3, 7  # ms


def measure(train_images, test_images, firing_rate, parameter, rule, delay, variance, scale, seed):
    """Learn scenes with one rule, delay (as `parameter` of the settings) and final noise."""
    published = SCENES.by_rule[rule]
    noise = published.settings.noise.with_params(final=variance**0.5)
    published = published.with_settings(rate=firing_rate, noise=noise, **{parameter: delay})
    net = scenes.learn(published, train_images, scale, seed)
    return experiment.test(net, published, scenes.stream(test_images, scenes.TEST_SEED))


parser = experiment.command_line(__doc__, scale=0.1, seeds=5, data="olshausen_scenes.npz")
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
mean_alone = scenes.loss_of_mean(SCENES, *images)
job = partial(measure, *images, options.rate, parameter)
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

figure = Figure(figsize=(9, 4), layout="constrained")
axes = figure.subplots(1, 2, sharey=True)
for ax, rule in zip(axes, SCENES.by_rule, strict=True):
    for variance in options.variances:
        lines = [line for line in summary if (line["rule"], line["variance"]) == (rule, variance)]
        scenes.plot_loss(ax, options.delays, lines, label=f"{variance:g}")
    scenes.show_mean(ax, mean_alone)
    ax.set(title=f"{rule} balance, {options.rate:g} Hz", xlabel="delay (ms)", xscale="log")
    ax.set_xticks(TICKS, TICKS)
    ax.minorticks_off()
axes[0].set_ylabel("decoder loss")
axes[1].legend(title="noise $\\sigma_\\infty^2$", loc="center left", bbox_to_anchor=(1, 0.5))
experiment.save_figure(figure, options)
