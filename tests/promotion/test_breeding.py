"""Children of what trained well."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from archscout.promotion.breeding import BRED, CHILDREN, PARENTS, breed, offspring
from archscout.promotion.features import features_of, order_of
from archscout.runs import Run, propose
from archscout.spaces import RecurrentSpace

SPACE = RecurrentSpace()


@pytest.fixture
def losses(run: Run) -> dict[str, float]:
    """Of the first ten, the later ones better, and of one that failed."""
    ranked = run.table.loc[run.table["front"].notna(), "fingerprint"].tolist()[:10]
    return {mark: 10.0 - place for place, mark in enumerate(ranked)} | {ranked[9]: math.inf}


def test_a_child_has_its_parents_genes_but_for_a_few(run: Run) -> None:
    mark = SPACE.fingerprint(SPACE.named["lstm"])
    place = run.table.set_index("fingerprint").loc[mark, "trial"]
    genes = run.trials[int(place)].params
    children = offspring(run, mark)
    assert len(children) == CHILDREN
    changed = [sum(child[name] != genes[name] for name in genes) for child in children]
    assert max(changed) <= 3 and sum(changed) > CHILDREN / 2
    assert all(child.keys() == genes.keys() for child in children)
    assert offspring(run, mark) == children
    assert offspring(run, run.best.fingerprint) != children


def test_the_best_that_did_not_fail_have_children_once(
    run: Run, losses: dict[str, float], tmp_path: Path
) -> None:
    before, proposals = set(run.table["fingerprint"]), len(run.trials)
    order = order_of(run, features_of(run, 1))
    breed(run, losses, tmp_path)
    parents = list(losses)[9 - PARENTS : 9]
    assert set(json.loads((tmp_path / BRED).read_text())) == set(parents)
    assert len(run.trials) == proposals + PARENTS * CHILDREN
    assert Run(run.folder.path).table.equals(run.table)  # stored, and saved
    new = set(run.table["fingerprint"]) - before
    assert len(new) > PARENTS * CHILDREN / 10
    # They have features, and who enters by scores alone is as before.
    features = features_of(run, 1)
    assert new & set(features.index) and order_of(run, features) == order
    breed(run, losses, tmp_path)
    assert len(run.trials) == proposals + PARENTS * CHILDREN


def test_who_was_stopped_while_it_proposed_children_goes_on_with_the_others(
    run: Run, losses: dict[str, float], tmp_path: Path
) -> None:
    before = len(run.trials)
    best = sorted(losses, key=losses.__getitem__)[:PARENTS]
    children = [child for parent in best for child in offspring(run, parent)]
    propose(run, children[: CHILDREN + 7])
    breed(run, losses, tmp_path)
    assert len(run.trials) == before + PARENTS * CHILDREN
    assert all(
        trial.params.get(name, value) == value
        for trial, child in zip(run.trials[before:], children, strict=True)
        for name, value in child.items()
    )


def test_nothing_that_trained_has_no_children(run: Run, tmp_path: Path) -> None:
    proposals = len(run.trials)
    breed(run, dict.fromkeys(run.table["fingerprint"][:3], math.inf), tmp_path)
    breed(run, {}, tmp_path)
    assert len(run.trials) == proposals and not (tmp_path / BRED).exists()
