"""The estimator while it works: Ctrl-C, callbacks, progress."""

import os
import signal
import threading

import numpy as np
import pytest
from coders import DIGITS, FAST, as_bytes
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skdendbal import DendriticBalanceCoder


@pytest.fixture
def interrupt_after():
    """Interrupt this process later, even in the background, where SIGINT is ignored by default."""

    def start(seconds):
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield start
    signal.signal(signal.SIGINT, handler)


def test_interrupted_fit_leaves_the_estimator_as_it_was(interrupt_after):
    endless = {"max_iter": 10**7, "tol": None, "random_state": 0}
    coder = DendriticBalanceCoder(20, **endless)
    interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        coder.fit(DIGITS)
    assert vars(coder) == vars(DendriticBalanceCoder(20, **endless))
    with pytest.raises(NotFittedError):
        coder.transform(DIGITS)

    coder.set_params(max_iter=1).fit(DIGITS[:, :30])
    codes = coder.transform(DIGITS[:, :30])
    interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        coder.set_params(max_iter=10**7).fit(DIGITS)
    assert coder.n_features_in_ == 30
    assert np.array_equal(coder.transform(DIGITS[:, :30]), codes)

    before = as_bytes(coder.network_)
    interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        coder.partial_fit(np.repeat(DIGITS[:, :30], 200, axis=0))
    assert as_bytes(coder.network_) == before


class Recorder:
    """A scikit-learn callback that keeps the scores of the growing estimator."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.scores, self.begun = [], 0

    def setup(self, estimator, context):
        self.max_subtasks = context.max_subtasks

    def on_fit_task_begin(self, estimator, context):
        self.begun += 1

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.scores.append(fitted_estimator.score(X[:200]))
        return len(self.scores) == self.stop_after

    def teardown(self, estimator, context):
        self.done = True


def test_callbacks_follow_and_stop_a_fit():
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    params = {"n_components": 16, "max_iter": 2, "batch_size": 16, "random_state": 0}
    params["decoder"] = "online"  # as callbacks see it
    plain = DendriticBalanceCoder(**params).fit(DIGITS)
    recorder = Recorder()
    coder = DendriticBalanceCoder(**params).set_callbacks(recorder)
    coder.fit(DIGITS)
    assert recorder.done
    # 225 batches in blocks of three, and the fit itself
    assert recorder.max_subtasks == 75
    assert recorder.begun == len(recorder.scores) == 76
    assert recorder.scores[-1] == coder.score(DIGITS[:200]) > recorder.scores[0]
    assert np.array_equal(coder.components_, plain.components_)

    recorder = Recorder(stop_after=10)
    coder.set_callbacks(recorder).fit(DIGITS)
    assert coder.n_iter_ == 1
    assert coder.n_steps_ == 10 * 3
    assert coder.score(DIGITS[:200]) == recorder.scores[-1]


def test_a_failing_callback_leaves_the_estimator_as_it_was():
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")

    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            if context.parent is None:
                raise RuntimeError("after the last task")

    coder = DendriticBalanceCoder(4, **FAST).set_callbacks(Failing())
    with pytest.raises(RuntimeError, match="after the last task"):
        coder.fit(DIGITS)
    with pytest.raises(NotFittedError):
        coder.transform(DIGITS)


def test_progress_bar(capsys):
    callback = pytest.importorskip("sklearn.callback", reason="came with scikit-learn 1.9")
    coder = DendriticBalanceCoder(4, **FAST).set_callbacks(callback.ProgressBar())
    coder.fit(DIGITS)
    assert "DendriticBalanceCoder - fit" in capsys.readouterr().out


def test_scores_are_monitored_where_y_is_given():
    callback = pytest.importorskip("sklearn.callback", reason="came with scikit-learn 1.9")
    scoring = {"explained variance": lambda coder, X, y: coder.score(X)}
    monitor = callback.ScoringMonitor(scoring=scoring)
    coder = DendriticBalanceCoder(16, max_iter=2, decoder="online", random_state=0)
    coder.set_callbacks(monitor)
    coder.fit(DIGITS, y=DIGITS)  # coders ignore y, but the monitor does nothing without it
    tasks = [row for row in monitor.get_logs().data if row["task_name"] == "presentations"]
    scores = [row["explained variance"] for row in tasks]
    assert len(scores) == 57  # 56 batches of 64, and what is left
    assert scores[0] < 0.1 < 0.5 < scores[-1] == coder.score(DIGITS)


RAISED = pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")


@RAISED
def test_a_raised_warning_of_fit_leaves_the_estimator_as_it_was():
    coder = DendriticBalanceCoder(4, **FAST)
    with pytest.raises(ConvergenceWarning, match="updated 1 times only"):
        coder.fit(DIGITS[:100])
    with pytest.raises(NotFittedError):
        coder.transform(DIGITS)


@RAISED
def test_a_raised_warning_of_a_stream_consumes_nothing():
    # the warning comes with the call that reaches the horizon, after updates that are too few
    params = {"horizon": 150, "batch_size": 20, "input_scale": 4.0, "random_state": 0}
    coder = DendriticBalanceCoder(4, **params).partial_fit(DIGITS[:100])
    before = as_bytes(coder.network_)
    with pytest.raises(ConvergenceWarning, match="updated 7 times only"):
        coder.partial_fit(DIGITS[100:150])
    assert as_bytes(coder.network_) == before
    coder.partial_fit(DIGITS[100:149])
    whole = DendriticBalanceCoder(4, **params).partial_fit(DIGITS[:149])
    assert as_bytes(coder.network_) == as_bytes(whole.network_)
