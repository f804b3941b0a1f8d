"""An executor that runs each task at once, in the calling thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Serial:
    """This process; what interrupts it interrupts its tasks.

    Args:
        state: that tasks are given.

    Attributes:
        count: of processes: one.

    Example:
        >>> Serial(2).submit(pow, 5).result()
        32
    """

    count = 1

    def __init__(self, state: Any) -> None:
        self._state = state

    def submit(self, task: Callable[[Any, Any], Any], item: Any) -> Future[Any]:
        """The future of a task on the state and an item, which is finished."""
        future: Future[Any] = Future()
        try:
            future.set_result(task(self._state, item))
        except Exception as error:
            future.set_exception(error)
        return future

    def ask_to_stop(self) -> None:
        """Nothing: no task runs while others are asked."""

    def stop(self) -> None:
        """Nothing: no task is left."""
