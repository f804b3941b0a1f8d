"""How a causal language model is trained.

Sources: Radford et al. 2019, "GPT-2", and Brown et al. 2020, "GPT-3", appendix B (AdamW, a warm-up
and a cosine, gradients clipped at 1, weight decay of matrices).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archscout.training.schedule import LOWEST_RATE
from archscout.training.training_settings import Rate, Settings


class CausalSettings(Settings):
    """Everything that decides how a causal language model is trained, but for its text and seed.

    Attributes:
        steps: updates of the weights, at most.
        batch_size: B, stretches of the text that are read at once.
        accumulation: batches whose gradients are added up for one step.
        sequence_length: T, tokens of a stretch.
        optimizer: `adamw`, or `lamb` (You et al. 2020), whose steps are of the size of the weights.
        learning_rate: of the optimizer.
        schedule: of the learning rate, `cosine` (down to `lowest_rate`), `linear` (down to zero)
            or `constant`.
        lowest_rate: part of the learning rate that is left at the end of a cosine.
        warm_up: part of the training in which the learning rate rises to its value.
        weight_decay: decoupled; of matrices only.
        beta_2: of the optimizer, by which the mean of squares forgets.
        clip: largest norm of all gradients together.
        evaluate_every: steps between evaluations.
        patience: evaluations without a better validation loss after which training ends; None for
            no such end.
        minutes: of training after which it ends, and to which the schedule is fitted; None for no
            limit. Where it is what ends the training, so does the machine's speed.
        precision: of matrix products, `float32`, or `bfloat16` (mixed, for GPUs).
        checkpoint_minutes: between checkpoints within `evaluate_every` steps.
    """

    steps: int = Field(1000, ge=1)
    batch_size: int = Field(16, ge=1)
    accumulation: int = Field(1, ge=1)
    sequence_length: int = Field(64, ge=1)
    optimizer: Literal["adamw", "lamb"] = "adamw"
    learning_rate: float = Field(3e-3, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    lowest_rate: Rate = LOWEST_RATE
    warm_up: Rate = 0.05
    weight_decay: float = Field(0.1, ge=0)
    beta_2: float = Field(0.95, gt=0, lt=1)
    clip: float = Field(1.0, gt=0)
    evaluate_every: int = Field(100, ge=1)
    patience: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_minutes: float = Field(10.0, ge=0)

    @property
    def step_tokens(self) -> int:
        """Tokens that a step reads."""
        return self.batch_size * self.accumulation * self.sequence_length
