"""The folder of a fine-tuning.

`finetuning.json` says what is fine-tuned, on what and how; a folder for each task holds
`checkpoints/` while it is trained, and where it diverged; `metrics.jsonl` with a line for each
epoch, and `result.json` when it is over; `results.json` holds all results together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archscout.errors import InputError
from archscout.training.glue.results import TaskResult
from archscout.training.training_folder import RESULT, ResumableFolder

RESULTS = "results.json"


class FinetuningFolder(ResumableFolder):
    """A folder of one fine-tuning.

    Args:
        path: the folder; made when something is first written.
    """

    description = "finetuning.json"
    noun = "fine-tuning"
    libraries = ("archscout", "torch", "transformers", "accelerate", "tokenizers", "scikit-learn")

    def begin(self, identity: dict[str, Any], resume: bool) -> None:
        """Make the folder, or make sure that it holds the same fine-tuning.

        Args:
            identity: all that decides the results.
            resume: go on with what is there, if anything is.

        Raises:
            InputError: the folder is in use, differs, or cannot be written.
        """
        if resume and self.exists:
            self.check(identity)
        else:
            self.start(identity)

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
