"""The data folder: published files are added or downloaded to it, found in it, and verified.

A file lies where its source's checkout has it, so that a folder of checkouts is a data folder. A
file under its final name is always whole: it is written under another name first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archscout.benchmarks import contents
from archscout.benchmarks.catalogue import FILES, PublishedFile, checksums, select
from archscout.benchmarks.disk import candidates, content_of, discard, put, read, read_bytes, write
from archscout.benchmarks.downloading import ProgressBar, fetch
from archscout.errors import InputError
from archscout.text.corpora import data_folder

Progress = Callable[[PublishedFile], ProgressBar]
"""Makes the progress bar of one download."""

_WRITTEN = ("added", "downloaded", "replaced")  # what a change is called that wrote a file


@dataclass(frozen=True)
class StoredFile:
    """A published file as it lies in a data folder.

    Attributes:
        file: what it is.
        path: where it lies.
        size: in bytes.
        modified: whether its content differs from what was published.
    """

    file: PublishedFile
    path: Path
    size: int
    modified: bool


@dataclass(frozen=True)
class Status:
    """Whether a data folder has a published file.

    Attributes:
        file: the published file.
        path: where it lies or would lie.
        stored: it, None if it is absent.
    """

    file: PublishedFile
    path: Path
    stored: StoredFile | None

    @property
    def state(self) -> Literal["present", "modified", "absent"]:
        """In one word."""
        if self.stored is None:
            return "absent"
        return "modified" if self.stored.modified else "present"


@dataclass(frozen=True)
class Change:
    """What adding or downloading one file did.

    Attributes:
        stored: the file as it now lies in the data folder.
        origin: where it came from, a path or an address.
        action: `added` or `downloaded`; `replaced`, where another content was there before;
            `present`, where it was there already; `kept`, where the file was there as published
            and what was given is modified.
        unpacked: of an archive of texts, where those of its corpus lie; empty where none were
            found in it.
    """

    stored: StoredFile
    origin: str
    action: Literal["added", "downloaded", "replaced", "present", "kept"]
    unpacked: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Verified:
    """What verifying one file showed.

    Attributes:
        stored: the file.
        problem: why it cannot be used; None if it can be, modified or not.
    """

    stored: StoredFile
    problem: str | None


class DataFolder:
    """A folder of published files.

    Args:
        path: of the folder, which need not exist; by default the environment's `ARCHSCOUT_DATA`,
            or else the user's data folder on this platform.
        files: what can lie in it.

    Attributes:
        path: of the folder.
        files: what can lie in it.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, files: Sequence[PublishedFile] = FILES
    ) -> None:
        self.path = data_folder(path)
        self.files = tuple(files)

    def find(self, name: str) -> StoredFile:
        """Find a published file.

        Args:
            name: of the file.

        Raises:
            InputError: there is no such published file, or it is absent or cannot be read; the
                message says how to get it.
        """
        return self.read(name)[1]

    def holds(self, name: str) -> bool:
        """Whether a published file is there, modified or not.

        Raises:
            InputError: there is no such published file.
        """
        file = self._file(name)
        place = self._place(file)
        return os.path.isfile(place / file.summaries[0] if file.is_folder else place)

    def read(self, name: str) -> tuple[bytes, StoredFile]:
        """Read a published file once.

        Returns:
            The content, and what `find` tells of exactly this content.

        Raises:
            InputError: as for `find`.
        """
        file = self._file(name)
        place = self._place(file)
        try:
            content = content_of(file, place)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(
                f"{name} is not in the data folder {self.path}; `archscout data download {name}` "
                "gets it, `archscout data add PATH` adds your copy,\nand --data-dir or "
                "ARCHSCOUT_DATA names another data folder"
            ) from error
        except OSError as error:
            raise InputError(f"cannot read {place}: {error.strerror}") from error
        except ValueError as error:
            raise InputError(f"cannot read {place}: {error}") from error
        return content, self._stored(file, content)

    def status(self) -> list[Status]:
        """Every published file: whether it is present, modified or absent.

        Raises:
            InputError: a file cannot be read.
        """
        return [
            Status(f, self._place(f), self.find(f.name) if self.holds(f.name) else None)
            for f in self.files
        ]

    def verify(self) -> list[Verified]:
        """Every file that is there: whether it is as published, and else whether it can be used.

        Raises:
            InputError: a file cannot be read.
        """
        found = []
        for file in self.files:
            if self.holds(file.name):
                content, stored = self.read(file.name)
                is_known = bool(file.checksum) and not stored.modified
                problem = None if is_known else _problem(file, content)
                found.append(Verified(stored, problem))
        return found

    def add(self, *sources: str | os.PathLike[str]) -> list[Change]:
        """Copy published files into the data folder.

        They are known by their checksum, or by name and content; what is neither is passed over in
        folders. A file whose content is valid but not as published is added and marked as
        modified, but never over the file as published. Of an archive of texts, the texts of its
        corpus are unpacked.

        Args:
            *sources: files, folders, or whole checkouts of what was published.

        Returns:
            What was done, a file each.

        Raises:
            InputError: nothing is recognised; a file is damaged; two files claim to be the same
                published file; the data folder cannot be written. Files added before stay.
        """
        changes: list[Change] = []
        for file, origin in self._claims([Path(source) for source in sources]).items():
            with _saying_what_stays(changes):
                changes.append(self._add(file, origin))
        return changes

    def download(
        self, names: Iterable[str] | None = None, progress: Progress | None = None
    ) -> list[Change]:
        """Download published files that are absent or not as published.

        Args:
            names: of files, of a source (all of its files), or of a corpus; all files if None.
            progress: is asked for a progress bar for each file that is fetched.

        Returns:
            What was done, a file each.

        Raises:
            InputError: an unknown name; the network failed or sent another content; the data
                folder cannot be written. Files downloaded before stay, and one that was replaced
                is still there if its download fails.
        """
        changes: list[Change] = []
        for file in self.files if names is None else select(names, self.files):
            with _saying_what_stays(changes):
                changes.append(self._download(file, progress))
        return changes

    def _file(self, name: str) -> PublishedFile:
        for file in self.files:
            if file.name == name:
                return file
        select([name], self.files)  # raises, unless the name is of several files
        raise InputError(f"{name!r} is no single published file; see `archscout data list`")

    def _place(self, file: PublishedFile) -> Path:
        return self.path / file.path

    def _stored(self, file: PublishedFile, content: bytes) -> StoredFile:
        modified = contents.is_modified(file, content)
        return StoredFile(file, self._place(file), len(content), modified)

    def _claims(self, sources: Sequence[Path]) -> dict[PublishedFile, Path]:
        """Which published file is given where, by reading everything that may be one."""
        claims: dict[PublishedFile, Path] = {}
        claimed: dict[PublishedFile, frozenset[str]] = {}
        names = {file.basename: file.is_folder for file in self.files}
        for path, asked in candidates(sources, names):
            content = read(path)
            try:
                file = contents.recognise(path, content, self.files)
            except InputError:
                if asked:
                    raise
                continue
            if file is None:
                if asked:
                    raise InputError(_unrecognised(path))
                continue
            if not asked and _same(path, self._place(file)):
                continue
            if claimed.setdefault(file, checksums(content)) != checksums(content):
                raise InputError(
                    f"{claims[file]} and {path} both claim to be {file.name}, and differ; give one"
                )
            claims.setdefault(file, path)
        if not claims:
            raise InputError(_unrecognised(*sources))
        return claims

    def _add(self, file: PublishedFile, origin: Path) -> Change:
        content = read(origin)
        given = self._stored(file, content)
        is_known = bool(file.checksum) and not given.modified
        if not is_known and (problem := _problem(file, content)):
            raise InputError(f"cannot add {origin} as {file.name}: {problem}; nothing was replaced")
        there = self.read(file.name) if self.holds(file.name) else None
        if there and there[0] == content:
            return Change(given, str(origin), "present", self._unpack(file, content))
        if there and given.modified and not there[1].modified:
            return Change(there[1], str(origin), "kept")
        with self._writing(self._place(file)) as part:
            write(file, content, part)
            put(part, self._place(file))
        unpacked = self._unpack(file, content)
        return Change(given, str(origin), "replaced" if there else "added", unpacked)

    def _download(self, file: PublishedFile, progress: Progress | None) -> Change:
        there = self.holds(file.name)
        if there:
            content, stored = self.read(file.name)
            if not stored.modified and (file.checksum or not _problem(file, content)):
                return Change(stored, file.url, "present", self._unpack(file, content))
        with self._writing(self._place(file)) as part:
            fetch(file, part, progress(file) if progress else None)
            content = content_of(file, part)
            put(part, self._place(file))
        stored = self._stored(file, content)
        unpacked = self._unpack(file, content)
        return Change(stored, file.url, "replaced" if there else "downloaded", unpacked)

    def _unpack(self, file: PublishedFile, content: bytes) -> tuple[Path, ...]:
        """Write the texts of an archive's corpus to where the corpus is looked up by its name."""
        if file.corpus is None:
            return ()
        folder = self.path / file.corpus
        texts = contents.penn_treebank(content)
        return tuple(self._write_text(folder, split, text) for split, text in texts.items())

    def _write_text(self, folder: Path, split: str, text: bytes) -> Path:
        # A user's own file for the split, such as ptb.train.txt, stays the only one.
        own = folder / f"{folder.name}.{split}.txt"
        place = folder / f"{split}.txt"
        if own.is_file() or (place.is_file() and read_bytes(place) == text):
            return own if own.is_file() else place
        with self._writing(place) as part:
            part.write_bytes(text)
            os.replace(part, place)
        return place

    @contextmanager
    def _writing(self, place: Path) -> Iterator[Path]:
        """A name beside a file, to write it under; gone at the end, whatever happened."""
        part = place.with_name(f".{place.name}.{os.getpid()}.part")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield part
            finally:
                discard(part)
        except OSError as error:
            raise InputError(
                f"cannot write to the data folder {self.path}: {error.strerror or error}; name "
                "another by --data-dir or ARCHSCOUT_DATA"
            ) from error


@contextmanager
def _saying_what_stays(changes: Sequence[Change]) -> Iterator[None]:
    """Let the error about one file tell which ones before it are done."""
    try:
        yield
    except InputError as error:
        done = [change.stored.file.name for change in changes if change.action in _WRITTEN]
        if not done:
            raise
        raise InputError(f"{error}\n{', '.join(done)} before it: done, and kept") from error


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _problem(file: PublishedFile, content: bytes) -> str | None:
    """Why content that is not as published cannot be used; None if it can be."""
    try:
        contents.check(file, content)
    except ValueError as error:
        return str(error)
    return None


def _unrecognised(*sources: Path) -> str:
    places = ", ".join(map(str, sources))
    return (
        f"nothing to add in {places}: a published file is known by its name (logs.zip and the "
        "texts of wikitext-2\nby the folder's, too) or its checksum; `archscout data list` shows "
        "them"
    )
