"""Curves of a training, for any tracker that accelerate knows: TensorBoard, MLflow, W&B, ..."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archscout.errors import InputError
from archscout.training.training_folder import EVENTS

_DEFAULT = "tensorboard"


def chosen_trackers(names: Sequence[str] | str | None) -> list[str]:
    """The trackers that are meant, each once; for None TensorBoard, where it is installed.

    Args:
        names: as accelerate has them, such as `tensorboard` or `mlflow`.

    Raises:
        InputError: one is unknown or not installed, or accelerate is not installed.
    """
    try:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
    except ImportError as error:
        if not names:
            return []
        raise InputError(
            f"curves are logged with the package accelerate ({error}); "
            "pip install 'archscout[train]'"
        ) from error
    installed = [tracker.value for tracker in get_available_trackers()]
    if isinstance(names, str):
        names = [names]
    if names is None:
        return [name for name in installed if name == _DEFAULT]
    for name in names:
        if name not in installed:
            why = "is not installed" if name in LOGGER_TYPE_TO_CLASS else "is unknown"
            others = sorted(set(LOGGER_TYPE_TO_CLASS) - set(installed))
            raise InputError(
                f"tracker {name!r} {why}; accepted: {', '.join(installed) or 'none'}, and once "
                f"installed {', '.join(others)}"
            )
    return list(dict.fromkeys(names))


def open_trackers(names: Sequence[str], folder: Path, first: int) -> list[Any]:
    """Trackers (`GeneralTracker` of accelerate) of a training.

    Args:
        names: as `chosen_trackers` gives them.
        folder: of the training; TensorBoard's files lie in `events/`.
        first: tokens read so far: what an earlier process logged after that TensorBoard hides.
    """
    if not names:
        return []
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    PartialState()  # trackers want one, where the training itself has made none
    found = []
    for name in names:
        kind = LOGGER_TYPE_TO_CLASS[name]
        if name == _DEFAULT:
            _wait_for_a_later_name(folder / EVENTS)
            tracker = kind(EVENTS, logging_dir=folder, purge_step=first + 1 if first else None)
        elif kind.requires_logging_directory:
            tracker = kind(folder.name, logging_dir=folder)
        else:
            tracker = kind(folder.name)
        if hasattr(tracker, "start"):  # earlier versions have started it
            tracker.start()
        found.append(tracker)
    return found


def _wait_for_a_later_name(events: Path) -> None:
    """Wait until no file of this second lies in the folder of TensorBoard's files.

    They are read in the order of their names: the second, host and process in which one was made,
    and a count, where 10 comes before 9.
    """
    now = time.time()
    made = (re.match(r"events\.out\.tfevents\.(\d+)", path.name) for path in events.glob("*"))
    if any(match and int(match[1]) == int(now) for match in made):
        time.sleep(int(now) + 1 - now)
