"""NAS-Bench-BERT: 500 encoders of the FlexiBERT space, pretrained as ELECTRA, judged on GLUE.

Source: Serianni and Kalita, "Training-free Neural Architecture Search for RNNs and Transformers"
(ACL 2023).
"""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from archscout.benchmarks.base import Benchmark
from archscout.benchmarks.published_tables import TASKS, encoder_scores
from archscout.benchmarks.store import DataFolder, StoredFile
from archscout.errors import InputError
from archscout.spaces.flexibert import FlexibertSpace

NAME = "nas-bench-bert"
_BENCHMARK = "BERT_benchmark.json"
_SCORES = "BERT_results_activation.csv"
_ABLATION = "BERT_benchmark_train_ablation.json"
_SCORE_COLUMNS = [*TASKS, "glue"]


def load(folder: DataFolder, dataset: str | None = None) -> Benchmark:
    """The benchmark, joined with the published scores where these are at hand.

    `results` has, by id: `glue` (the mean of the tasks' metrics, the target), the eight tasks,
    and `seconds` of training.

    Args:
        folder: the data folder.
        dataset: `glue`, the only one.

    Raises:
        InputError: an unknown dataset, or a file that is missing or damaged.
    """
    if dataset not in (None, "glue"):
        raise InputError(f"{NAME} has no dataset {dataset!r}; accepted is glue")
    entries, source = _entries(folder, _BENCHMARK)
    rows, architectures = [], {}
    space = FlexibertSpace()
    for entry in entries:
        name = str(entry["id"])
        architectures[name] = _architecture(space, entry, source)
        scores = {task: entry["scores"].get(task, math.nan) for task in _SCORE_COLUMNS}
        rows.append({"architecture": name, **scores, "seconds": entry.get("time_to_train")})
    results = pd.DataFrame(rows).set_index("architecture").astype(float)
    sources, remarks = [source], []
    metrics = pd.DataFrame(index=results.index)
    if folder.holds(_SCORES):
        table = encoder_scores(folder)
        metrics = table.frame.drop(columns="glue").reindex(results.index)
        sources.append(table.source)
        remarks = [table.remark] if table.remark else []
    return Benchmark(
        name=NAME,
        dataset="glue",
        space=space,
        architectures=architectures,
        results=results,
        target="glue",
        larger_is_better=True,
        metrics=metrics,
        curves=_curves(folder) if folder.holds(_ABLATION) else pd.DataFrame(),
        text="openwebtext",
        sources=tuple(sources),
        remarks=tuple(remarks),
    )


def _curves(folder: DataFolder) -> pd.DataFrame:
    """GLUE and its tasks after every 50,000 steps of pretraining, of the ablation's encoders.

    These are networks of their own: `ablation_id` is the ablation's, and `architecture` the
    genotype as JSON.
    """
    entries, _ = _entries(folder, _ABLATION)
    rows = [
        {
            "architecture": json.dumps(entry["hparams"]["model_hparam_overrides"]),
            "ablation_id": str(entry["id"]),
            "steps": int(steps),
            **{task: scores.get(task, math.nan) for task in _SCORE_COLUMNS},
        }
        for entry in entries
        for steps, scores in entry["scores"].items()
    ]
    return pd.DataFrame(rows)


def _entries(folder: DataFolder, name: str) -> tuple[list[dict[str, Any]], StoredFile]:
    """The entries of one of the two JSON files.

    Raises:
        InputError: it is missing, no JSON, or an entry is not as published.
    """
    content, source = folder.read(name)
    try:
        entries = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source.path} is no JSON: {error}; fetch or add it again") from error
    if not isinstance(entries, list):
        raise InputError(f"{source.path} is no list of trained encoders")
    seen: dict[str, int] = {}
    for i, entry in enumerate(entries):
        for key in ("id", "scores", "hparams"):
            if not isinstance(entry, dict) or key not in entry:
                raise InputError(f"{source.path}: entry {i} lacks {key!r}")
        first = seen.setdefault(str(entry["id"]), i)
        if first != i:
            raise InputError(f"{source.path}: entries {first} and {i} both claim id {entry['id']}")
    return entries, source


def _architecture(space: FlexibertSpace, entry: dict[str, Any], source: StoredFile) -> Any:
    try:
        return space.parse(entry["hparams"]["model_hparam_overrides"])
    except (InputError, KeyError, TypeError) as error:
        raise InputError(f"{source.path}: id {entry['id']}: no genotype: {error}") from error
