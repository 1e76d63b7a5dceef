"""
A rule of your own
==================

A learning rule says which weights a network has and how they change after a batch of stimuli.
Here, feedforward weights follow Oja's Hebbian rule: a neuron moves to the mean of the inputs for
which it fires, whether other neurons explain them or not.
"""

# %%
from dataclasses import dataclass

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay
from skdendbal.rules import Rule


@dataclass(frozen=True)
class Oja(Rule):
    """dF = eta (z x - z^2 F), and recurrent weights that cancel what neurons share."""

    feedforward_rate: float = 1e-5

    def initialise(self, n_features, n_components, random_state):
        return {"feedforward": 0.05 * random_state.uniform(size=(n_features, n_components))}

    def update(self, weights, batch, dt):
        F, rate = weights["feedforward"], self.feedforward_rate * dt
        F += rate * batch.sum_xz
        F /= 1.0 + rate * batch.sum_zz_diagonal
        weights["recurrent"][:] = -F.T @ F


X, _ = load_digits(return_X_y=True)
figure, axes = plt.subplots(1, 2, figsize=(8, 4.3), layout="constrained")
for rule, ax in zip((Oja(), "dendritic"), axes, strict=True):
    coder = DendriticBalanceCoder(25, rate=10.0, learning_rule=rule, random_state=0).fit(X)
    feedforward = coder.weights_.get("feedforward", coder.network_.decoder)
    DictionaryDisplay(feedforward.T).plot(ax, vmin=0)
    ax.set_title(f"{rule}: {coder.score(X):.3f} explained")

# %%
# Hebbian neurons become prototypes: every one resembles a whole digit. Neurons with dendritic
# balance learn from the error that is left, so they also become parts, and together they explain
# more.
#
# The coder does the rest: simulation, decoder, homeostasis, noise, early stopping and warnings. It
# passes a batch as sums over its steps; :doc:`/rules` lists them. The rate is a parameter as any
# other:
print(coder.set_params(learning_rule=Oja(), learning_rule__feedforward_rate=2e-5).learning_rule)
plt.show()
