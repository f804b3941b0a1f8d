"""The one exception for a user's mistake."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that archscout cannot use.

    The message names the bad value, the place where it stands and what is accepted there, in one
    or two lines. The command line prints it as it is and exits with code 2.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """What a message says of an unknown name: the nearest known one, or nothing.

    >>> nearest("hiden_size", ["hidden_size", "num_layers"])
    ' (did you mean hidden_size?)'
    """
    near = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""
