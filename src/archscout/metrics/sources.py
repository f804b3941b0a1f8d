"""Files of Python that define metrics: run once in a process, and carried to others."""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

from archscout.errors import InputError


def load_file(path: str | os.PathLike[str]) -> ModuleType:
    """Run a file of Python, such as one that defines metrics; once in a process.

    Returns:
        The file as a module.

    Raises:
        InputError: there is no such file, or it fails; the message names the line. Or it is another
            than when it was run.
    """
    place = str(Path(path).absolute())
    module = sys.modules.get(_module_name(place))
    if module is None:
        _load(_read([place]))
        return sys.modules[_module_name(place)]
    # Where a worker has it from elsewhere, there is none to compare with.
    if os.path.isfile(place) and _read([place])[place] != vars(module)[_SOURCE]:
        raise InputError(
            f"{place} has changed since this process ran it; put it back, or start another process"
        )
    return module


def _read(paths: Iterable[str | os.PathLike[str]]) -> dict[str, bytes]:
    """What files hold, by their absolute paths; InputError, if there is no such file."""
    found = {}
    for path in (Path(each).absolute() for each in paths):
        if not path.is_file():
            raise InputError(f"no file {str(path)!r}; a file of Python is accepted")
        found[str(path)] = path.read_bytes()
    return found


def sha256_of(paths: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """What files of metrics are known by, in hexadecimal.

    Raises:
        InputError: there is no such file.
    """
    return tuple(hashlib.sha256(content).hexdigest() for content in _read(paths).values())


def carried(
    paths: Sequence[str | os.PathLike[str]], sha256: Sequence[str] = ()
) -> Callable[[], None] | None:
    """What runs files of metrics in a process that cannot read them; None for no files.

    Args:
        paths: the files.
        sha256: what they were known by when they were run here; empty where that is not known.

    Raises:
        InputError: there is no such file, or it has changed.
    """
    if sha256 and sha256_of(paths) != tuple(sha256):
        names = ", ".join(str(path) for path in paths)
        raise InputError(f"a file of metrics has changed since it was run ({names}); put it back")
    return partial(_load, _read(paths)) if paths else None


def _load(sources: Mapping[str, bytes]) -> None:
    """Run what was read, wherever the files lie."""
    for path, source in sources.items():
        if _module_name(path) not in sys.modules:
            _run(path, source)


_SOURCE = "__archscout_source__"
"""Of a module that was made of a file: what the file held."""


def _module_name(path: str) -> str:
    return f"archscout_metrics_{hashlib.sha256(path.encode()).hexdigest()[:16]}"


def _run(path: str, source: bytes) -> None:
    name = _module_name(path)
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = path
    vars(module)[_SOURCE] = source
    try:
        exec(compile(source, path, "exec"), vars(module))
    except BaseException as error:  # whatever the user's own code raises
        del sys.modules[name]
        if isinstance(error, InputError) or not isinstance(error, Exception):
            raise
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
        line = frames[-1].lineno if frames else getattr(error, "lineno", None)
        raise InputError(f"{path}, line {line}: {type(error).__name__}: {error}") from error
