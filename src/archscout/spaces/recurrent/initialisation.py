"""Random weights for the language model, drawn from a seed in one of two ways.

Both give every weight of a layer of width H the uniform distribution within 1/sqrt(H), and the
embedding that within 0.1. They differ in which random numbers reach which weight.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from threading import Lock

import torch
from torch import Tensor

from archscout.spaces.recurrent.language_model import EMBEDDING_BOUND, RecurrentLanguageModel
from archscout.spaces.streams import Streams


def initialise_published(
    model: RecurrentLanguageModel, seed: int, depth: int, hidden_size: int
) -> None:
    """Fill the first `depth` layers and the embedding as the released code does.

    The released code draws from one generator: the embedding (`nn.Embedding`), every layer twice
    (`kaiming_uniform_`, then uniform), the decoder (`nn.Linear`), the embedding twice more. Only
    the last draw of each counts; the others move the generator on.

    Args:
        model: a model on the CPU or the meta device.
        seed: as for `torch.manual_seed`.
        depth: number of layers to fill.
        hidden_size: width that the released code gives the decoder before its weight is tied.
    """
    vocabulary_size, embedding_size = model.embedding.shape
    stream = _published_stream(seed, vocabulary_size, embedding_size)
    position = 0
    for i, layer in enumerate(model.recurrent_layers):
        size = sum(p.numel() for p in layer.parameters())
        if i < depth:
            generator = stream.at(position + size)
            bound = 1 / math.sqrt(layer.hidden_size)
            for node in layer.linear.values():
                node.bias = _uniform(node.bias, bound, generator)
                for j, weight in enumerate(node.weights):
                    node.weights[j] = _uniform(weight, bound, generator)
        position += 2 * size
    position += vocabulary_size * hidden_size + vocabulary_size + model.embedding.numel()
    model.embedding = _uniform(model.embedding, EMBEDDING_BOUND, stream.at(position))
    model.decoder_bias = torch.nn.Parameter(torch.zeros(vocabulary_size))


def initialise_canonical(
    model: RecurrentLanguageModel, seed: int, depth: int, share: bool = False
) -> None:
    """Fill the first `depth` layers and the embedding, each tensor from a stream of its own.

    A tensor's stream follows from the seed and its place in the model, so that it is the same
    whatever else is drawn, and the embedding is the same for all architectures. The recipe must
    be in canonical form.

    Args:
        model: a model on the CPU or the meta device.
        seed: as for `torch.manual_seed`.
        depth: number of layers to fill.
        share: whether tensors are views of the drawn numbers, which must then not be changed.
    """

    def drawn(like: Tensor, bound: float, name: str) -> torch.nn.Parameter:
        values = _streams(bound).take(seed, name, like.numel()).view(like.shape)
        return torch.nn.Parameter(values if share else values.clone(), requires_grad=not share)

    model.embedding = drawn(model.embedding, EMBEDDING_BOUND, "embedding")
    for i, layer in enumerate(model.recurrent_layers[:depth]):
        bound = 1 / math.sqrt(layer.hidden_size)
        for name, node in layer.linear.items():
            node.bias = drawn(node.bias, bound, f"{i}/{name}/bias")
            weights = node.weights._parameters
            for j, weight in weights.items():
                assert weight is not None
                weights[j] = drawn(weight, bound, f"{i}/{name}/{j}")
    model.decoder_bias = torch.nn.Parameter(torch.zeros(len(model.decoder_bias)))


def _uniform(like: Tensor, bound: float, generator: torch.Generator) -> torch.nn.Parameter:
    values = torch.empty(like.shape).uniform_(-bound, bound, generator=generator)
    return torch.nn.Parameter(values)


@lru_cache(maxsize=4)
def _streams(bound: float) -> Streams:
    """Uniform numbers within a bound: of the embedding, or of layers of one width."""

    def draw(seed: int, name: str, size: int) -> Tensor:
        digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
        return torch.empty(size).uniform_(-bound, bound, generator=generator)

    return Streams(draw)


class _Stream:
    """The uniform numbers that a generator would draw, reached by their position.

    For one seed all architectures read the same stream at different positions. The generator's
    state is kept every so often, so that only the first to get so far draws all that it skips.
    """

    _INTERVAL = 1 << 18

    def __init__(self, generator: torch.Generator) -> None:
        self._states = [generator.get_state()]
        self._scratch = torch.empty(self._INTERVAL)
        self._lock = Lock()

    def at(self, position: int) -> torch.Generator:
        """A generator that has drawn so many uniform numbers of the stream."""
        whole, rest = divmod(position, self._INTERVAL)
        generator = torch.Generator()
        with self._lock:
            generator.set_state(self._states[min(whole, len(self._states) - 1)])
            while len(self._states) <= whole:
                self._scratch.uniform_(generator=generator)
                self._states.append(generator.get_state())
            self._scratch[:rest].uniform_(generator=generator)
        return generator


@lru_cache(maxsize=1)
def _published_stream(seed: int, vocabulary_size: int, embedding_size: int) -> _Stream:
    """What the released code draws after `nn.Embedding` has drawn its normal numbers."""
    generator = torch.Generator().manual_seed(seed)
    torch.empty(vocabulary_size, embedding_size).normal_(generator=generator)
    return _Stream(generator)
