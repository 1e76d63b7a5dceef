"""The bits of a number, read as those of a number of another type."""

import numba
import numpy as np
from numba.extending import intrinsic

from .compilation import COMPILES


def make_bit_cast(source, target):
    """Return a function, for kernels, that reads the bits of a number as another type.

    Parameters
    ----------
    source, target : type
        Types of numpy of the same size.
    """
    if not COMPILES:
        return lambda number: source(number).view(target)

    @intrinsic
    def bit_cast(typingctx, number):
        def codegen(context, builder, signature, args):
            return builder.bitcast(args[0], context.get_value_type(signature.return_type))

        types = [numba.from_dtype(np.dtype(each)) for each in (target, source)]
        return types[0](types[1]), codegen

    return bit_cast
