"""The training folder: what a training leaves on disk.

`training.json` says what is trained, on what and how; `checkpoints/` is where it can go on;
`metrics.jsonl` has a line for each epoch, `events/` the same and more for TensorBoard, and
`result.json` how it ended. `best-N.safetensors` are the weights after the best epoch N, and
`milestones/step-NNNNNNNN/` holds encoders that were kept on the way.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from archscout.errors import InputError
from archscout.files import write_by, write_json
from archscout.folders import check_free, check_there, claimed, versions
from archscout.text import Tokenizer
from archscout.training.checkpoints import Checkpoint, Checkpoints

if TYPE_CHECKING:
    from accelerate import Accelerator

FORMAT = 1
"""Of checkpoints: those of another number are refused."""

METRICS = "metrics.jsonl"
RESULT = "result.json"
VOCABULARY = "vocabulary.json"
EVENTS = "events"
CHECKPOINTS = "checkpoints"
MODEL = "model"
MILESTONES = "milestones"

_MILESTONE = re.compile(r"step-([0-9]+)")
_ABSENT = "absent"


def milestone_name(step: int) -> str:
    """The name of what belongs to the encoder after so many steps.

    >>> milestone_name(500)
    'step-00000500'
    """
    return f"step-{step:08d}"


def milestone_step(name: str) -> int | None:
    """The steps in a milestone's name, with zeros in front or without; None of other names."""
    found = _MILESTONE.fullmatch(name)
    return int(found[1]) if found else None


class ResumableFolder:
    """A folder of something that can be stopped and gone on with.

    Args:
        path: the folder; made when something is first written.
    """

    description: ClassVar[str]
    """The file that says what it is, on what and how."""
    noun: ClassVar[str]
    """What it is called in messages."""
    libraries: ClassVar[tuple[str, ...]]
    """Those whose versions are written down."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def exists(self) -> bool:
        """Whether something of this kind lies there."""
        return (self.path / self.description).exists()

    def claimed(self, resume: bool) -> AbstractContextManager[None]:
        """Hold the folder while no other process does; see `folders.claimed`."""
        return claimed(self.path, self.description, self.noun, resume)

    def start(self, identity: dict[str, Any]) -> None:
        """Make the folder and write into it what it is of."""
        check_free(self.path, self.description, self.noun)
        document = {**identity, "versions": versions(self.libraries)}
        write_json(self.path / self.description, document)

    def check(self, identity: dict[str, Any]) -> None:
        """Make sure that what is to be gone on with lies here, and is of the same."""
        check_there(self.path, self.description, self.noun)
        path = self.path / self.description
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {error}") from error
        check_identity(there, identity, str(self))


class TrainingFolder(ResumableFolder):
    """A folder of one training.

    Args:
        path: the folder; made when something is first written.
    """

    description = "training.json"
    noun = "training"
    libraries = ("archscout", "torch", "numpy")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self.checkpoints = Checkpoints(self.path / CHECKPOINTS)

    def best(self, epoch: int) -> Path:
        """The file of the weights after an epoch that was the best so far."""
        return self.path / f"best-{epoch}.safetensors"

    def begin(
        self,
        identity: dict[str, Any],
        tokenizer: Tokenizer,
        resume: bool,
        warn: Callable[[str], None],
        accelerator: Accelerator | None = None,
    ) -> Checkpoint | None:
        """Start the folder, or find the checkpoint to go on from.

        Args:
            identity: what is trained.
            tokenizer: of the text, which the folder keeps.
            resume: go on with the training that lies in the folder.
            warn: called with what the user should know.
            accelerator: of a training that may have several processes; the main one writes.

        Returns:
            The last whole checkpoint; None where the training begins at its beginning.

        Raises:
            InputError: the folder or its checkpoint is of another training, there is none to go on
                with, or it cannot be written.
        """
        is_main = accelerator is None or accelerator.is_main_process
        if not resume:
            if is_main:
                self.start(identity)
                write_by(tokenizer.save, self.path / VOCABULARY)
            return None
        self.check(identity)
        if is_main:
            if not (self.path / VOCABULARY).exists():  # a kill may have come before it was written
                write_by(tokenizer.save, self.path / VOCABULARY)
            self._forget_problem()
        checkpoint, damages = self.checkpoints.latest()
        for damage in damages:
            warn(damage)
        if checkpoint is None:
            warn(f"{self} holds no whole checkpoint; starting from the beginning")
            return None
        place = f"the checkpoint in {self.checkpoints.folder}"
        check_identity(checkpoint.state.get("identity"), identity, place)
        return checkpoint

    def record_problem(self, problem: Exception) -> None:
        """Write down why the training ended; a full disk must not hide the reason itself."""
        with suppress(InputError):
            write_json(self.path / RESULT, {"problem": str(problem).partition("\n")[0]})

    def _forget_problem(self) -> None:
        with suppress(OSError, ValueError):
            if "problem" in json.loads((self.path / RESULT).read_text(encoding="utf-8")):
                (self.path / RESULT).unlink()


def read_records(lines: bytes) -> list[dict[str, Any]]:
    """What metrics.jsonl holds."""
    return [json.loads(line) for line in lines.decode().splitlines()]


def check_identity(there: Any, now: dict[str, Any], place: str) -> None:
    """Make sure that two trainings are of the same architecture, text, settings and format."""
    document = there if isinstance(there, dict) else {}
    for name in now:
        if _content(document, name) != _content(now, name):
            what, found, wanted = difference(document, now, name)
            raise InputError(
                f"{place} is a training of another {what}: {found} there, {wanted} here;\n"
                "give what it was started with, or name another folder with --out"
            )


def _content(document: Mapping[str, Any], name: str) -> str | None:
    """An entry as JSON, in which 1 is not 1.0; None where there is none."""
    if name not in document:
        return None
    # The order of an architecture's nodes counts, too.
    return json.dumps(document[name], sort_keys=name != "architecture")


def difference(there: Mapping[str, Any], now: Mapping[str, Any], name: str) -> tuple[str, Any, Any]:
    """What differs in an entry, how it is there, and how it is here."""
    what = name.replace("_", " ")
    if name == "architecture":
        found, wanted = there.get("fingerprint", _ABSENT), now["fingerprint"]
        if found == wanted:
            return what, "its nodes in another order", "as given"
        return what, found, wanted
    found, wanted = there.get(name, _ABSENT), now[name]
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return what, found, wanted
    inner = next(k for k in {**wanted, **found} if _content(found, k) != _content(wanted, k))
    return f"{what}: {inner}", found.get(inner, _ABSENT), wanted.get(inner, _ABSENT)
