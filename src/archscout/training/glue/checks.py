"""Whether examples can be learned from, wherever they came from."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from archscout.errors import InputError
from archscout.training.glue.examples import Examples, TaskData, part_metric
from archscout.training.glue.tasks import Task


def check_examples(task: Task, data: TaskData) -> None:
    """Make sure that there is something to learn from and to judge by.

    Args:
        task: of the examples.
        data: its examples.

    Raises:
        InputError: a part is missing or empty, has no pairs where it must, has not as many labels
            as sentences, or a sentence or label is none; the message names the task, the part and
            the place.
    """
    if not data.evaluation:
        raise InputError(f"task {task.name} has no part that is evaluated on")
    for part, examples in (("train", data.train), *data.evaluation.items()):
        if not len(examples):
            raise InputError(f"task {task.name} has no examples in its part {part}")
        place = f"task {task.name}, part {part}"
        if examples.second is None and (task.is_paired or data.train.second is not None):
            raise InputError(f"{place} has no second sentences; accepted are pairs")
        _check_columns(task, examples, place)
    _check_parts(task, data)


def _check_columns(task: Task, examples: Examples, place: str) -> None:
    """Make sure that sentences and labels are that, and as many."""
    columns: dict[str, Sequence[Any]] = {"first": examples.first, "labels": examples.labels}
    if examples.second is not None:
        columns["second"] = examples.second
    for name, column in columns.items():
        if len(column) != len(examples):
            raise InputError(
                f"{place}: {name} has {len(column):,} entries; accepted are {len(examples):,}, as "
                "many as first has"
            )
        for i, value in enumerate(column):
            good = _is_label(task, value) if name == "labels" else isinstance(value, str)
            if not good:
                accepted = task.accepted_labels if name == "labels" else "texts"
                raise InputError(f"{place}: {name}[{i}] is {value!r:.100}; accepted are {accepted}")


def _is_label(task: Task, value: Any) -> bool:
    """Whether a value is a number, of Python or numpy, that the task may have."""
    if not isinstance(value, Real):
        return False
    if task.is_regression:
        return 0 <= float(value) <= task.largest
    return value in range(len(task.labels))


def _check_parts(task: Task, data: TaskData) -> None:
    """Make sure that the parts give what the task's scores are means of."""
    measured = [
        part_metric(metric, part, is_first=i == 0)
        for i, part in enumerate(data.evaluation)
        for metric in task.metrics
    ]
    for name in (*task.score, *task.leaderboard):
        if name not in measured:
            raise InputError(
                f"task {task.name}: {name} counts for its score; of the parts that are evaluated "
                f"on there are {', '.join(measured)}"
            )
