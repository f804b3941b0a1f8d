"""Files, and folders of files that are kept as one, on disk: looked for, read and written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from archscout.benchmarks import packing
from archscout.benchmarks.catalogue import PublishedFile
from archscout.errors import InputError
from archscout.files import replace_folder

INFORMATION = "benchmark.json"
"""The file that marks a folder as a benchmark of one's own."""


def candidates(sources: Sequence[Path], names: Mapping[str, bool]) -> Iterator[tuple[Path, bool]]:
    """Files and folders that may be published ones, and whether the user named them one by one.

    Args:
        sources: what the user named.
        names: of what was published, and whether it is a folder.
    """
    for source in sources:
        if source.is_dir() and not names.get(source.absolute().name):
            yield from (
                (path, False) for path in _walk(source) if names.get(path.name) is path.is_dir()
            )
        else:
            yield source, True


def _walk(folder: Path) -> Iterator[Path]:
    """What is in a folder and below, in the same order everywhere.

    Hidden folders are left out, and what lies in benchmarks of one's own: it is named as published.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"cannot read {error.filename}: {error.strerror}") from error

    for root, folders, names in os.walk(folder, onerror=refuse):
        if INFORMATION in names:
            folders[:] = []
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in folders)
        yield from (path for name in sorted(names) if (path := Path(root, name)).is_file())


def read_bytes(path: Path) -> bytes:
    """What a file holds; InputError, if it cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read {path}: {reason}") from error


def read(path: Path) -> bytes:
    """What a file, or a folder of files, holds; InputError, if it cannot be read."""
    if not path.is_dir():
        return read_bytes(path)
    try:
        return packing.pack(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def content_of(file: PublishedFile, place: Path) -> bytes:
    """What lies at a place; FileNotFoundError where it is not there."""
    if not file.is_folder:
        return place.read_bytes()
    if not (place / file.summaries[0]).is_file():
        raise FileNotFoundError(place)
    return packing.pack(place)


def put(part: Path, place: Path) -> None:
    """Give what was written its final name; what had it before goes."""
    if part.is_dir():
        replace_folder(part, place)
    else:
        os.replace(part, place)


def write(file: PublishedFile, content: bytes, part: Path) -> None:
    """Write a published file, or a folder, under a name that is not its own yet."""
    if file.is_folder:
        packing.unpack(content, part)
    else:
        part.write_bytes(content)


def discard(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
