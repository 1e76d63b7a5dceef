"""Threads, workers and arrays from elsewhere: no result depends on them."""

import copy
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import joblib
import numpy as np
import pytest
from coders import DIGITS
from networks import SMALL, VARIANTS, make_trained
from processes import run_script
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


# The process around it

FIT = """if True:
    import atexit, os, signal, threading, time
    import numpy as np
    from skdendbal import DendriticBalanceCoder
    X = np.random.default_rng(0).random((640, 8))

    def fit_and_code(n_jobs):
        params = {"max_iter": 2, "random_state": 0, "n_jobs": n_jobs, "horizon": 600}
        coder = DendriticBalanceCoder(4, **params).fit(X)
        return float(coder.transform(X).sum())
"""


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_exit_handlers_may_fit_and_code(n_jobs):
    script = (
        FIT
        + f"""
    atexit.register(lambda: print(fit_and_code({n_jobs})))
    """
    )
    assert float(run_script(script)) > 0.0


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_thread_that_outlives_the_main_one_may_fit_and_code(n_jobs):
    script = (
        FIT
        + f"""
    def later():
        threading.main_thread().join()  # the interpreter is about to end
        time.sleep(0.2)
        print(fit_and_code({n_jobs}))
    threading.Thread(target=later).start()
    """
    )
    assert float(run_script(script)) > 0.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes fork on POSIX only")
def test_children_of_a_fork_have_locks_and_limits_of_their_own():
    # children fork while another thread fits, that is, mostly while it limits the threads of BLAS
    script = (
        FIT
        + """
    import warnings
    from threadpoolctl import threadpool_info, threadpool_limits
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks where threads run
    threadpool_limits(2, user_api="blas")
    expected, stop = fit_and_code(1), threading.Event()

    def keep_fitting():
        while not stop.is_set():
            fit_and_code(1)
    thread = threading.Thread(target=keep_fitting)
    thread.start()
    wrong = 0
    for _ in range(30):
        time.sleep(0.003)
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # a child that hangs is killed
            right = fit_and_code(2) == expected
            blas = [each for each in threadpool_info() if each["user_api"] == "blas"]
            limits = {each["num_threads"] for each in blas}
            os._exit(0 if right and limits == {2} else 1)
        wrong += os.waitpid(child, 0)[1] != 0
    stop.set()
    thread.join()
    print(wrong)
    """
    )
    assert run_script(script) == "0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes fork on POSIX only")
def test_a_fork_waits_until_another_thread_has_compiled():
    script = (
        FIT
        + """
    import numba, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    from skdendbal._kernels.compilation import compiled, call_interruptibly

    def make(i):
        def kernel(x):
            for k in range(10):
                x = np.sqrt(x + k) + np.sin(x) * i
            return x
        return numba.njit(kernel)
    threads = [threading.Thread(target=lambda i=i: make(i)(np.ones(3))) for i in range(4)]
    for thread in threads:
        thread.start()
    wrong = 0
    for i in range(5):
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            call_interruptibly(make(9), np.ones(3))
            os._exit(0)
        wrong += os.waitpid(child, 0)[1] != 0
    for thread in threads:
        thread.join()
    print(wrong)
    """
    )
    assert run_script(script) == "0\n"


def test_without_helpers_the_calling_thread_works(monkeypatch):
    def refuse(*args):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    main, names = threading.current_thread(), []

    def work(i):
        names.append(threading.current_thread())
        return i

    with threads(3) as apply:
        assert apply(work, [(i,) for i in range(7)]) == list(range(7))
    assert names == [main] * 7
