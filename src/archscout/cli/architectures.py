"""Reading architectures from files and standard input."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from archscout.errors import InputError
from archscout.spaces.base import Space


def read(space: Space[Any], sources: Iterable[str]) -> list[Any]:
    """Architectures from files of JSON or JSON Lines, `-` (standard input), or names.

    A JSON document is one architecture, a list of them, or what archscout writes around one
    (an object with `architecture`, or a `front` of such objects).

    Raises:
        InputError: a source cannot be read, or an architecture breaks a rule; the message names
            the source and the line.
    """
    found = [a for source in sources for a in _read_one(space, source)]
    if not found:
        raise InputError(f"no architecture in {', '.join(sources)}; JSON or JSON Lines is accepted")
    return found


def _read_one(space: Space[Any], source: str) -> Iterator[Any]:
    if source in space.named:
        yield space.named[source]
        return
    if (
        source != "-"
        and not Path(source).exists()
        and (near := difflib.get_close_matches(source, space.named, 1))
    ):
        raise InputError(f"no architecture {source!r}: it is no file; did you mean {near[0]}?")
    name, text = (
        ("standard input", sys.stdin.read()) if source == "-" else (source, _load(space, source))
    )
    if not text.strip():
        raise InputError(f"{name} is empty; architectures as JSON or JSON Lines are accepted")
    for place, document in _documents(name, text):
        try:
            yield space.parse(document)
        except InputError as error:
            raise InputError(f"{place}: {error}") from error


def _load(space: Space[Any], source: str) -> str:
    names = f", or a name such as {next(iter(space.named))}" if space.named else ""
    try:
        return Path(source).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(
            f"no architecture {source!r}: it is no file; a file of JSON or JSON Lines, or - for "
            f"standard input{names} is accepted"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not text: byte {error.start} is not UTF-8") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {source}: {reason}") from error


def _documents(name: str, text: str) -> Iterator[tuple[str, Any]]:
    """Places and parsed or raw documents: the whole text if it is one, else each line."""
    try:
        json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        lines = [(i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(lines) == 1 or not _is_json(lines[0][1]):
            raise InputError(f"{name} is not valid JSON: {error}") from error
        for number, line in lines:
            yield from _unwrapped(f"{name}, line {number}", line)
        return
    yield from _unwrapped(name, text)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _unwrapped(place: str, text: str) -> Iterator[tuple[str, Any]]:
    """The architectures inside a document; the text itself where it is one, for better messages."""
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{place}: not valid JSON: {error}") from error
    if isinstance(document, dict) and isinstance(document.get("front"), list):
        document = document["front"]
    if isinstance(document, list):
        for i, item in enumerate(document, start=1):
            yield f"{place}, item {i}", _inner(item)
    elif isinstance(document, dict) and _inner(document) is not document:
        yield place, _inner(document)
    else:
        yield place, text


def _inner(document: Any) -> Any:
    """What archscout wrote as `architecture`; a node of that name would have an op."""
    if isinstance(document, dict) and isinstance(document.get("architecture"), dict):
        inner = document["architecture"]
        if "op" not in inner:
            return inner
    return document
