"""The rows of X, whatever container holds them: blocks for kernels, their order, their moments."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from ._parallel import as_kernel_array

MAX_ROWS_AT_ONCE = 1024  # that are converted to dense float64
_MAX_ENTRIES_AT_ONCE = 1 << 22
_TINY = 1e-12  # for rows that are all equal


def rows_at_once(n_features):
    """Return the number of rows that are converted to dense float64 at once.

    Parameters
    ----------
    n_features : int
        Number of columns.

    Returns
    -------
    n_rows : int
        At least one.
    """
    return max(1, min(MAX_ROWS_AT_ONCE, _MAX_ENTRIES_AT_ONCE // n_features))


def take_rows(X, which):
    """Return some rows as kernels take them.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Valid data.
    which : slice or ndarray of int
        Which rows.

    Returns
    -------
    rows : ndarray of shape (n_rows, n_features), float64, C-contiguous
        The rows, dense.
    """
    rows = X[which]
    return as_kernel_array(rows.toarray() if issparse(rows) else rows)


def blocks(X):
    """Yield all rows in blocks.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Valid data.

    Yields
    ------
    start : int
        Number of the first row of the block.
    rows : ndarray of shape (n_rows, n_features), float64, C-contiguous
        The rows of the block, dense.
    """
    size = rows_at_once(X.shape[1])
    for start in range(0, X.shape[0], size):
        yield start, take_rows(X, slice(start, start + size))


def presentation_order(n_samples, n_passes, size, random_state):
    """Yield the numbers of the rows of some passes in blocks.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_passes : int
        How often all rows are presented.
    size : int
        Number of rows in a block. Only the last may be shorter.
    random_state : RandomState or None
        Source of a new order in each pass. None keeps the order of the rows.

    Yields
    ------
    numbers : ndarray of shape (size,)
        Numbers of rows.
    """
    waiting = np.empty(0, dtype=np.intp)
    passes = iter(range(n_passes))
    for block in gen_batches(n_samples * n_passes, size):
        parts, n = [waiting], len(waiting)
        while n < block.stop - block.start:
            next(passes)
            order = np.arange(n_samples)
            parts.append(random_state.permutation(order) if random_state else order)
            n += n_samples
        rows = np.concatenate(parts)
        yield rows[:size]
        waiting = rows[size:]


def dtypes_to_keep(X):
    """Return what the dtype of validated data may be.

    Parameters
    ----------
    X : array-like or sparse matrix
        Data before validation.

    Returns
    -------
    dtypes : list of dtype or None
        None keeps that of X; other kinds become float64 as a whole.
    """
    is_array = isinstance(X, np.ndarray) or issparse(X)
    return None if is_array and X.dtype.kind in "buif" else [np.float64, np.float32]


def find_exponent(X):
    """Return e such that the squares of X / 2^e neither overflow nor vanish.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Valid data.

    Returns
    -------
    exponent : int
        The exponent e.
    """
    return np.frexp(max(float(X.max()), -float(X.min())))[1]


@dataclass
class Moments:
    """Means over the rows of X / 2^exponent.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Mean of the rows.
    mean_squares : ndarray of shape (n_features,)
        Mean of their squares, by column.
    mean_squared_norm : float
        Mean of their squared norms.
    exponent : int
        See :func:`find_exponent`.
    """

    mean: np.ndarray
    mean_squares: np.ndarray
    mean_squared_norm: float
    exponent: int

    @classmethod
    def of_rows(cls, X):
        """Measure the moments of rows.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Valid data.

        Returns
        -------
        moments : Moments
            Their moments.
        """
        exponent = find_exponent(X)
        total, squares, square = 0.0, 0.0, 0.0
        for _, x in blocks(X):
            x = np.ldexp(x, -exponent)
            total = total + x.sum(axis=0)
            np.square(x, out=x)
            squares, square = squares + x.sum(axis=0), square + x.sum()
        n_rows = X.shape[0]
        return cls(total / n_rows, squares / n_rows, square / n_rows, exponent)

    @property
    def root_mean_squared_norm(self):
        """Root of the mean squared norm of a row of X itself, at most the largest number."""
        with np.errstate(over="ignore"):
            norm = float(np.ldexp(np.sqrt(self.mean_squared_norm), self.exponent))
        return min(norm, np.finfo(np.float64).max)

    @property
    def offset(self):
        """Norm of the mean row, in root mean squared deviations from it, or 0 for equal rows."""
        offset = np.vdot(self.mean, self.mean)
        variance = self.mean_squared_norm - offset
        return math.sqrt(offset / variance) if variance > _TINY * offset else 0.0

    @property
    def spread_of_scales(self):
        """Largest standard deviation of a column, relative to their median."""
        variances = self.mean_squares - self.mean**2
        variances = variances[variances > _TINY * self.mean_squares]  # without constant columns
        return math.sqrt(variances.max() / np.median(variances)) if len(variances) > 0 else 1.0
