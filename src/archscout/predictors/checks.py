"""What can be said of a command's arguments before minutes of scoring."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from archscout.benchmarks import Benchmark
from archscout.errors import InputError
from archscout.predictors.scores import same_benchmark
from archscout.scoring import check_count, check_seed


def check_bootstrap(seed: int, resamples: int) -> None:
    """Make sure that a bootstrap can be drawn."""
    check_seed(seed)
    check_count("resamples", resamples)


def check_one_space(benchmarks: Sequence[Benchmark]) -> None:
    """Make sure that a ranker's benchmarks are of one space."""
    first = benchmarks[0]
    for other in benchmarks[1:]:
        if other.space.name != first.space.name:
            raise InputError(
                f"{other.name} ({other.dataset}) is of space {other.space.name}, and {first.name} "
                f"({first.dataset}) of {first.space.name}; benchmarks of one space are accepted"
            )


def check_different(benchmarks: Sequence[Benchmark]) -> None:
    """Make sure that no label is learned from twice."""
    for first, other in combinations(benchmarks, 2):
        if same_benchmark(first, other):
            raise InputError(
                f"{other.name} ({other.dataset}) is given twice; different benchmarks are accepted"
            )
