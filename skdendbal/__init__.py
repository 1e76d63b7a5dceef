"""Spiking networks with dendritic balance as scikit-learn transformers."""

from importlib.metadata import version

from .coder import DendriticBalanceCoder

__all__ = ["DendriticBalanceCoder"]
__version__ = version("skdendbal")
