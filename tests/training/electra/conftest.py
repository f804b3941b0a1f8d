from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from archscout.spaces import EncoderScale
from archscout.text import WordPiece, load_corpus
from archscout.training import Pretrained, train
from pretraining_runs import ENCODER, SCALE, SETTINGS, PretrainSmall


@pytest.fixture(scope="session")
def pieces(words: Path) -> WordPiece:
    return WordPiece.train(load_corpus(words), 40)


def _pretrainer(words: Path, folder: Path) -> PretrainSmall:
    def run(
        out: str = "training",
        architecture: Any = ENCODER,
        resume: bool = False,
        text: Any = None,
        seed: int = 0,
        callbacks: dict[str, Any] | None = None,
        tokenizer: Path | None = None,
        scale: EncoderScale = SCALE,
        **changes: Any,
    ) -> Pretrained:
        return train(
            "flexibert",
            architecture,
            text or words,
            SETTINGS.resized(**changes),
            folder / out,
            scale=scale,
            seed=seed,
            vocabulary_size=None if tokenizer else 40,
            tokenizer=tokenizer,
            resume=resume,
            **(callbacks or {}),
        )

    return run


@pytest.fixture
def pretrain_small(words: Path, tmp_path: Path) -> PretrainSmall:
    """Pretrain a small encoder; settings may be changed by name."""
    return _pretrainer(words, tmp_path)


@pytest.fixture(scope="module")
def whole_small(words: Path, tmp_path_factory: pytest.TempPathFactory) -> PretrainSmall:
    """The same, never interrupted, for tests that only read what it gives."""
    folder = tmp_path_factory.mktemp
    return cache(lambda **changes: _pretrainer(words, folder("whole"))(**changes))
