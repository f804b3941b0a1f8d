"""What trains the architectures of a space: the interface that a space with training fills."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from torch import nn

from archscout.errors import InputError
from archscout.exports import export
from archscout.files import write_json
from archscout.scoring import check_device, check_seed, resolve_scale
from archscout.spaces.base import Scale, Space
from archscout.text import Tokenizer
from archscout.training.loop import TrainingLoop
from archscout.training.outcome import Diverged, Paused
from archscout.training.tracking import chosen_trackers
from archscout.training.training_folder import FORMAT, MODEL, RESULT, TrainingFolder
from archscout.training.training_settings import Preset, Settings, find_preset

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


@dataclasses.dataclass(frozen=True)
class Assignment(Generic[S]):
    """What is to be trained, as far as it is the same for every space; see `Trainer.train`."""

    space: Space[Any]
    architecture: Any
    text: Any
    settings: S
    scale: Any
    seed: int
    vocabulary_size: int | None
    tokenizer: str | os.PathLike[str] | None
    device: str
    folder: TrainingFolder
    on_progress: Callable[[Any], None] | None
    on_record: Callable[[Any], None] | None

    def identity(self, **more: Any) -> dict[str, Any]:
        """All that decides the weights in the end: this, and more or another by name."""
        sizes = dataclasses.asdict(self.scale)
        for unused in ("batch_size", "sequence_length"):  # those of scoring
            del sizes[unused]
        return {
            "format": FORMAT,
            "space": self.space.name,
            "architecture": self.space.to_dict(self.architecture),
            "fingerprint": self.space.fingerprint(self.architecture),
            "scale": sizes,
            **more,
            "settings": self.settings.model_dump(exclude={"checkpoint_minutes"}, by_alias=True),
            "seed": self.seed,
        }

    def export(self, network: nn.Module, tokenizer: Tokenizer, name: str, origin: str) -> None:
        """Write the network as transformers loads it, under a name in the training's folder."""
        # Of a training that went back to an earlier checkpoint, or was done already, it is there.
        what = (self.space, self.architecture, network, tokenizer)
        export(*what, self.folder.path / name, origin, trained=True, replace=True)


class Trained(Protocol):
    """A trained network."""

    @property
    def folder(self) -> TrainingFolder:
        """The folder where it lies, with its records (metrics.jsonl) and its result.json."""

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as result.json holds them: `losses` by part of the text and name, ..."""


class Trainer(ABC, Generic[S]):
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

    @abstractmethod
    def prepare(self, task: Assignment[S]) -> tuple[TrainingLoop[Any, Any], Tokenizer]:
        """The training at its beginning, and the tokenizer of its text.

        Raises:
            InputError: the text or a setting cannot be used.
        """

    @abstractmethod
    def finish(self, task: Assignment[S], training: Any, tokenizer: Any) -> Trained:
        """What came of a training that is over: the losses of its best weights.

        Raises:
            Diverged: they cannot be told.
        """

    @abstractmethod
    def origin(self, training: Any, trained: Any) -> str:
        """What the trained weights are, for the README of the model."""

    def train(
        self,
        space: Space[Any],
        architecture: Any,
        text: Any,
        settings: S | str = "quick",
        out: str | os.PathLike[str] = "training",
        *,
        scale: str | Scale | None = None,
        seed: int = 0,
        vocabulary_size: int | None = None,
        tokenizer: str | os.PathLike[str] | None = None,
        device: str = "cpu",
        resume: bool = False,
        keep_model: bool = True,
        until: float | None = None,
        has_followers: bool = False,
        log_with: Sequence[str] | str | None = None,
        on_start: Callable[[int, int], None] | None = None,
        on_progress: Callable[[Any], None] | None = None,
        on_record: Callable[[Any], None] | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> Trained | Paused:
        """Train one architecture on a text, into a training folder; stopped, it can be resumed.

        Args:
            space: of the architecture.
            architecture: a genotype, its JSON, or its name.
            text: a corpus, or what `load_corpus` takes.
            settings: the recipe, or a preset's name.
            out: the training folder.
            scale: sizes of the network, or their name; by default the preset's, or else the
                space's. Its batch size and sequence length are those of scoring and not used.
            seed: of the weights and of all that is random in training.
            vocabulary_size: size limit of the vocabulary that is made of the text.
            tokenizer: a ready one, see `WordPiece.load` and `ByteLevel.load`, where the space's
                networks read pieces of words or bytes; by default one is trained on the text.
            device: where it is trained, such as `cpu` or `cuda`.
            resume: go on with the training that lies in the folder.
            keep_model: write the model as transformers loads it, to `model/`.
            until: part of the training's tokens, in (0, 1], after which to stop, with a checkpoint
                and the validation loss there. Gone on with by `resume`, it gives the same numbers,
                bit for bit, as one that never stopped. None for the end.
            has_followers: whether others are trained after it, so that Ctrl-C in its last
                evaluation is raised, too: resumed, it has its result.
            log_with: trackers of the curves, as accelerate names them, such as `mlflow`; by default
                TensorBoard, in `events/`, where it and accelerate are installed.
            on_start: called with the tokens read so far and those to be read.
            on_progress: called after every step, with `tokens`, `total_tokens` and
                `tokens_per_second` among its attributes.
            on_record: called with each line of metrics.jsonl.
            on_warning: called with what the user should know, such as of a damaged checkpoint.

        Returns:
            The trained network, with the weights of its best evaluation; where it stopped, if that
            is before its end.

        Raises:
            InputError: something given cannot be used, differs from what is resumed, or a file
                cannot be written; `Diverged` if the loss is no number any more.
            KeyboardInterrupt: Ctrl-C; a checkpoint was written.
        """
        if until is not None and not 0 < until <= 1:
            raise InputError(f"until {until}; accepted is a part of the training, over 0, up to 1")
        trackers = chosen_trackers(log_with)
        if isinstance(settings, str):
            chosen = find_preset(self.presets, settings)
            settings, scale = chosen.settings, scale or chosen.scale
        sizes, architecture = resolve_scale(space, scale), space.parse(architecture)
        check_device(device)
        seed = check_seed(seed)
        folder = TrainingFolder(out)
        task = Assignment(
            *(space, architecture, text, settings, sizes, seed, vocabulary_size, tokenizer),
            *(device, folder, on_progress, on_record),
        )
        training, words = self.prepare(task)
        training.has_followers = has_followers
        warn = on_warning or (lambda _: None)
        with folder.claimed(resume) if training.is_main else nullcontext():
            checkpoint = folder.begin(training.identity, words, resume, warn, training.accelerator)
            if checkpoint is not None:
                training.restore(checkpoint)
            if on_start is not None:
                on_start(training.done, training.total)
            try:
                if (paused := training.run(until, trackers)) is not None:
                    return paused
                trained = self.finish(task, training, words)
            except Diverged as error:
                if training.is_main:
                    folder.record_problem(error)
                raise
            if training.is_main:
                if keep_model:
                    task.export(training.network, words, MODEL, self.origin(training, trained))
                write_json(folder.path / RESULT, trained.to_dict())
        return trained

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

    @abstractmethod
    def describe_progress(self, progress: Any) -> str:
        """Where a training is, in a few words."""

    @abstractmethod
    def describe_record(self, record: Any) -> str:
        """A line of metrics.jsonl, in a line."""

    @abstractmethod
    def summarise(self, trained: Any) -> Summary:
        """What came of a training."""

    def draw(self, trained: Any, prompt: str, n: int, temperature: float, seed: int) -> str:
        """Draw n tokens after a prompt.

        Raises:
            InputError: this space's networks draw no text, or a value cannot be used.
        """
        raise InputError(f"networks of space {self.space!r} draw no text")
