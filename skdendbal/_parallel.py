"""Threads, workers, and arrays that come from elsewhere."""

import functools
import itertools
import os
import threading
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ContextDecorator, contextmanager, suppress
from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import ThreadingBackend, get_active_backend
from threadpoolctl import OpenBLASController, ThreadpoolController


class OneBlasThread(ContextDecorator):
    """Context with one BLAS thread, so that results are the same to the bit everywhere.

    The number of threads belongs to the process: the first of concurrent fits sets it and the
    last one restores it.
    """

    lock = threading.Lock()
    inside: ClassVar = Counter()  # how often each thread is inside
    limiter = None

    def __enter__(self):
        cls = type(self)
        with cls.lock:
            if not cls.inside:
                _release_control()
                cls.limiter = _blas().limit(limits=1, user_api="blas")
            cls.inside[threading.get_ident()] += 1

    def __exit__(self, *exception):
        cls = type(self)
        with cls.lock:
            cls.inside -= Counter([threading.get_ident()])  # leaves out what is zero
            cls._restore()

    @classmethod
    def _restore(cls):
        if not cls.inside and cls.limiter is not None:
            _release_control()
            cls.limiter.restore_original_limits()
            _release_control()
            cls.limiter = None

    @classmethod
    def _after_in_child(cls):
        """Forget the fits of threads that the child of a fork does not have."""
        me = threading.get_ident()
        cls.inside = Counter({me: cls.inside[me]} if cls.inside[me] else ())
        cls._restore()
        cls.lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=OneBlasThread.lock.acquire,
        after_in_parent=OneBlasThread.lock.release,
        after_in_child=OneBlasThread._after_in_child,
    )


def _release_control():
    """Let any thread limit BLAS: threadpoolctl from 3.8 on reserves this to the first that did."""
    if hasattr(OpenBLASController, "clear_controlling_thread"):
        OpenBLASController.clear_controlling_thread(force=True)


@functools.cache
def _blas():
    return ThreadpoolController()


def as_kernel_array(values):
    """Return an array as kernels take it: float64, C-contiguous and writable.

    Kernels are compiled for such arrays only. A user's rows, and arrays from another process, may
    be of another kind.

    Parameters
    ----------
    values : array-like
        Numbers.

    Returns
    -------
    array : ndarray
        `values` itself if possible.
    """
    if type(values) is np.ndarray and values.dtype == np.float64 and values.flags.carray:
        return values  # ten times as fast
    return np.require(values, np.float64, "CAWE")


def as_writable(value):
    """Return an array as kernels take it, whatever its dtype, and all else as it is.

    Parameters
    ----------
    value : object
        An array that may have come from another process, or a number.

    Returns
    -------
    value : object
        The same, C-contiguous and writable if it is an array.
    """
    if not isinstance(value, np.ndarray) or (type(value) is np.ndarray and value.flags.carray):
        return value
    return np.require(value, requirements="CAWE")


@contextmanager
def threads(n_jobs):
    """Give a function that applies another to many arguments, in this thread and in others.

    It does without joblib, which checks on its threads only every 10 ms, when a batch has long
    been done. The calling thread works, too: to wake one thread less saves a tenth of the time of
    a batch.

    Parameters
    ----------
    n_jobs : int
        Number of threads.

    Yields
    ------
    apply : callable
        ``apply(function, arguments)`` returns ``function(*each)`` for each of the arguments.
    """
    if n_jobs == 1:
        yield itertools.starmap
        return

    def apply(function, arguments):
        waiting, stops = deque(enumerate(arguments)), [None] * n_jobs
        results = [None] * len(waiting)
        waiting.extend(stops)

        def work():
            try:
                for i, each in iter(waiting.popleft, None):
                    results[i] = function(*each)
            finally:
                waiting.extendleft(stops)  # if this thread fails, the others stop

        try:
            others = []
            with suppress(RuntimeError):  # no thread can be started: this one does it all
                for _ in range(min(n_jobs, len(results)) - 1):
                    others.append(pool.submit(work))
            work()
            for other in others:
                other.result()
        finally:
            waiting.extendleft(stops)
        return results

    pool = ThreadPoolExecutor(n_jobs - 1)
    try:
        yield apply
    finally:
        pool.shutdown(wait=False)  # an interrupt does not wait for what the others are doing


@contextmanager
def workers(n_jobs):
    """Give what :func:`threads` gives, on the workers of joblib's backend if the user chose one.

    Parameters
    ----------
    n_jobs : int or None
        Number of workers as joblib understands it.

    Yields
    ------
    apply : callable
        As that of :func:`threads`.
    """
    n_workers = effective_n_jobs(n_jobs)
    if n_workers == 1 or isinstance(get_active_backend(prefer="threads")[0], ThreadingBackend):
        with threads(n_workers) as apply:
            yield apply
        return
    # Arguments go in a tuple, because dask would store bare arrays on workers and lose them when a
    # worker dies. They never go through files (max_nbytes=None), because joblib does not write
    # these again when an array has changed.
    with Parallel(n_jobs=n_jobs, max_nbytes=None) as parallel:
        yield lambda *call: parallel(delayed(_apply)(call[0], each) for each in call[1])


def _apply(function, arguments):
    return function(*arguments)
