"""The examples of several tasks, from wherever they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from archscout.errors import InputError
from archscout.training.glue.checks import check_examples
from archscout.training.glue.examples import TaskData
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

    Raises:
        InputError: something is missing, damaged, or no example of the task, see `check_examples`.
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
