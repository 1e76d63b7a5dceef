"""
Mikulasch et al. 2021: what networks learn from digits
======================================================

Nine neurons learn the handwritten digits 0, 1 and 2 at 16x16 pixels. The figure shows their
decoder weights D and feedforward weights F, their spikes for digits that they have not learned
from, with these digits above and their read-out from the traces below, and how the loss falls
while they learn.

``weights`` compares learned dendritic balance (decay) with somatic balance, where recurrent
connections have almost no delay (0.1 ms) and where they have a delay of 3 ms. Learning has three
phases: biases and decoder learn first, then recurrent weights too, then feedforward weights too.
With dendritic balance, neurons learn whole digits at both delays. With somatic balance they learn
blurred mixtures, and the longer delay makes these worse. All networks share the decoder rule and
rate, and their noise is constant; only the somatic network with delay starts with more noise, as
published.

``variants`` shows that the exact rule and all learned variants of dendritic balance find weights
that look like digits. Rates differ from rule to rule, as published.

The folder ``--data`` holds ``mnist_t10k.npz``, the MNIST test set, with `images` (n, 28, 28),
uint8, and `labels`. The digits are presented in the order of the file, again and again. The last
500 are held out: losses in the table are theirs. ::

    python examples/frompapers/mnist.py weights --scale 1
    python examples/frompapers/mnist.py variants --scale 1
"""

from functools import partial
from itertools import cycle, islice

import experiment
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from skdendbal import network
from skdendbal.display import DictionaryDisplay, RasterDisplay, rule_colour
from skdendbal.published import MNIST_DELAY, MNIST_VARIANTS, MNIST_WEIGHTS

SIDE = 16
N_HELD_OUT = 500
N_SHOWN = 8  # digits above the spikes
HEIGHT = 4.0  # of these digits, in lines of the raster
PADDING = (1, 1), (10, 10)  # above, below, left and right, in pixels
PHASES = "biases\nand decoder", "+ recurrent\nweights", "+ feedforward\nweights"
TABLES = {
    "weights": [*MNIST_WEIGHTS.by_rule.items(), *MNIST_DELAY.by_rule.items()],
    "variants": MNIST_VARIANTS.by_rule.items(),
}
EXPERIMENTS = {
    name: {(rule, published.settings.dt): published for rule, published in items}
    for name, items in TABLES.items()
}


def load_digits(folder):
    """Return digits 0 to 2 in [0, 1], bilinearly resized, in the order of the file."""
    with np.load(folder / "mnist_t10k.npz") as file:
        images = file["images"][file["labels"] <= 2] / 255.0
    n_pixels = images.shape[1]
    centres = (np.arange(SIDE) + 0.5) * n_pixels / SIDE - 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(centres[:, None] - np.arange(n_pixels)))
    return (weights @ images @ weights.T).reshape(-1, SIDE**2)


def start(net, rng):
    """Set random positive feedforward weights, and self-inhibition that balances them."""
    feedforward = net.weights["feedforward"]
    feedforward[:] = np.exp(np.maximum(0.0, 0.3 * rng.normal(size=feedforward.shape) - 0.2)) - 0.99
    units = np.arange(feedforward.shape[1])
    if "dendritic" in net.weights:
        net.weights["dendritic"][:, units, units] = -(feedforward**2)
    net.recurrent[units, units] = -(feedforward**2).sum(axis=0)


def measure(learned, held_out, part, rule, dt, scale, seed):
    """Learn digits with one rule and delay."""
    published = EXPERIMENTS[part][rule, dt].at_scale(scale)
    order, rng = cycle(range(len(learned))), np.random.default_rng(seed)
    net = network.initialise(published.settings, SIDE**2, seed)
    if part == "weights":
        start(net, rng)
    decoders = experiment.train(net, published, lambda n: learned[list(islice(order, n))])
    results = experiment.evaluate(
        net,
        published,
        lambda n: held_out[:n],
        lambda n: rng.choice(learned, n),  # the rate changes from part to part of the file
    )
    return {**results, "decoders": decoders}


def show_network(axes, row):
    """Draw the weights of a network, those of its decoder after several phases, and its spikes."""
    net, settings = experiment.load_network(row["network"])
    *weights_axes, raster = axes
    last = row["decoders"][-(len(weights_axes) - 1) :]
    weights = {f"D, phase {phase}": D for phase, D in enumerate(last, start=1)}
    weights["F"] = net.weights.get("feedforward", net.decoder)
    for ax, (title, values) in zip(weights_axes, weights.items(), strict=True):
        DictionaryDisplay(values.T, (SIDE, SIDE)).plot(ax, vmin=-1.0)
        ax.set_title(title if len(last) > 1 else title[0])
    weights_axes[0].set_ylabel(
        f"{row['rule']}, {row['dt']} ms\nloss {row['loss']:.4f}{experiment.star(row)}"
    )
    recording, n_units = experiment.record(net, settings, held_out[:N_SHOWN]), len(net.bias)
    colour = ListedColormap([rule_colour(settings.rule)])
    RasterDisplay.from_recording(recording, order=range(n_units), ax=raster, cmap=colour)
    read_out = [recording.reconstructions(number)[-1] for number in range(N_SHOWN)]
    for images, bottom in ((recording.X, n_units - 0.4), (read_out, -0.6 - HEIGHT)):
        images = [np.pad(np.reshape(image, (SIDE, SIDE)), PADDING) for image in images]
        extent = (*raster.get_xlim(), bottom, bottom + HEIGHT)
        raster.imshow(
            np.hstack(images), extent=extent, aspect="auto", cmap="gray_r", vmin=0.0, vmax=1.0
        )
    raster.set(ylim=(-0.6 - HEIGHT, n_units - 0.4 + HEIGHT), ylabel="neuron", yticks=[])


preview = {"scale": 0.5}
parser = experiment.command_line(
    __doc__, scale=1.0, seeds=1, preview=preview, data="mnist_t10k.npz"
)
parser.add_argument("experiment", choices=EXPERIMENTS, help="see above")
options = parser.parse_args()
name = options.experiment
digits = load_digits(options.data)
learned, held_out = digits[:-N_HELD_OUT], digits[-N_HELD_OUT:]
points = [{"part": name, "rule": rule, "dt": dt} for rule, dt in EXPERIMENTS[name]]
rows = experiment.run_all(partial(measure, learned, held_out), points, options)
summary = experiment.summarise(rows, by=["rule", "dt"])
experiment.save_rows(rows, options, f"{name}_runs")
experiment.save_rows(summary, options, f"{name}_summary")
table = [
    {
        "rule": line["rule"],
        "dt (ms)": line["dt"],
        "loss": experiment.with_interval(line, "loss"),
        "rate (Hz)": experiment.with_interval(line, "rate", ".2f"),
    }
    for line in summary
]
experiment.print_table(table, options, f"Digits that were not learned from, {name}")

first = experiment.select(rows, seed=0)
n_phases = len(PHASES) if name == "weights" else 1
figure = Figure(figsize=(8.0 + 2.0 * n_phases, 2.2 * len(first) + 3.5), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=[2.2 * len(first), 3.5])
columns = [1.0] * (n_phases + 1) + [4.0]
for axes, row in zip(
    above.subplots(len(first), len(columns), width_ratios=columns), first, strict=True
):
    show_network(axes, row)

delays = list(dict.fromkeys(dt for _, dt in EXPERIMENTS[name]))
for ax, delay in zip(below.subplots(1, len(delays), squeeze=False)[0], delays, strict=True):
    for (rule, dt), published in EXPERIMENTS[name].items():
        if dt == delay:
            colour = rule_colour(published.settings.rule)
            of_rule = experiment.select(rows, rule=rule, dt=dt)
            experiment.plot_learning(ax, of_rule, color=colour, label=rule)
    ax.set_title(f"delay {delay} ms")
    if n_phases > 1:
        ends = np.cumsum([phase.n_stimuli for phase in published.at_scale(options.scale).phases])
        for phase, start_, end in zip(PHASES, [0, *ends], ends, strict=False):
            ax.axvline(end, color="0.7", lw=1)
            place = ax.get_xaxis_transform()  # the height is a part of that of the panel
            ax.text((start_ + end) / 2, 0.02, phase, transform=place, ha="center", size="small")
    ax.legend()
experiment.save_figure(figure, options, f"_{name}")
