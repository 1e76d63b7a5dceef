"""How kernels are compiled and kept on disk, and what happens where they cannot be."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from coders import DIGITS, FAST, SHORT_FITS
from processes import run_script

import skdendbal
from skdendbal import DendriticBalanceCoder, _kernels, metrics
from skdendbal._kernels import compilation
from skdendbal.rules import RULES

PACKAGE = Path(skdendbal.__file__).parent
FIT = """
import warnings
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from skdendbal import DendriticBalanceCoder
warnings.simplefilter("ignore", ConvergenceWarning)
X = load_digits().data[:100]
params = {"max_iter": 1, "batch_size": 2, "presentation_time": 20.0, "random_state": 0}
"""
FIT_AND_CODE = (
    FIT
    + """
coder = DendriticBalanceCoder(4, **params).fit(X)
print(coder.components_.tobytes().hex(), coder.transform(X).tobytes().hex())
"""
)
FIT_ALL = (
    FIT
    + """
import json
from skdendbal.rules import RULES
X, results = X[:24, 24:32], {}
for rule in RULES:
    coder = DendriticBalanceCoder(3, learning_rule=rule, delay=1.0, **params).fit(X)
    results[rule] = coder.components_.tolist(), coder.transform(X).tolist()
print(json.dumps(results))
"""
)


def test_everything_runs_without_compilation():
    slow, fast = (
        json.loads(run_script(FIT_ALL, NUMBA_DISABLE_JIT=switch)) for switch in ("1", "0")
    )
    assert slow.keys() == RULES.keys()
    for rule, results in slow.items():
        for values, expected in zip(results, fast[rule], strict=True):
            # sums are rounded in another order, but spikes are the same
            np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)


# The cache of one small kernel, which is compiled in a moment

KERNEL = """
from skdendbal._kernels.compilation import compiled

@compiled()
def double(x):
    return 2.0 * x
"""


def load_kernel(folder):
    """Import the kernel as a new process would."""
    path = folder / "kernel.py"
    path.write_text(KERNEL)
    spec = importlib.util.spec_from_file_location("kernel", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double


def truncate(cache, kind):
    for path in cache.glob(kind):
        path.write_bytes(path.read_bytes()[:20])


def fill_with_garbage(cache, kind):
    for path in cache.glob(kind):
        path.write_bytes(b"garbage" * 100)


def put_a_file_there(cache, kind):
    shutil.rmtree(cache)
    cache.touch()


def full_disk(*args):
    raise OSError(28, "No space left on device")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(compilation._KernelCache, "has_warned", False)
    assert load_kernel(tmp_path)(1.5) == 3.0
    cache = tmp_path / "__pycache__"
    assert len([*cache.glob("*.nbi"), *cache.glob("*.nbc")]) == 2
    return cache


def test_what_is_kept_is_loaded(cache):
    double = load_kernel(cache.parent)
    assert double(1.5) == 3.0
    assert sum(double.stats.cache_hits.values()) == 1


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (truncate, "*.nbi"),
        (truncate, "*.nbc"),
        (fill_with_garbage, "*.nbi"),
        (fill_with_garbage, "*.nbc"),
        (put_a_file_there, None),
    ],
)
def test_a_damaged_cache_is_said_once_and_does_no_harm(cache, damage, kind):
    double = load_kernel(cache.parent)  # before the damage is done
    damage(cache, kind)
    with pytest.warns(UserWarning, match=r"__pycache__.* Delete .* NUMBA_CACHE_DIR") as record:
        assert [double(1.5), double(1 + 2j)] == [3.0, 2 + 4j]  # two versions, the same trouble
    assert len(record) == 1
    if cache.is_dir():  # and is mended
        again = load_kernel(cache.parent)
        assert again(1.5) == 3.0
        assert sum(again.stats.cache_hits.values()) == 1


def test_a_vanished_cache_is_made_again(cache):
    double = load_kernel(cache.parent)
    shutil.rmtree(cache)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert double(1.5) == 3.0


def test_a_full_disk_is_said_once_and_does_no_harm(cache, monkeypatch):
    double = load_kernel(cache.parent)
    shutil.rmtree(cache)
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full_disk)
    with pytest.warns(UserWarning, match=r"No space left.*__pycache__|__pycache__.*No space left"):
        assert double(1.5) == 3.0


@pytest.mark.slow
def test_a_fit_with_a_damaged_cache_warns_once(tmp_path):
    expected = run_script(FIT_AND_CODE)
    folder = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert run_script(FIT_AND_CODE, **folder) == expected
    for path in tmp_path.rglob("*.nb[ic]"):
        path.write_bytes(b"garbage")
    done = subprocess.run(
        [sys.executable, "-c", FIT_AND_CODE],
        env=os.environ | folder,
        capture_output=True,
        text=True,
    )
    assert done.stdout == expected
    assert done.stderr.count("UserWarning: Compiled kernels cannot be read") == 1
    assert run_script(FIT_AND_CODE, **folder) == expected  # the cache is mended


def test_import_where_nothing_compiled_can_be_kept(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "skdendbal", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "skdendbal" / "__pycache__").touch()  # not a folder, so the cache cannot be there
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": os.devnull}
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        env.pop(name, None)
    script = "import skdendbal; print(skdendbal.__file__)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith(str(tmp_path)), done.stderr


@pytest.mark.slow
def test_what_compiles_and_what_loads_it_give_the_same_bits(tmp_path):
    first, second = (run_script(FIT_AND_CODE, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_compilation_can_be_interrupted(tmp_path, seconds):
    script = """if True:
        import signal
        import numpy as np
        from skdendbal import DendriticBalanceCoder
        signal.signal(signal.SIGINT, signal.default_int_handler)
        coder = DendriticBalanceCoder(8, max_iter=10**7, tol=None)
        print("fitting", flush=True)
        try:
            coder.fit(np.eye(8))
        except KeyboardInterrupt:
            print("interrupted", coder.__sklearn_is_fitted__(), flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},  # an empty cache
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "fitting\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out == "interrupted False\n"
    assert err == ""


# Kernels are compiled for one kind of arrays, and users have all kinds


def count_versions():
    """Number of compiled versions of each kernel that Python calls."""
    kernels = {name: getattr(_kernels, name) for name in dir(_kernels)}
    return {
        name: len(kernel.overloads)
        for name, kernel in kernels.items()
        if hasattr(kernel, "overloads")
    }


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def unaligned(X):
    raw = np.zeros(X.nbytes + 1, dtype=np.uint8)
    result = raw[1:].view(X.dtype).reshape(X.shape)
    result[:] = X
    return result


KINDS = {
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "sliced": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[:, ::-1][:, ::-1][::-1],
    "big-endian": lambda X: X.astype(">f8"),
    "unaligned": unaligned,
    "single": lambda X: X.astype(np.float32),
    "half": lambda X: X.astype(np.float16),
    "integers": lambda X: (100 * X).astype(np.int32),
    "list": lambda X: X.tolist(),
    "matrix-like": lambda X: X.view(type("Subclass", (np.ndarray,), {})),
}


@pytest.mark.parametrize("learning_rule", list(RULES))
@SHORT_FITS
def test_no_array_of_a_user_compiles_anything_again(tmp_path, learning_rule):
    X, delay = DIGITS[:130, :12], 1.0 if learning_rule == "dendritic" else None
    params = {"learning_rule": learning_rule, "delay": delay, "code": "balanced"} | FAST
    coder = DendriticBalanceCoder(4, **params)

    def use(coder, X):
        coder.fit(X)
        coder.transform(X)  # with what was kept for balanced codes
        use_fitted(coder, X)

    def use_fitted(coder, X):
        coder.partial_fit(X)
        coder.partial_fit(X[:1])
        coder.transform(X)
        coder.simulate(X[:3])
        coder.score(X)
        coder.inverse_transform(coder.transform(X))
        metrics.decoder_loss(coder, X)

    use(coder, X)
    versions = count_versions()
    assert max(versions.values()) == 1
    for make in KINDS.values():
        use(coder, make(X))
    np.save(tmp_path / "X.npy", X)
    use(coder, np.load(tmp_path / "X.npy", mmap_mode="r"))
    joblib.dump(coder, tmp_path / "coder")
    loaded = joblib.load(tmp_path / "coder", mmap_mode="r")
    assert np.array_equal(loaded.transform(X), coder.transform(X))
    use_fitted(loaded, X)
    for each in (coder.network_.lanes, coder.network_.weights.values()):
        for values in each:
            values.flags.writeable = False
    use_fitted(coder, X)
    for name in coder.network_.weights:
        coder.network_.weights[name] = np.asfortranarray(coder.network_.weights[name])
    use_fitted(coder, X)
    assert count_versions() == versions


def test_workers_of_large_coders_compile_nothing_again():
    # above 1 MB, joblib maps the arrays of a coder into the memory of its workers, read-only
    coder = DendriticBalanceCoder(400, code="balanced", **FAST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coder.fit(DIGITS[:100])

    def code(coder, X):
        codes = coder.transform(X)
        return codes, {
            name: len(getattr(_kernels, name).overloads)
            for name in dir(_kernels)
            if hasattr(getattr(_kernels, name), "overloads")
        }

    results = joblib.Parallel(2, backend="loky", max_nbytes=1e5)(
        joblib.delayed(code)(coder, DIGITS[:20]) for _ in range(4)
    )
    for codes, versions in results:
        assert np.array_equal(codes, coder.transform(DIGITS[:20]))
        assert max(versions.values()) == 1
