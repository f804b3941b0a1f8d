"""The examples of several tasks, from wherever they are, and whether one can learn from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from archscout.errors import InputError
from archscout.training.glue.examples import Examples, TaskData, part_metric
from archscout.training.glue.files import read_task
from archscout.training.glue.hub import REPOSITORY, download_task
from archscout.training.glue.tasks import Task

HUB = "hub"
DataSource = str | os.PathLike[str] | Mapping[str, TaskData]
"""A folder of GLUE's files, `hub`, or examples by the tasks' names."""


def load_tasks(
    source: DataSource,
    tasks: Sequence[Task],
    on_warning: Callable[[str], None] | None = None,
) -> dict[str, TaskData]:
    """The examples of some tasks, by name.

    Args:
        source: where they are; a folder named `hub` is given as `./hub`.
        tasks: to be loaded.
        on_warning: called with what is not as in the benchmark, of what is read here.
    """
    if isinstance(source, Mapping):
        if missing := [task.name for task in tasks if task.name not in source]:
            raise InputError(f"no examples of task {missing[0]}; there are {', '.join(source)}")
        loaded = {task.name: source[task.name] for task in tasks}
        on_warning = None  # whoever read them was told
    elif source in (HUB, REPOSITORY):
        loaded = {task.name: download_task(task) for task in tasks}
    else:
        loaded = {task.name: read_task(task, Path(source)) for task in tasks}
    for task in tasks:
        check_examples(task, loaded[task.name])
        for note in loaded[task.name].notes:
            if on_warning is not None:
                on_warning(f"{task.title}: {note}")
    return loaded


def check_examples(task: Task, data: TaskData) -> None:
    """Make sure that there is something to learn from and to judge by."""
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
