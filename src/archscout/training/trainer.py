"""What trains the architectures of a space: the interface that a space with training fills."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from archscout.errors import InputError
from archscout.spaces.base import Space
from archscout.training.training_folder import TrainingFolder
from archscout.training.training_settings import Preset, Settings

S = TypeVar("S", bound=Settings)


class Measure(NamedTuple):
    """What trained networks are compared by.

    Attributes:
        name: as in tables; less of it is better.
        is_exponential: whether it is e to the power of the loss, as a perplexity is, or the loss.
    """

    name: str
    is_exponential: bool


class Summary(NamedTuple):
    """What is said of a finished training.

    Attributes:
        sentence: how long it took, why it ended, and what was best.
        title: of the table.
        columns: titles, of which the first is that of the rows' names.
        rows: a cell for each column.
    """

    sentence: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Trained(Protocol):
    """A trained network."""

    @property
    def folder(self) -> TrainingFolder:
        """The folder where it lies, with its records (metrics.jsonl) and its result.json."""

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as result.json holds them: `losses` by part of the text and name, ..."""


class Trainer(Protocol[S]):
    """Trains architectures of a space.

    A class that derives from this one has to give what has no default here. Another package's is
    found by the entry point group `archscout.trainers`, under the space's name, and made without
    arguments.

    Attributes:
        space: the name of the space.
        settings_type: how an architecture is trained, but for its text and seed.
        presets: recipes by name, one of them `quick`.
        reads_streams: whether the text may be a `StreamedText`.
        draws_text: whether `draw` draws text from what is trained.
    """

    space: str
    settings_type: type[S]
    presets: Mapping[str, Preset[S]]
    reads_streams: bool = False
    draws_text: bool = False

    def train(
        self,
        space: Space[Any],
        architecture: Any,
        text: Any,
        settings: S | str,
        out: str | os.PathLike[str],
        **options: Any,
    ) -> Trained:
        """Train one architecture on a text, into a training folder; stopped, it can be resumed.

        Args:
            space: of the architecture.
            architecture: a genotype.
            text: a corpus, or what `load_corpus` takes.
            settings: the recipe, or a preset's name.
            out: the training folder.
            **options: `scale` (sizes of the network), `seed`, `vocabulary_size`, `tokenizer`,
                `device`, `resume` (go on with what lies in the folder), `keep_model` (write the
                model as transformers loads it, to `model/`), and what is called: `on_start` with
                the tokens read so far and those to be read, `on_progress` after every step, with
                `tokens`, `total_tokens` and `tokens_per_second` among its attributes, `on_record`
                with each line of metrics.jsonl, `on_warning` with what the user should know. All
                may be left out, and None stands for the default.

        Raises:
            InputError: something given cannot be used, differs from what is resumed, or a file
                cannot be written; `Diverged` if the loss is no number any more.
            KeyboardInterrupt: Ctrl-C; a checkpoint was written.
        """

    def for_comparison(self, settings: S) -> S:
        """The recipe by which architectures are compared with each other."""
        return settings

    def for_benchmark(self, settings: S) -> S:
        """The recipe that records what the space's layout of benchmarks holds."""
        return settings

    def measure(self, settings: Mapping[str, Any]) -> Measure:
        """What networks that were trained by a recipe (as JSON) are compared by."""
        return Measure("perplexity", True)

    def loss(self, losses: Mapping[str, float], settings: Mapping[str, Any]) -> float:
        """What a training minimised, nats; less is better.

        Args:
            losses: by name, of one part of the text, as result.json has them.
            settings: the recipe, as JSON.
        """
        return losses["nats"]

    def describe_progress(self, progress: Any) -> str:
        """Where a training is, in a few words."""

    def describe_record(self, record: Any) -> str:
        """A line of metrics.jsonl, in a line."""

    def summarise(self, trained: Any) -> Summary:
        """What came of a training."""

    def draw(self, trained: Any, prompt: str, n: int, temperature: float, seed: int) -> str:
        """Draw n tokens after a prompt.

        Raises:
            InputError: this space's networks draw no text, or a value cannot be used.
        """
        raise InputError(f"networks of space {self.space!r} draw no text")
