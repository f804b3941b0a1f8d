"""How well answers fit: the benchmark's metrics, in percent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archscout.training.glue.tasks import CLASS_METRICS, CORRELATIONS, Task

Numbers = NDArray[np.number[Any]]
_UNDEFINED = ("matthews", *CORRELATIONS)
"""Where all answers are the same."""


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
        if constant and name in _UNDEFINED:
            values[name] = 0.0
            notes.append(f"{name} is 0 because the {' and '.join(constant)} are all the same")
        else:
            values[name] = 100 * _METRICS[name](labels, predictions)
    return Measured(values, tuple(notes))


def _accuracy(labels: Any, predictions: Any) -> float:
    return float(np.mean(labels == predictions))


# Both packages take a second to import.


def _f1(labels: Any, predictions: Any) -> float:
    from sklearn.metrics import f1_score  # type: ignore[import-untyped]

    return float(f1_score(labels, predictions, zero_division=0))


def _matthews(labels: Any, predictions: Any) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions))


def _pearson(labels: Any, predictions: Any) -> float:
    from scipy.stats import pearsonr

    return float(pearsonr(labels, predictions).statistic)


def _spearman(labels: Any, predictions: Any) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(labels, predictions).statistic)


_METRICS: Mapping[str, Callable[[Any, Any], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
}
assert tuple(_METRICS) == CLASS_METRICS + CORRELATIONS
