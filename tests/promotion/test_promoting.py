"""A budget is spent on a run's candidates."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from archscout.errors import InputError
from archscout.promotion import Progress, Promotion, hand_over, is_promoted, load_promotion, promote
from archscout.promotion.features import SCORES, features_of, order_of
from archscout.promotion.promoting import BUDGETS
from archscout.promotion.trainings import RUNGS, TRAININGS
from archscout.report.promoted import summarise
from archscout.runs import Run, search
from archscout.spaces import RecurrentSpace
from promotion.conftest import TINY, Recipe

SPACE = RecurrentSpace()


def content(promotion: Promotion) -> dict[str, Any]:
    """All but times."""
    return promotion.model_dump(exclude={"seconds"})


@pytest.fixture(scope="module")
def spent(found: Run, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Promotion:
    """A budget of three trainings, spent without a stop."""
    path = tmp_path_factory.mktemp("spent") / "run"
    shutil.copytree(found.folder.path, path)
    return promote(Run(path), 3, recipe())


def test_the_winner_is_trained_whole_and_the_budget_kept(spent: Promotion) -> None:
    assert spent.winner.reached == 1 and spent.winner.problem is None
    assert {"valid", "test"} <= spent.winner.results.keys()
    assert 1 <= spent.spent <= spent.budget + 0.2  # a step more than the rung
    assert sum(each.reached == 1 for each in spent.candidates) == 1
    first = [each for each in spent.candidates if "0.1111" in each.losses or each.problem]
    assert len(first) == len(spent.candidates) == 13
    cost = summarise(spent).sentences[0]
    assert cost.endswith("and on 12 other candidates (none of them trained whole).")


def test_it_says_which_others_were_trained_whole(spent: Promotion) -> None:
    named = next(each for each in spent.candidates if each.name and each != spent.winner)
    whole = named.model_copy(update={"results": spent.winner.results})
    others = [each for each in spent.candidates if each != named]
    cost, names, *_ = summarise(spent.model_copy(update={"candidates": [*others, whole]})).sentences
    assert cost.endswith("(1 of them trained whole).")
    assert f"{named.name} was trained whole (perplexity" in names


def test_the_winner_has_bits_per_byte(spent: Promotion) -> None:
    results, bits = spent.winner.results, spent.winner.bits_per_byte
    # The same tokens and bytes for all, words of four bytes or three with spaces and line ends.
    assert bits["test"] / results["test"] == pytest.approx(
        bits["valid"] / results["valid"], rel=0.1
    )
    assert 1 / 4 < bits["test"] * math.log(2) / results["test"] < 1 / 3
    found = summarise(spent)
    assert found.verdict.endswith(f", {bits['test']:.3f} bits per byte.")
    place = [column.name for column in found.table.columns].index("bits per byte")
    assert found.table.rows[0][place] == f"{bits['test']:.3f}"


def test_named_cells_enter_first_and_then_voices_in_turn(run: Run) -> None:
    features = features_of(run, 1)
    order = order_of(run, features)
    ranked = list(run.table.loc[run.table["front"].notna(), "fingerprint"])
    named = {SPACE.fingerprint(cell) for cell in SPACE.named.values()}
    assert set(order[:3]) == named and set(order) == set(ranked)
    trials = run.table.set_index("fingerprint")["trial"]
    rest = [mark for mark in ranked if mark not in named]
    drawn = next(mark for mark in rest if trials[mark] < run.settings.population_size)
    best = next(mark for mark in rest if mark != drawn)
    other = SPACE.other_metrics[0]
    left = [mark for mark in rest if mark not in (drawn, best)]
    heard = max(left, key=lambda mark: float(features.loc[mark, other]))
    assert order[3:6] == [drawn, best, heard] and len(order) == len(set(order))


def test_scores_of_other_metrics_are_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = features_of(run, 1)
    assert list(found) == ["rank", *SPACE.other_metrics[:2], "parameters"]  # the run has the third
    (run.folder.path / "model").mkdir(exist_ok=True)
    monkeypatch.setattr("archscout.promotion.features.Scorer", None)  # scores nothing again
    assert features_of(run, 1).equals(found)
    kept = json.loads((run.folder.path / SCORES).read_text())
    mark = found.index[0]
    assert kept["scores"][mark]["token_sensitivity"] == found.loc[mark, "token_sensitivity"]


def test_it_says_which_scores_told_something(spent: Promotion) -> None:
    told = {each.name: each for each in spent.told}
    assert {"rank", "token_sensitivity"} <= told.keys()
    assert all(-1 <= each.kendall <= 1 and each.n == 13 for each in told.values())


def test_a_stopped_one_ends_as_one_that_was_not(run: Run, recipe: Recipe, spent: Promotion) -> None:
    for stop_after in (3, 8):
        seen: list[Progress] = []

        def stop(progress: Progress, seen: list[Progress] = seen, n: int = stop_after) -> None:
            seen.append(progress)
            if len(seen) == n:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            promote(run, 3, recipe(), on_progress=stop)
    with (run.folder.path / TRAININGS / RUNGS).open("a") as file:
        file.write('{"fingerprint": "torn')
    assert content(promote(run, 3, recipe())) == content(spent)
    assert load_promotion(run.folder.path) is not None


@pytest.mark.slow
def test_two_workers_come_to_the_same(run: Run, recipe: Recipe, spent: Promotion) -> None:
    assert content(promote(run, 3, recipe(), workers=2)) == content(spent)


def test_a_larger_budget_goes_on_and_trains_nothing_twice(run: Run, recipe: Recipe) -> None:
    few = promote(run, 1, recipe())
    assert len(few.candidates) == 1
    many = promote(run, 2, recipe())
    lines = [json.loads(line) for line in (run.folder.path / TRAININGS / RUNGS).open()]
    measured = [(line["fingerprint"], line["until"]) for line in lines]
    assert len(measured) == len(set(measured))
    assert {each.fingerprint for each in few.candidates} <= {e.fingerprint for e in many.candidates}


def test_the_winner_becomes_the_model(run: Run, recipe: Recipe, tmp_path: Path) -> None:
    promotion = promote(run, 1, recipe())
    assert not is_promoted(run, tmp_path / "model")
    model = hand_over(run, promotion, tmp_path / "model")
    genotype = SPACE.parse(json.loads((model / "genotype.json").read_text()))
    assert SPACE.fingerprint(genotype) == promotion.winner.fingerprint
    assert is_promoted(run, model)


def test_a_time_becomes_trainings_once(run: Run, recipe: Recipe) -> None:
    first = promote(run, "30s", recipe())
    kept = json.loads((run.folder.path / TRAININGS / BUDGETS).read_text())
    assert kept == {"30s": first.budget} and first.budget > 1
    assert content(promote(run, "30s", recipe())) == content(first)


def test_another_recipe_says_what_differs(run: Run, recipe: Recipe) -> None:
    promote(run, 1, recipe())
    with pytest.raises(InputError, match="epochs is 6 there, 5 here"):
        promote(run, 1, recipe(epochs=5))


def test_where_all_fail_it_says_what_to_change(run: Run, recipe: Recipe) -> None:
    with pytest.raises(
        InputError, match=r"every training failed, of 1 candidates: .*diverged"
    ) as e:
        promote(run, 1, recipe(learning_rate=1e18))
    assert "--set learning_rate=X" in str(e.value) and str(run.folder) in str(e.value)
    assert len(Run(run.folder.path).table) == len(run.table)


def test_a_text_that_is_too_short_is_refused(tmp_path: Path, recipe: Recipe) -> None:
    path = tmp_path / "short.txt"
    path.write_text("\n".join("a b c d e" for _ in range(30)))
    run = search("rnn", path, "parameters", trials=6, scale=TINY, out=tmp_path / "run")
    with pytest.raises(InputError, match="too short for a budget: one step is"):
        promote(run, 1, recipe(epochs=1, sequence_length=35))
