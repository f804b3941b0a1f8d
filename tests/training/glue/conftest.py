"""A tiny encoder, and small data of all eight tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from archscout.training.glue import Callbacks, Encoder, Finetuned, finetune, load_encoder
from glue_runs import SETTINGS, export_tiny, write_glue

FinetuneSmall = Callable[..., Finetuned]


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_tiny(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="session")
def encoder(encoder_folder: Path) -> Encoder:
    return load_encoder(encoder_folder)


@pytest.fixture(scope="session")
def glue_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_glue(tmp_path_factory.mktemp("glue"))


def _tuner(encoder: Encoder, glue_data: Path, folder: Path) -> FinetuneSmall:
    def run(
        out: str = "out",
        tasks: tuple[str, ...] = ("cola",),
        data: Any = None,
        seed: int = 0,
        resume: bool = False,
        callbacks: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Finetuned:
        return finetune(
            encoder,
            data or glue_data,
            tasks,
            SETTINGS.resized(**changes),
            folder / out,
            seed=seed,
            resume=resume,
            callbacks=Callbacks(**(callbacks or {})),
        )

    return run


@pytest.fixture
def finetune_small(encoder: Encoder, glue_data: Path, tmp_path: Path) -> FinetuneSmall:
    """Fine-tune the tiny encoder; settings may be changed by name."""
    return _tuner(encoder, glue_data, tmp_path)


@pytest.fixture(scope="module")
def whole_small(
    encoder: Encoder, glue_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> FinetuneSmall:
    """The same, never interrupted, for tests that only read what it gives."""
    folder = tmp_path_factory.mktemp
    done = cache(lambda tasks: _tuner(encoder, glue_data, folder("whole"))(tasks=tasks))
    return lambda tasks=("cola",): done(tasks)
