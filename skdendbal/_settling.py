"""Balanced codes: rates that settle where the potentials of exact balance are zero."""

from functools import cached_property

import numpy as np

from . import _kernels
from ._parallel import OneBlasThread, as_kernel_array


class Settling:
    """Lets codes settle, so that they are in balance with a decoder.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        The decoder, in units of the rows. It is copied.
    scale : float
        What rows are divided by.
    """

    def __init__(self, components, scale):
        self.components, self.scale = np.array(components, dtype=float, order="C"), scale
        with OneBlasThread(), np.errstate(over="ignore", invalid="ignore"):
            scaled = self.components / scale
            self.recurrent = -(scaled @ scaled.T)

    @cached_property
    def _decoder(self):
        return np.ascontiguousarray(self.components.T)

    def is_for(self, components, scale):
        """Tell whether a decoder is the one that this was made for.

        Parameters
        ----------
        components : ndarray of shape (n_components, n_features)
            A decoder, in units of the rows.
        scale : float
            What rows are divided by.

        Returns
        -------
        is_for : bool
            Whether all values are the same.
        """
        return self.scale == scale and np.array_equal(self.components, components)

    def settle(self, X, codes, shrinkage=0.0, min_contribution=0.0, recruitment=False):
        """Let codes settle.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features), float64, C-contiguous
            Rows.
        codes : ndarray of shape (n_rows, n_components), float64, C-contiguous
            Firing rates that they evoke, changed in place.
        shrinkage : float, default=0.0
            The potential that is left to active neurons, for a scaled row and an atom of norm 1.
        min_contribution : float, default=0.0
            By how much an entry must lower the squared error of its scaled row to be kept.
        recruitment : bool, default=False
            Whether neurons that did not spike may join.
        """
        n_active = 1 + np.count_nonzero(codes) // len(codes)
        n_read = codes.shape[1] if recruitment else n_active
        step = max(1, int(_kernels.WORK_PER_CALL / (n_read * (n_active**2 + X.shape[1]))))
        decoder = self._decoder if recruitment else self.components
        components, decoder, recurrent = map(
            as_kernel_array, (self.components, decoder, self.recurrent)
        )
        for i in range(0, len(X), step):
            part = slice(i, i + step)
            _kernels.call_interruptibly(
                _kernels.settle_rows,
                X[part], self.scale, components, decoder, recurrent,
                float(shrinkage), float(min_contribution), bool(recruitment), codes[part],
            )  # fmt: skip
