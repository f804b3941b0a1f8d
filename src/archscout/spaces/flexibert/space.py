"""The FlexiBERT space: heterogeneous encoders of two or four layers."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.recording import Kind
from archscout.spaces.base import Scale, Trial, unwrapped
from archscout.spaces.drawing import different
from archscout.spaces.flexibert import genotype as genotypes
from archscout.spaces.flexibert import readings
from archscout.spaces.flexibert.encoders import ENCODERS
from archscout.spaces.flexibert.genotype import EncoderGenotype
from archscout.spaces.flexibert.initialisation import fill
from archscout.spaces.flexibert.network import FlexibertNetwork, MaskedTokenHead
from archscout.spaces.flexibert.readings import Reading, plan
from archscout.spaces.flexibert.recorder import FlexibertRecorder


@dataclasses.dataclass(frozen=True)
class EncoderScale(Scale):
    """Sizes of an encoder that its genotype does not say, its minibatch, and its reading.

    Attributes:
        embedding_size: E.
        num_positions: the longest input.
        reading: which network a genotype stands for, see `readings.plan`.
    """

    embedding_size: int
    num_positions: int
    reading: Reading

    @property
    def step_tokens(self) -> int:
        """An encoder takes a whole sequence at a time."""
        return self.sequence_length

    def __post_init__(self) -> None:
        if self.sequence_length > self.num_positions:
            raise InputError(
                f"size sequence_length (of scored texts) is {self.sequence_length}, more than size "
                f"num_positions, {self.num_positions}"
            )


class FlexibertSpace:
    """Encoders whose layers each have an operation, heads and feed-forward sizes of their own.

    Source: Tuli et al. 2022, "FlexiBERT"; the benchmark of Serianni and Kalita 2023.

    Example:
        >>> space = FlexibertSpace()
        >>> space.describe(space.sample(seed=3))
        '128 wide: DCT 2h 512x3, DFT 2h 1024x3'
    """

    name = "flexibert"
    kind: Kind = "transformer"
    tokenization: Literal["words", "wordpiece", "bpe"] = "wordpiece"
    auto_class = "AutoModel"
    scales: Mapping[str, EncoderScale] = {
        "paper": EncoderScale(16, 128, 128, 512, "declared"),
        "fast": EncoderScale(16, 64, 128, 512, "declared"),
    }
    default_scale = "fast"
    default_metric = "deep_memory"
    signature = "nas_config"
    named: Mapping[str, EncoderGenotype] = ENCODERS

    @property
    def size(self) -> int:
        """The number of architectures."""
        return genotypes.size()

    def samples(self, seed: int) -> Iterator[EncoderGenotype]:
        """Different genotypes, drawn choice by choice as the published ones were."""
        rng = random.Random(seed)
        return different(lambda: genotypes.sample(rng))

    def sample(self, seed: int) -> EncoderGenotype:
        """A genotype drawn at random."""
        return next(self.samples(seed))

    @property
    def published_sample(self) -> tuple[EncoderGenotype, ...]:
        """The 500 of the published benchmark, by their ids there."""
        return genotypes.published_sample()

    def suggest(self, trial: Trial) -> EncoderGenotype:
        """A genotype from genes, see `genotype.suggest`."""
        return genotypes.suggest(trial)

    def genes(self, architecture: EncoderGenotype) -> dict[str, str]:
        """Genes that suggest a genotype."""
        return genotypes.genes(architecture)

    def parse(self, document: Any) -> EncoderGenotype:
        """A genotype from JSON (text or parsed), its name, or an entry of the published benchmark.

        Raises:
            InputError: not JSON, or not a genotype of the space.
        """
        if isinstance(document, str) and document.strip() in self.named:
            return self.named[document.strip()]
        return genotypes.parse(unwrapped(document, self.name))

    def to_dict(self, architecture: EncoderGenotype) -> dict[str, Any]:
        """The genotype as plain JSON types."""
        return architecture.to_dict()

    def canonical(self, architecture: EncoderGenotype) -> EncoderGenotype:
        """The genotype itself: there is one way of writing it."""
        return architecture

    def fingerprint(self, architecture: EncoderGenotype) -> str:
        """Sixteen hexadecimal digits."""
        return genotypes.fingerprint(architecture)

    def network_fingerprint(self, architecture: EncoderGenotype, scale: EncoderScale) -> str:
        """Of the network: a reading may throw away some of what a genotype says."""
        return readings.network_fingerprint(architecture, scale.reading)

    def traits(self, architecture: EncoderGenotype, scale: EncoderScale) -> dict[str, float]:
        """Shares of layers by type of operation, in the reading that is built."""
        return readings.shares_of_layers(architecture, scale.reading)

    def describe(self, architecture: EncoderGenotype) -> str:
        """The genotype in a few words."""
        return genotypes.describe(architecture)

    def skeleton(
        self, architecture: EncoderGenotype, vocabulary_size: int, scale: EncoderScale
    ) -> FlexibertNetwork:
        """The encoder on the meta device."""
        with torch.device("meta"):
            return FlexibertNetwork(
                **plan(architecture, scale.reading).arguments(),
                vocabulary_size=vocabulary_size,
                embedding_size=scale.embedding_size,
                num_positions=scale.num_positions,
            )

    def build(
        self,
        architecture: EncoderGenotype,
        vocabulary_size: int,
        scale: EncoderScale | None = None,
        seed: int = 0,
    ) -> FlexibertNetwork:
        """The encoder with random weights, on the CPU.

        Args:
            architecture: a genotype.
            vocabulary_size: V.
            scale: sizes and reading; `fast` by default.
            seed: of the weights.
        """
        scale = scale or self.scales[self.default_scale]
        network = self.skeleton(architecture, vocabulary_size, scale)
        fill(network, seed, share=False)
        return network

    def recorder(
        self,
        architecture: EncoderGenotype,
        vocabulary_size: int,
        scale: EncoderScale,
        seed: int,
        depth: int | None = None,
        device: str = "cpu",
        mask_token: int | None = None,
    ) -> FlexibertRecorder:
        """The encoder for the trace, with weights in its first `depth` layers only."""
        network = self.skeleton(architecture, vocabulary_size, scale)
        drawn: dict[str, nn.Module] = {}
        if depth != 0:
            drawn["embeddings"] = network.embeddings
            if hasattr(network, "embeddings_project"):
                drawn["embeddings_project"] = network.embeddings_project
            for i, layer in enumerate(network.encoder.layer[:depth]):
                drawn[f"encoder.layer.{i}"] = layer
        head = None
        if mask_token is not None:
            hidden_size = network.encoder.hidden_size
            with torch.device("meta"):
                head = MaskedTokenHead(hidden_size, scale.embedding_size, vocabulary_size)
            drawn["masked_token_head"] = head
        for name, module in drawn.items():
            fill(module, seed, True, name)
            if device != "cpu":
                module.to(device)
        return FlexibertRecorder(network, head, mask_token or 0, seed)

    def save_pretrained(
        self, network: FlexibertNetwork, architecture: EncoderGenotype, folder: Path
    ) -> None:
        """Write configuration, weights and code, for transformers to load."""
        # Importing transformers takes seconds, and only exports need it.
        from archscout.spaces.flexibert import pretrained

        model = pretrained.wrap(network)
        name = pretrained.__name__.rpartition(".")[2]
        model.config.auto_map = {
            auto: f"{name}.{kind.__name__}" for auto, kind in pretrained.AUTO_CLASSES.items()
        }
        model.save_pretrained(folder)

    def step(self, network: FlexibertNetwork, scale: EncoderScale, batch_size: int) -> Tensor:
        """Hidden states (B, T, H) of one sequence for each of B."""
        device = network.embeddings.word_embeddings.weight.device
        tokens = torch.zeros(batch_size, scale.sequence_length, dtype=torch.long, device=device)
        hidden: Tensor = network(tokens).last_hidden_state
        return hidden
