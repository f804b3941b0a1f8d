"""Fine-tuning on one task: epochs, steps, evaluation.

Whatever is random in a step follows from the seed, the epoch and the step's number; so the state
of a fine-tuning is its weights, the optimizer's averages, and a few numbers.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from archscout.files import write_json_lines
from archscout.training.acceleration import accelerator
from archscout.training.checkpoints import Checkpoint, Checkpoints
from archscout.training.glue.batches import Encoded, by_length, encode, shuffled
from archscout.training.glue.encoder import Encoder
from archscout.training.glue.examples import TaskData, measure_parts
from archscout.training.glue.finetuning_settings import FinetuningSettings
from archscout.training.glue.metrics import Numbers
from archscout.training.glue.optimization import adamw
from archscout.training.glue.tasks import Task
from archscout.training.interrupts import postponed_interrupts
from archscout.training.outcome import Diverged
from archscout.training.schedule import Clock, rate_factor
from archscout.training.seeds import random_devices, seeded
from archscout.training.training_folder import METRICS
from archscout.training.weights import restore_tensors, training_tensors

_SMOOTHING = 0.98
CHECKPOINTS = "checkpoints"


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
class State:
    """Where a fine-tuning is, apart from its tensors.

    Attributes:
        epoch: the current one, from 1.
        step: batches of it that are done.
        loss: sum over the examples of these.
        seconds: of training so far, evaluation left out.
        records: of the epochs that are done.
    """

    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    records: list[EpochRecord] = dataclasses.field(default_factory=list)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> State:
        """From what `dataclasses.asdict` gave."""
        return cls(**{**values, "records": [EpochRecord(**r) for r in values["records"]]})


def examples_to_read(task: Task, data: TaskData, settings: FinetuningSettings) -> int:
    """Examples that are trained on, in all epochs."""
    count = len(data.train.head(settings.limit))
    doubled = task.symmetric and settings.both_orders
    return count * (2 if doubled else 1) * settings.epochs_of(task)


class TaskTraining:
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
        self.task, self.data, self.settings, self.seed = task, data, settings, seed
        self.encoder, self.folder, self.identity = encoder, folder, identity or {}
        self.epochs = settings.epochs_of(task)
        self.state = State()
        self._on_progress = on_progress or (lambda _: None)
        self._on_epoch = on_epoch or (lambda _: None)
        train = data.train.head(settings.limit)
        if task.symmetric and settings.both_orders:
            train = train.in_both_orders()
        self._train = self._encoded(train)
        self._evaluation = {
            part: self._encoded(examples) for part, examples in data.evaluation.items()
        }
        self._accelerator = accelerator(device, settings.precision)
        classifier = encoder.classifier(len(task.labels) or 1, settings.dropout, seed)
        num_layers = len(classifier.config.layers)
        self.model: torch.nn.Module = self._accelerator.prepare_model(classifier)
        self.optimizer = adamw(self.model, num_layers, settings)
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
    def is_done(self) -> bool:
        """Whether all epochs are over."""
        return len(self.state.records) == self.epochs

    @property
    def _examples_done(self) -> int:
        """Examples of this epoch that are trained on."""
        return min(self.state.step * self.settings.batch_size, len(self._train))

    @property
    def examples_done(self) -> int:
        """Examples that are trained on, of all epochs."""
        return len(self.state.records) * len(self._train) + self._examples_done

    # Running

    def run(self) -> None:
        """Train until the end.

        Raises:
            KeyboardInterrupt: Ctrl-C; a checkpoint was written, if there is a folder.
            Diverged: the loss is no number any more.
            InputError: a file cannot be written.
        """
        with torch.random.fork_rng(devices=random_devices(self._accelerator.device)):
            while not self.is_done:
                self._run_epoch()

    def _run_epoch(self) -> None:
        """The steps of the current epoch that are left, and its evaluation."""
        state, settings = self.state, self.settings
        batches = shuffled(len(self._train), settings.batch_size, self.seed, state.epoch)
        clock = Clock(state.seconds, self._examples_done)
        saved = time.monotonic()
        self.model.train()
        with postponed_interrupts() as interrupt:
            for chosen in batches[state.step :]:
                self._tell(self._step(chosen))
                state.seconds = clock.seconds()
                if interrupt.asked:
                    self.save()
                    raise KeyboardInterrupt
                if time.monotonic() - saved > 60 * settings.checkpoint_minutes:
                    self.save()
                    saved = time.monotonic()
            self._finish_epoch(clock)
            if interrupt.asked:
                raise KeyboardInterrupt

    def _step(self, chosen: NDArray[np.int64]) -> float:
        """One update; returns the mean loss of its examples."""
        state = self.state
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate() * group["factor"]
        seeded(self.seed, state.epoch, state.step)
        self.optimizer.zero_grad()
        objective = self.model(**self._train.batch(chosen, self._accelerator.device)).loss
        self._accelerator.backward(objective)
        norm = self._accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        loss = float(objective.detach())
        if not math.isfinite(loss):
            self._diverge(state.step + 1, f"the loss is {loss}")
        if not math.isfinite(float(norm)):
            self._diverge(state.step + 1, f"its gradient is {float(norm)}")
        self.optimizer.step()
        state.step += 1
        state.loss += loss * len(chosen)
        return loss

    def _rate(self) -> float:
        """The head's learning rate."""
        done = self.examples_done / (len(self._train) * self.epochs)
        return self.settings.learning_rate * rate_factor(self.settings, done)

    def _tell(self, loss: float) -> None:
        before = loss if self._recent is None else self._recent
        self._recent = _SMOOTHING * before + (1 - _SMOOTHING) * loss
        self._on_progress(
            Progress(
                self.task.name,
                self.state.epoch,
                self.epochs,
                self.examples_done,
                len(self._train) * self.epochs,
                self._recent,
            )
        )

    def _diverge(self, step: int, what: str) -> NoReturn:
        """Stop, and name the checkpoint that is kept, where there is a folder for one."""
        kept = ""
        if self.folder is not None:
            # One that was written right after the last update holds what diverged.
            bad = 2 * self.examples_done
            paths = Checkpoints(self.folder / CHECKPOINTS).paths()
            good = [path for path in paths if int(path.stem.rpartition("-")[2]) != bad]
            last = f"the last good checkpoint is {good[-1]}" if good else ""
            kept = f"; {last or 'there is no good checkpoint'}"
        raise Diverged(
            f"fine-tuning on {self.task.name} diverged in epoch {self.state.epoch}, step {step}: "
            f"{what}{kept}\na smaller --learning-rate or --clip may help, in another folder"
        )

    # Epochs

    def _finish_epoch(self, clock: Clock) -> None:
        """Evaluate, and write it down."""
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
            examples_per_second=clock.rate(self._examples_done),
        )
        state.records.append(record)
        state.epoch += 1
        state.step, state.loss = 0, 0.0
        if self.folder is not None:
            write_json_lines(self.folder / METRICS, map(dataclasses.asdict, state.records))
        self.save()
        self._on_epoch(record)

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

    # Checkpoints

    def save(self) -> None:
        """Write a checkpoint, if there is a folder."""
        if self.folder is None:
            return
        state = {"identity": self.identity, "progress": dataclasses.asdict(self.state)}
        # The end of an epoch comes after its last step, and has as many examples.
        number = 2 * self.examples_done + (self.state.step == 0)
        tensors = training_tensors(self.model, self.optimizer)
        Checkpoints(self.folder / CHECKPOINTS).save(number, Checkpoint(tensors, state))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        device = self._accelerator.device
        tensors = {name: tensor.to(device) for name, tensor in checkpoint.tensors.items()}
        restore_tensors(self.model, self.optimizer, tensors)
        self.state = State.from_dict(checkpoint.state["progress"])
