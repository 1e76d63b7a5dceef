"""Spiking networks with dendritic balance as scikit-learn transformers."""

from .coder import DendriticBalanceCoder

__all__ = ["DendriticBalanceCoder"]
__version__ = "0.1.0"
