"""The monitor of learning, and scikit-learn's own callbacks, alone and within other estimators."""

import math
import pickle
import warnings

import joblib
import numpy as np
import pytest
from coders import DIGITS, SHORT_FITS, as_bytes
from processes import run_script
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdendbal import DendriticBalanceCoder
from skdendbal.monitoring import LearningMonitor
from skdendbal.rules import RULES

X, X_TEST = DIGITS[:1000], DIGITS[1500:1600]
PARAMS = {"n_components": 9, "max_iter": 2, "batch_size": 20, "random_state": 0}
ATTRIBUTES = [
    "n_presentations_",
    "losses_",
    "noise_levels_",
    "firing_rates_",
    "n_silent_units_",
    "explained_variances_",
    "snapshots_at_",
    "dictionaries_",
    "balance_correlations_",
]


@pytest.fixture
def callback():
    return pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")


def fit_with(*callbacks, X=X, **params):
    return DendriticBalanceCoder(**{**PARAMS, **params}).set_callbacks(*callbacks).fit(X)


def test_a_monitor_ends_with_what_the_coder_has_learned(callback):
    monitor = LearningMonitor(X_TEST)
    coder = fit_with(monitor, decoder="online")
    n_points = len(monitor.n_presentations_)
    assert n_points == 100
    assert np.array_equal(monitor.n_presentations_, np.arange(20, 2001, 20))
    for name in ("losses_", "noise_levels_", "n_silent_units_", "explained_variances_"):
        assert getattr(monitor, name).shape == (n_points,)
    assert monitor.firing_rates_.shape == (n_points, 9)
    assert monitor.noise_levels_[-1] == coder.noise_level_ < monitor.noise_levels_[0]
    assert monitor.n_silent_units_[-1] == coder.n_silent_units_
    assert np.array_equal(monitor.firing_rates_[-1], coder.firing_rates_)
    assert monitor.explained_variances_[-1] == coder.score(X_TEST)
    assert monitor.explained_variances_[0] < 0.1 < 0.4 < monitor.explained_variances_[-1]
    # a point for every update, as long as the loss curve has
    assert np.array_equal(monitor.losses_, coder.loss_curve_)
    assert monitor.dictionaries_.shape == (len(monitor.snapshots_at_), 9, 64)
    assert np.array_equal(monitor.dictionaries_[-1], coder.components_)
    assert monitor.snapshots_at_[0] == 20
    assert monitor.snapshots_at_[-1] == 2000
    ratios = monitor.snapshots_at_[1:] / monitor.snapshots_at_[:-1]
    assert len(ratios) == 9
    assert (np.abs(ratios / 100 ** (1 / 9) - 1.0) < 0.4).all()  # rounded up to blocks of 20
    # a decoder that is fitted again comes later
    refit = LearningMonitor()
    coder = fit_with(refit)
    assert np.array_equal(refit.dictionaries_, monitor.dictionaries_)
    assert not np.array_equal(refit.dictionaries_[-1], coder.components_)
    assert np.isnan(refit.explained_variances_).all()


@pytest.mark.parametrize("learning_rule", ["dendritic", "dendritic-slow", "somatic"])
@SHORT_FITS
def test_a_monitor_does_not_change_what_is_learned(learning_rule, callback):
    params = {"learning_rule": learning_rule, "X": X[:, 16:32]}
    plain = fit_with(**params)
    monitored = fit_with(LearningMonitor(X_TEST[:, 16:32], every=100, snapshots=50), **params)
    assert as_bytes(monitored.network_) == as_bytes(plain.network_)
    assert np.array_equal(monitored.components_, plain.components_)
    assert np.array_equal(monitored.loss_curve_, plain.loss_curve_)


def test_points_and_snapshots_lie_at_ends_of_blocks(callback):
    monitor = LearningMonitor(every=170, snapshots=[1, 450, 30, 460, 5000, 460])
    coder = fit_with(monitor, decoder="online")
    due = np.array([20, *(math.ceil(n / 20) * 20 for n in range(170, 2000, 170)), 2000])
    assert np.array_equal(monitor.n_presentations_, due)
    assert np.array_equal(monitor.snapshots_at_, [20, 40, 460])
    means = [curve.mean() for curve in np.split(coder.loss_curve_, due[:-1] // 20)]
    np.testing.assert_allclose(monitor.losses_, means)
    for snapshots in (0, []):
        monitor = LearningMonitor(snapshots=snapshots)
        fit_with(monitor)
        assert len(monitor.snapshots_at_) == len(monitor.dictionaries_) == 0
    monitor = LearningMonitor(snapshots=1)
    fit_with(monitor)
    assert np.array_equal(monitor.snapshots_at_, [2000])


@SHORT_FITS
def test_losses_where_the_loss_curve_is_coarse(callback):
    # of 1000 updates, ten make a point of the loss curve
    monitor = LearningMonitor()
    coder = fit_with(monitor, batch_size=2, horizon=20_000)
    n = coder.settings_.updates_per_point * 2
    assert n > 2 * np.diff(monitor.n_presentations_).max()
    assert np.isnan(monitor.losses_[monitor.n_presentations_ < n]).all()
    later = monitor.n_presentations_ >= n
    expected = coder.loss_curve_[monitor.n_presentations_[later] // n - 1]
    assert np.array_equal(monitor.losses_[later], expected)


class Stopper:
    """A user's callback, which ends each fit after some blocks."""

    def __init__(self, n_blocks):
        self.n_blocks = n_blocks

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return context.max_subtasks == 0 and context.task_id == self.n_blocks - 1

    def teardown(self, estimator, context):
        pass


@SHORT_FITS
def test_a_fit_that_stops_early_ends_with_a_snapshot(callback):
    monitor = LearningMonitor(every=300)
    coder = fit_with(Stopper(37), monitor, decoder="online")
    assert coder.n_presentations_ == 740
    assert np.array_equal(monitor.n_presentations_, [20, 300, 600, 740])
    assert monitor.snapshots_at_[-1] == 740
    assert np.array_equal(monitor.dictionaries_[-1], coder.components_)
    assert (np.diff(monitor.snapshots_at_) > 0).all()
    # numbers that were given stay as they are
    monitor = LearningMonitor(snapshots=[100, 2000])
    fit_with(Stopper(37), monitor)
    assert np.array_equal(monitor.snapshots_at_, [100])


@pytest.mark.parametrize("learning_rule", list(RULES))
@SHORT_FITS
def test_balance_of_dendritic_weights(learning_rule, callback):
    monitor = LearningMonitor(snapshots=4)
    coder = fit_with(monitor, X=X[:500, 16:32], learning_rule=learning_rule, n_components=4)
    assert monitor.balance_correlations_.shape == (4,)
    if "dendritic" not in coder.weights_:
        assert np.isnan(monitor.balance_correlations_).all()
        return
    F, D = coder.weights_["feedforward"].T, coder.network_.decoder
    learned, exact = [], []
    for j in range(4):
        for i in range(16):
            for k in range(4):
                learned.append(coder.weights_["dendritic"][i, j, k])
                exact.append(-F[j, i] * D[i, k])
    expected = np.mean(np.array(learned) * exact) - np.mean(learned) * np.mean(exact)
    expected /= np.std(learned) * np.std(exact)
    assert monitor.balance_correlations_[-1] == pytest.approx(expected, abs=1e-9)
    assert monitor.balance_correlations_[-1] > 0.5


def test_a_stream_is_observed_as_a_fit_is():
    params = {"max_iter": 1, "horizon": 800, "input_scale": 4.0, "decoder": "online"}
    stream = LearningMonitor(X_TEST, every=100, snapshots=[200, 1000])
    coder = DendriticBalanceCoder(**{**PARAMS, **params})
    for start in range(0, 1000, 20):
        stream.observe(coder.partial_fit(X[start : start + 20]))
    assert np.array_equal(stream.n_presentations_, [20, *range(100, 1001, 100)])
    assert stream.explained_variances_[-1] == coder.score(X_TEST)
    assert np.array_equal(stream.snapshots_at_, [200, 1000])
    assert np.array_equal(stream.dictionaries_[-1], coder.components_)
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    monitor = LearningMonitor(X_TEST, every=100, snapshots=[200, 1000])
    fit_with(monitor, shuffle=False, **params)
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(getattr(stream, name), getattr(monitor, name), err_msg=name)


@SHORT_FITS
def test_streams_go_on_after_pickling_and_new_ones_begin():
    monitor = LearningMonitor(X_TEST, snapshots=3)
    coder = DendriticBalanceCoder(9, batch_size=50, horizon=400, random_state=0)
    coder.partial_fit(X[:30])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no weights are learned yet
        monitor.observe(coder)
    for start in range(30, 930, 100):
        coder.partial_fit(X[start : start + 100])
        coder, monitor = pickle.loads(pickle.dumps((coder, monitor)))
        monitor.observe(coder)
    assert np.array_equal(monitor.n_presentations_, [30, *range(130, 931, 100)])
    assert np.isnan(monitor.explained_variances_[0])
    assert monitor.explained_variances_[-1] > 0.3
    assert monitor.snapshots_at_[0] == 30
    assert monitor.snapshots_at_[-1] == 430  # the end of the horizon
    assert len(monitor.get_logs("all")) == 1
    monitor.observe(clone(coder).partial_fit(X[:500]))
    assert np.array_equal(monitor.n_presentations_, [500])
    first, second = monitor.get_logs("all")
    assert (len(first.losses_), len(second.losses_)) == (10, 1)


def test_logs_of_several_fits(callback):
    monitor = LearningMonitor(every=1000)
    fit_with(monitor, max_iter=1)
    fit_with(monitor)
    assert np.array_equal(monitor.n_presentations_, [20, 1000, 2000])
    first, second = monitor.get_logs("all")
    assert np.array_equal(first.n_presentations_, [20, 1000])
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(monitor.get_logs()[name], second[name])
        np.testing.assert_array_equal(getattr(monitor, name), second[name])
    assert second.task_id_path == (0,)


def test_errors(callback):
    monitor = LearningMonitor(X_TEST[:, :63])
    with pytest.raises(AttributeError, match="no losses_ yet, as it has not followed any learn"):
        _ = monitor.losses_
    with pytest.raises(ValueError, match="There are no logs yet"):
        monitor.get_logs()
    with pytest.raises(ValueError, match="X has 63 features, but DendriticBalanceCoder is expect"):
        fit_with(monitor)
    assert not hasattr(monitor, "losses_")
    with pytest.raises(ValueError, match="select='last' must be"):
        monitor.get_logs("last")
    with pytest.raises(NotFittedError):
        monitor.observe(DendriticBalanceCoder())
    stream = DendriticBalanceCoder(9, random_state=0).partial_fit(X[:100])
    for _ in range(2):
        with pytest.raises(ValueError, match="X has 63 features, but DendriticBalanceCoder is ex"):
            monitor.observe(stream)
    pipeline = make_pipeline(DendriticBalanceCoder(**PARAMS)).set_callbacks(monitor)
    with pytest.raises(TypeError, match=r"set on a Pipeline: set it on the Dendritic.* inside"):
        pipeline.fit(X)
    for params, message in (
        ({"every": 0}, "The 'every' parameter of LearningMonitor"),
        ({"snapshots": -1}, "The 'snapshots' parameter of LearningMonitor"),
        ({"snapshots": [0.5]}, r"snapshots=\[0.5\] must be numbers of presentations"),
        ({"snapshots": [-5]}, r"snapshots=\[-5\] must be numbers of presentations"),
        ({"X": 1.0}, "The 'X' parameter of LearningMonitor"),
    ):
        with pytest.raises(ValueError, match=message):
            LearningMonitor(**params)


class Failing(Stopper):
    def on_fit_task_end(self, estimator, context):
        if context.task_id == self.n_blocks:
            raise RuntimeError("in the middle")


def test_points_before_a_failure_are_kept(callback):
    monitor = LearningMonitor()
    with pytest.raises(RuntimeError, match="in the middle"):
        fit_with(monitor, Failing(5))
    assert np.array_equal(monitor.n_presentations_, np.arange(20, 121, 20))
    fit_with(monitor, max_iter=1)
    assert monitor.n_presentations_[-1] == 1000


def make_search(*callbacks, n_jobs=None, pipeline=True, **params):
    coder = DendriticBalanceCoder(**{**PARAMS, "max_iter": 1}).set_callbacks(*callbacks)
    steps = [FunctionTransformer(np.sqrt), coder, Ridge()]
    model, prefix = (make_pipeline(*steps), "dendriticbalancecoder__") if pipeline else (coder, "")
    grid = {prefix + "n_components": [4, 6]}
    return GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, error_score="raise", **params)


def test_a_monitor_in_a_pipeline(callback):
    monitor = LearningMonitor(np.sqrt(X_TEST))
    coder = DendriticBalanceCoder(**PARAMS).set_callbacks(monitor)
    pipeline = make_pipeline(FunctionTransformer(np.sqrt), coder, Ridge())
    pipeline.fit(X, X[:, 0])
    alone = LearningMonitor(np.sqrt(X_TEST))
    fit_with(alone, X=np.sqrt(X))
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(getattr(monitor, name), getattr(alone, name))
    assert monitor.get_logs().task_id_path == (0, 1)
    clone(pipeline).set_params(dendriticbalancecoder__max_iter=1).fit(X, X[:, 0])
    assert monitor.n_presentations_[-1] == 1000
    assert len(monitor.get_logs("all")) == 2


@pytest.mark.parametrize(
    ("backend", "pipeline"),
    [(None, False), (None, True), ("threading", True), ("loky", True)],
)
def test_a_monitor_in_a_search(backend, pipeline, callback):
    monitor = LearningMonitor(X_TEST, snapshots=2)
    search = make_search(monitor, n_jobs=backend and 2, pipeline=pipeline)
    with joblib.parallel_config(backend or "loky"):
        search.fit(X, X[:, 0])
    best = search.best_estimator_[1] if pipeline else search.best_estimator_
    # the best parameters, which come last
    assert monitor.n_presentations_[-1] == 1000
    assert np.array_equal(monitor.firing_rates_[-1], best.firing_rates_)
    logs = monitor.get_logs("all")
    assert [log.n_presentations_[-1] for log in logs] == [500, 500, 500, 500, 1000]
    assert [log.dictionaries_.shape[1] for log in logs[:4]] == [4, 4, 6, 6]
    step = (1,) if pipeline else ()
    assert [log.task_id_path for log in logs] == [
        *((0, 0, task, *step) for task in range(4)),
        (0, 1, *step),
    ]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_monitor_in_cross_validation(n_jobs, callback):
    monitor = LearningMonitor(snapshots=1)
    coder = DendriticBalanceCoder(**PARAMS, decoder="online").set_callbacks(monitor)
    result = cross_validate(coder, X, cv=2, n_jobs=n_jobs, return_estimator=True)
    logs = monitor.get_logs("all")
    dictionaries = [log.dictionaries_[-1] for log in logs]
    for fold in result["estimator"]:
        assert any(np.array_equal(each, fold.components_) for each in dictionaries)
    assert len(logs) == 2
    assert not np.array_equal(*dictionaries)


def test_pickled_monitors_go_on_by_themselves(callback, tmp_path):
    monitor = LearningMonitor(X_TEST)
    coder = fit_with(monitor)
    loaded_coder, loaded = pickle.loads(pickle.dumps((coder, monitor)))
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(getattr(monitor, name), getattr(loaded, name))
    loaded_coder.set_params(max_iter=1).fit(X)
    assert loaded.n_presentations_[-1] == 1000
    assert monitor.n_presentations_[-1] == 2000
    assert (len(loaded.get_logs("all")), len(monitor.get_logs("all"))) == (2, 1)


LOAD = """
import pickle
coder, monitor = pickle.load(open({path!r}, "rb"))
before = len(monitor.losses_)
coder.set_params(max_iter=5).fit({data})
print(before, monitor.n_presentations_[-1], len(monitor.get_logs("all")))
"""


@pytest.mark.slow  # a process that starts anew
def test_a_monitor_is_loaded_in_another_process(callback, tmp_path):
    monitor = LearningMonitor()
    coder = fit_with(monitor, X=X[:100], n_components=2)
    path = tmp_path / "coder.pkl"
    path.write_bytes(pickle.dumps((coder, monitor)))
    del coder, monitor  # no one listens any longer
    data = "__import__('numpy').eye(64)"
    assert run_script(LOAD.format(path=str(path), data=data)).split() == ["10", "320", "2"]


# scikit-learn's own callbacks, and one that stops


@pytest.mark.filterwarnings("ignore:The estimator .* does not support callbacks")
def test_progress_bar_within_pipelines_and_searches(callback, capsys):
    pytest.importorskip("rich")
    search = make_search().set_callbacks(callback.ProgressBar(max_propagation_depth=None))
    search.fit(X, X[:, 0])
    assert "DendriticBalanceCoder" in capsys.readouterr().out
    pipeline = clone(search.estimator).set_callbacks(callback.ProgressBar())
    pipeline.fit(X, X[:, 0])
    assert "Pipeline - fit" in capsys.readouterr().out


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_scores_are_monitored_in_a_search(n_jobs, callback):
    scoring = {"explained variance": explained_variance}
    monitor = callback.ScoringMonitor(scoring=scoring)
    search = make_search(monitor, n_jobs=n_jobs)
    search.estimator.set_params(dendriticbalancecoder__batch_size=50)  # fewer scores
    search.fit(X, X[:, 0])
    log = monitor.get_logs(include_lineage=False)
    blocks = [row for row in log.data if row["task_name"] == "presentations"]
    assert {row["task_id_path"][:3] for row in blocks} == {
        *((0, 0, task) for task in range(4)),
        (0, 1, 1),
    }
    last = [row["explained variance"] for row in blocks if row["task_id_path"][:3] == (0, 1, 1)]
    assert last[0] < 0.1 < 0.3 < last[-1]
    assert search.best_estimator_[1].n_presentations_ == 1000


def explained_variance(coder, X, y):
    return coder.score(X)


@SHORT_FITS
def test_a_users_callback_stops_fits_within_pipelines_and_searches(callback):
    coder = DendriticBalanceCoder(**PARAMS).set_callbacks(Stopper(10))
    assert coder.fit(X).n_presentations_ == 200
    pipeline = make_pipeline(FunctionTransformer(np.sqrt), coder, Ridge()).fit(X, X[:, 0])
    assert pipeline[1].n_presentations_ == 200
    monitor = LearningMonitor()
    search = make_search(Stopper(10), monitor).fit(X, X[:, 0])
    ends = [log.n_presentations_[-1] for log in monitor.get_logs("all")]
    # blocks are a hundredth of a fit, or a batch
    assert ends == [200, 200, 200, 200, 200]
    assert search.predict(X).shape == (1000,)


def test_only_codes_before_learning_come_with_a_warning(callback):
    # all rows of a fit make less than a batch
    monitor = LearningMonitor(X_TEST)
    with pytest.warns(ConvergenceWarning) as record:
        fit_with(monitor, max_iter=1, batch_size=2000, decoder="online")
    assert ["updated 0 times only" in str(each.message) for each in record] == [True]
    assert np.isnan(monitor.explained_variances_).all()
