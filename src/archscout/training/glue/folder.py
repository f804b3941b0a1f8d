"""The folder of a fine-tuning.

`finetuning.json` says what is fine-tuned, on what and how; a folder for each task holds
`checkpoints/` while it is trained, `metrics.jsonl` with a line for each epoch, and `result.json`
when it is over; `results.json` holds all results together.
"""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from archscout.errors import InputError
from archscout.files import write_json
from archscout.training.folder import RESULT, check_identity
from archscout.training.glue.results import TaskResult

FORMAT = 1
"""Of checkpoints: those of another number are refused."""

FINETUNING = "finetuning.json"
RESULTS = "results.json"

_LIBRARIES = ("archscout", "torch", "transformers", "accelerate", "tokenizers", "scikit-learn")


class FinetuningFolder:
    """A folder of one fine-tuning.

    Args:
        path: the folder; made when something is first written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def exists(self) -> bool:
        """Whether a fine-tuning lies there."""
        return (self.path / FINETUNING).exists()

    def begin(self, identity: dict[str, Any], resume: bool) -> None:
        """Make the folder, or make sure that it holds the same fine-tuning.

        Args:
            identity: all that decides the results.
            resume: go on with what is there, if anything is.

        Raises:
            InputError: the folder is in use, differs, or cannot be written.
        """
        if resume and self.exists:
            check_identity(self._there(), identity, str(self))
            return
        if self.exists:
            raise InputError(
                f"{self} already holds a fine-tuning; go on with it by --resume, or name another "
                "folder with --out"
            )
        try:
            others = sorted(file.name for file in self.path.iterdir())
        except FileNotFoundError:
            others = []
        except OSError as error:
            raise InputError(f"cannot use the folder {self}: {error.strerror}") from error
        if others:
            raise InputError(
                f"{self} holds other files, such as {others[0]}; name a folder that is empty or "
                "not there"
            )
        versions = {name: version(name) for name in _LIBRARIES} | {
            "python": platform.python_version()
        }
        write_json(self.path / FINETUNING, {**identity, "versions": versions})

    def _there(self) -> Any:
        path = self.path / FINETUNING
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {error}") from error

    def task(self, name: str) -> Path:
        """The folder of a task."""
        return self.path / name

    def result(self, name: str) -> TaskResult | None:
        """What a task came to; None while it is not over.

        Raises:
            InputError: the file is damaged.
        """
        path = self.task(name) / RESULT
        try:
            return TaskResult(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"cannot read {path}: {error}; remove it to fine-tune on the task again"
            ) from error
