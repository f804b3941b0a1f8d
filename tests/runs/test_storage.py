"""The journal, the address of a study's database, and its password."""

import errno
import json
import os
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import optuna
import pandas as pd
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from archscout import InputError
from archscout.runs import Run, storage
from archscout.runs.storage import check_storage, shown, storage_errors

Hunt = Any  # a search with some usual arguments; see conftest.py


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("sqlite:////a b/ü.db?timeout=0.1", "sqlite:////a b/ü.db?timeout=0.1"),
        ("postgresql://me@host/studies", "postgresql://me@host/studies"),
        ("postgresql://me:secret@host:1/a?b=c", "postgresql://me:***@host:1/a?b=c"),
        ("mysql+pymysql://me:s%40cret@host/a", "mysql+pymysql://me:***@host/a"),
        ("postgresql:///a?user=me&password=secret", "postgresql:///a?password=***&user=me"),
        ("postgresql://me:***@host/a", "postgresql://me:***@host/a"),
        ("nonsense:secret", "at the given address"),
        ("postgresql://me:1@host:secret/a", "at the given address"),
    ],
)
def test_passwords_are_not_shown(address: str, expected: str) -> None:
    assert shown(address) == expected


@pytest.fixture
def secret(tmp_path: Path, hunt: Hunt) -> tuple[Path, str]:
    """A run of three proposals in a database whose address holds a password."""
    address = f"sqlite:///file:{tmp_path / 'my.db'}?uri=true&password=secret"
    hunt(tmp_path / "run", storage=address, trials=3)
    return tmp_path / "run", address


def test_a_password_is_not_written(secret: tuple[Path, str]) -> None:
    run, address = secret
    for path in run.iterdir():
        assert b"secret" not in path.read_bytes()
    kept = json.loads((run / "run.json").read_text())["storage"]
    assert kept == shown(address) and "password=***" in kept


def test_a_run_with_a_password_goes_on_where_it_is_given_again(
    secret: tuple[Path, str], hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, address = secret
    with pytest.raises(InputError, match=r"set ARCHSCOUT_STORAGE to the whole address$"):
        hunt(run, trials=14, resume=True)
    for other in (address.replace("my.db", "other.db"), f"sqlite:///{tmp_path / 'my.db'}"):
        with pytest.raises(InputError, match=r"keeps its study in sqlite.*my.db.*=\*\*\*") as e:
            hunt(run, trials=14, resume=True, storage=other)
        assert "secret" not in str(e.value)
    assert len(hunt(run, trials=6, resume=True, storage=address).trials) == 6
    monkeypatch.setenv("ARCHSCOUT_STORAGE", address)
    resumed, whole = hunt(run, trials=14, resume=True), hunt(tmp_path / "whole")
    pd.testing.assert_frame_equal(
        resumed.table.drop(columns="seconds"), whole.table.drop(columns="seconds")
    )


def test_a_run_with_a_password_is_read_by_the_environments(
    secret: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, address = secret
    with pytest.raises(InputError, match=r"set ARCHSCOUT_STORAGE to the whole address$"):
        _ = Run(run).trials
    monkeypatch.setenv("ARCHSCOUT_STORAGE", address.replace("my.db", "other.db"))
    with pytest.raises(InputError, match=r"ARCHSCOUT_STORAGE .*, not sqlite.*other.db") as caught:
        _ = Run(run).trials
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("ARCHSCOUT_STORAGE", address)
    assert len(Run(run).trials) == 3


def test_a_run_without_a_password_ignores_the_environments_address(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHSCOUT_STORAGE", "postgresql://me:secret@host/studies")
    hunt(tmp_path / "run", trials=2)
    assert len(Run(tmp_path / "run").trials) == 2


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(address: str, hunt: Hunt, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"study database sqlite.*: it would be in memory"):
        hunt(tmp_path / "run", storage=address)
    assert list(tmp_path.iterdir()) == []


# What is said of a database that cannot be used

ADDRESS = "postgresql://me:secret@127.0.0.1:1/studies"


def of_driver(kind: Any, said: str) -> Exception:
    """What SQLAlchemy raises for a driver's complaint."""
    return kind("select 1", {}, sqlite3.Error(said))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (of_driver(OperationalError, "database is locked"), "wait for the process that holds it"),
        (of_driver(OperationalError, "database or disk is full"), "room on its disk is needed"),
        (of_driver(OperationalError, "unable to open database file"), "a folder that is there"),
        (of_driver(OperationalError, "no such place\nIs it there?"), "no such place"),
        (of_driver(OperationalError, "connection failed: refused"), "a server that runs there"),
        (of_driver(OperationalError, "failed to resolve host 'h'"), "a server that runs there"),
        (of_driver(OperationalError, "file is not a database"), "the file is another, or damaged"),
        (of_driver(IntegrityError, "duplicate key value"), "try again"),
        (of_driver(ProgrammingError, "permission denied for schema"), "may make tables there is"),
        (RuntimeError("Please execute `optuna storage upgrade`"), "`optuna storage upgrade`"),
        (of_driver(OperationalError, "user me, password secret"), "user me, password ***"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_advice_is_of_the_cause(error: Exception, advice: str, wrapped: bool) -> None:
    with pytest.raises(InputError) as caught, storage_errors(ADDRESS):
        if wrapped:
            raise optuna.exceptions.StorageInternalError("commit") from error
        raise error
    message = str(caught.value)
    assert message.startswith("study database postgresql://me:***@127.0.0.1:1/studies: ")
    assert message.endswith(advice) or advice in message.rpartition("; ")[2]
    assert message.count("; ") <= 1 and "secret" not in message


def test_a_password_in_the_query_is_not_said() -> None:
    address = "postgresql:///a?user=me&password=secret"
    with pytest.raises(InputError, match=r"for \*\*\* at h") as caught, storage_errors(address):
        raise of_driver(OperationalError, "refused for secret at h")
    assert "secret" not in str(caught.value)


def test_another_driver_than_the_extras_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(InputError, match=r"missing \(psycopg2\); postgresql:// takes that of pip"):
        check_storage(ADDRESS.replace("postgresql", "postgresql+psycopg2"))


@pytest.mark.parametrize("kind", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_missing_driver_names_the_extra(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError) as caught:
        check_storage(ADDRESS.replace("postgresql", kind))
    assert "pip install 'archscout[distributed]'" in str(caught.value)
    assert "psycopg" in str(caught.value) and "lock" not in str(caught.value)


@pytest.mark.parametrize("address", ["postgresql://me:1@host:secret/a", "nonsense:secret", "x"])
def test_an_address_that_is_none_says_what_is(address: str) -> None:
    with pytest.raises(InputError, match=r"it cannot be read; .* postgresql://") as caught:
        check_storage(address)
    assert "secret" not in str(caught.value)


# Two searches that are the first in a database


def test_tables_that_are_made_meanwhile_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, lost = storage.RDBStorage, [IntegrityError, ProgrammingError, OperationalError]

    def opened(*arguments: Any, **options: Any) -> Any:
        if lost:
            raise of_driver(lost.pop(), "table studies already exists")
        return original(*arguments, **options)

    monkeypatch.setattr(storage, "RDBStorage", opened)
    monkeypatch.setattr(storage, "_PAUSE", 0)
    check_storage(f"sqlite:///{tmp_path / 'my.db'}")
    assert not lost


def test_tables_that_may_not_be_made_are_tried_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def opened(address: str, **_: Any) -> None:
        tries.append(address)
        raise of_driver(ProgrammingError, "permission denied for schema public")

    monkeypatch.setattr(storage, "RDBStorage", opened)
    monkeypatch.setattr(storage, "_PAUSE", 0)
    with pytest.raises(InputError, match="permission denied"):
        check_storage("postgres://me:secret@host/studies")
    # Whole, and by the driver that is installed with archscout.
    assert set(tries) == {"postgresql+psycopg://me:secret@host/studies"} and len(tries) == 10
    assert storage.shown("postgres://me@host/studies") == "postgresql://me@host/studies"


def test_an_empty_database_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    together = Barrier(4)

    def opened(number: int) -> None:
        together.wait()
        check_storage(f"sqlite:///{tmp_path / 'my.db'}?timeout=30")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(opened, range(4)))


# The journal and the disk


class Disk:
    """How often the disk was waited for with a file, and with how many lines of it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.is_full = path, False
        self.safe: list[int] = []
        self._original = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, number: int) -> None:
        if self.path.exists() and os.path.samestat(os.fstat(number), self.path.stat()):
            if self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.safe.append(len(self.path.read_bytes().splitlines()))
        self._original(number)


@pytest.mark.parametrize(("seconds", "lines"), [(-1.0, [1, 2, 3, 4, 5, 6, 7]), (3600.0, [7])])
def test_the_disk_is_waited_for_once_in_a_while_and_at_the_end(
    seconds: float,
    lines: list[int],
    hunt: Hunt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage, "_UNSAFE_SECONDS", seconds)
    disk = Disk(tmp_path / "run" / "study.jsonl", monkeypatch)
    hunt(tmp_path / "run", trials=6)
    # A line of the study, and one of each proposal.
    assert disk.safe == lines


def test_a_disk_that_is_full_at_the_end_is_named(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path / "run" / "study.jsonl", monkeypatch)
    disk.is_full = True
    with pytest.raises(InputError, match=r"study \S+study.jsonl: No space left on device; room "):
        hunt(tmp_path / "run", trials=3)
    disk.is_full = False
    assert len(hunt(tmp_path / "run", trials=3, resume=True).trials) == 3
