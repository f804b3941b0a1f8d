"""The folder of one evaluation: its settings, and every score as soon as it is there.

`evaluation.json` holds the settings and versions, `scores.jsonl` one line a network and draw.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from archscout.folders import ResultsFolder, StoredSettings, read_lines
from archscout.scoring import ScoringSettings

SETTINGS = "evaluation.json"
SCORES = "scores.jsonl"
_LIBRARIES = ("archscout", "torch", "numpy", "scipy")


class EvaluationSettings(StoredSettings, ScoringSettings):
    """Everything that decides an evaluation's scores.

    Attributes:
        benchmark: its name.
        dataset: what its networks were trained on.
    """

    WHAT = "evaluation"
    # More draws may be asked for than before.
    MAY_CHANGE = frozenset({"seeds", "minibatches"})

    benchmark: str
    dataset: str


class EvaluationFolder(ResultsFolder[EvaluationSettings]):
    """A folder of one evaluation.

    Args:
        path: the folder; made when something is first written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, EvaluationSettings, SETTINGS, SCORES, _LIBRARIES)

    def rows(self) -> list[dict[str, Any]]:
        """What has been scored, a row a network and draw; a torn last line is not among them.

        Raises:
            InputError: a line is damaged.
        """
        return read_lines(self.lines, dict)

    @contextmanager
    def appending(self) -> Iterator[Any]:
        """A function that adds one row; it is with the operating system when that returns."""
        with self.lines.open("a", encoding="utf-8") as file:

            def add(row: dict[str, Any]) -> None:
                file.write(json.dumps(row) + "\n")
                file.flush()

            yield add
