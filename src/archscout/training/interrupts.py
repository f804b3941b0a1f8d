"""Ctrl-C at a moment when nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Postponed:
    """Ctrl-C that waits.

    Attributes:
        asked: whether it came.
    """

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def postponed_interrupts() -> Iterator[Postponed]:
    """Remember the first Ctrl-C in place of raising it; a second one is raised at once.

    Outside the main thread, and where Ctrl-C is ignored, nothing changes.
    """
    postponed = Postponed()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield postponed
        return

    def remember(*_: object) -> None:
        postponed.asked = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, remember)
    try:
        yield postponed
    finally:
        signal.signal(signal.SIGINT, before)
