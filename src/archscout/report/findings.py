"""What a run found, sorted by what became of each architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from archscout.runs import Candidate, Run
from archscout.runs.search_settings import Objective
from archscout.runs.study import is_bred, result_of

SCORED, FAILED, OUTSIDE = "scored", "not finite", "outside the limits"
_COLUMNS = ("rank", "front", "fingerprint", "seconds", "problem", "within_limits", "architecture")


@dataclass(frozen=True)
class Findings:
    """A run's architectures and proposals, ready to be shown."""

    run: Run

    @cached_property
    def architectures(self) -> pd.DataFrame:
        """The ranking with every column that the report reads, and `outcome`.

        A run that scored nothing lacks the columns of its scores: they are added, empty.
        """
        table = self.run.table.copy()
        for name in (*_COLUMNS, "parameters", *(o.name for o in self.objectives)):
            if name not in table:
                table[name] = pd.Series(np.nan, index=table.index, dtype=float)
        outcome = pd.Series(OUTSIDE, index=table.index)
        outcome[table["within_limits"].eq(True)] = FAILED
        outcome[table["front"].notna()] = SCORED
        table["outcome"] = outcome
        return table

    @property
    def objectives(self) -> Sequence[Objective]:
        """What the run improved."""
        return self.run.objectives

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The architectures with a rank, best first."""
        return self._with(SCORED)

    @cached_property
    def named(self) -> dict[str, str]:
        """The names of the architectures that have one, by fingerprint."""
        return self.run.names

    def title(self, fingerprint: str) -> str:
        """A fingerprint, with the name of the architecture that has one."""
        return f"{fingerprint} {self.named.get(fingerprint, '')}".strip()

    def describe(self, rows: pd.DataFrame) -> list[str]:
        """Each architecture of rows in words."""
        space = self.run.space
        return [space.describe(space.parse(text)) for text in rows["architecture"]]

    def shown(self, most: int) -> pd.DataFrame:
        """The best architectures, and below them the named ones, for comparison."""
        rows = self.scored
        return rows[(np.arange(len(rows)) < most) | rows["fingerprint"].isin(self.named)]

    @cached_property
    def failed(self) -> pd.DataFrame:
        """The architectures whose score is not finite."""
        return self._with(FAILED)

    @cached_property
    def outside(self) -> pd.DataFrame:
        """The architectures outside the limits, which were not scored."""
        return self._with(OUTSIDE)

    @cached_property
    def milliseconds(self) -> np.ndarray:
        """What scoring took, for each architecture that was scored, finite or not."""
        seconds = self.architectures.loc[self.architectures["outcome"] != OUTSIDE, "seconds"]
        return 1e3 * seconds.dropna().to_numpy(dtype=float)

    @cached_property
    def proposals(self) -> pd.DataFrame:
        """One row a proposal of the search: its number `trial`, `repeated`, and its architecture.

        What was bred from trained architectures is none.
        """
        proposed = [trial for trial in self.run.trials if not is_bred(trial)]
        marks = [result_of(trial)["fingerprint"] for trial in proposed]
        known = self.architectures.drop(columns=["trial"], errors="ignore")
        rows = known.set_index("fingerprint").reindex(marks).reset_index()
        rows["trial"] = np.arange(len(rows))
        rows["repeated"] = rows["fingerprint"].duplicated()
        return rows

    @cached_property
    def best(self) -> Candidate | None:
        """The best architecture, None if none has a rank."""
        return None if self.scored.empty else self.run.best

    @cached_property
    def front(self) -> pd.Series[bool]:
        """Which of `scored` are Pareto-optimal.

        With several objectives, in these; with one, in it and in the number of parameters.
        """
        scored = self.scored
        if len(self.objectives) > 1 or self.objectives[0].name == "parameters":
            return scored["front"].eq(1).fillna(False).astype(bool)
        goal = self.objectives[0]
        return pareto(-scored["parameters"], goal.sign * scored[goal.name])

    @property
    def wall_seconds(self) -> float:
        """From the first proposal to the end of the last."""
        starts = [t.datetime_start for t in self.run.trials if t.datetime_start]
        ends = [t.datetime_complete for t in self.run.trials if t.datetime_complete]
        return (max(ends) - min(starts)).total_seconds() if starts and ends else 0.0

    def _with(self, outcome: str) -> pd.DataFrame:
        return self.architectures[self.architectures["outcome"] == outcome]


def sample(rows: pd.DataFrame, kept: pd.Series[bool], most: int) -> pd.DataFrame:
    """So many rows at most, evenly spaced, and all those that are to be kept, in their order."""
    if len(rows) <= most:
        return rows
    others = np.flatnonzero(~kept)
    every = others[np.linspace(0, len(others) - 1, min(most, len(others))).astype(int)]
    return rows.iloc[np.union1d(np.flatnonzero(kept), every)]


def pareto(first: pd.Series[float], second: pd.Series[float]) -> pd.Series[bool]:
    """Which rows no other row beats, being as good in both and better in one; larger is better."""
    first, second = first.astype(float), second.astype(float)
    best = second.groupby(first).max().sort_index(ascending=False)
    before = best.cummax().shift(fill_value=-np.inf)
    on_front = second.eq(first.map(best)) & second.gt(first.map(before))
    return on_front.astype(bool)
