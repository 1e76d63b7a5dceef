"""Patch coders: features of images beside a naive twin, scikit-learn's patches, and purity."""

import pickle

import numpy as np
import pandas as pd
import pytest
from coders import SHORT_FITS
from joblib import effective_n_jobs
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_sample_image
from sklearn.decomposition import NMF, PCA, MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdendbal import DendriticBalanceCoder, image
from skdendbal.image import PatchCoder

DIGITS = load_digits().images[:1000] / 16
LABELS = load_digits().target[:1000]
RANDOM = np.random.default_rng(0).standard_normal((30, 9, 11, 3))
OURS = DendriticBalanceCoder(8, max_iter=2, transform_time=5.0, code="balanced")
IDENTITY = FunctionTransformer(lambda X: X, inverse_func=lambda X: X)


class Spy(TransformerMixin, BaseEstimator):
    """Codes patches by their values, and keeps the rows that it is given."""

    def fit(self, X, y=None):
        self.fitted_to, self.calls, self.n_jobs = X, [], []
        return self

    def transform(self, X):
        self.calls.append(X)
        self.n_jobs.append(effective_n_jobs(2))
        return X


def naive_features(coder, image):
    """Features of one image by loops over patches and entries of features."""
    border, (height, width) = coder.padding, coder.patch_size
    n_components = len(coder.coder_.components_)
    image = np.pad(image, [(border, border)] * 2 + [(0, 0)], mode="edge")
    tops = range(0, image.shape[0] - height + 1, coder.stride)
    lefts = range(0, image.shape[1] - width + 1, coder.stride)
    pooled = np.zeros((*coder.grid, 2 * n_components if coder.split_signs else n_components))
    weights = np.zeros((*coder.grid, 1))
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            patch = image[top : top + height, left : left + width].ravel()
            if coder.normalize is not None:
                patch = patch - patch.mean()
            if coder.normalize == "contrast":
                patch = patch / np.sqrt(patch.var() + coder.contrast_floor_)
            if coder.whiten:
                patch = coder.whitening_ @ (patch - coder.mean_)
            code = coder.coder_.transform([patch])[0]
            if coder.split_signs:
                code = np.array([part for c in code for part in (max(c, 0), max(-c, 0))])
            # centre of the patch, in cells
            y = (row + 0.5) * coder.grid[0] / len(tops)
            x = (column + 0.5) * coder.grid[1] / len(lefts)
            for cell in np.ndindex(coder.grid):
                if coder.pooling == "bilinear":
                    weight = max(0, 1 - abs(y - cell[0] - 0.5)) * max(
                        0, 1 - abs(x - cell[1] - 0.5)
                    )
                else:
                    weight = cell == (int(y), int(x))
                if coder.pooling == "max" and weight > 0 and weights[cell] > 0:
                    pooled[cell] = np.maximum(pooled[cell], code)
                else:
                    pooled[cell] += weight * code
                weights[cell] += weight
    if coder.pooling in ("bilinear", "mean"):
        pooled /= weights
    return (np.sign(pooled) * np.abs(pooled) ** coder.power).ravel()


@parametrize_with_checks(
    [
        PatchCoder(coder, patch_size=1, image_shape=(1, -1), grid=1, normalize=None)
        for coder in (DendriticBalanceCoder(4, max_iter=3), PCA(1))
    ]
)
@SHORT_FITS
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("normalize", ["contrast", "mean", None])
@pytest.mark.parametrize("whiten", [False, 0.1])
@pytest.mark.parametrize(
    "parameters",
    [
        {"patch_size": (3, 4), "grid": (1, 2), "pooling": "mean"},
        {"patch_size": (2, 1), "grid": (3, 4), "stride": 2, "padding": 1},
        {"patch_size": (2, 2), "stride": 2, "pooling": "sum", "power": 1.0, "grid": (4, 5)},
        {"patch_size": (3, 3), "stride": 3, "padding": 2, "pooling": "max", "grid": (3, 2)},
        {"patch_size": (9, 11), "split_signs": True, "grid": (1, 1), "power": 0.7},
        {"patch_size": (4, 2), "padding": 1, "split_signs": True, "grid": (2, 3)},
    ],
)
def test_features_are_those_of_a_naive_twin(normalize, whiten, parameters):
    coder = PatchCoder(
        PCA(3), normalize=normalize, whiten=whiten, n_patches=200, random_state=0, **parameters
    ).fit(RANDOM)
    expected = [naive_features(coder, image) for image in RANDOM[:5]]
    features = coder.transform(RANDOM[:5])
    assert features.dtype == np.float32
    assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("images", [DIGITS[:5], RANDOM[:5]], ids=["grey", "colour"])
def test_patches_are_those_of_scikit_learn(images):
    coder = PatchCoder(IDENTITY, patch_size=(3, 5), grid=1, normalize=None).fit(images)
    for each, patches in zip(images, coder.encode_patches(images), strict=True):
        expected = extract_patches_2d(each, (3, 5))
        assert_array_equal(patches.ravel(), expected.ravel().astype(np.float32))


@pytest.mark.parametrize("images", [DIGITS[:5], RANDOM[:5]], ids=["grey", "colour"])
def test_reconstructions_are_those_of_scikit_learn(images):
    coder = PatchCoder(PCA(4), patch_size=(3, 5), grid=1, normalize=None).fit(images)
    for each, reconstructed in zip(images, coder.reconstruct(images), strict=True):
        patches = extract_patches_2d(each, (3, 5))
        rows = patches.reshape(len(patches), -1)
        rows = coder.coder_.inverse_transform(coder.coder_.transform(rows))
        expected = reconstruct_from_patches_2d(rows.reshape(patches.shape), each.shape)
        assert_allclose(reconstructed, expected, atol=1e-12)


@pytest.mark.parametrize("normalize", ["contrast", "mean", None])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("layout", [{}, {"padding": 2, "stride": 2}, {"stride": 4}])
def test_lossless_codes_give_the_images_back(normalize, whiten, layout):
    coder = PatchCoder(
        IDENTITY, patch_size=3, grid=1, normalize=normalize, whiten=whiten, **layout
    ).fit(RANDOM)
    assert_allclose(coder.reconstruct(RANDOM), RANDOM, atol=1e-10)
    rows = RANDOM.reshape(len(RANDOM), -1)
    assert_array_equal(coder.reconstruct(rows), coder.reconstruct(RANDOM).reshape(rows.shape))


@pytest.mark.parametrize(
    "coder",
    [
        PatchCoder(OURS, patch_size=4, grid=2),
        PatchCoder(OURS, patch_size=4, grid=2, normalize=None, padding=1),
        PatchCoder(KMeans(6), patch_size=3, stride=2, grid=1, whiten=0.1),
        PatchCoder(NMF(5, max_iter=1000), patch_size=3, grid=(2, 1), normalize=None),
        PatchCoder(PCA(5), patch_size=5, grid=2, split_signs=True, whiten=0.1, pooling="max"),
        PatchCoder(
            MiniBatchDictionaryLearning(6, max_iter=1, transform_algorithm="threshold", n_jobs=2),
            patch_size=4,
            grid=2,
        ),
    ],
    ids=lambda coder: type(coder.coder).__name__,
)
@SHORT_FITS
def test_features_depend_on_nothing_but_the_image(coder):
    images = np.round(16 * DIGITS[:40])
    coder = clone(coder).set_params(random_state=0).fit(images)
    features = coder.transform(images)
    assert np.isfinite(features).all()
    assert (features.std(axis=0) > 0).any()
    order = np.random.default_rng(0).permutation(len(images))
    assert_array_equal(coder.transform(images[order]), features[order])
    assert_array_equal(coder.transform(images[7:8]), features[7:8])
    for same in (
        images.reshape(40, -1),
        images[..., None],
        images.astype(np.uint8),
        images.tolist(),
    ):
        assert_array_equal(coder.transform(same), features)
    codes = coder.encode_patches(images)
    refitted = clone(coder).set_params(n_jobs=3).fit(images.astype(np.float32))
    assert_array_equal(refitted.transform(images[order]), features[order])
    assert_array_equal(refitted.encode_patches(images[order]), codes[order])


@pytest.mark.parametrize("normalize", ["contrast", None])
def test_large_images_are_coded_some_rows_at_a_time(normalize, monkeypatch):
    coder = PatchCoder(Spy(), patch_size=3, grid=2, normalize=normalize, random_state=0).fit(
        DIGITS
    )
    features, codes = coder.transform(DIGITS[:3]), coder.encode_patches(DIGITS[:3])
    assert max(map(len, coder.coder_.calls)) > 12
    coder.coder_.calls.clear()
    monkeypatch.setattr(image, "_MAX_PATCHES", 12)
    assert_allclose(coder.transform(DIGITS[:3]), features, rtol=1e-6)
    assert_array_equal(coder.encode_patches(DIGITS[:3]), codes)
    assert max(map(len, coder.coder_.calls)) <= 12


def test_blank_patches_are_coded_once():
    images = np.full((20, 8, 8), 0.7)
    images[:10, 2, 2] = [*range(1, 11)]
    coder = PatchCoder(Spy(), patch_size=3, grid=1, random_state=0).fit(images)
    # Nine patches of each of the first ten images cover the pixel that stands out.
    assert len(coder.coder_.fitted_to) == 90
    assert (coder.coder_.fitted_to != 0).any(axis=1).all()
    coder.coder_.calls.clear()
    codes = coder.encode_patches(images)
    assert len(np.concatenate(coder.coder_.calls)) == 91
    assert_array_equal(codes[10:], 0)
    assert (codes[:10] != 0).any(axis=-1).sum() == 90


def test_without_normalisation_only_patches_of_zeros_are_blank():
    images = np.zeros((4, 5, 5))
    images[0] = 0.7
    coder = PatchCoder(Spy(), patch_size=5, grid=1, normalize=None).fit(images)
    assert_array_equal(coder.coder_.fitted_to, np.full((1, 25), 0.7))
    coder.coder_.calls.clear()
    assert_array_equal(coder.encode_patches(images)[:, 0, 0, 0], np.float32([0.7, 0, 0, 0]))
    assert len(np.concatenate(coder.coder_.calls)) == 2


@pytest.mark.parametrize("whiten", [False, 0.1])
@SHORT_FITS
def test_blank_images_alone(whiten):
    images = np.ones((5, 6, 6))
    coder = PatchCoder(OURS, patch_size=3, grid=2, whiten=whiten, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Weights were updated"):
        features = coder.fit(images).transform(images)
    assert np.isfinite(features).all()
    assert_array_equal(features[0], features[1])


def test_contrast_floor():
    # A patch whose variance is that of the average patch is divided by sqrt(1 + floor) deviations.
    images = RANDOM[..., 0]
    for floor in (0.01, 1.0):
        coder = PatchCoder(Spy(), patch_size=3, grid=1, contrast_floor=floor, random_state=0)
        patches = coder.fit(3.0 * images).coder_.fitted_to
        raw = clone(coder).set_params(normalize=None).fit(3.0 * images).coder_.fitted_to
        variances = raw.var(axis=1)
        expected = variances / (variances + floor * variances.mean())
        assert_allclose(patches.var(axis=1), expected)
        assert_allclose(patches.mean(axis=1), 0, atol=1e-12)
        # The unit of the images does not matter.
        assert_allclose(
            clone(coder).fit(images).transform(images), coder.transform(3.0 * images), rtol=1e-5
        )


def test_whitening():
    images = RANDOM.cumsum(axis=1).cumsum(axis=2)  # neighbours are alike
    coder = PatchCoder(Spy(), patch_size=3, grid=1, normalize=None, whiten=1e-8, random_state=0)
    coder.fit(images)
    patches = coder.coder_.fitted_to
    assert_allclose(np.cov(patches.T, bias=True), np.eye(27), atol=1e-3)
    assert_allclose(coder.whitening_, coder.whitening_.T, rtol=1e-6)  # zero phase
    assert_allclose(coder.unwhitening_ @ coder.whitening_, np.eye(27), atol=1e-6)
    # Regularised, directions of little variance stay weak.
    weak = coder.set_params(whiten=True).fit(images).coder_.fitted_to
    variances = np.linalg.eigvalsh(np.cov(weak.T, bias=True))
    assert variances[0] < 0.01 < 0.9 < variances[-1] < 1


def test_patches_of_fit_are_drawn_at_random():
    coder = PatchCoder(Spy(), patch_size=3, grid=1, normalize=None, n_patches=500)
    rows = DIGITS.reshape(-1, 64)
    drawn = [coder.set_params(random_state=seed).fit(rows).coder_.fitted_to for seed in (0, 0, 1)]
    assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    everything = coder.set_params(n_patches=10**6).fit(DIGITS[:20]).coder_.fitted_to
    expected = np.concatenate([extract_patches_2d(each, (3, 3)) for each in DIGITS[:20]])
    expected = expected.reshape(-1, 9)[expected.any(axis=(1, 2))]
    assert_array_equal(np.sort(everything, axis=0), np.sort(expected, axis=0))


def test_seeds_of_the_coder():
    coder = PatchCoder(
        make_pipeline(PCA(3), KMeans(4, n_init=1)), patch_size=3, grid=1, random_state=0
    )
    features = coder.fit_transform(DIGITS)
    assert_array_equal(clone(coder).fit(DIGITS).transform(DIGITS), features)
    assert coder.coder_["kmeans"].random_state is not None
    coder.set_params(coder__kmeans__random_state=5).fit(DIGITS)
    assert coder.coder_["kmeans"].random_state == 5


def test_pixels_that_no_patch_covers():
    coder = PatchCoder(PCA(1), patch_size=3, stride=4, grid=2).fit(RANDOM)
    assert coder.n_positions_ == (2, 3)
    reconstructed = coder.reconstruct(RANDOM)
    covered = np.zeros(RANDOM.shape[1:3], dtype=bool)
    for top in (0, 4):
        for left in (0, 4, 8):
            covered[top : top + 3, left : left + 3] = True
    assert_array_equal(reconstructed[:, ~covered], RANDOM[:, ~covered])
    assert (reconstructed[:, covered] != RANDOM[:, covered]).all()


def test_sparse_and_boolean_codes():
    dense = PatchCoder(OURS, patch_size=4, grid=2, random_state=0).fit(DIGITS[:40])
    sparse = clone(dense).set_params(coder__sparse_output=True).fit(DIGITS[:40])
    assert_array_equal(sparse.transform(DIGITS[:5]), dense.transform(DIGITS[:5]))
    positive = FunctionTransformer(lambda X: X > 0)
    counts = PatchCoder(positive, patch_size=1, grid=1, normalize=None, pooling="sum", power=1.0)
    assert_array_equal(counts.fit_transform(DIGITS)[:, 0], (DIGITS > 0).sum(axis=(1, 2)))


@pytest.mark.parametrize(("n_jobs", "expected"), [(None, 2), (2, 1)])
def test_threads_of_the_coder(n_jobs, expected):
    # A coder with n_jobs=2 has two threads unless images are shared among threads.
    coder = PatchCoder(Spy(), patch_size=3, grid=1).fit(DIGITS[:10])
    coder.coder_.n_jobs.clear()
    coder.set_params(n_jobs=n_jobs).transform(DIGITS[:10])
    blank, *images = coder.coder_.n_jobs
    assert blank == 2
    assert images == [expected] * 10


def test_pooling_is_a_known_one_after_fit_as_well():
    coder = PatchCoder(PCA(2), patch_size=3, grid=1).fit(DIGITS[:10])
    with pytest.raises(ValueError, match="The 'pooling' parameter of PatchCoder must be"):
        coder.set_params(pooling="median").transform(DIGITS[:10])


def test_default_coder():
    coder = PatchCoder(random_state=0)
    assert clone(coder).set_params(coder__n_components=10).coder.n_components == 10
    assert coder.coder is None
    assert PatchCoder(n_jobs=2).set_params(coder__tau=5.0).coder.n_jobs == 2
    assert PatchCoder().set_params(coder__tau=5.0, n_jobs=3).coder.n_jobs == 3
    with pytest.raises(ValueError, match="Invalid parameter 'neurons' for estimator Dendritic"):
        coder.set_params(coder__neurons=3)
    changed = PatchCoder().set_params(coder=PCA(3), coder__n_components=4)
    assert (type(changed.coder), changed.coder.n_components) == (PCA, 4)


@SHORT_FITS
def test_pipeline_search_and_pickle():
    model = make_pipeline(
        PatchCoder(OURS, patch_size=4, grid=2, random_state=0),
        LogisticRegression(C=10, max_iter=500),
    )
    grid = {"patchcoder__coder__n_components": [2, 16], "patchcoder__power": [0.5]}
    search = GridSearchCV(model, grid, cv=2).fit(DIGITS[:600].reshape(600, -1), LABELS[:600])
    assert search.best_params_["patchcoder__coder__n_components"] == 16
    assert search.score(DIGITS[600:1000], LABELS[600:1000]) > 0.9  # images instead of rows
    coder = search.best_estimator_["patchcoder"]
    same = pickle.loads(pickle.dumps(coder))
    assert_array_equal(same.transform(DIGITS[:9]), coder.transform(DIGITS[:9]))


def test_two_layers():
    first = PatchCoder(KMeans(6, n_init=1), patch_size=3, grid=(4, 5), random_state=0)
    second = PatchCoder(PCA(7), patch_size=2, grid=(1, 2), image_shape=(4, 5, -1), random_state=0)
    model = make_pipeline(first, second)
    features = model.fit_transform(RANDOM)
    assert features.shape == (30, 14)
    assert second.image_shape_ == (4, 5, 6)
    # A pixel of the second image is a cell of the first, its channels are the components.
    pooled = first.transform(RANDOM).reshape(30, 4, 5, 6)
    assert_array_equal(second.transform(pooled), features)
    names = list(first.get_feature_names_out())
    assert names.index("patchcoder_r2_c3_component4") == np.ravel_multi_index((2, 3, 4), (4, 5, 6))


def test_feature_names_and_data_frames():
    rows = pd.DataFrame(DIGITS[:50].reshape(50, -1)).add_prefix("pixel")
    coder = PatchCoder(PCA(2), patch_size=4, grid=(1, 2), split_signs=True, power=1.0)
    features = coder.set_output(transform="pandas").fit_transform(rows)
    assert list(features.columns[:4]) == [
        "patchcoder_r0_c0_component0_on",
        "patchcoder_r0_c0_component0_off",
        "patchcoder_r0_c0_component1_on",
        "patchcoder_r0_c0_component1_off",
    ]
    assert features.columns[-1] == "patchcoder_r0_c1_component1_off"
    assert (features >= 0).all(axis=None)
    signed = clone(coder).set_params(split_signs=False).fit_transform(rows)
    pairs = features.to_numpy().reshape(50, 4, 2)
    assert_allclose(pairs[..., 0] - pairs[..., 1], signed, atol=1e-6)
    with pytest.raises(ValueError, match="feature names should match"):
        coder.transform(rows.add_suffix("s"))


def test_verbose(capsys):
    coder = PatchCoder(PCA(2), patch_size=4, grid=1).fit(DIGITS)
    coder.transform(DIGITS)
    assert capsys.readouterr().out == ""
    coder.set_params(verbose=True).transform(DIGITS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("[PatchCoder] 1000 of 1000 images, ")


class Follower:
    """A scikit-learn callback that follows a fit into the estimators inside."""

    max_propagation_depth = None

    def setup(self, estimator, context):
        self.followed, self.torn_down = set(), False

    def on_fit_task_begin(self, estimator, context):
        self.followed.add(type(estimator).__name__)

    def on_fit_task_end(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.torn_down = True


@SHORT_FITS
def test_callbacks_go_on_to_the_coder():
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    follower = Follower()
    coder = PatchCoder(OURS, patch_size=4, grid=1, n_patches=500).set_callbacks(follower)
    coder.fit(DIGITS)
    assert follower.followed == {"PatchCoder", "DendriticBalanceCoder"}
    assert follower.torn_down
    with pytest.raises(ValueError, match="more cells"):
        coder.set_params(grid=8).fit(DIGITS)
    assert follower.torn_down


@pytest.mark.slow
def test_accuracy_on_mnist(find_data):
    with np.load(find_data("mnist_t10k.npz")) as f:
        split = train_test_split(
            f["images"], f["labels"], test_size=2000, random_state=0, stratify=f["labels"]
        )
    images, test_images, labels, test_labels = split
    model = make_pipeline(PatchCoder(random_state=0, n_jobs=2), LinearSVC(random_state=0))
    assert model.fit(images, labels).score(test_images, test_labels) > 0.985


@pytest.fixture(scope="module")
def photograph():
    return load_sample_image("china.jpg")[:200:2, :300:2].mean(axis=-1)[None] / 255


def psnr(images, originals):
    return -10 * np.log10(np.mean((images - originals) ** 2))


def test_denoising(photograph):
    noisy = photograph + 0.1 * np.random.default_rng(0).standard_normal(photograph.shape)
    few_spikes = DendriticBalanceCoder(64, rate=3.0, max_iter=1)
    coder = PatchCoder(few_spikes, normalize="mean", random_state=0)
    denoised = coder.fit(noisy).reconstruct(noisy)
    assert psnr(denoised, photograph) > psnr(noisy, photograph) + 5


def test_inpainting(photograph):
    known = np.random.default_rng(0).random(photograph.shape) < 0.7
    filled = np.where(known, photograph, photograph[known].mean())
    before = psnr(filled, photograph)
    coder = PatchCoder(PCA(12), normalize="mean", random_state=0)
    for _ in range(10):
        filled = np.where(known, photograph, coder.fit(filled).reconstruct(filled))
    assert psnr(filled, photograph) > before + 8


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"patch_size": 9}, r"patch_size=\(9, 9\) are larger than images of shape \(8, 8\)"),
        ({"patch_size": (2, 2, 2)}, r"patch_size=\(2, 2, 2\) is no pair of positive integers"),
        ({"patch_size": (2, 0.5)}, "is no pair of positive integers"),
        ({"patch_size": 0}, "The 'patch_size' parameter of PatchCoder must be"),
        ({"grid": 6, "patch_size": 4}, "grid=6 has more cells than the 5 rows and 5 columns"),
        ({"grid": (1, 0)}, "is no pair of positive integers"),
        ({"image_shape": (8, 9)}, r"image_shape=\(8, 9\) does not fit images of 64 features"),
        ({"image_shape": (-1, -1)}, "does not fit images of 64 features"),
        ({"image_shape": (-1, 7)}, "does not fit images of 64 features"),
        ({"image_shape": (64,)}, "is not the height, width and"),
        ({"image_shape": (8.0, 8.0)}, "is not the height, width and"),
        ({"stride": 0}, "The 'stride' parameter of PatchCoder must be"),
        ({"contrast_floor": 0.0}, "The 'contrast_floor' parameter of PatchCoder must be"),
        ({"whiten": 0.0}, "The 'whiten' parameter of PatchCoder must be"),
        ({"pooling": "median"}, "The 'pooling' parameter of PatchCoder must be"),
        ({"coder": "pca"}, "The 'coder' parameter of PatchCoder must be"),
    ],
)
def test_invalid_parameters(parameters, message):
    coder = PatchCoder(PCA(1), patch_size=3, grid=1).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        coder.fit(DIGITS.reshape(-1, 64))


def test_invalid_images():
    coder = PatchCoder(PCA(1), patch_size=3, grid=1)
    with pytest.raises(ValueError, match="Rows of 60 features are no square images"):
        coder.fit(np.ones((3, 60)))
    with pytest.raises(ValueError, match="an image has height, width and channels"):
        coder.fit(np.ones((3, 5, 5, 2, 2)))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        coder.fit(np.ones(9))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        coder.fit(np.full((3, 5, 5), np.nan))
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        coder.fit(np.ones((0, 5, 5)))
    with pytest.raises(TypeError, match="Sparse data was passed"):
        coder.fit(csr_array(np.eye(16)))
    with pytest.raises(ValueError, match=r"images of shape \(8, 8\), but .* of shape \(4, 16\)"):
        clone(coder).set_params(image_shape=(4, 16)).fit(DIGITS)
    with pytest.raises(NotFittedError):
        coder.transform(DIGITS)
    coder.fit(DIGITS)
    with pytest.raises(ValueError, match="X has 49 features, but PatchCoder is expecting 64"):
        coder.transform(DIGITS[:, 1:, 1:])
    with pytest.raises(ValueError, match=r"images of shape \(4, 16\), but .* of shape \(8, 8\)"):
        coder.transform(DIGITS.reshape(-1, 4, 16))


def test_a_failed_fit_changes_nothing():
    coder = PatchCoder(PCA(2), patch_size=3, grid=1).fit(DIGITS)
    features = coder.transform(DIGITS[:5])
    with pytest.raises(ValueError, match="n_components=40"):
        coder.set_params(coder__n_components=40).fit(DIGITS[:, ::2, ::2])
    assert_array_equal(coder.transform(DIGITS[:5]), features)


def test_coders_without_inverse():
    coder = PatchCoder(KMeans(3), patch_size=3, grid=1).fit(DIGITS)
    with pytest.raises(AttributeError, match="no attribute 'inverse_transform'"):
        coder.reconstruct(DIGITS)
