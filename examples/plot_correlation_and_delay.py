"""
Dendritic against somatic balance, over correlation and delay
=============================================================

Neurons whose recurrent connections balance every compartment can learn from the coding error of
every input. Neurons that are balanced only at the soma, with Hebbian-like plasticity, cannot tell
which input is unexplained. The difference shows where neurons have to fire together, and where
inhibition is late.

The images are two bars on 8 by 8 pixels. With probability *p*, they are the horizontal and the
vertical bar of one index. The settings are those published, but with a hundredth of the stimuli
and in batches of eight. At the defaults of the coder both kinds of balance are alike on bars; see
:doc:`/differences`.
"""

# %%
import matplotlib.pyplot as plt

from skdendbal import DendriticBalanceCoder, published
from skdendbal.datasets import make_bars
from skdendbal.display import rule_colour


def unexplained(balance, correlation, **changes):
    """Return the part of the variance of new images that a network leaves unexplained."""
    experiment = published.BARS.by_rule[balance].at_scale(0.01)  # 10,000 stimuli, faster learning
    coder = DendriticBalanceCoder(**experiment, max_iter=1, tol=None, random_state=1)
    coder.set_params(batch_size=8, **changes).fit(
        make_bars(10_000, 8, correlation, random_state=1)
    )
    return 1.0 - coder.score(make_bars(1000, 8, correlation, random_state=2))


correlations = [0.0, 0.25, 0.5, 0.75, 1.0]
figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for balance in ("dendritic", "somatic"):
    results = [unexplained(balance, p) for p in correlations]
    ax.plot(correlations, results, "o-", color=rule_colour(balance), label=f"{balance} balance")
ax.set(xlabel="correlation p", ylabel="unexplained variance", ylim=(0, None))
ax.legend()

# %%
# At p = 1, pairs of bars are the parts, and both networks find them. Below, neurons for single
# bars have to fire together, and somatic balance leaves two to three times as much unexplained;
# how much varies from run to run. With ten times as many stimuli, the two are close at p = 0,
# where neurons rarely fire together, and still far apart in between.
#
# Late inhibition
# ---------------
# Here p is 0.5, and a spike reaches other neurons only after a delay. Dendritic balance can wait;
# somatic balance gets worse.
delays = [1.0, 2.0, 3.0, 5.0]
figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for balance in ("dendritic", "somatic"):
    results = [unexplained(balance, 0.5, delay=delay) for delay in delays]
    ax.plot(delays, results, "o-", color=rule_colour(balance), label=f"{balance} balance")
ax.set(xlabel="delay (ms)", ylabel="unexplained variance", ylim=(0, None))
ax.legend()
plt.show()
