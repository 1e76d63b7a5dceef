"""
Tasks: data, and the quality of codes on them
=============================================

Every coder gets the same data in the same splits; there is one split per seed.

- digits: the digits of scikit-learn, 64 pixels in [0, 1], with 1300 rows to train, 497 rows to
  test, and labels.
- mnist: the 10,000 test digits of MNIST at 16x16 pixels in [0, 1], with 8000 rows to train, 2000
  rows to test, and labels.
- scenes: 8x8 patches of the whitened natural scenes at half size, split into ON and OFF channels
  and divided by their standard deviation, with 50,000 rows to train from images 0-7, 5000 rows to
  test from images 8-9, and no labels.

The quality of codes is measured on the test rows, in the same way for every coder:

- EV, explained variance: 1 - SSE / SS, where SSE is the sum of squared errors of the coder's own
  reconstruction, codes times components, and SS the sum of squares about the mean.
- EVlin: the same for a linear least-squares read-out of the codes, fitted on at most 10,000
  training rows. This is the measure that compares coders fairly.
- L0: the mean number of non-zero entries of a code.
- accuracy: that of logistic regression on the codes, divided by their overall standard deviation.
"""

from dataclasses import dataclass, replace

import benchmark
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from skdendbal.preprocessing import OnOffSplitter

SIDE = 8  # of patches, in pixels
MARGIN = 4  # pixels at the borders of images, which no patch includes
N_READ_OUT = 10_000  # training rows for read-out and classifier


@dataclass
class Split:
    """Training and test rows, with their labels or None."""

    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray | None = None
    test_labels: np.ndarray | None = None


def digits(folder, seed):
    """Return a split of the digits of scikit-learn."""
    X, y = load_digits(return_X_y=True)
    return Split(
        *train_test_split(
            X / 16.0, y, train_size=1300, test_size=497, random_state=seed, stratify=y
        )
    )


def mnist(folder, seed):
    """Return a split of MNIST at 16x16 pixels, each the mean of the area that it covers."""
    with np.load(folder / "mnist_t10k.npz") as file:
        images, labels = file["images"] / 255.0, file["labels"].astype(int)
    pool = np.eye(28).repeat(4, axis=0).reshape(16, 7, 28).mean(axis=1)
    X = (pool @ images @ pool.T).reshape(len(images), -1)
    order = check_random_state(seed).permutation(len(X))
    train, test = order[:8000], order[8000:]
    return Split(X[train], X[test], labels[train], labels[test])


def scenes(folder, seed):
    """Return patches of natural scenes, in ON and OFF channels."""
    with np.load(folder / "olshausen_scenes.npz") as file:
        images = file["images"].astype(float)
    n, height, width = images.shape
    images = images.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    patches = np.lib.stride_tricks.sliding_window_view(images, (SIDE, SIDE), axis=(1, 2))
    patches = patches[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    random = check_random_state(seed)

    def draw(among, n_patches):
        image = random.choice(among, n_patches)
        row, column = random.randint(patches.shape[1], size=(2, n_patches))
        drawn = patches[image, row, column].reshape(n_patches, -1)
        return OnOffSplitter().fit_transform(drawn)

    train, test = draw(np.arange(8), 50_000), draw(np.arange(8, 10), 5000)
    return Split(train / train.std(), test / train.std())


# For the name of a task: its data, the number of components, and the number of splits.
TASKS = {
    "digits-64": (digits, 64, 5),
    "digits-100": (digits, 100, 5),
    "mnist-100": (mnist, 100, 1),
    "mnist-256": (mnist, 256, 1),
    "scenes-200": (scenes, 200, 1),
}
NEED_FOLDER = ("mnist", "scenes", "cifar")  # parts of names before a hyphen


def available(folder, names=TASKS):
    """Return those of the names whose tasks can be loaded."""
    return [name for name in names if folder or name.partition("-")[0] not in NEED_FOLDER]


def parse(parser, names=TASKS):
    """Return the options with `data` and `tasks`, by default all named tasks that have data."""
    benchmark.add_data(parser)
    add = parser.add_argument
    add("--tasks", nargs="+", choices=list(names), help="default: all that have data")
    options = benchmark.parse(parser)
    usable = available(options.data, names)
    options.tasks = options.tasks or usable
    if not options.tasks or not set(options.tasks) <= set(usable):
        parser.error(
            f"tasks {', '.join(options.tasks or names)} need --data, a folder with their files"
        )
    return options


def explained(data, reconstruction, mean):
    """Return 1 - SSE / SS, where SS is the sum of squares about `mean`."""
    return 1.0 - np.square(data - reconstruction).sum() / np.square(data - mean).sum()


def read_out(data, codes):
    """Fit a linear least-squares read-out of codes; return the function that applies it."""
    mean, mean_code = data.mean(axis=0), codes.mean(axis=0)
    centred = codes - mean_code
    gram = centred.T @ centred
    gram += (1e-8 * gram.trace() / len(gram) + 1e-12) * np.eye(len(gram))
    weights = np.linalg.solve(gram, centred.T @ (data - mean))
    return lambda codes: mean + (codes - mean_code) @ weights


def classifier(codes, labels, scale=None):
    """Fit logistic regression on codes; return the function that gives its accuracy.

    Codes are divided by `scale`, or by their overall standard deviation if it is None.
    """
    scale = scale or codes.std() or 1.0
    model = LogisticRegression(max_iter=3000).fit(codes / scale, labels)
    return lambda codes, labels: model.score(codes / scale, labels)


def reader(split, train_codes):
    """Fit read-out and classifier; return the function that gives the quality of test codes.

    `train_codes` are those of the first rows, `N_READ_OUT` at most. Without labels, accuracy is
    None.
    """
    n, mean_of_all = len(train_codes), split.train.mean(axis=0)
    reconstruct = read_out(split.train[:n], train_codes)
    if split.train_labels is not None:
        accuracy = classifier(train_codes, split.train_labels[:n])

    def measure(codes):
        return {
            "EVlin": explained(split.test, reconstruct(codes), mean_of_all),
            "accuracy": None if split.train_labels is None else accuracy(codes, split.test_labels),
        }

    return measure


def active(codes):
    """Return the mean number of non-zero entries of a code."""
    return float((np.abs(codes) > 1e-8).sum(axis=1).mean())


def count_spikes(coder, X):
    """Return the mean number of spikes per row."""
    return len(coder.simulate(X, random_state=0)) / len(X)


def quality(split, train_codes, test_codes, components, classify=True):
    """Return EV, EVlin, L0 and, if there are labels and `classify`, accuracy.

    `train_codes` are those of the first rows, `N_READ_OUT` at most.
    """
    if not classify:
        split = replace(split, train_labels=None)
    measured = reader(split, train_codes)(test_codes)
    result = {
        "EV": explained(split.test, test_codes @ components, split.train.mean(axis=0)),
        "EVlin": measured["EVlin"],
        "L0": active(test_codes),
    }
    return result | {"accuracy": measured["accuracy"]} if classify else result
