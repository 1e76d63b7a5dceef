"""The estimator with sparse matrices and memory maps, which it converts a few rows at a time."""

import subprocess
import sys

import numpy as np
import pytest
from coders import DIGITS, FAST, SHORT_FITS
from scipy.sparse import coo_array, csc_matrix, csr_array, csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skdendbal import DendriticBalanceCoder
from skdendbal.rules import RULES

CONTAINERS = [csr_array, csr_matrix, csc_matrix, coo_array]


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: container.__name__)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, bool])
def test_sparse_data_have_the_same_results_as_dense_ones(container, dtype):
    X = (16 * DIGITS[:1100]).astype(dtype)  # more rows than are converted at once
    params = {"n_components": 8, "max_iter": 2, "random_state": 0}
    dense, sparse = (DendriticBalanceCoder(**params).fit(data) for data in (X, container(X)))
    assert np.array_equal(sparse.components_, dense.components_)
    codes = dense.transform(X)
    assert codes.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert np.array_equal(sparse.transform(container(X)), codes)
    spikes = [c.simulate(x[:5], random_state=0) for c, x in ((dense, X), (sparse, csr_array(X)))]
    assert np.array_equal(*spikes)
    assert sparse.score(container(X)) == dense.score(X)
    assert np.array_equal(sparse.score_samples(container(X)), dense.score_samples(X))
    for coder, data in ((dense, X), (sparse, container(X))):
        coder.partial_fit(data)
    assert np.array_equal(sparse.components_, dense.components_)


@pytest.mark.parametrize("learning_rule", list(RULES))
@SHORT_FITS
def test_every_rule_learns_from_sparse_data(learning_rule):
    params = {"n_components": 4, "learning_rule": learning_rule}
    dense, sparse = (
        DendriticBalanceCoder(**params, **FAST).fit(data)
        for data in (DIGITS[:200], csr_array(DIGITS[:200]))
    )
    assert np.array_equal(sparse.components_, dense.components_)


def test_sparse_codes_are_the_dense_ones(digits_coder):
    codes = digits_coder.transform(DIGITS)
    coder = DendriticBalanceCoder(32, max_iter=3, sparse_output=True, random_state=0).fit(DIGITS)
    sparse = coder.transform(DIGITS)
    assert sparse.format == "csr"
    assert sparse.nnz == np.count_nonzero(codes)
    assert np.array_equal(sparse.toarray(), codes)
    assert np.array_equal(coder.transform(csr_array(DIGITS)).toarray(), codes)
    assert coder.transform(DIGITS.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(coder.inverse_transform(sparse), codes @ coder.components_)
    assert coder.score(DIGITS) == digits_coder.score(DIGITS)


@SHORT_FITS
def test_sparse_codes_in_a_pipeline():
    y = np.arange(300) % 2
    model = make_pipeline(
        DendriticBalanceCoder(8, sparse_output=True, **FAST), LogisticRegression()
    )
    assert model.fit(csr_array(DIGITS[:300]), y).predict(DIGITS[:300]).shape == (300,)


def test_sparse_data_that_are_refused(digits_coder):
    for call in (DendriticBalanceCoder().fit, digits_coder.transform):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            call(csr_array([[np.nan, 0.0]]))
    with pytest.raises(ValueError, match="Negative values in data"):
        DendriticBalanceCoder(learning_rule="dendritic-decay").fit(csr_array([[-1.0, 0.0]]))
    with pytest.raises(ValueError, match="X has 2 features"):
        digits_coder.transform(csr_array([[1.0, 0.0]]))


def run(script):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


MEASURE = """if True:
    import resource
    import numpy as np
    from scipy.sparse import csr_array
    from skdendbal import DendriticBalanceCoder
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    params = {"n_components": 64, "max_iter": 1, "random_state": 0}
    DendriticBalanceCoder(**params).fit(np.random.default_rng(0).random((256, 64)))
"""  # with all that is loaded and compiled once


@pytest.mark.slow
def test_memory_beyond_sparse_data_stays_small():
    pytest.importorskip("resource", reason="measures memory where this module exists")
    script = (
        MEASURE
        + """
    from scipy.sparse import random_array
    X = random_array((10_000, 20_000), density=0.005, format="csr", rng=np.random.default_rng(0))
    before = peak()
    coder = DendriticBalanceCoder(**params).fit(X)
    coder.transform(X)
    coder.score(X)
    print(peak() - before)
    """
    )
    assert float(run(script)) < 300


@pytest.mark.slow
def test_memory_beyond_a_memory_map_stays_small(tmp_path):
    pytest.importorskip("resource", reason="measures memory where this module exists")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.integers(0, 256, (100_000, 256), dtype=np.uint8))
    script = (
        MEASURE
        + f"""
    X = np.load({str(tmp_path / "X.npy")!r}, mmap_mode="r")
    before = peak()
    coder = DendriticBalanceCoder(**params).fit(X)
    print(peak() - before)
    """
    )
    # as float64 the data would take 195 MiB
    assert float(run(script)) < 100
