"""The folder of one discovery: its settings, and every generation as soon as it has ended.

`discovery.json` holds the settings and versions, `generations.jsonl` one line a generation, with
every candidate.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from archscout.analysis.folders import claimed, drop_torn_line, read_lines
from archscout.discovering.candidates import Candidate
from archscout.discovering.parts import SHARES
from archscout.errors import InputError
from archscout.files import write_json

SETTINGS = "discovery.json"
GENERATIONS = "generations.jsonl"
QUANTITIES = "quantities"
_LIBRARIES = ("archscout", "deap", "torch", "numpy", "scipy")
_MAY_CHANGE = ("generations", "candidates", "references")


class DiscoverySettings(BaseModel):
    """Everything that decides a discovery.

    Attributes:
        benchmark: its name.
        dataset: what its networks were trained on.
        space: of its architectures.
        text: the corpus.
        text_sha256: of the corpus.
        scale: sizes of networks and minibatch.
        references: metrics beside which the chosen formula is judged.
        objective: what gradients are taken of.
        quantities: that formulas may name; None for all that the networks have.
        shares: of the three parts.
        split_seed: of the parts.
        seed: of the initialisation, and of all that is drawn while breeding.
        generations: after the first one.
        population: formulas of a generation.
        penalty: that fitness pays for each quantity and operation of a formula.
        candidates: how many of the best formulas the second part chooses from.
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
    scale: dict[str, Any]
    references: tuple[str, ...]
    objective: Literal["sum", "cotangent", "loss"] = "sum"
    quantities: tuple[str, ...] | None = None
    shares: tuple[float, ...] = SHARES
    split_seed: int = 0
    seed: int = 0
    generations: int = 20
    population: int = 60
    penalty: float = 0.002
    candidates: int = 10
    split: str | None = None
    vocabulary_limit: int | None = None
    tokenizer: str | None = None
    device: str = "cpu"

    def check_continues(self, other: DiscoverySettings) -> None:
        """Make sure that generations of other settings are those of these.

        More generations may be asked for than before.

        Raises:
            InputError: they are not; the message names what differs.
        """
        ours, theirs = self.model_dump(), other.model_dump()
        for name, value in ours.items():
            if name not in _MAY_CHANGE and theirs[name] != value:
                raise InputError(
                    f"this discovery was begun with {name} {theirs[name]!r}, now it is {value!r}; "
                    "name another folder with --out"
                )


class DiscoveryFolder:
    """A folder of one discovery.

    Args:
        path: the folder; made when something is first written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @contextmanager
    def opened(self, settings: DiscoverySettings, resume: bool) -> Iterator[None]:
        """Begin a discovery, or go on with one, while no other process does.

        Raises:
            InputError: the folder holds a discovery and `resume` is false, or one of other
                settings; it holds other files; another process writes to it; it cannot be written.
        """
        with claimed(self.path, SETTINGS, "discovery", resume):
            if (self.path / SETTINGS).exists():
                settings.check_continues(self.settings())
            self._begin(settings)
            yield

    def _begin(self, settings: DiscoverySettings) -> None:
        versions = {name: version(name) for name in _LIBRARIES}
        content = {
            "settings": settings.model_dump(),
            "versions": {"python": platform.python_version(), **versions},
        }
        write_json(self.path / SETTINGS, content)
        drop_torn_line(self.path / GENERATIONS)

    def settings(self) -> DiscoverySettings:
        """The settings with which it was begun.

        Raises:
            InputError: there is no discovery, or its settings are damaged.
        """
        path = self.path / SETTINGS
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return DiscoverySettings.model_validate(content["settings"])
        except FileNotFoundError as error:
            raise InputError(f"{self.path} holds no discovery ({SETTINGS} is missing)") from error
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"{path} is damaged: settings.{place}: {first['msg']}") from error

    def generations(self) -> list[list[Candidate]]:
        """The candidates of every generation that has ended; a torn last line is not among them.

        Raises:
            InputError: a line is damaged.
        """
        return read_lines(self.path / GENERATIONS, _generation)

    def add(self, number: int, candidates: Sequence[Candidate]) -> None:
        """Store a generation; it is on the disk when this returns."""
        content = {"generation": number, "candidates": [entry.to_dict() for entry in candidates]}
        with (self.path / GENERATIONS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(content, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _generation(content: Any) -> list[Candidate]:
    return [Candidate(**entry) for entry in content["candidates"]]
