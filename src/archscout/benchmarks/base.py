"""What a benchmark is: architectures that somebody trained, and how well they did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from archscout.benchmarks.store import StoredFile
from archscout.errors import InputError
from archscout.spaces.base import Space


@dataclass(frozen=True)
class Entry:
    """One trained architecture.

    Attributes:
        name: the benchmark's own name for it.
        architecture: its genotype.
        results: what it reached, by column of the benchmark's `results`.
    """

    name: str
    architecture: Any
    results: Mapping[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """Trained architectures of one space with their results, for judging metrics.

    Attributes:
        name: such as `nas-bench-nlp`.
        dataset: what was trained on, such as `wikitext-2`.
        space: of the architectures.
        architectures: name to genotype; one entry for each row of `results`, in its order.
        results: one row an architecture, by name; NaN in `target` where training failed.
        target: the column of `results` that metrics are to predict.
        larger_is_better: whether larger values of the target are.
        text: what it was trained on, as `load_corpus` takes it: metrics are best computed there.
        metrics: published scores by name and canonical name of the metric; empty where there are
            none.
        curves: what was recorded while training, in long form (`architecture` first); empty where
            nothing was.
        sources: the files that it was read from.
        text_sha256: of that text, where it is known.
        remarks: what was left out and why, for the reader of results.
        size: the column of `results` with the size that says most of the target by itself, so that
            metrics are also judged among networks of one size; None where none does.
    """

    name: str
    dataset: str
    space: Space[Any]
    architectures: Mapping[str, Any] = field(repr=False)
    results: pd.DataFrame = field(repr=False)
    target: str
    larger_is_better: bool
    text: tuple[str, ...]
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    sources: tuple[StoredFile, ...] = field(default=(), repr=False)
    text_sha256: str | None = None
    remarks: tuple[str, ...] = ()
    size: str | None = None

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Entry]:
        return map(self.entry, self.architectures)

    def reached(self, names: pd.Index[str] | list[str]) -> pd.Series[float]:
        """The target of some architectures, by name; NaN where training failed."""
        return self.results[self.target].reindex(names)

    @cached_property
    def learning_curves(self) -> pd.DataFrame:
        """Validation losses in training, (n, points), of the first run of each architecture.

        Rows are those of `results`, columns parts of the longest training, rising to 1; NaN where
        a training had ended before. Without columns where no losses were recorded.
        """
        names = ("val_loss", "valid_loss")
        loss = next((name for name in names if name in self.curves), None)
        step = next((name for name in ("step", "epoch") if name in self.curves), None)
        if loss is None or step is None or self.curves.empty:
            return pd.DataFrame(index=self.results.index)
        run = "log_name" if "log_name" in self.curves else "seed"
        first = self.curves.groupby("architecture")[run].transform("first")
        curves = self.curves[self.curves[run] == first]
        wide = curves.pivot(index="architecture", columns=step, values=loss).astype(float)
        wide.columns = wide.columns.astype(float) / float(wide.columns.max())
        return wide.reindex(self.results.index)

    @property
    def modified(self) -> tuple[str, ...]:
        """The files that are not as published, by name."""
        return tuple(source.file.name for source in self.sources if source.modified)

    @property
    def table(self) -> pd.DataFrame:
        """Results and published scores side by side; a score whose name a result has, suffixed."""
        return pd.concat([self.results, self.metrics.rename(columns=self._clash)], axis=1)

    def _clash(self, name: str) -> str:
        return f"{name}_published" if name in self.results else name

    def entry(self, name: str) -> Entry:
        """The architecture of that name.

        Raises:
            InputError: the benchmark has none.
        """
        if name not in self.architectures:
            raise InputError(
                f"{self.name} ({self.dataset}) has no architecture {name!r}; it has "
                f"{len(self)}, such as {next(iter(self.architectures), 'none')!r}"
            )
        results = {str(column): self.results.at[name, column] for column in self.results}
        return Entry(name, self.architectures[name], results)

    def lookup(self, architecture: Any) -> tuple[Entry, ...]:
        """Every entry that is this architecture, however it is written; none if there is none.

        Args:
            architecture: a genotype of the space, or its JSON.
        """
        mark = self.space.fingerprint(self.space.parse(architecture))
        return tuple(self.entry(name) for name in self.names_by_fingerprint.get(mark, ()))

    @cached_property
    def names_by_fingerprint(self) -> Mapping[str, list[str]]:
        """Architectures that are the same have one fingerprint, and may have several names."""
        names: dict[str, list[str]] = {}
        for name, architecture in self.architectures.items():
            names.setdefault(self.space.fingerprint(architecture), []).append(name)
        return names
