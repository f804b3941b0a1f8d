"""The one exception for a user's mistake."""

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class InputError(ValueError):
    """Input that archscout cannot use.

    The message names the bad value, the place where it stands and what is accepted there, in one
    or two lines. The command line prints it as it is and exits with code 2.
    """


def first_fault(error: ValidationError) -> str:
    """What pydantic found first, and where."""
    fault = error.errors()[0]
    place = ".".join(map(str, fault["loc"]))
    return f"{place}: {fault['msg']}" if place else str(fault["msg"])


def validated(kind: type[Model], **values: Any) -> Model:
    """Settings of these values.

    Raises:
        InputError: one cannot be used; the message says which, and why.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        raise InputError(f"{name} is {fault['input']!r}: {fault['msg']}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """What a message says of an unknown name: the nearest known one, or nothing.

    >>> nearest("hiden_size", ["hidden_size", "num_layers"])
    ' (did you mean hidden_size?)'
    """
    near = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""
