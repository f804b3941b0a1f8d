"""Folders of scores, one for each benchmark and way of scoring, so that commands can share them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from archscout.analysis.evaluation import chosen_names
from archscout.analysis.evaluation_folder import EvaluationFolder
from archscout.benchmarks import Benchmark
from archscout.scoring import parse_requests, resolve_objective
from archscout.text import CORPORA

_DIGITS = 8
_AS_GIVEN = ("split", "vocabulary_size", "tokenizer", "device")


def same_benchmark(first: Benchmark, second: Benchmark) -> bool:
    """Whether two benchmarks hold the same results of the same architectures.

    Benchmarks that were built may have one name and one text, and yet be different ones.
    """
    return _architectures(first) == _architectures(second) and first.results[first.target].equals(
        second.results[second.target]
    )


def scores_folder(root: Path, benchmark: Benchmark, arguments: Mapping[str, Any]) -> Path:
    """Where the scores of a benchmark lie.

    Its name tells apart everything that decides a score, but for draws and a limit: of draws and
    architectures a folder may hold more than are asked for.
    """
    kind = benchmark.space.kind
    document = {
        "architectures": _architectures(benchmark),
        "metrics": [request.column for request in parse_requests(arguments["metrics"], kind)],
        "metric_files": _texts(arguments.get("metric_files", ())),
        "text": [_known_everywhere(text) for text in _texts(arguments["text"])],
        "scale": vars(arguments["scale"]),
        "objective": resolve_objective(arguments.get("objective"), kind),
        **{name: arguments.get(name) for name in _AS_GIVEN},
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    name = re.sub(r"[^\w.-]", "_", f"{benchmark.name}-{benchmark.dataset}")
    return root / f"{name}-{digest}"


def is_finished(folder: Path, benchmark: Benchmark, arguments: Mapping[str, Any]) -> bool:
    """Whether a folder holds every score that is asked for."""
    store = EvaluationFolder(folder)
    if not store.exists:
        return False
    seed = arguments["seed"]
    asked = product(
        chosen_names(benchmark, arguments.get("limit"), seed),
        range(seed, seed + arguments["seeds"]),
        range(arguments["minibatches"]),
    )
    rows = store.rows()
    return {(row["architecture"], row["seed"], row["minibatch"]) for row in rows}.issuperset(asked)


def _architectures(benchmark: Benchmark) -> dict[str, Any]:
    to_dict = benchmark.space.to_dict
    return {name: to_dict(each) for name, each in benchmark.architectures.items()}


def _known_everywhere(text: str) -> str:
    """A text's name, or its absolute path, as rankers keep it."""
    return text if text in CORPORA else os.path.abspath(text)


def _texts(given: Any) -> list[str]:
    alone = isinstance(given, str | os.PathLike)
    return [os.fspath(place) for place in ([given] if alone else given)]
