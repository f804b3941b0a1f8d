"""The folder of one evaluation: its settings, and every score as soon as it is there.

`evaluation.json` holds the settings and versions, `scores.jsonl` one line a network and draw.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from archscout.folders import ResultsFolder, StoredSettings, read_lines

SETTINGS = "evaluation.json"
SCORES = "scores.jsonl"
_LIBRARIES = ("archscout", "torch", "numpy", "scipy")


class EvaluationSettings(StoredSettings):
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

    WHAT = "evaluation"
    # More draws may be asked for than before.
    MAY_CHANGE = frozenset({"seeds", "minibatches"})

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


class Draw(NamedTuple):
    """One initialisation and one minibatch."""

    seed: int
    minibatch: int


class EvaluationFolder(ResultsFolder[EvaluationSettings]):
    """A folder of one evaluation.

    Args:
        path: the folder; made when something is first written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, EvaluationSettings, SETTINGS, SCORES, _LIBRARIES)

    def rows(self) -> list[dict[str, Any]]:
        """What has been scored, a row a network and draw; a torn last line is not among them.

        Raises:
            InputError: a line is damaged.
        """
        return read_lines(self.lines, dict)

    @contextmanager
    def appending(self) -> Iterator[Any]:
        """A function that adds one row; it is with the operating system when that returns."""
        with self.lines.open("a", encoding="utf-8") as file:

            def add(row: dict[str, Any]) -> None:
                file.write(json.dumps(row) + "\n")
                file.flush()

            yield add
