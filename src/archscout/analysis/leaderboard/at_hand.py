"""The benchmarks that can take part in a leaderboard, as far as their files are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archscout.benchmarks import (
    Benchmark,
    DataFolder,
    load,
    lts_gpt2,
    mini,
    nas_bench_bert,
    nas_bench_nlp,
)
from archscout.errors import InputError
from archscout.scoring import resolve_scale
from archscout.spaces.base import Scale

# The small ones first: a mistake in the settings shows before hours of scoring.
_EVERY = (
    (mini.RNN, "python-docs"),
    (mini.FLEXIBERT, "python-docs"),
    (mini.GPT, "python-docs"),
    *((nas_bench_nlp.NAME, dataset) for dataset in nas_bench_nlp.DATASETS),
    (nas_bench_bert.NAME, "glue"),
    *((lts_gpt2.NAME, dataset) for dataset in ("wt103", "lm1b")),
)

# The operations of these encoders left no trace in their training: what was trained is another
# network than the genotype declares.
_CHANGES: Mapping[str, Mapping[str, Any]] = {nas_bench_bert.NAME: {"reading": "trained"}}


def at_hand(folder: DataFolder) -> tuple[list[Benchmark], dict[str, str]]:
    """Every benchmark whose files are there and whole, and why the others are not, by label."""
    found, absent = [], {}
    for name, dataset in _EVERY:
        try:
            found.append(load(name, folder, dataset))
        except InputError as error:
            absent[f"{name}-{dataset}"] = str(error)
    return found, absent


def label(benchmark: Benchmark) -> str:
    """Name and dataset, as in the names of folders and files."""
    return f"{benchmark.name}-{benchmark.dataset}"


def scale_of(benchmark: Benchmark) -> Scale:
    """The space's default scale, in the reading in which the benchmark was trained."""
    scale: Scale = resolve_scale(benchmark.space, None)
    return scale.resized(**_CHANGES.get(benchmark.name, {}))
