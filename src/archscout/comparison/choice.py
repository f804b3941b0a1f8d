"""Which candidates of a run are trained: its best, and random ones to compare them with.

The random ones stand for what there would be without the score, so they are drawn from what was
proposed before the sampler had seen any score: everything of `random`, the first population of
`nsga2`, the start of `tpe`. What evolution proposes later is the score's own work already, and
named architectures, with which every search begins, are what people found.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pandas as pd

from archscout.errors import InputError
from archscout.runs import Run
from archscout.runs.search_settings import SearchSettings
from archscout.spaces import names

_TPE_START = 10  # proposals that Optuna's sampler draws at random


@dataclasses.dataclass(frozen=True)
class Choice:
    """Rows of a run's table that are to be trained.

    Attributes:
        top: the best, best first.
        random: of the others, best first.
        pool: architectures from which the random ones were drawn: proposed at random, with a rank,
            and not among the best.
        late: of the random ones, those that were proposed later, for want of others.
    """

    top: pd.DataFrame
    random: pd.DataFrame
    pool: int
    late: int


def choose(run: Run, k: int) -> Choice:
    """The k best of a run, and k of its others drawn at random, or as many as there are.

    The draw follows from the run's seed. With a larger k the same ones are drawn, and more.
    """
    table = run.table
    ranked = table[table["front"].notna()] if len(table) else table
    if not 1 <= k < len(ranked):
        raise InputError(
            f"{k} best architectures are to be trained, and others to compare them with; "
            f"{run.folder} has {len(ranked)} within the limits with a finite score"
            + (f", so 1 to {len(ranked) - 1} is accepted" if len(ranked) > 1 else "")
        )
    others = ranked.iloc[k:]
    others = others[~others["fingerprint"].isin(names(run.space))]
    late = others["trial"] >= random_proposals(run.settings)
    marks = [place_in_draw(run.settings.seed, mark) for mark in others["fingerprint"]]
    drawn = others.assign(_late=late, _mark=marks).sort_values(["_late", "_mark"]).head(k)
    random = drawn.sort_values("rank").drop(columns=["_late", "_mark"])
    return Choice(ranked.head(k), random, int((~late).sum()), int(drawn["_late"].sum()))


def random_proposals(settings: SearchSettings) -> int:
    """How many of a run's proposals were drawn before its sampler had seen a score."""
    starts: dict[str, int] = {"nsga2": settings.population_size, "tpe": _TPE_START}
    return starts.get(settings.sampler, settings.trials)


def place_in_draw(seed: int, fingerprint: Any) -> str:
    """By this the candidates are in a random order that more of them do not change."""
    return hashlib.blake2b(f"{seed}/{fingerprint}".encode(), digest_size=8).hexdigest()
