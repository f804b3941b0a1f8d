"""The three readings of a genotype: which network it stands for.

The published metrics were computed on other networks than the published scores come from, and
neither is what the genotype says (Serianni and Kalita 2023, released code).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from archscout.spaces.flexibert.genotype import EncoderGenotype, fingerprint

Reading = Literal["declared", "scored", "trained"]

_SCORED_HIDDEN_SIZE = 256
_SCORED_FEED_FORWARD = 1024
_TRAINED_OPERATION = "SDP"
_TRAINED_FACTOR = 4  # of the first feed-forward layer's width to the hidden size
_TYPES = {
    "self_attention_layers": ("SDP", "WMA"),
    "linear_transform_layers": ("DFT", "DCT"),
    "convolution_layers": ("DSC-5", "DSC-9"),
}


@dataclass(frozen=True)
class LayerPlan:
    """One layer of the network that is built."""

    operation: str  # SDP, WMA, DFT, DCT, DSC-5 or DSC-9
    num_heads: int
    feed_forward: tuple[int, ...]  # widths of the feed-forward layers, in their order
    closed: bool  # whether output projection, residual and layer norm follow the operation


@dataclass(frozen=True)
class Plan:
    """The network that a genotype stands for in one reading, its layers from the input on."""

    hidden_size: int
    layers: tuple[LayerPlan, ...]

    def arguments(self) -> dict[str, Any]:
        """The arguments of `FlexibertNetwork` and `FlexibertConfig`, as plain JSON types."""
        layers = [
            asdict(layer) | {"feed_forward": list(layer.feed_forward)} for layer in self.layers
        ]
        return {"hidden_size": self.hidden_size, "layers": layers}


def plan(genotype: EncoderGenotype, reading: Reading) -> Plan:
    """What a genotype stands for.

    `declared` is as the genotype says; `scored` the network of the published metrics: hidden size
    256 and feed-forward width 1024 whatever the genotype says, and linear transforms without
    output projection, residual and layer norm; `trained` the network of the published scores:
    scaled dot-product attention everywhere, the first feed-forward layer four times as wide as the
    hidden size.
    """
    scored, trained = reading == "scored", reading == "trained"
    hidden_size = _SCORED_HIDDEN_SIZE if scored else genotype.hidden_size
    layers = []
    for layer in genotype.layers:
        width = _SCORED_FEED_FORWARD if scored else layer.feed_forward_dimension
        widths = [width] * layer.num_feed_forward
        if trained:
            widths[0] = _TRAINED_FACTOR * hidden_size
        layers.append(
            LayerPlan(
                operation=_TRAINED_OPERATION if trained else layer.short_operation,
                num_heads=layer.num_operation_heads,
                feed_forward=tuple(widths),
                closed=not (scored and layer.operation_type == "LT"),
            )
        )
    return Plan(hidden_size, tuple(layers))


def shares_of_layers(genotype: EncoderGenotype, reading: Reading) -> dict[str, float]:
    """Which share of the layers has each type of operation, from 0 to 1."""
    operations = [layer.operation for layer in plan(genotype, reading).layers]
    return {
        name: sum(operation in those for operation in operations) / len(operations)
        for name, those in _TYPES.items()
    }


def network_fingerprint(genotype: EncoderGenotype, reading: Reading) -> str:
    """Sixteen hexadecimal digits that genotypes share which stand for one network in a reading.

    Each declares a network of its own, whose fingerprint is the genotype's; the other readings
    throw away some of what it says.
    """
    if reading == "declared":
        return fingerprint(genotype)
    document = json.dumps(plan(genotype, reading).arguments(), sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:16]
