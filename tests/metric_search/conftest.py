"""A benchmark of small recurrent cells whose results a formula decides."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from archscout.benchmarks import Benchmark
from archscout.metric_search import Discovery, discover
from archscout.scoring import Scorer
from archscout.spaces import RecurrentSpace

PLANTED = "formula:max(nuclear_norm(hidden_states))"
COUNT = 80

Discover = Callable[..., Discovery]


@pytest.fixture(scope="session")
def scale() -> Any:
    return RecurrentSpace.scales["fast"].resized(
        embedding_size=6, hidden_size=7, batch_size=3, sequence_length=5, num_layers=2
    )


@pytest.fixture(scope="session")
def cells(words: Path, scale: Any) -> Benchmark:
    """Cells whose loss is the less, the larger the planted formula; the last two failed."""
    space = RecurrentSpace()
    architectures = dict(zip(map(str, range(COUNT)), islice(space.samples(3), COUNT), strict=True))
    scorer = Scorer(space, str(words), [PLANTED], scale)
    losses = [5 - scorer.score(cell)[PLANTED] for cell in architectures.values()]
    results = pd.DataFrame({"test_loss": losses}, index=list(architectures))
    results.iloc[-2:] = float("nan")
    return Benchmark(
        name="made-up",
        dataset="words",
        space=space,
        architectures=architectures,
        results=results,
        target="test_loss",
        larger_is_better=False,
        metrics=pd.DataFrame(index=results.index),
        curves=pd.DataFrame(),
        text=(str(words),),
        sources=(),
    )


@pytest.fixture(scope="session")
def run(cells: Benchmark, scale: Any) -> Discover:
    """A small discovery on the cells, or on a benchmark that is given."""

    def run(out: Path, benchmark: Benchmark | None = None, **changes: Any) -> Discovery:
        settings: dict[str, Any] = {
            "scale": scale,
            "generations": 3,
            "population_size": 10,
            "candidates": 4,
            "resamples": 50,
            "quantities": ["hidden_states", "weights", "parameters"],
            "references": ["hidden_covariance", "parameters"],
        }
        return discover(benchmark or cells, out=out, **(settings | changes))

    return run


@pytest.fixture(scope="session")
def whole(run: Discover, tmp_path_factory: pytest.TempPathFactory) -> Discovery:
    """A small discovery that was never stopped; its folder is not to be changed."""
    return run(tmp_path_factory.mktemp("discovery") / "whole")
