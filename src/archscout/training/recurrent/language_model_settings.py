"""How a language model is trained: the published recipe, and a quick one for a laptop.

Sources: Klyuchnikov et al. 2020, "NAS-Bench-NLP" (the values); Merity et al. 2018, "Regularizing
and optimizing LSTM language models" (the recipe, AWD-LSTM).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from archscout.spaces.recurrent.language_model import Dropout
from archscout.training.training_settings import Preset, Rate, Settings


class TrainingSettings(Settings):
    """Everything that decides how a language model is trained, but for its text and seed.

    The defaults are the published recipe with the dropouts of Penn Treebank.

    Attributes:
        epochs: passes over the training text, at most.
        batch_size: B, sequences that are read side by side.
        sequence_length: tokens through which gradients flow back, on the average.
        jitter: draw the length of every segment, and scale its learning rate, as AWD-LSTM does.
        learning_rate: of Adam.
        schedule: of the learning rate, `constant` or `cosine` (down to a hundredth).
        warm_up: part of the training in which the learning rate rises to its value.
        weight_decay: of Adam, added to the gradients.
        clip: largest norm of all gradients together.
        activation_alpha: weight of the mean square of the last layer's output, after dropout.
        activation_beta: weight of the mean square of its change between steps, before dropout.
        embedding_dropout: see `Dropout`, as the four that follow.
        input_dropout: units of the embedded input.
        between_dropout: units between layers.
        output_dropout: units of the last layer's output.
        weight_drop: weights that read a previous state.
        evaluation_batch_size: sequences that are read side by side in evaluation.
        patience: epochs without a better validation loss after which training ends; None for all.
        minutes: of training after which it ends, and to which a cosine schedule is fitted; None
            for no limit. Where it is what ends the training, so does the machine's speed.
        unigram_bias: start the decoder's bias at the logarithm of the words' frequencies (plus
            one) in the training text, so that training starts from what a unigram knows.
        test_curve: evaluate the test part after every epoch, too, as benchmarks record it.
        precision: of matrix products, `float32`, or `bfloat16` (mixed, for GPUs).
        checkpoint_minutes: between checkpoints within an epoch.
    """

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(20, ge=1)
    sequence_length: int = Field(70, ge=1)
    jitter: bool = True
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    warm_up: Rate = 0.0
    weight_decay: float = Field(1.2e-6, ge=0)
    clip: float = Field(0.25, gt=0)
    activation_alpha: float = Field(2.0, ge=0)
    activation_beta: float = Field(1.0, ge=0)
    embedding_dropout: Rate = 0.1
    input_dropout: Rate = 0.4
    between_dropout: Rate = 0.25
    output_dropout: Rate = 0.4
    weight_drop: Rate = 0.5
    evaluation_batch_size: int = Field(50, ge=1)
    patience: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)
    unigram_bias: bool = False
    test_curve: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_minutes: float = Field(10.0, ge=0)

    @property
    def dropout(self) -> Dropout:
        """The dropout rates as the network takes them."""
        return Dropout(
            self.embedding_dropout,
            self.input_dropout,
            self.between_dropout,
            self.output_dropout,
            self.weight_drop,
        )


PRESETS: Mapping[str, Preset[TrainingSettings]] = {
    "published": Preset("as published for Penn Treebank", TrainingSettings(), "paper"),
    "published-wikitext-2": Preset(
        "as published for WikiText-2",
        TrainingSettings(
            embedding_dropout=0.0,
            input_dropout=0.4,
            between_dropout=0.25,
            output_dropout=0.1,
            weight_drop=0.1,
        ),
        "paper",
    ),
    "quick": Preset(
        "for a laptop and a small text",
        TrainingSettings(
            epochs=20,
            sequence_length=35,
            learning_rate=4e-3,
            schedule="cosine",
            warm_up=0.05,
            embedding_dropout=0.05,
            input_dropout=0.3,
            between_dropout=0.2,
            output_dropout=0.3,
            weight_drop=0.2,
            unigram_bias=True,
        ),
        "fast",
    ),
}
"""The recipes that have a name."""
