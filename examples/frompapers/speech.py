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
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from scipy.io import loadmat
from scipy.linalg import solve_triangular
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from skdendbal import network
from skdendbal.display import RasterDisplay, rule_colour
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
    """Learn speech with one input, rule and spike limit."""
    published = EXPERIMENTS[data, rule].with_neuron(one_spike_per_step=one_spike)
    published = experiment.keep_pace(published, scale)
    x, _ = prepare(speech, data)
    learned, tested = np.split(x, [n_train(speech)])
    net = network.initialise(published.settings, x.shape[1], seed)
    start(net, seed)
    experiment.train(net, published, stream(learned, seed))
    return {
        **experiment.evaluate(net, published, lambda n: tested),
        "mean alone": experiment.loss_of_mean(published, tested, learned.mean(axis=0)),
    }


def show_network(spectrum, raster, row):
    """Draw how a network reconstructs the shown stretch of the signal, and its spikes."""
    net, settings = experiment.load_network(row["network"])
    x, restore = prepare(speech, row["data"])
    recording = experiment.record(net, settings, x[n_train(speech) :][:SHOWN])
    read_out = [recording.reconstructions(sample)[-1] for sample in range(SHOWN)]
    show_spectrogram(spectrum, restore(np.array(read_out)))
    limit = "at most one spike a step" if row["one_spike"] else "no limit of spikes"
    spectrum.set_title(f"{row['rule']}{experiment.star(row)}, {limit}")
    spikes, colour = recording.spikes.copy(), ListedColormap([rule_colour(settings.rule)])
    spikes["time"] += SAMPLE * spikes["row"]  # one stretch instead of many presentations
    spikes["row"] = 0
    RasterDisplay(spikes, len(net.bias), 1, SAMPLE * SHOWN).plot(raster, cmap=colour)
    raster.set(title=f"loss {row['loss']:.4f}", ylabel="neuron")


def show_spectrogram(ax, values):
    """Draw bands of the shown stretch, in the colours of the signal."""
    time = np.arange(1, SHOWN + 1) * SAMPLE
    shown = speech[n_train(speech) :][:SHOWN]
    ax.pcolormesh(time, frequencies, values.T, vmin=shown.min(), vmax=shown.max())
    ax.set(ylabel="band (Hz)", yscale="log", xlim=(0.0, time[-1]))
    ax.set_yticks(TICKS, TICKS)
    ax.minorticks_off()


preview = {"scale": 0.03, "seeds": 1}
parser = experiment.command_line(__doc__, scale=0.1, seeds=5, preview=preview)
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

for data in ("whitened", "unwhitened"):
    rules = [rule for data_, rule in EXPERIMENTS if data_ == data]
    figure = Figure(figsize=(15, 2.4 * (1 + len(rules))), layout="constrained")
    figure.suptitle(f"{signal}; {data} input")
    axes = figure.subplots(1 + len(rules), 4)
    show_spectrogram(axes[0, 0], speech[n_train(speech) :][:SHOWN])
    axes[0, 0].set_title("signal")
    for rule, row_of_axes in zip(rules, axes[1:], strict=True):
        for one_spike, (spectrum, raster) in enumerate(row_of_axes.reshape(2, 2)):
            nets = experiment.select(rows, data=data, rule=rule, one_spike=bool(one_spike))
            show_network(spectrum, raster, nets[0])
            colour = rule_colour(EXPERIMENTS[data, rule].settings.rule)
            learning = axes[0, 1 + 2 * one_spike]
            experiment.plot_learning(learning, nets, color=colour, label=rule)
    axes[0, 2].set_axis_off()
    axes[0, 1].set_title("no limit of spikes")
    axes[0, 3].set_title("at most one spike a step")
    axes[0, 3].legend()
    for ax in axes[-1]:
        ax.set_xlabel("time (ms)")
    experiment.save_figure(figure, options, f"_{data}")
