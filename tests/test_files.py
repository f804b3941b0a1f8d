"""Writing files whole or not at all."""

from pathlib import Path

import pytest

from archscout import InputError
from archscout.files import new_folder, write_whole


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
