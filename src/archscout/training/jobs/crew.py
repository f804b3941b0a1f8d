"""The crew: workers that are started, watched and stopped together."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from archscout.errors import InputError
from archscout.execution import check_workers
from archscout.training.jobs.queue import DEATHS, Claim, Outcome, Queue

_POLL_SECONDS = 0.5
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_TOLD_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a queue is.

    Attributes:
        total: trainings.
        outcomes: of those that ended, by name.
        claims: of those that are trained now.
    """

    total: int
    outcomes: dict[str, Outcome]
    claims: list[Claim]

    @classmethod
    def of(cls, queue: Queue) -> Standing:
        """Where that queue is now."""
        return cls(len(queue.jobs), queue.outcomes(), queue.claims())

    @property
    def failed(self) -> int:
        """Trainings that ended without a result."""
        return sum(outcome.problem is not None for outcome in self.outcomes.values())

    @property
    def done(self) -> float:
        """Trainings that ended, and the parts of the others that are done."""
        return len(self.outcomes) + sum(claim.done for claim in self.claims)

    @property
    def seconds_each(self) -> float | None:
        """Mean time of a training that did not fail; None before there is one."""
        times = [o.seconds for o in self.outcomes.values() if o.problem is None]
        return sum(times) / len(times) if times else None

    def seconds_left(self, workers: int | None = None) -> float | None:
        """What the rest will take; None where nothing tells.

        Args:
            workers: at it; by default those that are now.
        """
        workers = workers or len(self.claims)
        if self.seconds_each is None or (not workers and self.done < self.total):
            return None
        return (self.total - self.done) * self.seconds_each / max(workers, 1)


def run(
    queue: Queue,
    workers: int = 1,
    on_progress: Callable[[Standing], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> dict[str, Outcome]:
    """Train all that a queue holds; others may do so in the same folder at the same time.

    It ends when every job has: what other crews are at is waited for, and taken over if they die.

    Args:
        queue: of trainings; what is finished is not done again.
        workers: processes that train.
        on_progress: called every few seconds.
        on_warning: called with what the user should know.

    Returns:
        How the trainings ended, by the jobs' names.

    Raises:
        InputError: a worker cannot go on, such as for a full disk; what is finished is kept.
        KeyboardInterrupt: Ctrl-C; what was at hand has a checkpoint.
    """
    check_workers(workers)
    tell = on_progress or (lambda _: None)
    warn = on_warning or (lambda _: None)
    crew: list[_Worker] = []
    told, deaths, finished = 0.0, 0, len(queue.outcomes())
    try:
        while crew or _open(queue):
            # Others may be at the rest; what they leave is taken over.
            if len(crew) < min(workers, _open(queue)) and queue.is_free():
                crew.append(_Worker(queue))
            time.sleep(_POLL_SECONDS)
            for worker in list(crew):
                worker.pass_warnings(warn)
                status = worker.process.poll()
                if status is None:
                    continue
                crew.remove(worker)
                worker.end()
                worker.pass_warnings(warn)
                worker.check()
                if status:  # killed, or crashed in foreign code: another one takes its job over
                    done = len(queue.outcomes())
                    deaths, finished = (1 if done > finished else deaths + 1), done
                    if deaths > DEATHS * workers:
                        raise InputError(
                            f"{deaths} workers in a row ended with status {status} or the like and "
                            f"nothing was finished; to see why, run\n  {shlex.join(worker.command)}"
                        )
                    warn(f"a worker ended with status {status}; starting another")
            if time.monotonic() - told > _TOLD_SECONDS:
                tell(Standing.of(queue))
                told = time.monotonic()
    finally:
        for worker in crew:
            worker.stop()
        for worker in crew:
            worker.end()
            worker.pass_warnings(warn)
    tell(Standing.of(queue))
    return queue.outcomes()


def _open(queue: Queue) -> int:
    return sum(not queue.is_done(job) for job in queue.jobs)


class _Worker:
    """A worker's process, seen from outside."""

    def __init__(self, queue: Queue) -> None:
        threads = str(queue.plan.threads)
        # The modules found there are those found here, whatever lies in the working directory.
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._warnings: SimpleQueue[str] = SimpleQueue()
        self._errors: list[str] = []
        module = "archscout.training.jobs.worker"
        self.command = [sys.executable, "-P", "-m", module, str(queue.path)]
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths, **dict.fromkeys(_THREADS, threads)},
            text=True,
            errors="replace",
            # Ctrl-C goes to a whole session, and it is for the crew to pass it on.
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:  # printed by a library
                continue
            if not isinstance(message, dict):
                continue
            if "warning" in message:
                self._warnings.put(message["warning"])
            elif "error" in message:
                self._errors.append(message["error"])

    def pass_warnings(self, warn: Callable[[str], None]) -> None:
        """Hand on what the worker has said."""
        while True:
            try:
                warn(self._warnings.get_nowait())
            except Empty:
                return

    def check(self) -> None:
        """Raise what the worker stopped for, if it said so."""
        if self._errors:
            raise InputError(self._errors[0])

    def stop(self) -> None:
        """Ask the worker to write a checkpoint and end."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self) -> None:
        """Wait until the worker has ended."""
        self.stop()
        self.process.wait()
        self._listener.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
