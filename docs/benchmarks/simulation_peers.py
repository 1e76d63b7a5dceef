"""
The network of simulation.py in numpy, torch and Brian2
=======================================================

simulation.py starts every peer in its own environment, as ::

    python simulation_peers.py PEER MODEL.npz SPIKES.npz

A peer first simulates once, which compiles what has to be compiled, and writes the spikes. It then
simulates again for every line that it reads, and answers with a line of JSON that gives the
seconds.

In each step the potential is ``u = offset + fade F x + I``, with the stimulus x and the
feedforward weights F, and a neuron k spikes with the probability sigmoid(u_k). The recurrent
current I decays over a step before the spikes of the step are added to it. All quantities are in
units of the logit. A stimulus begins without a current.
"""

import importlib.metadata
import json
import os
import sys
import tempfile
import time

import numpy as np


def simulate_numpy(model, batch):
    """Return a function that simulates in numpy, `batch` stimuli at a time."""
    X, feedforward, recurrent, offset, fade = (
        model[name].astype(np.float32)
        for name in ("stimuli", "feedforward", "recurrent", "offset", "fade")
    )
    decay = np.float32(model["decay"])
    random = np.random.Generator(np.random.SFC64())

    def simulate():
        spikes = []
        start = time.perf_counter()
        for first in range(0, len(X), batch):
            drive = X[first : first + batch] @ feedforward
            current = np.zeros_like(drive)
            logit, u = np.empty_like(drive), np.empty_like(drive)
            for step, weight in enumerate(fade):
                np.multiply(drive, weight, out=logit)
                logit += offset
                logit += current
                # u < 1 / (1 + exp(-logit)), without the division
                np.negative(logit, out=logit)
                np.exp(logit, out=logit)
                logit += 1.0
                random.random(out=u, dtype=np.float32)
                u *= logit
                current *= decay
                fired = u < 1.0
                if fired.any():
                    rows, units = fired.nonzero()
                    np.add.at(current, rows, recurrent[units])
                    spikes.append((rows + first, np.full_like(rows, step), units))
        return time.perf_counter() - start, np.concatenate(spikes, axis=1)

    return simulate


def simulate_torch(model, batch):
    """Return a function that simulates in torch, `batch` stimuli at a time."""
    import torch

    torch.set_num_threads(1)
    X, feedforward, recurrent, offset = (
        torch.from_numpy(model[name]).float()
        for name in ("stimuli", "feedforward", "recurrent", "offset")
    )
    fade, decay = model["fade"].tolist(), float(model["decay"])

    @torch.inference_mode()
    def simulate():
        spikes = []
        start = time.perf_counter()
        for first in range(0, len(X), batch):
            drive = X[first : first + batch] @ feedforward
            current = torch.zeros_like(drive)
            logit, u = torch.empty_like(drive), torch.empty_like(drive)
            for step, weight in enumerate(fade):
                torch.mul(drive, weight, out=logit).add_(offset).add_(current).sigmoid_()
                u.uniform_()
                current *= decay
                rows, units = torch.nonzero(u < logit, as_tuple=True)
                if len(rows):
                    current.index_add_(0, rows, recurrent[units])
                    spikes.append((rows + first, torch.full_like(rows, step), units))
        seconds = time.perf_counter() - start
        return seconds, np.concatenate([[part.numpy() for part in s] for s in spikes], axis=1)

    return simulate


def simulate_brian2(model, batch):
    """Return a function that simulates in Brian2: all stimuli one after the other, in C++."""
    import brian2 as b2

    folder = tempfile.TemporaryDirectory(prefix="brian2-")
    b2.set_device("cpp_standalone", directory=folder.name, build_on_run=False)
    dt, n_steps = float(model["dt"]) * b2.ms, len(model["fade"])
    n_stimuli, n_units = len(model["stimuli"]), len(model["offset"])
    b2.defaultclock.dt = dt
    namespace = {
        "drive": b2.TimedArray(model["stimuli"] @ model["feedforward"], dt=n_steps * dt),
        "weight": b2.TimedArray(np.tile(model["fade"], n_stimuli), dt=dt),
        "tau": float(model["tau"]) * b2.ms,
    }
    neurons = b2.NeuronGroup(
        n_units,
        """dI/dt = -I / tau : 1
        fading = weight(t) : 1 (shared, constant over dt)
        offset : 1 (constant)""",
        threshold="rand() * (1 + exp(-(offset + fading * drive(t, i) + I))) < 1",
        method="exact",
        namespace=namespace,
    )
    neurons.offset = model["offset"]
    neurons.thresholder["spike"].when = "start"  # before the current decays
    neurons.run_regularly("I = 0", dt=n_steps * dt, when="before_start")
    synapses = b2.Synapses(neurons, neurons, "w : 1 (constant)", on_pre="I_post += w")
    synapses.connect()
    synapses.w = model["recurrent"].ravel()
    monitor = b2.SpikeMonitor(neurons)
    b2.run(n_stimuli * n_steps * dt)
    b2.device.build(directory=folder.name, run=False, with_output=False)

    def simulate():
        b2.device.run(folder.name, with_output=False)
        step = np.round(monitor.t / dt).astype(int)
        # the time of the loop over steps, without that of reading and writing files
        return b2.device._last_run_time, np.array([step // n_steps, step % n_steps, monitor.i])

    return simulate


PEERS = {
    "numpy, batch 1": ("numpy", simulate_numpy, 1),
    "numpy, batch 100": ("numpy", simulate_numpy, 100),
    "torch, batch 1": ("torch", simulate_torch, 1),
    "torch, batch 100": ("torch", simulate_torch, 100),
    "Brian2 C++ standalone": ("brian2", simulate_brian2, 1),
}


def main():
    """Run as a peer."""
    name, model_path, spikes_path = sys.argv[1:]
    package, prepare, batch = PEERS[name]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr

    def answer(**values):
        print(json.dumps(values), file=answers, flush=True)

    np.seterr(over="ignore")  # by neurons far below their threshold
    with np.load(model_path) as file:
        model = dict(file)
    start = time.perf_counter()
    simulate = prepare(model, batch)
    seconds, spikes = simulate()
    np.savez(spikes_path, spikes=spikes)
    answer(
        prepare=time.perf_counter() - start - seconds,
        version=f"{package} {importlib.metadata.version(package)}",
    )
    for _ in sys.stdin:
        answer(seconds=simulate()[0])


if __name__ == "__main__":
    main()
