"""A discovery: formulas bred on one part of a benchmark, one chosen on another, judged on a third.

The idea of breeding metrics is from Dong et al. 2024, "LPZero: Language Model Zero-cost Proxy
Search from Zero" (arXiv 2410.04808); that the architectures on which a formula is judged are
others than those on which it was bred and chosen is ours.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from archscout import spaces
from archscout.analysis.evaluation import corpus_for
from archscout.analysis.evaluation_results import compare_on
from archscout.analysis.statistics import Comparison
from archscout.benchmarks import Benchmark, DataFolder, load
from archscout.errors import InputError, validated
from archscout.metric_search.breeding import Progress, Ticks, breed
from archscout.metric_search.candidates import Candidate, best, kendall
from archscout.metric_search.discovery_folder import QUANTITIES, DiscoveryFolder, DiscoverySettings
from archscout.metric_search.parts import SHARES, Parts, divide, results
from archscout.metric_search.quantities import TracedQuantities
from archscout.scoring import (
    Scorer,
    TextSource,
    check_count,
    check_seed,
    parse_requests,
    resolve_objective,
    resolve_scale,
)
from archscout.spaces.base import Scale
from archscout.text import Corpus
from archscout.threads import one_thread
from archscout.tracing.quantities import Objective

BATCH_SIZE = 8
"""Inputs in a minibatch by default: what is stored of each network stays a few megabytes."""

_PARAMETERS = "parameters"
PARTS = ("breeding", "choosing", "judging")
"""Of a benchmark, in the order in which they are read."""


@dataclass(frozen=True)
class Discovery:
    """What was found, and how sure that is.

    Attributes:
        benchmark: on which it was found.
        settings: that decide it.
        parts: of the benchmark.
        generations: the candidates of each, from the first.
        candidates: the best of all generations, fittest first.
        choosing: their τ-b on the second part, in the same order.
        chosen: the best of them there.
        comparisons: by part, the chosen formula beside known metrics. On the first two parts it
            is flattered; what it is worth is what it reaches on `judging`.
        folder: where it is stored.
    """

    benchmark: Benchmark
    settings: DiscoverySettings
    parts: Parts
    generations: Sequence[Sequence[Candidate]] = field(repr=False)
    candidates: Sequence[Candidate]
    choosing: Sequence[float]
    chosen: Candidate
    comparisons: Mapping[str, Comparison] = field(repr=False)
    folder: Path

    @property
    def metric(self) -> str:
        """The name of the chosen formula as a metric."""
        return self.chosen.metric


def discover(
    benchmark: str | os.PathLike[str] | Benchmark,
    *,
    out: str | os.PathLike[str],
    dataset: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    text: TextSource | None = None,
    scale: str | Scale | None = None,
    objective: Objective | None = None,
    quantities: Sequence[str] | None = None,
    shares: Sequence[float] = SHARES,
    split_seed: int = 0,
    seed: int = 0,
    generations: int = 20,
    population_size: int = 60,
    penalty: float = 0.002,
    candidates: int = 10,
    references: Sequence[str] | None = None,
    split: str | None = None,
    vocabulary_size: int | None = None,
    tokenizer: str | None = None,
    device: str = "cpu",
    resamples: int = 1000,
    resume: bool = False,
    progress: Progress | None = None,
) -> Discovery:
    """Breed metrics as formulas; every generation is stored as soon as it has ended.

    Args:
        benchmark: a benchmark, or its name.
        out: folder of the discovery.
        dataset: of a benchmark that is named.
        data_dir: the data folder.
        text: a text as for `Scorer`; by default the one that the benchmark was trained on, where
            it is at hand, or else `python-docs`.
        scale: a scale, or its name, of which a minibatch then has 8 inputs at most.
        objective: what gradients are taken of.
        quantities: that formulas may name; by default all that the networks have.
        shares: of the parts on which formulas are bred, chosen and judged.
        split_seed: of the parts. It is not `seed`, so that runs can be compared.
        seed: of the initialisation, and of all that is drawn while breeding.
        generations: after the first one, which is drawn at random.
        population_size: formulas of a generation.
        penalty: that fitness pays for each quantity and operation of a formula, in units of τ-b.
        candidates: how many of the best formulas the second part chooses from.
        references: metrics beside which the chosen formula is judged; by default the space's
            metric for search, and `parameters`.
        split: of the corpus.
        vocabulary_size: of the vocabulary.
        tokenizer: of encoders.
        device: where networks run.
        resamples: of the bootstrap.
        resume: go on with a discovery that `out` holds.
        progress: called as each network has been looked at.

    Raises:
        InputError: something cannot be used, or the benchmark is too small for three parts; what
            was bred is kept.
    """
    data = DataFolder(data_dir)
    found = benchmark if isinstance(benchmark, Benchmark) else load(benchmark, data, dataset)
    corpus = corpus_for(found, text, data)
    check_count("resamples", resamples)
    if not 0 <= penalty < 1:
        raise InputError(f"penalty is {penalty:g}; from 0 to less than 1 is accepted")
    seed = check_seed(seed)
    settings = validated(
        DiscoverySettings,
        **_of_benchmark(found, corpus, scale, references),
        objective=resolve_objective(objective, found.space.kind),
        quantities=None if quantities is None else tuple(quantities),
        shares=tuple(shares),
        split_seed=check_seed(split_seed),
        seed=seed,
        seeds=(seed,),
        generations=check_count("generations", generations),
        population_size=check_count("population_size", population_size),
        penalty=penalty,
        candidates=check_count("candidates", candidates),
        split=split,
        vocabulary_size=vocabulary_size,
        tokenizer=tokenizer,
        device=str(device),
    )
    parts = divide(found, settings.shares, settings.split_seed, resolve_scale(found.space, scale))
    store = DiscoveryFolder(out)
    scorer = _scorer_of(settings, corpus, settings.references)
    traced = TracedQuantities(store.path / QUANTITIES, found, scorer, settings.quantities)
    ticks = Ticks(settings, parts, progress)
    with store.opened(settings, resume):
        bred = breed(found, settings, parts, traced, store, ticks)
        return _judged(_Judge(found, settings, corpus, ticks), parts, bred, store, resamples)


def _of_benchmark(
    benchmark: Benchmark,
    corpus: Corpus,
    scale: str | Scale | None,
    references: Sequence[str] | None,
) -> dict[str, Any]:
    """What of `DiscoverySettings` a benchmark and its text decide."""
    space = benchmark.space
    names = (space.default_metric, _PARAMETERS) if references is None else references
    requests = [request.main() for request in parse_requests(names, space.kind)]
    resolved: Any = resolve_scale(space, scale)
    if not isinstance(scale, Scale):
        resolved = resolved.resized(batch_size=min(BATCH_SIZE, resolved.batch_size))
    return {
        "benchmark": benchmark.name,
        "dataset": benchmark.dataset,
        "results_sha256": _sha256(benchmark),
        "space": space.name,
        "text": corpus.places,
        "text_sha256": corpus.sha256,
        "text_parts": corpus.names(),
        "scale": vars(resolved),
        "references": tuple(dict.fromkeys(request.column for request in requests)),
    }


def _sha256(benchmark: Benchmark) -> str:
    """What a benchmark's architectures and their results are known by."""
    names, to_dict = list(benchmark.architectures), benchmark.space.to_dict
    content = {name: to_dict(benchmark.architectures[name]) for name in names}
    document = [content, benchmark.reached(names).tolist()]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def _scorer_of(settings: DiscoverySettings, corpus: Corpus, metrics: Sequence[str]) -> Scorer:
    """What scores metrics as the settings say; of one with several layers, the main one."""
    requests = parse_requests(metrics, spaces.get(settings.space).kind)
    return Scorer.of(settings, corpus, [request.main() for request in requests])


@dataclass(frozen=True)
class _Judge:
    """Scores metrics on a part of a benchmark."""

    benchmark: Benchmark
    settings: DiscoverySettings
    corpus: Corpus
    ticks: Ticks

    def scores(self, metrics: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
        """By architecture and metric; infinite where a score is not finite."""
        scorer = _scorer_of(self.settings, self.corpus, metrics)
        rows = np.full((len(names), len(metrics)), np.nan)
        for row, name in enumerate(names):
            with one_thread():  # more of them round otherwise
                found = scorer.score(self.benchmark.architectures[name])
            rows[row] = [found[metric] for metric in metrics]
            self.ticks()
        finite = np.where(np.isfinite(rows), rows, np.inf)
        return pd.DataFrame(finite, pd.Index(names, name="architecture"), pd.Index(metrics))

    def compare(self, metrics: Sequence[str], names: Sequence[str], resamples: int) -> Comparison:
        """Metrics beside each other on a part of the benchmark."""
        scores = self.scores(metrics, names)
        directions = {
            request.column: request.metric.larger_is_better
            for request in parse_requests(metrics, self.benchmark.space.kind)
        }
        seed = self.settings.seed
        return compare_on(self.benchmark, scores, directions, resamples=resamples, seed=seed)


def _judged(
    judge: _Judge, parts: Parts, bred: list[list[Candidate]], store: DiscoveryFolder, resamples: int
) -> Discovery:
    settings = judge.settings
    candidates = best((entry for generation in bred for entry in generation), settings.candidates)
    metrics = [entry.metric for entry in candidates]
    scores = judge.scores(metrics, parts.choosing)
    reached = results(judge.benchmark, parts.choosing)
    choosing = [kendall(scores[metric].to_numpy(), reached) for metric in metrics]
    fitness = [
        tau - settings.penalty * entry.size for tau, entry in zip(choosing, candidates, strict=True)
    ]
    chosen = candidates[int(np.argmax(fitness))]
    compared = list(dict.fromkeys([chosen.metric, *settings.references]))
    comparisons = {part: judge.compare(compared, getattr(parts, part), resamples) for part in PARTS}
    found = (bred, candidates, choosing, chosen, comparisons)
    return Discovery(judge.benchmark, settings, parts, *found, store.path)
