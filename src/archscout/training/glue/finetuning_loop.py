"""Fine-tuning on one task: epochs, each with its steps and its evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from archscout.training.acceleration import accelerator
from archscout.training.glue.batches import Encoded, by_length, encode, shuffled
from archscout.training.glue.encoder import Encoder
from archscout.training.glue.examples import TaskData, measure_parts
from archscout.training.glue.finetuning_settings import FinetuningSettings
from archscout.training.glue.metrics import Numbers
from archscout.training.glue.optimization import adamw
from archscout.training.glue.tasks import Task
from archscout.training.loop import TrainingLoop, TrainingState, smoothed
from archscout.training.seeds import seeded


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """What an epoch came to: a line of metrics.jsonl.

    Attributes:
        task: its name.
        epoch: from 1.
        train_loss: the mean over the epoch, with dropout: nats, or the mean square of labels
            between 0 and 1.
        metrics: in percent, see `examples.measure_parts`.
        notes: on metrics that are not defined.
        learning_rate: of the head, when the epoch ended.
        seconds: of training so far, evaluation left out.
        examples_per_second: of training in this process, in this epoch.
    """

    task: str
    epoch: int
    train_loss: float
    metrics: dict[str, float]
    notes: list[str]
    learning_rate: float
    seconds: float
    examples_per_second: float


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a fine-tuning is.

    Attributes:
        task: the current one's name.
        epoch: of the task, from 1.
        epochs: that it has.
        examples: trained on so far, in all epochs, of all tasks.
        total_examples: to be trained on.
        loss: a running mean.
    """

    task: str
    epoch: int
    epochs: int
    examples: int
    total_examples: int
    loss: float


@dataclasses.dataclass
class State(TrainingState):
    """Where a fine-tuning is.

    Attributes:
        epoch: the current one, from 1.
        loss: sum over the examples of these.
    """

    record_type = EpochRecord

    epoch: int = 1
    loss: float = 0.0


def examples_to_read(task: Task, data: TaskData, settings: FinetuningSettings) -> int:
    """Examples that are trained on, in all epochs."""
    count = len(data.train.head(settings.limit))
    doubled = task.symmetric and settings.both_orders
    return count * (2 if doubled else 1) * settings.epochs_of(task)


class TaskTraining(TrainingLoop[NDArray[np.int64], float]):
    """A classifier on its way.

    Args:
        encoder: to be fine-tuned; it is left as it is.
        task: what it learns.
        data: the examples.
        settings: the recipe.
        seed: of all that is random.
        device: where it is trained.
        folder: for checkpoints and metrics.jsonl; None for no files.
        identity: what is trained, kept in every checkpoint.
        on_progress: called after every step.
        on_epoch: called after every epoch.
    """

    state: State
    settings: FinetuningSettings
    has_followers = True
    _no_checkpoint = "there is no good checkpoint"

    def __init__(
        self,
        encoder: Encoder,
        task: Task,
        data: TaskData,
        settings: FinetuningSettings,
        seed: int,
        device: str,
        folder: Path | None = None,
        identity: dict[str, Any] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_epoch: Callable[[EpochRecord], None] | None = None,
    ) -> None:
        self._accelerator = accelerator(device, settings.precision)
        classifier = encoder.classifier(len(task.labels) or 1, settings.dropout, seed)
        num_layers = len(classifier.config.layers)
        self.model: torch.nn.Module = self._accelerator.prepare_model(classifier)
        super().__init__(
            *(self.model, adamw(self.model, num_layers, settings), State(), settings, seed),
            *(folder, identity or {}, self._accelerator.device, on_progress, on_epoch),
        )
        self.task, self.data, self.encoder, self.folder = task, data, encoder, folder
        self.epochs = settings.epochs_of(task)
        self._what = f"fine-tuning on {task.name}"
        train = data.train.head(settings.limit)
        if task.symmetric and settings.both_orders:
            train = train.in_both_orders()
        self._train = self._encoded(train)
        self._evaluation = {
            part: self._encoded(examples) for part, examples in data.evaluation.items()
        }
        self._recent: float | None = None

    def _encoded(self, examples: Any) -> Encoded:
        return encode(examples, self.task, self.encoder.tokenizer, self.settings.max_length)

    def save_classifier(self, folder: Path) -> None:
        """Write the classifier as it is now; see `Encoder.save_classifier`."""
        classifier = self._accelerator.unwrap_model(self.model)
        self.encoder.save_classifier(classifier, self.task.labels, folder)

    @property
    def examples_per_epoch(self) -> int:
        """Examples that an epoch trains on."""
        return len(self._train)

    @property
    def is_over(self) -> bool:
        """Whether all epochs are over."""
        return len(self.state.records) == self.epochs

    @property
    def done(self) -> int:
        """Examples that are trained on, of all epochs."""
        of_epoch = min(self.state.step * self.settings.batch_size, len(self._train))
        return len(self.state.records) * len(self._train) + of_epoch

    @property
    def total(self) -> int:
        """Examples that are trained on in all epochs."""
        return len(self._train) * self.epochs

    # Steps

    def _batches(self) -> Sequence[NDArray[np.int64]]:
        """Which examples make each of the batches of the epoch that are left."""
        state = self.state
        batches = shuffled(len(self._train), self.settings.batch_size, self.seed, state.epoch)
        return batches[state.step :]

    def _step(self, chosen: NDArray[np.int64]) -> float:
        """Make one update; returns the mean loss of its examples."""
        state = self.state
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate() * group["factor"]
        seeded(self.seed, state.epoch, state.step)
        self.optimizer.zero_grad()
        objective = self.model(**self._train.batch(chosen, self._accelerator.device)).loss
        self._accelerator.backward(objective)
        norm = self._accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        loss = float(objective.detach())
        self._check(loss, float(norm))
        self.optimizer.step()
        state.step += 1
        state.loss += loss * len(chosen)
        return loss

    def _rate(self) -> float:
        """The head's learning rate."""
        return self._scheduled_rate(self.done / self.total)

    def _tell(self, loss: float, speed: float) -> None:
        self._recent = smoothed(self._recent, loss)
        self._on_progress(
            Progress(
                self.task.name,
                self.state.epoch,
                self.epochs,
                self.done,
                self.total,
                self._recent,
            )
        )

    # Epochs

    def _is_evaluated(self) -> bool:
        return self.state.step * self.settings.batch_size >= len(self._train)

    def _evaluate(self, speed: float) -> EpochRecord:
        """Evaluate, and go to the next epoch."""
        state = self.state
        predictions = {part: self.predict(encoded) for part, encoded in self._evaluation.items()}
        measured = measure_parts(self.task, self.data, predictions)
        record = EpochRecord(
            task=self.task.name,
            epoch=state.epoch,
            train_loss=state.loss / len(self._train),
            metrics=measured.values,
            notes=list(measured.notes),
            learning_rate=self._rate(),
            seconds=state.seconds,
            examples_per_second=speed,
        )
        state.records.append(record)
        state.epoch += 1
        state.step, state.loss = 0, 0.0
        return record

    def predict(self, encoded: Encoded) -> Numbers:
        """Answers to examples, in their order: numbers of classes, or numbers, (N,)."""
        mode = self.model.training
        self.model.eval()
        answers = np.empty(len(encoded), encoded.targets.dtype)
        with torch.no_grad():
            for chosen in by_length(encoded, self.settings.evaluation_batch_size):
                inputs = encoded.batch(chosen, self._accelerator.device)
                del inputs["labels"]
                logits = self.model(**inputs).logits.float()  # (B, classes) or (B, 1)
                if not bool(logits.isfinite().all()):
                    self._diverge(self.state.step, "its predictions are no numbers")
                answer = logits.squeeze(-1) if self.task.is_regression else logits.argmax(-1)
                answers[chosen] = answer.cpu().numpy()
        self.model.train(mode)
        return answers

    def _number(self) -> int:
        # The end of an epoch comes after its last step, and has as many examples.
        return 2 * self.done + (self.state.step == 0)
