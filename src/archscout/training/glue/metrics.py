"""How well answers fit: the benchmark's metrics, in percent."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archscout.training.glue.tasks import Task

Numbers = NDArray[np.number[Any]]
_CORRELATIONS = ("matthews", "pearson", "spearman")


class Measured(NamedTuple):
    """What the metrics came to.

    Attributes:
        values: in percent, by metric.
        notes: on values that stand for ones that are not defined.
    """

    values: dict[str, float]
    notes: tuple[str, ...] = ()


def measure(task: Task, predictions: Numbers, labels: Numbers) -> Measured:
    """Judge the answers to one task.

    Args:
        task: whose metrics are taken.
        predictions: (N,), numbers of classes, or numbers where the task is regression.
        labels: (N,), the same.

    Returns:
        The metrics in percent. Where a correlation is not defined, for predictions or labels that
        are all the same, it is 0, and a note says so.

    >>> import numpy as np
    >>> from archscout.training.glue.tasks import TASKS
    >>> measure(TASKS["mrpc"], np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0])).values
    {'accuracy': 75.0, 'f1': 66.66666666666666}
    """
    constant = [
        name
        for name, values in (("predictions", predictions), ("labels", labels))
        if len(np.unique(values)) < 2
    ]
    values, notes = {}, []
    for name in task.metrics:
        if constant and name in _CORRELATIONS:
            values[name] = 0.0
            notes.append(f"{name} is 0 because the {' and '.join(constant)} are all the same")
        else:
            values[name] = 100 * _metric(name, predictions, labels)
    return Measured(values, tuple(notes))


def _metric(name: str, predictions: Any, labels: Any) -> float:
    """One metric, between -1 and 1; both packages take a second to import."""
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import (  # type: ignore[import-untyped]
        accuracy_score,
        f1_score,
        matthews_corrcoef,
    )

    if name == "f1":
        return float(f1_score(labels, predictions, zero_division=0))
    if name in ("pearson", "spearman"):
        correlate: Any = pearsonr if name == "pearson" else spearmanr
        return float(correlate(labels, predictions).statistic)
    score: Any = matthews_corrcoef if name == "matthews" else accuracy_score
    return float(score(labels, predictions))
