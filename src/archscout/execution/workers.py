"""Tasks on a shared state: in order, so many in flight at most, and again where a process died."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from archscout.errors import InputError
from archscout.execution.processes import Processes
from archscout.execution.serial import SerialExecutor

State = TypeVar("State")
Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_DEATHS = 2
"""After so many processes that died at one item by itself, it counts as lost."""

_AHEAD = 2
# Seconds of work for which others are started: each takes some five to be there.
WORTH_SECONDS = 30.0
_TIMED = 3
_TICK_SECONDS = 2.0


class Workers(Generic[State]):
    """Runs tasks in this process, or in several once the work left is worth their start.

    As a context; results do not depend on how many processes there are.

    Args:
        state: that every task is given; in other processes it is a copy.
        count: processes; with one it is this process.
        total: items that are to be worked on in all, as far as known.
        before: called in each process before the state is there.
        worth: seconds of work left for which processes are started; `WORTH_SECONDS` if None.
        threads: of each process, in torch's operations.
    """

    def __init__(
        self,
        state: State,
        count: int = 1,
        total: int = 0,
        before: Callable[[], object] | None = None,
        worth: float | None = None,
        threads: int = 1,
    ) -> None:
        self._state, self._count, self._left, self._before = state, count, total, before
        self._worth = WORTH_SECONDS if worth is None else worth
        self._threads = threads
        self._serial = SerialExecutor()
        self._processes: Processes | None = None
        self._seconds: list[float] = []

    def __enter__(self) -> Workers[State]:
        return self

    def __exit__(self, *_: object) -> None:
        if self._processes is not None:
            self._processes.stop()

    def map(
        self,
        task: Callable[[State, Item], Result],
        items: Iterable[Item],
        lost: Callable[[Item, str], Result],
        tick: Callable[[], object] | None = None,
    ) -> Generator[Result, None, None]:
        """Results in the order of the items, as they come.

        Args:
            task: a function of the state and an item; importable by its name.
            items: plain values.
            lost: the result of an item at which processes died, and the reason in words.
            tick: called every few seconds while other processes are waited for.

        Raises:
            Exception: whatever a task raises.
        """
        waiting = deque(items)
        flying: deque[tuple[Item, Future[Result]]] = deque()
        # Of several in flight when a process dies, each is tried by itself to see which it was.
        apart = deaths = 0
        try:
            while waiting or flying:
                pool = self._pool()
                ahead = 1 if pool is None or apart else _AHEAD * self._count
                try:
                    while waiting and len(flying) < ahead:
                        flying.append((waiting[0], self._submit(pool, task, waiting[0])))
                        waiting.popleft()
                    result = _wait(flying[0][1], tick)
                except BrokenExecutor as error:
                    alone, apart = len(flying) == 1, max(apart, len(flying))
                    waiting.extendleft(reversed([item for item, _ in flying]))
                    flying.clear()
                    self._give_up()
                    deaths += alone
                    if deaths < MAX_DEATHS:
                        continue
                    result = lost(waiting.popleft(), _reason(error))
                else:
                    flying.popleft()
                self._left -= 1
                apart, deaths = max(0, apart - 1), 0
                yield result
        finally:
            for _, future in flying:
                future.cancel()

    def _submit(
        self, pool: Processes | None, task: Callable[[State, Item], Result], item: Item
    ) -> Future[Result]:
        if pool is not None:
            return pool.submit(task, item)
        start = time.perf_counter()
        future = self._serial.submit(task, self._state, item)
        self._seconds.append(time.perf_counter() - start)
        return future

    def _pool(self) -> Processes | None:
        """Other processes, once the work left is worth their start."""
        if self._processes is None and self._count > 1 and self._is_worth_it():
            self._processes = Processes(self._count, self._threads, self._state, self._before)
        return self._processes

    def _is_worth_it(self) -> bool:
        timed = self._seconds[-_TIMED:]
        enough = not self._worth or len(timed) == _TIMED
        return enough and self._left * sum(timed) / _TIMED >= self._worth

    def _give_up(self) -> None:
        if self._processes is not None:
            self._processes.kill()
            self._processes = None


def _wait(future: Future[Result], tick: Callable[[], object] | None) -> Result:
    while tick is not None and not future.done():
        with suppress(TimeoutError):
            return future.result(_TICK_SECONDS)
        tick()
    return future.result()


def check_workers(count: int) -> int:
    """A number of processes that work.

    Raises:
        InputError: it is none.
    """
    if count < 1:
        raise InputError(f"{count} workers; accepted is a whole number of at least 1")
    return count


def _reason(error: BaseException) -> str:
    said: Any = str(error).partition("\n")[0]
    killed = " (out of memory?)" if "SIGKILL" in str(error) else ""
    return f"the process that worked on it died {MAX_DEATHS} times{killed}: {said}"
