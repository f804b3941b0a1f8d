"""NAS-Bench-BERT: 500 encoders of the FlexiBERT space, pretrained as ELECTRA, judged on GLUE.

Source: Serianni and Kalita, "Training-free Neural Architecture Search for RNNs and Transformers"
(ACL 2023).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from archscout.benchmarks.base import Benchmark
from archscout.benchmarks.contents import ENCODER_CURVES, entry_problem
from archscout.benchmarks.published_tables import TASKS, encoder_scores
from archscout.benchmarks.store import DataFolder
from archscout.errors import InputError
from archscout.spaces.base import Space
from archscout.spaces.flexibert import FlexibertSpace

NAME = "nas-bench-bert"
SPACE = FlexibertSpace.name
_BENCHMARK = "BERT_benchmark.json"
_SCORES = "BERT_results_activation.csv"
_SCORE_COLUMNS = [*TASKS, "glue"]


def load(folder: DataFolder, dataset: str | None = None) -> Benchmark:
    """The benchmark, joined with the published scores where these are at hand.

    `results` has, by id: `glue` (the mean of the tasks' metrics, the target), the eight tasks,
    and `seconds` of training.
    """
    if dataset not in (None, "glue"):
        raise InputError(f"{NAME} has no dataset {dataset!r}; accepted is glue")
    content, source = folder.read(_BENCHMARK)
    place = str(source.path)
    rows, architectures = [], {}
    space = FlexibertSpace()
    for entry in entries(content, place):
        name = str(entry["id"])
        architectures[name] = architecture(space, entry, place)
        scores = {task: entry["scores"].get(task, math.nan) for task in _SCORE_COLUMNS}
        rows.append({"architecture": name, **scores, "seconds": entry.get("time_to_train")})
    results = pd.DataFrame(rows).set_index("architecture").astype(float)
    sources = [source]
    remarks: tuple[str, ...] = ()
    metrics = pd.DataFrame(index=results.index)
    if folder.holds(_SCORES):
        table = encoder_scores(folder)
        metrics = table.frame.drop(columns="glue").reindex(results.index)
        sources.append(table.source)
        remarks = table.remarks
    return Benchmark(
        name=NAME,
        dataset="glue",
        space=space,
        architectures=architectures,
        results=results,
        target="glue",
        larger_is_better=True,
        metrics=metrics,
        curves=_curves(folder) if folder.holds(ENCODER_CURVES) else pd.DataFrame(),
        text=("openwebtext",),
        sources=tuple(sources),
        remarks=remarks,
    )


def _curves(folder: DataFolder) -> pd.DataFrame:
    """GLUE and its tasks after every 50,000 steps of pretraining, of the ablation's encoders.

    These are networks of their own: `ablation_id` is the ablation's, and `architecture` the
    genotype as JSON.
    """
    content, source = folder.read(ENCODER_CURVES)
    rows = [
        {
            "architecture": json.dumps(entry["hparams"]["model_hparam_overrides"]),
            "ablation_id": str(entry["id"]),
            "steps": int(steps),
            **{task: scores.get(task, math.nan) for task in _SCORE_COLUMNS},
        }
        for entry in entries(content, str(source.path), by_step=True)
        for steps, scores in entry["scores"].items()
    ]
    return pd.DataFrame(rows)


def entries(content: bytes, place: str, by_step: bool = False) -> list[dict[str, Any]]:
    """The entries of a file in the benchmark's layout.

    Args:
        content: of the file.
        place: where it lies.
        by_step: whether scores are apart by steps of training.

    Raises:
        InputError: it is damaged.
    """
    try:
        found = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{place} is no JSON: {error}; fetch or add it again") from error
    if not isinstance(found, list):
        raise InputError(f"{place} is no list of trained encoders")
    if not found:
        raise InputError(f"{place} holds no trained encoder")
    seen: dict[str, int] = {}
    for i, entry in enumerate(found):
        for key in ("id", "scores", "hparams"):
            if not isinstance(entry, dict) or key not in entry:
                raise InputError(f"{place}: entry {i} lacks {key!r}")
        first = seen.setdefault(str(entry["id"]), i)
        if first != i:
            raise InputError(f"{place}: entries {first} and {i} both claim id {entry['id']}")
        if problem := entry_problem(entry, by_step):
            raise InputError(f"{place}: entry {i} (id {entry['id']}) {problem}")
    return found


def architecture(space: Space[Any], entry: Mapping[str, Any], place: str) -> Any:
    """The genotype of an entry."""
    try:
        return space.parse(entry["hparams"]["model_hparam_overrides"])
    except (InputError, KeyError, TypeError) as error:
        raise InputError(f"{place}: id {entry['id']}: no genotype: {error}") from error
