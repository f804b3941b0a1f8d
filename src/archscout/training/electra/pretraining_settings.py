"""How an encoder is pretrained: the published recipe, and a quick one for a laptop.

Sources: Clark et al. 2020, "ELECTRA", and its released code; Tuli et al. 2022, "FlexiBERT", and
Serianni and Kalita 2023 (the values).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import AliasChoices, Field

from archscout.training.training_settings import Preset, Rate, Settings


class PretrainingSettings(Settings):
    """Everything that decides how an encoder is pretrained, but for its text and seed.

    The defaults are the published recipe.

    Attributes:
        task: `replaced` (ELECTRA: a small generator fills masked tokens in, the encoder tells
            which are not the original ones) or `masked` (the encoder itself predicts masked
            tokens, as BERT does).
        steps: updates of the weights, at most.
        batch_size: B, sequences that are read at once.
        accumulation: batches whose gradients are added up for one step.
        sequence_length: T, tokens of a sequence, `[CLS]` and `[SEP]` included.
        learning_rate: of Adam.
        schedule: of the learning rate, `linear` (down to zero), `cosine` (down to a hundredth) or
            `constant`.
        warm_up: part of the training in which the learning rate rises to its value.
        weight_decay: of Adam, decoupled; not of biases and layer norms.
        clip: largest norm of all gradients together.
        dropout: of embeddings, attention and outputs, in encoder and generator.
        mask_share: of a sequence's tokens that are to be predicted.
        generator_share: the generator's widths in parts of the encoder's.
        discriminator_weight: of the loss of telling replaced tokens; the generator's has 1.
        evaluate_every: steps between evaluations.
        patience: evaluations without a better validation loss after which training ends; None for
            no such end.
        minutes: of training after which it ends, and to which the schedule is fitted; None for no
            limit. Where it is what ends the training, so does the machine's speed.
        unigram_bias: start the bias of what predicts masked tokens at the logarithm of the pieces'
            frequencies (plus one) in the training text, so that training starts from what a
            unigram knows.
        precision: of matrix products, `float32`, or `bfloat16` (mixed, for GPUs).
        checkpoint_minutes: between checkpoints within `evaluate_every` steps.
        milestones: every so many steps, from 0 on, the encoder is kept for fine-tuning; None for
            none.
    """

    task: Literal["replaced", "masked"] = Field(
        "replaced",
        validation_alias=AliasChoices("task", "objective"),
        serialization_alias="objective",
    )
    steps: int = Field(100_000, ge=1)
    batch_size: int = Field(128, ge=1)
    accumulation: int = Field(1, ge=1)
    sequence_length: int = Field(128, ge=3)
    learning_rate: float = Field(5e-4, gt=0)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warm_up: Rate = 0.1
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    dropout: Rate = 0.1
    mask_share: float = Field(0.15, gt=0, lt=1)
    generator_share: float = Field(0.25, gt=0, le=1)
    discriminator_weight: float = Field(50.0, ge=0)
    evaluate_every: int = Field(1000, ge=1)
    patience: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)
    unigram_bias: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_minutes: float = Field(10.0, ge=0)
    milestones: int | None = Field(None, ge=1)

    @property
    def step_tokens(self) -> int:
        """Tokens that a step reads."""
        return self.batch_size * self.accumulation * self.sequence_length


PRESETS: Mapping[str, Preset[PretrainingSettings]] = {
    "published": Preset("as published for NAS-Bench-BERT", PretrainingSettings(), "paper"),
    "quick": Preset(
        "for a laptop and a small text",
        PretrainingSettings(
            steps=2000,
            batch_size=16,
            sequence_length=64,
            evaluate_every=200,
            unigram_bias=True,
        ),
        "fast",
    ),
}
"""The recipes that have a name."""
