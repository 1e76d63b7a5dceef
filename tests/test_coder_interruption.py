"""The estimator while it works: Ctrl-C, callbacks, progress."""

import os
import signal
import threading

import numpy as np
import pytest
from coders import DIGITS, FAST, as_bytes
from sklearn.exceptions import NotFittedError

from skdendbal import DendriticBalanceCoder


def interrupt_after(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_interrupted_fit_leaves_the_estimator_as_it_was():
    endless = {"max_iter": 10**7, "random_state": 0}
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
