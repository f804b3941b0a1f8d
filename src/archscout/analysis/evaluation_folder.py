"""The folder of one evaluation: its settings, and every score as soon as it is there.

`evaluation.json` holds the settings and versions, `scores.jsonl` one line a network and draw.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from archscout.analysis.folders import claimed, drop_torn_line, read_lines
from archscout.errors import InputError
from archscout.files import write_json

SETTINGS = "evaluation.json"
SCORES = "scores.jsonl"
_LIBRARIES = ("archscout", "torch", "numpy", "scipy")


class EvaluationSettings(BaseModel):
    """Everything that decides an evaluation's scores.

    Attributes:
        benchmark: its name.
        dataset: what its networks were trained on.
        space: of its architectures.
        text: the corpus, as given.
        text_sha256: of the corpus.
        metrics: names, as asked for.
        metric_files: files of Python that define metrics.
        scale: sizes of networks and minibatch.
        seeds: of the initialisations.
        minibatches: which of the text, from 0.
        objective: what gradients are taken of.
        split: of the corpus, None for the default.
        vocabulary_limit: of the vocabulary.
        tokenizer: of encoders, where it is not trained on the text.
        device: where networks run.
    """

    model_config = ConfigDict(frozen=True)

    benchmark: str
    dataset: str
    space: str
    text: tuple[str, ...]
    text_sha256: str
    metrics: tuple[str, ...]
    metric_files: tuple[str, ...] = ()
    scale: dict[str, Any]
    seeds: tuple[int, ...]
    minibatches: tuple[int, ...]
    objective: Literal["sum", "cotangent", "loss"]
    split: str | None = None
    vocabulary_limit: int | None = None
    tokenizer: str | None = None
    device: str = "cpu"

    @property
    def draws(self) -> list[Draw]:
        """Every initialisation with every minibatch, in the order in which they are scored."""
        return [Draw(seed, batch) for seed in self.seeds for batch in self.minibatches]

    def check_continues(self, other: EvaluationSettings) -> None:
        """Make sure that scores of other settings belong into one table with those of these.

        More draws may be asked for than before.

        Raises:
            InputError: they do not; the message names what differs.
        """
        ours, theirs = self.model_dump(), other.model_dump()
        for name, value in ours.items():
            if name not in ("seeds", "minibatches") and theirs[name] != value:
                raise InputError(
                    f"this evaluation was begun with {name} {theirs[name]!r}, now it is {value!r}; "
                    "name another folder with --out"
                )


class Draw(NamedTuple):
    """One initialisation and one minibatch."""

    seed: int
    minibatch: int


class EvaluationFolder:
    """A folder of one evaluation.

    Args:
        path: the folder; made when something is first written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @contextmanager
    def opened(self, settings: EvaluationSettings, resume: bool) -> Iterator[None]:
        """Begin an evaluation, or go on with one, while no other process does.

        Raises:
            InputError: the folder holds an evaluation and `resume` is false, or one of other
                settings; it holds other files; another process writes to it; it cannot be written.
        """
        with claimed(self.path, SETTINGS, "evaluation", resume):
            if (self.path / SETTINGS).exists():
                settings.check_continues(self.settings())
            self._begin(settings)
            yield

    def _begin(self, settings: EvaluationSettings) -> None:
        content = {
            "settings": settings.model_dump(),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in _LIBRARIES},
            },
        }
        write_json(self.path / SETTINGS, content)
        drop_torn_line(self.path / SCORES)

    def settings(self) -> EvaluationSettings:
        """The settings with which it was begun.

        Raises:
            InputError: there is no evaluation, or its settings are damaged.
        """
        path = self.path / SETTINGS
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return EvaluationSettings.model_validate(content["settings"])
        except FileNotFoundError as error:
            raise InputError(f"{self.path} holds no evaluation ({SETTINGS} is missing)") from error
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"{path} is damaged: settings.{place}: {first['msg']}") from error

    def rows(self) -> list[dict[str, Any]]:
        """What has been scored, a row a network and draw; a torn last line is not among them.

        Raises:
            InputError: a line is damaged.
        """
        return read_lines(self.path / SCORES, dict)

    @contextmanager
    def appending(self) -> Iterator[Any]:
        """A function that adds one row; it is with the operating system when that returns."""
        with (self.path / SCORES).open("a", encoding="utf-8") as file:

            def add(row: dict[str, Any]) -> None:
                file.write(json.dumps(row) + "\n")
                file.flush()

            yield add
