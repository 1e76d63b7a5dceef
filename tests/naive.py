"""The model step by step in plain numpy, from the equations; imports nothing of skdendbal.

It is slow and obvious on purpose. Shapes: x (n_x,), z (n_z,), F (n_z, n_x), D (n_x, n_z),
W (n_z, n_z) with W[j, k] the weight from neuron k onto neuron j, b (n_z,).
"""

import numpy as np
from numba.extending import register_jitable
from scipy.linalg import expm

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


@register_jitable
def hazard(a):
    """log(1 + e^a): the hazard of the spike function, whose probability is 1 / (1 + e^-a)."""
    return np.logaddexp(0.0, a)


@register_jitable
def spike_probability(a):
    """Probability that a neuron with logit a spikes in a step."""
    return -np.expm1(-hazard(a))


@register_jitable
def logit(p):
    """The logit at which a neuron spikes with probability p."""
    return np.log(p / (1.0 - p))


def inputs(x_previous, x_new, n_steps, fading=0.3):
    """The stimulus at each step, fading in over the first part of the presentation."""
    out = []
    for k in range(1, n_steps + 1):
        w = min(1.0, k / (fading * n_steps))
        out.append(w * x_new + (1.0 - w) * x_previous)
    return np.array(out)


def exact_recurrent(F, D):
    """Recurrent weights of perfect dendritic balance, W = -F D."""
    return -F @ D


def spike_logit(x, z, late, F, W, bias, sigma, c):
    """(u_j + c w_jj) / sigma^2 + bias_j; p_j is its spike_probability.

    u_j = (F x)_j + sum_k W_jk z_k, with late traces of others, k != j, and the trace of its own.
    """
    own = np.diag(W)
    return (F @ x + W @ late + own * (z - late) + c * own) / sigma**2 + bias


def present(
    x_previous, x_new, z, F, W, bias, sigma, *,
    c, dt, tau, one_spike, numbers, late=None, in_flight=(), fading=0.3,
):  # fmt: skip
    """One stimulus with frozen weights.

    `in_flight` holds the spikes of the last steps, which have not arrived; the delay is one step
    longer than their number. `late` are the traces of spikes that have arrived, which neurons see
    of one another; of itself a neuron sees the trace z. Returns the raster (n_steps, n_z), the
    traces before each step (n_steps, n_z), the inputs (n_steps, n_x), and z, late traces and
    spikes in flight at the end.
    """
    x = inputs(x_previous, x_new, len(numbers), fading)
    in_flight = list(in_flight)
    late = z if late is None or not in_flight else late
    raster, traces = [], []
    for x_t, u_t in zip(x, numbers, strict=True):
        traces.append(z)
        a = spike_logit(x_t, z, late, F, W, bias, sigma, c)
        spikes = (u_t < spike_probability(a)).astype(float)
        if one_spike and spikes.sum() > 1:
            most_probable = np.argmax(np.where(spikes > 0, a, -np.inf))
            spikes = (np.arange(len(spikes)) == most_probable).astype(float)
        raster.append(spikes)
        in_flight.append(spikes)
        z = z * np.exp(-dt / tau) + spikes
        late = late * np.exp(-dt / tau) + in_flight.pop(0)
    return np.array(raster), np.array(traces), x, z, late, in_flight


def replay(raster, z, *, dt, tau):
    """Traces before each step of a given raster, and at its end."""
    traces = []
    for spikes in raster:
        traces.append(z)
        z = z * np.exp(-dt / tau) + spikes
    return np.array(traces), z


def implicit_step(weights, traces, targets, eta_dt, decay=0.0):
    """Backward Euler for dw_j = eta (z_j (x - w^T z) - decay w_j), summed over the given steps.

    `weights` (n_z, n_x) are F, or D^T for the decoder rule dD = eta ((x - D z) z^T - decay D).
    """
    n_z = weights.shape[0]
    zz, zx = np.zeros((n_z, n_z)), np.zeros_like(weights)
    for z, x in zip(traces, targets, strict=True):
        zz += np.outer(z, z)
        zx += np.outer(z, x)
    zz += decay * len(traces) * np.eye(n_z)
    return np.linalg.solve(np.eye(n_z) + eta_dt * zz, weights + eta_dt * zx)


def decoder_decay(settings):
    """The decay lambda of the decoder: a fraction of the Poisson trace variance, rho tau / 2."""
    return settings.rule.decoder_decay * settings.rate / 1e3 * settings.tau / 2


def somatic_step(F, W, traces, targets, *, eta_F, eta_W, dt):
    """Backward Euler for the somatic rule, summed over the given steps: F, then W for the new F.

    dW_jk = -eta_W u_j z_k with u = F x + W z, and dF_ji = eta_F z_j (x_i - F_ji z_j).
    """
    n_z = len(F)
    zz, zx = np.zeros((n_z, n_z)), np.zeros_like(F)
    for z, x in zip(traces, targets, strict=True):
        zz += np.outer(z, z)
        zx += np.outer(z, x)
    F_new = (F + eta_F * dt * zx) / (1 + eta_F * dt * np.diag(zz))[:, None]
    return F_new, soma_step(F_new, W, traces, targets, eta_W=eta_W, dt=dt)


def soma_step(F, W, traces, targets, *, eta_W, dt):
    """Backward Euler for dW_jk = -eta_W u_j z_k with u = F x + W z, summed over the steps."""
    n_z = len(F)
    zz, zx = np.zeros((n_z, n_z)), np.zeros_like(F)
    for z, x in zip(traces, targets, strict=True):
        zz += np.outer(z, z)
        zx += np.outer(z, x)
    # W_new = W - eta dt (F sum x z^T + W_new sum z z^T)
    return (W - eta_W * dt * F @ zx.T) @ np.linalg.inv(np.eye(n_z) + eta_W * dt * zz)


def unwhitened_step(F, traces, targets, *, eta_F, dt):
    """dF_ji = eta_F z_j x_i (1 - z_j (F x)_j / 10), summed over the given steps.

    The change of each neuron is divided by 1 + eta dt sum z_j^2 |x|^2 / 10.
    """
    change, size = np.zeros_like(F), np.zeros(len(F))
    for z, x in zip(traces, targets, strict=True):
        change += eta_F * dt * np.outer(z * (1 - z * (F @ x) / 10), x)
        size += eta_F * dt * z**2 * (x @ x) / 10
    return F + change / (1 + size)[:, None]


def balance_step(F, Wd, traces, targets, *, eta_W, dt, decay=0.0):
    """dW^d_jik = -eta_W (z_k u_ji + decay W^d_jik) under the mean of the given steps.

    Wd has shape (n_z, n_x, n_z). For every input i, (W^d_ji, F_ji, integral of W^d_ji) is
    multiplied by the exponential of one matrix, the same for all j. Returns W^d, and the sum of
    z_j u_ji while W^d moves.
    """
    n_z = len(F)
    zz, zx = np.zeros((n_z, n_z)), np.zeros_like(F)
    for z, x in zip(traces, targets, strict=True):
        zz += np.outer(z, z)
        zx += np.outer(z, x)
    new, drive = Wd.copy(), np.zeros_like(F)
    rate, pull = eta_W * dt, decay * len(traces) * np.eye(n_z)
    for i in range(F.shape[1]):
        flow = np.zeros((2 * n_z + 1, 2 * n_z + 1))
        flow[:n_z, :n_z], flow[n_z, :n_z] = -rate * (zz + pull), -rate * zx[:, i]
        flow[:n_z, n_z + 1 :] = np.eye(n_z)
        start = np.column_stack([Wd[:, i], F[:, i], np.zeros((n_z, n_z))])
        end = start @ expm(flow)
        new[:, i], mean = end[:, :n_z], end[:, n_z + 1 :]
        drive[:, i] = F[:, i] * zx[:, i] + np.diag(mean @ zz)
    return new, drive


def decay_step(F, Wd, traces, targets, *, eta_F, eta_W, decay, dt):
    """The rule "decay": F learns from the sum of z_j u_ji, and decays by backward Euler."""
    Wd, drive = balance_step(F, Wd, traces, targets, eta_W=eta_W, dt=dt, decay=decay)
    F = F + eta_F * dt * drive * np.sign(F) / np.maximum(0.002, np.abs(F))
    return F / (1 + eta_F * decay * dt * len(traces)), Wd


def slow_step(F, Fbar, Wd, traces, targets, *, eta_F, eta_Fbar, eta_W, dt):
    """The rule "slow": F from the solution of dF/dt = eta_F (Fbar / F - F) with the new Fbar."""
    Wd, drive = balance_step(F, Wd, traces, targets, eta_W=eta_W, dt=dt)
    Fbar = Fbar + eta_Fbar * dt * drive
    end = dt * len(traces)
    squared = Fbar + (F**2 - Fbar) * np.exp(-2 * eta_F * end)
    return np.sqrt(np.maximum(squared, 1e-12)), Fbar, Wd


def pruning_step(Wd, C, traces, *, fraction, a, eta_W, dt):
    """C follows the mean of z z^T; weights with the smallest |W^d_jik| C_kj decay."""
    n = len(traces)
    zz = sum(np.outer(z, z) for z in traces) / n
    C = zz + (C - zz) * np.exp(-a * dt * n)
    n_z, n_x, _ = Wd.shape
    score = {
        (j, i, k): abs(Wd[j, i, k]) * C[k, j]
        for j in range(n_z)
        for i in range(n_x)
        for k in range(n_z)
    }
    ranked = sorted(score.values())
    last = ranked[min(int(np.floor(1 + fraction * len(ranked))), len(ranked)) - 1]
    Wd = Wd.copy()
    for (j, i, k), value in score.items():
        if value <= last and k != j:
            Wd[j, i, k] *= np.exp(-3 * eta_W * dt * n)
    return Wd, C


def simultaneous_step(F, Wd, traces, targets, *, eta_F, eta_W, dt, tau, stretch):
    """The rule "simultaneous" over one presentation, in stretches in which traces only decay.

    Weights stay fixed within a stretch, which has at most `stretch` steps. The step of W^d is
    limited so that it does not overshoot.
    """
    F, Wd = F.copy(), Wd.copy()
    first = 0
    while first < len(traces):
        stop = first + 1
        while (
            stop < len(traces)
            and stop < first + stretch
            and np.allclose(traces[stop], traces[stop - 1] * np.exp(-dt / tau), rtol=1e-9)
        ):
            stop += 1
        z, x = traces[first:stop], targets[first:stop]
        recurrent = np.einsum("jik,tk->tji", Wd, z)
        slope = np.copysign(1.0, F) / np.maximum(0.002, np.abs(F))
        F_new = F + eta_F * dt * (np.einsum("tj,ti->ji", z, x) + np.einsum(
            "tj,tji->ji", z, recurrent) * slope)  # fmt: skip
        u = np.einsum("ji,ti->tji", F, x) + recurrent
        step = eta_W * dt / max(1, eta_W * dt * (z**2).sum())
        Wd = Wd - step * np.einsum("tji,tk->jik", u, z)
        F = F_new
        first = stop
    return F, Wd


def homeostasis(b, rasters, *, rho, eta_b, dt, logits_per_bias=1.0):
    """db_j = eta_b (rho dt - s_j) at each step, times dt.

    The lanes of a batch, with a raster each, count as if they followed one another. Once the bias
    has moved by D logits, a neuron spikes e^D times as often, so its deviation from the target
    shrinks from lane to lane as in dD/dn = -a D, where a is the step in logits that the expected
    spikes cause.
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
    """L = 0.5 / n_x * mean over steps of |x - D z|^2, where z includes the spikes of the step."""
    return 0.5 / x.shape[1] * np.mean(((x - traces_after @ D.T) ** 2).sum(axis=1))


def arguments(settings):
    """What :func:`learn_per_step` takes from the settings of a network."""
    rule = settings.rule
    return (
        settings.n_components,
        settings.dt,
        settings.tau,
        settings.n_steps,
        settings.rate / 1e3,
        settings.noise.initial,
        settings.noise.final,
        rule.decoder_rate,
        getattr(rule, "feedforward_rate", rule.decoder_rate),
        getattr(rule, "average_rate", 0.0),
        getattr(rule, "recurrent_rate", 0.0),
        getattr(rule, "decay", 0.0),
        settings.neuron.homeostasis_rate,
        settings.noise.annealing / (settings.horizon * settings.presentation_time),
        settings.neuron.self_inhibition,
        settings.delay_steps,
    )


def learn_per_step(rule, X, n_test, raster, n_z, dt, tau, n_steps, rho, sigma, sigma_inf, eta_D,
                   eta_F, eta_Fbar, eta_W, decay, eta_b, eta_s, c, delay_steps, seed):  # fmt: skip
    """A rule, taken literally: every part learns in every step, by explicit Euler steps.

    With a delay, neurons see late traces of one another, and recurrent weights learn from what a
    neuron sees. The bias is scaled; F starts at 0.001 in the learned dendritic rules. Spikes are
    those of `raster` (n_presentations, n_steps, n_z), or are drawn if that is empty. Learning is
    off for the last `n_test` stimuli, which continue the stream. Returns the decoder loss over
    them, F, W^d and D. The code is plain enough for numba to compile it as it is.
    """
    np.random.seed(seed)
    n_x = X.shape[1]
    learned = rule == "decay" or rule == "slow" or rule == "simultaneous"
    F = np.full((n_z, n_x), 1e-3 if learned else 0.0)
    Fbar, D = F.copy(), np.zeros((n_x, n_z))
    W, Wd = np.zeros((n_z, n_z)), np.zeros((n_z, n_x, n_z))
    u_dendritic, z = np.zeros((n_z, n_x)), np.zeros(n_z)
    late, in_flight, now = np.zeros(n_z), np.zeros((delay_steps, n_z)), 0
    b = np.full(n_z, logit(rho * dt)) * sigma**2
    loss = 0.0
    x_old = X[0]
    for i in range(len(X)):
        learning = i < len(X) - n_test
        for step in range(1, n_steps + 1):
            w = min(1.0, step / (0.3 * n_steps))
            x = w * X[i] + (1 - w) * x_old
            if rule == "dendritic":
                W = -F @ D
            w_self = np.diag(W).copy()
            u = F @ x + W @ late + w_self * (z - late)
            if learned:
                for j in range(n_z):
                    for m in range(n_x):
                        v = F[j, m] * x[m] + Wd[j, m, j] * (z[j] - late[j])
                        for k in range(n_z):
                            v += Wd[j, m, k] * late[k]
                        u_dendritic[j, m] = v
                        w_self[j] += Wd[j, m, j]
                u = u_dendritic.sum(axis=1)
            p = spike_probability((u + c * w_self + b) / sigma**2)
            if len(raster) > 0:
                spikes = raster[i, step - 1].astype(np.float64)
            else:
                spikes = (np.random.random(n_z) < p).astype(np.float64)
            if learning:
                if rule == "dendritic":
                    F += dt * eta_F * np.outer(z, x - F.T @ z)
                if rule == "somatic":
                    F += dt * eta_F * (np.outer(z, x) - F * (z**2).reshape(-1, 1))
                    for j in range(n_z):
                        for k in range(n_z):
                            W[j, k] -= dt * eta_W * u[j] * (z[k] if k == j else late[k])
                if learned:
                    for j in range(n_z):
                        for m in range(n_x):
                            f, v = F[j, m], u_dendritic[j, m]
                            by_f = np.sign(f) / max(0.002, abs(f))
                            if rule == "decay":
                                F[j, m] += dt * eta_F * (z[j] * v * by_f - decay * f)
                            elif rule == "slow":
                                Fbar[j, m] += dt * eta_Fbar * z[j] * v
                                F[j, m] += dt * eta_F * (Fbar[j, m] / f - f)
                            else:
                                F[j, m] += dt * eta_F * z[j] * (x[m] + (v - f * x[m]) * by_f)
                            for k in range(n_z):
                                seen = z[k] if k == j else late[k]
                                Wd[j, m, k] -= dt * eta_W * (seen * v + decay * Wd[j, m, k])
                D += dt * eta_D * np.outer(x - D @ z, z)
                b += dt * eta_b * (rho * dt - spikes)
                sigma += dt * eta_s * (sigma_inf**2 - sigma**2) / sigma
            z = z * np.exp(-dt / tau) + spikes
            in_flight[now] = spikes
            now = (now + 1) % delay_steps
            late = late * np.exp(-dt / tau) + in_flight[now]
            if not learning:
                loss += ((x - D @ z) ** 2).sum()
        x_old = X[i]
    return 0.5 * loss / n_x / max(1, n_test * n_steps), F, Wd, D
