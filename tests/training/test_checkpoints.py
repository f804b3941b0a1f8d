"""Files that a training goes on from."""

from pathlib import Path

from archscout.training.checkpoints import Checkpoint, Checkpoints


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
