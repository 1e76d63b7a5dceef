"""
Simulating one network: numpy, torch and Brian2
===============================================

This benchmark measures the time to simulate 200 stochastic neurons, coupled all to all, without
learning. Every stimulus lasts 100 ms in steps of 0.1 ms, and all engines use one thread. The
network has learned natural scenes with the exact rule and the published settings, from 0.01 of the
published number of stimuli. Its 128 inputs are ON and OFF channels, x = sigmoid(16 (v - 0.15)) of
the pixels v and of -v. All neurons together fire one spike per ms, sigma^2 is 0.13, and a step may
have any number of spikes. Without the scenes, the network learns the digits of scikit-learn,
scaled to the variance of the scenes.

All engines simulate the same network, with the same weights, biases, noise, self-inhibition and
fade-in. They present the same stimuli, each from rest. The peers in numpy and torch compute in
single precision, and read the recurrent weights only of neurons that spike. Brian2 runs all
stimuli in one simulation that is reset to rest in between; we count the time of its loop over
steps. The time to prepare is given separately: Brian2 generates and builds its code, and the
package loads what numba has compiled before.

Firing rate and decoder loss should agree between engines. Those of the package are means of 10
trials. A peer has one trial, and its difference from the package, paired over stimuli, stands in
brackets, in standard errors. All peers are compared with the same trials of the package, so the
differences are not independent of each other.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import benchmark
import numpy as np
import simulation_peers
from scipy.signal import lfilter
from sklearn.datasets import load_digits

from skdendbal import network
from skdendbal.published import SCENES

sys.path.append(str(benchmark.FOLDER.parents[1] / "examples/frompapers"))
import experiment
import scenes

SETTINGS = SCENES.settings
TIMING = SETTINGS.at_rest  # with which the package codes rows
SCALE, QUICK_SCALE = 0.01, 0.001  # fractions of the published number of stimuli
OURS = "skdendbal"
TRIALS = 10  # trials of the package, for rate and loss
# Brian2 2.9 cannot be imported with numpy 2.4. For torch 2.13, pip prefers a build without CUDA if
# an index has one (variable PIP_EXTRA_INDEX_URL).
REQUIREMENTS = {"numpy": None, "torch": ["torch<2.14", "numpy"], "brian2": ["brian2", "numpy<2.4"]}


def stream_of_digits(seed):
    """Return a function ``draw(n)`` that makes stimuli of digits as scenes.stream does."""
    X = load_digits().data
    X = (X - X.mean(axis=0)) / X.std() * 0.05**0.5
    rng = np.random.default_rng(seed)
    return lambda n: scenes.CHANNELS.fit_transform(X[rng.integers(len(X), size=n)])


def learn(options):
    """Return a network that has learned, and stimuli of the same kind."""
    scale = QUICK_SCALE if options.quick else SCALE
    if options.data:
        images, _ = scenes.load(options.data)
        draw, draw_more = scenes.stream(images, 0), scenes.stream(images, 1)
    else:
        draw, draw_more = stream_of_digits(0), stream_of_digits(1)
    net = network.initialise(SCENES.settings, scenes.N_FEATURES, seed=0)
    with benchmark.log.status("Learning the network"):
        experiment.train(net, experiment.keep_pace(SCENES, scale), draw)
    return net, draw_more(options.stimuli)


def as_model(net, stimuli):
    """Return the network in units of the logit, as the peers need it."""
    gain = 1.0 / net.variance
    return {
        "stimuli": stimuli,
        "feedforward": gain * net.decoder,
        "recurrent": gain * net.recurrent,
        "offset": net.bias + gain * SETTINGS.neuron.self_inhibition * net.recurrent.diagonal(),
        "fade": TIMING.fade,
        "decay": TIMING.decay,
        "dt": TIMING.dt,
        "tau": TIMING.tau,
    }


def rate_and_loss(spikes, net, stimuli):
    """Return the mean firing rate in Hz and the decoder loss of every stimulus.

    `spikes` has three rows: stimulus, step and unit.
    """
    raster = np.zeros((TIMING.n_steps, SETTINGS.n_components))
    rates, losses = np.empty((2, len(stimuli)))
    for i, x in enumerate(stimuli):
        raster[:] = 0.0
        _, steps, units = spikes[:, spikes[0] == i]
        raster[steps, units] = 1.0
        traces = lfilter([1.0], [1.0, -TIMING.decay], raster, axis=0)
        errors = TIMING.fade[:, np.newaxis] * x - traces @ net.decoder.T
        rates[i] = len(units) / SETTINGS.n_components / TIMING.presentation_time * 1e3
        losses[i] = 0.5 * np.mean(errors**2)
    return rates, losses


def with_difference(values, ours):
    """Return a mean as text, with its difference from ours in standard errors."""
    text = f"{values.mean():.4g}"
    difference = values - ours
    if difference.any():
        error = difference.std(ddof=1) / len(difference) ** 0.5
        text += f" ({difference.mean() / error:+.1f})"
    return text


# Peers
# -----
def environment(package, folder):
    """Return the Python of an environment that has a package; create it if there is none."""
    requirements = REQUIREMENTS[package]
    if requirements is None:
        return Path(sys.executable)
    python = folder / package / "bin" / "python"
    works = [python, "-c", f"import {package}"]
    if not python.exists() or subprocess.run(works, stderr=subprocess.DEVNULL).returncode:
        benchmark.log.print(f"Installing {package} in {folder / package}")
        subprocess.run([sys.executable, "-m", "venv", folder / package], check=True)
        install = [python, "-m", "pip", "install", "-q", *requirements]
        subprocess.run(install, check=True, stdout=sys.stderr)
        subprocess.run(works, check=True)
    return python


class Peer:
    """A process that simulates the network at every call and returns the seconds."""

    def __init__(self, name, python, model_path):
        self.spikes_path = model_path.with_name(f"{name}.npz")
        script = Path(simulation_peers.__file__)
        command = [python, script, name, model_path, self.spikes_path]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        first = self._answer()
        self.prepare, self.version = first["prepare"], first["version"]

    def __call__(self):
        """Simulate all stimuli once."""
        print(file=self.process.stdin, flush=True)
        return self._answer()["seconds"]

    def spikes(self):
        """Return the spikes of the first run, in three rows."""
        with np.load(self.spikes_path) as file:
            return file["spikes"]

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("The peer ended, with the error above.")
        return json.loads(line)


def start_peers(options, model_path):
    """Return the available peers by name."""
    peers = {}
    for name in simulation_peers.PEERS:
        package = simulation_peers.PEERS[name][0]
        if package in options.peers:
            try:
                python = environment(package, options.envs)
                with benchmark.log.status(f"Preparing {name}"):
                    peers[name] = Peer(name, python, model_path)
            except (subprocess.CalledProcessError, RuntimeError) as error:
                benchmark.log.print(f"{name} is left out: {error}")
    return peers


def main():
    """Measure."""
    parser = benchmark.command_line(__doc__)
    benchmark.add_data(parser)
    add = parser.add_argument
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    add(
        "--envs",
        type=Path,
        default=cache / "skdendbal-benchmarks",
        help="folder of the environments of the peers (~/.cache/skdendbal-benchmarks)",
    )
    add("--peers", nargs="*", default=list(REQUIREMENTS), choices=list(REQUIREMENTS))
    add("--stimuli", type=benchmark.positive, default=100, help="number of stimuli (100)")
    options = benchmark.parse(parser)

    net, stimuli = learn(options)
    n_components = SETTINGS.n_components
    codes = np.empty((len(stimuli), n_components))

    def ours():
        network.encode(net, SETTINGS, stimuli, seed=0, out=codes)

    start = time.perf_counter()
    ours()
    first = time.perf_counter() - start
    record = network.simulate(net, SETTINGS, stimuli, seed=0, n_trials=TRIALS)
    steps = np.round(record["time"] / TIMING.dt).astype(int)
    events = np.array([record["row"], steps, record["unit"]])
    trials = (events[:, record["trial"] == trial] for trial in range(TRIALS))
    our_rates, our_losses = np.mean([rate_and_loss(t, net, stimuli) for t in trials], axis=0)
    with tempfile.TemporaryDirectory() as folder:
        model_path = Path(folder) / "model.npz"
        np.savez(model_path, **as_model(net, stimuli))
        peers = start_peers(options, model_path)
        found = {name: rate_and_loss(peer.spikes(), net, stimuli) for name, peer in peers.items()}
        seconds = benchmark.interleave({OURS: ours, **peers}, options.repeats)
        for peer in peers.values():
            peer.close()

    prepare = {name: peer.prepare for name, peer in peers.items()}
    prepare[OURS] = max(0.0, first - min(seconds[OURS]))
    steps = len(stimuli) * TIMING.n_steps * n_components
    rows, raw = [], []
    for name, times in seconds.items():
        rates, losses = found.get(name, (our_rates, our_losses))
        median = float(np.median(times))
        rows.append(
            {
                "engine": name,
                "ms a stimulus": benchmark.spread(times, len(stimuli) * 1e-3),
                "neuron-steps/s": f"{steps / median:.2g}",
                "slower by": benchmark.number(median / float(np.median(seconds[OURS]))),
                "prepare s": prepare[name],
                "Hz": with_difference(rates, our_rates),
                "decoder loss": with_difference(losses, our_losses),
            }
        )
        raw += [
            {"engine": name, "round": i, "stimuli": len(stimuli), "seconds": time}
            for i, time in enumerate(times)
        ]
    report = benchmark.Report(options, __doc__)
    data = "natural scenes" if options.data else "digits of scikit-learn"
    versions = ", ".join(dict.fromkeys(peer.version for peer in peers.values()))
    report.table(
        f"{n_components} neurons, {len(stimuli)} stimuli ({data}), "
        f"medians of {options.repeats} rounds (least-largest)",
        rows,
        note=f"Neuron-steps count all steps, simulated or skipped. Peers: {versions}.",
    )
    report.raw("times", raw)
    report.save()


if __name__ == "__main__":
    main()
