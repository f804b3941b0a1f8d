"""The address of a study's database, and its password."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from archscout import InputError
from archscout.runs import Run
from archscout.runs.storage import shown

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
