"""
Mikulasch et al. 2021: a temporal signal, speech
================================================

100 neurons follow a spectrogram of 25 frequency bands, which is sampled every 5 ms and
interpolated in between. This is the published test with a signal that never stands still. In
``whitened``, the mean of every band is removed, and the bands are whitened (Cholesky) and split
into ON and OFF channels; dendritic balance (exact) is compared with somatic balance. In
``unwhitened``, the bands are divided by their common standard deviation, so the inputs are
correlated. For such inputs somatic balance has its own plasticity rule. We compare it with
dendritic balance (exact) and with a rule defined below, in which feedforward weights learn from
the coding error while recurrent weights learn somatic balance. All networks are shown with and
without a limit of one spike per step.

Networks with the same input share the decoder rule, decoder rate and noise, and have an equal
tuning budget: all use the published rates. They learn random contiguous blocks, each a fiftieth of
the first four fifths of the recording, and are tested on the rest. The table shows the median over
seeds with its 95 % bootstrap interval, and the loss of the mean of the data alone. Far below scale
1, networks learn so fast that without a limit of spikes they run away in bursts.

The published recording is not part of this library. ``--speech FILE`` names it: a MATLAB file with
`speech.data` (bands x time) and `speech.CF` (Hz). Without it the signal is synthetic: gliding
harmonic voices with formants, in noise. All outputs say which signal was used. ::

    python examples/frompapers/speech.py --scale 0.1
    python examples/frompapers/speech.py --scale 1 --speech speech.mat
"""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import experiment
import numpy as np
from matplotlib.figure import Figure
from scipy.io import loadmat
from scipy.linalg import solve_triangular
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from skdendbal import metrics, network
from skdendbal.preprocessing import OnOffSplitter
from skdendbal.published import SPEECH, SPEECH_UNWHITENED
from skdendbal.rules import Somatic

SAMPLE = 5.0  # ms
SHOWN = 200  # samples in the figures
TICKS = 200, 1000, 5000  # Hz


# A user-defined rule
# -------------------
@dataclass(frozen=True)
class CodingError(Somatic):
    """Feedforward weights learn from the coding error, ``dF_j = eta_F z_j (x - F^T z)``.

    Recurrent weights learn somatic balance.
    """

    def learn_feedforward(self, feedforward, batch, rate):
        rate /= 1.0 + rate * batch.sum_zz.trace()  # otherwise short runs would overshoot
        feedforward += rate * (batch.sum_xz - feedforward @ batch.sum_zz)


def with_rule(published, rule):
    """Return the experiment with another rule of the same parameters."""
    return published.with_settings(rule=rule(**published.settings.rule.get_params()))


EXPERIMENTS = {
    ("whitened", "dendritic"): SPEECH,
    ("whitened", "somatic"): SPEECH.by_rule["somatic"],
    ("unwhitened", "dendritic"): SPEECH_UNWHITENED,
    ("unwhitened", "coding error"): with_rule(SPEECH_UNWHITENED.by_rule["somatic"], CodingError),
    ("unwhitened", "somatic"): SPEECH_UNWHITENED.by_rule["somatic"],
}


# The signal
# ----------
def load_speech(file):
    """Return the recording (time, bands) and the centre frequencies in Hz."""
    speech = loadmat(file, squeeze_me=True, struct_as_record=False)["speech"]
    return np.asarray(speech.data, dtype=float).T, np.asarray(speech.CF, dtype=float)


def make_speech(n_samples=12_000, n_voices=2, n_harmonics=30):
    """Return a synthetic spectrogram (time, bands), always the same, and frequencies in Hz."""
    rng = np.random.default_rng(0)
    bands = np.geomspace(150.0, 7000.0, 25)

    def glide(low, high, time):
        """Wander between low and high within `time` ms or so, evenly on a logarithmic scale."""
        noise = gaussian_filter1d(rng.normal(size=n_samples), time / SAMPLE, mode="wrap")
        return low * (high / low) ** ndtr(noise / noise.std())

    def tuned(frequency, centre, width):
        return np.exp(-0.5 * (np.log(frequency / centre) / width) ** 2)

    power = 0.01 * rng.chisquare(4, size=(n_samples, 25))
    for _ in range(n_voices):
        loudness = glide(0.001, 3.0, 60.0)  # syllables
        pitch = glide(90.0, 300.0, 300.0)
        formants = [glide(*range_, 80.0) for range_ in [(300, 900), (900, 2500), (2500, 5000)]]
        for harmonic in range(1, n_harmonics + 1):
            frequency = harmonic * pitch
            amplitude = loudness * sum(tuned(frequency, formant, 0.2) for formant in formants)
            power += amplitude[:, None] * tuned(frequency[:, None], bands, 0.12)
    return np.cbrt(power), bands  # compressed, as in the ear


def prepare(speech, data):
    """Return the input of a network, and a function that turns it back into bands."""
    learned = speech[: n_train(speech)]
    if data == "unwhitened":
        scale = learned.std()
        return speech / scale, partial(np.multiply, scale)
    mean, factor = learned.mean(axis=0), np.linalg.cholesky(np.cov(learned.T))
    channels = OnOffSplitter()
    white = solve_triangular(factor, (speech - mean).T, lower=True).T

    def restore(x):
        return mean + channels.inverse_transform(x) @ factor.T

    return channels.fit_transform(white), restore


def n_train(speech):
    """Return the number of samples to learn on."""
    return len(speech) * 4 // 5


def stream(x, seed):
    """Return a function ``draw(n)`` that returns the next n samples of random blocks."""
    rng = np.random.default_rng(seed)
    length = len(x) // 50

    def samples():
        while True:
            start = rng.integers(len(x) - length + 1)
            yield from range(start, start + length)

    order = samples()
    return lambda n: x[list(islice(order, n))]


# The networks
# ------------
def start(net, seed):
    """Set random feedforward weights, and decoder and recurrent weights that balance them.

    In the publication, the decoder starts at zero where it is not F^T.
    """
    weights = np.random.default_rng(seed).normal(0.05, 0.1, net.decoder.shape)
    net.decoder[:] = np.maximum(0.0, weights)
    if "feedforward" in net.weights:
        net.weights["feedforward"][:] = net.decoder
    net.recurrent[:] = -net.decoder.T @ net.decoder


def measure(speech, data, rule, one_spike, scale, seed):
    """Learn speech with one input, rule and spike limit; test, and reconstruct a stretch."""
    published = EXPERIMENTS[data, rule].with_neuron(one_spike_per_step=one_spike)
    x, restore = prepare(speech, data)
    learned, tested = np.split(x, [n_train(speech)])
    net = network.initialise(published.settings, x.shape[1], seed)
    start(net, seed)
    experiment.train(net, experiment.keep_pace(published, scale), stream(learned, seed), scale)

    settings = published.settings
    sums, spikes = network.evaluate(net, settings, tested)
    traces = experiment.stream_traces(spikes, settings, SHOWN, SAMPLE)
    shown = spikes[spikes["row"] < SHOWN]
    shown["time"] += SAMPLE * shown["row"]
    return {
        "loss": metrics.decoder_loss(sums, net.decoder),
        "rate": metrics.firing_rates(sums, settings.dt).mean(),
        "mean alone": experiment.loss_of_mean(published, tested, learned.mean(axis=0)),
        "spikes": shown,
        "reconstruction": restore(traces @ net.decoder.T),
    }


parser = experiment.command_line(__doc__, scale=0.1, seeds=5)
parser.add_argument("--speech", type=Path, metavar="FILE", help="the recording (none: synthetic)")
options = parser.parse_args()
speech, frequencies = load_speech(options.speech) if options.speech else make_speech()
signal = f"recording {options.speech.name}" if options.speech else "synthetic signal, no speech"
points = [
    {"data": data, "rule": rule, "one_spike": one_spike}
    for data, rule in EXPERIMENTS
    for one_spike in (False, True)
]
rows = experiment.run_all(partial(measure, speech), points, options)
rows = [{"signal": signal, **row} for row in rows]
summary = experiment.summarise(
    rows, by=["signal", "data", "rule", "one_spike"], of=["loss", "rate", "mean alone"]
)
experiment.save_rows(rows, options, "runs")
experiment.save_rows(summary, options, "summary")

table = [
    {
        "input": line["data"],
        "rule": line["rule"],
        "one spike a step": "yes" if line["one_spike"] else "no",
        "loss": experiment.with_interval(line, "loss"),
        "rate (Hz)": f"{line['rate']:.1f}",
    }
    for line in summary
]
for data, loss in {line["data"]: line["mean alone"] for line in summary}.items():
    table.append({"input": data, "rule": "none: mean of the data", "one spike a step": ""})
    table[-1] |= {"loss": f"{loss:.4f}", "rate (Hz)": ""}
experiment.print_table(table, options, f"Decoder loss on a temporal signal ({signal})")

time = np.arange(1, SHOWN + 1) * SAMPLE * 1e-3
shown = speech[n_train(speech) :][:SHOWN]
for data in ("whitened", "unwhitened"):
    first = [r for r in rows if r["data"] == data and r["seed"] == 0 and r["one_spike"]]
    figure = Figure(figsize=(11, 2.2 * (1 + len(first))), layout="constrained")
    figure.suptitle(f"{signal}; {data} input, at most one spike a step")
    spectra, rasters = figure.subplots(1 + len(first), 2, sharex=True).T
    pictures = {
        "signal": shown,
        **{f"reconstruction, {row['rule']}": row["reconstruction"] for row in first},
    }
    for ax, (title, picture) in zip(spectra, pictures.items(), strict=True):
        ax.pcolormesh(time, frequencies, picture.T, vmin=shown.min(), vmax=shown.max())
        ax.set(title=title, ylabel="band (Hz)", yscale="log", xlim=(0.0, time[-1]))
        ax.set_yticks(TICKS, TICKS)
        ax.minorticks_off()
    rasters[0].set_axis_off()
    for ax, row in zip(rasters[1:], first, strict=True):
        ax.plot(row["spikes"]["time"] * 1e-3, row["spikes"]["unit"], "|k", markersize=2)
        n_units = EXPERIMENTS[data, row["rule"]].settings.n_components
        ax.set(title=f"spikes, {row['rule']}", ylabel="neuron", ylim=(-1, n_units))
    for ax in (spectra[-1], rasters[-1]):
        ax.set_xlabel("time (s)")
    experiment.save_figure(figure, options, f"_{data}")
