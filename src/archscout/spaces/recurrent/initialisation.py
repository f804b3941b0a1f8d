"""Random weights for the language model, drawn from a seed in one of two ways.

Both give every weight of a layer of width H the uniform distribution within 1/sqrt(H), and the
embedding that within 0.1. They differ in which random numbers reach which weight.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import torch
from torch import Tensor

from archscout.spaces.recurrent.language_model import LinearNode, RecurrentLanguageModel

EMBEDDING_BOUND = 0.1


def initialise_published(
    model: RecurrentLanguageModel, seed: int, depth: int, hidden_size: int
) -> None:
    """Fill the first `depth` layers and the embedding as the released code does.

    The released code draws from one generator: the embedding (`nn.Embedding`), every layer twice
    (`kaiming_uniform_`, then uniform), the decoder (`nn.Linear`), the embedding twice more. Only
    the last draw of each counts, the others move the generator on.

    Args:
        model: a model on the CPU or the meta device.
        seed: as for `torch.manual_seed`.
        depth: number of layers to fill.
        hidden_size: width that the released code gives the decoder before its weight is tied.
    """
    vocabulary_size, embedding_size = model.embedding.shape
    generator = torch.Generator()
    generator.set_state(_after_embedding(seed, vocabulary_size, embedding_size))
    for i, layer in enumerate(model.layers):
        size = sum(p.numel() for p in layer.parameters())
        _skip(generator, size)
        if i >= depth:
            _skip(generator, size)
            continue
        bound = 1 / math.sqrt(layer.hidden_size)
        for node in layer.linears.values():
            assert isinstance(node, LinearNode)
            node.bias = _uniform(node.bias, bound, generator)
            for j, weight in enumerate(node.weights):
                node.weights[j] = _uniform(weight, bound, generator)
    _skip(generator, vocabulary_size * hidden_size + vocabulary_size)
    _skip(generator, model.embedding.numel())
    model.embedding = _uniform(model.embedding, EMBEDDING_BOUND, generator)
    model.decoder_bias = torch.nn.Parameter(torch.zeros(vocabulary_size))


def initialise_canonical(model: RecurrentLanguageModel, seed: int, depth: int) -> None:
    """Fill the first `depth` layers and the embedding, each tensor from a stream of its own.

    A tensor's stream follows from the seed and its place in the model, so that it is the same
    whatever else is drawn, and the embedding is the same for all architectures.

    Args:
        model: a model of a recipe in canonical form, on the CPU or the meta device.
        seed: any integer.
        depth: number of layers to fill.
    """
    vocabulary_size, embedding_size = model.embedding.shape
    shared = _canonical_embedding(seed, vocabulary_size, embedding_size)
    model.embedding = torch.nn.Parameter(shared.clone())
    for i, layer in enumerate(model.layers[:depth]):
        bound = 1 / math.sqrt(layer.hidden_size)
        for name, node in layer.linear.items():
            node.bias = _uniform(node.bias, bound, _stream(seed, f"{i}/{name}/bias"))
            for j, weight in enumerate(node.weights):
                stream = _stream(seed, f"{i}/{name}/{j}")
                node.weights[j] = _uniform(weight, bound, stream)
    model.decoder_bias = torch.nn.Parameter(torch.zeros(vocabulary_size))


def _uniform(like: Tensor, bound: float, generator: torch.Generator) -> torch.nn.Parameter:
    values = torch.empty(like.shape).uniform_(-bound, bound, generator=generator)
    return torch.nn.Parameter(values)


def _stream(seed: int, name: str) -> torch.Generator:
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


@lru_cache(maxsize=1)
def _canonical_embedding(seed: int, vocabulary_size: int, embedding_size: int) -> Tensor:
    empty = torch.empty(vocabulary_size, embedding_size)
    return empty.uniform_(-EMBEDDING_BOUND, EMBEDDING_BOUND, generator=_stream(seed, "embedding"))


@lru_cache(maxsize=1)
def _after_embedding(seed: int, vocabulary_size: int, embedding_size: int) -> Tensor:
    """The generator's state once `nn.Embedding` has drawn its normal numbers."""
    generator = torch.Generator().manual_seed(seed)
    torch.empty(vocabulary_size, embedding_size).normal_(generator=generator)
    return generator.get_state()


_SCRATCH = 1 << 16


def _skip(generator: torch.Generator, count: int) -> None:
    """Move a generator past `count` uniform numbers."""
    scratch = torch.empty(min(count, _SCRATCH))
    for _ in range(count // _SCRATCH):
        scratch.uniform_(generator=generator)
    scratch[: count % _SCRATCH].uniform_(generator=generator)
