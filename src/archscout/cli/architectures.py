"""Reading architectures from files and standard input."""

from __future__ import annotations

import difflib
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from archscout import spaces
from archscout.cli.output import tell
from archscout.errors import InputError
from archscout.spaces import ModuleSpace
from archscout.spaces.base import Scale, Space, unique_keys, unwrapped


def read(space: Space[Any], sources: Iterable[str]) -> list[Any]:
    """Architectures from files of JSON or JSON Lines, `-` (standard input), or names.

    A JSON document is one architecture, a list of them, or what archscout writes around one
    (an object with `architecture` and perhaps its `space`, or a `front` of such objects).
    """
    return [architecture for _, architecture in read_named(space, sources)]


def read_named(space: Space[Any], sources: Iterable[str]) -> list[tuple[str, Any]]:
    """As `read`, each with what the user calls it: a name, or a file and the place in it."""
    return list(stream(space, sources))


def stream(space: Space[Any], sources: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """As `read_named`, one after the other; of JSON Lines no more than a line is held."""
    found = chain.from_iterable(_read_one(space, source) for source in sources)
    if (first := next(found, None)) is None:
        raise InputError(f"no architecture in {', '.join(sources)}; JSON or JSON Lines is accepted")
    yield first
    yield from found


def read_first(space: Space[Any], source: str, doing: str) -> Any:
    """The first architecture of a source, and what is done with it if there are more."""
    found = read(space, [source])
    if len(found) > 1:
        tell(f"{source} holds {len(found)} architectures; {doing} the first")
    return found[0]


def space_of(source: str, given: str | None) -> Space[Any]:
    """The space of the architectures in a source, by `--space`, what it says, or its form."""
    if given is not None:
        return spaces.get(given)
    if source == "-":
        content = sys.stdin.buffer.read()
        sys.stdin = io.TextIOWrapper(io.BytesIO(content))  # for who reads the architectures
        text = content.decode("utf-8-sig", errors="replace")
    else:
        try:
            text = Path(source).read_text(encoding="utf-8-sig")
        except (OSError, ValueError):  # a name, or what is complained of later
            text = source
    return spaces.get(_said(text) or spaces.recognise(text))


def titles(
    space: Space[Any],
    architectures: Sequence[Any],
    scale: Scale,
    given: Sequence[str] | None = None,
) -> list[str]:
    """Fingerprints as tables show them, with names, and which one before is the same network.

    Args:
        space: of the architectures.
        architectures: in the order of the table.
        scale: at which they are networks.
        given: what the user calls each.
    """
    from archscout.spaces import names, network_fingerprint

    known = names(space)
    first: dict[str, str] = {}
    found = []
    for architecture, called in zip(architectures, given or [""] * len(architectures), strict=True):
        fingerprint = space.fingerprint(architecture)
        name = known.get(fingerprint, "")
        if called and called != name:
            name = f"{called} ({name})" if name else called
        title = f"{fingerprint} {name}".strip()
        mark = network_fingerprint(space, architecture, scale)
        if mark in first:
            title += f"\nequal to {first[mark]}"
        first.setdefault(mark, called or name or fingerprint)
        found.append(title)
    return found


def _parse(text: str, hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """JSON, a ValueError also where it is nested too deep."""
    try:
        return json.loads(text, object_pairs_hook=hook)
    except RecursionError as error:
        raise ValueError(error) from error


def _is_json(text: str) -> bool:
    try:
        _parse(text)
    except ValueError:
        return False
    return True


def _said(text: str) -> str | None:
    """The space that the text's first architecture says."""
    whole = next(filter(_is_json, (text, text.partition("\n")[0])), "null")
    document = _parse(whole)
    if isinstance(document, list) and document:
        document = document[0]
    found = document.get("space") if isinstance(document, dict) else None
    return found if isinstance(found, str) else None


def _read_one(space: Space[Any], source: str) -> Iterator[tuple[str, Any]]:
    if source in space.named:
        yield source, space.named[source]
        return
    if source == "-":
        name, called = "standard input", ""
        lines = _decoded(name, sys.stdin.buffer)
    else:
        name, lines, called = source, _load(space, source), Path(source).name
    documents = _documents(name, lines)
    first, second = next(documents, None), next(documents, None)
    several = chain(filter(None, (first, second)), documents)
    for number, (place, document) in enumerate(several, start=1):
        numbered = f"{called}:{number}" if called and second is not None else called
        try:
            is_said = isinstance(space, ModuleSpace)  # whose architectures have any keys
            yield numbered, space.parse(unwrapped(document, space.name, is_said))
        except InputError as error:
            raise InputError(f"{place}: {error}") from error


def _load(space: Space[Any], source: str) -> Iterator[str]:
    """The lines of a file."""
    near = difflib.get_close_matches(source, space.named, 1)
    if near and not Path(source).exists():
        raise InputError(f"no architecture {source!r}: it is no file; did you mean {near[0]}?")
    names = f", or a name such as {next(iter(space.named))}" if space.named else ""
    try:
        with open(source, "rb") as file:
            yield from _decoded(source, file)
    except FileNotFoundError as error:
        raise InputError(
            f"no architecture {source!r}: it is no file; a file of JSON or JSON Lines, or - for "
            f"standard input{names} is accepted"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {source}: {reason}") from error


def _decoded(name: str, lines: Iterable[bytes]) -> Iterator[str]:
    before = 0
    for line in lines:
        try:
            yield line.decode("utf-8" if before else "utf-8-sig")
        except UnicodeDecodeError as error:
            place = before + error.start
            raise InputError(f"{name} is not text: byte {place} is not UTF-8") from error
        before += len(line)


def _documents(name: str, lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Places and parsed or raw documents: each line if the first one is one, else the whole."""
    begun: list[str] = []
    filled: list[tuple[int, str]] = []
    for line in lines:
        begun.append(line)
        if line.strip():
            filled.append((len(begun), line))
        if len(filled) == 2:
            break
    if not filled:
        raise InputError(f"{name} is empty; architectures as JSON or JSON Lines are accepted")
    if len(filled) == 2 and _is_json(filled[0][1]):
        others = enumerate(lines, start=len(begun) + 1)
        for number, line in chain(filled, others):
            if line.strip():
                yield from _unwrapped(f"{name}, line {number}", line, ": not")
    else:
        yield from _unwrapped(name, "".join([*begun, *lines]), " is not")


def _unwrapped(place: str, text: str, complaint: str) -> Iterator[tuple[str, Any]]:
    """The architectures inside a document; the text itself where it is one, for better messages."""
    try:
        document = _parse(text, unique_keys)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    except ValueError as error:
        raise InputError(f"{place}{complaint} valid JSON: {error}") from error
    front = document.get("front") if isinstance(document, dict) else None
    if isinstance(front, list):  # best.json, whose space is that of all
        said = {key: document[key] for key in ("space",) if key in document}
        document = [item | said if isinstance(item, dict) else item for item in front]
    if isinstance(document, list):
        for i, item in enumerate(document, start=1):
            yield f"{place}, item {i}", item
    else:
        yield place, text
