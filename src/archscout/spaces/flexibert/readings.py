"""The three readings of a genotype: which network it stands for.

The published metrics were computed on other networks than the published scores come from, and
neither is what the genotype says (Serianni and Kalita 2023, released code).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from archscout.spaces.flexibert.genotype import EncoderGenotype, EncoderLayer, fingerprint

Reading = Literal["declared", "scored", "trained"]

_SCORED_HIDDEN_SIZE = 256
_SCORED_FEED_FORWARD = 1024
_TRAINED_OPERATION = "SDP"
_TRAINED_FACTOR = 4  # of the first feed-forward layer's width to the hidden size


@dataclass(frozen=True)
class LayerPlan:
    """One layer of the network that is built.

    Attributes:
        operation: SDP, WMA, DFT, DCT, DSC-5 or DSC-9.
        num_heads: of the operation.
        feed_forward: widths of the feed-forward layers, in their order.
        closed: whether output projection, residual and layer norm follow the operation.
    """

    operation: str
    num_heads: int
    feed_forward: tuple[int, ...]
    closed: bool


@dataclass(frozen=True)
class Plan:
    """The network that a genotype stands for in one reading.

    Attributes:
        hidden_size: H.
        layers: the first nearest to the input.
    """

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

    Args:
        genotype: of the space.
        reading: `declared`, as the genotype says; `scored`, the network of the published metrics:
            hidden size 256 and feed-forward width 1024 whatever the genotype says, and linear
            transforms without output projection, residual and layer norm; or `trained`, the
            network of the published scores: scaled dot-product attention everywhere, the first
            feed-forward layer four times as wide as the hidden size.
    """
    scored, hidden_size = reading == "scored", genotype.hidden_size
    if scored:
        hidden_size = _SCORED_HIDDEN_SIZE
    layers = []
    for layer in genotype.layers:
        width = _SCORED_FEED_FORWARD if scored else layer.feed_forward_dimension
        widths = [width] * layer.num_feed_forward
        if reading == "trained":
            widths[0] = _TRAINED_FACTOR * hidden_size
        layers.append(
            LayerPlan(
                operation=_TRAINED_OPERATION if reading == "trained" else _operation(layer),
                num_heads=layer.num_operation_heads,
                feed_forward=tuple(widths),
                closed=not (scored and layer.operation_type == "LT"),
            )
        )
    return Plan(hidden_size, tuple(layers))


def network_fingerprint(genotype: EncoderGenotype, reading: Reading) -> str:
    """Sixteen hexadecimal digits that genotypes share which stand for one network in a reading.

    Each declares a network of its own, whose fingerprint is the genotype's; the other readings
    throw away some of what it says.

    Args:
        genotype: of the space.
        reading: see `plan`.
    """
    if reading == "declared":
        return fingerprint(genotype)
    document = json.dumps(plan(genotype, reading).arguments(), sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def _operation(layer: EncoderLayer) -> str:
    is_word = isinstance(layer.operation_parameter, str)
    return str(layer.operation_parameter) if is_word else layer.operation
