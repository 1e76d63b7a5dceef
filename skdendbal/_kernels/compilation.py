"""How kernels are compiled, kept on disk and called.

Where numba is told not to compile (``NUMBA_DISABLE_JIT=1``), kernels run as they are: slowly, with
the same law.
"""

import contextlib
import hashlib
import os
import threading
import warnings
from concurrent.futures import Future
from pathlib import Path

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.compiler_lock import global_compiler_lock

WORK_PER_CALL = 1e8  # inner operations, about 0.1 s, after which a kernel returns to Python
COMPILES = not numba.config.DISABLE_JIT


def _hash_sources():
    """Return a hash of the files of this folder, or None in an archive, which has none."""
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(sources)).digest() if sources else None


class _KernelCache(FunctionCache):
    """Numba's cache of one function. Whatever goes wrong with it, no fit fails.

    It is fresh as long as no file of this folder has changed. Numba itself looks only at the file
    of the function, but a kernel also contains what it calls.
    """

    sources = _hash_sources()
    has_warned = False

    def __init__(self, function):
        super().__init__(function)
        if self.sources:
            self._cache_file._source_stamp = self.sources

    def load_overload(self, sig, target_context):
        """Return the compiled function, or None if there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever a damaged file leads to
            self._warn(error)
            return None

    def save_overload(self, sig, data):
        """Keep a compiled function if possible."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            self._warn(error)
            with contextlib.suppress(Exception):  # a damaged index is begun anew
                self.flush()
                super().save_overload(sig, data)

    def _warn(self, error):
        if not _KernelCache.has_warned:
            _KernelCache.has_warned = True
            warnings.warn(
                f"Compiled kernels cannot be read or written in {self.cache_path}: {error!r}. "
                "They are compiled in memory, which every process then has to do. Delete that "
                "folder, or let NUMBA_CACHE_DIR name one that can be written to.",
                stacklevel=2,
            )


def compiled(*, allocates=False, **options):
    """Decorate a function that numba compiles.

    The machine code is kept on disk, or in memory where numba finds no folder to write to.

    Parameters
    ----------
    allocates : bool, default=False
        Whether the function makes arrays, as it also does with `a[:] = b`. Only then does numba
        count references to arrays, which would take a tenth of the time of a short presentation.
    **options : dict
        Further options of :func:`numba.njit`.
    """

    def decorate(function):
        if not COMPILES:
            return function
        dispatcher = numba.njit(nogil=True, _nrt=allocates, **options)(function)
        with contextlib.suppress(RuntimeError, OSError):  # there is no folder to write to
            dispatcher._cache = _KernelCache(function)
        return dispatcher

    return decorate


def inner(**options):
    """Decorate a function that only compiled functions call, which takes less time to compile.

    A call from Python would end the process.

    Parameters
    ----------
    **options : dict
        Further options of :func:`numba.njit`.
    """
    return compiled(no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)


def call_interruptibly(kernel, *args):
    """Call a kernel; if it must be compiled first, call it in a thread of its own.

    Ctrl-C then reaches the caller at once. If it hit the compilation itself, the compiled function
    would be broken, or the compilation would go on and the interrupt would be lost.
    """
    if not COMPILES:
        with np.errstate(over="ignore"):  # random numbers are integers that wrap around
            return kernel(*args)
    if kernel.overloads:
        return kernel(*args)
    result = Future()

    def call():
        try:
            result.set_result(kernel(*args))
        except BaseException as error:
            result.set_exception(error)

    try:
        threading.Thread(target=call).start()
    except RuntimeError:  # no thread can be started, for example while the interpreter ends
        return kernel(*args)
    return result.result()


if hasattr(os, "register_at_fork"):  # a fork waits until no other thread compiles
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )
