"""A budget is spent on a run's candidates."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archscout.errors import InputError
from archscout.execution import Workers
from archscout.promotion import (
    Progress,
    Promotion,
    features,
    hand_over,
    is_promoted,
    load_promotion,
    promote,
)
from archscout.promotion.features import SCORES, features_of, order_of
from archscout.promotion.promoting import BUDGETS
from archscout.promotion.trainings import RUNGS, TRAININGS, Trainings
from archscout.report.findings import Findings
from archscout.report.promoted import summarise
from archscout.runs import Run, search
from archscout.spaces import RecurrentSpace
from archscout.training import comparison_preset
from archscout.training.jobs import (
    JobFolder,
    Part,
    Segment,
    Shared,
    lost_segment,
    train_segment,
)
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
    assert summarise(spent).sentences[1].count(f"{named.name} left at 11% of a training") == 1
    whole = named.model_copy(update={"reached": 1.0})
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
    assert hand_over(run, promotion, str(model)) == model
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="mine is there already; name another folder"):
        hand_over(run, promotion, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_training_that_ended_before_its_result_was_kept_ends_again(
    run: Run, recipe: Recipe, spent: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InputError("cannot write: No space left on device")

    for method in ("keep", "record"):  # of the last training that ends, the winner's
        with monkeypatch.context() as patched:
            patched.setattr(Trainings, "_take", _then(Trainings._take, method, full))
            with pytest.raises(InputError, match="No space left"):
                promote(run, 3, recipe())
    assert content(promote(run, 3, recipe())) == content(spent)


def _then(take: Callable[..., Any], method: str, full: Callable[..., None]) -> Callable[..., Any]:
    """Take a segment; where it is a training's last, with a method of the folder that fails."""

    def taken(trainings: Trainings, part: Part, segment: Segment, until: float) -> Part | None:
        if segment.result is None:
            return take(trainings, part, segment, until)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(JobFolder, method, full)
            return take(trainings, part, segment, until)

    return taken


def test_a_rung_is_a_chain_of_short_segments(
    run: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a process that is killed loses little."""
    asked: list[float | None] = []

    def seen(pool: Workers[Any], task: Any, waiting: deque[Part], lost: Any) -> Iterator[Any]:
        for part, segment in as_they_come(pool, task, waiting, lost):
            asked.append(part.until)
            yield part, segment

    as_they_come = Workers.as_they_come
    monkeypatch.setattr(Workers, "as_they_come", seen)
    promote(run, 1, recipe())
    # The first tells the pace, and of a training of a second no rung takes a minute.
    assert asked == [0.001, 1 / 9, 1 / 3, None]
    asked.clear()
    monkeypatch.setattr("archscout.training.jobs.segments._SEGMENT_SECONDS", 0.02)
    promote(run, 2, recipe())
    stops = [until for until in asked if until is not None]
    assert len(asked) > 20 and {1 / 9, 1 / 3} < set(stops)


def test_ctrl_c_keeps_the_state_of_every_training_at_work(
    run: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where whoever is told of the first one would stop at once."""

    def ended_early(
        pool: Workers[Any], task: Any, waiting: deque[Part], lost: Any
    ) -> Iterator[tuple[Part, Segment]]:
        at_work = [waiting.popleft() for _ in range(3)]
        pool.is_stopping = True
        for part in at_work:
            yield part, Segment(b"where it was", done=0.01)
        raise KeyboardInterrupt

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    kept: list[str] = []
    monkeypatch.setattr(Workers, "as_they_come", ended_early)
    monkeypatch.setattr(JobFolder, "keep", lambda folder, job, state: kept.append(job.name))
    with pytest.raises(KeyboardInterrupt):
        promote(run, 3, recipe(), on_progress=stop)
    assert len(kept) == len(set(kept)) == 3


@pytest.fixture
def with_costs(words: Path, tmp_path: Path) -> Run:
    """A run that improves a cost, too, whose children may stand before those that were proposed."""
    objectives = ["hidden_covariance[1]", "parameters"]
    options = {"trials": 24, "population_size": 8, "scale": TINY}
    return search("rnn", words, objectives, out=tmp_path / "costs", **options)


def test_children_take_part_in_fronts(with_costs: Run, recipe: Recipe) -> None:
    run = with_costs
    order = order_of(run, features_of(run, run.proposed, 1))
    found = promote(run, 3, recipe())
    assert found.bred and {each.fingerprint for each in found.candidates} - set(order)
    # And change nothing for those that were there before.
    again = Run(run.folder.path)
    assert order_of(again, features_of(again, again.proposed, 1)) == order
    assert content(promote(again, 3, recipe())) == content(found)


def test_what_was_bred_is_no_proposal_of_the_search(
    words: Path, run: Run, recipe: Recipe, tmp_path: Path
) -> None:
    assert promote(run, 2, recipe()).bred
    options = {"population_size": 8, "scale": TINY}
    metric = "hidden_covariance[1]"
    fewer = search("rnn", words, metric, trials=20, out=run.folder.path, resume=True, **options)
    assert fewer.settings.trials == 24  # which are there
    proposed = fewer.proposed["fingerprint"].tolist()
    more = search("rnn", words, metric, trials=40, out=run.folder.path, resume=True, **options)
    whole = search("rnn", words, metric, trials=40, out=tmp_path / "whole", **options)
    timeless = whole.table.drop(columns="seconds")
    assert more.proposed.drop(columns="seconds").equals(timeless) and more.settings.trials == 40
    assert set(proposed) < set(more.proposed["fingerprint"]) < set(more.table["fingerprint"])


def test_a_time_is_turned_into_trainings_by_one_that_does_not_fail(
    run: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = order_of(run, features_of(run, run.proposed, 1))
    seen: list[str] = []

    def dying(shared: Shared, part: Part) -> Segment:
        seen.append(part.job.name)
        died = part.job.name == first
        return lost_segment(part, "it died") if died else train_segment(shared, part)

    monkeypatch.setattr("archscout.promotion.trainings.train_segment", dying)
    found = promote(run, "30s", recipe())
    assert seen[0] == first and found.budget > 1
    assert next(each for each in found.candidates if each.fingerprint == first).problem == "it died"


def test_a_time_is_turned_into_trainings_by_one_that_is_timed_from_its_begin(
    run: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not by one that was begun by a process that is gone, stopped in its first rung or not."""
    first, second, *_ = order_of(run, features_of(run, run.proposed, 1))
    seen: list[tuple[str, bool]] = []

    def timed(shared: Shared, part: Part) -> Segment:
        seen.append((part.job.name, part.state is None))
        return dataclasses.replace(train_segment(shared, part), seconds=9.0 if stopping else 1.0)

    def stop(pool: Workers[Any], task: Any, waiting: deque[Part], lost: Any) -> Iterator[Any]:
        yield next(as_they_come(pool, task, waiting, lost))
        pool.is_stopping = True
        raise KeyboardInterrupt

    as_they_come, stopping = Workers.as_they_come, True
    monkeypatch.setattr("archscout.promotion.trainings.train_segment", timed)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Workers, "as_they_come", stop)
        promote(run, "60s", recipe())
    stopping = False
    found = promote(run, "60s", recipe())
    assert seen[0] == (first, True) and (second, True) in seen
    assert found.budget == pytest.approx(60 / 9, rel=0.1)  # a ninth in a segment of a second


def test_a_time_is_turned_into_trainings_by_the_ledger_where_all_are_trained(
    run: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(run, 3, recipe())
    monkeypatch.setattr("archscout.promotion.promoting._TIMED", 1)
    assert promote(run, "30s", recipe()).budget > 1


def test_a_time_is_not_spent_on_a_recipe_that_fails(
    run: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(shared: Shared, part: Part) -> Segment:
        return lost_segment(part, "it died")

    monkeypatch.setattr("archscout.promotion.trainings.train_segment", failing)
    with pytest.raises(InputError, match="every training failed, of 5 candidates: it died"):
        promote(run, "30s", recipe())
    assert len((run.folder.path / TRAININGS / RUNGS).read_text().splitlines()) == 5


def test_what_earlier_versions_bred_is_known_by_its_place(
    run: Run, words: Path, recipe: Recipe
) -> None:
    order = order_of(run, features_of(run, run.proposed, 1))
    found = promote(run, 2, recipe())
    path = run.folder.path / "study.jsonl"
    lines = [json.loads(line) for line in path.open()]
    for line in lines:
        line.get("user_attrs", {}).pop("bred", None)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = Run(run.folder.path)
    assert again.num_bred == run.num_bred > 0
    assert order_of(again, features_of(again, again.proposed, 1)) == order
    assert content(promote(again, 2, recipe())) == content(found)
    for more in (10, 20):
        grown = search(
            "rnn", words, "hidden_covariance[1]", trials=24 + more, population_size=8, scale=TINY,
            out=run.folder.path, resume=True,
        )  # fmt: skip
        assert grown.num_bred == Run(run.folder.path).num_bred == run.num_bred


def test_a_folder_that_cannot_be_written_is_said(
    run: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: object) -> None:
        raise InputError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr("archscout.training.jobs.job_folder.write_json", full)
    with pytest.raises(InputError, match="No space left") as error:
        promote(run, 1, recipe())
    assert "to begin anew" not in str(error.value)


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


def test_other_scores_that_are_there_are_kept_when_it_is_stopped(
    run: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = features_of(run, run.proposed, 1)
    path = run.folder.path / SCORES
    complete = path.read_text()
    path.unlink()
    score, scored = features._score, list[str]()

    def stopped(scorer: Any, architecture: str) -> Any:
        if len(scored) == 5:
            raise KeyboardInterrupt
        scored.append(architecture)
        return score(scorer, architecture)

    monkeypatch.setattr(features, "_score", stopped)
    with pytest.raises(KeyboardInterrupt):
        features_of(run, run.proposed, 1)
    assert len(json.loads(path.read_text())["scores"]) == 5
    monkeypatch.setattr(features, "_score", score)
    assert features_of(run, run.proposed, 1).equals(whole)
    assert json.loads(path.read_text()) == json.loads(complete)


def test_nothing_is_scored_on_a_text_that_has_changed(words: Path, tmp_path: Path) -> None:
    text = shutil.copy(words, tmp_path / "words.txt")
    run = search("rnn", text, "hidden_covariance[1]", trials=6, scale=TINY, out=tmp_path / "run")
    Path(text).write_text("other words\n" * 100)
    with pytest.raises(InputError, match=r"the text 'words\.txt' has changed since"):
        promote(run, 1)
    assert not (run.folder.path / SCORES).exists()


@pytest.mark.parametrize("name", [BUDGETS, "children.json", "rungs.jsonl", SCORES])
def test_a_damaged_file_of_a_budget_is_named(run: Run, recipe: Recipe, name: str) -> None:
    budget: float | str = 2 if name == "children.json" else "30s"
    promote(run, budget, recipe())
    folder = run.folder.path if name == SCORES else run.folder.path / TRAININGS
    (folder / name).write_text('{"until": [}\n' if name != "rungs.jsonl" else '{"until": "x"}\n')
    with pytest.raises(InputError, match=rf"{name}.* is damaged"):
        promote(Run(run.folder.path), budget, recipe())


def test_a_recipe_of_another_space_leaves_the_run_alone(run: Run) -> None:
    for wrong, said in (
        (comparison_preset("quick", "flexibert").settings, "PretrainingSettings; this space takes"),
        ({"epochs": 1}, "settings of dict; this space takes TrainingSettings"),
    ):
        with pytest.raises(InputError, match=said):
            promote(run, 1, wrong)
    assert not (run.folder.path / TRAININGS).exists()


def test_the_history_shows_what_the_search_proposed(run: Run, recipe: Recipe) -> None:
    promote(run, 2, recipe())
    again = Run(run.folder.path)
    assert again.num_bred
    shown = Findings(again).proposals
    assert len(shown) == len(again.trials) - again.num_bred == 24
    assert shown["trial"].tolist() == list(range(24))
