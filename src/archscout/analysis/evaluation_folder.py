"""The folder of one evaluation: its settings, and every score as soon as it is there.

`evaluation.json` holds the settings and versions, `scores.jsonl` one line a network and draw.
"""

from __future__ import annotations

import os
from typing import Any

from archscout.folders import ResultsFolder, StoredSettings, read_lines
from archscout.scoring import ScoringSettings

SETTINGS = "evaluation.json"
SCORES = "scores.jsonl"
_LIBRARIES = ("archscout", "torch", "numpy", "scipy")


class EvaluationSettings(StoredSettings, ScoringSettings):
    """Everything that decides an evaluation's scores."""

    WHAT = "evaluation"
    # More draws may be asked for than before.
    MAY_CHANGE = frozenset({"seeds", "minibatches"})

    benchmark: str
    dataset: str

    def check_continues(self, other: StoredSettings) -> None:
        """Make sure that scores of other settings belong with those of these.

        A text is the same by its content, wherever it lies; of files of metrics the content was
        not always kept.
        """
        assert isinstance(other, EvaluationSettings)
        same: dict[str, Any] = {}
        if other.text_sha256 == self.text_sha256:
            same["text"] = self.text
        if not other.metric_sha256:
            same["metric_sha256"] = self.metric_sha256
        super().check_continues(other.model_copy(update=same))


class EvaluationFolder(ResultsFolder[EvaluationSettings]):
    """A folder of one evaluation."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, EvaluationSettings, SETTINGS, SCORES, _LIBRARIES)

    def rows(self) -> list[dict[str, Any]]:
        """What has been scored, a row a network and draw; a torn last line is not among them."""
        return read_lines(self.lines, dict)
