"""Rank language-model architectures before training them.

A training-free metric scores a randomly initialised network from a pass or two over a minibatch
of text. archscout scores, searches spaces of architectures under real constraints, and hands over
what it finds as ordinary PyTorch models.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archscout import metrics, spaces
    from archscout.errors import InputError
    from archscout.exports import export, export_candidate
    from archscout.metrics import metric
    from archscout.report import write_report
    from archscout.runs import Run, search
    from archscout.scoring import Score, Scorer, minibatch, score, score_module
    from archscout.training import train

# On some processors MKL's products depend on where in memory their factors begin, and a training
# that goes on would part from one that never stopped. MKL reads this at its first product.
os.environ.setdefault("MKL_CBWR", "AUTO")

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Run",
    "Score",
    "Scorer",
    "export",
    "export_candidate",
    "metric",
    "metrics",
    "minibatch",
    "score",
    "score_module",
    "search",
    "spaces",
    "train",
    "write_report",
]

# Importing torch takes seconds; `archscout --help` should not. So names are imported when used.
_HOMES = {
    "InputError": "errors",
    "Run": "runs",
    "Score": "scoring",
    "Scorer": "scoring",
    "export": "exports",
    "export_candidate": "exports",
    "metric": "metrics",
    "minibatch": "scoring",
    "score": "scoring",
    "score_module": "scoring",
    "search": "runs",
    "train": "training",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"archscout.{_HOMES[name]}"), name)
    if name in ("metrics", "spaces"):
        return import_module(f"archscout.{name}")
    raise AttributeError(f"module 'archscout' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
