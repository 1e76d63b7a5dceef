"""How kernels are compiled, kept on disk and called."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numba
from numba.core.caching import FunctionCache

WORK_PER_CALL = 1e8  # inner operations, about 0.1 s, after which a kernel returns to Python


def _hash_sources():
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).digest()


class _KernelCache(FunctionCache):
    """Numba's cache of one function, fresh as long as no file of this folder has changed.

    Numba itself looks only at the file of the function, but a kernel also contains what it calls.
    """

    sources = _hash_sources()

    def __init__(self, function):
        super().__init__(function)
        self._cache_file._source_stamp = self.sources


def compiled(**options):
    """Decorate a function that numba compiles.

    The machine code is kept on disk, or in memory where numba finds no folder to write to.

    Parameters
    ----------
    **options : dict
        Further options of :func:`numba.njit`.
    """

    def decorate(function):
        dispatcher = numba.njit(nogil=True, **options)(function)
        with suppress(RuntimeError):  # neither beside this file nor in a folder of the user
            dispatcher._cache = _KernelCache(function)
        return dispatcher

    return decorate


def call_interruptibly(kernel, *args):
    """Call a kernel; if it must be compiled first, call it in a thread of its own.

    Ctrl-C then reaches the caller at once. If it hit the compilation itself, the compiled function
    would be broken, or the compilation would go on and the interrupt would be lost.
    """
    if kernel.overloads:
        return kernel(*args)
    pool = ThreadPoolExecutor(1)
    result = pool.submit(kernel, *args)
    pool.shutdown(wait=False)
    return result.result()
