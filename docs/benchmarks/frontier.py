"""
Frontier: explained variance at equal sparseness, and at equal time
===================================================================

A sparse code can always buy explained variance with active entries. This benchmark therefore shows
curves: explained variance of test rows against the mean number L0 of active entries, and against
the processor time to code a row.

- DendriticBalanceCoder is fitted with its automatic rate times 0.25 to 4, and codes with
  presentations of 2 to 400 ms, by rates and by balanced codes. "few entries" are balanced codes
  of 5, 20 or 100 ms without entries that contribute little, with `min_contribution` from 0.0005
  to 0.04. "shrunk" are balanced codes with a `shrinkage` of 0.1, which suits classifiers.
- "recruited" codes start from a presentation of 2 ms, with `recruitment`: neurons that did not
  spike join. They have a `min_contribution` of 0.0001 to 0.04 or, as "shrunk, recruited", a
  `shrinkage` of 0.02 to 0.2, which makes them lasso codes.
- SPAMS (lasso, alpha 0.03 to 3) learns a dictionary with every alpha and codes with that alpha.
  With the dictionaries learned at 0.1 and 0.3 we also code with all other alphas.
- lasso_cd is MiniBatchDictionaryLearning of scikit-learn, alpha 0.1 to 1.
- "debiased" lasso codes are the non-negative least-squares codes on the same support.
- NN-OMP is non-negative orthogonal matching pursuit, with 2 to 24 entries or until a tolerance is
  reached, so that rows may have different numbers of entries. OMP is that of scikit-learn, with
  signed entries. Both use the dictionaries of SPAMS at alpha 0.1 and 0.3.
- A threshold code is the projection on the atoms (SPAMS, alpha 0.3), less a threshold.
- "NN-OMP, our atoms" uses the components of DendriticBalanceCoder, which separates learning from
  coding.

A table gives, for each family, the variance explained at several L0: the best of all its codes
with at most that L0, interpolated linearly between neighbouring points of that upper envelope. EV
is that of the own read-out, codes times components; EVlin is that of a least-squares read-out
fitted to codes of training rows. Numbers are means over seeds; families that do not reach an L0 in
all seeds have no entry. The second table compares times with SPAMS: it lists, for the explained
variance that SPAMS reaches at alpha 0.3 and at 0.1, the fastest code of DendriticBalanceCoder that
reaches it with no more active entries.

Tasks besides digits, mnist and scenes: the standardised tables breast cancer and wine; patches of
8x8 pixels from scikit-learn's two photographs, raw or with their own mean subtracted; windows of a
made-up electrocardiogram; and smooth made-up spectra.

On digits, mnist and scenes, balanced codes explain more than lasso codes of SPAMS and scikit-learn
at every number of active entries, by 0.03 to 0.30 at 4 to 24, and more than debiased lasso codes,
by 0.02 to 0.13. They explain as much as non-negative matching pursuit with a dictionary of SPAMS,
or more by up to 0.17. Pursuit with signed entries explains up to 0.01 more on digits, and on mnist
with 24 entries.

On the other tasks, balanced codes with up to 12 entries explain at least as much as all
non-negative peers, on centred patches and heartbeats by 0.02 to 0.04. With 16 or 24 entries, peers
explain up to 0.005 more on raw patches and breast cancer. Pursuit with signed entries explains up
to 0.01 more on wine, raw patches and breast cancer. The best of our codes are mostly recruited
ones.

The explained variance of SPAMS is reached with fewer entries in 0.3 to 0.5 of its time on digits,
mnist and scenes. On breast cancer and patches it takes 0.7 to 1.0 of the time of SPAMS, except
that no code of ours has as few entries as SPAMS at alpha 0.3 has on centred patches. On wine and
heartbeats it takes 0.8 to 0.9 for alpha 0.1, and 1.4 to 1.5 for 0.3; on spectra 1.4.

Compared with codes of SPAMS, classifiers on shrunk, recruited codes are up to 0.006 less accurate
on digits, and 0.007 to 0.01 more accurate on mnist. Those on rates are up to 0.01 less accurate
after 100 ms, and 0.02 to 0.03 after 5 ms.
"""

import itertools
import time

import benchmark
import numpy as np
import peers
import tasks
from sklearn.datasets import load_breast_cancer, load_sample_images, load_wine
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skdendbal import DendriticBalanceCoder
from skdendbal._defaults import auto_rate
from skdendbal._settling import Settling

N_TRAIN, N_TEST = 8000, 500
N_READ_OUT = 2000  # training rows for EVlin and accuracy
RATES = (0.25, 0.5, 1.0, 1.5, 2.0, 4.0)  # times the automatic rate
PRESENTATION_TIMES = (2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 400.0)
MIN_CONTRIBUTIONS = (0.0005, 0.002, 0.005, 0.01, 0.02, 0.04)
OF_RECRUITS = (0.0001, 0.0002, 0.001, *MIN_CONTRIBUTIONS)
SHRINKAGES = (0.02, 0.05, 0.1, 0.2)
CODES = (  # family, presentation time, shrinkage, least contribution
    *itertools.product(("ours, rate", "ours, balanced"), PRESENTATION_TIMES, (0.0,), (0.0,)),
    *itertools.product(("ours, few entries",), (5.0, 20.0, 100.0), (0.0,), MIN_CONTRIBUTIONS),
    *itertools.product(("ours, shrunk",), (5.0, 20.0), (0.1,), (0.0,)),
    *itertools.product(("ours, recruited",), (2.0,), (0.0,), OF_RECRUITS),
    *itertools.product(("ours, shrunk, recruited",), (2.0,), SHRINKAGES, (0.0,)),
)
ALPHAS = (0.03, 0.1, 0.3, 1.0, 3.0)
N_ENTRIES = (2, 4, 8, 12, 16, 24)
TOLERANCES = (0.3, 0.2, 0.1, 0.05, 0.02)  # squared error of a row, relative to the mean square
THRESHOLDS = (0.5, 0.3, 0.2, 0.1, 0.05)  # relative to the largest projection of a row
AT = (4, 8, 12, 16, 24)  # L0 of the table


# Data
# ----
def labelled(load):
    """Return a loader of a standardised table of scikit-learn."""

    def split(folder, seed):
        X, y = load(return_X_y=True)
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
        scaler = StandardScaler().fit(X)
        return tasks.Split(scaler.transform(X), scaler.transform(X_test), y, y_test)

    return split


def patches(is_centred):
    """Return a loader of patches of scikit-learn's photographs."""

    def split(folder, seed):
        images = [image.mean(axis=2) / 255.0 for image in load_sample_images().images]
        parts = [
            extract_patches_2d(image, (8, 8), max_patches=N_TRAIN // 2 + N_TEST, random_state=seed)
            for image in images
        ]
        rows = np.concatenate(parts).reshape(-1, 64)
        return split_rows(rows - is_centred * rows.mean(axis=1, keepdims=True), seed)

    return split


def heartbeats(folder, seed):
    """Return windows of 64 samples of made-up electrocardiograms, one beat or two in each."""
    random = np.random.default_rng(seed)
    n, t = N_TRAIN + N_TEST, np.arange(64)
    rows = 0.02 * random.standard_normal((n, 64))
    waves = (-12, 2.5, 0.15), (-2, 0.9, -0.12), (0, 1.0, 1.0), (2, 0.9, -0.2), (16, 4.0, 0.3)
    period, start = random.uniform(35, 60, n), random.uniform(0, 60, n)
    for beat in range(-1, 3):
        onset = (start + (beat - 0.5) * period)[:, np.newaxis]
        for delay, width, height in waves:
            size = height * random.normal(1.0, 0.15, (n, 1))
            rows += size * np.exp(-(((t - onset - delay) / width) ** 2) / 2.0)
    return split_rows(rows, seed)


def spectra(folder, seed):
    """Return sums of a few of six smooth bands on a sloping background, in 100 channels."""
    random = np.random.default_rng(seed)
    n, t = N_TRAIN + N_TEST, np.linspace(0.0, 1.0, 100)
    centres, widths = np.linspace(0.1, 0.9, 6), np.array([0.05, 0.1, 0.07, 0.12, 0.06, 0.09])
    bands = np.exp(-(((t - centres[:, np.newaxis]) / widths[:, np.newaxis]) ** 2) / 2.0)
    weights = random.exponential(size=(n, 6)) * (random.random((n, 6)) < 0.5)
    slopes = random.uniform(0.0, 0.5, (n, 1)) * (1.0 - t)
    return split_rows(weights @ bands + slopes + 0.01 * random.standard_normal((n, 100)), seed)


def split_rows(rows, seed):
    """Split rows at random."""
    return tasks.Split(
        *train_test_split(rows, train_size=N_TRAIN, test_size=N_TEST, random_state=seed)
    )


def shortened(load):
    """Return a loader that draws fewer rows of a task."""

    def split(folder, seed):
        whole = load(folder, seed)
        train_labels, test_labels = whole.train_labels, whole.test_labels
        if train_labels is not None:
            train_labels, test_labels = train_labels[:N_TRAIN], test_labels[:N_TEST]
        return tasks.Split(whole.train[:N_TRAIN], whole.test[:N_TEST], train_labels, test_labels)

    return split


TASKS = {  # loader, number of components
    "digits": (tasks.digits, 64),
    "mnist": (shortened(tasks.mnist), 100),
    "scenes": (shortened(tasks.scenes), 200),
    "breast cancer": (labelled(load_breast_cancer), 30),
    "wine": (labelled(load_wine), 13),
    "raw patches": (patches(is_centred=False), 64),
    "centred patches": (patches(is_centred=True), 64),
    "heartbeats": (heartbeats, 32),
    "spectra": (spectra, 32),
}


# Coders
# ------
def ours(split, n_components, seed):
    """Yield family, parameters, components and coding function of DendriticBalanceCoder."""
    for factor in RATES:
        rate = factor * auto_rate(n_components, 0.25)
        rate = min(rate, 0.9 * 4000.0 / n_components)  # less than one spike a step
        coder = DendriticBalanceCoder(n_components, rate=rate, random_state=seed)
        coder.fit(split.train)
        for family, presentation_time, shrinkage, least in CODES:
            coder.set_params(
                code="rate" if family == "ours, rate" else "balanced",
                transform_time=presentation_time,
                shrinkage=shrinkage,
                min_contribution=least,
                recruitment="recruited" in family,
            )
            coder._keep_settling()
            parameters = f"rate x {factor:g}, {presentation_time:g} ms"
            if least > 0.0:
                parameters += f", {least:g}"
            elif family == "ours, shrunk, recruited":
                parameters += f", {shrinkage:g}"
            yield family, parameters, coder.components_, coder.transform
        if factor == 1.0:
            yield from pursuits("NN-OMP, our atoms", unit(coder.components_))


def theirs(split, n_components, seed):
    """Yield the same of all peers."""
    random = np.random.default_rng(seed)
    X = split.train[random.permutation(len(split.train))]
    for alpha in (0.1, 0.3, 1.0):
        coder = peers.minibatch(n_components, alpha).set_params(random_state=seed).fit(X)
        yield from with_debiased("lasso_cd", f"{alpha:g}", coder.components_, coder.transform)
    if not peers.HAS_SPAMS:
        return
    for alpha in ALPHAS:
        coder = peers.Spams(n_components, alpha).fit(X)
        components = coder.components_
        yield from with_debiased("SPAMS lasso", f"{alpha:g}", components, coder.transform)
        if alpha not in (0.1, 0.3):
            continue
        for other in ALPHAS:
            if other != alpha:
                coder.alpha = other
                yield from with_debiased(
                    f"SPAMS {alpha:g}, lasso", f"{other:g}", components, coder.transform
                )
        yield from pursuits(f"SPAMS {alpha:g}, NN-OMP", unit(components))
        for n in N_ENTRIES:
            if n < min(components.shape):
                omp, atoms = peers.matching_pursuit(components, n)
                yield f"SPAMS {alpha:g}, OMP", f"{n}", atoms, omp.transform
        if alpha == 0.3:
            for threshold in THRESHOLDS:
                yield from thresholded(unit(components), threshold)


def with_debiased(family, parameters, components, transform):
    """Yield codes, and what they are on the same support by non-negative least squares."""
    yield family, parameters, components, transform
    settling = Settling(components, 1.0)

    def debiased(X):
        codes = np.ascontiguousarray(transform(X))
        settling.settle(np.ascontiguousarray(X), codes)
        return codes

    yield f"{family}, debiased", parameters, components, debiased


def unit(components):
    """Return atoms of norm 1."""
    norms = np.linalg.norm(components, axis=1, keepdims=True)
    return np.ascontiguousarray(components / np.maximum(norms, 1e-12))


def pursuits(family, atoms):
    """Yield codes of non-negative orthogonal matching pursuit."""
    for n in N_ENTRIES:
        if n <= len(atoms):
            yield family, f"{n}", atoms, lambda X, n=n: pursue(X, atoms, n)
    for tolerance in TOLERANCES:
        yield (
            f"{family}, adaptive",
            f"{tolerance:g}",
            atoms,
            lambda X, e=tolerance: pursue(X, atoms, min(40, len(atoms)), e),
        )


def pursue(X, atoms, n_entries, tolerance=0.0):
    """Return codes that take the most correlated atom, one at a time, and fit all anew."""
    X = np.ascontiguousarray(X)
    codes, settling = np.zeros((len(X), len(atoms))), Settling(atoms, 1.0)
    enough = tolerance * np.square(X).sum(axis=1).mean()
    for _ in range(n_entries):
        residual = X - codes @ atoms
        gains = np.where(codes > 0.0, -np.inf, residual @ atoms.T)
        best = gains.argmax(axis=1)
        rows = np.flatnonzero(
            (gains.max(axis=1) > 1e-9) & (np.square(residual).sum(axis=1) > enough)
        )
        codes[rows, best[rows]] = gains[rows, best[rows]]
        settling.settle(X, codes)
    return codes


def thresholded(atoms, threshold):
    """Yield a code of projections less a threshold."""

    def transform(X):
        projections = X @ atoms.T
        largest = projections.max(axis=1, keepdims=True)
        return np.maximum(projections - threshold * largest, 0.0)

    yield "SPAMS 0.3, threshold", f"{threshold:g}", atoms, transform


# Measures
# --------
def measure(name, folder, seed, repeats):
    """Yield a row of results for every code of a task."""
    load, n_components = TASKS[name]
    split = load(folder, seed)
    mean = split.train.mean(axis=0)
    for coders in (ours, theirs):
        for family, parameters, components, transform in coders(split, n_components, seed):
            seconds = []
            for _ in range(repeats if "OMP" not in family else 1):
                start = time.process_time()
                codes = transform(split.test)
                seconds.append(time.process_time() - start)
            train_codes = transform(split.train[:N_READ_OUT])
            shown = tasks.reader(split, train_codes)(codes) if wants_accuracy(parameters) else {}
            read = tasks.read_out(split.train[:N_READ_OUT], train_codes)
            yield {
                "task": name,
                "seed": seed,
                "family": family,
                "parameters": parameters,
                "L0": tasks.active(codes),
                "EV": tasks.explained(split.test, codes @ components, mean),
                "EVlin": tasks.explained(split.test, read(codes), mean),
                "us": 1e6 * np.median(seconds) / len(split.test),
                "accuracy": shown.get("accuracy"),
            }


def wants_accuracy(parameters):
    """Tell whether to fit a classifier to codes: to some of ours, and to lasso."""
    ours = {f"rate x 1, {time:g} ms" for time in (5.0, 20.0, 100.0)}
    recruited = {f"rate x 1, 2 ms, {number}" for number in (0.002, 0.05, 0.1)}
    return parameters in ours | recruited | {"0.1", "0.3"}


def envelope(rows, measure, at):
    """Return the largest value of a measure that codes reach with at most so many entries."""
    points = sorted((row["L0"], row[measure]) for row in rows)
    n, values = np.array(points).T
    best = np.maximum.accumulate(values)
    return float(np.interp(at, n, best)) if n[0] <= at <= n[-1] * 1.25 else None


def at_equal_sparseness(rows):
    """Return the lines of the first table."""
    lines = []
    for family, of_family in benchmark.group(rows, "family").items():
        line = {"family": family}
        for measure in ("EV", "EVlin"):
            for at in AT:
                values = [
                    envelope(of_seed, measure, at)
                    for of_seed in benchmark.group(of_family, "seed").values()
                ]
                known = None not in values
                line[f"{measure} at {at}"] = f"{np.mean(values):.3f}" if known else None
        lines.append(line)
    return lines


def at_equal_quality(rows):
    """Return the lines of the second table."""
    means = {
        code: {name: np.mean([row[name] for row in of_code]) for name in ("EV", "L0", "us")}
        for code, of_code in benchmark.group(rows, "family", "parameters").items()
    }
    lines = []
    for alpha in ("0.3", "0.1"):
        spams = means["SPAMS lasso", alpha]
        good = [
            ((family, parameters), code)
            for (family, parameters), code in means.items()
            if family.startswith("ours")
            and code["EV"] >= spams["EV"]
            and code["L0"] <= spams["L0"]
        ]
        line = {"SPAMS, alpha": alpha} | spams
        if good:
            (family, parameters), best = min(good, key=lambda pair: pair[1]["us"])
            line |= {f"our {name}": value for name, value in best.items()}
            line["with"] = f"{family.partition(', ')[2]}, {parameters}"
        else:
            line |= {"our EV": None, "our L0": None, "our us": None, "with": None}
        lines.append(line)
    return lines


def accuracies(rows):
    """Return the lines of the third table."""
    lines = []
    rows = [row for row in rows if row["accuracy"] is not None]
    for (family, parameters), cell in benchmark.group(rows, "family", "parameters").items():
        if family in ("SPAMS lasso", "lasso_cd") or family.startswith("ours, "):
            line = {"family": family, "parameters": parameters}
            line |= {name: np.mean([row[name] for row in cell]) for name in ("L0", "EV", "EVlin")}
            lines.append(
                line | {"accuracy": benchmark.interval([row["accuracy"] for row in cell])}
            )
    return lines


# Figure
# ------
CURVES = {  # colour, style
    "ours, recruited": ("#009E73", "-"),
    "ours, few entries": ("#0072B2", "--"),
    "ours, balanced": ("#0072B2", "-"),
    "ours, rate": ("#56B4E9", "-"),
    "SPAMS lasso": ("#D55E00", "-"),
    "SPAMS lasso, debiased": ("#D55E00", "--"),
    "lasso_cd": ("#E69F00", "-"),
    "SPAMS 0.1, NN-OMP": ("#000000", ":"),
    "SPAMS 0.3, NN-OMP": ("#000000", "--"),
}


def draw(rows, names, x, label):
    """Return a figure with one panel a task: EV of all codes against L0 or time."""
    figure, axes = benchmark.panels(len(names))
    for axis, name in zip(axes.flat, names, strict=False):
        of_task = [row for row in rows if row["task"] == name]
        lowest = 1.0
        for family, (colour, style) in CURVES.items():
            if x == "us" and ("OMP" in family or "debiased" in family):
                continue  # not written for speed
            points = [row for row in of_task if row["family"] == family]
            if not points:
                continue
            where, best = front(points, x)
            axis.plot(where, best, style, color=colour, lw=1.8, label=family)
            if family == "ours, rate":
                lowest = np.nanmin(best)
        axis.set_title(name, fontsize=10)
        benchmark.use_log_scale(axis.xaxis)
        axis.set_ylim(max(0.5, lowest), 1.0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3, lw=0.5)
    for axis in axes[:, 0]:
        axis.set_ylabel("explained variance")
    for axis in axes[-1]:
        axis.set_xlabel(label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=5, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.5 / figure.get_figheight(), 1, 1))
    return figure


def front(points, x):
    """Return the points that no other one of the same seed beats, averaged over seeds."""
    lows = np.concatenate([[row[x] for row in points]])
    grid = np.geomspace(max(lows.min(), 0.5), lows.max(), 40)
    curves = []
    for of_seed in benchmark.group(points, "seed").values():
        pairs = sorted((row[x], row["EV"]) for row in of_seed)
        n, values = np.array(pairs).T
        best = np.interp(grid, n, np.maximum.accumulate(values))
        curves.append(np.where((grid < n[0]) | (grid > n[-1]), np.nan, best))
    return grid, np.mean(curves, axis=0)


def main():
    """Measure."""
    parser = benchmark.command_line(__doc__, repeats=3)
    parser.add_argument("--seeds", type=benchmark.positive, default=3, help="number of seeds (3)")
    options = tasks.parse(parser, TASKS)
    if options.quick:
        options.tasks, options.seeds = ["wine"], 1
    report = benchmark.Report(options, __doc__)
    rows = []
    for name in options.tasks:
        for seed in benchmark.progress(range(options.seeds), name):
            rows += measure(name, options.data, seed, options.repeats)
    for x, label, what in (
        ("L0", "active entries L0", "sparseness"),
        ("us", "us a row", "time"),
    ):
        figure = draw(rows, options.tasks, x, label)
        report.figure(figure, f"explained variance against {what}", what)
    for name in options.tasks:
        of_task = [row for row in rows if row["task"] == name]
        report.table(f"{name}: explained variance at equal L0", at_equal_sparseness(of_task))
        if peers.HAS_SPAMS:
            report.table(f"{name}: time at equal explained variance", at_equal_quality(of_task))
        if any(row["accuracy"] is not None for row in of_task):
            report.table(f"{name}: accuracy", accuracies(of_task))
    report.raw("codes", rows)
    report.save()


if __name__ == "__main__":
    main()
