"""Breeding: generation after generation on the first part of a benchmark, which alone is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archscout.benchmarks import Benchmark
from archscout.metric_search.candidates import Candidate, best, rate
from archscout.metric_search.discovery_folder import DiscoveryFolder, DiscoverySettings
from archscout.metric_search.evolution import first_generation, next_generation
from archscout.metric_search.grammar import Grammar
from archscout.metric_search.parts import Parts, results
from archscout.metric_search.quantities import TracedQuantities

Progress = Callable[[int, int, str], None]
"""Called with the networks that were looked at, how many there will be, and a remark."""


class Ticks:
    """Counts the networks that were looked at."""

    def __init__(
        self, settings: DiscoverySettings, parts: Parts, progress: Progress | None
    ) -> None:
        self._generation = len(parts.breeding)
        judged = 2 * len(parts.choosing) + len(parts.judging)
        self._total = (settings.generations + 2) * self._generation + judged
        self._progress = progress
        self._done, self._remark = 0, ""

    def __call__(self) -> None:
        """One more network was looked at."""
        self._done += 1
        self._tell()

    def at(self, generations: int, candidates: Sequence[Candidate]) -> None:
        """So many generations have ended, and these are all candidates."""
        self._done = generations * self._generation
        if candidates:
            self._remark = f"best τ-b {best(candidates, 1)[0].kendall:.3f}"
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total, self._remark)


def breed(
    benchmark: Benchmark,
    settings: DiscoverySettings,
    parts: Parts,
    traced: TracedQuantities,
    store: DiscoveryFolder,
    ticks: Ticks,
) -> list[list[Candidate]]:
    """Every generation; those that the folder holds are taken from there."""
    grammar = Grammar(traced.names)
    reached = results(benchmark, parts.breeding)
    bred = store.generations()[: settings.generations + 1]
    known = {entry.formula: entry for generation in bred for entry in generation}
    for number in range(len(bred), settings.generations + 1):
        ticks.at(number, list(known.values()))
        size, seed = settings.population_size, settings.seed
        if number == 0:
            formulas = first_generation(grammar, size, seed)
        else:
            formulas = next_generation(grammar, bred[-1], size, seed, number)
        new = [formula for formula in formulas if str(formula) not in known]
        store.note_versions()
        values = traced.values(new, parts.breeding, ticks)
        for formula, column in zip(new, values.T, strict=True):
            known[str(formula)] = rate(formula, column, reached, settings.penalty)
        bred.append([known[str(formula)] for formula in formulas])
        store.add(number, bred[-1])
    ticks.at(settings.generations + 1, list(known.values()))
    return bred
