"""The trainer of encoders: from an architecture and a text to a pretrained encoder."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archscout.errors import InputError
from archscout.spaces.flexibert.genotype import EncoderGenotype
from archscout.spaces.flexibert.network import FlexibertNetwork
from archscout.spaces.flexibert.space import FlexibertSpace
from archscout.text import Corpus, WordPiece, load_corpus, tokenizer_for
from archscout.training.electra.evaluation import PretrainingLoss, objective_of
from archscout.training.electra.objectives import build_objective, start_from_unigram
from archscout.training.electra.pretraining_loop import (
    EvaluationRecord,
    Pretraining,
    PretrainingProgress,
)
from archscout.training.electra.pretraining_settings import PRESETS, PretrainingSettings
from archscout.training.electra.sequences import PretrainingText, corpus_text
from archscout.training.electra.streams import StreamedText, streamed_text
from archscout.training.outcome import Loss, check_finite, written_perplexity
from archscout.training.trainer import Assignment, Measure, Summary, Trainer
from archscout.training.training_folder import MILESTONES, MODEL, TrainingFolder

_ENDED = {
    "steps": "all steps done",
    "patience": "no better validation loss in the last evaluations",
    "minutes": "time is up",
}


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A pretrained encoder and how it came to be.

    Attributes:
        folder: where it lies.
        space: of the architecture.
        architecture: the genotype.
        encoder: with the weights after the best evaluation.
        vocabulary: of the text.
        losses: by part of the text, `valid` and, where there is one, `test`, with these weights.
        best_step: with the lowest validation objective.
        records: of all evaluations.
        ended: why the training ended: `steps`, `patience`, or `minutes`.
    """

    folder: TrainingFolder
    space: FlexibertSpace
    architecture: EncoderGenotype
    encoder: FlexibertNetwork
    vocabulary: WordPiece
    losses: dict[str, PretrainingLoss]
    best_step: int
    records: list[EvaluationRecord]
    ended: str

    @property
    def model(self) -> Path:
        """The folder of the encoder as transformers loads it."""
        return self.folder.path / MODEL

    @property
    def milestones(self) -> list[Path]:
        """The folders of the encoders that were kept on the way, the first one first."""
        return sorted((self.folder.path / MILESTONES).glob("step-*"))

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as result.json holds them."""
        return {
            "fingerprint": self.space.fingerprint(self.architecture),
            "parameters": sum(p.numel() for p in self.encoder.parameters()),
            "best_step": self.best_step,
            "steps": self.records[-1].step,
            "ended": self.ended,
            "seconds": self.records[-1].seconds,
            "losses": {part: loss.to_dict() for part, loss in self.losses.items()},
            "baselines": {part: loss.baselines() for part, loss in self.losses.items()},
        }


class ElectraTrainer(Trainer[PretrainingSettings]):
    """Pretrains encoders, by replaced tokens (ELECTRA) or masked ones (BERT).

    `milestones/` in the training folder holds the encoders on the way, as transformers loads them.
    """

    space = FlexibertSpace.name
    settings_type = PretrainingSettings
    presets = PRESETS
    reads_streams = True

    def prepare(self, task: Assignment[PretrainingSettings]) -> tuple[Pretraining, WordPiece]:
        """An encoder with its first weights, and the text in sequences."""
        space, settings = task.space, task.settings
        assert isinstance(space, FlexibertSpace)
        if settings.sequence_length > task.scale.num_positions:
            raise InputError(
                f"training setting sequence_length is {settings.sequence_length}: the encoder has "
                f"{task.scale.num_positions} positions"
            )
        pieces, text = _read(task)
        model = build_objective(
            space, task.architecture, len(pieces), task.scale, settings, task.seed
        )
        if settings.unigram_bias:
            start_from_unigram(model, text.counts)
        identity = task.identity(
            text=text.identity,
            vocabulary_size=len(pieces),
            tokenizer=hashlib.sha256(pieces.definition.encode()).hexdigest(),
        )
        return Pretraining(task, model, text, pieces, identity), pieces

    def finish(
        self, task: Assignment[PretrainingSettings], training: Pretraining, tokenizer: WordPiece
    ) -> Pretrained:
        """Evaluate with the weights of the best evaluation."""
        parts = {"valid": training.text.valid, "test": training.text.test}
        losses = {part: training.evaluate(x) for part, x in parts.items() if x is not None}
        check_finite({part: loss.nats for part, loss in losses.items()})
        state = training.state
        assert isinstance(task.space, FlexibertSpace) and state.ended is not None
        return Pretrained(
            *(task.folder, task.space, task.architecture, training.network, tokenizer),
            *(losses, state.best_step, state.records, state.ended),
        )

    def origin(self, training: Pretraining, trained: Pretrained) -> str:
        """What the trained weights are."""
        perplexity = Loss(trained.losses["valid"].nats, 1).perplexity
        quality = f"validation perplexity of masked tokens {perplexity:.1f}"
        return f"pretrained on {training.text.name}, {quality}"

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


def _read(task: Assignment[PretrainingSettings]) -> tuple[WordPiece, PretrainingText]:
    """The tokenizer, and the text in sequences."""
    text, settings = task.text, task.settings
    if isinstance(text, StreamedText):
        if task.tokenizer is None or task.vocabulary_size is not None:
            raise InputError(
                f"the data set {str(text)!r} is read on the fly, and no tokenizer is trained on "
                "it; give a ready one (--tokenizer) and no vocabulary size"
            )
        pieces = WordPiece.load(task.tokenizer)
        return pieces, streamed_text(text, pieces, settings, task.seed)
    corpus = text if isinstance(text, Corpus) else load_corpus(text)
    made = tokenizer_for("wordpiece", corpus, task.vocabulary_size, task.tokenizer)
    assert isinstance(made, WordPiece)
    return made, corpus_text(corpus, made, settings, task.seed)
