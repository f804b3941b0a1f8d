"""A text that is read, and whose tokenizer is trained, in no time."""

import random
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("text") / "words.txt"
    lines = (" ".join(f"w{rng.randrange(200)}" for _ in range(10)) for _ in range(1000))
    path.write_text("\n".join(lines))
    return path
