"""Folders of results: one process at a time writes there, a line of JSON for each result.

One file holds the settings and versions with which it was begun. A line is written whole or, if the
process is killed, left out when the file is read again.
"""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import filelock
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from archscout.errors import InputError, first_fault
from archscout.files import remove_leftovers, write_json

Row = TypeVar("Row")

_BLOCK = 1 << 16
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class StoredSettings(BaseModel):
    """Everything that decides what a folder holds.

    Attributes:
        WHAT: that is, such as `evaluation`.
        MAY_CHANGE: settings that may be others when it goes on.
    """

    model_config = ConfigDict(frozen=True)

    WHAT: ClassVar[str]
    MAY_CHANGE: ClassVar[frozenset[str]]

    def check_continues(self, other: StoredSettings) -> None:
        """Make sure that results of other settings belong with those of these.

        Raises:
            InputError: they do not; the message names what differs.
        """
        ours, theirs = self.model_dump(), other.model_dump()
        for name, value in ours.items():
            if name not in self.MAY_CHANGE and theirs[name] != value:
                raise InputError(
                    f"this {self.WHAT} was begun with {name} {theirs[name]!r}, now it is "
                    f"{value!r}; name another folder with --out"
                )

    def after(self, other: Self) -> Self:
        """The settings to keep where those before were others, which these continue."""
        return self


Settings = TypeVar("Settings", bound=StoredSettings)


class ResultsFolder(Generic[Settings]):
    """A folder of settings and of lines of results.

    Args:
        path: the folder; made when something is first written.
        kind: of its settings.
        mark: name of the file of settings.
        lines: name of the file of results.
        libraries: whose versions are kept with the settings.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        kind: type[Settings],
        mark: str,
        lines: str,
        libraries: tuple[str, ...],
    ) -> None:
        self.path = Path(path)
        self.lines = self.path / lines
        self._kind, self._mark, self._libraries = kind, mark, libraries

    @property
    def exists(self) -> bool:
        """Whether results were begun there."""
        return (self.path / self._mark).exists()

    @contextmanager
    def opened(self, settings: Settings, resume: bool) -> Iterator[None]:
        """Begin, or go on, while no other process does.

        Raises:
            InputError: the folder holds results and `resume` is false, or none and it is true, or
                some of other settings; it holds other files; another process writes to it; it
                cannot be written.
        """
        with claimed(self.path, self._mark, settings.WHAT, resume):
            known = [versions(self._libraries)]
            if self.exists:
                before = self.settings()
                settings.check_continues(before)
                settings, known = settings.after(before), self.versions()
            content = {"settings": settings.model_dump(), "versions": known}
            write_json(self.path / self._mark, content)
            drop_torn_line(self.lines)
            yield

    def note_versions(self) -> None:
        """Write down that the libraries of now go on with it, before they add to it."""
        known, now = self.versions(), versions(self._libraries)
        if now not in known:
            document = json.loads((self.path / self._mark).read_text(encoding="utf-8"))
            write_json(self.path / self._mark, document | {"versions": [*known, now]})

    def versions(self) -> list[dict[str, str]]:
        """The versions of libraries with which it was begun, and those it went on with."""
        found = json.loads((self.path / self._mark).read_text(encoding="utf-8")).get("versions", [])
        return [found] if isinstance(found, dict) else list(found)

    def remarks(self) -> Iterator[str]:
        """What whoever reads the results must know of the versions that made them."""
        used = self.versions()
        if len(used) > 1:
            said = "; then ".join(", ".join(f"{k} {v}" for k, v in each.items()) for each in used)
            yield f"Scores were taken by different versions, by which they may differ: {said}."

    def settings(self) -> Settings:
        """The settings with which it was begun.

        Raises:
            InputError: there are none, or they are damaged.
        """
        path = self.path / self._mark
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return self._kind.model_validate(content["settings"])
        except FileNotFoundError as error:
            raise InputError(
                f"{self.path} holds no {self._kind.WHAT} ({self._mark} is missing)"
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged: {error}") from error
        except ValidationError as error:
            raise InputError(f"{path} is damaged: settings.{first_fault(error)}") from error


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of these libraries, by name."""
    return {"python": platform.python_version()} | {name: version(name) for name in libraries}


@contextmanager
def claimed(path: Path, mark: str, what: str, resume: bool) -> Iterator[None]:
    """Hold a folder while no other process does; it is made if it is not there.

    Args:
        path: the folder.
        mark: name of the file that tells that it holds such results.
        what: these are, such as `evaluation`.
        resume: go on with those that are there.

    Raises:
        InputError: the folder holds such results and `resume` is false, or none and it is true; it
            holds other files; another process writes to it; it cannot be written.
    """
    check_free(path, mark, what, resume)
    with locked(path, f"another process writes to {path}"):
        check_free(path, mark, what, resume)  # another process may have written to it since
        yield


@contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Hold a folder while no other process does; it is made if it is not there.

    Args:
        path: the folder.
        taken: what is said where another process holds it.

    Raises:
        InputError: another process does, or it cannot be written.
        OSError: of something else that is done while it is held.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path / ".lock", timeout=0):
            remove_leftovers(path)
            yield
    except filelock.Timeout as error:
        raise InputError(taken) from error
    except OSError as error:
        if not _is_about(path, error):
            raise
        reason = error.strerror or error
        raise InputError(f"cannot write in {path}: {reason}; name another folder") from error


def _is_about(folder: Path, error: OSError) -> bool:
    """Whether something could not be written there: what holds it does other work, too."""
    if not isinstance(error.filename, str | bytes):
        return error.errno in _NO_ROOM
    name, place = Path(os.fsdecode(error.filename)).absolute(), folder.absolute()
    return name.is_relative_to(place) or place.is_relative_to(name)


def check_free(
    path: Path, mark: str, what: str, resume: bool = False, besides: Collection[str] = ()
) -> None:
    """Make sure that a folder can be begun, or gone on with.

    Args:
        path: the folder, which need not be there.
        mark: name of the file that tells that it holds such results.
        what: these are, such as `evaluation`.
        resume: whether results must be there, or else must not.
        besides: names of files that a beginning which was stopped may have left.

    Raises:
        InputError: it holds results or other files, or is to be gone on with and holds none; it is
            a file, or cannot be read.
    """
    if resume:
        check_there(path, mark, what)
        return
    article = "an" if what[0] in "aeiou" else "a"
    try:
        if (path / mark).exists():
            raise InputError(
                f"{path} already holds {article} {what}; go on with it by --resume, or name "
                "another folder with --out"
            )
        names = {entry.name for entry in path.iterdir() if not entry.name.startswith(".")}
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise InputError(f"{path} is a file; --out takes a folder") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if others := sorted(names.difference(besides)):
        raise InputError(
            f"{path} is not empty ({', '.join(others[:3])}) and holds no {what}; name another "
            "folder with --out"
        )


def check_there(path: Path, mark: str, what: str) -> None:
    """Make sure that a folder holds what is to be gone on with.

    Args:
        path: the folder.
        mark: name of the file that tells that it holds such results.
        what: these are, such as `evaluation`.

    Raises:
        InputError: it holds none, or cannot be read.
    """
    try:
        there, begun = path.exists(), (path / mark).exists()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not begun:
        problem = f"{path} holds no {what}" if there else f"there is no {path}"
        raise InputError(f"{problem} to go on with; without --resume one is begun")


def check_new(path: Path, advice: str) -> None:
    """Make sure that nothing lies at a place but an empty folder.

    Args:
        path: the place.
        advice: to whoever has something there.

    Raises:
        InputError: something does, or it cannot be read.
    """
    try:
        if file := next((above for above in path.parents if above.is_file()), None):
            raise InputError(f"cannot write {path}: {file} is a file, not a folder")
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path} is there already; {advice}")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def drop_torn_line(path: Path) -> bool:
    """Cut off a last line of JSON that a kill has left without its end.

    Args:
        path: the file, which need not be there.

    Returns:
        Whether there was one.

    Raises:
        InputError: what the file ends in is no line of JSON that was cut off.
    """
    try:
        end = torn_end(path)
    except ValueError as error:
        raise InputError(f"{error}; put it right, or name another folder") from error
    if end:
        os.truncate(path, path.stat().st_size - len(end))
    return bool(end)


def torn_end(path: Path) -> bytes:
    """What stands behind the last whole line of a file of JSON documents; empty if nothing does.

    Raises:
        ValueError: it is not the beginning of a document.
    """
    if not path.exists():
        return b""
    with path.open("rb") as file:
        size = end = file.seek(0, os.SEEK_END)
        tail = b""
        while end and b"\n" not in tail:
            end = max(0, end - _BLOCK)
            file.seek(end)
            tail = file.read(size - end)
    torn = tail[tail.rfind(b"\n") + 1 :]
    if torn and not torn.startswith(b"{"):
        raise ValueError(f"{path} ends in what is no line of JSON")
    return torn


def append_line(path: Path, document: Mapping[str, Any]) -> None:
    """Append a line of JSON to a file, which is on the disk when this returns."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(document, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_json(path: Path, kind: type[Row], missing: Row) -> Row:
    """What a JSON file holds, checked to be of that kind; `missing` where there is no file.

    Raises:
        InputError: it is damaged, or cannot be read.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        return missing
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValidationError as error:
        raise InputError(f"{path} is damaged: {first_fault(error)}") from error


def read_lines(path: Path, parse: Callable[[Any], Row], advice: str = "") -> list[Row]:
    """What is in a file of JSON lines, without a torn last one; nothing where there is no file.

    Args:
        path: the file.
        parse: what to make of a line's document.
        advice: to whoever has a damaged file.

    Raises:
        InputError: a line is no JSON, or `parse` raises KeyError, TypeError or ValueError.
    """
    if not path.exists():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(parse(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            hint = f"; {advice}" if advice else ""
            said = first_fault(error) if isinstance(error, ValidationError) else error
            raise InputError(f"{path}: line {number} is damaged: {said}{hint}") from error
    return rows
