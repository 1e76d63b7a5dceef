"""The order of the gallery, and which of its examples a build runs."""

ORDER = [
    "plot_digit",
    "plot_dictionary",
    "plot_balance",
    "plot_correlation_and_delay",
    "plot_frontier",
    "plot_few_labels",
    "plot_patches",
    "plot_mixtures",
    "plot_denoising",
    "plot_stream",
    "plot_own_rule",
    "plot_digits_pipeline",
    "plot_halving_search",
    "plot_claim",
    "plot_distributed_dask",
    "plot_lesson_1_sparse_codes",
    "plot_lesson_2_balance",
    "plot_lesson_3_correlation_and_delay",
]
# These take minutes or need a cluster, and show pictures of an earlier run.
NOT_RUN = [
    "plot_digits_pipeline",
    "plot_halving_search",
    "plot_claim",
    "plot_distributed_dask",
]


def position(name):
    """Return the place of an example among those of its folder."""
    return ORDER.index(name.removesuffix(".py"))
