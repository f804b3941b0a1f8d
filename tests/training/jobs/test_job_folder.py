"""The folder of many trainings: what is planned, what is done, what is left."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from archscout import spaces
from archscout.errors import InputError
from archscout.files import write_json
from archscout.spaces.recurrent.cells import CELLS
from archscout.text import load_corpus
from archscout.training.jobs import Job, JobFolder, Outcome, Plan, Standing
from training_runs import SCALE, SETTINGS


@pytest.fixture
def plan(words: Path) -> Plan:
    return Plan.of(spaces.get("rnn"), load_corpus(words), SETTINGS, SCALE)


@pytest.fixture
def jobs() -> list[Job]:
    space = spaces.get("rnn")
    return [Job(f"{i}-0", space.to_dict(CELLS[n]), 0) for i, n in enumerate(("rnn", "gru"))]


@pytest.fixture
def folder(plan: Plan, jobs: list[Job], tmp_path: Path) -> JobFolder:
    return JobFolder.create(tmp_path / "trainings", plan, jobs)


def test_the_plan_says_all(folder: JobFolder, plan: Plan, jobs: list[Job]) -> None:
    again = JobFolder(folder.path)
    assert again.plan == plan and list(again.jobs) == jobs
    assert plan.vocabulary_size == len(load_corpus(list(plan.text)).vocabulary())


def test_failures_can_be_tried_again(folder: JobFolder, jobs: list[Job]) -> None:
    folder.record(Outcome("0-0", "out of memory", 1.0))
    folder.record(Outcome("1-0", None, 1.0))
    assert folder.retry_failed() == 1
    assert list(folder.outcomes()) == ["1-0"]


def test_what_only_going_on_needs_is_removed(plan: Plan, jobs: list[Job], tmp_path: Path) -> None:
    for keep in (False, True):
        kept_plan = dataclasses.replace(plan, keep_weights=keep)
        trainings = JobFolder.create(tmp_path / f"{keep}", kept_plan, jobs)
        folder = trainings.training(jobs[0])
        (folder / "checkpoints").mkdir(parents=True)
        for name in ("checkpoints/checkpoint-1.safetensors", "best-1.safetensors", "result.json"):
            (folder / name).write_text("{}")
        trainings.record(Outcome("0-0", None, 1.0))
        left = sorted(path.name for path in folder.iterdir())
        assert left == (["best-1.safetensors"] if keep else []) + ["result.json"]


def test_another_plan_is_refused(folder: JobFolder, plan: Plan, jobs: list[Job]) -> None:
    other = dataclasses.replace(plan, settings={**plan.settings, "epochs": 9})
    with pytest.raises(InputError, match=r"settings: epochs is 3 there, 9 here"):
        JobFolder.create(folder.path, other, jobs)
    often = dataclasses.replace(plan, settings={**plan.settings, "checkpoint_minutes": 1.0})
    assert JobFolder.create(folder.path, often, jobs).plan == often  # it decides no result
    with pytest.raises(InputError, match="2 trainings there, 1 here"):
        JobFolder.create(folder.path, plan, jobs[:1])
    with pytest.raises(InputError, match="training 2 is of another architecture or seed"):
        JobFolder.create(folder.path, plan, [jobs[0], dataclasses.replace(jobs[1], seed=1)])


def test_a_folder_grows(folder: JobFolder, plan: Plan, jobs: list[Job]) -> None:
    folder.record(Outcome("0-0", None, 1.0))
    more = [*jobs, dataclasses.replace(jobs[0], name="0-1", seed=1)]
    grown = JobFolder.create(folder.path, plan, more)
    assert list(grown.jobs) == more and list(grown.outcomes()) == ["0-0"]


def test_damaged_and_missing_plans(folder: JobFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no plan\.json"):
        JobFolder(tmp_path / "nowhere")
    place = folder.path / "plan.json"
    document = json.loads(place.read_text())
    place.write_text(json.dumps(document | {"format": 99}))
    with pytest.raises(InputError, match="format 99; accepted is 1"):
        JobFolder(folder.path)
    place.write_text(json.dumps({"format": 1}))
    with pytest.raises(InputError, match=r"plan\.json is damaged: 'plan'"):
        JobFolder(folder.path)
    place.write_text("{")
    with pytest.raises(InputError, match=r"plan\.json is damaged"):
        JobFolder(folder.path)


def test_what_is_left_to_do(folder: JobFolder, jobs: list[Job]) -> None:
    assert Standing.of(folder).seconds_left() is None
    folder.record(Outcome("0-0", None, 10.0))
    write_json(folder.training(jobs[1]) / "progress.json", {"done": 0.25, "note": "fast"})
    now = Standing.of(folder)
    assert [job.job for job in now.running] == ["1-0"] and now.running[0].note == "fast"
    assert (now.done, now.total, now.failed, now.seconds_each) == (1.25, 2, 0, 10.0)
    assert now.seconds_left() == pytest.approx(7.5)


def test_one_process_trains_at_a_time(folder: JobFolder) -> None:
    again = JobFolder(folder.path)
    with (
        folder.lock(),
        pytest.raises(InputError, match="another process trains in"),
        again.lock(),
    ):
        pass
