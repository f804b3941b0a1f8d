"""Small trainings that take a second, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from archscout.spaces.recurrent import RecurrentScale
from archscout.training import Trained, TrainingFolder, TrainingSettings

SCALE = RecurrentScale(4, 6, 8, 12, 2, "canonical")

SETTINGS = TrainingSettings(
    epochs=3,
    batch_size=4,
    evaluation_batch_size=3,
    sequence_length=12,
    learning_rate=1e-2,
)

TrainSmall = Callable[..., Trained]


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trained.model.named_parameters()}


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


class Killed(BaseException):
    """The end of a process, without one."""


def at(step: int, error: BaseException) -> dict[str, Any]:
    """A callback that raises an error after so many steps."""
    steps: list[object] = []

    def on_progress(progress: object) -> None:
        steps.append(progress)
        if len(steps) == step:
            raise error

    return {"on_progress": on_progress}


def last_checkpoint(folder: Path) -> Path:
    return TrainingFolder(folder).checkpoints.paths()[-1]
