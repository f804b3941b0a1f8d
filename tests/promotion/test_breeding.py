"""Children of what trained well."""

from __future__ import annotations

import json
import math
from pathlib import Path

import optuna
import pytest

from archscout.promotion.breeding import CHILDREN, LITTERS, PARENTS, breed, offspring
from archscout.promotion.entrants import predict
from archscout.promotion.features import features_of, order_of
from archscout.runs import Run, propose
from archscout.spaces import RecurrentSpace, live

SPACE = RecurrentSpace()


@pytest.fixture
def losses(run: Run) -> dict[str, float]:
    """Of the first ten, the later ones better, and of one that failed."""
    ranked = run.table.loc[run.table["front"].notna(), "fingerprint"].tolist()[:10]
    return {mark: 10.0 - place for place, mark in enumerate(ranked)} | {ranked[9]: math.inf}


def test_a_child_of_a_cell_is_a_neighbour_of_its_parent(run: Run) -> None:
    lstm = SPACE.fingerprint(SPACE.named["lstm"])
    genes = offspring(run, lstm)
    assert 0 < len(genes) <= CHILDREN and offspring(run, lstm) == genes
    assert offspring(run, SPACE.fingerprint(SPACE.named["gru"])) != genes
    children = [SPACE.suggest(optuna.trial.FixedTrial(each)) for each in genes]
    sizes = [len(live(SPACE, child).nodes) for child in children]
    assert max(sizes) <= len(SPACE.named["lstm"].nodes) + 1


def test_a_child_has_its_parents_genes_but_for_a_few(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the space knows no neighbours."""
    monkeypatch.delattr(RecurrentSpace, "mutate")
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
    order = order_of(run, features_of(run, run.table, 1))
    children = breed(run, losses, tmp_path)
    parents = list(losses)[9 - PARENTS : 9]
    litters = json.loads((tmp_path / LITTERS).read_text())
    assert set(litters) == set(parents) and len(set(children)) == sum(map(len, litters.values()))
    # In turn, of the best parent first.
    assert children[:PARENTS] == [litters[mark][0] for mark in reversed(parents)]
    assert proposals < len(run.trials) <= proposals + PARENTS * CHILDREN
    assert Run(run.folder.path).table.equals(run.table)  # stored, and saved
    new = set(run.table["fingerprint"]) - before
    assert set(children) < new and len(children) > len(new) / 4
    # They have features, and who enters by scores alone is as before.
    features, proposals = features_of(run, run.table, 1), len(run.trials)
    assert set(children) <= set(features.index) and order_of(run, features) == order
    assert not set(children) & set(features_of(run, run.proposed, 1).index)
    assert breed(run, losses, tmp_path) == children and len(run.trials) == proposals


def test_the_worse_half_of_a_litter_does_not_enter(
    run: Run, losses: dict[str, float], tmp_path: Path
) -> None:
    before = set(run.table["fingerprint"])
    children = set(breed(run, losses, tmp_path))
    learned = predict(features_of(run, run.table, 1), losses)
    for parent in list(losses)[9 - PARENTS : 9]:
        space = run.space
        litter = {
            space.fingerprint(live(space, space.suggest(optuna.trial.FixedTrial(genes))))
            for genes in offspring(run, parent)
        }
        own = json.loads((tmp_path / LITTERS).read_text())[parent]
        others = litter - children - before
        assert set(own) <= litter - before
        worse = [learned[mark] for mark in others if mark in learned]
        assert not own or min(learned[mark] for mark in own) >= max(worse)


def test_who_was_stopped_while_it_proposed_children_goes_on_with_the_others(
    run: Run, losses: dict[str, float], tmp_path: Path
) -> None:
    before = len(run.trials)
    best = sorted(losses, key=losses.__getitem__)[:PARENTS]
    children = [child for parent in best for child in offspring(run, parent)]
    propose(run, children[: len(children) // 2])
    breed(run, losses, tmp_path)
    assert len(run.trials) == before + len(children)
    assert all(
        trial.params.get(name, value) == value
        for trial, child in zip(run.trials[before:], children, strict=True)
        for name, value in child.items()
    )


def test_who_is_there_already_is_no_child(
    run: Run, losses: dict[str, float], tmp_path: Path
) -> None:
    """Genes drawn anew may be of the parent itself, and of what was proposed before."""
    children = breed(run, losses, tmp_path)
    later = breed(run, losses | {mark: -1.0 - i for i, mark in enumerate(children[:4])}, tmp_path)
    assert later and not set(later) & {*losses, *children}


def test_nothing_that_trained_has_no_children(run: Run, tmp_path: Path) -> None:
    proposals = len(run.trials)
    breed(run, dict.fromkeys(run.table["fingerprint"][:3], math.inf), tmp_path)
    breed(run, {}, tmp_path)
    assert len(run.trials) == proposals and not (tmp_path / LITTERS).exists()
