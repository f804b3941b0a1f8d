"""Scoring for an evaluation, in this process or in several."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from archscout import metrics as metrics_room
from archscout.execution import Workers
from archscout.scoring import Draw, Score, Scorer, ScoringSettings
from archscout.threads import one_thread

Task = tuple[Draw, str, dict[str, Any]]
"""A draw, the name of an architecture, and its genotype as plain JSON types."""
Rows = Generator[dict[str, Any], None, None]


def scored(settings: ScoringSettings, scorer: Scorer, tasks: Sequence[Task], workers: int) -> Rows:
    """Rows as an evaluation's folder holds them, in the order of the tasks.

    Args:
        settings: of the scores.
        scorer: made of them.
        tasks: what to score.
        workers: processes that score, once the work is worth their start.
    """
    files = partial(_load, settings.metric_files)
    with Workers(_Draws(scorer), workers, len(tasks), files) as pool:
        yield from pool.map(_score, tasks, partial(_lost, scorer))


class _Draws:
    """Scorers of the draws, the last of which is kept."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._kept: dict[Draw, Scorer] = {}

    def of(self, draw: Draw) -> Scorer:
        if draw not in self._kept:
            self._kept = {draw: self._scorer.drawn(*draw)}
        return self._kept[draw]


def _score(draws: _Draws, task: Task) -> dict[str, Any]:
    draw, _, architecture = task
    scorer = draws.of(draw)
    with one_thread():  # more of them round otherwise
        score = scorer.score(scorer.space.parse(architecture))
    return _row(task, score)


def _lost(scorer: Scorer, task: Task, reason: str) -> dict[str, Any]:
    """The row of a network at which processes died: no score is finite."""
    scores = dict.fromkeys((request.column for request in scorer.requests), math.nan)
    mark = scorer.space.fingerprint(scorer.space.parse(task[2]))
    return _row(task, Score(mark, scores, 0.0, reason))


def _row(task: Task, score: Score) -> dict[str, Any]:
    draw, name, _ = task
    return {"architecture": name, **draw._asdict(), **score.to_dict()}


def _load(files: Sequence[str]) -> None:
    for file in files:
        metrics_room.load_file(file)
