"""Corpora: texts from files, from folders, or by name, as tokens.

A text is tokenised as published (Serianni and Kalita, ACL 2023, released code; from Merity et al.,
2018): each line is split on whitespace and closed by `<eos>`.
"""

import difflib
import hashlib
import io
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import platformdirs

from archscout.errors import InputError
from archscout.text.vocabulary import EOS, Vocabulary


class KnownCorpus(NamedTuple):
    """What help texts say of a corpus that has a name."""

    description: str
    licence: str


CORPORA: Mapping[str, KnownCorpus] = {
    "python-docs": KnownCorpus(
        "the documentation topics that come with the running Python, always there",
        "PSF License Agreement",
    ),
    "wikitext-2": KnownCorpus(
        "good and featured articles of Wikipedia (Merity et al., 2017), once downloaded or added",
        "CC BY-SA 3.0",
    ),
    "ptb": KnownCorpus(
        "Penn Treebank, news prepared by Mikolov et al. (2010), once downloaded or added",
        "LDC User Agreement",
    ),
}
"""The corpora that `load_corpus` knows by name."""

_SPLITS = ("train", "valid", "test")
_WHOLE = "all"
_SPELLINGS = {"val": "valid", "validation": "valid"}
# At most one word before the split: `ptb.char.train.txt` lies beside `ptb.train.txt` in the
# published archive and is another corpus.
_SPLIT_FILE = re.compile(r"(?:[^.]+\.)?(train|valid|val|validation|test)\.(?:txt|tokens)")
_ACCEPTED = f"a text file, several of them, a folder, or one of {', '.join(CORPORA)}"


@dataclass(frozen=True)
class Corpus:
    """A text as tokens, whole or in splits, with what a run records of it.

    Attributes:
        name: What tables call it.
        splits: Each split's tokens: some of `train`, `valid` and `test`, or `all` for a text
            without splits.
        sha256: Over the files' bytes in order, as of `cat FILES | sha256sum`, in hexadecimal.
        sources: The files' absolute paths, or the built-in corpus's name.
        given: What `load_corpus` was given, paths absolute; it loads the same from that, splits
            included.
    """

    name: str
    splits: dict[str, tuple[str, ...]] = field(repr=False)
    sha256: str
    sources: tuple[str, ...]
    given: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """From where `load_corpus` loads it again: its name, or absolute paths."""
        return self.given or self.sources

    def names(self) -> tuple[str, ...]:
        """The splits that it has: train, valid and test in that order, or `all`."""
        return tuple(name for name in (*_SPLITS, _WHOLE) if name in self.splits)

    def tokens(self, split: str | None = None) -> list[str]:
        """The tokens of one split.

        Args:
            split: Its name. None stands for `test`, as published, or for the whole of a text
                without splits.

        Returns:
            The N tokens, line ends as `<eos>` among them.

        Raises:
            InputError: The corpus has no such split.
        """
        if split is None:
            split = _WHOLE if _WHOLE in self.splits else "test"
        if split not in self.splits:
            raise InputError(
                f"the text {self.name!r} has no split {split!r}; "
                f"name one that it has: {', '.join(self.splits)}"
            )
        return list(self.splits[split])

    def vocabulary(self, limit: int | None = None) -> Vocabulary:
        """The vocabulary over train, valid and test in that order, or over the whole text.

        It has so many entries at most as the limit of `Vocabulary.from_tokens` says, or every
        token of every split.

        Raises:
            InputError: `limit` is no whole number of at least 2.
        """
        return Vocabulary.from_tokens(
            chain.from_iterable(self.splits[name] for name in self.names()), limit
        )


def load_corpus(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    data_dir: Path | None = None,
) -> Corpus:
    """Load a text by name or from where it lies.

    A folder with train, valid or test parts (`train.txt`, `ptb.train.txt`, `wiki.train.tokens`;
    also `val` and `validation`) is a corpus with these splits; any other folder is one text of all
    the .txt and .md files in it and below, in sorted order. Files are UTF-8, with or without a
    byte-order mark; a line ends at LF, CR LF or CR and nowhere else.

    `python-docs` is the text of `pydoc_data.topics` in sorted order and as it stands, its markup
    (`*name*`, rows of asterisks under headings, grammar, examples) included. It changes with the
    version of Python, which is why a run records the hash.

    Args:
        source: A name in `CORPORA`, a file, a folder, or several files, which are joined in the
            order given. A name wins over a file or folder that is called the same; write `./ptb`
            for the latter.
        data_dir: The data folder, in which `wikitext-2` and `ptb` (or `text/wikitext-2`,
            `text/ptb`) are looked up: by default the environment's `ARCHSCOUT_DATA`, or else the
            user's data folder on this platform.

    Raises:
        InputError: The text is not there, cannot be read, is not UTF-8, has no words or only one
            distinct word, or a folder holds no text or two files for one split.
    """
    given = [source] if isinstance(source, str | os.PathLike) else source
    places = [os.fspath(place) for place in given]
    if not places or not all(places):
        raise InputError(f"{source!r} names no text; accepted is {_ACCEPTED}")
    if len(places) > 1:
        corpus = _from_files([Path(place) for place in places])
    elif places[0] in CORPORA:
        return replace(_from_name(places[0], data_dir), given=(places[0],))
    else:
        corpus = _from_path(places[0])
    return replace(corpus, given=tuple(os.path.abspath(place) for place in places))


def data_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder of published files: benchmarks' and the corpora that have names.

    It is what is given, or else the environment's `ARCHSCOUT_DATA`, or else the user's data folder
    on this platform. It need not exist.
    """
    place = given or os.environ.get("ARCHSCOUT_DATA") or platformdirs.user_data_dir("archscout")
    return Path(place)


class _Part(NamedTuple):
    """One file of a text."""

    split: str
    source: str
    content: bytes


def _from_name(name: str, data_dir: Path | None) -> Corpus:
    if name == "python-docs":
        return _assemble(name, [_Part(_WHOLE, name, _python_docs())])
    data = data_folder(data_dir)
    folders = [data / name, data / "text" / name]
    for folder in folders:
        if parts := _split_parts(folder):
            return _assemble(name, parts)
    raise InputError(
        f"the text {name!r} is in neither {str(folders[0])!r} nor {str(folders[1])!r}; get it by "
        f"`archscout data download {name}` or `archscout data add PATH`,\nor put its train.txt, "
        f"valid.txt and test.txt into one of them, or set ARCHSCOUT_DATA to the folder that holds "
        f"{name}, or give a path with a separator, such as ./{name}"
    )


def _python_docs() -> bytes:
    # Half a megabyte of text, which no other corpus needs.
    from pydoc_data.topics import topics

    return "\n".join(topics[topic] for topic in sorted(topics)).encode()


def _from_path(place: str) -> Corpus:
    path = Path(place)
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError as error:
        near = difflib.get_close_matches(place.lower(), CORPORA, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"no text {place!r}: it is no file, folder or known name{hint}\naccepted is {_ACCEPTED}"
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return _from_folder(path) if is_folder else _from_files([path])


def _from_folder(folder: Path) -> Corpus:
    parts = _split_parts(folder) or [_read(path, _WHOLE) for path in _text_files(folder)]
    if not parts:
        raise InputError(
            f"the folder {str(folder)!r} holds no text: accepted are train.txt, valid.txt and "
            "test.txt, or any .txt and .md files, also in folders below"
        )
    return _assemble(folder.absolute().name, parts)


def _split_parts(folder: Path) -> list[_Part]:
    """A folder's train, valid and test files, in this order; none where there is no folder."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error
    found: dict[str, Path] = {}
    for path in paths:
        if match := _SPLIT_FILE.fullmatch(path.name):
            split = _SPELLINGS.get(match[1], match[1])
            if split in found:
                raise InputError(
                    f"the folder {str(folder)!r} has two files for its {split} split, "
                    f"{found[split].name!r} and {path.name!r}; accepted is one"
                )
            found[split] = path
    return [_read(found[split], split) for split in _SPLITS if split in found]


def _text_files(folder: Path) -> list[Path]:
    """All .txt and .md files in a folder and below, in the same order on every platform."""

    # A part that cannot be read must not silently make another text of the same folder.
    def refuse(error: OSError) -> None:
        raise _unreadable(Path(error.filename), error) from error

    found = [
        Path(root, name)
        for root, _, names in os.walk(folder, onerror=refuse)
        for name in names
        if name.endswith((".txt", ".md"))
    ]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _from_files(paths: Sequence[Path]) -> Corpus:
    name = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
    return _assemble(name, [_read(path, _WHOLE) for path in paths])


def _read(path: Path, split: str) -> _Part:
    try:
        return _Part(split, str(path.absolute()), path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> InputError:
    reason = error.strerror if isinstance(error, OSError) else error
    return InputError(f"cannot read the text {str(path)!r}: {reason}; accepted is {_ACCEPTED}")


def _assemble(name: str, parts: Sequence[_Part]) -> Corpus:
    digest = hashlib.sha256()
    splits: dict[str, list[str]] = {}
    for part in parts:
        digest.update(part.content)
        splits.setdefault(part.split, []).extend(_tokenise(_decode(part)))
    for split, tokens in splits.items():
        _check_words(tokens, [part.source for part in parts if part.split == split])
    return Corpus(
        name=name,
        splits={split: tuple(tokens) for split, tokens in splits.items()},
        sha256=digest.hexdigest(),
        sources=tuple(part.source for part in parts),
    )


def _decode(part: _Part) -> str:
    offset = part.content.find(b"\0")
    if offset < 0:
        try:
            return part.content.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            offset = error.start
    raise InputError(
        f"{part.source!r} is not text: the byte {part.content[offset]:#04x} at offset {offset}; "
        "accepted is UTF-8 without NUL"
    )


def _tokenise(text: str) -> Iterator[str]:
    # Unlike str.splitlines, universal newlines leave form feeds and Unicode separators in a line.
    for line in io.StringIO(text, newline=None):
        # One string for each distinct token: a large text takes a fraction of the memory.
        yield from map(sys.intern, line.split())
        yield EOS


def _check_words(tokens: Sequence[str], sources: Sequence[str]) -> None:
    words = set(tokens) - {EOS}
    if len(words) > 1:
        return
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    place = f"{sources[0]!r}{more}"
    if not words:
        raise InputError(f"the text {place} is empty; accepted are at least two distinct words")
    raise InputError(
        f"nothing to learn from one token: the text {place} holds only {words.pop()!r:.40}; "
        "accepted are at least two distinct words"
    )
