"""How a decoder is trained, and a quick recipe for a laptop."""

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
}
"""The recipes that have a name."""
