"""An executor of worker processes on this machine.

loky starts them anew (nothing is forked beside torch's threads), needs no guard in a user's script,
and says when one has died.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import cloudpickle
from loky import ProcessPoolExecutor
from loky.backend import get_context

from archscout.errors import InputError

_GRACE_SECONDS = 10.0


class Processes:
    """Processes that hold a state.

    Args:
        count: of processes, each with one thread until its tasks set another number.
        state: that tasks are given.
        before: called in each process before the state is unpickled, such as to load the files that
            its classes come from.
    """

    def __init__(self, count: int, state: Any, before: Callable[[], object] | None) -> None:
        self.count = count
        self._stop = get_context("loky").Event()
        payload = cloudpickle.dumps((before, cloudpickle.dumps(state)))
        self._executor = ProcessPoolExecutor(
            count,
            initializer=_begin,
            initargs=(payload, self._stop, os.getpid()),
            env={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )

    def submit(self, task: Callable[[Any, Any], Any], item: Any) -> Future[Any]:
        """The future of a task on the state and an item."""
        future: Future[Any] = self._executor.submit(_run, task, item)
        return future

    def ask_to_stop(self) -> None:
        """Let tasks that ask `stopping` end early."""
        self._stop.set()

    def stop(self) -> None:
        """End the processes when what they do is done, which is soon where it asks `stopping`."""
        self.ask_to_stop()
        try:
            self._executor.shutdown(wait=True)
        except BaseException:  # whoever asks for a second time does not want to wait
            self._executor.shutdown(kill_workers=True)
            raise

    def kill(self) -> None:
        """End the processes at once."""
        self._executor.shutdown(kill_workers=True)


def stopping() -> bool:
    """Whether this is a worker process whose driver stops, or is gone."""
    asked = _Worker.stop is not None and _Worker.stop.is_set()
    return asked or (_Worker.driver is not None and os.getppid() != _Worker.driver)


class _Worker:
    """What a process keeps between tasks: the state, or why it has none."""

    state: Any
    failure: Exception | None = None
    stop: Any = None
    driver: int | None = None


def _begin(payload: bytes, stop: Any, driver: int) -> None:
    # Ctrl-C goes to the whole group of processes; the driver stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.stop, _Worker.driver = stop, driver
    threading.Thread(target=_end_with_driver, daemon=True).start()
    try:
        before, state = pickle.loads(payload)
        if before is not None:
            before()
        _Worker.state = pickle.loads(state)
    except Exception as error:  # each task tells of it
        _Worker.failure = InputError(
            f"a worker process lacks something that this one has: {type(error).__name__}: {error}"
        )


def _end_with_driver() -> None:
    """Leave no process behind a driver that was killed; what asks `stopping` has time to end."""
    while os.getppid() == _Worker.driver:
        time.sleep(1)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


def _run(task: Callable[[Any, Any], Any], item: Any) -> Any:
    if _Worker.failure is not None:
        raise _Worker.failure
    return task(_Worker.state, item)
