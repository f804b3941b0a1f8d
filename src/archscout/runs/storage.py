"""Where a run's study is kept, and what is said where that cannot be used.

A run keeps its study in a journal of its own, a line of JSON for each proposal, or at an Optuna
storage address such as a PostgreSQL database's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from archscout.errors import InputError
from archscout.folders import drop_torn_line, torn_end

HIDDEN = "***"
JOURNAL = "journal:"
"""What the address of a journal begins with; its path follows."""

# Optuna tries five times, with up to 2 s between: SQLite's own 5 s would make that half a minute.
_LOCKED_SECONDS = 0.5


def open_storage(
    address: str, write: bool, warn: Callable[[str], None] | None = None
) -> BaseStorage:
    """What lies at an address.

    Args:
        address: of a journal or a database.
        write: a journal that is not there is made, and a line that a kill left without its end is
            taken away.
        warn: called with what the user should know of that.

    Raises:
        InputError: it cannot be opened, or is damaged.
    """
    with storage_errors(address):
        if address.startswith(JOURNAL):
            path = Path(address.removeprefix(JOURNAL))
            if torn_end(path) and write:
                drop_torn_line(path)
                if warn is not None:
                    warn(f"{path}: the last line had no end, as after a kill, and was taken away")
            # Optuna's own lock stays after a kill, and the run's folder has one.
            return JournalStorage(JournalFileBackend(str(path), _HeldByTheRun(str(path))))
        url = make_url(address)
        options = {}
        if url.get_backend_name() == "sqlite" and "timeout" not in url.query:
            options = {"connect_args": {"timeout": _LOCKED_SECONDS}}
        return RDBStorage(address, engine_kwargs=options)


class _HeldByTheRun(JournalFileOpenLock):
    """No file of its own: whoever writes has locked the run's folder."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


@contextmanager
def storage_errors(address: str) -> Iterator[None]:
    """Turn what goes wrong with a storage into an `InputError` that names it."""
    try:
        yield
    except KeyError as error:
        raise InputError(
            f"study database {shown(address)} does not hold the run's study"
        ) from error
    except optuna.exceptions.StorageInternalError as error:
        raise InputError(_broken(address, error.__cause__ or error)) from error
    except (SQLAlchemyError, RuntimeError, ImportError, ValueError, OSError) as error:
        if address.startswith(JOURNAL):
            raise InputError(_broken_journal(address, error)) from error
        raise InputError(_broken(address, error)) from error


def check_storage(address: str) -> None:
    """Make sure that a database can be opened, by another process too.

    Raises:
        InputError: it cannot.
    """
    with storage_errors(address):
        url = make_url(address)
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError("it would be in memory, and lost at the end")
        open_storage(address, write=True)


def shown(address: str) -> str:
    """The address with `***` for each password in it, for files and messages are passed on."""
    if address.startswith(JOURNAL):
        return address.removeprefix(JOURNAL)
    try:
        url = make_url(address)
    except SQLAlchemyError:
        return "at the given address"
    inside = [name for name in url.query if "pass" in name.lower()]
    if url.password is None and not inside:
        return address
    url = url.update_query_dict(dict.fromkeys(inside, HIDDEN))
    return url.render_as_string(hide_password=True).replace("%2A%2A%2A", HIDDEN)


def _broken(address: str, error: BaseException) -> str:
    reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
    return (
        f"study database {shown(address)}: {reason}; "
        "a database that no other process has locked, with room to write, is needed"
    )


def _broken_journal(address: str, error: Exception) -> str:
    """Which line is damaged, if one is, and how many proposals stand before it."""
    path = Path(address.removeprefix(JOURNAL))
    if isinstance(error, OSError):
        return f"study {path}: {error.strerror or error}; a file with room to write is needed"
    before = 0
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            before += "datetime_start" in json.loads(line)
        except ValueError:
            return (
                f"study {path}: line {number} is damaged, after {before} proposals; nothing was "
                f"changed. Cut the file off before that line, and --resume makes the others again"
            )
    return f"study {path}: {error}"
