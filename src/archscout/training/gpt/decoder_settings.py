"""How a decoder is trained, and recipes that have a name.

Sources of `nanogpt-char`: Karpathy, "nanoGPT" (config/train_shakespeare_char.py, and what train.py
has by default); of `lts-wt103`: the release of Javaheripi et al. 2022, "LiteTransformerSearch"
(archai/nlp/nvidia_transformer_xl/wt103_base.yaml, and what its train.py has by default).
"""

from __future__ import annotations

from collections.abc import Mapping

from archscout.training.causal.causal_settings import CausalSettings
from archscout.training.training_settings import Preset, Rate


class DecoderSettings(CausalSettings):
    """Everything that decides how a decoder is trained, but for its text and seed.

    Attributes:
        dropout: of embeddings, attention and what blocks add.
        gradient_checkpointing: compute layers again in backward passes, which saves memory.
    """

    dropout: Rate = 0.1
    gradient_checkpointing: bool = False


PRESETS: Mapping[str, Preset[DecoderSettings]] = {
    "quick": Preset("for a laptop and a small text", DecoderSettings(), "fast"),
    "nanogpt-char": Preset(
        "of nanoGPT for the characters of a small text, for a GPU",
        DecoderSettings(
            steps=5000,
            batch_size=64,
            sequence_length=256,
            learning_rate=1e-3,
            lowest_rate=0.1,
            warm_up=0.02,
            beta_2=0.99,
            dropout=0.2,
            evaluate_every=250,
        ),
        "fast",
    ),
    "lts-wt103": Preset(
        "of LiteTransformerSearch for WikiText-103, for GPUs",
        DecoderSettings(
            steps=40_000,
            batch_size=256,
            sequence_length=192,
            optimizer="lamb",
            learning_rate=0.01,
            lowest_rate=0.1,
            warm_up=0.025,
            weight_decay=0.0,
            beta_2=0.999,
            clip=0.25,
            dropout=0.1,
            evaluate_every=5000,
        ),
        "paper",
    ),
}
"""The recipes that have a name."""
