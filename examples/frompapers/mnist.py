"""
Mikulasch et al. 2021: what networks learn from digits
======================================================

Nine neurons learn the handwritten digits 0, 1 and 2 at 16x16 pixels; the figure shows their
feedforward weights.

``weights`` compares learned dendritic balance (decay) with somatic balance, where recurrent
connections have almost no delay (0.1 ms) and where they have a delay of 3 ms. Biases and decoder
learn first, then recurrent weights, then feedforward weights too. With dendritic balance, neurons
learn whole digits at both delays. With somatic balance they learn blurred mixtures, and the longer
delay makes these worse. All networks share the decoder rule and rate, and their noise is constant;
only the somatic network with delay starts with more noise, as published.

``variants`` shows that the exact rule and all learned variants of dendritic balance find weights
that look like digits. Rates differ from rule to rule, as published.

The folder ``--data`` holds ``mnist_t10k.npz``, the MNIST test set, with `images` (n, 28, 28),
uint8, and `labels`. The digits are presented in the order of the file, again and again. ::

    python examples/frompapers/mnist.py weights --scale 1
    python examples/frompapers/mnist.py variants --scale 1
"""

from functools import partial
from itertools import cycle, islice

import experiment
import numpy as np
from matplotlib.figure import Figure

from skdendbal import network
from skdendbal.display import DictionaryDisplay
from skdendbal.published import MNIST_DELAY, MNIST_VARIANTS, MNIST_WEIGHTS

SIDE = 16
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


def measure(name, digits, rule, dt, scale, seed):
    """Learn digits with one rule and delay."""
    published = EXPERIMENTS[name][rule, dt]
    order = cycle(range(len(digits)))
    net = network.initialise(published.settings, SIDE**2, seed)
    if name == "weights":
        start(net, np.random.default_rng(seed))

    def draw(n):
        return digits[list(islice(order, n))]

    experiment.train(net, published, draw, scale)
    weights = net.weights.get("feedforward", net.decoder)
    return {**experiment.test(net, published, draw), "weights": weights.T}


parser = experiment.command_line(__doc__, scale=1.0, seeds=1, data="mnist_t10k.npz")
parser.add_argument("experiment", choices=EXPERIMENTS, help="see above")
options = parser.parse_args()
name = options.experiment
points = [{"rule": rule, "dt": dt} for rule, dt in EXPERIMENTS[name]]
rows = experiment.run_all(partial(measure, name, load_digits(options.data)), points, options)
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
experiment.print_table(table, options, f"Digits, {name}")

first = [row for row in rows if row["seed"] == 0]
figure = Figure(figsize=(2.5 * len(first), 3.4), layout="constrained")
for ax, row in zip(figure.subplots(1, len(first)), first, strict=True):
    display = DictionaryDisplay(row["weights"], image_shape=(SIDE, SIDE)).plot(ax)
    display.im_.set(cmap="RdBu_r", clim=(-1.0, 1.0))  # the same for signed and unsigned weights
    ax.set_title(f"{row['rule']}, {row['dt']} ms\nloss {row['loss']:.4f}")
experiment.save_figure(figure, options, f"_{name}")
