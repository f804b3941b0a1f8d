"""Where a run's study is kept, and what is said where that cannot be used.

A run keeps its study in a journal of its own, a line of JSON for each proposal, or at an Optuna
storage address such as a PostgreSQL database's.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from archscout.errors import InputError
from archscout.folders import drop_torn_line, torn_end
from archscout.runs.study_lock import StudyLock

HIDDEN = "***"
JOURNAL = "journal:"
"""What the address of a journal begins with; its path follows."""

# Optuna tries five times, with up to 2 s between: SQLite's own 5 s would make that half a minute.
_LOCKED_SECONDS = 0.5

# The results of so long a computer that loses its power may lose; a killed process loses none.
_UNSAFE_SECONDS = 1.0

# How often the tables of a database are made, and the seconds between, where others make them, too.
_TRIES, _PAUSE = 10, 0.2

# Seconds between tries to write to a database that is away; within each, Optuna tries five times.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

# A server that does not answer, or no longer, is away after so many seconds (libpq's settings).
_CONNECTION = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

_ACCEPTED = "accepted is an address such as postgresql://USER@HOST/NAME or sqlite:////FOLDER/FILE"

# What helps, by words of SQLite and PostgreSQL; what stands first holds.
_ADVICE = {
    "locked": "wait for the process that holds it, or end that",
    "is full": "room on its disk is needed",
    "No space left": "room on its disk is needed",
    "unable to open": "a folder that is there, and a file that may be written, are needed",
    "readonly": "a file that may be written is needed",
    "malformed": "the file is damaged",
    "not a database": "the file is another, or damaged",
    "does not exist": "it is to be made first",
    "permission denied": "a user who may make tables there is needed",
    "already exists": "another process makes its tables right now, so try again",
    "duplicate key": "another process makes its tables right now, so try again",
    "connect": "a server that runs there and lets you in is needed",
    "resolve": "a server that runs there and lets you in is needed",
}


def open_storage(
    address: str, writes: str | None = None, warn: Callable[[str], None] | None = None
) -> Journal | RDBStorage:
    """What lies at an address, which `close_storage` closes.

    Args:
        address: of a journal or a database.
        writes: name of the study that is written to, or None where nothing is. A journal that is
            not there is made then, and a line that a kill left without its end is taken away; a
            study in PostgreSQL is locked.
        warn: called with what the user should know of that.

    Raises:
        InputError: it cannot be opened, or is damaged.
    """
    with storage_errors(address):
        if not address.startswith(JOURNAL):
            database = _database(address)
            if writes is not None and database.engine.name == "postgresql":
                # By the connection that writes, so that who writes holds the study.
                event.listen(database.engine, "connect", StudyLock(shown(address), writes))
                database.engine.dispose()
            return database
        path = Path(address.removeprefix(JOURNAL))
        if torn_end(path) and writes is not None:
            drop_torn_line(path)
            if warn is not None:
                warn(f"{path}: the last line had no end, as after a kill, and was taken away")
        return Journal(path)


def close_storage(storage: Journal | RDBStorage) -> None:
    """Let go of what was opened: the connections, and a study's lock with them.

    Raises:
        InputError: what was written to a journal last cannot reach the disk.
    """
    if isinstance(storage, Journal):
        storage.wait_for_disk()
    else:
        storage.engine.dispose()


def _database(address: str) -> RDBStorage:
    """A database, its tables made unless they are there."""
    url = make_url(address)
    if url.drivername in ("postgres", "postgresql"):  # the driver that our extra brings
        url = url.set(drivername="postgresql+psycopg")
        address = url.render_as_string(hide_password=False)
    usual: Mapping[str, float] = {}
    if url.get_backend_name() == "sqlite":
        usual = {"timeout": _LOCKED_SECONDS}
    elif url.drivername.startswith("postgresql+psycopg"):
        usual = _CONNECTION
    connect = {name: value for name, value in usual.items() if name not in url.query}
    options = {"pool_pre_ping": True, "connect_args": connect}
    for _ in range(_TRIES - 1):
        try:
            return RDBStorage(address, engine_kwargs=options)
        except DBAPIError as error:
            if not _is_lost_race(error):
                raise
            time.sleep(_PAUSE)
    return RDBStorage(address, engine_kwargs=options)


def _is_lost_race(error: DBAPIError) -> bool:
    """Whether a table could not be made because another process made it meanwhile."""
    return isinstance(error, IntegrityError | ProgrammingError) or "already exists" in str(error)


class Journal(JournalStorage):
    """A journal that one process writes, which holds the lock of the run's folder.

    Args:
        path: of its file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lines = path, _Lines(str(path))
        super().__init__(self._lines)

    def wait_for_disk(self) -> None:
        """Have all that was written on the disk.

        Raises:
            InputError: it cannot get there.
        """
        with storage_errors(f"{JOURNAL}{self._path}"):
            self._lines.wait_for_disk()


class _Lines(JournalFileBackend):
    """A journal's lines.

    Optuna's own waits for the disk after each line, which can take a tenth as long as a score, and
    has a lock that stays after a kill.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path, self._is_safe, self._waited = path, True, time.monotonic()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        with open(self._path, "ab") as file:
            file.write("".join(lines).encode())
        self._is_safe = False
        if time.monotonic() - self._waited > _UNSAFE_SECONDS:
            self.wait_for_disk()

    def wait_for_disk(self) -> None:
        if not self._is_safe:
            with open(self._path, "r+b") as file:
                os.fsync(file.fileno())
            self._is_safe, self._waited = True, time.monotonic()


@contextmanager
def storage_errors(address: str) -> Iterator[None]:
    """Turn what goes wrong with a storage into an `InputError` that names it."""
    try:
        yield
    except (KeyError, TypeError) as error:
        if address.startswith(JOURNAL) and (damage := _damaged_line(address)):
            raise InputError(damage) from error
        if isinstance(error, TypeError):
            raise
        raise InputError(
            f"study database {shown(address)} does not hold the run's study"
        ) from error
    except optuna.exceptions.StorageInternalError as error:
        raise InputError(_broken(address, error.__cause__ or error)) from error
    except InputError:
        raise
    except (SQLAlchemyError, RuntimeError, ImportError, ValueError, OSError) as error:
        if address.startswith(JOURNAL):
            raise InputError(_broken_journal(address, error)) from error
        raise InputError(_broken(address, error)) from error


def write_persistently(
    address: str, write: Callable[[], object], warn: Callable[[str], None] | None
) -> None:
    """Write to a storage, and again with growing pauses where its server is away.

    Args:
        address: of the storage.
        write: one transaction; where its answer was lost, it is made twice.
        warn: called once where it is tried again.

    Raises:
        InputError: it cannot be written.
    """
    with storage_errors(address):
        for tries, pause in enumerate(_PAUSES):
            try:
                write()
                return
            except (optuna.exceptions.StorageInternalError, DBAPIError) as error:
                cause = error.__cause__ or error
                if not isinstance(cause, OperationalError) or address.startswith("sqlite"):
                    raise
                if not tries and warn is not None:
                    warn(f"{_broken(address, cause)}. Trying again for {sum(_PAUSES):.0f} s or so")
            time.sleep(pause)
        write()


def check_storage(address: str) -> None:
    """Make sure that a database can be opened, by another process too.

    Raises:
        InputError: it cannot.
    """
    with storage_errors(address):
        url = make_url(address)
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError(f"it would be in memory, and lost at the end; {_ACCEPTED}")
        close_storage(open_storage(address))


def shown(address: str) -> str:
    """The address as it is taken, with `***` for each password: what shows it is passed on."""
    if address.startswith(JOURNAL):
        return address.removeprefix(JOURNAL)
    try:
        url = make_url(address)
    except (SQLAlchemyError, ValueError):
        return "at the given address"
    inside = _password_names(url)
    if url.drivername == "postgres":  # which is taken as what SQLAlchemy calls it
        url = url.set(drivername="postgresql")
    elif url.password is None and not inside:
        return address
    url = url.update_query_dict(dict.fromkeys(inside, HIDDEN))
    return url.render_as_string(hide_password=True).replace("%2A%2A%2A", HIDDEN)


def _password_names(url: URL) -> list[str]:
    """The parts of an address's query that are passwords."""
    return [name for name in url.query if "pass" in name.lower()]


def _secrets(url: URL) -> list[str]:
    """The passwords in an address."""
    values = [url.password, *(url.query[name] for name in _password_names(url))]
    return [str(value) for value in values if value]


def _broken(address: str, error: BaseException) -> str:
    """What is wrong with a database, and what helps against that."""
    place = f"study database {shown(address)}"
    try:
        url = make_url(address)
    except (SQLAlchemyError, ValueError):  # a message could show a part of a password
        return f"{place}: it cannot be read; {_ACCEPTED}"
    if isinstance(error, ArgumentError):
        return f"{place}: there is no {url.get_backend_name()!r} to speak to; {_ACCEPTED}"
    if isinstance(error, ImportError):
        return f"{place}: {_missing(url.get_backend_name(), error.__cause__ or error)}"
    reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
    for secret in _secrets(url):
        reason = reason.replace(secret, HIDDEN)
    advice = next((advice for words, advice in _ADVICE.items() if words in reason), "")
    return f"{place}: {reason}" + (f"; {advice}" if advice else "")


def _missing(kind: str, error: BaseException) -> str:
    """Which driver is missing, and where it comes from."""
    name = getattr(error, "name", None) or error
    missing = f"its driver is missing ({name})"
    if kind not in ("postgres", "postgresql"):
        return f"{missing}; install it"
    if name == "psycopg2":
        return f"{missing}; postgresql:// takes that of pip install 'archscout[distributed]'"
    return f"{missing}; pip install 'archscout[distributed]' brings it"


def _broken_journal(address: str, error: Exception) -> str:
    """What is wrong with a journal."""
    path = Path(address.removeprefix(JOURNAL))
    if isinstance(error, OSError):
        needed = "room on its disk" if error.errno == errno.ENOSPC else "a file that may be written"
        return f"study {path}: {error.strerror or error}; {needed} is needed"
    return _damaged_line(address) or f"study {path}: {error}"


def _damaged_line(address: str) -> str | None:
    """Which line of a journal is damaged, and how many proposals stand before it."""
    path, before = Path(address.removeprefix(JOURNAL)), 0
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            record = json.loads(line)
            record["op_code"]
        except (ValueError, KeyError, TypeError):
            return (
                f"study {path}: line {number} is damaged, after {before} proposals; nothing was "
                f"changed. Cut the file off before that line, and --resume makes the others again"
            )
        before += "datetime_start" in record
    return None
