"""Files that a training goes on from."""

from pathlib import Path

import pytest
import torch

from archscout.errors import InputError
from archscout.training.checkpoints import Checkpoint, Checkpoints
from archscout.training.weights import remove_superseded


def test_the_newest_are_kept_however_many_digits_their_numbers_have(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for number in (98_000_000, 99_999_999, 100_000_001, 104_000_000):
        checkpoints.save(number, Checkpoint({}, {"number": number}))
    assert [path.stem for path in checkpoints.paths()] == [
        "checkpoint-100000001",
        "checkpoint-104000000",
    ]
    latest, damages = checkpoints.latest()
    assert latest is not None and latest.state == {"number": 104_000_000} and not damages


def test_a_file_of_another_name_is_older_than_all(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    (tmp_path / "checkpoint-mine.safetensors").write_bytes(b"")
    checkpoints.save(7, Checkpoint({}, {}))
    assert [path.stem for path in checkpoints.paths()] == ["checkpoint-mine", "checkpoint-00000007"]


def test_what_cannot_be_read_for_the_moment_is_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    path = checkpoints.save(7, Checkpoint({}, {"number": 7}))
    aside = path.rename(tmp_path / "aside")
    path.symlink_to(path)  # which can be opened by nobody
    with pytest.raises(InputError, match=f"cannot read {path}: "):
        checkpoints.latest()
    assert path.is_symlink()
    path.unlink()
    aside.rename(path)
    latest, damages = checkpoints.latest()
    assert latest is not None and latest.state == {"number": 7} and not damages


def test_tensors_of_all_types_are_kept(tmp_path: Path) -> None:
    kinds = (torch.bfloat16, torch.float32, torch.int8, torch.bool)
    tensors = {str(kind): torch.ones(2, 3).to(kind) for kind in kinds} | {"one": torch.tensor(1.5)}
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, Checkpoint(tensors, {}))
    latest, _ = checkpoints.latest()
    assert latest is not None and latest.tensors.keys() == tensors.keys()
    assert all(torch.equal(latest.tensors[name], tensors[name]) for name in tensors)


def test_files_of_others_are_no_weights_to_remove(tmp_path: Path) -> None:
    for name in ("best-1", "best-2", "best-3", "best-3 (copy)", "best-of-mine"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    remove_superseded(tmp_path, [(1, 3.0), (2, 2.0), (3, 1.0)])
    left = {path.stem for path in tmp_path.iterdir()}
    assert left == {"best-2", "best-3", "best-3 (copy)", "best-of-mine"}
