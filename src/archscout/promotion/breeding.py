"""Offspring of what trained well: new proposals near it, scored before any is trained.

Source of the idea: Real et al. 2019, "Regularized evolution for image classifier architecture
search", whose children are mutations of what was trained; here the scores, and what short trainings
said of them, choose among many children.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from archscout.execution import Cluster
from archscout.files import write_json
from archscout.runs import Run, propose

BRED = "bred.json"
PARENTS = 4
CHILDREN = 50
"""Of each parent."""
_MUTATED = (1, 1, 2, 3)  # genes that are drawn anew, one of these with equal chance


def breed(
    run: Run,
    losses: Mapping[str, float],
    folder: Path,
    workers: int | Cluster = 1,
    on_warning: Callable[[str], None] | None = None,
) -> None:
    """Propose children of the architectures that trained best, and score them.

    Who has children already has no more: the folder's bred.json tells.

    Args:
        run: in which the parents were proposed; it then has the children, too.
        losses: of what was trained, by fingerprint; infinite where a training failed.
        folder: of the trainings.
        workers: processes, or a cluster, that score.
        on_warning: called with what the user should know.

    Raises:
        InputError: as of `runs.propose`.
    """
    path = folder / BRED
    known: list[str] = json.loads(path.read_text()) if path.exists() else []
    finished = [mark for mark in losses if math.isfinite(losses[mark])]
    parents = sorted(finished, key=lambda mark: losses[mark])[:PARENTS]
    if new := [mark for mark in parents if mark not in known]:
        children = [child for mark in new for child in offspring(run, mark)]
        propose(run, children, workers, on_warning)
        write_json(path, [*known, *new])


def offspring(run: Run, parent: str) -> list[dict[str, Any]]:
    """Genes of children of an architecture, a few drawn anew in each.

    They follow from the run's seed and from who the parent is.
    """
    rows = run.table.set_index("fingerprint")["trial"]
    trial = run.trials[int(rows[parent])]
    rng = random.Random(f"{run.settings.seed}/{parent}")
    return [_child(trial.params, trial.distributions, rng) for _ in range(CHILDREN)]


def _child(
    genes: Mapping[str, Any], kinds: Mapping[str, BaseDistribution], rng: random.Random
) -> dict[str, Any]:
    free = sorted(name for name, kind in kinds.items() if not kind.single())
    changed = rng.sample(free, min(rng.choice(_MUTATED), len(free)))
    return {**genes, **{name: _drawn(kinds[name], rng) for name in changed}}


def _drawn(kind: BaseDistribution, rng: random.Random) -> Any:
    """A value of a gene, all alike probable."""
    if isinstance(kind, CategoricalDistribution):
        return rng.choice(kind.choices)
    if isinstance(kind, IntDistribution):
        return rng.randrange(kind.low, kind.high + 1, kind.step)
    assert isinstance(kind, FloatDistribution)
    return rng.uniform(kind.low, kind.high)
