"""Refusal of arrays that do not fit into the memory of the machine."""

import os


def check_memory(n_bytes, what, remedy):
    """Refuse arrays that are larger than the memory of the machine.

    Parameters
    ----------
    n_bytes : int
        Their size, with copies if there are some.
    what : str
        What they are, with the parameters that decide on their size.
    remedy : str
        What to change.

    Raises
    ------
    MemoryError
        If they do not fit.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not told on this platform
        return
    if n_bytes > memory:
        raise MemoryError(
            f"{what} take {n_bytes / 2**30:.3g} GiB of {memory / 2**30:.3g} GiB. {remedy}"
        )
