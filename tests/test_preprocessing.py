import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import NMF
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdendbal.preprocessing import OnOffSplitter

ACTIVATIONS = ["rectify", "sigmoid"]
X = np.array([[1.0, -2.0, 0.0], [-0.5, 0.25, 3.0]])


def tables(limit, dtype=np.float64):
    width = np.dtype(dtype).itemsize * 8
    values = st.floats(-limit, limit, width=width)
    return arrays(dtype, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=values)


@parametrize_with_checks([OnOffSplitter(activation) for activation in ACTIVATIONS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_rectify():
    expected = [[1, 0, 0, 0, 2, 0], [0, 0.25, 3, 0.5, 0, 0]]
    assert_array_equal(OnOffSplitter().fit_transform(X), expected)


@pytest.mark.parametrize("parameters", [{}, {"gain": 2.0, "offset": -0.3}])
def test_sigmoid(parameters):
    gain, offset = parameters.get("gain", 16), parameters.get("offset", 0.15)
    expected = [1 / (1 + np.exp(-gain * (v - offset))) for v in (X, -X)]
    on_off = OnOffSplitter("sigmoid", **parameters).fit_transform(X)
    assert_allclose(on_off, np.hstack(expected), rtol=1e-12)


@settings(deadline=None)
@given(tables(1.7e308) | tables(2.0**127, np.float32))
def test_rectify_is_lossless_and_nonnegative(X):
    splitter = OnOffSplitter()
    on_off = splitter.fit_transform(X)
    assert (on_off >= 0).all()
    on, off = np.hsplit(on_off, 2)
    assert_array_equal(np.minimum(on, off), 0)
    assert_array_equal(splitter.inverse_transform(on_off), X)


@settings(deadline=None)
@given(tables(1e300) | tables(2.0**120, np.float32))
def test_sigmoid_is_bounded_and_inverse_finite(X):
    splitter = OnOffSplitter("sigmoid")
    on_off = splitter.fit_transform(X)
    assert ((on_off >= 0) & (on_off <= 1)).all()
    back = splitter.inverse_transform(on_off)
    bound = (36.1 if X.dtype == np.float64 else 16.0) / splitter.gain
    assert (np.abs(back) <= bound).all()
    # Even where it saturates, the inverse keeps the sign of what it can distinguish from zero.
    clear = np.abs(X) > 1e-3
    assert_array_equal(np.sign(back[clear]), np.sign(X[clear]))


@settings(deadline=None)
@given(
    st.sampled_from([np.float32, np.float64]),
    st.floats(1e-3, 1e3),
    st.floats(-0.5, 0.5),
    st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=20),
)
def test_sigmoid_round_trip(dtype, gain, offset, fractions):
    # This is the whole documented range: |v| + |offset| is at most `limit` / gain.
    limit = 36 if dtype == np.float64 else 15.9
    offset = offset * limit / gain
    X = np.array([fractions], dtype=dtype) * dtype(limit / gain)
    splitter = OnOffSplitter("sigmoid", gain=gain, offset=offset).fit(X)
    back = splitter.inverse_transform(splitter.transform(X))
    # A channel near 1 is rounded to eps / 2, and its logit has slope exp(drive) there.
    drive = gain * (np.abs(X) + abs(offset))
    tolerance = np.finfo(dtype).eps * (np.exp(drive) + 100) / gain
    assert (np.abs(back - X) <= tolerance).all()


@settings(deadline=None)
@given(tables(1e300))
def test_inverse_of_any_sigmoid_data_is_finite(X):
    X = np.hstack([X, X[:, ::-1]])
    assert np.isfinite(OnOffSplitter("sigmoid").inverse_transform(X)).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("number", [float, np.float64])
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.float16, np.float64),
        (np.int64, np.float64),
    ],
)
def test_dtype(activation, number, dtype, expected):
    # A NumPy parameter, as a search over a grid sets it, must not widen float32.
    splitter = OnOffSplitter(activation, gain=number(3), offset=number(0.1))
    on_off = splitter.fit_transform(X.astype(dtype))
    assert on_off.dtype == expected
    assert splitter.inverse_transform(on_off).dtype == expected


def test_feature_names():
    splitter = OnOffSplitter().fit(X)
    names = ["x0_on", "x1_on", "x2_on", "x0_off", "x1_off", "x2_off"]
    assert_array_equal(splitter.get_feature_names_out(), names)
    names = ["a_on", "b_on", "c_on", "a_off", "b_off", "c_off"]
    assert_array_equal(splitter.get_feature_names_out(["a", "b", "c"]), names)
    with pytest.raises(ValueError, match="input_features should have length equal"):
        splitter.get_feature_names_out(["a"])
    with pytest.raises(NotFittedError):
        OnOffSplitter().get_feature_names_out()


@pytest.mark.parametrize("frames", [pd, pl])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_data_frames(frames, activation):
    library = frames.__name__
    frame = frames.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        pytest.skip(f"this scikit-learn does not read the column names of this {library}")
    splitter = OnOffSplitter(activation).set_output(transform=library)
    on_off = splitter.fit_transform(frame)
    assert isinstance(on_off, frames.DataFrame)
    assert list(on_off.columns) == ["a_on", "b_on", "a_off", "b_off"]
    assert_array_equal(on_off, OnOffSplitter(activation).fit_transform(X[:, :2]))
    assert_array_equal(splitter.inverse_transform(on_off).shape, frame.shape)
    with pytest.raises(ValueError, match="feature names should match"):
        splitter.transform(frame[["b", "a"]])


def test_pandas_index_is_kept():
    frame = pd.DataFrame(X, index=["s", "t"])
    frame.columns = ["a", "b", "c"]
    on_off = OnOffSplitter().set_output(transform="pandas").fit_transform(frame)
    assert list(on_off.index) == ["s", "t"]


def test_pipeline():
    signed = np.random.RandomState(0).standard_normal((30, 4))
    scaled = make_pipeline(StandardScaler(), OnOffSplitter())
    on_off = scaled.fit_transform(signed)
    assert_allclose(scaled.inverse_transform(on_off), signed)
    assert list(scaled.get_feature_names_out()[[0, -1]]) == ["x0_on", "x3_off"]
    # A model for non-negative data refuses the signed data and takes the channels.
    model = NMF(2, max_iter=1000, random_state=0)
    with pytest.raises(ValueError, match="Negative values"):
        clone(model).fit(signed)
    assert make_pipeline(scaled, model).fit_transform(signed).shape == (30, 2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_stateless_and_tags(activation):
    splitter = OnOffSplitter(activation)
    on_off = splitter.transform(X)
    assert_array_equal(on_off, OnOffSplitter(activation).fit(5 * X + 1).transform(X))
    assert_array_equal(splitter.inverse_transform(on_off).shape, X.shape)
    tags = splitter.__sklearn_tags__()
    assert not tags.requires_fit
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_input_is_left_alone(activation):
    data = X.copy()
    splitter = OnOffSplitter(activation)
    on_off = splitter.fit_transform(data)
    kept = on_off.copy()
    splitter.inverse_transform(on_off)
    assert_array_equal(data, X)
    assert_array_equal(on_off, kept)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("activation", "relu"),
        ("gain", 0),
        ("gain", -1.0),
        ("gain", np.inf),
        ("gain", "high"),
        ("offset", np.nan),
        ("offset", None),
    ],
)
def test_invalid_parameters(parameter, value):
    splitter = OnOffSplitter().set_params(**{parameter: value})
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of OnOffSplitter must be"):
        splitter.fit(X)


@pytest.mark.parametrize("method", ["fit", "transform", "inverse_transform"])
def test_invalid_data(method):
    call = getattr(OnOffSplitter(), method)
    with pytest.raises(TypeError, match=r"Sparse data was passed.*but dense data is required"):
        call(csr_array(X))
    with pytest.raises(ValueError, match=r"Input X contains NaN.\nOnOffSplitter does not accept"):
        call([[np.nan, 1.0]])
    with pytest.raises(ValueError, match="Input X contains infinity"):
        call([[np.inf, 1.0]])
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        call([1.0, 2.0])


def test_number_of_features():
    splitter = OnOffSplitter().fit(X)
    with pytest.raises(ValueError, match="X has 2 features, but OnOffSplitter is expecting 3"):
        splitter.transform(X[:, :2])
    with pytest.raises(ValueError, match=r"X has 4 features, but .* for each of 3 features"):
        splitter.inverse_transform(np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"X has 5 features, but .* for each of 2 features"):
        OnOffSplitter().inverse_transform(np.ones((1, 5)))
