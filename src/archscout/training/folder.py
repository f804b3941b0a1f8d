"""The training folder: what a training leaves on disk.

`training.json` says what is trained, on what and how; `checkpoints/` is where it can go on;
`metrics.jsonl` has a line for each epoch, `events/` the same and more for TensorBoard, and
`result.json` how it ended. `best-N.safetensors` are the weights after the best epoch N.
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
from archscout.training.checkpoints import Checkpoints

FORMAT = 1
"""Of checkpoints: those of another number are refused."""

TRAINING = "training.json"
METRICS = "metrics.jsonl"
RESULT = "result.json"
VOCABULARY = "vocabulary.json"
EVENTS = "events"
MODEL = "model"

_LIBRARIES = ("archscout", "torch", "numpy")


class TrainingFolder:
    """A folder of one training.

    Args:
        path: the folder; made when something is first written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.checkpoints = Checkpoints(self.path / "checkpoints")

    def __str__(self) -> str:
        return str(self.path)

    @property
    def exists(self) -> bool:
        """Whether a training lies there."""
        return (self.path / TRAINING).exists()

    def best(self, epoch: int) -> Path:
        """The file of the weights after an epoch that was the best so far."""
        return self.path / f"best-{epoch}.safetensors"

    def start(self, identity: dict[str, Any]) -> None:
        """Make the folder and write what is trained in it.

        Raises:
            InputError: the folder holds a training or other files, or cannot be written.
        """
        if self.exists:
            raise InputError(
                f"{self} already holds a training; go on with it by --resume, or name another "
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
        write_json(self.path / TRAINING, {**identity, "versions": versions})

    def check(self, identity: dict[str, Any]) -> None:
        """Make sure that what lies here is a training of the same.

        Raises:
            InputError: it differs; the message says in what.
        """
        path = self.path / TRAINING
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {error}") from error
        check_identity(there, identity, str(self))


def check_identity(there: Any, now: dict[str, Any], place: str) -> None:
    """Make sure that two trainings are of the same architecture, text, settings and format.

    Args:
        there: what a folder or checkpoint holds.
        now: what is asked for.
        place: of the former, for the message.

    Raises:
        InputError: they differ; the message says in what.
    """
    if not isinstance(there, dict):
        there = {}
    for name, wanted in now.items():
        found = there.get(name)
        if json.dumps(found) == json.dumps(wanted):  # the order of nodes counts, too
            continue
        what = name.replace("_", " ")
        if name == "architecture":
            found, wanted = there.get("fingerprint"), now["fingerprint"]
            if found == wanted:
                found, wanted = "its nodes in another order", "as given"
        elif isinstance(found, dict) and isinstance(wanted, dict):
            inner = next(k for k in {**wanted, **found} if found.get(k) != wanted.get(k))
            what, found, wanted = f"{what}: {inner}", found.get(inner), wanted.get(inner)
        raise InputError(
            f"{place} is a training of another {what}: {found} there, {wanted} here;\n"
            "give what it was started with, or name another folder with --out"
        )
