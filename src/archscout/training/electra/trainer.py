"""The trainer of encoders: pretraining."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from archscout.spaces.base import Space
from archscout.spaces.flexibert.space import FlexibertSpace
from archscout.training.electra.evaluation import objective_of
from archscout.training.electra.pretraining import Pretrained, pretrain
from archscout.training.electra.pretraining_loop import EvaluationRecord, PretrainingProgress
from archscout.training.electra.pretraining_settings import PRESETS, PretrainingSettings
from archscout.training.outcome import written_perplexity
from archscout.training.trainer import Measure, Summary, Trainer

_ENDED = {
    "steps": "all steps done",
    "patience": "no better validation loss in the last evaluations",
    "minutes": "time is up",
}


class ElectraTrainer(Trainer[PretrainingSettings]):
    """Pretrains encoders, by replaced tokens (ELECTRA) or masked ones (BERT)."""

    space = FlexibertSpace.name
    settings_type = PretrainingSettings
    presets = PRESETS
    reads_streams = True

    def train(
        self,
        space: Space[Any],
        architecture: Any,
        text: Any,
        settings: PretrainingSettings | str,
        out: str | os.PathLike[str],
        *,
        on_record: Any = None,
        **options: Any,
    ) -> Pretrained:
        """Pretrain an encoder; see `pretrain`."""
        if on_record is not None:
            options["on_evaluation"] = on_record
        return pretrain(space, architecture, text, settings, out, **options)

    def for_comparison(self, settings: PretrainingSettings) -> PretrainingSettings:
        """The recipe with masked tokens.

        ELECTRA's loss would not compare encoders: the generator grows with its encoder, and what
        it fills in is the encoder's task.
        """
        return settings.resized(task="masked")

    def measure(self, settings: Mapping[str, Any]) -> Measure:
        """Of masked tokens the perplexity, of replaced ones the loss."""
        if settings.get("task", settings.get("objective")) == "masked":
            return Measure("perplexity of masked tokens", True)
        return Measure("pretraining loss", False)

    def loss(self, losses: Mapping[str, float], settings: Mapping[str, Any]) -> float:
        """What was minimised, nats."""
        return objective_of(losses, settings)

    def describe_progress(self, progress: PretrainingProgress) -> str:
        """Where a pretraining is, in a few words."""
        note = (
            f"step {progress.step:,}/{progress.steps:,}, loss {progress.loss:.3f}, perplexity of "
            f"masked tokens {written_perplexity(progress.loss)}"
        )
        if progress.detection_accuracy is not None:
            note += f", replaced told {progress.detection_accuracy:.1%}"
        return note

    def describe_record(self, record: EvaluationRecord) -> str:
        """An evaluation in a line."""
        line = (
            f"step {record.step:,}: masked tokens, loss {record.train_loss:.3f}, validation "
            f"{record.valid_loss:.3f} (unigram {record.valid_unigram:.3f}), accuracy "
            f"{record.valid_accuracy:.1%}"
        )
        if record.valid_detection_accuracy is not None:
            line += (
                f"; replaced tokens told {record.valid_detection_accuracy:.2%} (always original "
                f"{record.valid_original:.2%})"
            )
        return f"{line}; {record.tokens_per_second:,.0f} tokens/s"

    def summarise(self, trained: Pretrained) -> Summary:
        """What came of a pretraining: a column for each part of the text."""
        last, losses = trained.records[-1], list(trained.losses.values())
        rows = [
            ["masked tokens", *(f"{loss.masked:,}" for loss in losses)],
            ["loss, nats", *(f"{loss.nats:.4f}" for loss in losses)],
            ["  of a unigram", *(f"{loss.unigram:.4f}" for loss in losses)],
            ["perplexity", *(written_perplexity(loss.nats) for loss in losses)],
            ["accuracy", *(f"{loss.accuracy:.2%}" for loss in losses)],
        ]
        if losses[0].detection is not None:
            rows += [
                ["replaced tokens told", *(f"{loss.detection_accuracy:.2%}" for loss in losses)],
                ["  always original", *(f"{loss.original:.2%}" for loss in losses)],
                ["loss of that, nats", *(f"{loss.detection:.4f}" for loss in losses)],
                ["  of the base rate", *(f"{loss.base_rate:.4f}" for loss in losses)],
            ]
        return Summary(
            f"{last.step:,} steps in {last.seconds:.0f} s ({_ENDED[trained.ended]}), the best "
            f"evaluation is that of step {trained.best_step:,}.",
            f"At step {trained.best_step:,}",
            ("", *trained.losses),
            rows,
        )
