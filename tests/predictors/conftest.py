"""Evaluations with made-up scores and results of real architectures, without scoring any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pytest

from archscout import spaces
from archscout.analysis.evaluation_folder import EvaluationSettings
from archscout.analysis.evaluation_results import Evaluation
from archscout.benchmarks import Benchmark
from archscout.predictors import estimators

Planted = Callable[..., Evaluation]


@pytest.fixture(scope="module", autouse=True)
def _few_trees() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimators, "_TREES", {"n_estimators": 10, "min_samples_leaf": 3})
        yield


@pytest.fixture(scope="session")
def samples() -> Mapping[str, list[Any]]:
    return {
        name: list(islice(spaces.get(name).samples(1), count))
        for name, count in (("rnn", 80), ("flexibert", 30))
    }


@pytest.fixture(scope="session")
def planted(samples: Mapping[str, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """An evaluation of `len(results)` architectures of a space, from the `first` of its sample.

    `scores` is a column each, or (n, draws) for several draws; changes are of the settings.
    """

    folder = tmp_path_factory.mktemp("planted")

    def make(
        scores: Mapping[str, Any],
        results: Any,
        *,
        first: int = 0,
        space: str = "rnn",
        larger_is_better: bool = False,
        dataset: str = "made-up",
        **changes: Any,
    ) -> Evaluation:
        count = len(results)
        genotypes = samples[space][first : first + count]
        architectures = {f"{dataset}-{first + i}": each for i, each in enumerate(genotypes)}
        index = pd.Index(architectures, name="architecture")
        columns = {name: np.asarray(values).reshape(count, -1) for name, values in scores.items()}
        draws = next(iter(columns.values())).shape[1]
        benchmark = Benchmark(
            name="planted",
            dataset=dataset,
            space=spaces.get(space),
            architectures=architectures,
            results=pd.DataFrame({"loss": np.asarray(results, dtype=float)}, index=index),
            target="loss",
            larger_is_better=larger_is_better,
            metrics=pd.DataFrame(index=index),
            curves=pd.DataFrame(),
            text=("python-docs",),
            sources=(),
        )
        settings = {
            "benchmark": "planted",
            "dataset": dataset,
            "space": space,
            "text": ("python-docs",),
            "text_sha256": "0" * 64,
            "metrics": tuple(dict.fromkeys(name.partition("[")[0] for name in columns)),
            "scale": {"batch_size": 4},
            "seeds": tuple(range(draws)),
            "minibatches": (0,),
            "objective": "sum",
        }
        rows = [
            {"architecture": name, "seed": draw, "minibatch": 0, "seconds": 0.0, "problem": None}
            | {column: values[i, draw] for column, values in columns.items()}
            for draw in range(draws)
            for i, name in enumerate(architectures)
        ]
        return Evaluation(
            benchmark,
            EvaluationSettings(**(settings | changes)),
            pd.DataFrame(rows),
            dict.fromkeys(columns, True),
            folder,
        )

    return make


@pytest.fixture(scope="session")
def noisy(planted: Planted) -> Planted:
    """An evaluation whose losses follow the first two of three metrics, but for some noise."""

    def make(count: int = 60, seed: int = 0, **changes: Any) -> Evaluation:
        rng = np.random.default_rng(seed)
        first, second, third = rng.normal(size=(3, count))
        losses = 5 - first - second + 0.3 * rng.normal(size=count)
        scores = {
            "hidden_covariance[1]": np.exp(5 * first),
            "hidden_covariance[2]": -np.exp(-2 * second),
            "activation_distance": third,
        }
        return planted(scores, losses, **changes)

    return make
