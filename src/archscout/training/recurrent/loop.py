"""The training loop: epochs, steps, evaluation, and where to stop.

Whatever is random in a step follows from the seed, the epoch and the step's number; so the state
of a training is its weights, the optimizer's averages, the hidden states, and a few numbers.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from archscout.files import write_json_lines
from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.training.checkpoints import Checkpoint
from archscout.training.interrupts import postponed_interrupts
from archscout.training.log import CurveLog, smoothed
from archscout.training.outcome import Diverged, Loss
from archscout.training.recurrent.evaluation import evaluate
from archscout.training.recurrent.language_model_settings import TrainingSettings
from archscout.training.recurrent.network import States, training_loss
from archscout.training.recurrent.segments import Segment, epoch_segments, read
from archscout.training.schedule import Clock, rate_factor
from archscout.training.seeds import random_devices, seeded
from archscout.training.training_folder import METRICS, TrainingFolder
from archscout.training.weights import (
    load_best,
    remove_superseded,
    restore_tensors,
    save_weights,
    training_tensors,
)

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
class State:
    """Where a training is, apart from its tensors.

    Attributes:
        epoch: the current one, from 1.
        step: segments of it that are done.
        loss: sum over the tokens of these, nats.
        tokens: number of these.
        seconds: of training so far, evaluation left out.
        best_epoch: with the lowest validation loss; 0 before the first.
        records: of the epochs that are done.
        ended: why the training is over (`epochs`, `patience`, `minutes`); None while it is not.
    """

    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    records: list[EpochRecord] = dataclasses.field(default_factory=list)
    ended: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> State:
        """From what `dataclasses.asdict` gave."""
        return cls(**{**values, "records": [EpochRecord(**r) for r in values["records"]]})


class Training:
    """One language model on its way.

    Args:
        model: with its first weights, on its device, its dropout set.
        texts: token ids in columns, (rows, B), of the parts `train`, `valid` and, if there is
            one, `test`, on the device.
        settings: the recipe.
        seed: of all that is random.
        folder: that is written to.
        identity: what is trained, kept in every checkpoint.
        on_progress: called after every step.
        on_epoch: called after every epoch.
    """

    def __init__(
        self,
        model: RecurrentLanguageModel,
        texts: Mapping[str, Tensor],
        settings: TrainingSettings,
        seed: int,
        folder: TrainingFolder,
        identity: dict[str, Any],
        on_progress: Callable[[Progress], None] | None = None,
        on_epoch: Callable[[EpochRecord], None] | None = None,
    ) -> None:
        self.model, self.texts, self.settings, self.seed = model, texts, settings, seed
        self.folder, self.identity = folder, identity
        self.state = State()
        self.hidden: States = model.initial_state(settings.batch_size)
        self.optimizer = torch.optim.Adam(
            model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self._on_progress = on_progress or (lambda _: None)
        self._on_epoch = on_epoch or (lambda _: None)
        self._device = model.embedding.device
        self._recent: float | None = None

    @property
    def tokens_per_epoch(self) -> int:
        """Tokens that are predicted in an epoch."""
        rows, batch_size = self.texts["train"].shape
        return (rows - 1) * batch_size

    @property
    def tokens_done(self) -> int:
        """Tokens that were predicted so far."""
        return (self.state.epoch - 1) * self.tokens_per_epoch + self.state.tokens

    # Running

    def run(self) -> None:
        """Train until the end; the model then has the weights after the best epoch.

        Raises:
            KeyboardInterrupt: Ctrl-C; a checkpoint was written.
            Diverged: the loss is no number any more.
            InputError: a file cannot be written.
        """
        curves = CurveLog(self.folder.path / "events", self.tokens_done)
        try:
            with torch.random.fork_rng(devices=random_devices(self._device)):
                self.model.train()
                while self.state.ended is None:
                    self._run_epoch(curves)
        finally:
            curves.close()
        self._load_best()

    def _run_epoch(self, curves: CurveLog) -> None:
        """The steps of the current epoch that are left, and its evaluation."""
        state, settings = self.state, self.settings
        rows = len(self.texts["train"])
        segments = epoch_segments(
            rows, settings.sequence_length, settings.jitter, self.seed, state.epoch
        )
        clock = Clock(state.seconds, state.tokens)
        saved = time.monotonic()
        with postponed_interrupts() as interrupt:
            for segment in segments[state.step :]:
                loss = self._step(segment)
                state.seconds = clock.seconds()
                if state.step % _LOG_STEPS == 0:
                    curves.add(self.tokens_done, {"loss/train": loss, "rate": self._rate()})
                self._tell(loss, clock)
                if interrupt.asked:
                    self.save()
                    raise KeyboardInterrupt
                if self._is_out_of_time():
                    break
                if time.monotonic() - saved > 60 * settings.checkpoint_minutes:
                    self.save()
                    saved = time.monotonic()
            self._finish_epoch(clock, curves)
            if interrupt.asked and self.state.ended is None:
                raise KeyboardInterrupt

    def _step(self, segment: Segment) -> float:
        """One update; returns the segment's loss, nats a token."""
        state, settings = self.state, self.settings
        tokens, targets = read(self.texts["train"], segment)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate() * segment.scale
        seeded(self.seed, state.epoch, state.step)
        self.optimizer.zero_grad()
        with torch.autocast(
            self._device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"
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
        if not math.isfinite(loss):
            self._diverge(f"the loss is {loss}")
        if not math.isfinite(float(norm)):
            self._diverge(f"its gradient is {float(norm)}")
        self.optimizer.step()
        self.hidden = hidden
        state.step += 1
        state.tokens += targets.numel()
        state.loss += loss * targets.numel()
        return loss

    def _rate(self) -> float:
        """The learning rate before its scaling by the segment's length."""
        settings = self.settings
        done = self.tokens_done / (self.tokens_per_epoch * settings.epochs)
        if settings.minutes is not None:
            done = max(done, self.state.seconds / 60 / settings.minutes)
        return settings.learning_rate * rate_factor(settings, done)

    def _tell(self, loss: float, clock: Clock) -> None:
        self._recent = smoothed(self._recent, loss)
        progress = Progress(
            self.state.epoch,
            self.settings.epochs,
            self.tokens_done,
            self.tokens_per_epoch * self.settings.epochs,
            self._recent,
            clock.rate(self.state.tokens),
        )
        self._on_progress(progress)

    def _is_out_of_time(self) -> bool:
        minutes = self.settings.minutes
        return minutes is not None and self.state.seconds >= 60 * minutes

    def _diverge(self, what: str) -> NoReturn:
        state = self.state
        kept = self.folder.checkpoints.paths()
        raise Diverged(
            f"training diverged in epoch {state.epoch}, step {state.step + 1}: {what}; "
            f"{f'the last good checkpoint is {kept[-1]}' if kept else 'there is no checkpoint yet'}"
            "\na smaller --learning-rate or --clip may help, in another folder"
        )

    # Epochs

    def _finish_epoch(self, clock: Clock, curves: CurveLog) -> None:
        """Evaluate, remember the best weights, decide whether to stop, and write it all down."""
        state, settings = self.state, self.settings
        speed = clock.rate(state.tokens)
        valid = evaluate(self.model, self.texts["valid"], settings.sequence_length)
        if not math.isfinite(valid.perplexity):
            self._diverge(f"the validation loss is {valid.nats}")
        record = self._record(valid, speed)
        best = state.records[state.best_epoch - 1].valid_loss if state.best_epoch else math.inf
        state.records.append(record)
        if record.valid_loss < best:
            state.best_epoch = state.epoch
            save_weights(self.model, self.folder.best(state.epoch))
        curves.add(
            self.tokens_done,
            {"loss/valid": valid.nats, "perplexity/valid": valid.perplexity, "speed": speed},
        )
        since_best = state.epoch - state.best_epoch
        if self._is_out_of_time():
            state.ended = "minutes"
        elif state.epoch == settings.epochs:
            state.ended = "epochs"
        elif settings.patience is not None and since_best >= settings.patience:
            state.ended = "patience"
        else:
            state.epoch += 1
            state.step, state.tokens, state.loss = 0, 0, 0.0
            self.hidden = self.model.initial_state(settings.batch_size)
        write_json_lines(self.folder.path / METRICS, map(dataclasses.asdict, state.records))
        self.save()
        self._on_epoch(record)

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
        )

    def _test_loss(self) -> float | None:
        """Of the weights as they are; None unless the settings ask for it, and there is a text."""
        if not self.settings.test_curve or "test" not in self.texts:
            return None
        loss = evaluate(self.model, self.texts["test"], self.settings.sequence_length).nats
        return loss if math.isfinite(loss) else None

    # Checkpoints

    def save(self) -> None:
        """Write a checkpoint, and remove what no checkpoint needs any more."""
        tensors = training_tensors(self.model, self.optimizer)
        for i, layer in enumerate(self.hidden):
            tensors |= {f"hidden/{i}/{k}": state.clone() for k, state in enumerate(layer)}
        state = {"identity": self.identity, "progress": dataclasses.asdict(self.state)}
        number = self.tokens_done + (self.state.ended is not None)
        self.folder.checkpoints.save(number, Checkpoint(tensors, state))
        losses = ((record.epoch, record.valid_loss) for record in self.state.records)
        remove_superseded(self.folder.path, losses)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        tensors = {name: tensor.to(self._device) for name, tensor in checkpoint.tensors.items()}
        restore_tensors(self.model, self.optimizer, tensors)
        self.hidden = [
            tuple(tensors[f"hidden/{i}/{k}"] for k in range(len(layer)))
            for i, layer in enumerate(self.hidden)
        ]
        self.state = State.from_dict(checkpoint.state["progress"])

    def _load_best(self) -> None:
        load_best(self.model, self.folder.best(self.state.best_epoch), "epoch")
