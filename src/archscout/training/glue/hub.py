"""GLUE from the Hugging Face hub, by the package `datasets`.

The package takes seconds to import and is not always there, so it is imported where it is used.
"""

from __future__ import annotations

from typing import Any

from archscout.errors import InputError
from archscout.training.glue.examples import Examples, TaskData
from archscout.training.glue.tasks import HubLayout, Task

REPOSITORY = "nyu-mll/glue"


def download_task(task: Task) -> TaskData:
    """One task, from the hub or its cache on this machine."""
    layout = task.hub
    if layout is None:
        raise InputError(f"task {task.name!r} is not in {REPOSITORY}; give its examples")
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise InputError(
            "GLUE from the hub needs the package datasets: pip install 'archscout[glue]'\n"
            "(or give the folder of GLUE's own files)"
        ) from error
    try:
        loaded: Any = load_dataset(REPOSITORY, layout.configuration)
    # The package lets errors of several libraries for the network through.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"cannot load {REPOSITORY}, {layout.configuration}, from the hub "
            f"({type(error).__name__}: {reason:.150});\n"
            "without a network, give the folder of GLUE's own files: --data glue_data"
        ) from error
    parts = {part: _examples(task, layout, loaded, split) for part, split in layout.parts.items()}
    return TaskData(parts.pop("train"), parts)


def _examples(task: Task, layout: HubLayout, loaded: Any, split: str) -> Examples:
    place = f"{REPOSITORY}, {layout.configuration}, split {split}"
    if split not in loaded:
        raise InputError(f"{place} is not there; it has {', '.join(loaded)}")
    table = loaded[split]
    for column in (*layout.sentences, "label"):
        if column not in table.column_names:
            has = ", ".join(table.column_names)
            raise InputError(f"{place} lacks the column {column!r}; it has {has}")
    _check_classes(task, layout, table, place)
    sentences = [list(table[column]) for column in layout.sentences]
    return Examples(
        sentences[0], sentences[1] if len(sentences) == 2 else None, list(table["label"])
    )


def _check_classes(task: Task, layout: HubLayout, table: Any, place: str) -> None:
    """Make sure that the hub numbers classes in the order of `Task.labels`, where it names them."""
    names = getattr(table.features["label"], "names", None)
    accepted = layout.classes or task.labels
    if names is not None and tuple(names) != accepted:
        raise InputError(
            f"{place} has the classes {', '.join(names)}; accepted: {', '.join(accepted) or 'none'}"
        )
