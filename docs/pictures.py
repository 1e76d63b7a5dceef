"""
The pictures of the site
========================

The pages show these pictures. Those of the gallery are made when the site is built. ::

    python docs/pictures.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import Circle, FancyArrowPatch
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay, RasterDisplay

FOLDER = Path(__file__).parent / "images"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.35"


def save(figure, name):
    """Save a figure for the pages."""
    figure.savefig(FOLDER / f"{name}.png", dpi=120)


def draw_mechanism():
    """Draw a neuron with three compartments, and what reaches them."""
    figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
    ax.set(xlim=(0.2, 16), ylim=(-0.3, 6.8), aspect="equal")
    ax.axis("off")
    arrow = {"arrowstyle": "-|>", "mutation_scale": 14, "linewidth": 1.8}
    soma = (11.2, 3.4)
    for y, i in zip((5.4, 3.4, 1.4), "1in", strict=True):
        ax.plot([6.6, 9.0, soma[0]], [y, y, soma[1]], color=GREY, lw=5, solid_capstyle="round")
        ax.add_patch(FancyArrowPatch((1.5, y + 0.35), (6.4, y + 0.18), color=ORANGE, **arrow))
        ax.text(1.3, y + 0.35, f"$x_{i}$", ha="right", va="center", fontsize=15, color=ORANGE)
        ax.text(3.9, y + 0.52, f"$F_{{j{i}}}$", ha="center", fontsize=11, color=ORANGE)
        ax.add_patch(FancyArrowPatch((6.9, y - 1.1), (6.9, y - 0.1), color=BLUE, **arrow))
        ax.text(7.2, y - 0.8, f"$-F_{{j{i}}}\\,(Dz)_{i}$", fontsize=12, color=BLUE, va="center")
        ax.text(7.4, y + 0.28, f"$u_{{j{i}}}$", fontsize=13)
    ax.add_patch(Circle(soma, 0.75, facecolor="white", edgecolor=GREY, lw=3, zorder=2))
    ax.text(*soma, "$u_j$", ha="center", va="center", fontsize=15)
    ax.add_patch(FancyArrowPatch((soma[0] + 0.75, soma[1]), (14.0, soma[1]), **arrow))
    ax.text(14.2, soma[1], "spikes $s_j$", va="center", fontsize=13)
    ax.text(10.2, 5.2, "neuron j", fontsize=12, color=GREY)
    ax.text(0.6, 6.5, "feedforward: the input", color=ORANGE, fontsize=11)
    ax.text(4.4, -0.2, "recurrent: what the network predicts", color=BLUE, fontsize=11)
    save(figure, "mechanism")


def draw_digits():
    """Draw what the first pages show of a coder of digits."""
    X, _ = load_digits(return_X_y=True)
    coder = DendriticBalanceCoder(n_components=64, random_state=0).fit(X)

    figure, ax = plt.subplots(figsize=(5, 5), layout="constrained")
    DictionaryDisplay.from_estimator(coder, ax=ax, vmin=0)
    save(figure, "quickstart_dictionary")

    recording = coder.record(X[:5], random_state=0)
    figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
    RasterDisplay.from_recording(recording, image_shape=(8, 8), ax=ax)
    save(figure, "quickstart_raster")
    figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
    RasterDisplay.from_recording(recording, rows=[1, 2, 3], image_shape=(8, 8), ax=ax)
    save(figure, "digits")

    figure, axes = plt.subplots(2, 5, figsize=(6, 2.5), layout="constrained")
    images = [*X[:5], *coder.inverse_transform(coder.transform(X[:5]))]
    for ax, image in zip(axes.flat, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    save(figure, "quickstart_reconstruction")


if __name__ == "__main__":
    draw_mechanism()
    draw_digits()
