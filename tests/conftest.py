"""Fixtures that several rooms' tests use."""

import random
import signal
from pathlib import Path

import pytest

# A background job, nohup and some CI systems ignore Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data that may lie beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the reference data is not here: no folder `shared` beside the repository")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden values, which tests/data/README.md describes."""
    return Path(__file__).resolve().parent / "data" / "golden"


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
