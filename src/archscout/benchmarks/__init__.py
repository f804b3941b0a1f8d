"""Benchmarks: where the published files come from, what is in them, and those of one's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from archscout.benchmarks import built, lts_gpt2, mini, nas_bench_bert, nas_bench_nlp
from archscout.benchmarks.base import Benchmark, Entry
from archscout.benchmarks.store import DataFolder
from archscout.errors import InputError

__all__ = ["BENCHMARKS", "Benchmark", "DataFolder", "Entry", "load"]

BENCHMARKS: Mapping[str, Callable[[DataFolder, str | None], Benchmark]] = {
    nas_bench_nlp.NAME: nas_bench_nlp.load,
    nas_bench_bert.NAME: nas_bench_bert.load,
    lts_gpt2.NAME: lts_gpt2.load,
    mini.RNN: lambda _, dataset: mini.load(mini.RNN, dataset),
    mini.FLEXIBERT: lambda _, dataset: mini.load(mini.FLEXIBERT, dataset),
    mini.GPT: lambda _, dataset: mini.load(mini.GPT, dataset),
}
"""What `load` knows by name."""


def load(
    name: str | os.PathLike[str], folder: DataFolder | None = None, dataset: str | None = None
) -> Benchmark:
    """A benchmark by name, or one that was built.

    Args:
        name: in `BENCHMARKS`, or the folder of a benchmark that `archscout benchmark build` made.
        folder: the data folder; the default one if None.
        dataset: what its architectures were trained on, where there is a choice.

    Raises:
        InputError: there is no such benchmark, or its files are missing or damaged.
    """
    name = os.fspath(name)
    if name not in BENCHMARKS:
        if built.is_built(Path(name)):
            return built.load(Path(name), dataset)
        raise InputError(
            f"unknown benchmark {name!r}; accepted are {', '.join(BENCHMARKS)}, and the folder of "
            "one that `archscout benchmark build` made"
        )
    return BENCHMARKS[name](folder or DataFolder(), dataset)
