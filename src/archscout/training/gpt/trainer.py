"""The trainer of decoders: from an architecture and a text to a trained language model."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archscout.errors import InputError
from archscout.spaces.gpt import DecoderGenotype, DecoderNetwork, GptSpace
from archscout.spaces.gpt.generation import generate
from archscout.text import ByteLevel, Corpus, load_corpus, tokenizer_for
from archscout.training.gpt.decoder_settings import PRESETS, DecoderSettings
from archscout.training.gpt.evaluation import DecoderLoss
from archscout.training.gpt.training_loop import DecoderProgress, DecoderRecord, DecoderTraining
from archscout.training.outcome import check_finite, written_perplexity
from archscout.training.parts import splits
from archscout.training.trainer import Assignment, Summary, Trainer
from archscout.training.training_folder import MODEL, TrainingFolder

_ENDED = {
    "steps": "all steps done",
    "patience": "no better validation loss in the last evaluations",
    "minutes": "time is up",
}


@dataclasses.dataclass(frozen=True)
class TrainedDecoder:
    """A trained decoder and how it came to be.

    Attributes:
        folder: where it lies.
        space: of the architecture.
        architecture: the genotype.
        network: with the weights of the best evaluation.
        vocabulary: of the text.
        losses: by part of the text, `valid` and, where there is one, `test`, with these weights.
        best_step: with the lowest validation loss.
        records: of all evaluations.
        ended: why the training ended: `steps`, `patience`, or `minutes`.
    """

    folder: TrainingFolder
    space: GptSpace
    architecture: DecoderGenotype
    network: DecoderNetwork
    vocabulary: ByteLevel
    losses: dict[str, DecoderLoss]
    best_step: int
    records: list[DecoderRecord]
    ended: str

    @property
    def model(self) -> Path:
        """The folder of the decoder as transformers loads it."""
        return self.folder.path / MODEL

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as result.json holds them."""
        return {
            "fingerprint": self.space.fingerprint(self.architecture),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "best_step": self.best_step,
            "steps": self.records[-1].step,
            "ended": self.ended,
            "seconds": self.records[-1].seconds,
            "losses": {part: loss.to_dict() for part, loss in self.losses.items()},
        }


class GptTrainer(Trainer[DecoderSettings]):
    """Trains decoders to predict the next token."""

    space = GptSpace.name
    settings_type = DecoderSettings
    presets = PRESETS
    draws_text = True

    def prepare(self, task: Assignment[DecoderSettings]) -> tuple[DecoderTraining, ByteLevel]:
        """A decoder with its first weights, and the parts of the text."""
        space, settings = task.space, task.settings
        assert isinstance(space, GptSpace)
        if settings.sequence_length > task.scale.num_positions:
            raise InputError(
                f"training setting sequence_length is {settings.sequence_length}: the decoder has "
                f"{task.scale.num_positions} positions"
            )
        corpus = task.text if isinstance(task.text, Corpus) else load_corpus(task.text)
        pieces = tokenizer_for("bpe", corpus, task.vocabulary_size, task.tokenizer)
        assert isinstance(pieces, ByteLevel)
        parts = {name: ids.to(task.device) for name, ids in splits(corpus, pieces).items()}
        needed = {"train": settings.sequence_length + 1}
        for name, ids in parts.items():
            if len(ids) < (least := needed.get(name, 2)):
                raise InputError(
                    f"the {name} part of the text {corpus.name!r} has {len(ids)} tokens, and "
                    f"training at sequence_length {settings.sequence_length} needs {least} there; "
                    "take a longer text"
                )
        network = space.build(task.architecture, len(pieces), task.scale, task.seed)
        _set_dropout(network, settings.dropout)
        network.gradient_checkpointing = settings.gradient_checkpointing
        identity = task.identity(
            text={"name": corpus.name, "sha256": corpus.sha256},
            vocabulary_size=len(pieces),
            tokenizer=hashlib.sha256(pieces.definition.encode()).hexdigest(),
        )
        model = network.to(task.device)
        return DecoderTraining(task, model, parts, pieces.byte_lengths(), identity), pieces

    def finish(
        self, task: Assignment[DecoderSettings], training: DecoderTraining, tokenizer: ByteLevel
    ) -> TrainedDecoder:
        """Evaluate with the weights of the best evaluation."""
        model = training.model.eval()
        losses = {
            part: training.evaluate(part) for part in ("valid", "test") if part in training.parts
        }
        check_finite({part: loss.nats for part, loss in losses.items()})
        state = training.state
        assert isinstance(task.space, GptSpace) and state.ended is not None
        return TrainedDecoder(
            *(task.folder, task.space, task.architecture, model, tokenizer),
            *(losses, state.best_step, state.records, state.ended),
        )

    def origin(self, training: DecoderTraining, trained: TrainedDecoder) -> str:
        """What the trained weights are."""
        valid = trained.losses["valid"]
        return (
            f"trained on {training.identity['text']['name']}, validation perplexity "
            f"{valid.perplexity:.1f}, {valid.bits_per_byte:.3f} bits per byte"
        )

    def describe_progress(self, progress: DecoderProgress) -> str:
        """Where a training is, in a few words."""
        return (
            f"step {progress.step:,}/{progress.steps:,}, loss {progress.loss:.3f}, perplexity "
            f"{written_perplexity(progress.loss)}"
        )

    def describe_record(self, record: DecoderRecord) -> str:
        """An evaluation in a line."""
        return (
            f"step {record.step:,}: loss {record.train_loss:.3f}, validation "
            f"{record.valid_loss:.3f} (perplexity {record.valid_perplexity:,.1f}, "
            f"{record.valid_bits_per_byte:.3f} bits per byte), {record.tokens_per_second:,.0f} "
            "tokens/s"
        )

    def summarise(self, trained: TrainedDecoder) -> Summary:
        """What came of a training: a row for each part of the text."""
        last = trained.records[-1]
        return Summary(
            f"{last.step:,} steps in {last.seconds:.0f} s ({_ENDED[trained.ended]}), the best "
            f"evaluation is that of step {trained.best_step:,}.",
            f"At step {trained.best_step:,}",
            ("part", "tokens", "loss", "perplexity", "bits per byte"),
            [
                [
                    part,
                    f"{loss.tokens:,}",
                    f"{loss.nats:.4f}",
                    f"{loss.perplexity:,.2f}",
                    f"{loss.bits_per_byte:.4f}",
                ]
                for part, loss in trained.losses.items()
            ],
        )

    def draw(
        self, trained: TrainedDecoder, prompt: str, n: int, temperature: float, seed: int
    ) -> str:
        """Draw n tokens after a prompt, or after the end of another text.

        Raises:
            InputError: n is no positive number, the temperature none, or the decoder has too few
                positions.
        """
        if n < 1:
            raise InputError(f"{n} tokens to sample; accepted is a whole number of at least 1")
        if not 0 < temperature < math.inf:
            raise InputError(f"temperature {temperature}; accepted is a number above 0")
        pieces, network = trained.vocabulary, trained.network
        start = pieces.encode(prompt).tolist() or [pieces.end]
        if len(start) + n > network.num_positions:
            raise InputError(
                f"{n} tokens to sample after {len(start)} of the prompt; the decoder has "
                f"{network.num_positions} positions"
            )
        device = next(network.parameters()).device
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.tensor([start], device=device)
        drawn = generate(network.eval(), tokens, n, temperature, generator=generator)
        return pieces.decode(drawn[0].tolist())


def _set_dropout(network: DecoderNetwork, rate: float) -> None:
    """Give every dropout of a network this rate, and its exports, too."""
    network.arguments["dropout"] = rate
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
