"""The writer: a process that stores trials while the search goes on.

To store a trial in SQLite takes Optuna some 20 ms of Python, a few rows for each parameter, which
is longer than a small network takes to be scored. A thread would take that time from the same
interpreter; a process takes it from another core. It is started by name: to fork beside torch's
threads is unsafe, and `multiprocessing`'s other ways run a user's script a second time.

The process reads pickles from its standard input (address, study's name, lock file; then trials)
and answers each with a line.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import filelock
import optuna
from optuna.trial import FrozenTrial
from sqlalchemy import make_url

from archscout.errors import InputError
from archscout.runs.database import database_errors, shown

_READY, _STORED = b"ready\n", b"stored\n"

# What a slow disk may delay; little enough to fit into a pipe, which outlives a killed search.
_AHEAD = 8

# Optuna tries five times, with up to 2 s between: SQLite's own 5 s would make that half a minute.
_LOCKED_SECONDS = 0.5


class Writer:
    """Stores trials in order, in a process of its own; as a context, all of them by its end.

    Args:
        storage: address of the database.
        study: name of the study, which has to be there by the first trial.
        lock: a file that the process keeps locked while it may write: killed with the search or
            not, it ends only when everything it received is stored.

    Attributes:
        stored: how many trials are known to be stored.
    """

    def __init__(self, storage: str, study: str, lock: Path) -> None:
        self.stored = 0
        self._place = shown(storage)
        self._lock = lock
        self._sent = 0
        self._ready = False
        self._failure: str | None = None
        # The modules found there are those found here, whatever lies in the working directory.
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "archscout.runs.writer"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
            # Ctrl-C goes to a whole session, and what is on its way shall still be stored.
            start_new_session=True,
        )
        self._input: IO[bytes] = self._process.stdin  # type: ignore[assignment]
        self._answers: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        self._send((storage, study, str(lock)))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def store(self, trial: FrozenTrial) -> None:
        """Hand a trial over; waits while too many are on their way.

        Raises:
            InputError: an earlier one could not be stored, or the process has died.
        """
        # Before it has the lock, a run that is killed and resumed would not wait for it.
        while not self._ready or self._sent - self.stored >= _AHEAD:
            if not self._listen():
                self.close()
        self._send(trial)
        self._sent += 1

    def close(self) -> None:
        """Wait until all trials are stored and the process has ended.

        Raises:
            InputError: one could not be stored, or the process has died.
        """
        if self._process.returncode is not None:
            return
        self._input.close()
        while self._listen():
            pass
        self._answers.close()
        status = self._process.wait()
        self._lock.unlink(missing_ok=True)
        if self._failure is None and status != 0:
            self._failure = (
                f"study database {self._place}: the process that writes to it ended with status "
                f"{status}; what it had stored is kept, go on by --resume"
            )
        if self._failure is not None:
            raise InputError(self._failure)

    def _send(self, content: Any) -> None:
        # Without a buffer, what Ctrl-C cuts off is only ever an end, and so no wrong trial.
        data = memoryview(pickle.dumps(content))
        try:
            while data:
                data = data[self._input.write(data) :]
        except OSError:
            self.close()

    def _listen(self) -> bool:
        """Take in an answer; False when there are no more."""
        answer = self._answers.readline()
        if answer == _READY:
            self._ready = True
        elif answer == _STORED:
            self.stored += 1
        elif answer:
            self._failure = answer.decode(errors="replace").strip()
        return bool(answer)


def _main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    received = _received(sys.stdin.buffer)
    start = next(received, None)
    if start is None:
        return 0
    storage, name, lock = start
    with filelock.FileLock(lock):
        _answer(_READY)
        try:
            study: optuna.Study | None = None
            for trial in received:
                with database_errors(storage):
                    study = study or _open(storage, name)
                    study.add_trial(trial)
                _answer(_STORED)
        except InputError as error:
            _answer(f"{error}\n".encode())
            return 1
    return 0


def _received(source: IO[bytes]) -> Iterator[Any]:
    while True:
        try:
            content = pickle.load(source)
        except (EOFError, pickle.UnpicklingError):  # the search has ended, maybe within a word
            return
        yield content


def _answer(line: bytes) -> None:
    # There is nobody to hear it where the search was killed; what it sent is stored all the same.
    with suppress(OSError):
        os.write(sys.stdout.fileno(), line)


def _open(storage: str, name: str) -> optuna.Study:
    url = make_url(storage)
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite" and "timeout" not in url.query:
        options = {"connect_args": {"timeout": _LOCKED_SECONDS}}
    opened = optuna.storages.RDBStorage(storage, engine_kwargs=options)
    return optuna.load_study(storage=opened, study_name=name)


if __name__ == "__main__":
    sys.exit(_main())
