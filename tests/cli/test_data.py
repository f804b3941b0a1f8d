"""`archscout data`."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from archscout.benchmarks import DataFolder
from archscout.benchmarks.catalogue import FILES
from archscout.benchmarks.store import Change, StoredFile
from archscout.cli.data import _print_changes

Program = Any


@pytest.fixture
def upstream(shared: Path) -> Path:
    return shared / "upstream"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_list_fits_the_line_and_names_every_file(
    archscout: Program, upstream: Path, width: int
) -> None:
    result = archscout("data", "list", "--data-dir", upstream)
    assert result.code == 0
    assert all(len(line) <= width for line in result.lines[:-1])
    assert all(file.name in result.out for file in FILES)
    assert all(word in result.out for word in ("present", "modified", "absent", "CC BY-SA 3.0"))
    assert result.lines[-1] == f"16 of 22 files are in the data folder {upstream}"


def test_the_list_is_json_on_request(archscout: Program, upstream: Path) -> None:
    lines = archscout("data", "list", "--data-dir", upstream, "--json").lines
    found = {entry["name"]: entry for entry in map(json.loads, lines)}
    assert list(found) == [file.name for file in FILES]
    assert found["RNN_results.csv"]["state"] == "modified"
    assert found["RNN_results.csv"]["size"] == 1250730
    assert found["datasets.zip"]["size"] is None
    assert found["datasets.zip"]["git_blob"].startswith("cf3371ef")


def test_a_checkout_is_added_then_verified(archscout: Program, upstream: Path, data: Path) -> None:
    added = archscout("data", "add", upstream, "--data-dir", data)
    assert added.code == 0
    assert "RNN_batch_ablation.csv: added, 24.2 kB\n" in added.out
    assert "RNN_results.csv: added, 1.3 MB, modified (not as published)\n" in added.out
    verified = archscout("data", "verify", "--data-dir", data)
    assert verified.code == 1
    assert "RNN_results.csv: modified, its content is valid but not as published" in verified.out
    assert "RNN_batch_ablation.csv: as published" in verified.out
    assert "random_GPT2_wt103: modified, its content is valid" in verified.out
    assert "pareto_GPT2_lm1b_arm: can be read; no checksum of it is known" in verified.out
    assert verified.lines[-1].startswith("6 of 16 files")


def test_the_environment_names_the_folder(
    archscout: Program, upstream: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHSCOUT_DATA", str(data))
    file = upstream / "training-free-nas/data/RNN_batch_ablation.csv"
    (line,) = archscout("data", "add", file, "--json").lines
    assert json.loads(line) == {
        "name": "RNN_batch_ablation.csv",
        "path": str(data / "training-free-nas/data/RNN_batch_ablation.csv"),
        "size": file.stat().st_size,
        "modified": False,
        "action": "added",
        "from": str(file),
        "unpacked": [],
    }
    (line,) = archscout("data", "verify", "--json").lines
    assert json.loads(line)["state"] == "present"
    assert "already there" in archscout("data", "add", file).out
    assert archscout("data", "verify").code == 0
    assert "already there" in archscout("data", "download", "RNN_batch_ablation.csv").out


def test_a_damaged_file_is_told_apart(archscout: Program, upstream: Path, data: Path) -> None:
    place = data / "training-free-nas/data/BERT_benchmark.json"
    place.parent.mkdir(parents=True)
    place.write_bytes((upstream / "training-free-nas/data/BERT_benchmark.json").read_bytes()[:999])
    result = archscout("data", "verify", "--data-dir", data)
    assert result.code == 1
    assert "BERT_benchmark.json: damaged: it is not valid JSON" in result.out


def test_a_modified_file_that_is_not_taken_is_told(
    archscout: Program, upstream: Path, data: Path, tmp_path: Path
) -> None:
    published = upstream / "training-free-nas/data/RNN_batch_ablation.csv"
    archscout("data", "add", published, "--data-dir", data)
    other = tmp_path / "RNN_batch_ablation.csv"
    shutil.copy(published, other)
    other.chmod(0o600)
    other.write_bytes(other.read_bytes() + b"\n")
    result = archscout("data", "add", other, "--data-dir", data)
    assert result.code == 0
    assert f"{other} is modified, so the published file is kept" in result.out


def test_texts_of_an_archive_are_told(archscout: Program, data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "datasets.zip", "w") as archive:
        for split in ("train", "valid", "test"):
            archive.writestr(f"ptb/{split}.txt", "some news\n")
    result = archscout("data", "add", tmp_path / "datasets.zip", "--data-dir", data)
    assert f"datasets.zip: the texts of ptb lie in {data / 'ptb'}" in result.out


def test_of_an_archive_that_is_not_taken_no_texts_are_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (file,) = (each for each in FILES if each.name == "datasets.zip")
    stored = StoredFile(file, tmp_path / "datasets.zip", 9, False)
    _print_changes(DataFolder(tmp_path), [Change(stored, "other.zip", "kept")], as_json=False)
    printed = capsys.readouterr().out
    assert "the published file is kept" in printed and "found no texts" not in printed


def test_an_empty_folder_has_nothing_to_verify(archscout: Program, data: Path) -> None:
    result = archscout("data", "verify", "--data-dir", data)
    assert (result.code, result.out) == (0, f"No published file is in the data folder {data}\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "absent"), "cannot read absent: No such file or directory"),
        (("add",), "Missing argument"),
        (("download", "RNN_result.csv"), "did you mean RNN_results.csv?"),
        (("lst",), "No such command 'lst'"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    archscout: Program, data: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    options = () if arguments == ("lst",) else ("--data-dir", data)
    result = archscout("data", *arguments, *options)
    assert result.code == 2
    assert complaint in result.err
    assert result.err.count("\n") <= 2


@pytest.mark.parametrize("command", ["list", "download", "add", "verify"])
def test_every_command_has_help_with_examples(archscout: Program, command: str) -> None:
    result = archscout("data", command, "--help")
    assert result.code == 0
    assert "Example" in result.out
    assert f"archscout data {command}" in result.out
