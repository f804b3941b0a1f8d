"""Examples of a task in memory, wherever they came from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from archscout.training.glue.metrics import Measured, Numbers, measure
from archscout.training.glue.tasks import Task


@dataclass(frozen=True)
class Examples:
    """Sentences, or pairs of them, and their labels.

    Attributes:
        first: the sentences.
        second: those that pair with them; None where the task has single sentences.
        labels: numbers of the classes, or numbers where the task is regression.
    """

    first: Sequence[str]
    second: Sequence[str] | None
    labels: Sequence[float]

    def __len__(self) -> int:
        return len(self.first)

    def head(self, limit: int | None) -> Examples:
        """The first so many; all for None."""
        second = None if self.second is None else self.second[:limit]
        return Examples(self.first[:limit], second, self.labels[:limit])

    def in_both_orders(self) -> Examples:
        """Every pair, then every pair turned around."""
        assert self.second is not None
        return Examples(
            [*self.first, *self.second], [*self.second, *self.first], [*self.labels, *self.labels]
        )

    def targets(self, task: Task) -> Numbers:
        """The labels as an array (N,)."""
        return np.array(self.labels, dtype=np.float64 if task.is_regression else np.int64)


@dataclass(frozen=True)
class TaskData:
    """The examples of one task.

    Attributes:
        train: that are learned from.
        evaluation: the others by part; the first of them decides the task's score.
        notes: on what is not as in the benchmark, such as lines that were left out.
    """

    train: Examples
    evaluation: Mapping[str, Examples]
    notes: tuple[str, ...] = field(default=())

    @property
    def sha256(self) -> str:
        """Of all sentences and labels."""
        digest = hashlib.sha256()
        for examples in (self.train, *self.evaluation.values()):
            for column in (examples.first, examples.second or (), map(str, examples.labels)):
                for value in column:
                    digest.update(value.encode(errors="surrogatepass") + b"\0")
                digest.update(b"\1")
        return digest.hexdigest()


def part_metric(metric: str, part: str, is_first: bool) -> str:
    """What the metric of a part is called: as it is in the first part, then `accuracy_PART`."""
    return metric if is_first else f"{metric}_{part}"


def majority_baseline(task: Task, data: TaskData) -> Measured:
    """What always answering with the train part's most frequent class comes to.

    Of a regression it is the mean in place of a class, and so every correlation is 0.

    Args:
        task: of the examples.
        data: its examples.

    Returns:
        The metrics as `measure_parts` names them.
    """
    labels = data.train.labels
    answer = float(np.mean(labels)) if task.is_regression else Counter(labels).most_common(1)[0][0]
    constant = {
        part: np.full(len(examples), answer, examples.targets(task).dtype)
        for part, examples in data.evaluation.items()
    }
    return measure_parts(task, data, constant)


def measure_parts(task: Task, data: TaskData, predictions: Mapping[str, Numbers]) -> Measured:
    """The metrics of all parts that are evaluated on.

    Args:
        task: of the examples.
        data: its examples.
        predictions: (N,) by part.

    Returns:
        The metrics by their names, see `part_metric`.
    """
    values: dict[str, float] = {}
    notes: list[str] = []
    for i, (part, examples) in enumerate(data.evaluation.items()):
        measured = measure(task, predictions[part], examples.targets(task))
        for metric, value in measured.values.items():
            values[part_metric(metric, part, is_first=i == 0)] = value
        notes += [f"{part}: {note}" if i else note for note in measured.notes]
    return Measured(values, tuple(notes))
