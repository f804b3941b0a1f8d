"""Tasks on a shared state: so many in flight at most, and again where a process died."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from contextlib import suppress
from itertools import chain, islice
from numbers import Integral
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from archscout.errors import InputError
from archscout.execution.cluster import Cluster
from archscout.execution.lost import MAX_DEATHS, Lost
from archscout.execution.processes import Processes
from archscout.execution.serial import Serial

State = TypeVar("State")
Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2
# Short tasks travel together, up to so many seconds and so many of them.
_TOGETHER_SECONDS, _MOST_TOGETHER, _FIRST_TOGETHER = 0.12, 8, 2
# Python lets one thread run at a time: the threads that send a task have their turn so long.
_SENDING_SECONDS = 0.0007
# Seconds of work for which others are started: each takes some five to be there.
WORTH_SECONDS = 30.0
_TIMED = 3
_TICK_SECONDS = 2.0


class Executor(Protocol):
    """Where tasks run on a state that it was given once: `Serial`, `Processes`, `RayTasks`."""

    @property
    def count(self) -> int:
        """How many tasks run at the same time."""

    def submit(self, task: Callable[[Any, Any], Any], item: Any) -> Future[Any]:
        """The future of a task on the state and an item."""

    def ask_to_stop(self) -> None:
        """Let tasks that ask `stopping` end early."""

    def stop(self) -> None:
        """End, once what runs has ended."""


class Workers(Generic[State]):
    """Runs tasks in this process, in several once the work left is worth their start, or by Ray.

    As a context; results do not depend on where tasks run.

    Args:
        state: that every task is given; in other processes it is a copy.
        count: processes, of which one is this process, or a cluster.
        total: items that are to be worked on in all, as far as known.
        before: called in each process before the state is there.
        worth: seconds of work left for which processes are started; `WORTH_SECONDS` if None.

    Attributes:
        is_stopping: whether Ctrl-C came while results were waited for; those that still come are of
            tasks that ended early.
    """

    def __init__(
        self,
        state: State,
        count: int | Cluster = 1,
        total: int = 0,
        before: Callable[[], object] | None = None,
        worth: float | None = None,
    ) -> None:
        self._state, self._count, self._left, self._before = state, count, total, before
        self._worth = WORTH_SECONDS if worth is None else worth
        self._serial = Serial(state)
        self._others: Executor | None = None
        self._died = False
        self.is_stopping = False
        self._seconds: deque[float] = deque(maxlen=_TIMED)

    def __enter__(self) -> Workers[State]:
        return self

    def __exit__(self, *_: object) -> None:
        if self._others is not None:
            self._others.stop()

    def map(
        self,
        task: Callable[[State, Item], Result],
        items: Iterable[Item],
        lost: Callable[[Item, str], Result],
    ) -> Generator[Result, None, None]:
        """Results in the order of the items, as they come.

        Args:
            task: a function of the state and an item; importable by its name.
            items: plain values; one is asked for when there is room for it.
            lost: the result of an item at which processes died, and the reason in words.

        Raises:
            Exception: whatever a task raises.
        """
        for _, result in self._results(task, _Source(items), lost, None, in_order=True):
            yield result

    def as_they_come(
        self,
        task: Callable[[State, Item], Result],
        waiting: deque[Item],
        lost: Callable[[Item, str], Result],
        tick: Callable[[], object] | None = None,
    ) -> Generator[tuple[Item, Result], None, None]:
        """Items with their results, the first that is there first.

        What follows from a result may be put into `waiting`, in front or at its end, and is worked
        on, too. After Ctrl-C tasks that ask `stopping` end early, and their results still come.

        Args:
            task: as of `map`.
            waiting: plain values, taken from the front.
            lost: as of `map`.
            tick: called every few seconds while other processes are waited for.

        Raises:
            Exception: whatever a task raises.
            KeyboardInterrupt: Ctrl-C, after the results of what was at work.
        """
        return self._results(task, waiting, lost, tick, in_order=False)

    def _results(
        self,
        task: Callable[[State, Item], Result],
        waiting: deque[Item],
        lost: Callable[[Item, str], Result],
        tick: Callable[[], object] | None,
        in_order: bool,
    ) -> Generator[tuple[Item, Result], None, None]:
        flying: dict[Future[_Done], list[Item]] = {}
        # What travelled together and did not arrive is tried one by one, before what follows it.
        alone: list[Item] = []
        # Of several in flight when a process dies, each is tried by itself to see which it was.
        suspects: deque[Item] = deque()
        deaths = 0
        try:
            while flying or alone or suspects or waiting:
                pool = self._pool()
                try:
                    if alone:
                        flying = {self._submit(pool, task, [i]): [i] for i in alone} | flying
                        alone = []
                    if suspects and not flying:
                        flying[self._submit(pool, task, [suspects[0]])] = [suspects[0]]
                    while not suspects and len(flying) < self._ahead(pool, in_order) and waiting:
                        self._launch(pool, task, waiting, flying)
                    if isinstance(waiting, _Source) and (most := self._most_together(pool)) > 1:
                        waiting.look(most * _workers(pool))
                    future = _first_done(list(flying)[: 1 if in_order else None], tick)
                    results: list[Result] = self._timed(future.result())
                    items = flying.pop(future)
                except Lost as error:
                    items = flying.pop(future)
                    results = [lost(items[0], str(error))] if len(items) == 1 else []
                except BrokenExecutor as error:
                    in_flight = list(chain.from_iterable(flying.values()))
                    deaths += len(in_flight) == 1 and not alone
                    suspects = suspects or deque([*alone, *in_flight])
                    alone = []
                    flying.clear()
                    self._give_up()
                    if deaths < MAX_DEATHS:
                        continue
                    items, results = [suspects[0]], [lost(suspects[0], _reason(error))]
                alone = items[len(results) :]
                if suspects:
                    suspects.popleft()
                deaths = 0
                for item, result in zip(items, results, strict=False):
                    self._left -= 1
                    yield item, result
        except KeyboardInterrupt:
            self.is_stopping = True
            if not in_order and self._others is not None:
                yield from self._ended_early(self._others, flying)
            raise
        finally:
            for future in flying:
                future.cancel()

    def _launch(
        self,
        pool: Executor,
        task: Callable[[State, Item], Result],
        waiting: deque[Item],
        flying: dict[Future[_Done], list[Item]],
    ) -> None:
        together = 1
        if isinstance(waiting, _Source):
            together = self._together(pool, waiting, len(flying))
        items = [waiting.popleft()]
        while len(items) < together and waiting:
            items.append(waiting.popleft())
        try:
            flying[self._submit(pool, task, items)] = items
        except BrokenExecutor:
            waiting.extendleft(reversed(items))
            raise

    def _ended_early(
        self, pool: Executor, flying: dict[Future[_Done], list[Item]]
    ) -> Iterator[tuple[Item, Any]]:
        """What tasks at work have come to when they are asked to stop."""
        pool.ask_to_stop()
        for future, items in flying.items():
            if future.cancel():
                continue
            # Without a result it goes on from the one before.
            with suppress(BrokenExecutor, CancelledError, Lost):
                yield items[0], future.result().results[0]

    def _ahead(self, pool: Executor, in_order: bool) -> int:
        # What waits for an earlier result must not leave its process idle.
        return _workers(pool) * (_AHEAD if in_order and pool is not self._serial else 1)

    def _together(self, pool: Executor, waiting: _Source[Any], flying: int) -> int:
        """How many items a task has.

        Fewer at the beginning, for they are drawn one by one while processes wait, and at the end,
        so that all processes end together.
        """
        most = min(self._most_together(pool), _FIRST_TOGETHER * (1 + flying))
        if waiting.has_ended:
            most = min(most, len(waiting) // _workers(pool))
        return most

    def _most_together(self, pool: Executor) -> int:
        """How many items a task has at most."""
        if pool is self._serial or not self._seconds:
            return 1
        return min(_MOST_TOGETHER, int(_TOGETHER_SECONDS / (self._seconds[-1] + 1e-9)))

    def _submit(
        self,
        pool: Executor,
        task: Callable[[State, Item], Result],
        items: list[Item],
    ) -> Future[_Done]:
        future = pool.submit(_each, (task, items))
        if pool is not self._serial:
            time.sleep(_SENDING_SECONDS)
        return future

    def _timed(self, done: _Done) -> list[Any]:
        self._seconds.append(done.seconds / len(done.results))
        return done.results

    def _pool(self) -> Executor:
        """A cluster's workers, other processes once the work left is worth their start, or this."""
        if self._others is not None:
            return self._others
        if isinstance(self._count, Cluster):
            self._count.connect()
            from archscout.execution.ray_tasks import RayTasks  # Ray is there

            self._others = RayTasks(self._count, self._state, self._before)
        elif self._count > 1 and (self._died or self._is_worth_it()):
            self._others = Processes(self._count, self._state, self._before)
        return self._others or self._serial

    def _is_worth_it(self) -> bool:
        enough = not self._worth or len(self._seconds) == _TIMED
        return enough and self._left * sum(self._seconds) / _TIMED >= self._worth

    def _give_up(self) -> None:
        if isinstance(self._others, Processes):
            self._others.kill()
            self._others = None
            self._died = True  # what killed one must not kill this one


def _workers(pool: Executor) -> int:
    return max(1, pool.count)


class _Done(NamedTuple):
    """What a task came to.

    Attributes:
        results: of its items, or of the first ones, up to one that raised.
        seconds: that it took.
    """

    results: list[Any]
    seconds: float


def _each(state: Any, work: tuple[Callable[[Any, Any], Any], list[Any]]) -> _Done:
    """Run a task on items that travel together; an error of the first one is raised."""
    task, items = work
    start, results = time.perf_counter(), []
    for item in items:
        try:
            results.append(task(state, item))
        except Exception:
            if not results:
                raise
            break  # what is done is not lost: that item is tried by itself
    return _Done(results, time.perf_counter() - start)


class _Source(deque[Item]):
    """Items that an iterable gives when they are asked for.

    Attributes:
        has_ended: whether there are none but those that are here.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        super().__init__()
        self._items = iter(items)
        self.has_ended = False

    def __bool__(self) -> bool:
        self.look(1)
        return len(self) > 0

    def look(self, ahead: int) -> None:
        """Have so many of them here, or all."""
        self.extend(islice(self._items, max(0, ahead - len(self))))
        self.has_ended |= len(self) < ahead


def _first_done(
    futures: Sequence[Future[Result]], tick: Callable[[], object] | None
) -> Future[Result]:
    """The first of those that are done, with a result if one has it; waits for one."""
    while not (done := wait(futures, _TICK_SECONDS, FIRST_COMPLETED).done):
        if tick is not None:
            tick()
    return min((f for f in futures if f in done), key=lambda f: f.exception() is not None)


def check_workers(count: int | Cluster, device: str = "cpu") -> int | Cluster:
    """A number of processes that work on a device, or a cluster, which is joined.

    Raises:
        InputError: it is none, the cluster cannot be used, or its workers have no GPU to work on.
    """
    if isinstance(count, Cluster):
        if device.startswith("cuda") and not count.worker_gpus:
            raise InputError(
                f"device {device!r}: Ray hides GPUs from workers that ask for none; --worker-gpus "
                "says how many each takes, such as 1, or 0.25 where four share one"
            )
        count.connect()
    elif not isinstance(count, Integral) or count < 1:
        raise InputError(f"{count} workers; accepted is a whole number of at least 1")
    return count


def count_workers(count: int | Cluster) -> int:
    """So many work at the same time, by now."""
    return max(1, count.count()) if isinstance(count, Cluster) else count


def _reason(error: BaseException) -> str:
    said: Any = str(error).partition("\n")[0]
    killed = " (out of memory?)" if "SIGKILL" in str(error) else ""
    return f"the process that worked on it died {MAX_DEATHS} times{killed}: {said}"
