"""A causal language model's training: steps, evaluations, and where to stop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.training.causal.causal_settings import CausalSettings
from archscout.training.causal.evaluation import LossFunction, evaluate
from archscout.training.loop import TrainingState, smoothed
from archscout.training.outcome import Loss
from archscout.training.seeds import seed_of, seeded
from archscout.training.steps import StepTraining
from archscout.training.trainer import Assignment
from archscout.training.weights import load_best, save_weights

if TYPE_CHECKING:
    from accelerate import Accelerator

_PLACES = 1
_LOG_STEPS = 50


@dataclasses.dataclass(frozen=True)
class CausalRecord:
    """What an evaluation found: a line of metrics.jsonl.

    Attributes:
        step: steps done.
        tokens: read so far.
        train_loss: nats a token, with dropout, the mean since the evaluation before.
        valid_loss: nats a token.
        valid_perplexity: the exponential of it.
        valid_bits_per_byte: the same in bits a byte of the text; None where it has no bytes.
        learning_rate: of the last step.
        seconds: of training so far, evaluation left out.
        tokens_per_second: of training in this process, since the evaluation before.
    """

    step: int
    tokens: int
    train_loss: float
    valid_loss: float
    valid_perplexity: float
    valid_bits_per_byte: float | None
    learning_rate: float
    seconds: float
    tokens_per_second: float


@dataclasses.dataclass(frozen=True)
class CausalProgress:
    """How far a training is.

    Attributes:
        step: steps done.
        steps: that it has at most.
        tokens: read so far.
        total_tokens: to be read, at most.
        loss: nats a token, a running mean.
        tokens_per_second: in this process, since the last evaluation.
    """

    step: int
    steps: int
    tokens: int
    total_tokens: int
    loss: float
    tokens_per_second: float


@dataclasses.dataclass
class CausalState(TrainingState):
    """Where a training is; it ends for `steps`, `patience` or `minutes`.

    Attributes:
        loss: the sum over the steps since the last evaluation.
        losses: number of these steps.
        best_step: with the lowest validation loss; 0 before the first evaluation.
    """

    record_type = CausalRecord

    loss: float = 0.0
    losses: int = 0
    best_step: int = 0


class CausalTraining(StepTraining[Tensor, float]):
    """One causal language model on its way.

    Args:
        task: what is trained.
        model: on its device.
        loss: of the model.
        parts: token ids of the parts of the text, (N,) each, on that device.
        byte_lengths: of their tokens, (N,), of those that are evaluated.
        identity: what is trained, kept in every checkpoint.
        accelerator: of several processes, each of which takes a part of every batch.
    """

    state: CausalState
    settings: CausalSettings

    def __init__(
        self,
        task: Assignment[CausalSettings],
        model: nn.Module,
        loss: LossFunction,
        parts: Mapping[str, Tensor],
        byte_lengths: Mapping[str, Tensor],
        identity: dict[str, Any],
        accelerator: Accelerator | None = None,
    ) -> None:
        settings = task.settings
        optimizer = make_optimizer(model, settings)
        super().__init__(
            *(model, optimizer, CausalState(), settings, task.seed, task.folder.path, identity),
            *(torch.device(task.device), task.on_progress, task.on_record, accelerator),
        )
        self.model, self.parts, self._byte_lengths = model, parts, byte_lengths
        self._loss, self._folder = loss, task.folder
        self._recent: float | None = None

    # Running

    def _end(self) -> None:
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()  # until the main process has written it
        load_best(self.model, self._folder.best(self.state.best_step), "evaluation")

    def _batches(self) -> Iterator[Tensor]:
        """Stretches (N, T + 1) from anywhere in the text, for a step each, without end.

        Where they begin follows from the seed and the step.
        """
        ids, settings = self.parts["train"], self.settings
        offsets = torch.arange(settings.sequence_length + 1)
        while True:
            generator = torch.Generator().manual_seed(seed_of(self.seed, _PLACES, self.state.step))
            count = settings.batch_size * settings.accumulation
            starts = torch.randint(
                len(ids) - settings.sequence_length, (count, 1), generator=generator
            )
            yield ids[(starts + offsets).to(ids.device)]

    def _step(self, stretches: Tensor) -> float:
        """Make one update; returns its loss."""
        state, settings = self.state, self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        process = 0 if self.accelerator is None else self.accelerator.process_index
        seeded(self.seed, process, state.step)
        self.optimizer.zero_grad()
        total = self._accumulate(stretches)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        self._check(total, float(norm))
        self.optimizer.step()
        state.step += 1
        state.loss += total
        state.losses += 1
        return total

    def _accumulate(self, stretches: Tensor) -> float:
        """Add up the gradients of a step's stretches (N, T + 1); returns their mean loss.

        Of several processes each takes each so many-th stretch.
        """
        settings, several = self.settings, self.accelerator
        first, every = (0, 1) if several is None else (several.process_index, several.num_processes)
        total = 0.0
        for reads in stretches.split(settings.batch_size):
            if not len(own := reads[first::every]):
                continue
            with torch.autocast(
                self.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"
            ):
                loss = self._loss(self.model, own) / (len(stretches) / len(own))
            loss.backward()
            total += loss.item()
        return total if several is None else self._reduce(several, total)

    def _reduce(self, several: Accelerator, total: float) -> float:
        """Add up gradients, and a loss, over processes."""
        parameters = list(self.model.parameters())
        has = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        everywhere = several.reduce(has, "sum").tolist()
        for parameter, count in zip(parameters, everywhere, strict=True):
            if count:
                gradient = parameter.grad
                given = torch.zeros_like(parameter) if gradient is None else gradient
                parameter.grad = several.reduce(given, "sum")
        return float(several.reduce(torch.tensor(total, device=self.device), "sum"))

    def _tell(self, losses: float, speed: float) -> None:
        state = self.state
        self._recent = smoothed(self._recent, losses)
        if state.step % _LOG_STEPS == 0:
            self._log({"loss/train": losses, "rate": self._last_rate})
        self._on_progress(
            CausalProgress(
                *(state.step, self.settings.steps, self.done, self.total, self._recent, speed)
            )
        )

    # Evaluations

    def evaluate(self, part: str) -> Loss:
        """The loss on a part of the text."""
        settings = self.settings
        return evaluate(
            *(self.model, self._loss, self.parts[part], self._byte_lengths[part]),
            *(settings.sequence_length, settings.batch_size),
        )

    def _validation_loss(self) -> float:
        return self.evaluate("valid").nats

    def _evaluate(self, speed: float) -> CausalRecord:
        """Evaluate, remember the best weights, and decide whether to stop."""
        state = self.state
        valid = self._agreed(self.evaluate("valid"))
        if not math.isfinite(valid.perplexity):
            self._diverge(state.step, f"the validation loss is {valid.nats}")
        record = CausalRecord(
            step=state.step,
            tokens=self.done,
            train_loss=state.loss / state.losses,
            valid_loss=valid.nats,
            valid_perplexity=valid.perplexity,
            valid_bits_per_byte=valid.bits_per_byte,
            learning_rate=self._last_rate,
            seconds=state.seconds,
            tokens_per_second=speed,
        )
        if valid.nats < min((found.valid_loss for found in state.records), default=math.inf):
            state.best_step = state.step
            if self.is_main:
                save_weights(self.model, self._folder.best(state.step))
        state.records.append(record)
        state.loss, state.losses = 0.0, 0
        self._log(valid.logged("valid") | {"speed": speed})
        state.ended = self._why_ended(state.best_step)
        return record

    # Checkpoints

    def _losses(self) -> list[tuple[int, float]]:
        return [(record.step, record.valid_loss) for record in self.state.records]


def make_optimizer(model: nn.Module, settings: CausalSettings) -> torch.optim.Optimizer:
    """The optimizer of a recipe: matrices decay, biases and norms do not.

    Raises:
        InputError: it is LAMB, and the package that has it is not installed.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    rate, betas = settings.learning_rate, (0.9, settings.beta_2)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=betas, fused=True)
    try:
        from pytorch_optimizer import Lamb
    except ImportError as error:
        raise InputError(
            "the optimizer lamb needs the package pytorch-optimizer: pip install 'archscout[train]'"
        ) from error
    # The ratio of norms takes the bias of the mean out; to correct it would make steps ten times
    # as large at first.
    return Lamb(groups, lr=rate, betas=betas, adam_debias=True)
