"""Small pretrainings that take a second, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from archscout.spaces import EncoderGenotype, EncoderScale, FlexibertSpace
from archscout.training import Pretrained, PretrainingSettings

SCALE = EncoderScale(4, 12, 8, 16, "declared")

SETTINGS = PretrainingSettings(
    steps=12,
    batch_size=4,
    sequence_length=12,
    learning_rate=1e-2,
    evaluate_every=4,
)

ENCODER: dict[str, Any] = {
    "hidden_size": 128,
    "nas_config": {
        "encoder_layers": [
            {
                "operation_type": "SA",
                "operation_parameter": "SDP",
                "num_operation_heads": 2,
                "feed_forward_dimension": 512,
                "num_feed_forward": 1,
            },
            {
                "operation_type": "DSC",
                "operation_parameter": 5,
                "num_operation_heads": 4,
                "feed_forward_dimension": 512,
                "num_feed_forward": 1,
            },
        ]
    },
}

PretrainSmall = Callable[..., Pretrained]


def genotype() -> EncoderGenotype:
    return FlexibertSpace().parse(ENCODER)


def encoder_weights(pretrained: Pretrained) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in pretrained.encoder.named_parameters()}
