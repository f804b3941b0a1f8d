"""The ranking of a run's architectures, as a table."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from archscout.runs.search_settings import Objective
from archscout.runs.study import is_outside, result_of


def ranking(trials: Sequence[FrozenTrial], objectives: Sequence[Objective]) -> pd.DataFrame:
    """One row an architecture, best first.

    Columns: `rank` (from 1), `front` (1 for what nothing beats in all objectives, 2 for what only
    those beat, and so on), `fingerprint`, one column a score and one a cost, `seconds`, `problem`,
    `within_limits`, `trial` (its first proposal), `proposals` (how many there were), and
    `architecture` (JSON). After the fronts come architectures whose score is not finite, then
    those outside the limits, which were not scored; neither has a front. Scores are compared as
    the search compared them, by the digits that processors agree on (`rounding.reproducible`); of
    equal ones the first proposed comes first.

    Args:
        trials: every proposal.
        objectives: of the run.
    """
    rows: dict[str, dict[str, object]] = {}
    for trial in trials:
        result = result_of(trial)
        row = rows.get(result["fingerprint"])
        if row is None:
            rows[result["fingerprint"]] = _row(trial)
        else:
            row["proposals"] = int(str(row["proposals"])) + 1
    table = pd.DataFrame(list(rows.values()))
    if table.empty:
        return table
    # Where nothing was within the limits, nothing was scored, and no row has the columns.
    for objective in objectives:
        if objective.name not in table:
            table[objective.name] = np.nan
    ranked = (table["within_limits"] & table["_values"].notna()).to_numpy()
    signs = np.array([objective.sign for objective in objectives], dtype=float)
    values = np.array([*table["_values"][ranked]], dtype=float).reshape(-1, len(signs)) * signs
    fronts = pd.Series(pd.NA, index=table.index, dtype="Int64")
    fronts[ranked] = fronts_of(values)
    table.insert(0, "front", fronts)
    first = pd.Series(np.inf, index=table.index)
    first[ranked] = -values[:, 0]
    order = pd.DataFrame(
        {
            "outside": ~table["within_limits"],
            "front": table["front"].astype("Float64").fillna(np.inf),
            "first": first,
        }
    ).sort_values(["outside", "front", "first"], kind="stable")
    table = table.loc[order.index].drop(columns="_values").reset_index(drop=True)
    table.insert(0, "rank", table.index + 1)
    return table


def front(table: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """The rows that nothing beats in all objectives; with one objective, the best row."""
    if table.empty:
        return table
    rows = table[(table["front"] == 1).fillna(False).astype(bool)]
    return rows if len(objectives) > 1 else rows.head(1)


def _row(trial: FrozenTrial) -> dict[str, object]:
    result = result_of(trial)
    return {
        "fingerprint": result["fingerprint"],
        **result["costs"],
        **{k: np.nan if v is None else v for k, v in result["scores"].items()},
        "seconds": result["seconds"],
        "problem": result["problem"],
        "within_limits": not is_outside(trial),
        "trial": trial.number,
        "proposals": 1,
        "architecture": json.dumps(result["architecture"]),
        "_values": trial.values if trial.state is TrialState.COMPLETE else None,
    }


def fronts_of(values: np.ndarray) -> np.ndarray:
    """For each row of values (n, objectives), larger being better, the number of its front.

    By binary search among the fronts of the rows before (Zhang et al., "An Efficient Approach to
    Nondominated Sorting for Evolutionary Multiobjective Optimization", 2015, ENS-BS): who is beaten
    by a member of a front is so by one of each front before.
    """
    # Whatever beats a row stands before it; rows that are equal are on one front.
    rows, places = np.unique(-values, axis=0, return_inverse=True)
    if values.shape[1] == 1:
        return 1 + places.ravel()
    fronts = np.zeros(len(rows), dtype=int)
    members: list[np.ndarray] = []
    counts: list[int] = []
    for i, row in enumerate(rows):

        def is_open(front: int, row: np.ndarray = row) -> bool:
            """Whether no member of a front beats the row."""
            return not (members[front][: counts[front]] <= row).all(1).any()

        front = bisect_left(range(len(members)), True, key=is_open)
        if front == len(members):
            members.append(np.empty((1, values.shape[1])))
            counts.append(0)
        elif counts[front] == len(members[front]):
            members[front] = np.concatenate([members[front], members[front]])
        members[front][counts[front]] = row
        counts[front] += 1
        fronts[i] = 1 + front
    return fronts[places.ravel()]
