"""What becomes of a task at which workers died."""

MAX_DEATHS = 2
"""After so many workers that died at one item by itself, it counts as lost."""


class Lost(Exception):
    """A task was tried as often as it may be; the message is the reason in words."""
