"""
A stream that drifts
====================

``partial_fit`` learns from a stream, a few rows at a time, and goes on learning when the data
change. Here the stream shows the digits 0 to 4 first, and then only 5 to 9.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay

X, y = load_digits(return_X_y=True)
low, high = X[y < 5], X[y >= 5]
rng = np.random.default_rng(0)
stream = np.concatenate(
    [low[rng.integers(len(low), size=8000)], high[rng.integers(len(high), size=8000)]]
)

coder = DendriticBalanceCoder(n_components=36, horizon=4000, input_scale=60.0, random_state=0)
presentations, scores, snapshots = [], [], []
for start in range(0, len(stream), 500):
    coder.partial_fit(stream[start : start + 500])
    presentations.append(coder.n_presentations_)
    scores.append((coder.score(low[:300]), coder.score(high[:300])))
    snapshots.append(coder.components_.copy())

figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(presentations, scores, label=["digits 0 to 4", "digits 5 to 9"])
ax.axvline(8000, color="0.5", ls="--", label="the digits change")
ax.set(xlabel="digits presented", ylabel="explained variance", ylim=(0, 1))
ax.legend(loc="lower right")

# %%
# What the neurons stand for
# --------------------------
# Just before the change, and at the end. Neurons keep their places in
# these pictures. Many have moved on to the new digits; strokes that both kinds of digits share
# stay.
figure, axes = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
for ax, components, title in zip(
    axes, (snapshots[15], snapshots[-1]), ("before", "after"), strict=True
):
    DictionaryDisplay(components).plot(ax, vmin=0)
    ax.set_title(title)

# %%
# When to notice
# --------------
# ``score_samples`` gives the log-likelihood of every row, so a drift shows at once,
# before anything has been learned from it: a coder that knows only the digits 0 to 4 finds the
# others unlikely.
coder = DendriticBalanceCoder(n_components=36, random_state=0).fit(low)
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for rows, label in ((low, "digits 0 to 4"), (high, "digits 5 to 9")):
    ax.hist(coder.score_samples(rows), bins=np.arange(-280, -80, 5), alpha=0.6, label=label)
ax.set(xlabel="log-likelihood of a row", ylabel="digits")
ax.legend(loc="upper left")
plt.show()
