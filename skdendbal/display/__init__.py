"""Pictures of a fitted coder and of recordings, following scikit-learn's Display convention.

Matplotlib is optional. Texts, spikes and zero take their colours from matplotlib's style, so that
all displays can be read in dark styles, too. Every learning rule has one colour, `RULE_COLOURS`.
"""

from ._anytime import AnyTimeDisplay
from ._balance import BalanceDisplay
from ._dictionary import DictionaryDisplay, DictionaryHistoryDisplay
from ._histograms import FiringRateDisplay, InterspikeIntervalDisplay
from ._learning import LearningDisplay
from ._raster import RasterDisplay
from ._style import RULE_COLOURS, rule_colour

__all__ = [
    "RULE_COLOURS",
    "AnyTimeDisplay",
    "BalanceDisplay",
    "DictionaryDisplay",
    "DictionaryHistoryDisplay",
    "FiringRateDisplay",
    "InterspikeIntervalDisplay",
    "LearningDisplay",
    "RasterDisplay",
    "rule_colour",
]
