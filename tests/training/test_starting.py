"""What a resumed training does with what a stopped one left."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from archscout.training import Diverged
from archscout.training.recurrent import language_model_loop as loop
from training_runs import TrainSmall


def diverging(patch: pytest.MonkeyPatch, full_disk: bool = False) -> None:
    original = loop.training_loss

    def loss(*arguments: Any) -> Any:
        objective, entropy, states = original(*arguments)
        if full_disk:
            patch.setattr(os, "fsync", no_room)
        return objective, entropy * math.nan, states

    def no_room(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(loop, "training_loss", loss)


def test_a_problem_is_forgotten_and_a_vocabulary_written(
    train_small: TrainSmall, tmp_path: Path
) -> None:
    folder = tmp_path / "training"
    with pytest.MonkeyPatch.context() as patch:
        diverging(patch)
        with pytest.raises(Diverged):
            train_small()
    assert "problem" in json.loads((folder / "result.json").read_text())
    vocabulary = (folder / "vocabulary.json").read_bytes()
    (folder / "vocabulary.json").unlink()

    def on_progress(_: object) -> None:
        assert not (folder / "result.json").exists()

    train_small(resume=True, callbacks={"on_progress": on_progress, "on_warning": str})
    assert (folder / "vocabulary.json").read_bytes() == vocabulary
    result = (folder / "result.json").read_bytes()
    train_small(resume=True)
    assert (folder / "result.json").read_bytes() == result


def test_divergence_is_told_on_a_full_disk(
    train_small: TrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging(monkeypatch, full_disk=True)
    with pytest.raises(Diverged, match="diverged in epoch 1, step 1: the loss is nan"):
        train_small()
