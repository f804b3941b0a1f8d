"""Judging: metrics scored on a part of a benchmark, and compared with its trained results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from archscout import spaces
from archscout.analysis.statistics import Comparison, compare
from archscout.benchmarks import Benchmark
from archscout.metric_search.breeding import Ticks
from archscout.metric_search.discovery_folder import DiscoverySettings
from archscout.scoring import Scorer, parse_requests
from archscout.text import Corpus


def scorer_of(settings: DiscoverySettings, corpus: Corpus, metrics: Sequence[str]) -> Scorer:
    """What scores metrics as the settings say; of one with several layers, the main one.

    Raises:
        InputError: something cannot be used.
    """
    requests = parse_requests(metrics, spaces.get(settings.space).kind)
    return Scorer.of(settings, corpus, [request.main() for request in requests])


@dataclass(frozen=True)
class Judge:
    """Scores metrics on a part of a benchmark.

    Attributes:
        benchmark: the benchmark.
        settings: of the discovery.
        corpus: that networks are scored on.
        ticks: counts the networks.
    """

    benchmark: Benchmark
    settings: DiscoverySettings
    corpus: Corpus
    ticks: Ticks

    def scores(self, metrics: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
        """By architecture and metric; infinite where a score is not finite."""
        scorer = scorer_of(self.settings, self.corpus, metrics)
        rows = np.full((len(names), len(metrics)), np.nan)
        for row, name in enumerate(names):
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
        return compare(
            scores,
            self.benchmark.results[self.benchmark.target].reindex(list(names)),
            larger_is_better=directions,
            result_larger_is_better=self.benchmark.larger_is_better,
            resamples=resamples,
            seed=self.settings.seed,
        )
