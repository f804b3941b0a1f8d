"""A text, and runs that take no time."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout.runs import Run, search
from archscout.spaces import RecurrentSpace

TINY = RecurrentSpace.scales["fast"].resized(
    embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
)
Hunt = Callable[..., Run]


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("text") / "words.txt"
    lines = (" ".join(f"w{rng.randrange(40)}" for _ in range(10)) for _ in range(60))
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="session")
def hunt(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Hunt:
    """A search of 24 proposals, of which NSGA-II draws the first eight at random."""
    usual: dict[str, Any] = {
        "space": "rnn",
        "text": words,
        "metrics": "hidden_covariance[1]",
        "trials": 24,
        "population_size": 8,
        "scale": TINY,
    }

    def start(**changes: Any) -> Run:
        folder = changes.pop("out", None) or tmp_path_factory.mktemp("runs") / "run"
        return search(out=folder, **(usual | changes))

    return start


@pytest.fixture(scope="session")
def run(hunt: Hunt) -> Run:
    """A run that tests only read."""
    return hunt()
