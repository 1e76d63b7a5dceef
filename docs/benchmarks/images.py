"""
Images: patches in front of a linear classifier
===============================================

One front end for all: patches of an image are normalised, coded, and pooled over a grid
(`skdendbal.image.PatchCoder`), and a linear support vector machine classifies the pooled codes.
Only the coder of patches changes. The data are MNIST t10k (8000 images to train and 2000 to test,
patches of 7x7 pixels, a grid of 4x4) and a part of CIFAR-10 (10,000 and 4000 images in colour,
whitened patches of 6x6 pixels at every second one, a grid of 2x2).

- DendriticBalanceCoder codes patches by rates or balanced codes of 5 ms, or by "shrunk" codes of
  2, 5 or 20 ms, which are balanced codes with a `shrinkage` of 0.1. "recruited" codes are shrunk
  by as much; they start from a presentation of 1 ms, and neurons that did not spike join
  (`recruitment`).
- SPAMS (non-negative lasso) learns a dictionary with the alpha that leaves about as many active
  entries as balanced codes of 5 ms have, which is found by bisection on training patches.
- MiniBatchDictionaryLearning of scikit-learn (non-negative lasso by coordinate descent) has the
  same alpha. It is slow, and therefore has one seed, and at most 100 components.
- The code "k-means, triangle" of a patch is by how much a centre is nearer to it than the average
  one, and zero for centres farther away than that.
- "random patches" are training patches of norm 1, and "random" are random directions. The
  projections on both lose a threshold that leaves as many active entries as balanced codes of 5 ms
  have.
- PCA has half as many components, whose positive and negative parts are pooled apart.
- Raw pixels, and the histograms of oriented gradients (HOG) of scikit-image, need no patches.

The classifier learns from the first 300 to all training images. Its C is raised by factors of
about three until the accuracy on a quarter of them, of at most 2000, falls. Coders learn from
patches of all training images, without labels. "us an image" is the processor time to make the
features of a test image, on one thread. EV is the variance of test images that is explained when
they are put together from the codes of their patches, and from the means and contrasts that the
front end has taken out. "active" is the number of entries of a patch's code that are not zero.
Numbers are means over three seeds, with standard deviations of accuracies; 800 components have
one. A seed is that of patches, of coders and, for MNIST, of the split; CIFAR-10 has one split. The
standard error of an accuracy on its 4000 test images is 0.008.

On MNIST the front end decides: whatever codes the patches, from the lasso of SPAMS to random
directions, a linear classifier reaches 0.986 to 0.991 where raw pixels have 0.909, and three
splits do not tell the coders apart; shrunk codes of DendriticBalanceCoder reach 0.990. On CIFAR-10
the coders differ. Recruited codes (0.613, 0.648 and 0.665 with 100, 400 and 800 components) are
level with SPAMS (0.606, 0.647 and 0.664), although with one and a half times to twice as many
active entries. K-means is level with them for 100 components (0.606) and ahead for 400 and 800
(0.655 and 0.679). Shrunk codes, in which no neurons join, fall behind as components become more
(0.610, 0.639 and 0.641 after 20 ms). Balanced codes that are not shrunk explain more, but
classifiers on them are less accurate by up to 0.03. Recruited codes and shrunk ones of 20 ms are
ahead of projections on random patches, of PCA and of HOG.

Recruited codes were timed later than the others, together with SPAMS for the first seed, when the
machine was slower. They take 1.0 (MNIST), 1.5, 1.1 and 0.8 (CIFAR-10) of the time of SPAMS in that
run. In the runs before, shrunk codes of 5 ms took 1.1 times as long as SPAMS with 100 components
or fewer, and 0.5 to 0.6 of its time with more. MiniBatchDictionaryLearning takes four to nine
times as long as SPAMS. Thresholds and distances are faster than all of them.

Found elsewhere, on all of the data: features of k-means in one layer reach 0.77 to 0.80 on
CIFAR-10 (Coates, Ng and Lee, 2011), and networks with local learning 0.95 to 0.99 on MNIST (Diehl
and Cook, 2015; Kheradpisheh et al., 2018; Ravichandran et al., 2023; Journe et al., 2023).
"""

import functools
import io
import itertools
import time
from multiprocessing import get_context

import benchmark
import numpy as np
import peers
import tasks
from PIL import Image
from skimage.feature import hog
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC

from skdendbal import DendriticBalanceCoder
from skdendbal.image import PatchCoder

CS = 10.0 ** np.arange(-3.0, 0.5, 0.5)  # of the classifier
N_TO_CHOOSE = 2000  # training images on which C is chosen, at most
N_TRAIN = (300, 1000, 3000, 10_000)  # training images of the classifier
N_PROBES = 2000  # patches on which sparseness is made equal
N_BISECTIONS = 5
ALPHAS = 0.02, 1.0  # of SPAMS, for rows of norm 1; the smallest and the largest
CODES = {  # of ours
    "rate, 5 ms": {"code": "rate", "transform_time": 5.0},
    "balanced, 5 ms": {"code": "balanced", "transform_time": 5.0},
    "shrunk, 2 ms": {"code": "balanced", "transform_time": 2.0, "shrinkage": 0.1},
    "shrunk, 5 ms": {"code": "balanced", "transform_time": 5.0, "shrinkage": 0.1},
    "shrunk, 20 ms": {"code": "balanced", "transform_time": 20.0, "shrinkage": 0.1},
    "recruited": {
        "code": "balanced",
        "transform_time": 1.0,
        "shrinkage": 0.1,
        "recruitment": True,
    },
}
MAX_COMPONENTS_OF_SCIKIT_LEARN = 100


# Data
# ----
def mnist(folder, seed):
    """Return training and test images, and their labels."""
    with np.load(folder / "mnist_t10k.npz") as file:
        images, labels = file["images"] / 255.0, file["labels"]
    return train_test_split(images, labels, train_size=8000, random_state=seed, stratify=labels)


def cifar(folder, seed):
    """Return training and test images, and their labels."""
    with np.load(folder / "cifar10_part.npz") as file:
        arrays = {name: file[name] for name in file.files}

    def read(part):
        jpeg, ends = arrays[f"{part}_jpeg"].tobytes(), arrays[f"{part}_ends"]
        starts = [0, *ends[:-1]]
        files = (io.BytesIO(jpeg[a:b]) for a, b in zip(starts, ends, strict=True))
        return np.array([np.asarray(Image.open(file).convert("RGB")) for file in files]) / 255.0

    return read("train"), read("test"), arrays["train_labels"], arrays["test_labels"]


TASKS = {  # loader, front end
    "mnist": (mnist, PatchCoder()),
    "cifar": (cifar, PatchCoder(patch_size=6, stride=2, whiten=True, grid=2)),
}
RUNS = (  # components, number of seeds
    ("mnist", 64, 3),
    ("cifar", 100, 3),
    ("cifar", 400, 3),
    ("cifar", 800, 1),
)


# Coders of patches
# -----------------
class Lasso(TransformerMixin, BaseEstimator):
    """A non-negative lasso, for rows that it divides by their root-mean-square norm."""

    def __init__(self, lasso):
        self.lasso = lasso

    def fit(self, X, y=None):
        """Learn a dictionary."""
        return self._learn(X, self.lasso)

    def _learn(self, X, lasso):
        self.scale_ = np.sqrt(np.square(X).sum(axis=1).mean())
        self.lasso_ = clone(lasso).fit(X / self.scale_)
        return self

    def transform(self, X):
        """Code rows."""
        return self.lasso_.transform(np.asarray(X, dtype=float) / self.scale_)

    def inverse_transform(self, X):
        """Reconstruct rows."""
        return X @ self.lasso_.components_ * self.scale_


class SparseLasso(Lasso):
    """Lasso of SPAMS, with the alpha that leaves about `n_active` entries of a training row."""

    def __init__(self, n_components, n_active):
        self.n_components = n_components
        self.n_active = n_active

    def fit(self, X, y=None):
        """Learn a dictionary; its alpha is found by bisection."""
        low, high = ALPHAS
        for _ in range(N_BISECTIONS):
            self._learn(X, peers.Spams(self.n_components, np.sqrt(low * high)))
            if tasks.active(self.transform(X[:N_PROBES])) > self.n_active:
                low = self.lasso_.alpha
            else:
                high = self.lasso_.alpha
        return self


class Triangle(TransformerMixin, BaseEstimator):
    """By how much centres of k-means are nearer than the average one (Coates et al., 2011)."""

    def __init__(self, n_components, random_state=None):
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X, y=None):
        """Find centres."""
        self.k_means_ = MiniBatchKMeans(
            self.n_components, random_state=self.random_state, n_init=3, batch_size=4096
        ).fit(X)
        return self

    def transform(self, X):
        """Code rows."""
        distances = self.k_means_.transform(X)
        return np.maximum(distances.mean(axis=1, keepdims=True) - distances, 0.0)


class Thresholded(TransformerMixin, BaseEstimator):
    """Projections on training rows or random directions, less a threshold."""

    def __init__(self, n_components, n_active, takes_rows, random_state=None):
        self.n_components = n_components
        self.n_active = n_active
        self.takes_rows = takes_rows
        self.random_state = random_state

    def fit(self, X, y=None):
        """Choose directions, and the threshold that leaves `n_active` entries on average."""
        random = np.random.default_rng(self.random_state)
        if self.takes_rows:
            directions = X[random.permutation(len(X))[: self.n_components]]
        else:
            directions = random.normal(size=(self.n_components, X.shape[1]))
        self.directions_ = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        projections = X[:N_PROBES] @ self.directions_.T
        self.threshold_ = np.quantile(projections, 1.0 - self.n_active / self.n_components)
        return self

    def transform(self, X):
        """Code rows."""
        return np.maximum(X @ self.directions_.T - self.threshold_, 0.0)


def coders(front_end, n_components, images, seed):
    """Yield the name of a coder, and a function that makes features of images with it."""

    def fit(coder, **params):
        whole = clone(front_end).set_params(coder=coder, random_state=seed, **params)
        return whole.fit(images)

    ours = fit(DendriticBalanceCoder(n_components, code="balanced", transform_time=5.0))
    n_active = active(ours, images[:100])
    for name, params in CODES.items():
        ours.coder_.set_params(**{"shrinkage": 0.0, "recruitment": False, **params})
        yield f"ours, {name}", ours
    if peers.HAS_SPAMS:
        lasso = fit(SparseLasso(n_components, n_active))
        yield "SPAMS", lasso
        if seed == 0 and n_components <= MAX_COMPONENTS_OF_SCIKIT_LEARN:
            alpha = lasso.coder_.lasso_.alpha
            yield "MiniBatchDictionaryLearning", fit(Lasso(peers.minibatch(n_components, alpha)))
    yield "k-means, triangle", fit(Triangle(n_components, seed))
    yield "random patches, threshold", fit(Thresholded(n_components, n_active, True, seed))
    yield "random, threshold", fit(Thresholded(n_components, n_active, False, seed))
    n_directions = min(n_components // 2, len(ours.coder_.components_[0]))
    yield "PCA, signs apart", fit(PCA(n_directions), split_signs=True)


def baselines():
    """Yield the name of features without patches, and the function that makes them."""
    yield "raw pixels", lambda images: images.reshape(len(images), -1)
    yield "HOG", lambda images: np.array([histograms_of_gradients(image) for image in images])


def histograms_of_gradients(image):
    """Return the HOG of an image, in blocks of two cells of four pixels."""
    return hog(
        image,
        pixels_per_cell=(4, 4),
        cells_per_block=(2, 2),
        channel_axis=-1 if image.ndim == 3 else None,
    )


# Measures
# --------
def active(front_end, images):
    """Return the mean number of non-zero entries of the code of a patch that is not blank."""
    codes = front_end.encode_patches(images)
    return np.count_nonzero(codes) / np.count_nonzero(codes.any(axis=-1))


def accuracies(train, train_labels, test, test_labels):
    """Yield numbers of training images, and accuracies of a linear support vector machine."""
    scale = 0.1 * np.sqrt(np.square(train).sum(axis=1).mean())
    train, test = train / scale, test / scale
    chosen = {}  # C by the number of images that it was chosen on
    for n in sorted({min(n, len(train)) for n in N_TRAIN}):
        n_to_choose = min(n, N_TO_CHOOSE)
        if n_to_choose not in chosen:
            chosen[n_to_choose] = choose(train[:n_to_choose], train_labels[:n_to_choose])
        machine = LinearSVC(C=chosen[n_to_choose], random_state=0)
        yield n, machine.fit(train[:n], train_labels[:n]).score(test, test_labels)


def choose(X, y):
    """Return the C that is best on a quarter of some images, raised until accuracy falls."""
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
    best, highest = CS[0], 0.0
    for c in CS:
        reached = LinearSVC(C=c, random_state=0).fit(X, y).score(X_test, y_test)
        if reached < highest:
            break
        best, highest = c, reached
    return best


def measure(job, folder, is_quick):
    """Return a row of results for every coder and number of training images."""
    name, n_components, seed = job
    load, front_end = TASKS[name]
    train, test, train_labels, test_labels = load(folder, seed)
    if is_quick:
        front_end = clone(front_end).set_params(n_patches=2000)
        train, train_labels = train[:400], train_labels[:400]
        test, test_labels = test[:200], test_labels[:200]
    rows, mean = [], train.mean(axis=0)
    # One after the other: our coder has the parameters of its name only until the next one.
    every = itertools.chain(coders(front_end, n_components, train, seed), baselines())
    for coder, features in every:
        transform = getattr(features, "transform", features)
        transform(test[:1])  # compiles
        start = time.process_time()
        test_features = transform(test)
        result = {
            "task": name,
            "components": n_components,
            "seed": seed,
            "coder": coder,
            "us an image": 1e6 * (time.process_time() - start) / len(test),
            "EV": None,
            "active": None,
        }
        if hasattr(features, "encode_patches"):
            result["active"] = active(features, test[:100])
        if hasattr(getattr(features, "coder_", None), "inverse_transform"):
            result["EV"] = tasks.explained(test[:200], features.reconstruct(test[:200]), mean)
        train_features = transform(train)
        for n, reached in accuracies(train_features, train_labels, test_features, test_labels):
            rows.append(result | {"training images": n, "accuracy": reached})
    return rows


def summarise(rows):
    """Return a line for every coder."""
    lines = []
    for coder, group in benchmark.group(rows, "coder").items():
        line = {"coder": coder}
        for n_train, cell in benchmark.group(group, "training images").items():
            line[f"{n_train} images"] = benchmark.interval([row["accuracy"] for row in cell])
        for name in ("us an image", "EV", "active"):
            values = [row[name] for row in group]
            line[name] = None if values[0] is None else float(np.mean(values))
        lines.append(line)
    return lines


def main():
    """Measure."""
    parser = benchmark.command_line(__doc__)
    parser.add_argument("--jobs", type=benchmark.positive, default=1, help="runs at a time (1)")
    options = tasks.parse(parser, TASKS)
    report = benchmark.Report(options, __doc__)
    runs = [run for run in RUNS if run[0] in options.tasks]
    jobs = [(name, n, seed) for name, n, n_seeds in runs for seed in range(n_seeds)]
    if options.quick:
        jobs = [job for job in jobs if job[2] == 0]
    run = functools.partial(measure, folder=options.data, is_quick=options.quick)
    with get_context("fork").Pool(options.jobs, maxtasksperchild=1) as pool:
        done = benchmark.progress(pool.imap(run, jobs), "Images", len(jobs))
        rows = [row for of_run in done for row in of_run]
    for (name, n_components), group in benchmark.group(rows, "task", "components").items():
        title = f"{name}, {n_components} components: accuracy by number of training images"
        report.table(title, summarise(group))
    report.raw("accuracies", rows)
    report.save()


if __name__ == "__main__":
    main()
