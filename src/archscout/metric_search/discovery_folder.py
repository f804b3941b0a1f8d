"""The folder of one discovery: its settings, and every generation as soon as it has ended.

`discovery.json` holds the settings and versions, `generations.jsonl` one line a generation, with
every candidate.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pydantic import AliasChoices, Field, model_validator

from archscout.folders import ResultsFolder, StoredSettings, append_line, read_lines
from archscout.metric_search.candidates import Candidate
from archscout.metric_search.parts import SHARES
from archscout.scoring.stored import StoredScoring

SETTINGS = "discovery.json"
GENERATIONS = "generations.jsonl"
QUANTITIES = "quantities"
_LIBRARIES = ("archscout", "deap", "torch", "numpy", "scipy")


class DiscoverySettings(StoredScoring):
    """Everything that decides a discovery.

    Attributes:
        benchmark: its name.
        dataset: what its networks were trained on.
        results_sha256: of its architectures and results.
        references: metrics beside which the chosen formula is judged.
        quantities: that formulas may name; None for all that the networks have.
        shares: of the three parts.
        split_seed: of the parts.
        seed: of all that is drawn while breeding; `seeds` has it as that of the initialisation.
        generations: after the first one.
        population_size: formulas of a generation.
        penalty: that fitness pays for each quantity and operation of a formula.
        candidates: how many of the best formulas the second part chooses from.
    """

    WHAT = "discovery"
    MAY_CHANGE = frozenset({"generations", "candidates", "references"})

    benchmark: str
    dataset: str
    results_sha256: str = ""
    references: tuple[str, ...]
    quantities: tuple[str, ...] | None = None
    shares: tuple[float, ...] = SHARES
    split_seed: int = 0
    seed: int = 0
    generations: int = 20
    population_size: int = Field(60, validation_alias=AliasChoices("population_size", "population"))
    penalty: float = 0.002
    candidates: int = 10

    def check_continues(self, other: StoredSettings) -> None:
        """As of any scoring, and of the same results, where these are known."""
        assert isinstance(other, DiscoverySettings)
        known = other.results_sha256 or self.results_sha256
        super().check_continues(other.model_copy(update={"results_sha256": known}))

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, values: Any) -> Any:
        """Settings that do not say the initialisation's seed, which is that of all."""
        return {"seeds": (values.get("seed", 0),), **values} if isinstance(values, dict) else values


class DiscoveryFolder(ResultsFolder[DiscoverySettings]):
    """A folder of one discovery."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, DiscoverySettings, SETTINGS, GENERATIONS, _LIBRARIES)

    def generations(self) -> list[list[Candidate]]:
        """The candidates of every generation that has ended; a torn last line is not among them."""
        return read_lines(self.lines, _generation)

    def add(self, number: int, candidates: Sequence[Candidate]) -> None:
        """Store a generation; it is on the disk when this returns."""
        content = {"generation": number, "candidates": [entry.to_dict() for entry in candidates]}
        append_line(self.lines, content)


def _generation(content: Any) -> list[Candidate]:
    return [Candidate(**entry) for entry in content["candidates"]]
