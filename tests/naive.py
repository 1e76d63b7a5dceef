"""The model step by step in plain numpy, from the equations; imports nothing of skdendbal.

Slow and obvious on purpose. Shapes: x (n_x,), z (n_z,), F (n_z, n_x), D (n_x, n_z),
W (n_z, n_z) with W[j, k] the weight from neuron k onto neuron j, b (n_z,).
"""

import numpy as np

MASK = 2**64 - 1


def splitmix64(state, n):
    """n outputs of the splitmix64 generator, as Python integers."""
    out = []
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        out.append(z ^ (z >> 31))
    return out


def uniforms(key, n_steps, n_z):
    """Uniform numbers in (0, 1), one for each step and neuron, from the stream `key`."""
    words = np.array(splitmix64(int(key), n_steps * n_z), dtype=np.uint64)
    return (((words >> np.uint64(12)).astype(float) + 0.5) / 2.0**52).reshape(n_steps, n_z)


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def inputs(x_previous, x_new, n_steps):
    """The stimulus at each step, fading in over the first 30 % of the presentation."""
    out = []
    for k in range(1, n_steps + 1):
        w = min(1.0, k / (0.3 * n_steps))
        out.append(w * x_new + (1.0 - w) * x_previous)
    return np.array(out)


def exact_recurrent(F, D):
    """Recurrent weights of perfect dendritic balance, W = -F D."""
    return -F @ D


def spike_probability(x, z, F, W, bias, sigma, c):
    """p_j = sigmoid((u_j + c w_jj) / sigma^2 + bias_j), with u = F x + W z."""
    return sigmoid((F @ x + W @ z + c * np.diag(W)) / sigma**2 + bias)


def present(x_previous, x_new, z, F, W, bias, sigma, *, c, dt, tau, one_spike, numbers):
    """One stimulus with frozen weights.

    Returns the raster (n_steps, n_z), the traces before each step (n_steps, n_z), the inputs
    (n_steps, n_x) and the traces at the end.
    """
    x = inputs(x_previous, x_new, len(numbers))
    raster, traces = [], []
    for x_t, u_t in zip(x, numbers, strict=True):
        traces.append(z)
        p = spike_probability(x_t, z, F, W, bias, sigma, c)
        spikes = (u_t < p).astype(float)
        if one_spike and spikes.sum() > 1:
            spikes = (np.arange(len(p)) == np.argmax(p * spikes)).astype(float)
        raster.append(spikes)
        z = z * np.exp(-dt / tau) + spikes
    return np.array(raster), np.array(traces), x, z


def replay(raster, z, *, dt, tau):
    """Traces before each step of a given raster, and at its end."""
    traces = []
    for spikes in raster:
        traces.append(z)
        z = z * np.exp(-dt / tau) + spikes
    return np.array(traces), z


def implicit_step(weights, traces, targets, eta_dt):
    """Backward Euler for dw_j = eta z_j (x - w^T z), summed over the given steps.

    `weights` (n_z, n_x) are F, or D^T for the decoder rule dD = eta (x - D z) z^T.
    """
    n_z = weights.shape[0]
    zz, zx = np.zeros((n_z, n_z)), np.zeros_like(weights)
    for z, x in zip(traces, targets, strict=True):
        zz += np.outer(z, z)
        zx += np.outer(z, x)
    return np.linalg.solve(np.eye(n_z) + eta_dt * zz, weights + eta_dt * zx)


def somatic_step(F, W, traces, targets, *, eta_F, eta_W, dt):
    """Backward Euler for the somatic rule, summed over the given steps, F and W side by side.

    dW_jk = -eta_W u_j z_k with u = F x + W z, and dF_ji = eta_F z_j (x_i - F_ji z_j).
    """
    n_z = len(F)
    zz, zx = np.zeros((n_z, n_z)), np.zeros_like(F)
    for z, x in zip(traces, targets, strict=True):
        zz += np.outer(z, z)
        zx += np.outer(z, x)
    # W_new = W - eta dt (F sum x z^T + W_new sum z z^T)
    W_new = (W - eta_W * dt * F @ zx.T) @ np.linalg.inv(np.eye(n_z) + eta_W * dt * zz)
    F_new = (F + eta_F * dt * zx) / (1 + eta_F * dt * np.diag(zz))[:, None]
    return F_new, W_new


def homeostasis(b, rasters, *, rho, eta_b, dt, logits_per_bias=1.0):
    """db_j = eta_b (rho dt - s_j) at each step, times dt.

    The lanes of a batch, a raster each, count as if they followed one another: where the bias
    has moved by D logits, a neuron spikes e^D times as often, so its deviation from the target
    shrinks from lane to lane as in dD/dn = -a D, a being the expected spikes' step in logits.
    """
    n_steps = len(rasters[0])
    a = dt * eta_b * rho * dt * n_steps * logits_per_bias
    deviation = sum(rho * dt - spikes for raster in rasters for spikes in raster)
    shrunk = sum(np.exp(-a * lane) for lane in range(len(rasters))) / len(rasters)
    return b + dt * eta_b * deviation * shrunk


def annealed(sigma, sigma_inf, *, eta_s, duration):
    """Solution of dsigma/dt = eta_s (sigma_inf^2 - sigma^2) / sigma after `duration` ms."""
    return np.sqrt(sigma_inf**2 + (sigma**2 - sigma_inf**2) * np.exp(-2 * eta_s * duration))


def decoder_loss(x, traces_after, D):
    """L = 0.5 / n_x * mean over steps of |x - D z|^2, z including the step's spikes."""
    return 0.5 / x.shape[1] * np.mean(((x - traces_after @ D.T) ** 2).sum(axis=1))


def learn_per_step(rule, X, n_test, n_z, dt, tau, n_steps, rho, sigma, sigma_inf, eta_D, eta_F,
                   eta_W, eta_b, eta_s, c, seed):  # fmt: skip
    """A rule, literally: every part in every step, as explicit Euler steps.

    The bias is scaled, and learning is off for the last `n_test` stimuli, which continue the
    stream. Returns the decoder loss over them. Plain enough to be compiled by numba as it is.
    """
    np.random.seed(seed)
    n_x = X.shape[1]
    F, D, W = np.zeros((n_z, n_x)), np.zeros((n_x, n_z)), np.zeros((n_z, n_z))
    z = np.zeros(n_z)
    b = np.full(n_z, np.log(rho * dt / (1 - rho * dt))) * sigma**2
    loss = 0.0
    x_old = X[0]
    for i in range(len(X)):
        learning = i < len(X) - n_test
        for k in range(1, n_steps + 1):
            w = min(1.0, k / (0.3 * n_steps))
            x = w * X[i] + (1 - w) * x_old
            if rule == "dendritic":
                W = -F @ D
            u = F @ x + W @ z
            p = 1 / (1 + np.exp(-(u + c * np.diag(W) + b) / sigma**2))
            spikes = (np.random.random(n_z) < p).astype(np.float64)
            if learning:
                if rule == "dendritic":
                    F += dt * eta_F * np.outer(z, x - F.T @ z)
                if rule == "somatic":
                    F += dt * eta_F * (np.outer(z, x) - F * (z**2).reshape(-1, 1))
                    W -= dt * eta_W * np.outer(u, z)
                D += dt * eta_D * np.outer(x - D @ z, z)
                b += dt * eta_b * (rho * dt - spikes)
                sigma += dt * eta_s * (sigma_inf**2 - sigma**2) / sigma
            z = z * np.exp(-dt / tau) + spikes
            if not learning:
                loss += ((x - D @ z) ** 2).sum()
        x_old = X[i]
    return 0.5 * loss / n_x / (n_test * n_steps)
