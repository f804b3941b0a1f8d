"""An executor of worker processes on this machine.

loky starts them anew (nothing is forked beside torch's threads), needs no guard in a user's script,
and says when one has died.
"""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import cloudpickle
from loky import ProcessPoolExecutor

from archscout.errors import InputError


def start(count: int, state: Any, before: Callable[[], None] | None) -> Executor:
    """So many processes that hold a state.

    Args:
        count: of processes, each with one thread of torch.
        state: that tasks of `run_task` are given.
        before: called in each process before the state is unpickled, such as to load the files that
            its classes come from.
    """
    payload = cloudpickle.dumps((before, cloudpickle.dumps(state)))
    return ProcessPoolExecutor(  # type: ignore[no-any-return]
        count, initializer=_begin, initargs=(payload,), env={"OMP_NUM_THREADS": "1"}
    )


def stop(executor: Executor, kill: bool) -> None:
    """End the processes, at once or when they are through with what they do."""
    executor.shutdown(kill_workers=kill)  # type: ignore[call-arg]


class _Worker:
    """What a process keeps between tasks: the state, or why it has none."""

    state: Any
    failure: Exception | None = None


def _begin(payload: bytes) -> None:
    # Ctrl-C goes to the whole group of processes; the driver stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        before, state = pickle.loads(payload)
        if before is not None:
            before()
        _Worker.state = pickle.loads(state)
    except Exception as error:  # each task tells of it
        _Worker.failure = InputError(
            f"a worker process lacks something that this one has: {type(error).__name__}: {error}"
        )


def run_task(task: Callable[[Any, Any], Any], item: Any) -> Any:
    """A task's result on the state that the process holds.

    Raises:
        InputError: the process has no state.
    """
    if _Worker.failure is not None:
        raise _Worker.failure
    return task(_Worker.state, item)
