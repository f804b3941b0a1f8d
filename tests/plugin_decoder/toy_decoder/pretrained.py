"""The decoder as a transformers model; an exported folder carries this file and network.py."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from .network import ToyDecoder

SIZES = ("layers", "width", "heads", "words", "positions")


class ToyConfig(PretrainedConfig):
    """Sizes of a decoder."""

    model_type = "toy-decoder"

    def __init__(self, **sizes: Any) -> None:
        for name in SIZES:
            setattr(self, name, sizes.pop(name, 1))
        super().__init__(**sizes)


class ToyForCausalLM(PreTrainedModel):
    """A decoder."""

    config_class = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.model = ToyDecoder(*(getattr(config, name) for name in SIZES))
        self.post_init()

    def forward(self, input_ids: Tensor, **_: Any) -> CausalLMOutput:
        """Logits (B, T, V) of the next tokens."""
        return CausalLMOutput(logits=self.model(input_ids))
