"""Fitting a ranker: examples, the choice of an estimator, and what is recorded of both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from archscout.analysis.evaluation_results import Evaluation
from archscout.analysis.statistics import Comparison, compare
from archscout.errors import InputError
from archscout.predictors import saving
from archscout.predictors.checks import check_bootstrap
from archscout.predictors.estimators import (
    FOLDS,
    REPEATS,
    Progress,
    best_of,
    cross_validate,
    fit_model,
)
from archscout.predictors.examples import Examples, check_labels, columns_of, examples
from archscout.predictors.information import CrossValidation, Information, Origin, Scoring
from archscout.predictors.ranker import Ranker


def fit(
    evaluations: Evaluation | Sequence[Evaluation],
    *,
    metrics: Iterable[str] | str | None = None,
    leave_out: Collection[str] = (),
    seed: int = 0,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Ranker:
    """Learn to rank architectures from evaluated benchmarks of one space.

    Targets are the normalised ranks of results within their benchmark, so that benchmarks of
    several texts or targets can teach together; several draws of an architecture are several
    examples. The estimator is chosen by cross-validation over architectures, among these
    benchmarks alone.

    Args:
        evaluations: whose scores were made alike.
        metrics: the features; by default those of `forward_metrics` that all evaluations hold.
        leave_out: fingerprints of networks whose results must not be learned from.
        seed: of folds, estimator and bootstrap.
        resamples: of the bootstrap of the cross-validated τ-b.
        progress: called with the number of fits done and to do.

    Raises:
        InputError: evaluations differ in how scores were made, or lack a metric; there are too few
            labels, or scores or results do not vary.
    """
    check_bootstrap(seed, resamples)
    training = [evaluations] if isinstance(evaluations, Evaluation) else list(evaluations)
    scoring = check_alike(training)
    names, columns = columns_of(training, metrics)
    found = examples(training, columns).without(leave_out)
    check_labels(found)
    comparison = cross_validate(found, seed, resamples, progress)
    estimator = best_of(comparison)
    model = fit_model(estimator, found, seed)
    information = Information(
        kind=training[0].benchmark.space.kind,
        scoring=scoring,
        metrics=tuple(names),
        features=model.features,
        metric_kendall=metric_kendall(found, training),
        origins=_origins(training, found),
        fingerprints=tuple(found.fingerprints),
        seed=seed,
        estimator=estimator,
        cross_validation=_cross_validation(comparison, estimator),
        versions=saving.versions(),
    )
    return Ranker(information, model.regressor)


def check_alike(evaluations: Sequence[Evaluation]) -> Scoring:
    """How the scores of some evaluations were made."""
    if not evaluations:
        raise InputError("no evaluation to learn from; at least one is accepted")
    scoring = Scoring.of(evaluations[0].settings)
    for other in evaluations[1:]:
        benchmark = other.benchmark
        place = f"the evaluation of {benchmark.name} ({benchmark.dataset})"
        scoring.check_same(Scoring.of(other.settings), place)
    return scoring


def metric_kendall(found: Examples, evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """τ-b of each column of scores with the results, in the direction that its metric claims.

    Of several draws an architecture's score is its mean rank, as where metrics are judged.
    """
    directions = {
        name: larger for done in evaluations for name, larger in done.larger_is_better.items()
    }
    means, reached = found.mean_ranks, found.averaged(found.targets)
    known = {str(name): directions[str(name)] for name in means}
    table = compare(means, reached, larger_is_better=known, resamples=1).table
    return {str(name): float(value) for name, value in table["kendall"].dropna().items()}


def _origins(evaluations: Sequence[Evaluation], found: Examples) -> tuple[Origin, ...]:
    counts = found.labels.groupby("benchmark")["architecture"].nunique()
    return tuple(
        Origin(
            benchmark=done.benchmark.name,
            dataset=done.benchmark.dataset,
            target=done.benchmark.target,
            labels=int(counts.get(number, 0)),
            modified=done.benchmark.modified,
        )
        for number, done in enumerate(evaluations)
    )


def _cross_validation(comparison: Comparison, estimator: str) -> CrossValidation:
    taus = comparison.table["kendall"].astype(float)
    low, high = (float(comparison.table[f"kendall_{end}"][estimator]) for end in ("low", "high"))
    return CrossValidation(
        folds=FOLDS,
        repeats=REPEATS,
        kendall=float(taus[estimator]),
        low=low,
        high=high,
        candidates={str(n): None if np.isnan(tau) else float(tau) for n, tau in taus.items()},
    )
