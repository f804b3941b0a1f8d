"""How an encoder is fine-tuned: as published for ELECTRA-small.

Sources: Clark et al. 2020, "ELECTRA", appendix B (the values for the small model), and its released
code (the layers' rates, both orders of symmetric pairs).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archscout.training.glue.tasks import Task
from archscout.training.training_settings import Rate, Settings


class FinetuningSettings(Settings):
    """Everything that decides how an encoder is fine-tuned, but for its task and seed.

    Attributes:
        learning_rate: of AdamW, at its height, of the head.
        layer_decay: what the rate is multiplied by from layer to layer down to the embedding, see
            `optimization.rate_factors`; 1 for one rate.
        epochs: passes over the examples; None for the task's own, 3, or 10 of RTE and STS-B.
        batch_size: B, examples of a step.
        schedule: of the learning rate, `linear` (down to zero), `cosine` (down to a hundredth) or
            `constant`.
        warm_up: part of the training in which the learning rate rises to its value.
        weight_decay: of AdamW, not of biases and layer norms.
        epsilon: of AdamW.
        dropout: in the encoder and its head.
        clip: largest norm of all gradients together.
        max_length: tokens of an input, `[CLS]` and `[SEP]` included; the longer sentence of a pair
            is cut first.
        both_orders: train on symmetric pairs (MRPC, STS-B) in both orders.
        limit: of examples that are trained on, from the first, for quick trials; None for all.
        evaluation_batch_size: examples side by side in evaluation.
        precision: of matrix products, `float32`, or `bfloat16` (mixed, for GPUs).
        checkpoint_minutes: between checkpoints within an epoch.
    """

    learning_rate: float = Field(3e-4, gt=0)
    layer_decay: float = Field(0.8, gt=0, le=1)
    epochs: int | None = Field(None, ge=1)
    batch_size: int = Field(32, ge=1)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warm_up: Rate = 0.1
    weight_decay: float = Field(0.0, ge=0)
    epsilon: float = Field(1e-6, gt=0)
    dropout: Rate = 0.1
    clip: float = Field(1.0, gt=0)
    max_length: int = Field(128, ge=5)
    both_orders: bool = True
    limit: int | None = Field(None, ge=1)
    evaluation_batch_size: int = Field(128, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_minutes: float = Field(10.0, ge=0)

    def epochs_of(self, task: Task) -> int:
        """Passes over a task's examples."""
        return self.epochs or task.epochs
