"""Small texts and trainings that take a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archscout.training import Trained, train
from training_runs import SCALE, SETTINGS, TrainSmall


@pytest.fixture
def train_small(words: Path, tmp_path: Path) -> TrainSmall:
    """Train a small LSTM; settings may be changed by name."""

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
            tmp_path / out,
            scale=SCALE,
            seed=seed,
            resume=resume,
            keep_model=False,
            **(callbacks or {}),
        )

    return run
