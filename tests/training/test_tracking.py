"""Curves for trackers: which are accepted, and what they are told."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import pytest

from archscout.errors import InputError
from archscout.training import tracking
from archscout.training.tracking import chosen_trackers
from training_runs import Killed, TrainSmall, at

pytest.importorskip("tensorboard")
accelerate_tracking = pytest.importorskip("accelerate.tracking")


class MadeUp:
    """A tracker that remembers."""

    requires_logging_directory = False
    logged: ClassVar[list[tuple[int, str]]] = []

    def __init__(self, name: str) -> None:
        self.logged.clear()

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.extend((step, name) for name in values)

    def finish(self) -> None:
        self.logged.append((0, "finished"))


class Clock:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.seconds = 1_000_000_000.25

    def time(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_unknown_trackers_are_refused_before_anything_is_written(
    train_small: TrainSmall, tmp_path: Any
) -> None:
    with pytest.raises(InputError, match=r"tracker 'nonsense' is unknown; accepted: tensorboard"):
        train_small(callbacks={"log_with": ["nonsense"]})
    assert not (tmp_path / "training").exists()


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerate_tracking, "_available_trackers", [])
    with pytest.raises(InputError, match="'tensorboard' is not installed; accepted: none, and onc"):
        chosen_trackers(["tensorboard"])
    assert chosen_trackers(None) == []
    monkeypatch.setitem(sys.modules, "accelerate.tracking", None)
    assert chosen_trackers(None) == []
    with pytest.raises(InputError, match="curves are logged with the package accelerate"):
        chosen_trackers(["mlflow"])


def test_trackers_are_told_by_name(
    train_small: TrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    available = [accelerate_tracking.LoggerType.TENSORBOARD, accelerate_tracking.LoggerType.MLFLOW]
    monkeypatch.setattr(accelerate_tracking, "_available_trackers", available)
    monkeypatch.setitem(accelerate_tracking.LOGGER_TYPE_TO_CLASS, "mlflow", MadeUp)
    trained = train_small(epochs=2, callbacks={"log_with": ["mlflow", "mlflow"]})
    assert not (trained.folder.path / "events").exists()
    steps = [step for step, name in MadeUp.logged if name == "loss/valid"]
    assert len(steps) == 2 and steps[1] == 2 * steps[0]
    assert MadeUp.logged[-1] == (0, "finished")


def test_what_was_logged_after_the_checkpoint_is_hidden(
    train_small: TrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.summary.writer import event_file_writer

    # of files of one second the tenth is read before the ninth
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(9))
    clock = Clock()
    monkeypatch.setattr(event_file_writer, "time", clock)
    monkeypatch.setattr(tracking, "time", clock)
    epochs: list[object] = []

    def on_record(record: object) -> None:
        epochs.append(record)
        if len(epochs) == 2:
            raise Killed

    with pytest.raises(Killed):
        train_small(callbacks={"on_record": on_record})
    with pytest.raises(Killed):
        train_small(resume=True, callbacks=at(2, Killed()))
    trained = train_small(resume=True)
    events = EventAccumulator(str(trained.folder.path / "events"))
    events.Reload()
    steps = [event.step for event in events.Scalars("loss/valid")]
    assert len(steps) == 3 and steps == sorted(set(steps))


def test_one_tracker_may_be_named_alone() -> None:
    assert chosen_trackers("tensorboard") == ["tensorboard"]
