"""A folder of GLUE's own files, as the benchmark's download unpacks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from archscout.errors import InputError
from archscout.training.glue.examples import Examples, TaskData
from archscout.training.glue.tasks import FileLayout, Task

_MRPC_TRAIN, _MRPC_TEST = "msr_paraphrase_train.txt", "msr_paraphrase_test.txt"
_MRPC_DEV = ("dev_ids.tsv", "mrpc_dev_ids.tsv")
_IDS = ("#1 ID", "#2 ID")


def read_task(task: Task, root: Path) -> TaskData:
    """Read one task.

    Lines with fewer columns than their file's first line are left out, as the benchmark's loaders
    do (QQP has some), and counted in the notes.

    Args:
        task: one of GLUE.
        root: the folder with a folder for each task (`CoLA`, `MNLI`, ...).
    """
    layout = task.files
    if layout is None:
        raise InputError(f"task {task.name!r} has no files in GLUE's layout; give its examples")
    if not root.is_dir():
        raise InputError(f"no folder {root} with GLUE's files ({layout.folder}/train.tsv, ...)")
    folder = root / layout.folder
    is_original = (folder / _MRPC_TRAIN).exists() and not (folder / "train.tsv").exists()
    if task.name == "mrpc" and is_original:
        return _read_original_mrpc(task, layout, folder)
    notes: list[str] = []
    paths = {part: folder / name for part, name in layout.parts.items()}
    for part, path in paths.items():
        if not path.is_file():
            raise InputError(f"task {task.name} lacks its part {part}: there is no {path}")
    parts = {part: _read(task, layout, path, notes) for part, path in paths.items()}
    return TaskData(parts.pop("train"), parts, tuple(notes))


def _read_original_mrpc(task: Task, layout: FileLayout, folder: Path) -> TaskData:
    """The corpus as Microsoft gave it out; GLUE took its dev part out of the train part."""
    notes: list[str] = []
    rows = list(
        _rows(folder / _MRPC_TRAIN, layout, [*layout.sentences, layout.label, *_IDS], notes)
    )
    listed = next((folder / name for name in _MRPC_DEV if (folder / name).is_file()), None)
    if listed is not None:
        with _opened(listed) as file:
            held_out = {tuple(line.split()) for line in file if line.strip()}
        train = [row for row in rows if tuple(row.cells[3:]) not in held_out]
        dev = [row for row in rows if tuple(row.cells[3:]) in held_out]
        if not dev:
            raise InputError(f"{listed} names no pair of {_MRPC_TRAIN}; accepted are pairs of ids")
    else:
        path = folder / _MRPC_TEST
        if not path.is_file():
            raise InputError(
                f"task {task.name} lacks its part dev: there is neither {folder / 'dev.tsv'} nor "
                f"{_MRPC_DEV[0]} nor {_MRPC_TEST}"
            )
        train = rows
        dev = list(_rows(path, layout, [*layout.sentences, layout.label], notes))
        notes.append(f"evaluated on {_MRPC_TEST}, for there is no {_MRPC_DEV[0]} with GLUE's dev")
    return TaskData(
        _examples(task, layout, train), {"dev": _examples(task, layout, dev)}, tuple(notes)
    )


class _Row(NamedTuple):
    """The cells that are wanted of one line, and where it stands."""

    path: Path
    line: int
    cells: list[str]


def _read(task: Task, layout: FileLayout, path: Path, notes: list[str]) -> Examples:
    return _examples(task, layout, _rows(path, layout, [*layout.sentences, layout.label], notes))


def _examples(task: Task, layout: FileLayout, rows: Sequence[_Row] | Iterator[_Row]) -> Examples:
    """Examples from rows of one or two sentences and a label."""
    paired = len(layout.sentences) == 2
    first, second, labels = list[str](), list[str](), list[float]()
    for row in rows:
        first.append(row.cells[0])
        if paired:
            second.append(row.cells[1])
        place = f"{row.path}, line {row.line}, column {layout.label!r}"
        labels.append(label_of(task, row.cells[len(layout.sentences)], place))
    return Examples(first, second if paired else None, labels)


def label_of(task: Task, text: str, place: str) -> float:
    """The number of a class, or the number itself where the task is regression."""
    if not task.is_regression:
        if text in task.labels:
            return task.labels.index(text)
        raise InputError(f"{place}: label {text!r}; accepted: {', '.join(task.labels)}")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= task.largest:
        raise InputError(f"{place}: label {text!r}; accepted are {task.accepted_labels}")
    return value


def _rows(
    path: Path, layout: FileLayout, wanted: Sequence[str], notes: list[str]
) -> Iterator[_Row]:
    """The wanted columns of every line that has as many as it should."""
    short: list[int] = []
    found = 0
    with _opened(path) as file:
        first = 1 if layout.titles else 2
        titles = list(layout.titles or (title.strip() for title in _cells(next(file, ""))))
        if missing := [title for title in wanted if title not in titles]:
            raise InputError(
                f"{path} lacks the column {' and '.join(map(repr, missing))}; its first line has "
                f"{', '.join(map(repr, titles)):.200}"
            )
        places = [titles.index(title) for title in wanted]
        for number, line in enumerate(file, first):
            cells = _cells(line)
            if len(cells) <= max(places):
                short += [number] if line.strip() else []
                continue
            found += 1
            yield _Row(path, number, [cells[place] for place in places])
    if not found:
        raise InputError(f"{path} has no examples; accepted are lines of {len(titles)} columns")
    if short:
        notes.append(
            f"{path.name}: {len(short)} of {found + len(short)} lines left out for having too few "
            f"columns, the first of them line {short[0]}"
        )


def _cells(line: str) -> list[str]:
    """A line's cells; quotes in them are text."""
    return line.rstrip("\r\n").split("\t")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file as text without a byte order mark; only a line feed ends a line."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            yield file
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}") from error
