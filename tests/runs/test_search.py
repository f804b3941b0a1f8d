"""Searches: what they depend on, what they may find, and how they go on after a stop."""

import copy
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from optuna.trial import TrialState

import archscout
from archscout import InputError, Scorer
from archscout.metrics import metric
from archscout.runs import Candidate, Progress, Run, search, search_from
from archscout.runs.study import is_outside, result_of
from archscout.spaces import RecurrentSpace
from archscout.tracing import Trace
from journals import proposals_in

Hunt = Any  # a search with some usual arguments; see conftest.py
SPACE = RecurrentSpace()
# Parameters of sampled cells at the tiny scale: about half are below.
MIDDLE = 2000


class Stop:
    """Interrupts a search after some proposals."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, state: Progress) -> None:
        if state.done == self.after:
            raise KeyboardInterrupt


@pytest.fixture
def patchy() -> str:
    """A metric that is not finite for some architectures."""

    @metric(needs={"parameters"}, larger_is_better=True, undefined="too round a number")
    def patchy(trace: Trace) -> float:
        rest = trace.parameters // 24 % 3
        return (float(trace.parameters), math.nan, math.inf)[rest]

    return "patchy"


# What a search depends on


@pytest.mark.parametrize("sampler", ["nsga2", "tpe", "random"])
def test_the_seed_decides_the_result(
    sampler: str, hunt: Hunt, tmp_path: Path, assert_same: Any
) -> None:
    one, same, other = (
        hunt(tmp_path / f"run{i}", sampler=sampler, seed=seed) for i, seed in enumerate((0, 0, 1))
    )
    assert_same(one, same)
    assert len(one.trials) == 14
    assert {result_of(t)["fingerprint"] for t in one.trials} != {
        result_of(t)["fingerprint"] for t in other.trials
    }


def test_samplers_propose_differently(hunt: Hunt, tmp_path: Path) -> None:
    runs = [hunt(tmp_path / s, sampler=s, trials=14) for s in ("nsga2", "tpe", "random")]
    found = [[result_of(t)["fingerprint"] for t in run.trials] for run in runs]
    assert found[0] != found[1] != found[2] != found[0]


def test_a_study_is_a_prefix_of_a_longer_one(hunt: Hunt, tmp_path: Path, proposals: Any) -> None:
    short, long = (hunt(tmp_path / str(n), trials=n) for n in (6, 14))
    assert proposals(short) == proposals(long)[:6]


def test_scores_are_those_of_scoring_alone(
    hunt: Hunt, words: Path, tiny: Any, tmp_path: Path
) -> None:
    run = hunt(tmp_path / "run", trials=5, seed=3)
    scorer = Scorer("rnn", words, ["hidden_covariance[1]"], tiny, seed=3)
    for _, row in run.table.iterrows():
        alone = scorer.score(SPACE.parse(row["architecture"]))
        assert row["hidden_covariance[1]"] == alone["hidden_covariance[1]"]
        assert row["fingerprint"] == alone.fingerprint


# Going on after a stop

KINDS: list[dict[str, Any]] = [
    {"sampler": "nsga2"},
    {"sampler": "tpe"},
    {"sampler": "random"},
    {"sampler": "nsga2", "metrics": "hidden_covariance[1],parameters"},
    {"sampler": "tpe", "metrics": "hidden_covariance[1],flops"},
    {"sampler": "nsga2", "max_parameters": MIDDLE},
    {"sampler": "tpe", "max_parameters": MIDDLE},
    {"sampler": "nsga2", "metrics": "parameters,flops:max", "max_memory": "20KB"},
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: "-".join(map(str, k.values())))
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    kind: dict[str, Any], hunt: Hunt, tmp_path: Path, assert_same: Any
) -> None:
    whole = hunt(tmp_path / "whole", **kind)
    for after in (1, 7):
        with pytest.raises(KeyboardInterrupt):
            hunt(tmp_path / "stopped", **kind, resume=after > 1, on_progress=Stop(after))
    stopped = Run(tmp_path / "stopped")
    assert len(stopped.trials) == 7
    assert (tmp_path / "stopped" / "best.json").exists()
    assert_same(hunt(tmp_path / "stopped", **kind, resume=True), whole)
    assert_same(Run(tmp_path / "stopped"), whole)


def test_a_run_whose_time_is_up_goes_on_as_if_it_had_not_been(
    hunt: Hunt, tmp_path: Path, assert_same: Any
) -> None:
    for number in (1, 2, 3):
        run = hunt(tmp_path / "short", minutes=1e-9, resume=number > 1)
        assert len(run.trials) == number and len(run.table) >= 1
    assert_same(hunt(tmp_path / "short", minutes=60, resume=True), hunt(tmp_path / "whole"))


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(minutes: float, hunt: Hunt, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"minutes is {minutes:g}; a positive number is accepted"):
        hunt(tmp_path / "run", minutes=minutes)


def test_what_a_stopped_run_found_can_be_read(hunt: Hunt, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        hunt(tmp_path / "run", on_progress=Stop(5))
    stored = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    assert stored["proposals"].sum() == 5
    best = json.loads((tmp_path / "run" / "best.json").read_text())
    assert best["front"][0]["fingerprint"] == stored["fingerprint"][0]


PROGRAM = """
import sys
from archscout import search
from archscout.spaces import RecurrentSpace
scale = RecurrentSpace.scales["fast"].resized(
    embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
)
search("rnn", sys.argv[1], "hidden_covariance[1]", trials=int(sys.argv[3]), population_size=4,
       scale=scale, out=sys.argv[2])
"""


@pytest.mark.slow
def test_a_killed_process_loses_nothing(
    hunt: Hunt, words: Path, tmp_path: Path, scored: list[str], assert_same: Any
) -> None:
    killed, trials = tmp_path / "killed", 40
    # Too many to be through with before the signal; only the first 40 matter.
    arguments = [sys.executable, "-c", PROGRAM, str(words), str(killed), "5000"]
    with subprocess.Popen(arguments) as process:
        deadline = time.monotonic() + 60
        while proposals_in(killed / "study.jsonl") < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    left = proposals_in(killed / "study.jsonl")
    assert 8 <= left < trials
    assert not (killed / "best.json").exists()
    known = {result_of(t)["fingerprint"] for t in Run(killed).trials}
    resumed = hunt(killed, trials=trials, resume=True)
    assert not known & set(scored)
    assert_same(resumed, hunt(tmp_path / "whole", trials=trials))


def test_nothing_is_scored_twice(hunt: Hunt, tmp_path: Path, scored: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        hunt(tmp_path / "run", trials=60, on_progress=Stop(30))
    run = hunt(tmp_path / "run", trials=60, resume=True)
    marks = [result_of(t)["fingerprint"] for t in run.trials]
    assert len(marks) == 60 and len(set(marks)) < 60  # some came twice
    assert len(scored) == len(set(scored))
    assert set(scored) == set(marks)
    assert run.table["proposals"].sum() == 60
    assert len(run.table) == len(set(marks))


def test_what_has_no_finite_score_is_not_scored_twice_either(
    hunt: Hunt, patchy: str, tmp_path: Path, scored: list[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        hunt(tmp_path / "run", metrics=patchy, trials=60, on_progress=Stop(30))
    run = hunt(tmp_path / "run", metrics=patchy, trials=60, resume=True)
    assert len(scored) == len(set(scored)) == len(run.table) < 60


def test_a_finished_run_may_grow(hunt: Hunt, tmp_path: Path, assert_same: Any) -> None:
    hunt(tmp_path / "grown", trials=6)
    grown = hunt(tmp_path / "grown", trials=14, resume=True)
    assert_same(grown, hunt(tmp_path / "whole", trials=14))
    assert Run(tmp_path / "grown").settings.trials == 14


def test_a_finished_run_with_nothing_left_to_do_stays_as_it_is(
    hunt: Hunt, tmp_path: Path, scored: list[str], assert_same: Any
) -> None:
    before = hunt(tmp_path / "run")
    del scored[:]
    for trials in (14, 3):
        assert_same(hunt(tmp_path / "run", trials=trials, resume=True), before)
    assert scored == []
    assert Run(tmp_path / "run").settings.trials == 14


def test_to_go_on_with_no_run_is_refused(hunt: Hunt, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*mistyped to go on with; without --resume"):
        hunt(tmp_path / "mistyped", trials=4, resume=True)
    assert list(tmp_path.iterdir()) == []


# Limits


@pytest.mark.parametrize("sampler", ["nsga2", "tpe", "random"])
def test_nothing_outside_the_limits_is_scored_or_ranked(
    sampler: str, hunt: Hunt, tmp_path: Path, scored: list[str]
) -> None:
    run = hunt(tmp_path / "run", sampler=sampler, trials=30, max_parameters=MIDDLE)
    outside = run.table[run.table["parameters"] > MIDDLE]
    inside = run.table[run.table["parameters"] <= MIDDLE]
    assert len(outside) and len(inside)
    assert set(scored) == set(inside["fingerprint"])
    assert inside["within_limits"].all()
    assert list(inside["front"].notna()) == list(inside["problem"].isna())
    assert outside["front"].isna().all() and not outside["within_limits"].any()
    assert outside["hidden_covariance[1]"].isna().all()
    assert outside["rank"].min() > inside["rank"].max()
    for trial in run.trials:
        assert is_outside(trial) == (result_of(trial)["costs"]["parameters"] > MIDDLE)


def test_a_limit_may_be_met_exactly(hunt: Hunt, tmp_path: Path) -> None:
    free = hunt(tmp_path / "free")
    exact = int(sorted(free.table["parameters"])[7])
    run = hunt(tmp_path / "run", sampler="random", max_parameters=exact)
    met = run.table[run.table["parameters"] == exact]
    assert met["within_limits"].all()


def test_all_limits_hold_together(hunt: Hunt, words: Path, tiny: Any, tmp_path: Path) -> None:
    run = hunt(
        tmp_path / "run",
        trials=20,
        max_parameters="2.2K",
        max_flops="4.2K",
        max_memory="20KB",
        max_latency="10s",
    )
    limits = {"parameters": 2200, "flops": 4200, "memory": 20_000, "latency": 10_000}
    assert run.settings.limits == limits
    for _, row in run.table.iterrows():
        assert row["within_limits"] == all(row[n] <= limit for n, limit in limits.items())
    assert run.table["within_limits"].any()
    for candidate in run.front:
        assert all(candidate.costs[n] <= limit for n, limit in limits.items())


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"max_parameters": 10}, r"max_parameters is 10, the smallest parameters seen is (\d+)"),
        ({"max_flops": "1"}, r"max_flops is 1, the smallest flops seen is ([\d,]+)"),
        ({"max_memory": "1KB"}, r"max_memory is 1,000, the smallest memory seen is ([\d,]+)"),
        ({"max_latency": 1e-6}, r"max_latency is 1e-06, the smallest latency seen is ([\d.]+)"),
    ],
)
def test_an_impossible_limit_is_named_at_once_with_the_smallest_seen(
    limits: dict[str, Any], complaint: str, hunt: Hunt, tmp_path: Path, scored: list[str]
) -> None:
    with pytest.raises(InputError, match=r"no architecture of \d+ sampled meets") as caught:
        hunt(tmp_path / "runs" / "run", **limits)
    assert caught.match(complaint)
    assert scored == [] and list(tmp_path.iterdir()) == []


def test_the_smallest_cost_seen_is_a_possible_limit(hunt: Hunt, tmp_path: Path, tiny: Any) -> None:
    with pytest.raises(InputError) as caught:
        hunt(tmp_path / "run", max_parameters=10)
    smallest = int(str(caught.value).rpartition(" ")[2].replace(",", ""))
    sizes = [
        sum(p.numel() for p in SPACE.skeleton(a, 41, tiny).parameters())
        for a in itertools.islice(SPACE.samples(0), 100)
    ]
    assert smallest == min(sizes)
    hunt(tmp_path / "run", trials=1, max_parameters=smallest)


def test_a_limit_is_taken_at_the_models_scale(hunt: Hunt, tiny: Any, tmp_path: Path) -> None:
    large = tiny.resized(embedding_size=16, hidden_size=24)
    with pytest.raises(InputError, match="no architecture of 100 sampled"):
        hunt(tmp_path / "run", model_scale=large, max_parameters=MIDDLE)
    run = hunt(tmp_path / "run", trials=4, model_scale=large)
    built = sum(p.numel() for p in run.best.build().parameters())
    assert run.best.costs["parameters"] == built > MIDDLE


# The named architectures


@pytest.mark.parametrize("sampler", ["nsga2", "tpe", "random"])
def test_named_cells_are_the_first_proposals(sampler: str, hunt: Hunt, tmp_path: Path) -> None:
    def found(run: Run) -> list[str]:
        return [result_of(trial)["fingerprint"] for trial in run.trials]

    whole = hunt(tmp_path / "whole", sampler=sampler, trials=8)
    named = [SPACE.fingerprint(cell) for cell in SPACE.named.values()]
    assert found(whole)[:3] == named
    hunt(tmp_path / "stopped", sampler=sampler, trials=2)
    assert found(hunt(tmp_path / "stopped", sampler=sampler, trials=8, resume=True)) == found(whole)


# Objectives


def test_costs_can_be_objectives(hunt: Hunt, tmp_path: Path, scored: list[str]) -> None:
    run = hunt(tmp_path / "run", metrics=["parameters", "memory:max"], trials=40)
    assert run.settings.objectives == ["parameters:min", "memory:max"]
    assert [o.direction for o in run.objectives] == ["minimize", "maximize"]
    for trial in run.trials:
        costs = result_of(trial)["costs"]
        assert trial.values == [costs["parameters"], costs["memory"]]
    assert list(run.table["parameters"]) != sorted(run.table["parameters"])
    chosen = [(c.costs["parameters"], c.costs["memory"]) for c in run.front]
    assert chosen == sorted(chosen) and len(chosen) == len(run.table[run.table["front"] == 1])


def test_the_front_is_what_nothing_beats(hunt: Hunt, tmp_path: Path) -> None:
    run = hunt(tmp_path / "run", metrics="hidden_covariance[1],parameters", trials=30)
    finite = run.table[run.table["front"].notna()]
    points = finite[["hidden_covariance[1]", "parameters"]].to_numpy()
    unbeaten = {
        mark
        for mark, (score, size) in zip(finite["fingerprint"], points, strict=True)
        if not any(s >= score and p <= size and (s, p) != (score, size) for s, p in points)
    }
    assert {c.fingerprint for c in run.front} == unbeaten
    assert run.best == run.front[0]
    assert run.best.scores["hidden_covariance[1]"] == max(points[:, 0])


def test_a_direction_turns_the_ranking_round(hunt: Hunt, tmp_path: Path) -> None:
    options = {"sampler": "random", "trials": 8}
    up = hunt(tmp_path / "up", metrics="hidden_covariance[1]", **options)
    down = hunt(tmp_path / "down", metrics="hidden_covariance[1]:min", **options)
    assert list(up.table["fingerprint"]) == list(down.table["fingerprint"])[::-1]


def test_the_spaces_own_metric_is_the_default(hunt: Hunt, tmp_path: Path) -> None:
    run = hunt(tmp_path / "run", metrics=None, trials=2)
    assert run.settings.objectives == [f"{SPACE.default_metric}:max"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"metrics": "hidden_covarance"}, "did you mean hidden_covariance"),
        ({"metrics": "latency,latency"}, "each may stand once"),
        ({"sampler": "nsga"}, "unknown sampler 'nsga'; accepted: nsga2, random, tpe"),
        ({"trials": 0}, "trials is 0"),
        ({"trials": -3}, "trials is -3"),
        ({"population_size": 1}, "population_size is 1"),
        ({"population_size": 0}, "population_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"scale": "huge"}, "unknown scale 'huge'"),
        ({"model_scale": "huge"}, "unknown scale 'huge'"),
        ({"max_parameters": "many"}, "max_parameters is 'many'"),
        ({"max_latency": -1}, "max_latency is -1"),
        ({"device": "abacus"}, "device 'abacus' cannot be used"),
        ({"split": "valid"}, "no split 'valid'"),
        ({"minibatch_index": 10_000}, "minibatch 10000"),
        ({"text": "/no/such/text"}, "/no/such/text"),
    ],
)
def test_a_mistake_is_named_and_leaves_no_folder(
    changes: dict[str, Any], complaint: str, hunt: Hunt, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        hunt(tmp_path / "run", **changes)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_space_is_named() -> None:
    with pytest.raises(InputError, match=r"unknown space 'rnnn' \(did you mean rnn\?\)"):
        search("rnnn")


# Scores that are not finite


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_what_has_no_finite_score_is_ranked_last_with_the_reason(
    sampler: str, hunt: Hunt, patchy: str, tmp_path: Path
) -> None:
    run = hunt(tmp_path / "run", metrics=patchy, sampler=sampler, trials=30)
    failed = run.table["front"].isna()
    assert failed.any() and not failed.all()
    assert list(failed) == sorted(failed)
    assert run.table["problem"][failed].str.contains("patchy is .*: too round a number").all()
    assert run.table["problem"][~failed].isna().all()
    assert run.table["patchy"][failed].isna().all()
    assert {t.state for t in run.trials} == {TrialState.COMPLETE, TrialState.FAIL}
    stored = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    assert list(stored["problem"].notna()) == list(failed)
    ranked = int((~failed).sum())
    assert run.candidate(ranked).fingerprint == run.table["fingerprint"][ranked - 1]
    with pytest.raises(InputError, match=f"ranks {ranked} architectures"):
        run.candidate(ranked + 1)


def test_a_run_in_which_nothing_has_a_score_has_no_best(hunt: Hunt, tmp_path: Path) -> None:
    @metric(needs={"parameters"}, larger_is_better=True)
    def hopeless(trace: Trace) -> float:
        return math.nan

    run = hunt(tmp_path / "run", metrics="hopeless")
    assert len(run.trials) == 14 and run.front == []
    assert json.loads((tmp_path / "run" / "best.json").read_text())["front"] == []
    with pytest.raises(InputError, match="found no architecture within the limits"):
        _ = run.best
    with pytest.raises(InputError, match=r"rank is 1; .* ranks 0 architectures"):
        run.candidate(1)


# What was found


def test_the_best_is_built_as_promised(hunt: Hunt, tmp_path: Path) -> None:
    run = hunt(tmp_path / "run", trials=6, seed=5)
    best = run.best
    assert isinstance(best, Candidate)
    network = best.build()
    assert sum(p.numel() for p in network.parameters()) == best.costs["parameters"]
    again, other = best.build(5), best.build(6)
    states = [dict(n.named_parameters()) for n in (network, again, other)]
    assert all(states[0][k].equal(states[1][k]) for k in states[0])
    assert not all(states[0][k].equal(states[2][k]) for k in states[0])


def test_candidates_come_by_their_rank(hunt: Hunt, tmp_path: Path) -> None:
    run = hunt(tmp_path / "run", trials=6)
    for rank in (1, 2, 3):
        candidate, row = run.candidate(rank), run.table.iloc[rank - 1]
        assert candidate.fingerprint == row["fingerprint"]
        assert candidate.fingerprint == SPACE.fingerprint(candidate.architecture)
        assert candidate.scores["hidden_covariance[1]"] == row["hidden_covariance[1]"]
    assert run.candidate(1) == run.best
    found = len(run.table)
    for rank in (0, -1, found + 1):
        with pytest.raises(InputError, match=f"rank is {rank}; .* ranks {found} architectures"):
            run.candidate(rank)


def test_progress_counts_what_the_table_holds(hunt: Hunt, patchy: str, tmp_path: Path) -> None:
    states: list[Progress] = []
    run = hunt(
        tmp_path / "run",
        metrics=patchy,
        trials=30,
        max_parameters=MIDDLE,
        on_progress=lambda p: states.append(copy.copy(p)),
    )
    assert [s.done for s in states] == list(range(31))
    last, found = states[-1], run.table
    assert last.total == 30 and last.distinct == len(found)
    assert last.outside == (~found["within_limits"]).sum()
    assert last.failed == found["front"].isna().sum() - last.outside
    assert last.best == found["patchy"][0]


def test_the_public_face_is_the_searching_rooms() -> None:
    assert archscout.search is search
    assert archscout.Run is Run


def test_the_number_of_proposals_made_before_counts_as_progress(hunt: Hunt, tmp_path: Path) -> None:
    hunt(tmp_path / "run", trials=5)
    seen: list[int] = []
    hunt(tmp_path / "run", trials=8, resume=True, on_progress=lambda p: seen.append(p.done))
    assert seen == [5, 6, 7, 8]


def test_the_folder_is_named_after_space_text_and_seed(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hunt(None, trials=1, seed=7)
    assert os.listdir("runs") == ["rnn-words-7"]


def test_a_text_with_a_name_is_no_folder_of_that_name(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "python-docs").mkdir()
    (tmp_path / "python-docs" / "README.md").write_text("another text of some words\n" * 20)
    run = hunt("run", trials=1, text="python-docs")
    assert run.settings.text == ["python-docs"]
    folder = hunt("other", trials=1, text="./python-docs")
    assert folder.settings.text == [str(tmp_path / "python-docs")]


def test_a_space_that_is_not_as_usual_is_the_runs(hunt: Hunt, tmp_path: Path, tiny: Any) -> None:
    space = RecurrentSpace(states=1, steps=4)
    usual: dict[str, Any] = {"metrics": "parameters:min", "trials": 8, "scale": tiny}
    search(space, "python-docs", out=tmp_path / "run", **usual)
    run = Run(tmp_path / "run")
    assert isinstance(run.space, RecurrentSpace)
    assert run.space.arguments == space.arguments == {"states": 1, "steps": 4}
    with pytest.raises(InputError, match=r"space_arguments\.states is None, was 1"):
        search("rnn", "python-docs", out=tmp_path / "run", resume=True, **usual)
    other = search_from(run, 1, tmp_path / "other")
    assert {SPACE.parse(each).num_states for each in other.table["architecture"]} == {1}


def test_nothing_is_proposed_by_a_metric_that_has_changed(hunt: Hunt, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import archscout\n"
        "@archscout.metric(needs={'parameters'}, larger_is_better=True)\n"
        "def size_of_test(trace):\n"
        "    'Number of parameters.'\n"
        "    return float(trace.parameters)\n"
    )
    run = hunt(tmp_path / "run", trials=3, metrics="size_of_test", metric_files=[file])
    run.check_metric_files()
    file.write_text(file.read_text().replace("float(", "-float("))
    with pytest.raises(InputError, match=r"a file of metrics has changed since .*mine\.py"):
        search_from(run, 1, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_another_process_made_meanwhile_is_not_taken(
    hunt, tmp_path, monkeypatch, resume
):
    def meanwhile(*_):
        monkeypatch.undo()
        if resume:
            shutil.rmtree(tmp_path / "run")
        hunt(tmp_path / "run", trials=2, seed=5)

    if resume:
        hunt(tmp_path / "run", trials=2)
    monkeypatch.setattr(
        f"archscout.runs.driver.check_{'latency' if resume else 'limits'}", meanwhile
    )
    said = "holds another run: seed is 0, was 5" if resume else "already holds a run"
    with pytest.raises(InputError, match=said):
        hunt(tmp_path / "run", trials=6, resume=resume)
    kept = Run(tmp_path / "run")
    assert (kept.settings.seed, len(kept.trials), kept.settings.trials) == (5, 2, 2)
