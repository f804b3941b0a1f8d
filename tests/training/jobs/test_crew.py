"""Workers that train, die, are stopped, and share a folder."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout import spaces
from archscout.errors import InputError
from archscout.files import write_json
from archscout.spaces.recurrent.cells import CELLS
from archscout.text import load_corpus
from archscout.training import Progress, train
from archscout.training.jobs import Job, Outcome, Plan, Queue, Standing, run, worker
from archscout.training.jobs.queue import ClaimLost
from archscout.training.jobs.worker import work
from training_runs import SCALE, SETTINGS

EXPLODING = SETTINGS.resized(learning_rate=1e30, clip=1e30)


def make(words: Path, folder: Path, names: tuple[str, ...] = ("rnn",), **changes: object) -> Queue:
    space = spaces.get("rnn")
    settings = SETTINGS.resized(**changes)
    plan = Plan.of(space, load_corpus(words), settings, SCALE)
    jobs = [Job(f"{i}-3", space.to_dict(CELLS[name]), 3) for i, name in enumerate(names)]
    return Queue.create(folder, plan, jobs)


def quiet(_: str) -> None:
    pass


def test_a_job_gives_what_training_gives(words: Path, tmp_path: Path) -> None:
    queue = make(words, tmp_path / "queue", test_curve=True)
    work(queue, quiet)
    outcome = queue.outcomes()["0-3"]
    alone = train(
        "rnn", "rnn", words, SETTINGS.resized(test_curve=True), tmp_path / "t", scale=SCALE, seed=3
    )
    assert outcome.problem is None
    assert outcome.result["losses"] == alone.to_dict()["losses"]
    assert [e["valid_loss"] for e in outcome.epochs] == [r.valid_loss for r in alone.records]
    assert [e["test_loss"] for e in outcome.epochs][alone.best_epoch - 1] == pytest.approx(
        alone.losses["test"].nats
    )
    assert not (queue.training(queue.jobs[0]) / "checkpoints").exists()


def test_divergence_is_recorded_and_work_goes_on(words: Path, tmp_path: Path) -> None:
    queue = make(words, tmp_path / "queue", ("rnn", "gru"), learning_rate=1e30, clip=1e30)
    work(queue, quiet)
    problems = [outcome.problem for outcome in queue.outcomes().values()]
    assert len(problems) == 2 and all(p and p.startswith("training diverged") for p in problems)


def test_another_text_is_refused(words: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(words.read_text())
    queue = make(text, tmp_path / "queue")
    text.write_text(words.read_text() + " more")
    with pytest.raises(InputError, match="is not the one that"):
        work(queue, quiet)
    with pytest.raises(InputError, match="is not the one that"):
        run(queue)


@pytest.mark.slow
def test_two_workers_do_no_work_twice(words: Path, tmp_path: Path) -> None:
    queue = make(words, tmp_path / "queue", ("rnn", "gru", "lstm"))
    seen: list[Standing] = []
    outcomes = run(queue, 2, seen.append)
    assert list(outcomes) == ["0-3", "1-3", "2-3"]
    assert seen[-1].done == seen[-1].total == 3 and not seen[-1].claims
    assert all(outcome.problem is None for outcome in outcomes.values())
    assert run(queue, 2) == outcomes


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def start(queue: Queue) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "archscout.training.jobs.worker", str(queue.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def test_a_claim_is_kept_fresh_while_an_evaluation_lasts(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make(words, tmp_path / "queue")
    monkeypatch.setattr(worker, "BEAT_SECONDS", 0.01)
    taken = queue.take()
    assert taken is not None
    place = queue.path / "claims" / "0-3.json"
    before = place.stat().st_mtime_ns
    with worker._Pulse(queue, taken[1]):
        wait_for(lambda: place.stat().st_mtime_ns > before)
    queue.release(taken[1])
    with worker._Pulse(queue, taken[1]) as pulse:
        wait_for(lambda: pulse._failure is not None)
        with pytest.raises(ClaimLost):
            pulse.on_progress(Progress(1, 2, 3, 4, 5.0, 6.0))


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(words: Path, tmp_path: Path) -> None:
    whole = make(words, tmp_path / "whole", epochs=40)
    work(whole, quiet)
    queue = make(words, tmp_path / "cut", epochs=40)
    process = start(queue)
    checkpoints = queue.training(queue.jobs[0]) / "checkpoints"
    wait_for(lambda: list(checkpoints.glob("*")))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (queue.path / "claims" / "0-3.json").exists() and not queue.claims()
    warnings: list[str] = []
    outcome = run(queue, 1, on_warning=warnings.append)["0-3"]
    assert not warnings
    expected = whole.outcomes()["0-3"]
    assert outcome.result["losses"] == expected.result["losses"]
    assert [e["valid_loss"] for e in outcome.epochs] == [e["valid_loss"] for e in expected.epochs]


@pytest.mark.slow
def test_whoever_starts_a_worker_can_stop_it(words: Path, tmp_path: Path) -> None:
    queue = make(words, tmp_path / "queue", epochs=200)
    process = start(queue)
    checkpoints = queue.training(queue.jobs[0]) / "checkpoints"
    wait_for(lambda: list(checkpoints.glob("*")))
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=30) == 130
    assert not queue.claims() and not queue.outcomes()
    assert list(checkpoints.glob("*.safetensors"))


def test_a_text_with_parts_is_trained_on_its_train_part(words: Path, tmp_path: Path) -> None:
    lines = words.read_text().splitlines()
    folder = tmp_path / "corpus"
    folder.mkdir()
    for part, chosen in (("train", lines[:40]), ("valid", lines[40:52]), ("test", lines[52:])):
        (folder / f"{part}.txt").write_text("\n".join(chosen))
    for text in (folder, tmp_path / "two"):
        queue = make(text, tmp_path / f"queue-{text.name}")
        assert queue.plan.text == (str(text),)
        work(queue, quiet)
        alone = train(
            "rnn", "rnn", text, SETTINGS, tmp_path / f"t-{text.name}", scale=SCALE, seed=3
        )
        assert queue.outcomes()["0-3"].result["losses"] == alone.to_dict()["losses"]
        (tmp_path / "two").mkdir(exist_ok=True)
        for part in ("train", "valid"):
            (tmp_path / "two" / f"{part}.txt").write_text((folder / f"{part}.txt").read_text())
    assert "test" not in alone.losses


def test_no_job_is_taken_after_a_stop(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the last evaluation of a training comes too late for the training to notice."""
    queue = make(words, tmp_path / "queue", ("rnn", "gru"))
    stop = threading.Event()
    real = worker._train

    def and_stop(*arguments: Any) -> Outcome:
        stop.set()
        return real(*arguments)

    monkeypatch.setattr(worker, "_train", and_stop)
    work(queue, quiet, stop)
    assert list(queue.outcomes()) == ["0-3"]


def test_failures_keep_what_was_recorded(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make(words, tmp_path / "queue")
    real = worker.train

    def fail(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        raise RuntimeError("not enough memory\nfor this")

    monkeypatch.setattr(worker, "train", fail)
    work(queue, quiet)
    outcome = queue.outcomes()["0-3"]
    assert outcome.problem == "RuntimeError: not enough memory" and len(outcome.epochs) == 3


def test_a_full_disk_stops_the_worker_and_leaves_the_job(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make(words, tmp_path / "queue", ("rnn", "gru"))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("archscout.files.os.fsync", full)
    with pytest.raises(InputError, match=r"cannot write .*: No space left on device"):
        work(queue, quiet)
    monkeypatch.undo()
    assert queue.is_free() and not queue.outcomes()
    work(queue, quiet)
    assert [outcome.problem for outcome in queue.outcomes().values()] == [None, None]


def test_a_broken_device_is_not_the_architectures_fault(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make(words, tmp_path / "queue")

    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(worker, "train", fail)
    with pytest.raises(InputError, match="the device cpu is broken: CUDA error"):
        work(queue, quiet)
    assert not queue.outcomes() and queue.is_free()


@pytest.mark.slow
def test_the_end_of_what_others_are_at_is_waited_for(words: Path, tmp_path: Path) -> None:
    queue = make(words, tmp_path / "queue")
    taken = queue.take()
    assert taken is not None
    timer = threading.Timer(2.0, lambda: queue.release(taken[1]))
    timer.start()
    assert run(queue)["0-3"].problem is None
    timer.join()


@pytest.mark.slow
def test_workers_die_with_the_crew(words: Path, tmp_path: Path) -> None:
    queue = make(words, tmp_path / "queue", epochs=2000)
    code = "import sys; from archscout.training.jobs import *; run(Queue(sys.argv[1]))"
    process = subprocess.Popen([sys.executable, "-c", code, str(queue.path)])
    checkpoints = queue.training(queue.jobs[0]) / "checkpoints"
    wait_for(lambda: list(checkpoints.glob("*")))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not list((queue.path / "claims").glob("*.json")))
    assert queue.is_free() and not queue.outcomes()


def test_workers_that_keep_dying_are_given_up(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make(words, tmp_path / "queue")
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    warnings: list[str] = []
    with pytest.raises(InputError, match="4 workers in a row ended with status 1"):
        run(queue, 1, on_warning=warnings.append)
    assert warnings == ["a worker ended with status 1; starting another"] * 3


@pytest.mark.slow
def test_workers_that_cannot_start_are_said(words: Path, tmp_path: Path) -> None:
    queue = make(words, tmp_path / "queue")
    with pytest.raises(InputError, match="0 workers"):
        run(queue, 0)
    broken = dataclasses.asdict(queue.plan) | {"settings": {"nonsense": 1}}
    jobs = [dataclasses.asdict(job) for job in queue.jobs]
    write_json(queue.path / "plan.json", {"format": 1, "plan": broken, "jobs": jobs})
    warnings: list[str] = []
    with pytest.raises(InputError, match="training setting nonsense is 1"):
        run(Queue(queue.path), 1, on_warning=warnings.append)
