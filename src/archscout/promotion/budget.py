"""How much training a search may spend, in the words of users."""

from __future__ import annotations

import re
from typing import NamedTuple

from archscout.errors import InputError
from archscout.promotion.halving import check_budget

_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Budget(NamedTuple):
    """A number of full trainings, or a time.

    Attributes:
        given: by the user.
        trainings: full ones; None where a time was given.
        seconds: of the clock; None where trainings were given.
    """

    given: str
    trainings: float | None
    seconds: float | None


def parse_budget(given: float | str) -> Budget:
    """A budget from a number such as 4 or 2.5, or a time such as `90s`, `30m` or `2h`.

    Raises:
        InputError: it is neither, or below one full training.

    Examples:
        >>> parse_budget(4).trainings, parse_budget("30m").seconds
        (4.0, 1800.0)
    """
    text = str(given).strip()
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", text)
    if match is None or (match[2] and match[2] not in _SECONDS) or not float(match[1]):
        raise InputError(
            f"budget {text!r}; accepted is a number of full trainings, such as 4, or a time, such "
            "as 30m or 2h"
        )
    number = float(match[1])
    if match[2]:
        return Budget(text, None, number * _SECONDS[match[2]])
    check_budget(number)
    return Budget(text, number, None)
