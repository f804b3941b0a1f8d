"""Offspring of what trained well: new proposals near it, scored before any is trained.

Source of the idea: Real et al. 2019, "Regularized evolution for image classifier architecture
search", whose children are mutations of what was trained; here the worse half of an architecture's
children is left out, by scores and what was learned of them.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
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
from archscout.folders import read_json
from archscout.promotion.entrants import in_turn, predict
from archscout.promotion.features import features_of, place_in_draw, ranked
from archscout.runs import Run, propose
from archscout.runs.study import is_bred, result_of

LITTERS = "children.json"
PARENTS = 4
CHILDREN = 25
"""Of each parent."""
_TRIES = 4 * CHILDREN
_MUTATED = (1, 1, 2, 3)  # genes that are drawn anew, one of these with equal chance


def breed(
    run: Run,
    losses: Mapping[str, float],
    folder: Path,
    workers: int | Cluster = 1,
    warn: Callable[[str], None] | None = None,
) -> list[str]:
    """Children of the architectures that trained best, proposed and scored.

    Of an architecture's children the half that is better by what was learned so far enters, in a
    random order, which follows from the run's seed: scores know who is dead, and little of who is
    best among such near relatives. Who has children already has no more: the folder's children.json
    holds them.

    Args:
        run: in which the parents were proposed; it then has the children, too. Its folder is held
            by the caller.
        losses: of what was trained, by fingerprint; infinite where a training failed.
        folder: of the trainings.
        workers: processes, or a cluster, that score.
        warn: called with what the user should know.

    Returns:
        Their fingerprints, a child of each parent in turn, of the best one first.

    Raises:
        InputError: as of `runs.propose`.
    """
    path = folder / LITTERS
    known = read_json(path, dict[str, list[str]], {})
    finished = [mark for mark in losses if math.isfinite(losses[mark])]
    parents = sorted(finished, key=lambda mark: losses[mark])[:PARENTS]
    if new := [mark for mark in parents if mark not in known]:
        litters = {mark: offspring(run, mark) for mark in new}
        children = [child for litter in litters.values() for child in litter]
        propose(run, children, workers, warn)
        bred = [trial for trial in run.trials if is_bred(trial)][-len(children) :]
        start = bred[0].number if bred else len(run.trials)
        marks = (result_of(trial)["fingerprint"] for trial in bred)
        learned = predict(features_of(run, run.table, workers), losses)
        for mark, litter in litters.items():
            known[mark] = _better_half(run, list(islice(marks, len(litter))), start, learned)
        write_json(path, known)
    return list(in_turn([iter(known[mark]) for mark in parents]))


def _better_half(
    run: Run, marks: Sequence[str], start: int, learned: Mapping[str, float]
) -> list[str]:
    """Of a litter's architectures that no trial before had the better half, in a drawn order."""
    rows = ranked(run.table)
    new = rows[(rows["trial"] >= start) & rows["fingerprint"].isin(marks)]["fingerprint"]
    better = sorted(new, key=lambda mark: -learned[mark])[: -(-len(new) // 2)]
    return sorted(better, key=lambda mark: place_in_draw(run.settings.seed, mark))


def offspring(run: Run, parent: str) -> list[dict[str, Any]]:
    """Genes of children of an architecture, each near it.

    They are neighbours of it where the space knows such (`mutate`), or else have a few of its genes
    drawn anew. They follow from the run's seed and from who the parent is.
    """
    row = run.table.set_index("fingerprint")[["trial", "architecture"]].to_dict("index")[parent]
    trial = run.trials[row["trial"]]
    rng = random.Random(f"{run.settings.seed}/{parent}")
    space: Any = run.space
    if not hasattr(space, "mutate"):
        return [_child(trial.params, trial.distributions, rng) for _ in range(CHILDREN)]
    architecture = space.parse(json.loads(row["architecture"]))
    neighbours = (space.genes(space.mutate(architecture, rng)) for _ in range(_TRIES))
    return list(islice((genes for genes in neighbours if genes is not None), CHILDREN))


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
