"""Trainings by one process and by several, which die or are stopped."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tasks
from archscout import spaces
from archscout.errors import InputError
from archscout.spaces.recurrent.cells import CELLS
from archscout.text import load_corpus
from archscout.training import train
from archscout.training.jobs import Job, JobFolder, Plan, Standing, run, running, segments
from archscout.training.trainer import Trainer
from training_runs import SCALE, SETTINGS, Killed, at


def make(
    words: Path, folder: Path, names: tuple[str, ...] = ("rnn",), **changes: object
) -> JobFolder:
    space = spaces.get("rnn")
    settings = SETTINGS.resized(**changes)
    plan = Plan.of(space, load_corpus(words), settings, SCALE)
    jobs = [Job(f"{i}-3", space.to_dict(CELLS[name]), 3) for i, name in enumerate(names)]
    return JobFolder.create(folder, plan, jobs)


def test_a_job_gives_what_training_gives(words: Path, tmp_path: Path) -> None:
    folder = make(words, tmp_path / "folder", test_curve=True)
    run(folder)
    outcome = folder.outcomes()["0-3"]
    alone = train(
        "rnn", "rnn", words, SETTINGS.resized(test_curve=True), tmp_path / "t", scale=SCALE, seed=3
    )
    assert outcome.problem is None
    assert outcome.result["losses"] == alone.to_dict()["losses"]
    assert [e["valid_loss"] for e in outcome.epochs] == [r.valid_loss for r in alone.records]
    assert [e["test_loss"] for e in outcome.epochs][alone.best_epoch - 1] == pytest.approx(
        alone.losses["test"].nats
    )
    assert not (folder.training(folder.jobs[0]) / "checkpoints").exists()


def test_divergence_is_recorded_and_work_goes_on(words: Path, tmp_path: Path) -> None:
    folder = make(words, tmp_path / "folder", ("rnn", "gru"), learning_rate=1e30, clip=1e30)
    run(folder)
    problems = [outcome.problem for outcome in folder.outcomes().values()]
    assert len(problems) == 2 and all(p and p.startswith("training diverged") for p in problems)


def test_another_text_is_refused(words: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(words.read_text())
    folder = make(text, tmp_path / "folder")
    text.write_text(words.read_text() + " more")
    with pytest.raises(InputError, match="is not the one that"):
        run(folder)


def test_a_text_with_parts_is_trained_on_its_train_part(words: Path, tmp_path: Path) -> None:
    lines = words.read_text().splitlines()
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for part, chosen in (("train", lines[:40]), ("valid", lines[40:52]), ("test", lines[52:])):
        (corpus / f"{part}.txt").write_text("\n".join(chosen))
    for text in (corpus, tmp_path / "two"):
        folder = make(text, tmp_path / f"folder-{text.name}")
        assert folder.plan.text == (str(text),)
        run(folder)
        alone = train(
            "rnn", "rnn", text, SETTINGS, tmp_path / f"t-{text.name}", scale=SCALE, seed=3
        )
        assert folder.outcomes()["0-3"].result["losses"] == alone.to_dict()["losses"]
        (tmp_path / "two").mkdir(exist_ok=True)
        for part in ("train", "valid"):
            (tmp_path / "two" / f"{part}.txt").write_text((corpus / f"{part}.txt").read_text())
    assert "test" not in alone.losses


def test_failures_keep_what_was_recorded(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(words, tmp_path / "folder")
    real = Trainer.train

    def fail(*arguments: Any, **options: Any) -> Any:
        trained = real(*arguments, **options)
        if options["until"] is None:
            raise RuntimeError("not enough memory\nfor this")
        return trained

    monkeypatch.setattr(Trainer, "train", fail)
    run(folder)
    outcome = folder.outcomes()["0-3"]
    assert outcome.problem == "RuntimeError: not enough memory" and len(outcome.epochs) == 3


def test_a_full_disk_stops_the_worker_and_leaves_the_job(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(words, tmp_path / "folder", ("rnn", "gru"))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("archscout.files.os.fsync", full)
    with pytest.raises(InputError, match=r"cannot write .*: No space left on device"):
        run(folder)
    monkeypatch.undo()
    assert not folder.outcomes()
    run(folder)
    assert [outcome.problem for outcome in folder.outcomes().values()] == [None, None]


def test_a_broken_device_is_not_the_architectures_fault(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(words, tmp_path / "folder")

    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(Trainer, "train", fail)
    with pytest.raises(InputError, match="the device cpu is broken: CUDA error"):
        run(folder)
    assert not folder.outcomes()


@pytest.mark.slow
def test_several_processes_train_what_one_does(words: Path, tmp_path: Path) -> None:
    names = ("rnn", "gru", "lstm")
    alone = run(make(words, tmp_path / "alone", names))
    folder = make(words, tmp_path / "many", names)
    seen: list[Standing] = []
    outcomes = run(folder, 2, seen.append)
    assert list(outcomes) == ["0-3", "1-3", "2-3"]
    assert seen[-1].done == seen[-1].total == 3 and not seen[-1].running
    assert all(
        [e["valid_loss"] for e in outcome.epochs]
        == [e["valid_loss"] for e in alone[outcome.job].epochs]
        for outcome in outcomes.values()
    )
    assert run(folder, 2) == outcomes


@pytest.mark.parametrize("stop", [3, 20])
def test_a_stop_in_this_process_is_gone_on_from(
    stop: int, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(make(words, tmp_path / "whole", ("rnn", "gru")))
    folder = make(words, tmp_path / "cut", ("rnn", "gru"))
    asked = iter(range(1000))
    monkeypatch.setattr("archscout.training.loop.stopping", lambda: next(asked) == stop)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert folder.state(folder.jobs[0]) is not None and not folder.outcomes()
    for name, outcome in run(folder).items():
        assert outcome.result["losses"] == whole[name].result["losses"]


def test_folders_of_earlier_versions_are_gone_on_with(words: Path, tmp_path: Path) -> None:
    """They hold a training's folder as it was when it stopped, with two checkpoints."""
    whole = run(make(words, tmp_path / "whole"))["0-3"]
    folder = make(words, tmp_path / "cut")
    place = folder.training(folder.jobs[0])
    with pytest.raises(Killed):
        train("rnn", "rnn", words, SETTINGS, place, scale=SCALE, seed=3, **at(26, Killed()))
    checkpoints = sorted((place / "checkpoints").iterdir())
    assert len(checkpoints) == 2
    checkpoints[1].write_bytes(checkpoints[1].read_bytes()[:100])
    warnings: list[str] = []
    outcome = run(folder, on_warning=warnings.append)["0-3"]
    assert outcome.result["losses"] == whole.result["losses"]
    assert without_times(outcome.epochs) == without_times(whole.epochs)
    assert len(warnings) == 1 and f"0-3: {checkpoints[1]} is damaged" in warnings[0]


def test_segments_are_many_where_training_takes_long(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(make(words, tmp_path / "whole"))["0-3"]
    ended: list[float] = []

    def counted(*arguments: Any, **options: Any) -> segments.Segment:
        segment = segments.train_segment(*arguments, **options)
        ended.append(segment.done)
        return segment

    monkeypatch.setattr(running, "train_segment", counted)
    monkeypatch.setattr(segments, "_SEGMENT_SECONDS", 0.0)
    monkeypatch.setattr(segments, "_FIRST", 0.2)
    outcome = run(make(words, tmp_path / "many"))["0-3"]
    assert len(ended) >= 4 and ended == sorted(ended) and ended[-1] == 1
    assert outcome.result["losses"] == whole.result["losses"]
    assert without_times(outcome.epochs) == without_times(whole.epochs)


def without_times(records: Any) -> list[dict[str, Any]]:
    times = ("seconds", "tokens_per_second")
    return [{k: v for k, v in record.items() if k not in times} for record in records]


PROGRAM = """
import sys
from archscout.training.jobs import JobFolder, run
run(JobFolder(sys.argv[1]), int(sys.argv[2]))
"""


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


EPOCHS = 24


@pytest.fixture(scope="module")
def whole(words: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """The losses, by job, of a training that nobody stops."""
    folder = tmp_path_factory.mktemp("whole") / "whole"
    outcomes = run(make(words, folder, epochs=EPOCHS))
    return {name: [e["valid_loss"] for e in each.epochs] for name, each in outcomes.items()}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stop_loses_nothing_and_leaves_nobody_at_work(
    how: signal.Signals, words: Path, tmp_path: Path, whole: dict[str, list[float]]
) -> None:
    folder = make(words, tmp_path / "cut", epochs=EPOCHS)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder.path), "2"], stderr=subprocess.DEVNULL
    )

    def checkpoints() -> list[Path]:
        return sorted((folder.training(folder.jobs[0]) / "checkpoints").glob("*.safetensors"))

    wait_for(checkpoints)
    os.kill(process.pid, how)  # the driver alone
    process.wait()
    time.sleep(1)
    before = checkpoints()
    time.sleep(1)
    assert checkpoints() == before
    assert not folder.outcomes()
    for name, outcome in run(folder).items():
        assert [epoch["valid_loss"] for epoch in outcome.epochs] == whole[name]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_training_that_kills_its_processes_is_a_failure(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "train_segment", tasks.deadly_segment)
    (outcome,) = run(make(words, tmp_path / "deadly"), 2).values()
    assert str(outcome.problem).startswith("the process that worked on it died 2 times")


def test_a_recipe_that_is_none_is_said(words: Path, tmp_path: Path) -> None:
    folder = make(words, tmp_path / "trainings")
    with pytest.raises(InputError, match="0 workers"):
        run(folder, 0)
    broken = folder.path / "plan.json"
    broken.write_text(broken.read_text().replace('"epochs"', '"nonsense"'))
    with pytest.raises(InputError, match="training setting nonsense is"):
        run(JobFolder(folder.path))
