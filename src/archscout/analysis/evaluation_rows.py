"""The rows of an evaluation, from its stored scores.

A line whose number of parameters is not finite is of a network at which processes died.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from archscout.analysis.evaluation_results import PARAMETERS
from archscout.benchmarks import Benchmark
from archscout.errors import InputError
from archscout.metrics import request
from archscout.runs.costs import measure
from archscout.scoring import Scorer
from archscout.spaces.base import RecordingSpace


def rows_of(
    stored: Sequence[Mapping[str, Any]], benchmark: Benchmark, scorer: Scorer
) -> pd.DataFrame:
    """Stored scores as an `Evaluation` has them: infinite where not finite, NaN where no layer is.

    Args:
        stored: lines of `scores.jsonl`.
        benchmark: whose architectures they are of.
        scorer: of one of the draws.
    """
    names = chain.from_iterable(line["scores"] for line in stored)
    columns = dict.fromkeys(chain(names, (r.column for r in scorer.requests)), math.nan)
    rows = []
    for line in stored:
        scores = {n: math.inf if value is None else value for n, value in line["scores"].items()}
        architecture = benchmark.architectures[line["architecture"]]
        lost = scores.get(PARAMETERS) == math.inf
        if lost:
            scores = _lost_scores(scorer, architecture, columns)
        elif math.inf in scores.values():  # earlier versions wrote layers that are not there, too
            there = _there(scorer, architecture, scores)
            scores = {name: scores[name] for name in there}
        rest = {key: value for key, value in line.items() if key not in ("scores", "fingerprint")}
        rest["lost"] = lost
        rows.append(rest | columns | scores)
    return pd.DataFrame(rows)


def check_architectures(
    benchmark: Benchmark, rows: Sequence[Mapping[str, Any]], place: Path
) -> None:
    """Make sure that stored scores are of the benchmark's architectures, and not of namesakes.

    Raises:
        InputError: they are of others, with the same names.
    """
    for name, mark in {row["architecture"]: row["fingerprint"] for row in rows}.items():
        if name not in benchmark.architectures:
            continue
        now = benchmark.space.fingerprint(benchmark.architectures[name])
        if mark != now:
            raise InputError(
                f"{place}: architecture {name!r} has the fingerprint {mark} there, and "
                f"{now} in {benchmark.name} ({benchmark.dataset}), which is not the benchmark "
                "that was scored; name another folder with --out"
            )


def _lost_scores(scorer: Scorer, architecture: Any, columns: Iterable[str]) -> dict[str, float]:
    """Of a network at which processes died: its size, and that nothing else of it is finite.

    No pass is made over it, which might end this process, too.
    """
    space = scorer.space
    size = measure(space, architecture, len(scorer.vocabulary), scorer.scale, [PARAMETERS])
    return dict.fromkeys(_there(scorer, architecture, columns), math.inf) | size


def _there(scorer: Scorer, architecture: Any, columns: Iterable[str]) -> list[str]:
    """The columns of layers that a network has, and those of all of it."""
    depth, kind = _depth(scorer, architecture), scorer.space.kind
    return [name for name in columns if (request(name, kind).layer or 0) <= depth]


def _depth(scorer: Scorer, architecture: Any) -> float:
    """Number of layers, as far as it is known without a pass; else infinite."""
    of_all: int | None = getattr(scorer.scale, "num_layers", None)
    if of_all is not None:
        return of_all
    if scorer.space.kind == "transformer" and isinstance(scorer.space, RecordingSpace):
        with scorer.recorder(architecture, depth=0) as recorder:
            return recorder.depth
    return math.inf
