"""Writing files whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from archscout.errors import InputError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that after a crash at any time there is the old one or the new one.

    Raises:
        InputError: it cannot be written, such as for a full disk; what was there is left alone.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document; numbers must be finite.

    Raises:
        InputError: it cannot be written.
    """
    write_whole(path, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def write_json_lines(path: Path, documents: Iterable[Any]) -> None:
    """Write JSON documents, one a line; numbers must be finite.

    Raises:
        InputError: it cannot be written.
    """
    lines = [json.dumps(document, allow_nan=False) + "\n" for document in documents]
    write_whole(path, "".join(lines).encode())
