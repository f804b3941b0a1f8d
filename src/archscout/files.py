"""Writing files whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from archscout.errors import InputError

_LEFT_SECONDS = 3600.0


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that after a crash at any time there is the old one or the new one.

    Raises:
        InputError: it cannot be written, such as for a full disk; what was there is left alone.
    """
    write_by(lambda part: part.write_bytes(content), path)


def write_by(write: Callable[[Path], object], path: Path) -> None:
    """As `write_whole`, by a function that writes the file that it is given.

    Raises:
        InputError: it cannot be written.
    """
    # Several machines may write the same file, and each has a part of its own.
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        with part.open("r+b") as file:  # Windows syncs nothing that is open for reading only
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # such as where the folder's place is taken by a file
            part.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes the other's place when it is complete.

    Args:
        folder: what it becomes; what is there is replaced, and left alone where something fails.

    Raises:
        InputError: it cannot be written, or is the current folder.
    """
    if folder.resolve() == Path.cwd():  # who stands in it would be left in one that is gone
        raise InputError(f"{folder} is the current folder, which cannot be replaced; name another")
    part = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        part.mkdir(parents=True)
        yield part
        replace_folder(part, folder)
    # Whatever goes wrong in writing weights, a full disk too, safetensors has an error of its own.
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {folder}: {reason}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def replace_folder(part: Path, folder: Path) -> None:
    """Put a complete folder in the place of another, which is kept until that is done."""
    if not folder.exists():
        os.replace(part, folder)
        return
    aside = part.with_name(f"{part.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    os.replace(folder, aside)
    try:
        os.replace(part, folder)
    except BaseException:
        os.replace(aside, folder)
        raise
    if aside.is_symlink():
        aside.unlink()
    shutil.rmtree(aside, ignore_errors=True)


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


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed were writing."""
    for place in (*folder.glob(".*.part*"), *folder.glob("*/.*.part*")):
        with suppress(OSError):
            if time.time() - place.lstat().st_mtime < _LEFT_SECONDS:
                continue  # somebody may be writing it, such as a report
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink()


@contextmanager
def finishing(end: Callable[[], object]) -> Iterator[None]:
    """Do something at the end, whatever happened; of what cannot be written the first is told."""
    try:
        yield
    except BaseException:
        with suppress(InputError):
            end()
        raise
    end()
