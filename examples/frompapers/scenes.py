"""
Natural scenes as published
===========================

The stimuli are patches of 8x8 pixels of the whitened natural scenes of Olshausen & Field (1997),
at half size (mean of 2x2 pixels). The images are tiled at 6x6 pixel shifts. For each stimulus, one
of the tiles v is drawn with replacement; the sigmoid x = sigmoid(16 (v - 0.15)) of v and of -v
gives 128 inputs, ON and OFF.

The images are used as they come. The literature gives their variance as 0.1; in the file in use it
is 0.079 over all ten images (0.01 to 0.20 for single images), and 0.052 at half size. The
reference simulation also used them as they are: there the mean of the data alone has the loss
.0265, which is what these images give; at a variance of 0.1 they would give .031.

Networks learn on images 0-7 and are tested on images 8-9. These are smoother, so firing rates
there are below the target; whether a network misses its rate is judged on images 0-7. The
publication tested on patches that had been used for learning.
"""

import experiment
import numpy as np
from matplotlib.colors import ListedColormap
from numpy.lib.stride_tricks import sliding_window_view

from skdendbal import network
from skdendbal.display import RasterDisplay, rule_colour
from skdendbal.preprocessing import OnOffSplitter

SIDE = 8
N_FEATURES = 2 * SIDE**2
N_TRAIN = 8  # images to learn on; the others are for tests
SHIFTS = range(4, 10)
CHANNELS = OnOffSplitter("sigmoid", gain=16.0, offset=0.15)
TEST_SEED = 0  # all networks are tested on the same stimuli
N_SHOWN = 5  # of these stimuli, in rasters


def load(folder):
    """Return the images at half size: those to learn on and those to test."""
    with np.load(folder / "olshausen_scenes.npz") as file:
        images = file["images"].astype(float)
    n, height, width = images.shape
    images = images.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    return images[:N_TRAIN], images[N_TRAIN:]


def stream(images, seed):
    """Return a function ``draw(n)`` that returns the next n stimuli of an endless stream."""
    rng = np.random.default_rng(seed)
    windows = sliding_window_view(images, (SIDE, SIDE), axis=(1, 2))
    rows, columns = (
        np.concatenate([np.arange(shift, n, SIDE) for shift in SHIFTS]) for n in windows.shape[1:3]
    )

    def draw(n):
        image = rng.integers(len(images), size=n)
        tiles = windows[image, rng.choice(rows, n), rng.choice(columns, n)]
        return CHANNELS.fit_transform(tiles.reshape(n, -1))

    return draw


def measure(published, images, scale, seed):
    """Learn patches of some images with a network, and test it on those of others."""
    train_images, test_images = images
    published = experiment.keep_pace(published, scale)
    net = network.initialise(published.settings, N_FEATURES, seed)
    draw = stream(train_images, seed)
    experiment.train(net, published, draw)
    return experiment.evaluate(net, published, stream(test_images, TEST_SEED), draw)


def record(net, settings, images, n_stimuli):
    """Return a recording of the first stimuli of the test."""
    _, test_images = images
    return experiment.record(net, settings, stream(test_images, TEST_SEED)(n_stimuli))


def losses_of_mean(published, images):
    """Return losses of a read-out that knows only the mean: in learning, and in the test."""
    draws = [stream(each, TEST_SEED) for each in images]
    mean = draws[0](experiment.CHUNK).mean(axis=0)
    return [experiment.loss_of_mean(published, draw(published.n_test), mean) for draw in draws]


def show_spikes(ax, row, images):
    """Draw the spikes of a network for the first test stimuli."""
    net, settings = experiment.load_network(row["network"])
    recording = record(net, settings, images, N_SHOWN)
    colour = ListedColormap([rule_colour(settings.rule)])
    RasterDisplay.from_recording(recording, order=range(len(net.bias)), ax=ax, cmap=colour)
    ax.set_ylabel("neuron")


def show_mean(ax, loss):
    """Mark the loss of the mean of the data; a network far above it codes nothing."""
    ax.axhline(loss, color="0.5", linestyle="--", label="mean of the\ndata alone")
    ax.set_ylim(0.0, 1.5 * loss)
