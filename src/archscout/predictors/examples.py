"""What a ranker learns from: scores of architectures beside their trained results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from archscout.analysis.evaluation_results import Evaluation
from archscout.benchmarks import Benchmark
from archscout.errors import InputError
from archscout.predictors.features import forward_metrics
from archscout.predictors.information import Scoring
from archscout.scoring import Draw
from archscout.spaces import Scale, network_fingerprint

MINIMUM_LABELS = 20  # architectures, below which cross-validation says nothing of a model


@dataclass(frozen=True, eq=False)
class Examples:
    """Architectures with results, of one benchmark or several; a row an architecture and draw.

    Attributes:
        scores: one column a score, infinite where not finite, NaN where there is no such layer.
        labels: with the same rows, `benchmark` (its number), `architecture` (its name there),
            `fingerprint` (of the network that is scored), `draw` (its number), and `result`, of
            which larger is better.
    """

    scores: pd.DataFrame = field(repr=False)
    labels: pd.DataFrame = field(repr=False)

    @property
    def targets(self) -> pd.Series[float]:
        """The normalised rank of each row's result in its benchmark, 0 the worst and 1 the best.

        Ranks can be compared where results cannot: losses on two texts, or a loss and accuracies.
        """
        results = self.labels.groupby("benchmark")["result"]
        return (results.rank() - 0.5) / results.transform("size")

    @property
    def fingerprints(self) -> list[str]:
        """Of the different networks, sorted."""
        return sorted(set(self.labels["fingerprint"]))

    def where(self, chosen: NDArray[np.bool_]) -> Examples:
        """Some of the rows; targets are then ranks among these."""
        return Examples(self.scores[chosen], self.labels[chosen])

    def without(self, fingerprints: Collection[str]) -> Examples:
        """All but some networks, whatever they are named and wherever they were trained."""
        return self.where(~self.labels["fingerprint"].isin(list(fingerprints)).to_numpy())

    def averaged(self, rows: pd.Series[float]) -> pd.Series[float]:
        """The mean over draws of a value for each row, by benchmark and architecture."""
        keys = [self.labels["benchmark"], self.labels["architecture"]]
        return rows.groupby(keys, sort=False).mean()

    def by_network(self, rows: pd.Series[float]) -> pd.Series[float]:
        """The mean over all rows of a network of a value for each row, by fingerprint.

        The bootstrap draws networks: trainings of one are not independent of each other.
        """
        return rows.groupby(self.labels["fingerprint"]).mean()

    @property
    def mean_ranks(self) -> pd.DataFrame:
        """The mean over draws of a score's rank in its draw, by benchmark and architecture.

        That is how an evaluation orders architectures too, where it has several draws.
        """
        ranks = self.scores.groupby(self.labels["draw"]).rank()
        return pd.DataFrame({name: self.averaged(ranks[name]) for name in ranks})


def examples(evaluations: Sequence[Evaluation], columns: Sequence[str]) -> Examples:
    """The architectures of some evaluations that have a result; NaN for those too shallow."""
    parts = [_labelled(number, done, columns) for number, done in enumerate(evaluations)]
    scores, labels = zip(*((part.scores, part.labels) for part in parts), strict=True)
    return Examples(pd.concat(scores, ignore_index=True), pd.concat(labels, ignore_index=True))


def scores_of(evaluation: Evaluation, draw: Draw, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of the scores of one draw, by architecture; NaN where there is no such layer.

    An evaluation leaves out a layer that is the last one of all its networks, for the bare name
    stands for that. Here it is put back: the features of an architecture must not depend on which
    others are scored with it.
    """
    scores = evaluation.draw(draw)
    left_out = [name for name in columns if name not in scores and name in evaluation.rows]
    repeated = {name: scores[name.partition("[")[0]] for name in left_out}
    return scores.assign(**repeated).reindex(columns=list(columns))


def networks(benchmark: Benchmark, scale: Scale, names: Iterable[str]) -> dict[str, str]:
    """Fingerprints of networks, by name of the architecture."""
    return {
        name: network_fingerprint(benchmark.space, benchmark.architectures[name], scale)
        for name in names
    }


def trained(benchmark: Benchmark) -> list[str]:
    """Names of a benchmark's architectures that have a result."""
    return list(benchmark.results.index[benchmark.results[benchmark.target].notna()])


def check_labels(found: Examples) -> None:
    """Make sure that there is something to learn from."""
    count = len(found.fingerprints)
    if count < MINIMUM_LABELS:
        raise InputError(
            f"{count} different architectures have a result to learn from; at least "
            f"{MINIMUM_LABELS} are accepted"
        )
    if found.targets.nunique() == 1:
        raise InputError("every architecture has the same result; results that differ are accepted")
    if (found.scores.nunique(dropna=False) == 1).all():
        raise InputError(
            f"every architecture has the same scores ({', '.join(map(str, found.scores))}); "
            "metrics that tell architectures apart are accepted"
        )


def _labelled(number: int, evaluation: Evaluation, columns: Sequence[str]) -> Examples:
    benchmark = evaluation.benchmark
    names = list(dict.fromkeys(evaluation.rows["architecture"]))
    results = benchmark.reached(names).dropna()
    drawn = [scores_of(evaluation, draw, columns) for draw in evaluation.settings.draws]
    scores = pd.concat([each.loc[results.index] for each in drawn]).astype(np.float64)
    names = list(scores.index)
    prints = networks(benchmark, Scoring.of(evaluation.settings).built_at, results.index)
    oriented = results if benchmark.larger_is_better else -results
    labels = pd.DataFrame(
        {
            "benchmark": number,
            "architecture": names,
            "fingerprint": [prints[name] for name in names],
            "draw": np.repeat(np.arange(len(drawn)), len(results)),
            "result": oriented.loc[names].to_numpy(dtype=np.float64),
        }
    )
    return Examples(scores.reset_index(drop=True), labels)


def columns_of(
    evaluations: Sequence[Evaluation], metrics: Iterable[str] | str | None
) -> tuple[list[str], list[str]]:
    """The metrics that are a ranker's features, and their columns of scores."""
    held = [{*done.settings.metrics, *done.metrics} for done in evaluations]
    common = set.intersection(*held)
    if metrics is None:
        known = forward_metrics(evaluations[0].benchmark.space.kind)
        asked = evaluations[0].settings.metrics
        names = [name for name in asked if name in common and name.partition("[")[0] in known]
    else:
        given = metrics.split(",") if isinstance(metrics, str) else metrics
        names = list(dict.fromkeys(name.strip() for name in given))
    if not names:
        raise InputError("no metric is a feature of the ranker; name metrics that were evaluated")
    if absent := [name for name in names if name not in common]:
        raise InputError(
            f"metric {absent[0]!r} is not among the scores of every evaluation; these have "
            f"{', '.join(sorted(common))}"
        )
    every = list(dict.fromkeys(column for done in evaluations for column in done.metrics))
    columns = [c for name in names for c in every if c == name or c.startswith(f"{name}[")]
    return names, list(dict.fromkeys(columns))


def split(fingerprints: Iterable[str], folds: int, seed: int) -> dict[str, int]:
    """Folds by network, so that all its names and trainings are in one.

    Args:
        fingerprints: of the networks.
        folds: how many; they differ in size by one architecture at most.
        seed: of who comes into which.

    Raises:
        InputError: there are fewer architectures than folds, or fewer than two folds.

    Example:
        >>> split(["a", "b", "b", "c"], folds=3, seed=0)
        {'a': 2, 'b': 0, 'c': 1}
    """
    different = sorted(set(fingerprints))
    if not 2 <= folds <= len(different):
        raise InputError(
            f"folds is {folds}; from 2 to {len(different)} are accepted, the number of "
            "different architectures"
        )
    order = np.random.default_rng(seed).permutation(len(different))
    return {name: int(place) % folds for name, place in zip(different, order, strict=True)}
