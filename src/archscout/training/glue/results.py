"""What fine-tuning comes to: the tasks' results and the benchmark's score, all in percent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archscout.training.glue.encoder import Encoder
from archscout.training.glue.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """What one task came to.

    Attributes:
        task: its name.
        score: after the last epoch, in percent, as published; None where there is a problem.
        leaderboard: the same as GLUE's own leaderboard has it.
        baseline: the score of always answering with the most frequent class.
        metrics: in percent, see `examples.measure_parts`.
        baseline_metrics: the same of the baseline.
        notes: on metrics that are not defined, and on the examples.
        problem: why there is no score.
        epochs: that were done.
        train_examples: that were trained on in an epoch.
        seconds: of training, evaluation left out.
    """

    task: str
    score: float | None
    leaderboard: float | None
    baseline: float
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    notes: list[str]
    problem: str | None
    epochs: int
    train_examples: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Finetuned:
    """An encoder's results.

    Attributes:
        folder: where they lie.
        encoder: that was fine-tuned.
        results: by task.
    """

    folder: Path
    encoder: Encoder
    results: Mapping[str, TaskResult]

    @property
    def scores(self) -> dict[str, float | None]:
        """The tasks' scores in percent, None where there is a problem."""
        return {name: result.score for name, result in self.results.items()}

    @property
    def counted(self) -> list[str]:
        """The tasks that have a score."""
        return [name for name, score in self.scores.items() if score is not None]

    @property
    def mean(self) -> float | None:
        """The mean of the scores that there are, be they of fewer than eight tasks."""
        return _mean([self.results[name].score for name in self.counted])

    @property
    def glue(self) -> float | None:
        """The mean of all eight scores, as published; None where one is missing."""
        return self.mean if set(TASKS) == set(self.counted) else None

    @property
    def leaderboard(self) -> float | None:
        """The mean of all eight as on GLUE's leaderboard (but for WNLI); None as for `glue`."""
        if self.glue is None:
            return None
        return _mean([result.leaderboard for result in self.results.values()])

    @property
    def baseline(self) -> float | None:
        """The majority baseline's mean over the tasks that have a score."""
        return _mean([self.results[name].baseline for name in self.counted])

    @property
    def seconds(self) -> float:
        """Of training, evaluation left out."""
        return sum(result.seconds for result in self.results.values())

    def to_dict(self) -> dict[str, Any]:
        """As results.json holds it."""
        return {
            "encoder": {"path": str(self.encoder.path), "sha256": self.encoder.sha256},
            "unit": "percent",
            "scores": self.scores,
            "glue": self.glue,
            "leaderboard": self.leaderboard,
            "mean": {"score": self.mean, "baseline": self.baseline, "tasks": self.counted},
            "seconds": self.seconds,
            "tasks": {name: dataclasses.asdict(r) for name, r in self.results.items()},
        }


def _mean(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
