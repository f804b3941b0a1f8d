"""Folders of results: claimed, and read line by line."""

import errno
from pathlib import Path

import pytest

from archscout.errors import InputError
from archscout.folders import claimed, drop_torn_line, locked, read_lines


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with (
        claimed(path, "mark", "evaluation", False),
        pytest.raises(InputError, match="another process writes to"),
        claimed(path, "mark", "evaluation", False),
    ):
        pass
    with claimed(path, "mark", "evaluation", False):  # a lock that was left is none
        (path / "mark").write_text("")
    with (
        pytest.raises(InputError, match="already holds an evaluation; go on with it by --resume"),
        claimed(path, "mark", "evaluation", False),
    ):
        pass
    with claimed(path, "mark", "evaluation", True):
        pass


def test_only_what_cannot_be_written_there_is_said_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "out"
    full = OSError(errno.ENOSPC, "No space left on device")
    for error in (full, OSError(errno.EACCES, "Permission denied", str(path / "a" / "b"))):
        with pytest.raises(InputError, match=f"cannot write in {path}: {error.strerror}"):
            _fail(path, error)
    for error in (ConnectionResetError(errno.ECONNRESET, "reset"), FileNotFoundError(2, "", "/x")):
        with pytest.raises(type(error)):
            _fail(path, error)


def _fail(path: Path, error: OSError) -> None:
    with locked(path, "taken"):
        raise error


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("")
    with (
        pytest.raises(InputError, match=r"is not empty \(thesis.txt\) and holds no leaderboard"),
        claimed(tmp_path, "mark", "leaderboard", False),
    ):
        pass
    with (
        pytest.raises(InputError, match="holds no leaderboard to go on with; without --resume one"),
        claimed(tmp_path, "mark", "leaderboard", True),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with (
        pytest.raises(InputError, match=r"thesis.txt is a file; --out takes a folder"),
        claimed(tmp_path / "thesis.txt", "mark", "leaderboard", False),
    ):
        pass


@pytest.mark.parametrize("torn", ["", "{", '{"a": 3}'])
def test_a_torn_line_is_left_out(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "rows.jsonl"
    drop_torn_line(path)
    assert read_lines(path, dict) == []
    whole = '{"a": 1}\n{"a": 2}\n'
    path.write_text(whole + torn)
    assert read_lines(path, dict) == [{"a": 1}, {"a": 2}]
    drop_torn_line(path)
    assert path.read_text() == whole


@pytest.mark.parametrize("line", [b"{?", b"\xff", b"1", b'{"b": 1}', b'{"a": "x"}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b"\n")
    with pytest.raises(InputError, match=r"line 2 is damaged: .*; delete it"):
        read_lines(path, lambda row: int(row["a"]), "delete it")
