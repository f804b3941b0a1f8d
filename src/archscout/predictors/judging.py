"""A ranker judged on a benchmark, on architectures whose results it has not seen anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from archscout.analysis.evaluation_results import Evaluation, compare_on
from archscout.analysis.statistics import MINIMUM, Comparison, Difference
from archscout.benchmarks import Benchmark
from archscout.errors import InputError
from archscout.predictors.checks import check_bootstrap
from archscout.predictors.estimators import FOLDS, Progress
from archscout.predictors.examples import columns_of, examples, networks, split, trained
from archscout.predictors.fitting import check_alike, fit, metric_kendall
from archscout.predictors.information import Scoring
from archscout.predictors.ranker import Ranker
from archscout.spaces import Scale

RANKER = "ranker"
_BASELINES = 3


@dataclass(frozen=True, eq=False)
class Judgement:
    """How well a ranker orders a benchmark's results, beside label-free metrics.

    Attributes:
        comparison: statistics of `ranker` and of the best metrics, on the same architectures.
        predictions: by the benchmark's name of an architecture, those with a result.
        baselines: of the metrics that are compared, best first: τ-b on the training, where they
            were chosen.
        labels: trained results that were learned from, at least and at most over the folds.
        estimators: chosen for each fold.
        shared: networks of the benchmark that the training has too: left out of what is
            judged if a finished ranker is, left out of the training of their fold else.
        folds: 1 where one ranker predicted all.
    """

    comparison: Comparison
    predictions: pd.Series[float] = field(repr=False)
    baselines: Mapping[str, float]
    labels: tuple[int, int]
    estimators: tuple[str, ...]
    shared: int
    folds: int

    @property
    def difference(self) -> Difference | None:
        """By how much the ranker's τ-b exceeds that of the first baseline that has one."""
        table = self.comparison.table
        for name in self.baselines:
            if table.loc[name, "problem"] is None and table.loc[RANKER, "problem"] is None:
                return self.comparison.test(RANKER, name)
        return None


def judge(
    ranker: Ranker, evaluation: Evaluation, *, resamples: int = 1000, seed: int = 0
) -> Judgement:
    """Judge a ranker on a benchmark; architectures whose results it has seen are left out.

    Args:
        ranker: fitted.
        evaluation: of the benchmark, with scores made as the ranker's were.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: of another space, or of scores made in another way; fewer than three
            architectures with a result are left; a number of the bootstrap is not accepted.
    """
    check_bootstrap(seed, resamples)
    predicted = ranker.predict(evaluation)
    fingerprints = _fingerprints(evaluation)
    _check_unseen(ranker, evaluation.benchmark, fingerprints)
    seen = {name for name, mark in fingerprints.items() if ranker.has_seen(mark)}
    unseen = predicted[[name for name in fingerprints if name not in seen]]
    shared = len({fingerprints[name] for name in seen})
    bootstrap = {"resamples": resamples, "seed": seed}
    known = ranker.information.metric_kendall
    return _judgement(evaluation, unseen, known, [ranker], shared, bootstrap)


def judge_by_folds(
    training: Evaluation | Sequence[Evaluation],
    evaluation: Evaluation,
    *,
    metrics: Iterable[str] | str | None = None,
    folds: int = FOLDS,
    seed: int = 0,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Judgement:
    """Judge rankers on benchmarks that share architectures, or on the one they learn from.

    The judged architectures are split into folds. For each a ranker is fitted, estimator and all,
    on the training without the architectures of the fold, and predicts these: so every prediction
    is of an architecture none of whose results was seen, on either benchmark. Where nothing is
    shared, one ranker predicts all.

    Args:
        training: benchmarks to learn from.
        evaluation: of the benchmark to judge on, perhaps one of the former.
        metrics: the features, as for `fit`.
        folds: of architectures.
        seed: of folds, estimators and bootstrap.
        resamples: of the bootstrap.
        progress: called with the number of fits done and to do.

    Raises:
        InputError: as `fit` and `judge`; there are fewer architectures than folds, or fewer than
            two folds.
    """
    check_bootstrap(seed, resamples)
    given = [training] if isinstance(training, Evaluation) else list(training)
    check_alike([*given, evaluation])
    names, columns = columns_of(given, metrics)
    found = examples(given, columns)
    fingerprints = _fingerprints(evaluation)
    fold_of = split(fingerprints.values(), folds, seed)
    shared = set(found.fingerprints) & set(fingerprints.values())
    if not shared:
        fold_of, folds = dict.fromkeys(fold_of, 0), 1
    rankers, parts = [], []
    for number in range(folds):
        in_fold = [name for name, mark in fingerprints.items() if fold_of[mark] == number]
        ranker = fit(
            given,
            metrics=names,
            leave_out={fingerprints[name] for name in in_fold},
            seed=seed,
            resamples=1,
            progress=_after(number, folds, progress),
        )
        rankers.append(ranker)
        parts.append(ranker.predict(evaluation)[in_fold])
    predicted = pd.concat(parts)[list(fingerprints)]
    bootstrap = {"resamples": resamples, "seed": seed}
    known = metric_kendall(found, given)
    return _judgement(evaluation, predicted, known, rankers, len(shared), bootstrap)


def check_unseen(ranker: Ranker, benchmark: Benchmark) -> None:
    """Make sure that a benchmark has architectures whose results a ranker has not seen."""
    ranker.check_space(benchmark)
    names = networks(benchmark, ranker.information.scoring.built_at, trained(benchmark))
    _check_unseen(ranker, benchmark, names)


def check_folds(benchmark: Benchmark, scale: Scale, folds: int) -> None:
    """Make sure that a benchmark's architectures can be split into folds."""
    split(networks(benchmark, scale, trained(benchmark)).values(), folds, seed=0)


def _check_unseen(ranker: Ranker, benchmark: Benchmark, names: Mapping[str, str]) -> None:
    seen = sum(map(ranker.has_seen, names.values()))
    if len(names) - seen < MINIMUM:
        count = f"all {seen}" if seen == len(names) else f"{seen} of {len(names)}"
        raise InputError(
            f"{count} trained architectures of {benchmark.name} ({benchmark.dataset}) were learned "
            f"from; at least {MINIMUM} others are accepted: judge the training by folds instead"
        )


def _after(number: int, folds: int, progress: Progress | None) -> Progress | None:
    """Progress of one fit as that of all."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, folds * total)


def _fingerprints(evaluation: Evaluation) -> dict[str, str]:
    """Of the networks that have scores and a result, by name of the architecture."""
    benchmark = evaluation.benchmark
    results = benchmark.reached(evaluation.scores.index).dropna()
    return networks(benchmark, Scoring.of(evaluation.settings).built_at, results.index)


def _judgement(
    evaluation: Evaluation,
    predictions: pd.Series[float],
    metric_taus: Mapping[str, float],
    rankers: Sequence[Ranker],
    shared: int,
    bootstrap: Mapping[str, int],
) -> Judgement:
    known = {name: tau for name, tau in metric_taus.items() if name in evaluation.metrics}
    best = sorted(known, key=lambda name: -known[name])[:_BASELINES]
    scores = evaluation.scores.loc[predictions.index, best]
    comparison = compare_on(
        evaluation.benchmark,
        scores.assign(**{RANKER: predictions})[[RANKER, *best]],
        evaluation.larger_is_better,
        **bootstrap,
    )
    counts = [ranker.information.labels for ranker in rankers]
    estimators = tuple(ranker.information.estimator for ranker in rankers)
    baselines, labels = {name: known[name] for name in best}, (min(counts), max(counts))
    return Judgement(comparison, predictions, baselines, labels, estimators, shared, len(rankers))
