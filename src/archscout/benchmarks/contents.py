"""Which published file some content is, whether it is whole, and what is packed in it."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from archscout.benchmarks import packing
from archscout.benchmarks.catalogue import PublishedFile, checksums
from archscout.errors import InputError

SPLITS = ("train", "valid", "test")

ENCODER_CURVES = "BERT_benchmark_train_ablation.json"

_LOGS = "logs.zip"
# `ptb.char.train.txt` lies beside `ptb.train.txt` in published archives and is another corpus.
_SPLIT_FILE = re.compile(rf"(?:ptb\.)?({'|'.join(SPLITS)})\.txt")
_PENN_TREEBANK = re.compile("ptb|penn", re.IGNORECASE)
_QUOTED_LENGTH = 60
# What reading a damaged or encrypted archive raises.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def recognise(path: Path, content: bytes, files: Sequence[PublishedFile]) -> PublishedFile | None:
    """The published file that somebody's file is: by its checksum, or by its name and place.

    None if it is none. That the content is whole is not checked.
    """
    known = checksums(content)
    for file in files:
        if file.checksum in known:
            return file
    name, is_folder = path.absolute().name, path.is_dir()
    named = [file for file in files if file.basename == name and file.is_folder == is_folder]
    if path.name == _LOGS and named:
        return _archive_of_logs(path, content, named)
    if path.suffix == ".txt":
        named = [f for f in named if path.absolute().parent.name.startswith(f.source)]
    return named[0] if named else None


def _archive_of_logs(
    path: Path, content: bytes, files: Sequence[PublishedFile]
) -> PublishedFile | None:
    folder = path.absolute().parent.name
    placed = [file for file in files if PurePosixPath(file.name).parent.name == folder]
    try:
        dataset = _trained_on(content)
    except ValueError as error:
        if placed:
            return placed[0]
        raise InputError(f"cannot read {path}: {error}") from error
    texts = "wikitext-2" in dataset
    fitting = [file for file in files if ("wikitext-2" in file.name) == texts]
    chosen = [file for file in fitting if file in placed] or fitting
    if len(chosen) == 1:
        return chosen[0]
    names = " or ".join(str(PurePosixPath(file.name).parent) for file in files)
    raise InputError(
        f"cannot tell which archive {path} is (logs of {dataset or 'an unknown text'}); keep "
        f"upstream's folder name: {names}"
    )


def is_modified(file: PublishedFile, content: bytes) -> bool:
    """Whether content is known not to be as published: by its checksum, or by what a folder has."""
    if file.checksum:
        return file.checksum not in checksums(content)
    return bool(file.num_entries) and _num_entries(file, content) != file.num_entries


def _num_entries(file: PublishedFile, content: bytes) -> int:
    try:
        return len(packing.mapping(packing.members(content), file.summaries[0]))
    except ValueError:
        return 0


def check(file: PublishedFile, content: bytes) -> None:
    """Check that content which is not as published still is what a file should hold.

    Raises:
        ValueError: it is not; the message says why.
    """
    if not content:
        raise ValueError("it is empty")
    match file.suffix:
        case "":
            _check_folder(file, content)
        case ".csv":
            _check_table(file, content)
        case ".json":
            _check_entries(file, content)
        case ".zip":
            _check_archive(file, content)
        case _:
            _text(content)


def _check_folder(file: PublishedFile, content: bytes) -> None:
    texts = packing.members(content)
    summaries = [packing.mapping(texts, name) for name in file.summaries]
    for name in summaries[0]:
        packing.mapping(texts, packing.place_of(name))


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from error


def _check_table(file: PublishedFile, content: bytes) -> None:
    rows = csv.reader(io.StringIO(_text(content), newline=""))
    titles = tuple(title.strip() for title in next(rows, []))
    if titles[: len(file.columns)] != file.columns:
        raise ValueError(
            f"its columns begin with {', '.join(titles[: len(file.columns)])[:200]!r} instead of "
            f"{', '.join(file.columns)!r}"
        )
    if next(rows, None) is None:
        raise ValueError("it has no rows")


def _check_entries(file: PublishedFile, content: bytes) -> None:
    try:
        entries = json.loads(_text(content))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"it is not valid JSON: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError("it is no list of entries")
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or "id" not in entry:
            raise ValueError(f"its entry {i} has no id")
        if problem := entry_problem(entry, by_step=file.basename == ENCODER_CURVES):
            raise ValueError(f"its entry {i} {problem}")


def entry_problem(entry: Mapping[str, Any], by_step: bool = False) -> str | None:
    """What a trained encoder's entry has that is no number, and what is accepted; None if nothing.

    Args:
        entry: with an id; scores and time may be missing, and a number that is not known null.
        by_step: whether its scores are apart by steps of training.
    """
    scores = entry.get("scores", {})
    groups = {"scores": scores}
    if by_step and isinstance(scores, dict):
        if wrong := [step for step in scores if not step.isdecimal()]:
            return f"has scores of step {wrong[0]!r}; a whole number is accepted"
        groups = {f"scores of step {step}": found for step, found in scores.items()}
    numbers = [("time_to_train", entry.get("time_to_train"))]
    for name, found in groups.items():
        if not isinstance(found, dict):
            return f"has {_quoted(found)} as {name}; an object of numbers is accepted"
        numbers += found.items()
    for name, value in numbers:
        if value is not None and not _is_number(value):
            return f"has {_quoted(value)} as {name}; a number is accepted"
    return None


def _is_number(value: Any) -> bool:
    """Whether it is one, or a text that says one."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _quoted(value: object) -> str:
    return json.dumps(value)[:_QUOTED_LENGTH]


def _check_archive(file: PublishedFile, content: bytes) -> None:
    with _opened(content) as archive:
        damaged = archive.testzip()
    if damaged:
        raise ValueError(f"its member {damaged} is damaged")
    if file.basename == _LOGS:
        _trained_on(content)
    if file.corpus and not penn_treebank(content):
        raise ValueError(f"it holds no texts of {file.corpus}")


@contextmanager
def _opened(content: bytes) -> Iterator[zipfile.ZipFile]:
    """An archive; what is wrong with it raises ValueError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive
    except _ZIP_ERRORS as error:
        raise ValueError(f"it is no whole zip archive: {error}") from error


def _trained_on(content: bytes) -> str:
    """What the networks of an archive of logs were trained on: `data` of its first log.

    Raises:
        ValueError: it is no archive, or holds no log.
    """
    with _opened(content) as archive:
        name = next((n for n in _members(archive) if n.endswith(".json")), None)
        if name is None:
            raise ValueError("it holds no training logs")
        text = archive.read(name)
    try:
        log = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"its member {name} is not valid JSON: {error}") from error
    if not isinstance(log, dict) or "recepie" not in log:
        raise ValueError(f"its member {name} is no training log")
    return str(log.get("data", ""))


def _members(archive: zipfile.ZipFile) -> list[str]:
    """What an archive holds, without what macOS adds."""
    return [
        name
        for name in archive.namelist()
        if not name.startswith("__MACOSX/") and not PurePosixPath(name).name.startswith("._")
    ]


def penn_treebank(content: bytes) -> dict[str, bytes]:
    """The texts of the Penn Treebank in an archive, by split: all three, or none.

    They are taken by the name of a split, in or below a folder of the corpus's name. No member's
    path decides where anything is written.
    """
    with _opened(content) as archive:
        found: dict[str, str] = {}
        # Those least deep first.
        for name in sorted(_members(archive), key=lambda name: (name.count("/"), name)):
            match = _SPLIT_FILE.fullmatch(PurePosixPath(name).name)
            if match and _PENN_TREEBANK.search(name):
                found.setdefault(match[1], name)
        if set(found) != set(SPLITS):
            return {}
        return {split: archive.read(found[split]) for split in SPLITS}
