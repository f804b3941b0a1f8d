"""Folders of results: one process at a time writes there, a line of JSON for each result.

A line is written whole or, if the process is killed, left out when the file is read again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import filelock

from archscout.errors import InputError

Row = TypeVar("Row")


@contextmanager
def claimed(path: Path, mark: str, what: str, resume: bool) -> Iterator[None]:
    """Hold a folder while no other process does; it is made if it is not there.

    Args:
        path: the folder.
        mark: name of the file that tells that it holds such results.
        what: these are, such as `evaluation`.
        resume: go on with those that are there.

    Raises:
        InputError: the folder holds such results and `resume` is false; it holds other files;
            another process writes to it; it cannot be written.
    """
    try:
        _check_free(path, mark, what, resume)
        path.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path / ".lock", timeout=0):
            yield
    except filelock.Timeout as error:
        raise InputError(f"another process writes to {path}") from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {path}: {reason}; name another folder") from error


def _check_free(path: Path, mark: str, what: str, resume: bool) -> None:
    if (path / mark).exists():
        if not resume:
            article = "an" if what[0] in "aeiou" else "a"
            raise InputError(
                f"{path} already holds {article} {what}; go on with it by --resume, or name "
                "another folder with --out"
            )
    elif path.is_dir():
        others = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
        if others:
            raise InputError(
                f"{path} is not empty ({', '.join(others[:3])}) and holds no {what}; name another "
                "folder with --out"
            )


def drop_torn_line(path: Path) -> None:
    """Cut off a last line that a kill has left without its end; the file need not be there."""
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)


def read_lines(path: Path, parse: Callable[[Any], Row], advice: str = "") -> list[Row]:
    """What is in a file of JSON lines, without a torn last one; nothing where there is no file.

    Args:
        path: the file.
        parse: what to make of a line's document.
        advice: to whoever has a damaged file.

    Raises:
        InputError: a line is no JSON, or `parse` raises KeyError, TypeError or ValueError.
    """
    if not path.exists():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(parse(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            hint = f"; {advice}" if advice else ""
            raise InputError(f"{path}: line {number} is damaged: {error}{hint}") from error
    return rows
