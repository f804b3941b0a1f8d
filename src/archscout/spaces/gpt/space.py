"""The space of decoders: GPT-2, Llama and kin, with sizes of their own in each layer."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from archscout.errors import InputError
from archscout.recording import Kind
from archscout.spaces.base import Scale, Trial, unwrapped
from archscout.spaces.drawing import different
from archscout.spaces.gpt import genotype as genotypes
from archscout.spaces.gpt import sampling
from archscout.spaces.gpt.decoders import DECODERS
from archscout.spaces.gpt.generation import Cache, read
from archscout.spaces.gpt.genotype import DecoderGenotype
from archscout.spaces.gpt.initialisation import fill
from archscout.spaces.gpt.network import DecoderNetwork
from archscout.spaces.gpt.recorder import DecoderRecorder
from archscout.spaces.gpt.sizes import (
    band_widths,
    bands,
    decoder_parameters,
    embedding_parameters,
    head_parameters,
)


@dataclasses.dataclass(frozen=True)
class DecoderScale(Scale):
    """Sizes of a decoder that its genotype does not say, and its minibatch.

    Attributes:
        num_positions: the longest text.
        cutoffs: ids at which the bands of the vocabulary end, rising, with commas between them;
            the last band ends with the vocabulary.
        softmax: `full`, and adaptive only where `div_val` is above 1; or `adaptive` for all.
        norms: where norms stand: `pre`, before attention and feed-forward blocks, or `post`,
            behind what these are added to.
        head: what predicts tokens: `tied` to their embeddings, or `untied`, with weights of its
            own.
    """

    num_positions: int
    cutoffs: str
    softmax: Literal["full", "adaptive"] = "full"
    norms: Literal["pre", "post"] = "pre"
    head: Literal["tied", "untied"] = "tied"

    @property
    def step_tokens(self) -> int:
        """A decoder takes a whole text at a time."""
        return self.sequence_length

    def __post_init__(self) -> None:
        if self.sequence_length > self.num_positions:
            raise InputError(
                f"size sequence_length (of scored texts) is {self.sequence_length}, more than size "
                f"num_positions, {self.num_positions}"
            )
        try:
            ends = self.band_ends
        except ValueError:
            ends = (0,)
        if any(end <= start for start, end in pairwise((0, *ends))):
            raise InputError(
                f"cutoffs is {self.cutoffs!r}; ids from 1 up, rising, with commas between them are "
                "accepted"
            )

    @property
    def band_ends(self) -> tuple[int, ...]:
        """The ids at which bands end, but for the last one."""
        return tuple(int(end) for end in self.cutoffs.split(",") if self.cutoffs)


class GptSpace:
    """Decoders whose layers each have heads and feed-forward widths of their own.

    Source: Javaheripi et al. 2022, "LiteTransformerSearch", with the parts of Llama.

    Examples:
        >>> space = GptSpace()
        >>> space.describe(space.parse("llama-tiny"))
        '2 x 128: 2/1 heads, inner 320, rmsnorm, swiglu, rope, no bias'
    """

    name = "gpt"
    kind: Kind = "transformer"
    tokenization: Literal["words", "wordpiece", "bpe"] = "bpe"
    auto_class = "AutoModelForCausalLM"
    scales: Mapping[str, DecoderScale] = {
        "fast": DecoderScale(16, 64, 256, "1000,4000"),
        # LiteTransformerSearch's on WikiText-103, and on LM1B, whose vocabulary is one band.
        "paper": DecoderScale(16, 192, 192, "19997,39997", "adaptive"),
        "paper-lm1b": DecoderScale(16, 32, 32, "50264", "adaptive"),
    }
    default_scale = "fast"
    default_metric = "decoder_memory"
    other_metrics = ("linear_memory_lag_0", "decoder_capacity", "token_share")
    signature = "d_inner"
    named: Mapping[str, DecoderGenotype] = DECODERS
    published_sample: Sequence[DecoderGenotype] = ()

    def samples(self, seed: int) -> Iterator[DecoderGenotype]:
        """Different decoders at random, see `sampling.sample`."""
        return self._samples(random.Random(seed), None)

    def size(self, architecture: DecoderGenotype, scale: DecoderScale | None = None) -> int:
        """Parameters of a decoder, embeddings left out.

        The last norm is among them, unless the scale has norms behind each sum, where none is last.
        """
        return decoder_parameters(architecture, scale is None or scale.norms == "pre")

    def count_parameters(
        self, architecture: DecoderGenotype, vocabulary_size: int, scale: DecoderScale
    ) -> int:
        """All parameters of a decoder, tied ones once.

        Raises:
            InputError: the vocabulary has no bands for it.
        """
        ends, adaptive = scale.band_ends, scale.softmax == "adaptive"
        return (
            self.size(architecture, scale)
            + embedding_parameters(architecture, vocabulary_size, scale.num_positions, ends)
            + head_parameters(architecture, vocabulary_size, ends, adaptive, scale.head == "tied")
        )

    def samples_of_size(self, seed: int, low: int, high: int) -> Iterator[DecoderGenotype]:
        """Different decoders of so many parameters, embeddings left out.

        Their sizes are spread evenly on a logarithmic scale, see `sampling.sample`.

        Raises:
            InputError: the space has none.
        """
        return self._samples(random.Random(seed), (low, high))

    def _samples(
        self, rng: random.Random, limits: tuple[int, int] | None
    ) -> Iterator[DecoderGenotype]:
        return different(lambda: sampling.sample(rng, limits))

    def sample(self, seed: int) -> DecoderGenotype:
        """A decoder drawn at random."""
        return next(self.samples(seed))

    def suggest(self, trial: Trial) -> DecoderGenotype:
        """A decoder from genes, see `sampling.suggest`."""
        return sampling.suggest(trial)

    def genes(self, architecture: DecoderGenotype) -> dict[str, int | float | str] | None:
        """Genes that suggest a decoder, None where there are none."""
        return sampling.genes(architecture)

    def parse(self, document: Any) -> DecoderGenotype:
        """A genotype from JSON (text or parsed), or its name.

        Raises:
            InputError: not JSON, or no genotype of the space.
        """
        if isinstance(document, str) and document.strip() in self.named:
            return self.named[document.strip()]
        return genotypes.parse(unwrapped(document, self.name))

    def to_dict(self, architecture: DecoderGenotype) -> dict[str, Any]:
        """The genotype as plain JSON types."""
        return architecture.to_dict()

    def canonical(self, architecture: DecoderGenotype) -> DecoderGenotype:
        """The genotype itself: reading one brings all ways of writing it together."""
        return architecture

    def fingerprint(self, architecture: DecoderGenotype) -> str:
        """Sixteen hexadecimal digits."""
        return genotypes.fingerprint(architecture)

    def describe(self, architecture: DecoderGenotype) -> str:
        """The genotype in a few words."""
        return genotypes.describe(architecture)

    def skeleton(
        self, architecture: DecoderGenotype, vocabulary_size: int, scale: DecoderScale
    ) -> DecoderNetwork:
        """The decoder on the meta device.

        Raises:
            InputError: the vocabulary has no bands to narrow, or one would have no width.
        """
        with torch.device("meta"):
            return DecoderNetwork(**arguments(architecture, vocabulary_size, scale))

    def build(
        self,
        architecture: DecoderGenotype,
        vocabulary_size: int,
        scale: DecoderScale | None = None,
        seed: int = 0,
    ) -> DecoderNetwork:
        """The decoder with random weights, on the CPU.

        Args:
            architecture: a genotype.
            vocabulary_size: V.
            scale: sizes; `fast` by default.
            seed: of the weights.
        """
        scale = scale or self.scales[self.default_scale]
        network = self.skeleton(architecture, vocabulary_size, scale)
        fill(network, seed, share=False)
        return network

    def recorder(
        self,
        architecture: DecoderGenotype,
        vocabulary_size: int,
        scale: DecoderScale,
        seed: int,
        depth: int | None = None,
        device: str = "cpu",
        mask_token: int | None = None,
    ) -> DecoderRecorder:
        """The decoder for the trace, with weights in its first `depth` layers only."""
        network = self.skeleton(architecture, vocabulary_size, scale)
        fill(network, seed, True, depth)
        if device != "cpu":
            others = [part for name, part in network.named_children() if name != "layers"]
            for part in (*others, *network.layers[:depth]):
                part.to(device)
        return DecoderRecorder(network)

    def save_pretrained(
        self, network: DecoderNetwork, architecture: DecoderGenotype, folder: Path
    ) -> None:
        """Write configuration and weights for transformers to load, and code if it has none."""
        # Importing transformers takes seconds, and only exports need it.
        from archscout.spaces.gpt import pretrained
        from archscout.spaces.gpt.native import native

        model = native(network, architecture)
        if model is None:
            model = pretrained.wrap(network)
            name = pretrained.__name__.rpartition(".")[2]
            model.config.auto_map = {
                "AutoConfig": f"{name}.DecoderConfig",
                "AutoModelForCausalLM": f"{name}.DecoderForCausalLM",
            }
        model.save_pretrained(folder)

    def step(self, network: DecoderNetwork, scale: DecoderScale, batch_size: int) -> Tensor:
        """Logits (B, T, V) of one text for each of B."""
        device = next(network.parameters()).device
        tokens = torch.zeros(batch_size, scale.sequence_length, dtype=torch.long, device=device)
        logits: Tensor = network(tokens)
        return logits

    def prefill(self, network: DecoderNetwork, scale: DecoderScale, batch_size: int) -> Cache:
        """A cache that holds all but the last of the scale's tokens, of each of B texts."""
        device = next(network.parameters()).device
        shape = (batch_size, scale.sequence_length - 1)
        cache = Cache(scale.sequence_length)
        read(network, torch.zeros(shape, dtype=torch.long, device=device), cache)
        return cache

    def next_token(self, network: DecoderNetwork, cache: Cache, batch_size: int) -> Tensor:
        """Logits (B, V) after one more token, which the cache does not keep."""
        held, device = cache.get_seq_length(), next(network.parameters()).device
        logits = read(network, torch.zeros(batch_size, 1, dtype=torch.long, device=device), cache)
        cache.crop(held)
        return logits


def arguments(
    architecture: DecoderGenotype, vocabulary_size: int, scale: DecoderScale
) -> dict[str, Any]:
    """Those of `DecoderNetwork`, as plain JSON types.

    Raises:
        InputError: the vocabulary has no bands to narrow, or one would have no width.
    """
    counts = bands(vocabulary_size, scale.band_ends, architecture.div_val)
    band_widths(architecture, len(counts))
    given = architecture.to_dict()
    del given["n_layer"]
    return {
        **given,
        "vocabulary_size": vocabulary_size,
        "cutoffs": [end for end in scale.band_ends if end < vocabulary_size],
        "adaptive": scale.softmax == "adaptive" or architecture.div_val > 1,
        "pre_norm": scale.norms == "pre",
        "num_positions": scale.num_positions,
        "tied": scale.head == "tied",
    }
