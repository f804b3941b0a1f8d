"""A text, a recipe of seconds, and a run that takes no time."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout.runs import Run, search
from archscout.spaces import RecurrentSpace
from archscout.training import comparison_preset

TINY = RecurrentSpace.scales["fast"].resized(
    embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
)
Recipe = Callable[..., Any]


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("text") / "words.txt"
    lines = (" ".join(f"w{rng.randrange(30)}" for _ in range(12)) for _ in range(120))
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="session")
def found(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that tests only read."""
    return search(
        "rnn",
        words,
        "hidden_covariance[1]",
        trials=24,
        population_size=8,
        scale=TINY,
        out=tmp_path_factory.mktemp("runs") / "run",
    )


@pytest.fixture
def run(found: Run, tmp_path: Path) -> Run:
    """A copy of it, to be written to."""
    shutil.copytree(found.folder.path, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Settings of a training that takes a second, with changes."""

    def made(**changes: Any) -> Any:
        usual = {"epochs": 6, "batch_size": 4, "evaluation_batch_size": 2, "sequence_length": 8}
        return comparison_preset("quick", "rnn").settings.resized(**usual | changes)

    return made
