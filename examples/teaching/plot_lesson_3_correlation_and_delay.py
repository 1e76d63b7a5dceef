"""
Lesson 3: Correlation and delay
===============================

*You will see where balance at the soma is not enough, and why inhibition must not be late.*

In the second lesson, every compartment was balanced. Could a neuron do with one balanced
potential, at its soma, and the Hebbian rule that is in every textbook? Sometimes. This lesson
finds out when.

We use images of bars, whose parts we know: with probability *p*, the horizontal and the vertical
bar of one index appear together.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from skdendbal import DendriticBalanceCoder, published
from skdendbal.datasets import make_bars
from skdendbal.display import DictionaryDisplay, rule_colour

figure, axes = plt.subplots(1, 2, figsize=(8, 1.3), layout="constrained")
for ax, p in zip(axes, (0.0, 0.9), strict=True):
    images = make_bars(18, 8, correlation=p, random_state=1).reshape(2, 9, 8, 8)
    mosaic = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.5)
    ax.imshow(mosaic.swapaxes(1, 2).reshape(20, 90), cmap="gray_r")
    ax.set(xticks=[], yticks=[], title=f"p = {p}")

# %%
# Two kinds of balance
# --------------------
# Both networks have 16 neurons, as many as there are bars, with the published
# settings, shortened to 10,000 images.


def learn(balance, p, **changes):
    """Return a network that has learned from bars."""
    experiment = published.BARS.by_rule[balance].at_scale(0.01)
    coder = DendriticBalanceCoder(**experiment, max_iter=1, tol=None, random_state=0)
    coder.set_params(batch_size=8, **changes)
    return coder.fit(make_bars(10_000, 8, p, random_state=0))


test = make_bars(1000, 8, 0.5, random_state=1)
figure, axes = plt.subplots(1, 2, figsize=(7, 3.8), layout="constrained")
for balance, ax in zip(("dendritic", "somatic"), axes, strict=True):
    coder = learn(balance, 0.5)
    DictionaryDisplay.from_estimator(coder, ax=ax, vmin=-1)
    ax.set_title(f"{balance} balance:\n{100 * (1 - coder.score(test)):.0f} % unexplained")

# %%
# Dendritic balance finds single bars. With somatic balance, some neurons mix several.
#
# Why? A Hebbian synapse strengthens whatever is active when its neuron fires. Where two bars
# appear together, both of their neurons fire together, and each of them learns a little of the
# other's bar. A synapse in a balanced compartment sees that the other bar is explained already,
# and leaves it.
#
# Late inhibition
# ---------------
# A spike needs time to reach other neurons. Until it arrives, they do not know what is explained.
figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
delays = [1.0, 3.0, 5.0]
for balance in ("dendritic", "somatic"):
    unexplained = [1 - learn(balance, 0.5, delay=delay).score(test) for delay in delays]
    ax.plot(delays, unexplained, "o-", color=rule_colour(balance), label=f"{balance} balance")
ax.set(xlabel="delay (ms)", ylabel="unexplained variance", ylim=(0, None))
ax.legend()

# %%
# Exercises
# ---------
# 1. Before you run it: what do you expect at p = 1, when bars *always* appear in pairs? Which
#    parts should the networks find? Check with ``learn("somatic", 1.0)``.
# 2. Draw the unexplained variance of both networks against p.
# 3. Noise helps networks with late inhibition, since neurons then do not fire all at once. Try
#    ``learn("somatic", 0.5, delay=5.0, noise=0.5)`` and other levels; the published level is 0.32.
# 4. Measure correlations between neurons: record 200 test images, sample the traces by
#    ``recording.traces(row)``, and use :func:`skdendbal.metrics.trace_correlations`. For which
#    pairs are they large?

# %%
# Solution of exercise 1
# ----------------------
# At p = 1 nothing distinguishes the two bars of a pair, so the pair is the part. There are
# eight pairs, which never correlate with each other beyond chance, and somatic balance does as
# well as dendritic balance.
test = make_bars(1000, 8, 1.0, random_state=1)
figure, axes = plt.subplots(1, 2, figsize=(7, 3.8), layout="constrained")
for balance, ax in zip(("dendritic", "somatic"), axes, strict=True):
    coder = learn(balance, 1.0)
    DictionaryDisplay.from_estimator(coder, ax=ax, vmin=-1)
    ax.set_title(f"{balance} balance, p = 1:\n{100 * (1 - coder.score(test)):.1f} % unexplained")
plt.show()
