"""Small texts and trainings that take a second."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from archscout.training import Trained, train
from training_runs import SCALE, SETTINGS, TrainSmall


def _trainer(words: Path, folder: Path) -> TrainSmall:
    def run(
        out: str = "training",
        architecture: str = "lstm",
        resume: bool = False,
        text: Path | None = None,
        seed: int = 0,
        callbacks: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Trained:
        return train(
            "rnn",
            architecture,
            text or words,
            SETTINGS.resized(**changes),
            folder / out,
            scale=SCALE,
            seed=seed,
            resume=resume,
            keep_model=False,
            **(callbacks or {}),
        )

    return run


@pytest.fixture
def train_small(words: Path, tmp_path: Path) -> TrainSmall:
    """Train a small LSTM; settings may be changed by name."""
    return _trainer(words, tmp_path)


@pytest.fixture(scope="module")
def whole_small(words: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSmall:
    """The same, never interrupted, for tests that only read what it gives."""
    folder = tmp_path_factory.mktemp
    return cache(lambda **changes: _trainer(words, folder("whole"))(**changes))
