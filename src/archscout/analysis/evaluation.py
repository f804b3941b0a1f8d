"""Metrics judged on a benchmark: recomputed for its architectures, compared with its results."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from archscout import metrics as metrics_room
from archscout.analysis.combination import Combination
from archscout.analysis.evaluation_folder import EvaluationFolder, EvaluationSettings
from archscout.analysis.evaluation_results import PARAMETERS, Evaluation
from archscout.analysis.evaluation_rows import check_architectures, rows_of
from archscout.analysis.statistics import MINIMUM
from archscout.benchmarks import Benchmark, DataFolder, load
from archscout.errors import InputError, validated
from archscout.execution import Cluster, Workers, check_workers
from archscout.metrics.formula import PREFIX
from archscout.metrics.registry import LAST_LAYER
from archscout.recording import Kind
from archscout.scoring import (
    Draw,
    Score,
    Scorer,
    TextSource,
    check_count,
    check_seed,
    parse_requests,
    resolve_objective,
    resolve_scale,
)
from archscout.spaces.base import Scale
from archscout.text import CORPORA, Corpus, load_corpus
from archscout.threads import one_thread
from archscout.tracing.quantities import Objective

FALLBACK_TEXT = "python-docs"
Progress = Callable[[int, int], None]
_BLOCK = 1000  # genotypes that are at hand at once
_Task = tuple[Draw, str, dict[str, Any]]
"""A draw, the name of an architecture, and its genotype as plain JSON types."""


@dataclass(frozen=True)
class Preparation:
    """An evaluation that can begin: what decides it has been checked, and nothing is written yet.

    Attributes:
        benchmark: what is evaluated on.
        settings: of the scores.
        scorer: of the first draw.
        names: of the architectures that will be scored.
        workers: processes, or a cluster, that score.
        combinations: of metrics, judged beside them.
    """

    benchmark: Benchmark
    settings: EvaluationSettings
    scorer: Scorer
    names: Sequence[str]
    workers: int | Cluster = 1
    combinations: Sequence[Combination] = ()

    def will_score(self, name: str) -> bool:
        """Whether there will be scores of a metric, a layer of one, or a combination.

        How deep encoders are is known from each alone; any layer of theirs may be there.
        """
        if any(name == combination.name for combination in self.combinations):
            return True
        try:
            asked = metrics_room.request(name, self.benchmark.space.kind).main()
        except InputError:  # it is for other networks
            return False
        depth = getattr(self.scorer.scale, "num_layers", None)
        if depth is not None and (asked.layer or 0) > depth:
            return False
        return any(
            request.metric.name == asked.metric.name and request.layer in (None, asked.layer)
            for request in self.scorer.requests
        )

    def check_comparable(self) -> None:
        """Make sure that enough architectures have a result for scores to be compared with it.

        Raises:
            InputError: fewer than 3 have.
        """
        trained = int(self.benchmark.reached(list(self.names)).notna().sum())
        if trained < MINIMUM:
            raise InputError(
                f"{self.benchmark.name} ({self.benchmark.dataset}): of {len(self.names)} "
                f"architectures {trained} have a result; at least {MINIMUM} are accepted"
            )

    def run(
        self, out: str | os.PathLike[str], resume: bool = False, progress: Progress | None = None
    ) -> Evaluation:
        """Score what is not scored yet; each score is stored at once.

        Args:
            out: folder of the evaluation.
            resume: go on with an evaluation that `out` holds.
            progress: called with the number of scores that are there and that there will be.

        Raises:
            InputError: the folder cannot be used; what was scored is kept.
        """
        store = EvaluationFolder(out)
        with store.opened(self.settings, resume):
            _score_missing(self, store, progress)
        return _evaluation(self, store)


def prepare(
    benchmark: str | os.PathLike[str] | Benchmark,
    *,
    dataset: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    text: TextSource | None = None,
    metrics: Iterable[str] | str | None = None,
    metric_files: Sequence[str | os.PathLike[str]] = (),
    scale: str | Scale | None = None,
    seeds: int = 1,
    minibatches: int = 1,
    seed: int = 0,
    objective: Objective | None = None,
    split: str | None = None,
    vocabulary_size: int | None = None,
    tokenizer: str | None = None,
    device: str = "cpu",
    limit: int | None = None,
    workers: int | Cluster = 1,
    combinations: Sequence[Combination] = (),
    leave_out: bool = False,
) -> Preparation:
    """Check everything that decides an evaluation, before hours of scoring.

    Args:
        benchmark: a benchmark, or its name.
        dataset: of a benchmark that is named.
        data_dir: the data folder.
        text: a text as for `Scorer`; by default the one that the benchmark was trained on, where
            it is at hand, or else `python-docs`.
        metrics: names; every metric by default. `parameters` is always among them.
        metric_files: files of Python that define metrics with `archscout.metric`.
        scale: a scale or its name.
        seeds: how many initialisations, from `seed` on.
        minibatches: how many, from the text's first.
        seed: of the first initialisation; also chooses which architectures a limit leaves.
        objective: what gradients are taken of.
        split: of the corpus.
        vocabulary_size: of the vocabulary.
        tokenizer: of encoders.
        device: where networks run.
        limit: score so many architectures, drawn at random; all by default.
        workers: processes, or a cluster, that score.
        combinations: of metrics, judged beside them; what they are made of is scored, too.
        leave_out: metrics that do not apply to the benchmark's networks, and combinations of
            them, in place of refusing them.

    Raises:
        InputError: something cannot be used.
    """
    folder = DataFolder(data_dir)
    found = benchmark if isinstance(benchmark, Benchmark) else load(benchmark, folder, dataset)
    files = list(metric_files)
    for file in files:
        metrics_room.load_file(file)
    corpus = corpus_for(found, text, folder)
    metrics = _with_members(metrics, combinations, found.space.kind)
    names = [request.column for request in parse_requests(metrics, found.space.kind)]
    sizes: Any = resolve_scale(found.space, scale)
    check_count("seeds", seeds)
    settings = validated(
        EvaluationSettings,
        benchmark=found.name,
        dataset=found.dataset,
        space=found.space.name,
        text=corpus.places,
        text_sha256=corpus.sha256,
        text_parts=corpus.names(),
        metrics=tuple(dict.fromkeys([*names, PARAMETERS])),
        metric_files=tuple(os.fspath(file) for file in files),
        metric_sha256=metrics_room.sha256_of(files),
        scale=vars(sizes),
        seeds=tuple(range(check_seed(seed), check_seed(seed + seeds - 1) + 1)),
        minibatches=tuple(range(check_count("minibatches", minibatches))),
        objective=resolve_objective(objective, found.space.kind),
        split=split,
        vocabulary_size=vocabulary_size,
        tokenizer=tokenizer,
        device=str(device),
    )
    scorer = Scorer.of(settings, corpus)
    for draw in settings.draws:
        scorer.drawn(*draw)  # a text that is too short is said here
    chosen = chosen_names(found, limit, seed)
    if reasons := scorer.inapplicable(found.architectures[chosen[0]]):
        if not leave_out:
            column, reason = next(iter(reasons.items()))
            raise InputError(
                f"metric {column} does not apply to {found.name} ({found.dataset}): {reason}"
            )
        kept = tuple(name for name in settings.metrics if name not in reasons)
        settings = settings.model_copy(update={"metrics": kept})
        scorer = Scorer.of(settings, corpus)
    count = check_workers(workers, settings.device)
    prepared = Preparation(found, settings, scorer, chosen, count, combinations)
    possible = [c for c in combinations if all(map(prepared.will_score, c.members))]
    if len(possible) < len(combinations) and not leave_out:
        combination = next(c for c in combinations if c not in possible)
        missing = next(name for name in combination.members if not prepared.will_score(name))
        raise InputError(f"combination {combination.name}: there will be no scores of {missing}")
    return replace(prepared, combinations=possible)


def evaluate(
    benchmark: str | os.PathLike[str] | Benchmark,
    *,
    out: str | os.PathLike[str],
    resume: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> Evaluation:
    """Recompute metrics for a benchmark's architectures; what is scored is stored at once.

    Args:
        benchmark: a benchmark, or its name.
        out: folder of the evaluation.
        resume: go on with an evaluation that `out` holds.
        progress: called with the number of scores that are there and that there will be.
        **settings: those of `prepare`.

    Raises:
        InputError: something cannot be used; what was scored is kept.
    """
    return prepare(benchmark, **settings).run(out, resume, progress)


def _with_members(
    metrics: Iterable[str] | str | None, combinations: Sequence[Combination], kind: Kind
) -> list[str] | None:
    members = [name for combination in combinations for name in combination.members]
    if metrics is None:
        known = metrics_room.available(kind)
        formulas = [name for name in members if name.startswith(PREFIX)]
        return [*known, *formulas] if formulas else None
    return [*(metrics.split(",") if isinstance(metrics, str) else metrics), *members]


def corpus_for(benchmark: Benchmark, text: TextSource | None, folder: DataFolder) -> Corpus:
    """The text on which a benchmark's architectures are scored.

    Args:
        benchmark: the benchmark.
        text: a text as for `Scorer`; by default the one that it was trained on, where it is at
            hand, or else `python-docs`.
        folder: the data folder.

    Raises:
        InputError: the text cannot be used.
    """
    if isinstance(text, Corpus):
        return text
    if text is not None:
        return load_corpus(text, folder.path)
    at_hand = all(_is_at_hand(source, folder) for source in benchmark.text)
    return load_corpus(benchmark.text if at_hand else FALLBACK_TEXT, folder.path)


def _is_at_hand(source: str, folder: DataFolder) -> bool:
    if source not in CORPORA:
        return Path(source).is_absolute() and Path(source).exists()
    # A download that failed leaves a folder, and one that was stopped a part of the text.
    places = (folder.path / source, folder.path / "text" / source)
    return source == FALLBACK_TEXT or any(any(place.glob("*test*")) for place in places)


def chosen_names(benchmark: Benchmark, limit: int | None, seed: int) -> list[str]:
    """The architectures that a limit leaves: the same ones for the same seed, all for None."""
    names = list(benchmark.architectures)
    if limit is None or limit >= len(names):
        return names
    chosen = np.random.default_rng(seed).permutation(len(names))[: check_count("limit", limit)]
    return [names[i] for i in sorted(chosen)]


def _score_missing(
    prepared: Preparation, store: EvaluationFolder, progress: Progress | None
) -> None:
    benchmark, settings, names = prepared.benchmark, prepared.settings, prepared.names
    stored = store.rows()
    check_architectures(benchmark, stored, store.lines)
    done = {(_draw_of(row), row["architecture"]) for row in stored}
    to_dict = benchmark.space.to_dict
    missing = [(d, name) for d in settings.draws for name in names if (d, name) not in done]
    total = len(settings.draws) * len(names)
    if missing:
        store.note_versions()
    # Genotypes take more room than names: only those of a block are made.
    blocks = (missing[i : i + _BLOCK] for i in range(0, len(missing), _BLOCK))
    tasks = ([(d, n, to_dict(benchmark.architectures[n])) for d, n in block] for block in blocks)
    scorer = prepared.scorer
    files = metrics_room.carried(settings.metric_files, settings.metric_sha256)
    with (
        store.lines.open("a", encoding="utf-8") as file,
        Workers(_Draws(scorer), prepared.workers, len(missing), files) as pool,
    ):
        count = total - len(missing)
        for block in tasks:
            with closing(pool.map(_score, block, partial(_lost, scorer))) as rows:
                for row in rows:
                    file.write(json.dumps(row) + "\n")
                    file.flush()  # with the operating system, should this process be killed
                    count += 1
                    if progress is not None:
                        progress(count, total)


def _evaluation(prepared: Preparation, store: EvaluationFolder) -> Evaluation:
    draws, names = set(prepared.settings.draws), set(prepared.names)
    asked = [r for r in store.rows() if r["architecture"] in names and _draw_of(r) in draws]
    rows = rows_of(asked, prepared.benchmark, prepared.scorer)
    directions = _directions(prepared.scorer, rows)
    judged = (rows, directions, store.path, prepared.combinations)
    return Evaluation(prepared.benchmark, prepared.settings, *judged)


def _draw_of(row: Mapping[str, Any]) -> Draw:
    return Draw(row["seed"], row["minibatch"])


def _directions(scorer: Scorer, rows: pd.DataFrame) -> dict[str, bool]:
    """Which way every column of scores is better.

    The bare name of a layered metric is left out, for it repeats a layer, unless it stands for the
    last one, which is another one in networks of another depth.
    """
    directions = {}
    for request in scorer.requests:
        layered = [column for column in map(str, rows) if column.startswith(f"{request.column}[")]
        if request.metric.main_layer == LAST_LAYER and request.layer is None:
            same = [column for column in layered if rows[column].equals(rows[request.column])]
            layered = [request.column, *(column for column in layered if column not in same)]
        for column in layered or [request.column]:
            directions[column] = request.metric.larger_is_better
    return directions


class _Draws:
    """Scorers of the draws, the last of which is kept."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._kept: dict[Draw, Scorer] = {}

    def of(self, draw: Draw) -> Scorer:
        if draw not in self._kept:
            self._kept = {draw: self._scorer.drawn(*draw)}
        return self._kept[draw]


def _score(draws: _Draws, task: _Task) -> dict[str, Any]:
    draw, _, architecture = task
    scorer = draws.of(draw)
    with one_thread():  # more of them round otherwise
        score = scorer.score(scorer.space.parse(architecture))
    return _row(task, score)


def _lost(scorer: Scorer, task: _Task, reason: str) -> dict[str, Any]:
    """The row of a network at which processes died: no score is finite."""
    scores = dict.fromkeys((request.column for request in scorer.requests), math.nan)
    mark = scorer.space.fingerprint(scorer.space.parse(task[2]))
    return _row(task, Score(mark, scores, 0.0, reason))


def _row(task: _Task, score: Score) -> dict[str, Any]:
    """A line of scores, without those of layers that the network does not have."""
    draw, name, _ = task
    row = {"architecture": name, **draw._asdict(), **score.to_dict()}
    for missing in score.missing:
        del row["scores"][missing]
    return row
