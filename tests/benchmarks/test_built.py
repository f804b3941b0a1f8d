"""Benchmarks that a user built, as far as their files can be wrong."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from archscout import benchmarks
from archscout.errors import InputError


def archive() -> bytes:
    content = io.BytesIO()
    zipfile.ZipFile(content, "w").close()
    return content.getvalue()


@pytest.mark.parametrize(
    ("space", "name", "content", "message"),
    [
        ("flexibert", "encoders.json", b"[]", r"encoders.json holds no trained encoder"),
        ("rnn", "logs.zip", archive(), r"logs.zip holds no trained network"),
    ],
)
def test_an_empty_benchmark_is_named(
    tmp_path: Path, space: str, name: str, content: bytes, message: str
) -> None:
    information = {
        "format": 1,
        "name": "mine",
        "space": space,
        "text": ["python-docs"],
        "text_sha256": "0",
        "target": "test_loss",
        "larger_is_better": False,
        "trainings": 0,
        "finished": 0,
        "failed": 0,
        "seed_agreement": None,
    }
    (tmp_path / "benchmark.json").write_text(json.dumps(information))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        benchmarks.load(str(tmp_path))
