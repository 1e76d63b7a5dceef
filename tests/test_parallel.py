"""Threads, workers and arrays from elsewhere: no result depends on them."""

import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import joblib
import numpy as np
import pytest
from coders import DIGITS
from networks import SMALL, VARIANTS, make_trained
from threadpoolctl import threadpool_info, threadpool_limits

from skdendbal import DendriticBalanceCoder, network
from skdendbal._parallel import OneBlasThread, threads


def read_only(value):
    """Return a copy with read-only arrays, as some backends of joblib pass them on."""
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.flags.writeable = False
    elif isinstance(value, dict):
        value = {name: read_only(each) for name, each in value.items()}
    elif isinstance(value, tuple):
        parts = map(read_only, value)
        value = type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


@pytest.mark.parametrize("name", [*VARIANTS, "several parts"])
def test_workers_may_get_and_return_what_cannot_be_written_to(name):
    settings = VARIANTS.get(name, replace(SMALL, batch_size=40))
    net, X = make_trained(settings)
    elsewhere = copy.deepcopy(net)

    def apply(function, arguments):
        return [read_only(function(*read_only(each))) for each in arguments]

    network.learn(net, settings, X)
    network.learn(elsewhere, settings, X, apply=apply)
    assert np.array_equal(elsewhere.decoder, net.decoder)
    assert np.array_equal(elsewhere.recurrent, net.recurrent)
    _, spikes = network.evaluate(net, settings, X)
    _, same = network.evaluate(elsewhere, settings, X, apply=apply)
    assert np.array_equal(spikes, same)


def blas_threads():
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def test_concurrent_runs_restore_the_threads_of_blas():
    with threadpool_limits(2, user_api="blas"):
        nets = [make_trained(SMALL) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda net: network.learn(net[0], SMALL, net[1]), nets))
        assert blas_threads() == {2}


def test_blas_is_limited_and_restored_by_any_thread():
    def limited():
        with OneBlasThread():
            return blas_threads()

    first, last = OneBlasThread(), OneBlasThread()
    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as pool:
        assert limited() == {1}
        assert pool.submit(limited).result() == {1}
        assert blas_threads() == {2}
        first.__enter__()
        pool.submit(last.__enter__).result()
        first.__exit__()
        assert blas_threads() == {1}
        pool.submit(last.__exit__).result()
        assert blas_threads() == {2}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"learning_rule": "dendritic-simultaneous"},
        {"n_components": 400, "rate": 0.2},  # fewer spikes than neurons
        {"delay": 5.0, "learning_rule": "somatic"},
    ],
    ids=["default", "simultaneous", "few spikes", "delay"],
)
def test_learning_does_not_depend_on_workers(params):
    X = DIGITS[:120, 20:40]
    params = {"n_components": 12, "batch_size": 36, "max_iter": 2, "random_state": 0, **params}
    coder = DendriticBalanceCoder(**params).fit(X)
    for n_jobs in (2, 5):
        parallel = DendriticBalanceCoder(**params, n_jobs=n_jobs).fit(X)
        assert np.array_equal(parallel.components_, coder.components_)
        assert np.array_equal(parallel.firing_rates_, coder.firing_rates_)
    for backend in ("loky", "threading"):
        with joblib.parallel_config(backend, n_jobs=2):
            parallel = DendriticBalanceCoder(**params).fit(X)
        assert np.array_equal(parallel.components_, coder.components_)
    # pieces of the stream may split a batch, and the parts of a batch that workers share
    streams = [
        DendriticBalanceCoder(**params, n_jobs=n, input_scale=10.0, horizon=240) for n in (1, 2, 2)
    ]
    for stream, cuts in zip(streams, ([], [], [3, 11, 12, 50, 97]), strict=True):
        for piece in np.split(X, cuts):
            stream.partial_fit(piece)
        assert np.array_equal(stream.components_, streams[0].components_)
        assert np.array_equal(stream.transform(X), streams[0].transform(X))


def test_an_error_in_another_thread_stops_this_one():
    main, failed, calls = threading.current_thread(), threading.Event(), []

    def work(i):
        calls.append(i)
        if threading.current_thread() is not main:
            failed.set()
            raise ZeroDivisionError
        failed.wait(10.0)
        time.sleep(0.05)

    with pytest.raises(ZeroDivisionError), threads(2) as apply:
        apply(work, [(i,) for i in range(100)])
    assert len(calls) < 10


def test_an_error_does_not_wait_for_other_threads():
    main, started, over = threading.current_thread(), threading.Event(), threading.Event()
    finished = []

    def work(i):
        if threading.current_thread() is main:
            started.wait(10.0)
            raise ZeroDivisionError
        started.set()
        over.wait(10.0)
        finished.append(i)

    with pytest.raises(ZeroDivisionError), threads(2) as apply:
        apply(work, [(i,) for i in range(100)])
    assert finished == []
    over.set()
