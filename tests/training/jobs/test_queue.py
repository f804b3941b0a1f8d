"""Who takes which job, and what is left of a worker that died."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archscout import spaces
from archscout.errors import InputError
from archscout.spaces.recurrent.cells import CELLS
from archscout.text import load_corpus
from archscout.training.jobs import Job, Outcome, Plan, Queue, Standing, processes
from archscout.training.jobs import queue as queue_module
from archscout.training.jobs.queue import ClaimLost
from training_runs import SCALE, SETTINGS

GONE = 2**22 + 1  # above the largest number of a process


@pytest.fixture
def plan(words: Path) -> Plan:
    return Plan.of(spaces.get("rnn"), load_corpus(words), SETTINGS, SCALE)


@pytest.fixture
def jobs() -> list[Job]:
    space = spaces.get("rnn")
    return [Job(f"{i}-0", space.to_dict(CELLS[n]), 0) for i, n in enumerate(("rnn", "gru"))]


@pytest.fixture
def queue(plan: Plan, jobs: list[Job], tmp_path: Path) -> Queue:
    return Queue.create(tmp_path / "queue", plan, jobs)


def rewrite_claim(queue: Queue, job: str, **changes: object) -> None:
    path = queue.path / "claims" / f"{job}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_plan_says_all(queue: Queue, plan: Plan, jobs: list[Job]) -> None:
    again = Queue(queue.path)
    assert again.plan == plan and list(again.jobs) == jobs
    assert plan.vocabulary_size == len(load_corpus(list(plan.text)).vocabulary())


def test_jobs_are_taken_in_order_and_once(queue: Queue) -> None:
    taken = [queue.take(), queue.take(), queue.take()]
    assert [pair and pair[0].name for pair in taken] == ["0-0", "1-0", None]
    assert {claim.job for claim in queue.claims()} == {"0-0", "1-0"}


def test_a_released_job_can_be_taken_again(queue: Queue) -> None:
    first = queue.take()
    assert first is not None
    queue.release(first[1])
    again = queue.take()
    assert again is not None and again[0] == first[0] and again[1].deaths == 0


def test_a_finished_job_is_not_taken(queue: Queue, jobs: list[Job]) -> None:
    taken = queue.take()
    assert taken is not None
    outcome = Outcome("0-0", None, 1.5, {"parameters": 3}, [{"epoch": 1}])
    queue.finish(taken[1], outcome)
    assert queue.outcome(jobs[0]) == outcome and Queue(queue.path).outcomes() == {"0-0": outcome}
    assert not queue.claims()
    following = queue.take()
    assert following is not None and following[0].name == "1-0"


def test_a_dead_worker_leaves_its_job(queue: Queue) -> None:
    queue.take()
    rewrite_claim(queue, "0-0", pid=GONE)
    taken = queue.take()
    assert taken is not None and taken[0].name == "0-0" and taken[1].deaths == 1


def test_of_another_machine_only_age_tells(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.take()
    rewrite_claim(queue, "0-0", machine="elsewhere", pid=GONE)
    other = queue.take()
    assert other is not None and other[0].name == "1-0"
    monkeypatch.setattr(queue_module, "_STALE_SECONDS", -1.0)
    taken = queue.take()
    assert taken is not None and taken[0].name == "0-0" and taken[1].deaths == 1


def test_a_job_that_kills_its_workers_is_a_failure(queue: Queue, jobs: list[Job]) -> None:
    for _ in range(3):
        taken = queue.take()
        assert taken is not None and taken[0].name == "0-0"
        rewrite_claim(queue, "0-0", pid=GONE)
    following = queue.take()
    assert following is not None and following[0].name == "1-0"
    outcome = queue.outcome(jobs[0])
    assert outcome is not None and outcome.problem == "the worker died 3 times at it"


def test_only_deaths_without_progress_count(queue: Queue, jobs: list[Job]) -> None:
    for done in (0.3, 0.6, 0.9, 0.9, 0.9):
        taken = queue.take()
        assert taken is not None and taken[0].name == "0-0"
        queue.beat(dataclasses.replace(taken[1], done=done))
        rewrite_claim(queue, "0-0", pid=GONE)
    taken = queue.take()
    assert taken is not None and taken[0].name == "0-0" and taken[1].deaths == 2
    rewrite_claim(queue, "0-0", pid=GONE)
    queue.take()
    assert queue.outcome(jobs[0]) is not None


def test_failures_can_be_tried_again(queue: Queue, jobs: list[Job]) -> None:
    queue.record(Outcome("0-0", "out of memory", 1.0))
    queue.record(Outcome("1-0", None, 1.0))
    assert queue.retry_failed() == 1
    assert list(queue.outcomes()) == ["1-0"] and queue.is_free()


def test_a_number_of_a_process_may_be_given_again(queue: Queue) -> None:
    queue.take()
    rewrite_claim(queue, "0-0", born=1)
    again = queue.take()
    assert again is not None and again[0].name == "0-0"


def test_a_process_that_ended_and_was_not_waited_for_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    end = time.monotonic() + 10
    while processes.runs(child.pid, 0) and time.monotonic() < end:
        time.sleep(0.02)
    assert not processes.runs(child.pid, 0)
    child.wait()
    name, machine, pid, born = processes.this_process()
    assert processes.runs(pid, born) and machine == processes.machine() and name


def test_whoever_stood_still_notices(queue: Queue) -> None:
    taken = queue.take()
    assert taken is not None
    queue.beat(dataclasses.replace(taken[1], done=0.5))
    assert queue.claims()[0].done == 0.5
    rewrite_claim(queue, "0-0", pid=GONE)
    again = queue.take()
    assert again is not None and again[0].name == "0-0"
    with pytest.raises(ClaimLost):
        queue.beat(taken[1])
    with pytest.raises(ClaimLost):
        queue.finish(taken[1], Outcome("0-0", None, 1.0))
    queue.release(taken[1])
    queue.beat(again[1])


def test_what_only_going_on_needs_is_removed(plan: Plan, jobs: list[Job], tmp_path: Path) -> None:
    for keep in (False, True):
        kept_plan = dataclasses.replace(plan, keep_weights=keep)
        queue = Queue.create(tmp_path / f"{keep}", kept_plan, jobs)
        folder = queue.training(jobs[0])
        (folder / "checkpoints").mkdir(parents=True)
        for name in ("checkpoints/checkpoint-1.safetensors", "best-1.safetensors", "result.json"):
            (folder / name).write_text("{}")
        queue.record(Outcome("0-0", None, 1.0))
        left = sorted(path.name for path in folder.iterdir())
        assert left == (["best-1.safetensors"] if keep else []) + ["result.json"]


def test_another_plan_is_refused(queue: Queue, plan: Plan, jobs: list[Job]) -> None:
    other = dataclasses.replace(plan, settings={**plan.settings, "epochs": 9})
    with pytest.raises(InputError, match=r"settings: epochs is 3 there, 9 here"):
        Queue.create(queue.path, other, jobs)
    with pytest.raises(InputError, match="2 trainings there, 1 here"):
        Queue.create(queue.path, plan, jobs[:1])
    with pytest.raises(InputError, match="training 2 is of another architecture or seed"):
        Queue.create(queue.path, plan, [jobs[0], dataclasses.replace(jobs[1], seed=1)])


def test_a_queue_grows(queue: Queue, plan: Plan, jobs: list[Job]) -> None:
    queue.record(Outcome("0-0", None, 1.0))
    more = [*jobs, dataclasses.replace(jobs[0], name="0-1", seed=1)]
    grown = Queue.create(queue.path, plan, more)
    assert list(grown.jobs) == more and list(grown.outcomes()) == ["0-0"]


def test_damaged_and_missing_plans(queue: Queue, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no plan\.json"):
        Queue(tmp_path / "nowhere")
    place = queue.path / "plan.json"
    document = json.loads(place.read_text())
    place.write_text(json.dumps(document | {"format": 99}))
    with pytest.raises(InputError, match="format 99; accepted is 1"):
        Queue(queue.path)
    place.write_text(json.dumps({"format": 1}))
    with pytest.raises(InputError, match=r"plan\.json is damaged: 'plan'"):
        Queue(queue.path)
    place.write_text("{")
    with pytest.raises(InputError, match=r"plan\.json is damaged"):
        Queue(queue.path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(queue: Queue) -> None:
    queue.path.chmod(0o555)
    try:
        with pytest.raises(InputError, match="cannot write in"):
            queue.take()
    finally:
        queue.path.chmod(0o755)


def test_what_is_left_to_do(queue: Queue, jobs: list[Job]) -> None:
    assert Standing.of(queue).seconds_left() is None
    taken = queue.take()
    assert taken is not None
    queue.finish(taken[1], Outcome("0-0", None, 10.0))
    following = queue.take()
    assert following is not None
    queue.beat(dataclasses.replace(following[1], done=0.25))
    now = Standing.of(queue)
    assert (now.done, now.total, now.failed, now.seconds_each) == (1.25, 2, 0, 10.0)
    assert now.seconds_left() == pytest.approx(7.5)
    assert now.seconds_left(workers=3) == pytest.approx(2.5)
