"""An executor of Ray tasks: a thin adapter, with bounded tries of what was lost with its worker.

Ray itself tries nothing again: it counts a worker that was killed for memory, one that died and a
node that was lost alike.
"""

from __future__ import annotations

import os
import pickle
import queue
import re
import socket
import sys
import threading
import time
import traceback
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cloudpickle
import ray
from ray import exceptions

from archscout.errors import InputError
from archscout.execution.cluster import Cluster, check_same, installed, node_name
from archscout.execution.lost import MAX_DEATHS, Lost
from archscout.execution.states import load_state

MAX_MOVES = 5
"""After so many nodes that were lost with a task, it counts as lost."""

# Without a node that has room for a worker, and without the head, before the run is stopped: Ray
# itself ends a process that has not found the head for a minute, without a word of ours.
_PATIENCE_SECONDS, _HEAD_SECONDS = 300.0, 20.0
_LOOK_SECONDS = 5.0
_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

_MEMORY, _DEATH, _NODE = "worker was killed for memory", "worker died", "node was lost"
_REASONS: dict[type[Exception], str] = {
    exceptions.OutOfMemoryError: _MEMORY,
    exceptions.WorkerCrashedError: _DEATH,
    exceptions.NodeDiedError: _NODE,
    exceptions.LocalRayletDiedError: _NODE,
    exceptions.ObjectLostError: _NODE,
}


@dataclass(eq=False)
class _Attempt:
    """A task with its future, and what it has been through."""

    packed: bytes
    future: Future[Any] = field(default_factory=Future)
    reference: Any = None
    deaths: int = 0
    moves: int = 0


class _Reply(NamedTuple):
    """What a worker sends back: a result, or an error as bytes, for Ray would change its class."""

    node: str
    warnings: list[str]
    result: Any = None
    error: bytes | None = None


class RayTasks:
    """Workers of a Ray cluster that hold a state.

    A thread of its own hands tasks to Ray, no more than may run and be next, and settles their
    futures.

    Args:
        cluster: where they run.
        state: that tasks are given; it is put into Ray's object store once.
        before: called in each worker before the state is unpickled.

    Raises:
        InputError: the cluster cannot be used.
    """

    def __init__(self, cluster: Cluster, state: Any, before: Callable[[], object] | None) -> None:
        self._cluster = cluster
        self._key = uuid.uuid4().hex
        begin = (installed(()), sys.path, cluster.alone_on is not None, before)
        self._state = ray.put(cloudpickle.dumps((*begin, cloudpickle.dumps(state))))
        self._remote = self._task()
        self._waiting: deque[_Attempt] = deque()
        self._running: set[_Attempt] = set()
        self._told: set[str] = set()
        self._asked_to_stop = False
        self._broken: BaseException | None = None
        self.count, self._in_hand = cluster.wanted(), cluster.in_hand()
        self._looked = self._had_room = self._answered = time.monotonic()
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _task(self) -> Any:
        """What is asked of Ray for a task, by the nodes that there are now."""
        return ray.remote(_work).options(
            **self._cluster.options(), max_retries=0, runtime_env={"env_vars": _THREADS}
        )

    def submit(self, task: Callable[[Any, Any], Any], item: Any) -> Future[Any]:
        """The future of a task on the state and an item."""
        attempt = _Attempt(cloudpickle.dumps((task, item)))
        self._waiting.append(attempt)
        self._events.put(_nothing)
        # Asked last: whatever breaks from now on finds the attempt among those that wait.
        if self._broken is not None:
            raise self._broken
        return attempt.future

    def ask_to_stop(self) -> None:
        """Interrupt what runs, as Ctrl-C does: a training ends early and returns its state."""

        def interrupt() -> None:
            self._asked_to_stop = True
            for attempt in self._running:
                ray.cancel(attempt.reference, force=False)

        self._events.put(interrupt)

    def stop(self) -> None:
        """Interrupt what runs, and let the cluster have its workers back."""
        self.ask_to_stop()
        self._events.put(None)
        self._thread.join()

    def _serve(self) -> None:
        try:
            while True:
                try:
                    event = self._events.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    event = _nothing
                if event is None:
                    return
                event()
                self._look()
                while self._waiting and len(self._running) < self._in_hand:
                    self._start(self._waiting.popleft())
        except BaseException as error:  # nobody waits for ever
            self._broken = error
            for attempt in [*self._running, *self._waiting]:
                if not attempt.future.done():
                    self._fail(attempt, error)

    def _start(self, attempt: _Attempt) -> None:
        if attempt.future.set_running_or_notify_cancel():
            self._running.add(attempt)
            self._send(attempt)

    def _send(self, attempt: _Attempt) -> None:
        if self._asked_to_stop:
            self._fail(attempt, CancelledError())
            return
        attempt.reference = self._remote.remote(self._key, [self._state], attempt.packed)
        done: Future[Any] = attempt.reference.future()
        done.add_done_callback(lambda done: self._events.put(lambda: self._settle(attempt, done)))

    def _settle(self, attempt: _Attempt, done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            self._take(attempt, done.result())
        elif isinstance(error, exceptions.TaskCancelledError) or self._asked_to_stop:
            self._fail(attempt, CancelledError())
        elif reasons := [said for kind, said in _REASONS.items() if isinstance(error, kind)]:
            self._try_again(attempt, reasons[0], error)
        else:
            # Where archscout cannot be imported, say: the last line is the reason.
            said = (str(getattr(error, "cause", "")).strip() or type(error).__name__).splitlines()
            self._fail(attempt, InputError(f"a worker of the Ray cluster failed: {said[-1]}"))

    def _take(self, attempt: _Attempt, reply: _Reply) -> None:
        for said in reply.warnings:
            if (warning := f"{reply.node}: {said}") not in self._told:
                self._told.add(warning)
                self._cluster.tell(warning)
        if reply.error is not None:
            self._fail(attempt, pickle.loads(reply.error))
            return
        self._running.discard(attempt)
        attempt.future.set_result(reply.result)

    def _fail(self, attempt: _Attempt, error: BaseException) -> None:
        self._running.discard(attempt)
        attempt.future.set_exception(error)

    def _try_again(self, attempt: _Attempt, reason: str, error: BaseException) -> None:
        """Send a task once more, if it may be tried again; it keeps its place among those at work.

        For a while Ray gives tasks to a node that is gone.
        """
        moved = reason == _NODE
        attempt.deaths, attempt.moves = attempt.deaths + (not moved), attempt.moves + moved
        if attempt.deaths == MAX_DEATHS or attempt.moves == MAX_MOVES:
            times = attempt.moves if moved else attempt.deaths
            self._fail(attempt, Lost(f"its {reason} {times} times"))
            return
        self._cluster.tell(f"A {reason}{_place_of(error)}; its task is tried again")
        pause = 2.0**attempt.moves if moved else 0.0
        again = threading.Timer(pause, self._events.put, [lambda: self._send(attempt)])
        again.daemon = True
        again.start()

    def _look(self) -> None:
        """How many workers there is room for by now."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        if not self._cluster.answers():
            if now - self._answered > _HEAD_SECONDS:
                raise InputError(
                    "the head of the Ray cluster does not answer any more; what is done is kept"
                )
            return
        self._answered, self.count = now, self._cluster.wanted()
        self._in_hand = self._cluster.in_hand()
        self._remote = self._task()
        if self.count or not (self._waiting or self._running):
            self._had_room = now
        elif now - self._had_room > _PATIENCE_SECONDS:
            raise InputError(
                "the Ray cluster has had no node with room for a worker for "
                f"{_PATIENCE_SECONDS / 60:g} minutes; what is done is kept"
            )


def _place_of(error: BaseException) -> str:
    """Where a worker or node was lost, as far as Ray says it."""
    address = re.search(r"IP: ([\w.:]+)", str(error))
    found = [
        node_name(node)
        for node in ray.nodes()
        if address is not None and node["NodeManagerAddress"] == address[1]
    ]
    return f" on {found[0]}" if found else ""


def _nothing() -> None:
    pass


class _Worker:
    """What a worker keeps between tasks."""

    key: str | None = None
    state: Any = None


def _work(key: str, box: list[Any], packed: bytes) -> _Reply:
    """Run a task in a worker; its warnings, and perhaps its error, go back with its result."""
    node = socket.gethostname()
    with warnings.catch_warnings(record=True) as caught:
        try:
            with _lacking(node):
                if _Worker.key != key:
                    _Worker.state = _opened(node, ray.get(box[0]))
                    _Worker.key = key
                task, item = pickle.loads(packed)
            reply = _Reply(node, [], task(_Worker.state, item))
        except Exception as error:
            reply = _Reply(node, [], error=_packed(error))
    said = [f"{each.category.__name__}: {each.message}" for each in caught]
    return reply._replace(warnings=list(dict.fromkeys(said)))


def _opened(node: str, payload: bytes) -> Any:
    """The state, once the worker is as the driver is."""
    here, path, is_alone, before, state = pickle.loads(payload)
    check_same(node, installed(path), here)
    if is_alone:
        _take_usual_priority()
    if before is not None:
        before()
    return load_state(state)


def _take_usual_priority() -> None:
    """Run as a process of a user does: Ray's workers leave processors to others first."""
    if sys.platform == "win32" or (priority := os.nice(0)) <= 0:
        return
    try:
        os.nice(-priority)
    except PermissionError:
        warnings.warn(
            f"what is measured here runs at the low priority of Ray's workers (nice {priority}); "
            "start this node with RAY_worker_niceness=0 in the environment of `ray start`",
            stacklevel=1,
        )


@contextmanager
def _lacking(node: str) -> Iterator[None]:
    """Say of what cannot be loaded in a worker where that is."""
    try:
        yield
    except exceptions.RayError:
        raise
    except Exception as error:
        what = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        raise InputError(f"a worker on {node} cannot begin: {what}{error}") from error


def _packed(error: Exception) -> bytes:
    """An error as bytes, its own class where that can be packed."""
    error.add_note(f"In a worker:\n{traceback.format_exc()}")
    packed: bytes = cloudpickle.dumps(error)
    try:
        pickle.loads(packed)
    except Exception:
        packed = cloudpickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return packed
