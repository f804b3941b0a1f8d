"""One benchmark judged: how its metrics stand, which say the same, and what searches find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from archscout.analysis.evaluation_results import Evaluation, column_of
from archscout.analysis.leaderboard.standings import BASELINES, PARAMETERS, standings
from archscout.analysis.leaderboard.timing import REFERENCE, TIMED
from archscout.analysis.redundancy import Redundancy, redundancy
from archscout.analysis.search_comparison import compare_searches
from archscout.analysis.statistics import MINIMUM, Comparison
from archscout.benchmarks import Benchmark
from archscout.recording import Kind
from archscout.scoring import check_count

# What the paper recommends, by its own correlations.
_PAPER: Mapping[Kind, str] = {"other": "hidden_covariance[1]", "transformer": "head_confidence"}


@dataclass(frozen=True)
class Rules:
    """How metrics are judged.

    Attributes:
        searches: metrics and combinations whose searches are compared, beside those that always
            are: by `parameters`, by the paper's metric, and by the space's default metric.
        timed: architectures on which each metric is timed.
        orders: random orders in which searches meet the architectures.
        resamples: of the bootstrap.
        seed: of the bootstrap and the orders.

    Raises:
        InputError: a number is below 1.
    """

    searches: Sequence[str] = ()
    timed: int = TIMED
    orders: int = 1000
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("timed", "orders", "resamples"):
            check_count(name, getattr(self, name))


@dataclass(frozen=True, eq=False)
class Round:
    """What came of one benchmark.

    Attributes:
        evaluation: the metrics' scores beside the results.
        comparison: every metric and combination with the results.
        standings: one row a metric or combination, see `standings.standings`.
        redundancy: which of them say the same.
        searches: what searches by some of them find, see `compare_searches`.
        left_out: searches that were asked for by what these networks have no scores of.
    """

    evaluation: Evaluation = field(repr=False)
    comparison: Comparison = field(repr=False)
    standings: pd.DataFrame = field(repr=False)
    redundancy: Redundancy = field(repr=False)
    searches: pd.DataFrame = field(repr=False)
    left_out: Sequence[str] = ()

    @property
    def benchmark(self) -> Benchmark:
        """What was evaluated on."""
        return self.evaluation.benchmark

    @property
    def best(self) -> float:
        """The best result of the architectures that were scored."""
        results = self.benchmark.reached(self.evaluation.scores.index)
        return float(results.max() if self.benchmark.larger_is_better else results.min())


def judge(evaluation: Evaluation, milliseconds: pd.Series[float], rules: Rules) -> Round:
    """Judge the metrics of an evaluation, and their combinations."""
    scores, larger_is_better = evaluation.scores, evaluation.directions
    benchmark = evaluation.benchmark
    kind = benchmark.space.kind
    compared = partial(evaluation.compare, rules.resamples, rules.seed)
    comparison = compared()
    always = (_PAPER[kind], PARAMETERS, benchmark.space.default_metric)
    columns = {name: column_of(name, kind, scores) for name in (*always, *rules.searches)}
    searched = dict.fromkeys(column for column in columns.values() if column is not None)
    return Round(
        evaluation,
        comparison,
        standings(comparison, _of_incomplete(evaluation, compared), milliseconds, REFERENCE[kind]),
        redundancy(scores, larger_is_better),
        compare_searches(
            scores[list(searched)],
            benchmark.results[benchmark.target],
            larger_is_better=larger_is_better,
            result_larger_is_better=benchmark.larger_is_better,
            orders=rules.orders,
            seed=rules.seed,
        ),
        [name for name in dict.fromkeys(rules.searches) if columns[name] is None],
    )


def _of_incomplete(
    evaluation: Evaluation, compared: Callable[[pd.DataFrame], Comparison]
) -> dict[str, Comparison]:
    """For metrics that some architectures lack, the comparison on those that have them.

    Metrics that the same architectures lack share one bootstrap, where testing each against every
    baseline would take one each time.
    """
    scores = evaluation.scores
    missing = scores.isna()
    trained = evaluation.benchmark.reached(scores.index).notna()
    together: dict[bytes, list[str]] = {}
    for name in map(str, missing.columns[missing.any()]):
        together.setdefault(missing[name].to_numpy().tobytes(), []).append(name)
    comparisons = {}
    for names in together.values():
        present = ~missing[names[0]]
        if (present & trained).sum() < MINIMUM:
            continue
        baselines = [name for name in BASELINES if name in scores and not missing[name].any()]
        common = scores.loc[present, [*names, *baselines]]
        comparisons.update(dict.fromkeys(names, compared(common)))
    return comparisons
