"""What an evaluation found: scores of a benchmark's architectures beside its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from archscout import metrics as metrics_room
from archscout.analysis.budget_comparison import compare_budgets
from archscout.analysis.combination import Combination
from archscout.analysis.evaluation_folder import EvaluationSettings
from archscout.analysis.reliability import reliability
from archscout.analysis.statistics import Comparison, compare
from archscout.benchmarks import Benchmark
from archscout.errors import InputError
from archscout.promotion.features import with_traits
from archscout.recording import Kind
from archscout.scoring import Draw
from archscout.spaces import live, names

PARAMETERS = "parameters"
"""The metric that is always among the scores: what others say given size is asked of each."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a benchmark's architectures beside its results.

    Attributes:
        benchmark: what was evaluated on.
        settings: of the scores.
        rows: one a network and draw: `architecture`, `seed`, `minibatch`, `seconds`, `problem`,
            `lost`, whether processes died at it, and one column a score: infinite where it is not
            finite, NaN where the network has no such layer.
        larger_is_better: direction of every metric's score.
        folder: where it is stored.
        combinations: of metrics, which stand beside them in `scores`.
    """

    benchmark: Benchmark
    settings: EvaluationSettings
    rows: pd.DataFrame = field(repr=False)
    larger_is_better: Mapping[str, bool]
    folder: Path
    combinations: Sequence[Combination] = ()

    @property
    def metrics(self) -> list[str]:
        """The columns of the metrics' scores."""
        return list(self.larger_is_better)

    @property
    def directions(self) -> dict[str, bool]:
        """Whether larger is better, for metrics and combinations: every column of `scores`."""
        names = [combination.name for combination in self.combinations]
        return dict(self.larger_is_better) | dict.fromkeys(names, True)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row an architecture: its score, or over several draws its mean rank (1 the lowest).

        A score that is not finite ranks last in its draw; NaN stands for architectures that have
        no such layer. Combinations are made of these.
        """
        draws = [self.draw(draw) for draw in self.settings.draws]
        scores = draws[0]
        if len(draws) > 1:
            ranks = [each.rank() for each in draws]
            scores = sum(ranks[1:], start=ranks[0]) / len(ranks)
        return scores.assign(
            **{
                combination.name: self._combined(combination, scores)
                for combination in self.combinations
            }
        )

    def _combined(self, combination: Combination, scores: pd.DataFrame) -> pd.Series[float]:
        kind = self.benchmark.space.kind
        columns = {name: column_of(name, kind, scores) or name for name in combination.members}
        members = replace(combination, members=tuple(columns.values()))
        return members.of(scores, self.larger_is_better)

    def draw(self, draw: Draw) -> pd.DataFrame:
        """The scores of one draw, by architecture; those not finite on the side that ranks last."""
        rows = self.rows
        chosen = rows[(rows["seed"] == draw.seed) & (rows["minibatch"] == draw.minibatch)]
        scores = chosen.set_index("architecture")[self.metrics]
        last = {
            name: -np.inf if larger else np.inf for name, larger in self.larger_is_better.items()
        }
        scores = scores.mask(np.isinf(scores), pd.Series(last), axis="columns")
        return scores.reindex(self.benchmark.results.index.intersection(list(rows["architecture"])))

    def compare(
        self, resamples: int = 1000, seed: int = 0, scores: pd.DataFrame | None = None
    ) -> Comparison:
        """Statistics of every metric, or of some of the scores, against the benchmark's results."""
        scores = self.scores if scores is None else scores
        options: dict[str, Any] = {"control": scores[PARAMETERS], "resamples": resamples}
        return compare_on(self.benchmark, scores, self.directions, seed=seed, **options)

    @cached_property
    def features(self) -> pd.DataFrame:
        """What a search would know of the architectures before any is trained (n, F).

        Its own score first, or the first metric where that was not scored; the space's other
        metrics, as far as they were; the number of parameters; the space's traits.
        """
        space = self.benchmark.space
        voices = [name for name in self._voices if name is not None]
        chosen = list(dict.fromkeys([*(voices or self.metrics[:1]), PARAMETERS]))
        architectures = [self.benchmark.architectures[name] for name in self.scores.index]
        return with_traits(self.scores[chosen], space, architectures, self.settings.built_at)

    @property
    def _voices(self) -> list[str | None]:
        """The columns of the space's default metric and its others; None where it has none."""
        space = self.benchmark.space
        wanted = (space.default_metric, *getattr(space, "other_metrics", ()))
        return [column_of(name, space.kind, self.scores) for name in wanted]

    def compare_budgets(self, seed: int = 0, **options: Any) -> pd.DataFrame | None:
        """What budgets of training find among the architectures, by the strategy that spends them.

        No training is run: the benchmark's learning curves stand in for them.

        Args:
            seed: of the random orders.
            **options: `budgets` and `orders`, see `budget_comparison.compare_budgets`.

        Returns:
            The table that is described there; None where there are no curves, or no results.
        """
        benchmark, space = self.benchmark, self.benchmark.space
        curves, reached = benchmark.learning_curves, benchmark.reached(self.scores.index)
        if not len(curves.columns) or reached.isna().all():
            return None
        voice = next((name for name in self._voices[1:] if name is not None), None)
        # Of those that are one network the first, as a search has it once.
        first: dict[str, str] = {}
        for name in self.scores.index:
            mark = space.fingerprint(live(space, benchmark.architectures[name]))
            first.setdefault(mark, name)
        return compare_budgets(
            self.features,
            curves,
            reached,
            larger_is_better=dict.fromkeys(map(str, self.features), True) | self.directions,
            result_larger_is_better=benchmark.larger_is_better,
            voice=None if voice == self.features.columns[0] else voice,
            named=[first[mark] for mark in names(space) if mark in first],
            seed=seed,
            **options,
        )

    def reliability(self) -> pd.DataFrame:
        """How far one draw can be trusted: one row a metric.

        Columns: `between_draws` (Kendall's τ-b of two draws' rankings, mean over all pairs),
        `between_draws_least`, `variation` (the standard deviation between draws over the standard
        deviation between architectures, mean over architectures), and `kendall`,
        `kendall_deviation` (τ-b with the results: mean and standard deviation over draws).
        """
        benchmark = self.benchmark
        draws = [self.draw(draw) for draw in self.settings.draws]
        results = benchmark.results[benchmark.target]
        return reliability(draws, results, self.larger_is_better, benchmark.larger_is_better)

    @property
    def milliseconds(self) -> float:
        """Median time for building and scoring one network with all metrics."""
        return 1e3 * float(self.rows["seconds"].median())

    @property
    def problems(self) -> Mapping[str, int]:
        """Metrics by the number of architectures and draws in which they are not finite."""
        bad = np.isinf(self.rows[self.metrics]).sum()
        return {str(name): int(count) for name, count in bad.items() if count}


def compare_on(
    benchmark: Benchmark, scores: pd.DataFrame, larger_is_better: Mapping[str, bool], **options: Any
) -> Comparison:
    """Statistics of scores of a benchmark's architectures against its results.

    Args:
        benchmark: whose architectures the rows are.
        scores: of metrics by column.
        larger_is_better: of these, and perhaps of others.
        **options: of `compare`.
    """
    names = map(str, scores)
    return compare(
        scores,
        benchmark.reached(scores.index),
        larger_is_better={n: larger_is_better[n] for n in names if n in larger_is_better},
        result_larger_is_better=benchmark.larger_is_better,
        **options,
    )


def column_of(name: str, kind: Kind, scores: pd.DataFrame) -> str | None:
    """The column of scores that a name stands for: of a layered metric, its main layer's.

    Args:
        name: of a metric, a layer of it, or a combination.
        kind: of the networks.
        scores: of an evaluation.

    Returns:
        None where the name was not scored.
    """
    if name in scores:
        return name
    try:
        layer = metrics_room.request(name, kind).main().layer
    except InputError:  # it is for other networks
        return None
    return column if (column := f"{name}[{layer}]") in scores else None
