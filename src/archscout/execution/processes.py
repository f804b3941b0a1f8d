"""An executor of worker processes on this machine.

loky starts them afresh (nothing is forked beside torch's threads), needs no guard in a user's
script, and says when one has died. A start takes seconds, so those that are done wait a while for
the next use.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import cloudpickle
from loky import ProcessPoolExecutor
from loky.backend import get_context, resource_tracker

from archscout.errors import InputError
from archscout.execution.states import load_state

_GRACE_SECONDS = 10.0
_IDLE_SECONDS = 30.0
_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Processes:
    """Processes that hold a state.

    Args:
        count: of processes, each with one thread until its tasks set another number.
        state: that tasks are given.
        before: called in each process before the state is unpickled, such as to load the files that
            its classes come from; such processes serve no other use.
    """

    def __init__(self, count: int, state: Any, before: Callable[[], object] | None) -> None:
        self.count = count
        self._is_plain = before is None
        self._futures: set[Future[Any]] = set()
        place = (dict(os.environ), sys.path)
        packed = cloudpickle.dumps((*place, before, cloudpickle.dumps(state)))
        with tempfile.NamedTemporaryFile(prefix="archscout-", delete=False) as file:
            resource_tracker.register(file.name, "file")  # removes it where this process is killed
            file.write(packed)
        self._state = file.name
        self._pool = (_taken(count) if self._is_plain else None) or _Pool(count)

    def submit(self, task: Callable[[Any, Any], Any], item: Any) -> Future[Any]:
        """The future of a task on the state and an item."""
        packed = cloudpickle.dumps((task, item))
        future: Future[Any] = self._pool.executor.submit(_run, self._state, packed)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def ask_to_stop(self) -> None:
        """Let tasks that ask `stopping` end early."""
        self._pool.stop.set()

    def stop(self) -> None:
        """Wait for what the processes do, which is soon done where it asks `stopping`."""
        self.ask_to_stop()
        try:
            wait(list(self._futures))
        except BaseException:  # whoever asks for a second time does not want to wait
            self.kill()
            raise
        if self._is_plain:
            _keep(self._pool)
        else:
            self._pool.executor.shutdown()
        self._forget_state()

    def kill(self) -> None:
        """End the processes at once."""
        self._pool.executor.shutdown(kill_workers=True)
        self._forget_state()

    def _forget_state(self) -> None:
        Path(self._state).unlink(missing_ok=True)
        resource_tracker.unregister(self._state, "file")


class _Pool:
    """Processes, and what this one was when it had them started."""

    def __init__(self, count: int) -> None:
        self.count, self.driver, self.modules = count, os.getpid(), _modules()
        self.stop = get_context("loky").Event()
        self.executor = ProcessPoolExecutor(
            count, initializer=_begin, initargs=(self.stop, self.driver), env=_THREADS
        )

    def fits(self, count: int) -> bool:
        """Whether as many are wanted, by the same process, and no module was loaded again."""
        now = _modules()
        same = all(now.get(name) is spec for name, spec in self.modules.items())
        return (count, os.getpid()) == (self.count, self.driver) and same


# At most one waits for the next use, with what ends it after a while.
_idle: dict[_Pool, threading.Timer] = {}


def _keep(pool: _Pool) -> None:
    _end_idle()
    _idle[pool] = threading.Timer(_IDLE_SECONDS, _end_idle)
    _idle[pool].daemon = True
    _idle[pool].start()


def _taken(count: int) -> _Pool | None:
    for pool in [pool for pool in list(_idle) if pool.fits(count)]:
        if timer := _idle.pop(pool, None):
            timer.cancel()
            pool.stop.clear()
            return pool
    return None


def _end_idle() -> None:
    for pool in list(_idle):
        if timer := _idle.pop(pool, None):
            timer.cancel()
            if pool.driver == os.getpid():  # not that of a process which this was forked from
                pool.executor.shutdown(wait=False)


def _modules() -> dict[str, Any]:
    return {name: getattr(module, "__spec__", None) for name, module in list(sys.modules.items())}


def stopping() -> bool:
    """Whether this is a worker process whose driver stops, or is gone."""
    asked = _Worker.stop is not None and _Worker.stop.is_set()
    return asked or (_Worker.driver is not None and os.getppid() != _Worker.driver)


class _Worker:
    """What a process keeps between tasks."""

    place: str | None = None
    state: Any = None
    stop: Any = None
    driver: int | None = None


def _begin(stop: Any, driver: int) -> None:
    # Ctrl-C goes to the whole group of processes; the driver stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.stop, _Worker.driver = stop, driver
    threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    """Leave no process behind a driver that was killed; what asks `stopping` has time to end."""
    while os.getppid() == _Worker.driver:
        time.sleep(1)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


def _run(place: str, packed: bytes) -> Any:
    if _Worker.place != place:
        _Worker.place = _Worker.state = None
        _Worker.state = _opened(Path(place))
        _Worker.place = place
    task, item = pickle.loads(packed)
    return task(_Worker.state, item)


def _opened(place: Path) -> Any:
    """The state, once this process is as the driver is."""
    environment, sys.path[:], before, packed = pickle.loads(place.read_bytes())
    try:
        os.environ.clear()
        os.environ.update(environment | _THREADS)
        if before is not None:
            before()
        return load_state(packed)
    except Exception as error:
        raise InputError(
            f"a worker process lacks something that this one has: {type(error).__name__}: {error}"
        ) from error
