"""Implicit learning steps: what weights become when a rule acts for a whole batch at once.

An explicit step of that size may overshoot. Backward Euler steps and exact solutions cannot, and
have the same fixed points and the same limit of small steps.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsymm
from scipy.linalg.lapack import dposv, dpotrf, dpotri

MAX_RELATIVE_STEP = 1e3  # learning step relative to the weights, above which inverses are inexact


@dataclass
class TraceSubspace:
    """Orthonormal directions that span the traces of some presentations.

    Parameters
    ----------
    units : ndarray of shape (n,)
        Neurons that spiked: each is a direction of its own.
    decays : ndarray of shape (n_components, n_decays)
        Directions of the initial traces of the other neurons, which only decay.
    """

    units: np.ndarray
    decays: np.ndarray

    @classmethod
    def of_spikes(cls, units, starts):
        """Find the subspace of the traces of some presentations.

        Parameters
        ----------
        units : ndarray of shape (n_spikes,)
            Neurons that spiked, repeated or not.
        starts : ndarray of shape (n_lanes, n_components)
            Traces at the first step of each presentation.

        Returns
        -------
        subspace : TraceSubspace
            It holds the traces at all steps.
        """
        n_units = starts.shape[1]
        grown = np.bincount(units, minlength=n_units) > 0
        directions = starts[:, ~grown].T
        if directions.shape[1] > 1:
            directions, _ = np.linalg.qr(directions)
        else:  # the same but for its sign, several times as fast; zero stays zero
            directions /= np.linalg.norm(directions) or 1.0
        decays = np.zeros((n_units, directions.shape[1]))
        decays[~grown] = directions
        return cls(np.flatnonzero(grown), decays)

    def project(self, vectors):
        """Find coordinates in the subspace.

        Parameters
        ----------
        vectors : ndarray of shape (..., n_components)
            Vectors of one number a neuron.

        Returns
        -------
        coordinates : ndarray of shape (..., n + n_decays)
            Their coordinates.
        """
        return np.concatenate([vectors[..., self.units], vectors @ self.decays], axis=-1)

    def put(self, coordinates, vectors):
        """Give vectors other coordinates in the subspace; what is outside it stays.

        Parameters
        ----------
        coordinates : ndarray of shape (n_vectors, n + n_decays)
            What `project` will return for the changed vectors.
        vectors : ndarray of shape (n_vectors, n_components)
            Changed in place.
        """
        n = len(self.units)
        change = coordinates[:, n:] - vectors @ self.decays
        vectors += np.dot(change, self.decays.T)  # matmul is slow where there is one decay
        vectors[:, self.units] = coordinates[:, :n]


def follow(weights, batch, rate, response=None, decay=0.0):
    """Move weights w by a backward Euler step of ``dw = rate ((target - w z) z^T - decay w)``.

    Where spikes are few, the sum of z z^T is not formed.

    Parameters
    ----------
    weights : ndarray of shape (n, n_components)
        Changed in place.
    batch : Batch
        Sums over all steps of the batch.
    rate : float
        Learning rate times the duration of a step.
    response : ndarray of shape (n, n_features), default=None
        The target is the product of this matrix with the input, or the input itself.
    decay : float, default=0.0
        Decay of the weights in a step, relative to the rate.

    Returns
    -------
    explained : float
        Sum over all steps of ``2 target^T w z - |w z|^2`` with the weights before learning: the
        squared target less the squared error.
    """
    # ((1 + a) I + rate sum z z^T) w_new = w + rate sum target z^T, divided by 1 + a
    a = rate * decay * batch.n_steps
    rate, kept = rate / (1.0 + a), 1.0 / (1.0 + a)
    if not batch.few_spikes:
        sum_yz = batch.sum_xz if response is None else response @ batch.sum_xz
        return _solve(weights, sum_yz, batch.sum_zz, rate, kept)
    new, old = batch.new, batch.old
    if response is not None:
        new, old = new @ response.T, old @ response.T
    # only coordinates in the span of the traces learn; those outside it are kept in part
    subspace = batch.subspace
    inside, sum_wz = subspace.project(weights), subspace.project(batch.sum_wz)
    sum_yz = np.dot(new.T, sum_wz[:, 0])  # matmul is slow where there is one lane
    sum_yz += np.dot(old.T, sum_wz[:, 1])
    explained = _solve(inside, sum_yz, batch.sum_zz_in_subspace, rate, kept)
    weights *= kept
    subspace.put(inside, weights)
    return explained


def _solve(weights, sum_yz, sum_zz, rate, kept):
    """Do what `follow` does, from sums of target z^T and z z^T; decay leaves the part `kept`."""
    # Rounding would lose the identity below if the rate outweighed it by more than this.
    size = sum_zz.trace()
    rate = min(rate, 1e12 / (1.0 + size))
    system = rate * sum_zz
    system.flat[:: len(system) + 1] += 1.0
    if len(weights) > len(sum_zz) and rate * size < MAX_RELATIVE_STEP:  # the inverse is quicker
        explained = 2.0 * np.vdot(weights, sum_yz) - np.vdot(sum_zz, weights.T @ weights)
        factor, _ = dpotrf(system)
        inverse, _ = dpotri(factor, overwrite_c=True)
        goal = rate * sum_yz
        goal += kept * weights
        weights[:] = dsymm(1.0, inverse, goal.T).T
    else:
        residual = sum_yz - weights @ sum_zz
        explained = np.vdot(weights, sum_yz + residual)
        pull = rate * residual - (1.0 - kept) * weights
        _, change, _ = dposv(system, pull.T, overwrite_b=True)
        weights += change.T
    return explained


def balance_soma(weights, batch, rate):
    """Learn recurrent weights that balance the somatic potential, ``dW = -rate u z^T``.

    Parameters
    ----------
    weights : dict of str to ndarray
        "recurrent" is changed in place, for the "feedforward" weights.
    batch : Batch
        Sums over all steps of the batch.
    rate : float
        Learning rate times the duration of a step.
    """
    recurrent = weights["recurrent"].T.copy()
    follow(recurrent, batch, rate, response=-weights["feedforward"].T)
    weights["recurrent"][:] = recurrent.T


def balance_dendrites(weights, batch, rate, decay=0.0):
    """Learn dendritic weights, ``dW^d_ji = -rate (u_ji z^T + decay W^d_ji)``.

    While F and the spikes of the batch are fixed, this is linear in W. Over the batch it reads
    ``dW = -rate (F_ji c + W H)`` with c = sum x_i z^T and H = sum z z^T + decay n_steps. It is
    integrated exactly, as if all steps were like their mean. W changes by
    ``-rate (F_ji c + W H) phi(rate H)`` with ``phi(a) = (1 - exp(-a)) / a``. Its mean over the
    batch is ``W phi(rate H) - rate F_ji c psi(rate H)`` with ``psi(a) = (1 - phi(a)) / a``.

    Parameters
    ----------
    weights : dict of str to ndarray
        "dendritic" is changed in place, for the "feedforward" weights.
    batch : Batch
        Sums over all steps of the batch.
    rate : float
        Learning rate times the duration of a step.
    decay : float, default=0.0
        Decay of the weights in a step, relative to the rate.

    Returns
    -------
    sum_zu : ndarray of shape (n_features, n_components)
        Sums of z_j u_ji while the weights move.
    """
    feedforward, dendritic = weights["feedforward"], weights["dendritic"]
    values, vectors = np.linalg.eigh(batch.sum_zz)
    values = np.maximum(values, 0.0) + decay * batch.n_steps
    a = rate * values
    large = np.maximum(a, 1e-4)
    phi = np.where(a > 1e-4, -np.expm1(-large) / large, 1.0 - a / 2.0 + a**2 / 6.0)
    psi = np.where(a > 1e-4, (1.0 - phi) / large, 0.5 - a / 6.0)
    change = dendritic @ ((vectors * (values * phi)) @ vectors.T)
    phi, psi = ((vectors * diagonal) @ vectors.T for diagonal in (phi, psi))
    change += feedforward[:, :, np.newaxis] * (batch.sum_xz @ phi)[:, np.newaxis, :]
    sum_zu = change.diagonal(axis1=1, axis2=2).copy()
    if decay > 0.0:
        mean = np.einsum("ijk,kj->ij", dendritic, phi) - rate * feedforward * (batch.sum_xz @ psi)
        sum_zu -= decay * batch.n_steps * mean
    change *= rate
    dendritic -= change
    return sum_zu
