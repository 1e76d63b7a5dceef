"""The order of the gallery, and which of its examples a build runs."""

ORDER = [
    "plot_digits_pipeline",
    "plot_halving_search",
    "plot_claim",
    "plot_distributed_dask",
]
# These take minutes or need a cluster, and show pictures of an earlier run.
NOT_RUN = ORDER[-4:]


def position(name):
    """Return the place of an example among those of its folder."""
    name = name.removesuffix(".py")
    return ORDER.index(name) if name in ORDER else len(ORDER)
