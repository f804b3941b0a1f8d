"""Rank language-model architectures before training them.

A training-free metric scores a randomly initialised network from a pass or two over a minibatch
of text. archscout scores, searches spaces of architectures under real constraints, and hands over
what it finds as ordinary PyTorch models.
"""

from archscout import metrics, spaces
from archscout.errors import InputError
from archscout.metrics import metric
from archscout.scoring import Score, Scorer, score, score_module
from archscout.search import Run, search

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Run",
    "Score",
    "Scorer",
    "metric",
    "metrics",
    "score",
    "score_module",
    "search",
    "spaces",
]
