"""Search spaces: what can be built."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from archscout.errors import InputError
from archscout.spaces.base import RecordingSpace, Scale, Space
from archscout.spaces.flexibert import EncoderGenotype, EncoderScale, FlexibertSpace
from archscout.spaces.gpt import DecoderGenotype, DecoderScale, GptSpace
from archscout.spaces.identity import (
    classics,
    genes,
    live,
    named,
    names,
    network_fingerprint,
    samples,
)
from archscout.spaces.module_space import ModuleSpace
from archscout.spaces.recurrent import Recipe, RecurrentScale, RecurrentSpace

__all__ = [
    "DEFAULT",
    "DecoderGenotype",
    "DecoderScale",
    "EncoderGenotype",
    "EncoderScale",
    "FlexibertSpace",
    "GptSpace",
    "ModuleSpace",
    "Recipe",
    "RecordingSpace",
    "RecurrentScale",
    "RecurrentSpace",
    "Scale",
    "Space",
    "available",
    "classics",
    "genes",
    "get",
    "live",
    "named",
    "names",
    "network_fingerprint",
    "recognise",
    "register",
    "samples",
]

DEFAULT = RecurrentSpace.name
"""The name of the space where none is given."""


@cache
def available() -> dict[str, Callable[..., Space[Any]]]:
    """Space classes by name: our own, and those of other packages' `archscout.spaces`."""
    own: dict[str, Callable[..., Space[Any]]] = {
        RecurrentSpace.name: RecurrentSpace,
        FlexibertSpace.name: FlexibertSpace,
        GptSpace.name: GptSpace,
    }
    return own | {point.name: point.load() for point in entry_points(group="archscout.spaces")}


def get(name: str, **arguments: Any) -> Space[Any]:
    """The space of that name; what it is made with are its `arguments`, where it has some.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    known = available()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise InputError(f"unknown space {name!r}{hint}; known: {', '.join(sorted(known))}")
    return known[name](**arguments)


_REGISTERED: set[str] = set()
"""Names of the spaces that `register` made known."""


def register(space: Space[Any]) -> None:
    """Make a space known by its name in this process, so that its runs can be opened.

    One that was registered under the name before, such as by the same cell of a notebook, goes.

    Raises:
        InputError: the name is that of a space of archscout's, or of an installed package's.
    """
    known = available()
    if space.name in known and space.name not in _REGISTERED:
        raise InputError(f"{space.name!r} is the name of another space; choose another")
    _REGISTERED.add(space.name)

    def same(**arguments: Any) -> Space[Any]:
        if arguments and arguments != (made := getattr(space, "arguments", {})):
            raise InputError(
                f"space {space.name!r} is registered with {made}; one with {arguments} is asked for"
            )
        return space

    known[space.name] = same


def recognise(text: str) -> str:
    """The name of the space of a named architecture, or of those in a file's content.

    In these stands the space's `signature`; what is neither is taken for the default space's.
    """
    for name, make in available().items():
        space = make()
        if text.strip() in space.named:
            return name
        if (signature := getattr(space, "signature", "")) and f'"{signature}"' in text:
            return name
    return DEFAULT
