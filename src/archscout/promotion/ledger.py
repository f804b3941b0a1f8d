"""What trainings came to so far: a line of JSON for each, in the order in which they ended."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path

from archscout.folders import drop_torn_line, read_lines


@dataclasses.dataclass(frozen=True)
class Reached:
    """Where a training was measured.

    Attributes:
        fingerprint: of the architecture.
        until: part of a full training.
        loss: of the validation part, nats; None where the training failed.
        spent: part of a full training that it took since it was measured before.
        seconds: since then.
        problem: why it failed; None where it did not.
    """

    fingerprint: str
    until: float
    loss: float | None
    spent: float
    seconds: float
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
        found = read_lines(path, lambda document: Reached(**document))
        self.lines = {(line.fingerprint, round(line.until, 6)): line for line in found}

    def add(self, line: Reached) -> None:
        """Append what a training came to, and make sure that it is on the disk."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(line), allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines[line.fingerprint, round(line.until, 6)] = line

    def find(self, fingerprint: str, until: float) -> Reached | None:
        """What was measured there, or the failure before it; None where nothing was."""
        failed = (
            line
            for (mark, at), line in self.lines.items()
            if mark == fingerprint and line.loss is None and at <= until + 1e-6
        )
        return self.lines.get((fingerprint, round(until, 6))) or next(failed, None)

    def of(self, fingerprint: str) -> list[Reached]:
        """All lines of an architecture, by how long it was trained."""
        found = [line for line in self.lines.values() if line.fingerprint == fingerprint]
        return sorted(found, key=lambda line: line.until)


def loss_of(line: Reached) -> float:
    """The loss; infinite where the training failed."""
    return math.inf if line.loss is None else line.loss
