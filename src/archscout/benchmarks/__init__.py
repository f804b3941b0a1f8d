"""Published benchmarks: where their files come from, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archscout.benchmarks import nas_bench_bert, nas_bench_nlp
from archscout.benchmarks.base import Benchmark, Entry
from archscout.benchmarks.store import DataFolder
from archscout.errors import InputError

__all__ = ["BENCHMARKS", "Benchmark", "DataFolder", "Entry", "load"]

BENCHMARKS: Mapping[str, Callable[[DataFolder, str | None], Benchmark]] = {
    nas_bench_nlp.NAME: nas_bench_nlp.load,
    nas_bench_bert.NAME: nas_bench_bert.load,
}
"""What `load` knows by name."""


def load(name: str, folder: DataFolder | None = None, dataset: str | None = None) -> Benchmark:
    """A benchmark by name.

    Args:
        name: in `BENCHMARKS`.
        folder: the data folder; the default one if None.
        dataset: what its architectures were trained on, where there is a choice.

    Raises:
        InputError: there is no such benchmark, or its files are missing or damaged.
    """
    if name not in BENCHMARKS:
        raise InputError(f"unknown benchmark {name!r}; accepted are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name](folder or DataFolder(), dataset)
