"""Writing files whole or not at all."""

import os
from pathlib import Path

import pytest

from archscout import InputError
from archscout.files import finishing, new_folder, remove_leftovers, write_whole


def test_a_folder_whose_place_is_taken_by_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=r"cannot write .*taken"):
        write_whole(tmp_path / "taken" / "new.txt", b"text")
    assert (tmp_path / "taken").read_text() == "a file"


def test_what_cannot_be_written_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    write_whole(tmp_path / "kept.txt", b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*folder"):
        write_whole(tmp_path / "folder", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "kept.txt"]
    assert (tmp_path / "kept.txt").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["", ".", "../here"])
def test_the_current_folder_is_not_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with (
        pytest.raises(InputError, match="is the current folder, which cannot be replaced"),
        new_folder(Path(name)),
    ):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "here"]


def test_a_folder_takes_the_place_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with new_folder(tmp_path / "link") as part:
        (part / "file").write_text("new")
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "real").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_what_a_kill_has_left_goes_once_it_is_old(tmp_path: Path) -> None:
    old = [tmp_path / ".a.1-x.part", tmp_path / "checkpoints" / ".b.1-x.part"]
    for path in (*old, tmp_path / ".c.1-x.part", tmp_path / "kept.part"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    (tmp_path / ".d.1-x.part.old").mkdir()
    for path in (*old, tmp_path / ".d.1-x.part.old", tmp_path / "kept.part"):
        os.utime(path, (0, 0))
    remove_leftovers(tmp_path)
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"checkpoints", ".c.1-x.part", "kept.part"}


def test_of_two_errors_the_first_is_told() -> None:
    def full() -> None:
        raise InputError("no space for the table")

    with pytest.raises(InputError, match="stopped after 3"), finishing(full):
        raise InputError("stopped after 3")
    with pytest.raises(InputError, match="no space for the table"), finishing(full):
        pass
