"""The trainer: a language model by Adam, in archscout's loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from archscout.text import Corpus, Tokenizer, load_corpus, tokenizer_for
from archscout.training import Assignment, Summary, Trainer, TrainingFolder, TrainingLoop
from archscout.training.loop import TrainingState
from archscout.training.parts import splits
from archscout.training.seeds import seeded
from archscout.training.training_settings import Preset, Settings

from .network import ToyDecoder


class ToySettings(Settings):
    """How a decoder is trained."""

    steps: int = Field(20, ge=1)
    batch_size: int = Field(4, ge=1)
    sequence_length: int = Field(8, ge=2)
    learning_rate: float = Field(1e-2, gt=0)
    evaluate_every: int = Field(5, ge=1)
    checkpoint_minutes: float = Field(10.0, ge=0)

    @property
    def step_tokens(self) -> int:
        """Tokens that a step reads."""
        return self.batch_size * self.sequence_length


class Progress(NamedTuple):
    """How far a training is."""

    tokens: int
    total_tokens: int
    tokens_per_second: float


@dataclasses.dataclass(frozen=True)
class Record:
    """What an evaluation found, nats a token."""

    step: int
    train_loss: float
    valid_loss: float


@dataclasses.dataclass
class State(TrainingState):
    """Where a training is."""

    record_type = Record

    loss: float = 0.0


class ToyTraining(TrainingLoop[Tensor, float]):
    """One decoder on its way."""

    state: State
    settings: ToySettings

    def __init__(
        self,
        task: Assignment[ToySettings],
        model: ToyDecoder,
        parts: Mapping[str, Tensor],
        identity: dict[str, Any],
    ) -> None:
        optimizer = torch.optim.Adam(model.parameters(), task.settings.learning_rate)
        super().__init__(
            *(model, optimizer, State(), task.settings, task.seed, task.folder.path, identity),
            *(torch.device(task.device), task.on_progress, task.on_record),
        )
        self.model, self.parts = model, parts

    @property
    def done(self) -> int:
        """Tokens that were read so far."""
        return self.state.step * self.settings.step_tokens

    @property
    def total(self) -> int:
        """Tokens that are read in all steps."""
        return self.settings.steps * self.settings.step_tokens

    @property
    def is_over(self) -> bool:
        """Whether all steps are done."""
        return self.state.step == self.settings.steps

    def _batches(self) -> Iterator[Tensor]:
        """Sequences (B, T) from anywhere in the text."""
        ids, length = self.parts["train"], self.settings.sequence_length
        while True:
            seeded(self.seed, 0, self.state.step)
            starts = torch.randint(len(ids) - length, (self.settings.batch_size,))
            yield torch.stack([ids[i : i + length] for i in starts.tolist()])

    def _step(self, batch: Tensor) -> float:
        loss = loss_of(self.model, batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.state.step += 1
        self.state.loss = loss.item()
        return self.state.loss

    def _tell(self, losses: float, speed: float) -> None:
        self._on_progress(Progress(self.done, self.total, speed))

    def _is_evaluated(self) -> bool:
        return self.is_over or self.state.step % self.settings.evaluate_every == 0

    def _evaluate(self, speed: float) -> Record:
        self.state.records.append(Record(self.state.step, self.state.loss, self.loss("valid")))
        return self.state.records[-1]

    def _losses(self) -> list[tuple[int, float]]:
        return [(record.step, record.valid_loss) for record in self.state.records]

    def _validation_loss(self) -> float:
        return self.loss("valid")

    def _number(self) -> int:
        return self.state.step

    @torch.no_grad()
    def loss(self, part: str) -> float:
        """Nats a token of a part of the text."""
        ids, length = self.parts[part], self.settings.sequence_length
        return loss_of(self.model, ids[: len(ids) // length * length].view(-1, length)).item()


def loss_of(model: ToyDecoder, tokens: Tensor) -> Tensor:
    """Nats a token of sequences (B, T)."""
    logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


@dataclasses.dataclass
class ToyTrained:
    """A trained decoder."""

    folder: TrainingFolder
    model: ToyDecoder
    result: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """What result.json holds."""
        return self.result


class ToyTrainer(Trainer[ToySettings]):
    """Trains toy decoders."""

    space = "toy-decoder"
    settings_type = ToySettings
    presets: Mapping[str, Preset[ToySettings]] = {
        "quick": Preset("for tests", ToySettings(), "fast")
    }

    def prepare(self, task: Assignment[ToySettings]) -> tuple[ToyTraining, Tokenizer]:
        """A decoder with its first weights, and the parts of the text."""
        space, corpus = task.space, task.text
        if not isinstance(corpus, Corpus):
            corpus = load_corpus(corpus)
        words = tokenizer_for(space.tokenization, corpus, task.vocabulary_size, task.tokenizer)
        parts = {name: ids.to(task.device) for name, ids in splits(corpus, words.encode).items()}
        model = space.build(task.architecture, len(words), task.scale, task.seed).to(task.device)
        assert isinstance(model, ToyDecoder)
        identity = task.identity(text={"name": corpus.name, "sha256": corpus.sha256})
        return ToyTraining(task, model, parts, identity), words

    def finish(
        self, task: Assignment[ToySettings], training: ToyTraining, tokenizer: Tokenizer
    ) -> ToyTrained:
        """The losses at the end."""
        losses = {
            part: {"nats": training.loss(part)}
            for part in ("valid", "test")
            if part in training.parts
        }
        state = training.state
        result = {"steps": state.step, "seconds": state.seconds, "losses": losses}
        return ToyTrained(task.folder, training.model, result)

    def origin(self, training: ToyTraining, trained: ToyTrained) -> str:
        """What the weights are."""
        return "trained for tests"

    def describe_progress(self, progress: Progress) -> str:
        """In a few words."""
        return f"{progress.tokens} tokens"

    def describe_record(self, record: Record) -> str:
        """In a line."""
        return f"step {record.step}: validation {record.valid_loss:.3f}"

    def summarise(self, trained: ToyTrained) -> Summary:
        """A row for each part."""
        rows = [[part, f"{loss['nats']:.4f}"] for part, loss in trained.result["losses"].items()]
        return Summary(f"{trained.result['steps']} steps.", "Losses", ("part", "nats"), rows)
