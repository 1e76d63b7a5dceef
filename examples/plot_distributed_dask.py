"""
Learning on a cluster: dask
===========================

In a batch, ``batch_size`` stimuli are presented at once, each to a copy of the network, and these
copies can run anywhere. Workers return sums over their stimuli, and the weights are updated from
these sums in a fixed order. The result therefore does not depend on the workers, on their number,
or on whether one of them dies.

.. figure:: /images/distributed.png
   :alt: Twice the same images of 64 neurons

   The images of 64 neurons, to the bit the same, from an earlier run.
"""

# %%
# ``fit`` runs batches through joblib, so ``joblib.parallel_config`` moves it to an existing
# cluster. Here this cluster is a ``LocalCluster`` of two processes. ::
#
#     pip install "skdendbal[examples,distributed]"
#     python plot_distributed_dask.py
import time

import matplotlib.pyplot as plt
import numpy as np
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import load_digits

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay


# %%
# A batch of 512 presentations in steps of 0.05 ms keeps two workers busy for a while.
def learn(where, n_jobs=None):
    """Fit a coder to digits and return its components."""
    X, _ = load_digits(return_X_y=True)
    coder = DendriticBalanceCoder(
        64, batch_size=512, dt=0.05, max_iter=2, n_jobs=n_jobs, random_state=0
    )
    coder.partial_fit(X[:512])  # compiles or loads the kernels
    start = time.perf_counter()
    coder.fit(X)
    seconds = time.perf_counter() - start
    print(f"{where}: {seconds:.1f} s, {coder.score(X):.4f} of the variance explained")
    return coder.components_


# %%
# A cluster pays off where presenting a batch takes much longer than sending the weights: for large
# batches of long presentations in small steps.
if __name__ == "__main__":  # workers import this file
    here = learn("in this process")
    threads = learn("with two threads", n_jobs=2)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        parallel_config("dask"),
    ):
        there = learn("on two workers")
    print("the same to the bit:", np.array_equal(here, threads) and np.array_equal(here, there))

    figure, axes = plt.subplots(1, 2, figsize=(7, 3.8), layout="constrained")
    DictionaryDisplay(here).plot(axes[0]).ax_.set_title("learned in one process")
    DictionaryDisplay(there).plot(axes[1]).ax_.set_title("learned on a cluster")
    # sphinx_gallery_thumbnail_path = "images/distributed.png"
    plt.savefig("distributed.png", dpi=150)
    plt.show()
