"""An encoder's pretraining: steps, evaluations, milestones, and where to stop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from archscout.spaces.flexibert.network import FlexibertNetwork
from archscout.text import WordPiece
from archscout.training.acceleration import accelerator
from archscout.training.electra.evaluation import (
    PretrainingLoss,
    evaluate_encoder,
    objective_of,
)
from archscout.training.electra.masking import COVERED_SHARE, MaskedBatch, Masking
from archscout.training.electra.objectives import MaskedTokens, ReplacedTokens, Sums
from archscout.training.electra.pretraining_settings import PretrainingSettings
from archscout.training.electra.sequences import PretrainingText
from archscout.training.loop import TrainingState, smoothed
from archscout.training.outcome import Loss
from archscout.training.seeds import seed_of, seeded
from archscout.training.steps import StepTraining
from archscout.training.trainer import Assignment
from archscout.training.training_folder import MILESTONES, milestone_name
from archscout.training.weights import load_best, parameter_groups, save_weights

if TYPE_CHECKING:
    from accelerate import Accelerator

_MASKS = 1
_LOG_STEPS = 50
_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class EvaluationRecord:
    """What an evaluation found: a line of metrics.jsonl.

    Losses of masked tokens are nats a token to be predicted, those of detection nats a token;
    what concerns detection is None where no tokens are replaced.

    Attributes:
        step: steps done.
        tokens: read so far.
        train_loss: of masked tokens, with dropout, the mean since the evaluation before.
        train_detection: of detection, likewise.
        valid_loss: of masked tokens.
        valid_perplexity: the exponential of it.
        valid_accuracy: share of the masked tokens that are predicted.
        valid_unigram: loss by the pieces' frequencies, to be beaten by `valid_loss`.
        valid_detection: of detection.
        valid_detection_accuracy: share of the tokens of which it is told right whether they were
            replaced.
        valid_original: accuracy of always saying that they were not, to be beaten by the last.
        valid_base_rate: loss of detection by the share of replaced tokens alone, to be beaten by
            `valid_detection`.
        valid_objective: what training minimises.
        learning_rate: of the last step.
        seconds: of training so far, evaluation left out.
        tokens_per_second: of training in this process, since the evaluation before.
    """

    step: int
    tokens: int
    train_loss: float
    train_detection: float | None
    valid_loss: float
    valid_perplexity: float
    valid_accuracy: float
    valid_unigram: float
    valid_detection: float | None
    valid_detection_accuracy: float | None
    valid_original: float | None
    valid_base_rate: float | None
    valid_objective: float
    learning_rate: float
    seconds: float
    tokens_per_second: float


@dataclasses.dataclass(frozen=True)
class PretrainingProgress:
    """How far a pretraining is.

    Attributes:
        step: steps done.
        steps: that it has at most.
        tokens: read so far.
        total_tokens: to be read, at most.
        loss: of masked tokens, nats, a running mean.
        detection_accuracy: a running mean; None where no tokens are replaced.
        tokens_per_second: in this process, since the last evaluation.
    """

    step: int
    steps: int
    tokens: int
    total_tokens: int
    loss: float
    detection_accuracy: float | None
    tokens_per_second: float


@dataclasses.dataclass
class PretrainingState(TrainingState):
    """Where a pretraining is, but for the text; it ends for `steps`, `patience` or `minutes`.

    Attributes:
        loss: of masked tokens, the sum over the steps since the last evaluation of their means.
        detection: of detection, likewise.
        losses: number of these steps.
        best_step: with the lowest validation objective; 0 before the first evaluation.
    """

    record_type = EvaluationRecord

    loss: float = 0.0
    detection: float = 0.0
    losses: int = 0
    best_step: int = 0


class StepLosses(NamedTuple):
    """Means over the tokens of a step: nats of masked tokens, nats and accuracy of detection."""

    masked: float
    detection: float
    detection_accuracy: float


class Pretraining(StepTraining[Tensor, "StepLosses"]):
    """One encoder on its way."""

    state: PretrainingState
    settings: PretrainingSettings

    def __init__(
        self,
        task: Assignment[PretrainingSettings],
        model: MaskedTokens | ReplacedTokens,
        text: PretrainingText,
        tokenizer: WordPiece,
        identity: dict[str, Any],
    ) -> None:
        settings = task.settings
        found = accelerator(task.device, settings.precision)
        self.model = model.to(found.device)
        optimizer = torch.optim.AdamW(
            parameter_groups(self.model, settings.weight_decay),
            lr=settings.learning_rate,
            eps=_EPSILON,
            fused=True,
        )
        self._trained, self._accelerated = found.prepare(self.model, optimizer)
        super().__init__(
            self.model,
            self._accelerated.optimizer,
            PretrainingState(),
            settings,
            task.seed,
            task.folder.path,
            identity,
            found.device,
            task.on_progress,
            task.on_record,
            found,
        )
        self.accelerator: Accelerator = found
        self._task, self.text, self._tokenizer = task, text, tokenizer
        self.masking = Masking(tokenizer, settings.mask_share)
        self._replaces = isinstance(model, ReplacedTokens)
        self._recent: tuple[float, float] | None = None

    @property
    def network(self) -> FlexibertNetwork:
        """The encoder."""
        return self.model.encoder

    # Running

    def _begin(self) -> None:
        if self.state.step == 0:
            self._keep_milestone()  # what pretraining is worth is seen from here

    def _end(self) -> None:
        self.accelerator.wait_for_everyone()  # until the main process has written it
        load_best(self.model, self._task.folder.best(self.state.best_step), "evaluation")

    def _batches(self) -> Iterator[Tensor]:
        """Sequences (N, T) of a step each, without end."""
        while True:
            yield self.text.train.read(self.settings.batch_size * self.settings.accumulation)

    def _step(self, sequences: Tensor) -> StepLosses:
        """Make one update; returns its losses."""
        state, settings = self.state, self.settings
        process = self.accelerator.process_index
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        masks = seed_of(self.seed, _MASKS, state.step)
        whole = self.masking.mask(sequences, masks, COVERED_SHARE)
        seeded(self.seed, process, state.step)
        self._accelerated.zero_grad()
        sums = self._accumulate(whole)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), settings.clip)
        losses = self._step_losses(sums, whole)
        self._check(losses.masked + losses.detection, float(norm))
        self._accelerated.step()
        state.step += 1
        state.loss += losses.masked
        state.detection += losses.detection
        state.losses += 1
        return losses

    def _accumulate(self, whole: MaskedBatch) -> Tensor:
        """Add up the gradients of this process's share of a batch; returns its `Sums`.

        Means are over the tokens of the whole batch, so that it does not matter how it is divided.
        """
        settings = self.settings
        processes, process = self.accelerator.num_processes, self.accelerator.process_index
        masked, tokens = whole.num_chosen, whole.num_tokens
        bounds = range(0, len(whole.inputs), settings.batch_size)
        sums = torch.zeros(len(Sums._fields), device=self.accelerator.device)
        for start in bounds:
            # Every process reads the whole batch and takes each so many-th sequence of it.
            part = whole.part(slice(start + process, start + settings.batch_size, processes))
            is_last = start == bounds[-1]
            with nullcontext() if is_last else self.accelerator.no_sync(self._trained):
                found = self._trained(part.to(self.accelerator.device))
                loss = found.nats / masked
                if self._replaces:
                    loss = loss + settings.discriminator_weight * found.detection / tokens
                # Gradients are averaged over processes, and each has a part of the sums only.
                self.accelerator.backward(loss * processes)
            sums += torch.stack([value.detach().float() for value in found])
        return sums

    def _step_losses(self, sums: Tensor, whole: MaskedBatch) -> StepLosses:
        total: Sums[float] = Sums(*self.accelerator.reduce(sums, "sum").tolist())
        masked, tokens = whole.num_chosen, whole.num_tokens
        return StepLosses(total.nats / masked, total.detection / tokens, total.detected / tokens)

    def _tell(self, losses: StepLosses, speed: float) -> None:
        state = self.state
        before = self._recent or (None, None)
        self._recent = (
            smoothed(before[0], losses.masked),
            smoothed(before[1], losses.detection_accuracy),
        )
        if state.step % _LOG_STEPS == 0:
            values = {"loss/train": losses.masked, "rate": self._last_rate}
            if self._replaces:
                values["detection/train"] = losses.detection
            self._log(values)
        self._on_progress(
            PretrainingProgress(
                state.step,
                self.settings.steps,
                self.done,
                self.total,
                self._recent[0],
                self._recent[1] if self._replaces else None,
                speed,
            )
        )

    def _keep_milestone(self) -> bool:
        """Whether there is a milestone at this step; then it is kept as transformers loads it."""
        every, step = self.settings.milestones, self.state.step
        if every is None or step % every:
            return False
        if self.is_main:
            origin = f"pretrained on {self.text.name}, after {step:,} steps"
            name = f"{MILESTONES}/{milestone_name(step)}"
            self._task.export(self.network, self._tokenizer, name, origin)
        return True

    # Evaluations

    def evaluate(self, sequences: Tensor) -> PretrainingLoss:
        """The losses on sequences (N, T)."""
        return evaluate_encoder(self.model, sequences, self.masking, self.text.counts, self.seed)

    def _validation_loss(self) -> float:
        return self._objective(self._agreed(self.evaluate(self.text.valid)))

    def _objective(self, loss: PretrainingLoss) -> float:
        return objective_of(loss.to_dict(), self.settings.model_dump())

    def _evaluate(self, speed: float) -> EvaluationRecord:
        """Evaluate, remember the best weights, and decide whether to stop."""
        state = self.state
        valid = self._agreed(self.evaluate(self.text.valid))
        record = self._record(valid, speed)
        if not (math.isfinite(record.valid_objective) and math.isfinite(record.valid_perplexity)):
            self._diverge(state.step, f"the validation loss is {record.valid_objective}")
        before = (found.valid_objective for found in state.records)
        if record.valid_objective < min(before, default=math.inf):
            state.best_step = state.step
            if self.is_main:
                save_weights(self.model, self._task.folder.best(state.step))
        state.records.append(record)
        state.loss, state.detection, state.losses = 0.0, 0.0, 0
        self._log_record(record)
        state.ended = self._why_ended(state.best_step)
        self._keep_milestone()
        return record

    def _record(self, valid: PretrainingLoss, speed: float) -> EvaluationRecord:
        state = self.state
        return EvaluationRecord(
            step=state.step,
            tokens=self.done,
            train_loss=state.loss / state.losses,
            train_detection=state.detection / state.losses if self._replaces else None,
            valid_loss=valid.nats,
            valid_perplexity=Loss(valid.nats, valid.masked).perplexity,
            valid_accuracy=valid.accuracy,
            valid_unigram=valid.unigram,
            valid_detection=valid.detection,
            valid_detection_accuracy=valid.detection_accuracy,
            valid_original=valid.original,
            valid_base_rate=valid.base_rate,
            valid_objective=self._objective(valid),
            learning_rate=self._last_rate,
            seconds=state.seconds,
            tokens_per_second=speed,
        )

    def _log_record(self, record: EvaluationRecord) -> None:
        values = {
            "loss/valid": record.valid_loss,
            "perplexity/valid": record.valid_perplexity,
            "accuracy/valid": record.valid_accuracy,
            "detection/valid": record.valid_detection,
            "detection accuracy/valid": record.valid_detection_accuracy,
            "speed": record.tokens_per_second,
        }
        self._log({k: v for k, v in values.items() if v is not None})

    # Checkpoints

    def _losses(self) -> list[tuple[int, float]]:
        return [(record.step, record.valid_objective) for record in self.state.records]

    def _more_state(self) -> dict[str, Any]:
        """The place in the text."""
        return {"text": self.text.train.state()}

    def _restore_more(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        self.text.train.restore(state["text"])
