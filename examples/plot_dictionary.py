"""
The dictionary fills in
=======================

A network learns from one digit after another. At first its neurons stand for nothing. After some
hundred digits they hold blurred mixtures, and after some thousand, strokes and whole digits.
"""

# %%
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryHistoryDisplay, LearningDisplay
from skdendbal.monitoring import LearningMonitor

X, _ = load_digits(return_X_y=True)
coder = DendriticBalanceCoder(n_components=36, input_scale=55.0, random_state=0)
monitor = LearningMonitor(X[1500:], snapshots=[64, 192, 512, 1500, 6000])
for _ in range(4):
    for start in range(0, 1500, 64):
        monitor.observe(coder.partial_fit(X[start : start + 64]))
display = DictionaryHistoryDisplay.from_monitor(monitor, snapshots=range(5))
display.figure_.set_size_inches(10, 2.4)

# %%
# Noise, and why it falls
# -----------------------
# Neurons begin with much noise, so that all of them take part. They become more precise while the
# noise falls over the horizon of 4000 presentations. The explained variance is that of digits that
# are not learned.
LearningDisplay.from_monitor(monitor).figure_.set_size_inches(7, 4)

# %%
# Here a stream is followed, call by call. With scikit-learn 1.9 the monitor is a callback, and
# follows ``fit``: ``coder.set_callbacks(monitor).fit(X)``. See :doc:`/recordings`.
