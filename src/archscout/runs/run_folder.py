"""The run folder: what a search leaves on disk.

`run.json` holds the settings, `study.jsonl` every proposal; `scores.parquet` and `best.json` are
made from them and can be made again. `unstored.jsonl` is there where the study could not be written
to: what was scored, and is stored when the run goes on.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import ValidationError

from archscout.errors import InputError, first_fault
from archscout.files import write_by, write_json, write_json_lines, write_whole
from archscout.folders import check_free, locked, read_lines, versions
from archscout.runs.search_settings import SearchSettings
from archscout.runs.storage import JOURNAL, shown
from archscout.text import Tokenizer

RUN = "run.json"
VOCABULARY = "vocabulary.json"
STUDY = "study.jsonl"
OLD_STUDY = "study.db"  # of earlier versions, which had a database of their own
TABLE = "scores.parquet"
BEST = "best.json"
UNSTORED = "unstored.jsonl"

T = TypeVar("T")

_LIBRARIES = ("archscout", "torch", "numpy", "optuna")
_TEXT = {"name", "sha256", "vocabulary_size"}  # what run.json must say of it


class RunFolder:
    """A folder of one run.

    Args:
        path: the folder; made when something is first written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def exists(self) -> bool:
        """Whether a run lies there."""
        return (self.path / RUN).exists()

    @property
    def storage(self) -> str:
        """The address of the folder's own study."""
        if (self.path / OLD_STUDY).exists():
            return f"sqlite:///{self.path.absolute() / OLD_STUDY}"
        return f"{JOURNAL}{self.path.absolute() / STUDY}"

    @property
    def has_study(self) -> bool:
        """Whether the folder holds a study."""
        return any((self.path / name).exists() for name in (STUDY, OLD_STUDY))

    def check_free(self, resume: bool) -> None:
        """Make sure that a run can be started here, or gone on with.

        Raises:
            InputError: the folder holds a run or other files, or is to be gone on with and holds
                none.
        """
        check_free(self.path, RUN, "run", resume, besides=(VOCABULARY,))

    def create(
        self,
        settings: SearchSettings,
        text: dict[str, Any],
        storage: str | None,
        vocabulary: Tokenizer,
    ) -> None:
        """Start a run: make the folder and write vocabulary.json and run.json.

        A password in the storage's address is not written.

        The study's name stays the same when the folder is moved, and differs from that of any
        other run in the same database.

        Raises:
            InputError: the folder cannot be written.
        """
        write_by(vocabulary.save, self.path / VOCABULARY)
        self.write(
            RUN,
            {
                "settings": settings.model_dump(),
                "storage": storage and shown(storage),
                "study": f"{self.path.absolute().name}-{secrets.token_hex(4)}",
                "text": text,
                "versions": versions(_LIBRARIES),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )

    def read(self) -> dict[str, Any]:
        """What run.json says, its settings as `SearchSettings`.

        Raises:
            InputError: there is no run, or run.json is damaged.
        """
        path = self.path / RUN
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content["settings"] = SearchSettings.model_validate(content["settings"])
            if missing := {"storage", "study", "text"} - content.keys():
                raise KeyError(min(missing))
            if not isinstance(content["storage"], str | None):
                raise TypeError(f"storage is {content['storage']!r}")
            if missing := _TEXT - content["text"].keys():
                raise KeyError(f"text.{min(missing)}")
        except FileNotFoundError as error:
            raise InputError(f"{self} holds no run ({RUN} is missing)") from error
        except NotADirectoryError as error:
            raise InputError(f"{self} is a file; a run is a folder") from error
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as e:
            raise InputError(f"{path} is damaged: {e}") from e
        except ValidationError as error:
            raise InputError(f"{path} is damaged: settings.{first_fault(error)}") from error
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        return content  # type: ignore[no-any-return]

    def update(self, **changes: Any) -> None:
        """Replace some entries of run.json."""
        content = json.loads((self.path / RUN).read_text(encoding="utf-8"))
        self.write(RUN, content | changes)

    def write(self, name: str, content: Any) -> None:
        """Write a file as JSON, whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        write_json(self.path / name, content)

    def write_table(self, table: pd.DataFrame) -> None:
        """Write scores.parquet, whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        write_whole(self.path / TABLE, table.to_parquet(index=False))

    def unstored(self, parse: Callable[[Any], T]) -> list[T]:
        """What was scored when the study could not be written to.

        Args:
            parse: what to make of a result.

        Raises:
            InputError: they are damaged.
        """
        advice = "without that file they are scored again"
        return read_lines(self.path / UNSTORED, parse, advice)

    def keep_unstored(self, results: Sequence[Mapping[str, Any]]) -> None:
        """Keep results that the study does not hold, in place of those that were kept.

        Raises:
            InputError: the folder cannot be written.
        """
        if results:
            write_json_lines(self.path / UNSTORED, results)
        else:
            (self.path / UNSTORED).unlink(missing_ok=True)

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from running in the same folder.

        Raises:
            InputError: one is, or the folder cannot be written.
        """
        return locked(self.path, f"another process runs in {self}; wait for it, or stop it")
