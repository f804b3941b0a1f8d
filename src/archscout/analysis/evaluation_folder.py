"""The folder of one evaluation: its settings, and every score as soon as it is there.

`evaluation.json` holds the settings and versions, `scores.jsonl` one line a network and draw.
"""

from __future__ import annotations

import os
from typing import Any

from archscout.folders import ResultsFolder, read_lines
from archscout.scoring.stored import StoredScoring

SETTINGS = "evaluation.json"
SCORES = "scores.jsonl"
_LIBRARIES = ("archscout", "torch", "numpy", "scipy")


class EvaluationSettings(StoredScoring):
    """Everything that decides an evaluation's scores."""

    WHAT = "evaluation"
    # More draws may be asked for than before.
    MAY_CHANGE = frozenset({"seeds", "minibatches"})

    benchmark: str
    dataset: str


class EvaluationFolder(ResultsFolder[EvaluationSettings]):
    """A folder of one evaluation."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, EvaluationSettings, SETTINGS, SCORES, _LIBRARIES)

    def rows(self) -> list[dict[str, Any]]:
        """What has been scored, a row a network and draw; a torn last line is not among them."""
        return read_lines(self.lines, _row)


def _row(content: Any) -> dict[str, Any]:
    row = {name: content[name] for name in ("architecture", "seed", "minibatch", "fingerprint")}
    return {**content, **row, "scores": dict(content["scores"])}
