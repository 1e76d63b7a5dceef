"""
Learning on a cluster: dask
===========================

In a batch, `batch_size` stimuli are presented at once, each to a copy of the network, and these
copies can run anywhere: workers return sums over their stimuli, and the weights are updated from
these sums in a fixed order. The result therefore does not depend on the workers, on their number,
or on whether one of them dies. `fit` runs them through joblib, so ``joblib.parallel_config`` moves
it to an existing cluster.

Here this cluster is a `LocalCluster` of two processes. The coder learns handwritten digits on it
and, for comparison, in this process and with two threads. A cluster pays off where presenting a
batch takes much longer than sending the weights: for large batches of long presentations in small
steps. ::

    pip install -e ".[examples,distributed]"
    python examples/plot_distributed_dask.py
"""

# %%
import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder

parser = argparse.ArgumentParser(description="Learn digits on a cluster of processes.")
parser.add_argument("--output", type=Path, default=Path("distributed"), help="folder for results")
parser.add_argument("--passes", type=int, default=2, help="passes over the data")


# %%
# A batch of 512 presentations in steps of 0.05 ms keeps two workers busy for a while.
def measure(name, coder, X):
    """Fit a coder and return its row of the table, with its components."""
    start = time.perf_counter()
    coder.fit(X)
    return {
        "learning": name,
        "s": f"{time.perf_counter() - start:.2f}",
        "EV": f"{coder.score(X):.4f}",
        "components": coder.components_,
    }


def main():
    """Learn in three ways."""
    arguments = parser.parse_args()
    X = load_digits().data
    params = {"batch_size": 512, "dt": 0.05, "max_iter": arguments.passes, "random_state": 0}
    DendriticBalanceCoder(64, **params).set_params(max_iter=1).fit(X[:512])  # compiles the kernels
    rows = [measure("in this process", DendriticBalanceCoder(64, **params), X)]
    rows.append(measure("with two threads", DendriticBalanceCoder(64, n_jobs=2, **params), X))
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        parallel_config("dask"),
    ):
        DendriticBalanceCoder(64, **params).set_params(max_iter=1).fit(X[:512])  # loads them
        rows.append(measure("on two dask workers", DendriticBalanceCoder(64, **params), X))
    first = rows[0]["components"]
    table = Table(title="64 neurons, batches of 512 digits")
    for column in ("learning", "s", "EV", "same bits"):
        table.add_column(column)
    for row in rows:
        same = "yes" if np.array_equal(row["components"], first) else "no"
        table.add_row(row["learning"], row["s"], row["EV"], same)
    Console().print(table)

    figure, axes = plt.subplots(4, 16, figsize=(8, 2.2), layout="constrained")
    for ax, component in zip(axes.ravel(), first, strict=True):
        ax.imshow(component.reshape(8, 8), cmap="gray_r")
        ax.axis("off")
    arguments.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output / "components.png", dpi=120)


if __name__ == "__main__":  # workers import this file
    main()
