"""Where options went that earlier versions had."""

from __future__ import annotations

_MOVED = {
    "all": "every metric on every benchmark at hand: archscout leaderboard",
}


def advice(option: str, command: str) -> str | None:
    """What to write in place of an option that a command does not know.

    Args:
        option: as given, such as `--hidden-size`.
        command: such as `archscout score`.

    Returns:
        None where no version knew it.
    """
    return _MOVED.get(option.lstrip("-"))
