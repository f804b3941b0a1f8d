"""A language model's training: epochs, each with its steps, its evaluation and where to stop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.training.loop import TrainingLoop, TrainingState, smoothed
from archscout.training.outcome import Loss
from archscout.training.recurrent.columns import Segment, epoch_segments, read
from archscout.training.recurrent.evaluation import evaluate
from archscout.training.recurrent.language_model_settings import TrainingSettings
from archscout.training.recurrent.network import States, training_loss
from archscout.training.seeds import seeded
from archscout.training.trainer import Assignment
from archscout.training.weights import load_best, save_weights

_LOG_STEPS = 50


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """What an epoch came to: a line of metrics.jsonl.

    Attributes:
        epoch: from 1.
        train_loss: nats a token, with dropout, the mean over the epoch.
        valid_loss: nats a token.
        valid_perplexity: the exponential of it.
        valid_bits: bits a token.
        test_loss: nats a token; None unless the settings ask for it.
        learning_rate: at the end of the epoch, before its scaling by a segment's length.
        seconds: of training so far, evaluation left out.
        tokens_per_second: of training in this process, in this epoch.
        valid_bits_per_byte: the validation loss in bits a byte of the text; None where words stand
            there as `<unk>`.
    """

    epoch: int
    train_loss: float
    valid_loss: float
    valid_perplexity: float
    valid_bits: float
    test_loss: float | None
    learning_rate: float
    seconds: float
    tokens_per_second: float
    valid_bits_per_byte: float | None = None


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        epoch: the current one, from 1.
        epochs: that it has at most.
        tokens: read so far, of all epochs.
        total_tokens: to be read, at most.
        loss: nats a token, a running mean.
        tokens_per_second: in this process and epoch.
    """

    epoch: int
    epochs: int
    tokens: int
    total_tokens: int
    loss: float
    tokens_per_second: float


@dataclasses.dataclass
class State(TrainingState):
    """Where a training is; it ends for `epochs`, `patience` or `minutes`.

    Attributes:
        epoch: the current one, from 1.
        loss: sum over the tokens of these, nats.
        tokens: number of these.
        best_epoch: with the lowest validation loss; 0 before the first.
    """

    record_type = EpochRecord

    epoch: int = 1
    loss: float = 0.0
    tokens: int = 0
    best_epoch: int = 0


class LanguageModelTraining(TrainingLoop[Segment, float]):
    """One language model on its way.

    Args:
        task: what is trained.
        model: with its first weights, on its device, its dropout set.
        texts: token ids in columns, (rows, B), of the parts `train`, `valid` and, if there is
            one, `test`, on the device.
        byte_lengths: of the tokens of those that are evaluated, alike.
        identity: what is trained, kept in every checkpoint.
    """

    state: State
    settings: TrainingSettings

    def __init__(
        self,
        task: Assignment[TrainingSettings],
        model: RecurrentLanguageModel,
        texts: Mapping[str, Tensor],
        byte_lengths: Mapping[str, Tensor],
        identity: dict[str, Any],
    ) -> None:
        settings = task.settings
        optimizer = torch.optim.Adam(
            model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        super().__init__(
            *(model, optimizer, State(), settings, task.seed, task.folder.path, identity),
            *(model.embedding.device, task.on_progress, task.on_record),
        )
        self.model, self.texts, self.folder = model, texts, task.folder
        self._byte_lengths = byte_lengths
        self.hidden: States = model.initial_state(settings.batch_size)
        self._recent: float | None = None

    @property
    def tokens_per_epoch(self) -> int:
        """Tokens that are predicted in an epoch."""
        rows, batch_size = self.texts["train"].shape
        return (rows - 1) * batch_size

    @property
    def done(self) -> int:
        """Tokens that were predicted so far."""
        return (self.state.epoch - 1) * self.tokens_per_epoch + self.state.tokens

    @property
    def total(self) -> int:
        """Tokens that are predicted in all epochs."""
        return self.tokens_per_epoch * self.settings.epochs

    def _end(self) -> None:
        load_best(self.model, self.folder.best(self.state.best_epoch), "epoch")

    def loss(self, part: str) -> Loss:
        """Of a part of the text, of the weights as they are."""
        return evaluate(
            self.model,
            self.texts[part],
            self.settings.sequence_length,
            self._byte_lengths[part],
        )

    def _validation_loss(self) -> float:
        return self.loss("valid").nats

    # Steps

    def _batches(self) -> Sequence[Segment]:
        """The segments of the epoch that are left."""
        settings, rows = self.settings, len(self.texts["train"])
        segments = epoch_segments(
            rows, settings.sequence_length, settings.jitter, self.seed, self.state.epoch
        )
        return segments[self.state.step :]

    def _step(self, segment: Segment) -> float:
        """Make one update; returns the segment's loss, nats a token."""
        state, settings = self.state, self.settings
        tokens, targets = read(self.texts["train"], segment)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate() * segment.scale
        seeded(self.seed, state.epoch, state.step)
        self.optimizer.zero_grad()
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"
        ):
            objective, entropy, hidden = training_loss(
                self.model,
                tokens,
                targets,
                self.hidden,
                settings.activation_alpha,
                settings.activation_beta,
            )
        objective.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        loss = float(entropy)
        self._check(loss, float(norm))
        self.optimizer.step()
        self.hidden = hidden
        state.step += 1
        state.tokens += targets.numel()
        state.loss += loss * targets.numel()
        return loss

    def _rate(self) -> float:
        """The learning rate before its scaling by the segment's length."""
        return self._scheduled_rate(self.done / self.total)

    def _tell(self, loss: float, speed: float) -> None:
        state = self.state
        if state.step % _LOG_STEPS == 0:
            self._log({"loss/train": loss, "rate": self._rate()})
        self._recent = smoothed(self._recent, loss)
        self._on_progress(
            Progress(state.epoch, self.settings.epochs, self.done, self.total, self._recent, speed)
        )

    # Epochs

    def _is_evaluated(self) -> bool:
        return self.state.tokens == self.tokens_per_epoch or self._is_out_of_time()

    def _evaluate(self, speed: float) -> EpochRecord:
        """Evaluate, remember the best weights, and decide whether to stop."""
        state, settings = self.state, self.settings
        valid = self.loss("valid")
        if not math.isfinite(valid.perplexity):
            self._diverge(state.step + 1, f"the validation loss is {valid.nats}")
        record = self._record(valid, speed)
        if record.valid_loss < min((r.valid_loss for r in state.records), default=math.inf):
            state.best_epoch = state.epoch
            save_weights(self.model, self.folder.best(state.epoch))
        state.records.append(record)
        self._log(valid.logged("valid") | {"speed": speed})
        is_last = state.epoch == settings.epochs
        state.ended = self._why_over(is_last, "epochs", state.epoch - state.best_epoch)
        if state.ended is None:
            state.epoch += 1
            state.step, state.tokens, state.loss = 0, 0, 0.0
            self.hidden = self.model.initial_state(settings.batch_size)
        return record

    def _record(self, valid: Loss, speed: float) -> EpochRecord:
        state = self.state
        return EpochRecord(
            epoch=state.epoch,
            train_loss=state.loss / state.tokens,
            valid_loss=valid.nats,
            valid_perplexity=valid.perplexity,
            valid_bits=valid.bits,
            test_loss=self._test_loss(),
            learning_rate=self._rate(),
            seconds=state.seconds,
            tokens_per_second=speed,
            valid_bits_per_byte=valid.bits_per_byte,
        )

    def _test_loss(self) -> float | None:
        """Of the weights as they are; None unless the settings ask for it, and there is a text."""
        if not self.settings.test_curve or "test" not in self.texts:
            return None
        loss = self.loss("test").nats
        return loss if math.isfinite(loss) else None

    # Checkpoints

    def _number(self) -> int:
        return self.done + self.is_over

    def _losses(self) -> list[tuple[int, float]]:
        return [(record.epoch, record.valid_loss) for record in self.state.records]

    def _more_tensors(self) -> dict[str, Tensor]:
        """The hidden states."""
        return {
            f"hidden/{i}/{k}": state.clone()
            for i, layer in enumerate(self.hidden)
            for k, state in enumerate(layer)
        }

    def _restore_more(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        self.hidden = [
            tuple(tensors[f"hidden/{i}/{k}"] for k in range(len(layer)))
            for i, layer in enumerate(self.hidden)
        ]
