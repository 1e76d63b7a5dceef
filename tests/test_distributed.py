"""Learning on a cluster of processes; run with ``pytest -m distributed``."""

import os
import signal
import threading

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder

pytestmark = pytest.mark.distributed
X = load_digits().data


@pytest.fixture
def client():
    distributed = pytest.importorskip("distributed", reason="needs dask.distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_worker_that_dies_changes_nothing(client):
    coder = DendriticBalanceCoder(32, batch_size=128, max_iter=6, random_state=0)
    expected = coder.fit(X).components_
    learned, killed = threading.Event(), []

    def kill():
        if not learned.wait(2.0):
            pids = client.run(os.getpid)
            victim = next(iter(pids))
            os.kill(pids[victim], signal.SIGKILL)
            killed.append((victim, learned.is_set()))

    thread = threading.Thread(target=kill)
    with joblib.parallel_config("dask"):
        thread.start()
        coder.fit(X)
    learned.set()
    thread.join()
    assert killed
    assert not killed[0][1]  # it died while the coder learned
    assert np.array_equal(coder.components_, expected)
