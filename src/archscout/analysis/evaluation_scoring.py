"""Scoring for an evaluation, in this process or in several."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from archscout import metrics as metrics_room
from archscout import spaces
from archscout.analysis.evaluation_folder import Draw, EvaluationSettings
from archscout.scoring import Scorer, resolve_scale
from archscout.text import Corpus

Task = tuple[Draw, str, dict[str, Any]]
"""A draw, the name of an architecture, and its genotype as plain JSON types."""
Rows = Generator[dict[str, Any], None, None]


def scorer_of(settings: EvaluationSettings, corpus: Corpus) -> Scorer:
    """What scores networks as the settings say, in their first draw.

    Raises:
        InputError: something cannot be used.
    """
    space = spaces.get(settings.space)
    return Scorer(
        space,
        corpus,
        settings.metrics,
        resolve_scale(space, None).resized(**settings.scale),
        settings.seeds[0],
        settings.split,
        settings.vocabulary_limit,
        settings.minibatches[0],
        settings.device,
        settings.objective,
        settings.tokenizer,
    )


def scored(
    settings: EvaluationSettings, scorer: Scorer, tasks: Sequence[Task], workers: int
) -> Rows:
    """Rows as an evaluation's folder holds them, in the order of the tasks.

    Args:
        settings: of the evaluation.
        scorer: made of them.
        tasks: what to score.
        workers: processes that score; with one it is this process.
    """
    if workers == 1:
        return _scored_here(scorer, tasks)
    return _scored_by(workers, settings, scorer, tasks)


def _scored_here(scorer: Scorer, tasks: Iterable[Task]) -> Rows:
    drawn: dict[Draw, Scorer] = {}
    for draw, name, architecture in tasks:
        if draw not in drawn:
            drawn = {draw: scorer.drawn(*draw)}
        yield _row(drawn[draw], draw, name, architecture)


def _row(scorer: Scorer, draw: Draw, name: str, architecture: dict[str, Any]) -> dict[str, Any]:
    score = scorer.score(scorer.space.parse(architecture))
    return {"architecture": name, **draw._asdict(), **score.to_dict()}


def _scored_by(
    workers: int, settings: EvaluationSettings, scorer: Scorer, tasks: Sequence[Task]
) -> Rows:
    """Rows from several processes, in the order of the tasks."""
    # A process that has torch's threads cannot be forked safely.
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), _begin_worker, (settings, scorer.corpus)
    )
    try:
        yield from pool.map(_score_in_worker, tasks, chunksize=4)
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker:
    """What one scoring process keeps between tasks."""

    scorer: Scorer
    drawn: dict[Draw, Scorer]


def _begin_worker(settings: EvaluationSettings, corpus: Corpus) -> None:
    for file in settings.metric_files:
        metrics_room.load_file(file)
    _Worker.scorer = scorer_of(settings, corpus)
    _Worker.drawn = {}


def _score_in_worker(task: Task) -> dict[str, Any]:
    draw, name, architecture = task
    if draw not in _Worker.drawn:
        _Worker.drawn = {draw: _Worker.scorer.drawn(*draw)}
    return _row(_Worker.drawn[draw], draw, name, architecture)
