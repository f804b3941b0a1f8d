"""What trainings came to so far: a line of JSON for each, in the order in which they ended."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from pydantic import TypeAdapter

from archscout.folders import append_line, drop_torn_line, read_lines

_SAME = 1e-6  # parts of a training that are one rung


@dataclasses.dataclass(frozen=True)
class Reached:
    """Where a training was measured.

    Attributes:
        fingerprint: of the architecture.
        until: part of a full training.
        loss: of the validation part, nats; None where the training failed.
        spent: part of a full training that it took since it was measured before.
        seconds: since then.
        is_over: whether the training ended, such as for want of patience: it has no later part.
        problem: why it failed; None where it did not.
    """

    fingerprint: str
    until: float
    loss: float | None
    spent: float
    seconds: float
    is_over: bool = False
    problem: str | None = None


class Ledger:
    """A file of what trainings came to.

    Args:
        path: the file; made with the first line.

    Raises:
        InputError: a line of it is damaged; a last one that a kill has cut off is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        drop_torn_line(path)
        found = read_lines(path, TypeAdapter(Reached).validate_python)
        self.lines = list(found)

    def add(self, line: Reached) -> None:
        """Append what a training came to, and make sure that it is on the disk."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        append_line(self._path, dataclasses.asdict(line))
        self.lines.append(line)

    def find(self, fingerprint: str, until: float) -> Reached | None:
        """What was measured there, or where the training ended before; None where nothing was."""
        found = [line for line in self.of(fingerprint) if line.until <= until + _SAME]
        is_there = bool(found) and (found[-1].is_over or found[-1].until > until - _SAME)
        return found[-1] if is_there else None

    def of(self, fingerprint: str) -> list[Reached]:
        """All lines of an architecture, by how long it was trained."""
        found = [line for line in self.lines if line.fingerprint == fingerprint]
        return sorted(found, key=lambda line: line.until)


def loss_of(line: Reached) -> float:
    """The loss; infinite where the training failed."""
    return math.inf if line.loss is None else line.loss
