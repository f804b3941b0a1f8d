"""The same budget spent in several ways, on networks that train in seconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout.comparison import Proof, compare, load_proof, prove
from archscout.comparison.proving import SEEDS, Progress, random_candidates
from archscout.errors import InputError
from archscout.promotion import Progress as Spending
from archscout.promotion import load_promotion, promote
from archscout.promotion.strategies import STRATEGIES
from archscout.promotion.trainings import RUNGS, TRAININGS
from archscout.report.proof import summarise
from archscout.runs import Run, search_from
from archscout.spaces import RecurrentSpace
from archscout.training import comparison_preset

Hunt = Callable[..., Run]
SPACE = RecurrentSpace()
RECIPE = comparison_preset("quick", "rnn").settings.resized(
    epochs=3, batch_size=4, evaluation_batch_size=2, sequence_length=8
)


@pytest.fixture(scope="module")
def told() -> list[Progress]:
    """What is told while it is proven."""
    return []


@pytest.fixture(scope="module")
def proven(hunt: Hunt, told: list[Progress]) -> tuple[Run, Proof]:
    run = hunt()
    return run, prove(run, 2, 2, RECIPE, on_progress=told.append)


def test_progress_is_in_full_trainings(proven: tuple[Run, Proof], told: list[Progress]) -> None:
    done = [each.done for each in told]
    assert done == sorted(done) and 0 < done[0] < 1
    assert {each.total for each in told} == {2 * (4 * 2 + len(SPACE.named))}
    assert done[-1] == told[-1].total
    doing = [
        f"seed {seed}: {way}" for seed in (0, 1) for way in (*STRATEGIES, ", ".join(SPACE.named))
    ]
    assert list(dict.fromkeys(each.doing for each in told)) == doing


def test_every_way_is_there_from_every_seed(proven: tuple[Run, Proof]) -> None:
    run, proof = proven
    assert proof.strategies == [*STRATEGIES, *SPACE.named]
    assert all(list(proof.of(name)) == [0, 1] for name in proof.strategies)
    assert proof.seeds == [0, 1] and proof.part == "test" and load_proof(run.folder.path) == proof
    ours = load_promotion(run.folder.path)
    theirs = load_promotion(run.folder.path / SEEDS / "1")
    for seed, promotion in enumerate((ours, theirs)):
        assert promotion is not None
        search = proof.of("search")[seed]
        assert search.fingerprint == promotion.winner.fingerprint
        assert search.losses == promotion.winner.results


def test_each_way_is_charged_for_what_it_trained(proven: tuple[Run, Proof]) -> None:
    proof = proven[1]
    for found in proof.found:
        most = 1 if found.strategy in SPACE.named else proof.budget
        assert 0 < found.cost <= most + 0.3  # a step more for each training
    for seed in proof.seeds:
        whole = proof.of("random")[seed]
        assert whole.trained == len(whole.steps) == 2
        assert [cost for cost, _ in whole.steps] == sorted(cost for cost, _ in whole.steps)
        assert whole.steps[-1][0] == pytest.approx(whole.cost)
        assert whole.steps[-1][1] == pytest.approx(whole.losses["test"])
        halved = proof.of("random, halved")[seed]
        assert halved.trained > whole.trained and len(halved.steps) == 1


def test_what_was_found_was_found_among_its_own(proven: tuple[Run, Proof]) -> None:
    run, proof = proven
    pool = random_candidates(run)
    ranked = run.table.loc[run.table["front"].notna(), "fingerprint"].tolist()
    assert proof.of("random")[0].fingerprint in pool[:2]
    assert proof.of("random, halved")[0].fingerprint in pool
    children = run.table["trial"] >= run.settings.trials
    bred = set(run.table.loc[children, "fingerprint"])
    ranked = [mark for mark in ranked if mark not in bred]  # they came of trainings
    assert bred and proof.of("best by score")[0].fingerprint in ranked[:2]
    assert proof.drawn[0] == len(pool)
    mark = SPACE.fingerprint(SPACE.named["lstm"])
    assert {each.fingerprint for each in proof.of("lstm").values()} == {mark}
    assert proof.of("lstm")[0].title == f"lstm ({mark})"


def test_called_again_it_trains_nothing(proven: tuple[Run, Proof]) -> None:
    run, proof = proven
    rungs = run.folder.path / TRAININGS / RUNGS
    before = rungs.read_bytes()
    told: list[Progress] = []
    assert prove(run, 2, 2, RECIPE, on_progress=told.append) == proof
    assert rungs.read_bytes() == before
    promotion = load_promotion(run.folder.path)
    assert promotion is not None
    assert promotion.spent == pytest.approx(proof.of("search")[0].cost)
    assert promotion.spent <= promotion.budget + 0.3  # not what the others spent beside it
    assert len(promotion.candidates) == proof.of("search")[0].trained
    assert {each.done for each in told[:-1]} == {0}  # so that nothing is taken for speed
    assert told[-1].done == told[-1].total


def test_a_larger_budget_after_it_has_spent_what_the_search_did(
    proven: tuple[Run, Proof], tmp_path: Path
) -> None:
    shutil.copytree(proven[0].folder.path, tmp_path / "run")
    told: list[Spending] = []
    promotion = promote(Run(tmp_path / "run"), 3, RECIPE, on_progress=told.append)
    assert [each.spent for each in told] == sorted(each.spent for each in told)
    assert told[-1].spent <= min(3, promotion.spent)


@pytest.mark.slow
def test_a_stopped_one_ends_as_one_that_was_not(hunt: Hunt, proven: tuple[Run, Proof]) -> None:
    run = hunt()
    for stop_at in ("seed 0: random, halved", "seed 1: random"):

        def stop(now: Progress, stop_at: str = stop_at) -> None:
            if now.doing == stop_at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prove(run, 2, 2, RECIPE, on_progress=stop)
    done, whole = load_proof(run.folder.path), proven[1]
    assert done is not None and done.seeds == [0]  # the second seed was begun
    assert done.found == whole.found[: len(whole.strategies)]
    assert content(prove(run, 2, 2, RECIPE)) == content(proven[1])


def content(proof: Proof) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(proof.model_dump_json())
    return document


def test_random_ones_were_proposed_before_any_score_was_known(run: Run) -> None:
    pool = random_candidates(run)
    rows = run.table.set_index("fingerprint").loc[pool]
    named = {SPACE.fingerprint(cell) for cell in SPACE.named.values()}
    assert (rows["trial"] < 8).all() and not named & set(pool) and len(set(pool)) == len(pool)
    early = run.table[(run.table["trial"] < 8) & run.table["within_limits"]]
    assert set(pool) == set(early["fingerprint"]) - named
    assert random_candidates(Run(run.folder.path)) == pool
    draws = set()
    for seed in range(6):
        again = Run(run.folder.path)
        again.settings = again.settings.model_copy(update={"seed": seed})
        draws.add(tuple(random_candidates(again)))
    assert len(draws) > 1


def test_everything_of_a_random_search_is_random(hunt: Hunt) -> None:
    run = hunt(sampler="random")
    assert len(random_candidates(run)) > 8


def test_a_search_from_another_seed_is_that_search(hunt: Hunt, run: Run, tmp_path: Path) -> None:
    again = search_from(run, 1, tmp_path / "run")
    other = hunt(seed=1)
    assert again.settings == other.settings
    columns = ["fingerprint", "hidden_covariance[1]"]
    assert again.table[columns].equals(other.table[columns])
    assert search_from(run, 1, tmp_path / "run").table[columns].equals(again.table[columns])


def test_less_than_a_seed_is_refused(run: Run) -> None:
    with pytest.raises(InputError, match="seeds is 0; a positive whole number"):
        prove(run, 2, 0, RECIPE)


def test_where_no_random_one_is_within_the_limits_none_is_found(
    hunt: Hunt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archscout.comparison.proving.random_candidates", lambda run: [])
    cell = SPACE.sample(5)
    proof = prove(hunt(include={"random": cell}), 1, 1, RECIPE.resized(epochs=1))
    assert not proof.of("random") and not proof.of("random, halved")  # nothing was beaten
    assert proof.of("search")[0].fingerprint is not None
    included = proof.of("random (included)")[0].fingerprint
    assert included == SPACE.fingerprint(SPACE.live(cell))


def test_a_number_of_seeds_is_whole(run: Run) -> None:
    with pytest.raises(InputError, match=r"seeds is 2\.0; a positive whole number"):
        prove(run, 2, 2.0, RECIPE)  # type: ignore[arg-type]


def test_a_seed_in_which_nothing_is_within_the_limits_is_told(
    hunt: Hunt, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = hunt(trials=8)

    def nothing(*arguments: Any, **settings: Any) -> Run:
        found = search_from(*arguments, **settings)
        found.table["within_limits"] = False
        found.table["front"] = None
        found.__dict__["proposed"] = found.table
        return found

    monkeypatch.setattr("archscout.comparison.proving.search_from", nothing)
    proof = prove(run, 1, 2, RECIPE.resized(epochs=1))
    lost = proof.of("search")[run.settings.seed + 1]
    assert (lost.fingerprint, lost.cost, lost.losses) == (None, 0.0, {})
    assert proof.seeds == [run.settings.seed, run.settings.seed + 1] and proof.drawn[1] == 0
    (search, *_) = compare(proof)
    assert (search.failed, search.seeds) == (1, 2)
    assert summarise(proof)
