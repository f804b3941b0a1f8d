"""What decides a score, from names: metrics, a scale, an objective, a seed, a device."""

import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import torch

from archscout import metrics as metrics_room
from archscout.errors import InputError, nearest
from archscout.metrics.registry import Request
from archscout.recording import Kind
from archscout.spaces.base import Scale, Space
from archscout.text import Corpus
from archscout.tracing.quantities import OBJECTIVES, Objective

TextSource = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Corpus

MAX_SEED = 2**32  # numpy, which draws the noise, takes no more

_DEFAULT_OBJECTIVE: Mapping[Kind, Objective] = {"transformer": "cotangent", "other": "sum"}


def parse_requests(names: Iterable[str | Request] | None, kind: Kind = "other") -> list[Request]:
    """What the names of metrics ask for (a request asks for itself); every metric if None.

    Args:
        names: comma-separated or apart.
        kind: of the networks that are to be measured.

    Raises:
        InputError: a name is unknown, or there is none.
    """
    if isinstance(names, str):
        names = names.split(",")
    if names is None:
        names = metrics_room.available(kind)
    requests = [n if isinstance(n, Request) else metrics_room.request(n, kind) for n in names]
    if not requests:
        raise InputError("no metric was named; 'archscout metrics' lists them")
    return requests


def check_count(name: str, value: int, least: int = 1) -> int:
    """A whole number that is large enough.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        accepted = "a positive whole number" if least == 1 else f"a whole number from {least}"
        raise InputError(f"{name} is {value!r}; {accepted} is accepted")
    return int(value)


def resolve_objective(objective: str | None, kind: Kind) -> Objective:
    """An objective from its name, the default for these networks if None.

    Raises:
        InputError: there is none of that name.
    """
    if objective is None:
        return _DEFAULT_OBJECTIVE[kind]
    for known in OBJECTIVES:
        if objective == known:
            return known
    raise InputError(f"unknown objective {objective!r}; accepted: {', '.join(OBJECTIVES)}")


def resolve_scale(space: Space[Any], scale: str | Scale | None) -> Any:
    """A scale from its name, the space's default scale if None.

    Raises:
        InputError: the space has no scale of that name.
    """
    if isinstance(scale, Scale):
        return scale
    name = scale or space.default_scale
    if name not in space.scales:
        raise InputError(
            f"unknown scale {name!r}{nearest(name, space.scales)}; space {space.name} has "
            f"{', '.join(space.scales)}"
        )
    return space.scales[name]


def check_seed(seed: int) -> int:
    """The seed, if it is one.

    Raises:
        InputError: it is no whole number, or out of range.
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= seed < MAX_SEED:
        raise InputError(f"seed is {seed!r}; from 0 to {MAX_SEED - 1} are accepted")
    return int(seed)


def check_device(device: str) -> None:
    """Make sure that a device is there, and holds values.

    Raises:
        InputError: it is not, or does not.
    """
    try:
        held = torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"device {device!r} cannot be used: {reason}") from error
    if held.is_meta:
        raise InputError(
            f"device {device!r} cannot be used: it holds shapes without values; one that holds "
            "values, such as cpu or cuda, is accepted"
        )
