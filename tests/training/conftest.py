"""Small texts and trainings that take a second."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from archscout.training import Trained, train
from training_runs import SCALE, SETTINGS, TrainSmall


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text in which every word follows from the one before, most of the time."""
    rng = random.Random(0)
    word, lines = 0, []
    for _ in range(60):
        line = []
        for _ in range(10):
            word = (3 * word + 1) % 20 if rng.random() < 0.8 else rng.randrange(20)
            line.append(f"w{word}")
        lines.append(" ".join(line))
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("\n".join(lines))
    return path


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
            **(callbacks or {}),
        )

    return run
