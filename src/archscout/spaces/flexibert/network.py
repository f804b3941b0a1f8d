"""The encoder of a FlexiBERT architecture: ELECTRA's, with an operation chosen for each layer.

Sources: Tuli et al. 2022, "FlexiBERT"; Clark et al. 2020, "ELECTRA" (embeddings, post-norm layers);
Jiang et al. 2020, "ConvBERT" (span-based dynamic convolution); Lee-Thorp et al. 2021, "FNet"
(Fourier transform). Parameters carry the released code's names.

Shapes: B inputs, T positions, E the embedding's width, H the hidden size, d a head's width.
This file stands alone: an exported folder carries it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYER_NORM_EPSILON = 1e-12

LayerPlan = Mapping[str, Any]  # see FlexibertNetwork
# Mixed positions (B, T, H), and the operation's probabilities if they were asked for.
Mixed = tuple[Tensor, Tensor | None]


@dataclass
class Outputs:
    """What a pass returns: hidden states, and probabilities where they were asked for.

    Hidden states are the projected embeddings and each layer's output, (B, T, H) each.
    Probabilities are, by layer, those of attention (B, heads, T, T), or the softmax of a linear
    transform over the features of a head (B, heads, T, d).
    """

    last_hidden_state: Tensor
    hidden_states: list[Tensor] = field(default_factory=list)
    probabilities: list[Tensor] = field(default_factory=list)


class FlexibertNetwork(nn.Module):
    """Embeddings and encoder.

    Args:
        layers: one mapping a layer: `operation` (SDP, WMA, DFT, DCT, DSC-5 or DSC-9), `num_heads`,
            `feed_forward` (widths of the feed-forward layers in their order), and `closed`
            (whether output projection, residual and layer norm follow the operation).
        vocabulary_size: V.
        hidden_size: H.
        embedding_size: E; a projection follows where it differs from H.
        num_positions: the longest input.
        num_types: of token types.
        dropout: rate, of embeddings, attention and outputs.
    """

    def __init__(
        self,
        layers: Sequence[LayerPlan],
        vocabulary_size: int,
        hidden_size: int,
        embedding_size: int = 128,
        num_positions: int = 512,
        num_types: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.embeddings = Embeddings(
            vocabulary_size, embedding_size, num_positions, num_types, dropout
        )
        if hidden_size != embedding_size:
            self.embeddings_project = nn.Linear(embedding_size, hidden_size)
        self.encoder = Encoder(layers, hidden_size, dropout)

    def forward(
        self,
        tokens: Tensor | None = None,
        mask: Tensor | None = None,
        types: Tensor | None = None,
        embeddings: Tensor | None = None,
        keep_probabilities: bool = False,
        depth: int | None = None,
    ) -> Outputs:
        """Run the first `depth` layers.

        Args:
            tokens: ids (B, T).
            mask: (B, T), true or 1 where there is a token and not padding; all by default.
            types: token types (B, T), 0 by default.
            embeddings: of the tokens, (B, T, E), in place of their ids.
            keep_probabilities: whether they are returned.
            depth: all layers by default.
        """
        hidden = self.embeddings(tokens, types, embeddings)
        if hasattr(self, "embeddings_project"):
            hidden = self.embeddings_project(hidden)
        mask = None if mask is None else mask.bool()
        outputs = Outputs(hidden, [hidden])
        for layer in self.encoder.layer[:depth]:
            hidden, probabilities = layer(hidden, mask, keep_probabilities)
            outputs.hidden_states.append(hidden)
            if probabilities is not None:
                outputs.probabilities.append(probabilities)
        outputs.last_hidden_state = hidden
        return outputs


class Embeddings(nn.Module):
    """Word, position and token type, added, normalised, dropped out."""

    def __init__(
        self, vocabulary_size: int, width: int, num_positions: int, num_types: int, dropout: float
    ) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary_size, width)
        self.position_embeddings = nn.Embedding(num_positions, width)
        self.token_type_embeddings = nn.Embedding(num_types, width)
        self.LayerNorm = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor | None, types: Tensor | None, words: Tensor | None) -> Tensor:
        """(B, T, E) from ids (B, T), or from their embeddings (B, T, E)."""
        if words is None:
            words = self.word_embeddings(tokens)
        length, positions = words.shape[1], self.position_embeddings.weight
        if length > len(positions):
            raise ValueError(f"the input has {length} positions; the network has {len(positions)}")
        table = self.token_type_embeddings
        kinds = table.weight[0] if types is None else table(types)
        normalised = self.LayerNorm(words + positions[:length] + kinds)
        embedded: Tensor = self.dropout(normalised)
        return embedded


class Encoder(nn.Module):
    """The layers."""

    def __init__(self, layers: Sequence[LayerPlan], hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.layers = [dict(layer) for layer in layers]
        self.hidden_size = hidden_size
        self.layer = nn.ModuleList(Layer(layer, hidden_size, dropout) for layer in layers)


class Layer(nn.Module):
    """A mixing block and a feed-forward block."""

    def __init__(self, layer: LayerPlan, hidden_size: int, dropout: float) -> None:
        super().__init__()
        widths = list(layer["feed_forward"])
        self.operation = MixingBlock(layer, hidden_size, dropout)
        self.intermediate = Intermediate(hidden_size, widths)
        self.output = Closing(widths[-1], hidden_size, dropout)

    def forward(self, hidden: Tensor, mask: Tensor | None, keep_probabilities: bool) -> Mixed:
        """(B, T, H) and the operation's probabilities, if they were asked for."""
        mixed, probabilities = self.operation(hidden, mask, keep_probabilities)
        hidden = self.output(self.intermediate(mixed), mixed)
        return hidden, probabilities


class MixingBlock(nn.Module):
    """A mixing operation and what closes it."""

    def __init__(self, layer: LayerPlan, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.operation = _mixing(layer["operation"], hidden_size, layer["num_heads"], dropout)
        if layer.get("closed", True):
            self.output = Closing(hidden_size, hidden_size, dropout)

    def forward(self, hidden: Tensor, mask: Tensor | None, keep_probabilities: bool) -> Mixed:
        """(B, T, H) and the operation's probabilities, if they were asked for."""
        mixed, probabilities = self.operation(hidden, mask, keep_probabilities)
        if hasattr(self, "output"):
            mixed = self.output(mixed, hidden)
        return mixed, probabilities


class Closing(nn.Module):
    """Projection, dropout, residual, layer norm."""

    def __init__(self, width: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, hidden_size)
        self.LayerNorm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, residual: Tensor) -> Tensor:
        """(B, T, H) from inputs (B, T, width)."""
        closed: Tensor = self.LayerNorm(self.dropout(self.dense(inputs)) + residual)
        return closed


class Intermediate(nn.Module):
    """The feed-forward layers, an exact GELU after each."""

    def __init__(self, hidden_size: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.dense_in = nn.Linear(hidden_size, widths[0])
        self.dense_list = nn.ModuleList(
            nn.Linear(before, width) for before, width in pairwise(widths)
        )
        self.activation = nn.GELU()

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, width of the last layer)."""
        for dense in (self.dense_in, *self.dense_list):
            hidden = self.activation(dense(hidden))
        return hidden


def _mixing(operation: str, hidden_size: int, num_heads: int, dropout: float) -> nn.Module:
    kind, _, kernel_size = operation.partition("-")
    if kind == "DSC":
        return SpanConvolution(hidden_size, num_heads, int(kernel_size), dropout)
    if kind in ("DFT", "DCT"):
        return LinearTransform(hidden_size, num_heads, kind)
    return SelfAttention(hidden_size, num_heads, kind == "WMA", dropout)


class _Attention(nn.Module):
    """What attends: query, key and value of each head."""

    def __init__(self, hidden_size: int, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(hidden_size, width)
        self.key = nn.Linear(hidden_size, width)
        self.value = nn.Linear(hidden_size, width)
        self.dropout = dropout

    def attend(
        self, query: Tensor, hidden: Tensor, mask: Tensor | None, keep_probabilities: bool
    ) -> Mixed:
        """Scaled dot-product attention (B, T, width), and its probabilities (B, heads, T, T)."""
        query, key, value = (
            split_heads(x, self.num_heads) for x in (query, self.key(hidden), self.value(hidden))
        )
        where = None if mask is None else mask[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        probabilities = None
        if keep_probabilities:
            scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
            if where is not None:
                scores = scores.masked_fill(~where, -math.inf)
            probabilities = scores.softmax(-1)
            mixed = F.dropout(probabilities, dropout) @ value
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, where, dropout)
        return mixed.transpose(1, 2).flatten(2), probabilities


class SelfAttention(_Attention):
    """Scaled dot-product attention; weighted multiplicative with a matrix on the query."""

    def __init__(self, hidden_size: int, num_heads: int, weighted: bool, dropout: float) -> None:
        super().__init__(hidden_size, hidden_size, num_heads, dropout)
        if weighted:
            self.weight = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, hidden: Tensor, mask: Tensor | None, keep_probabilities: bool) -> Mixed:
        """(B, T, H) and the probabilities (B, heads, T, T), if they were asked for."""
        query = self.query(hidden)
        if hasattr(self, "weight"):
            query = self.weight(query)
        return self.attend(query, hidden, mask, keep_probabilities)


class LinearTransform(nn.Module):
    """A projection, then a two-dimensional transform over positions and a head's features.

    DFT is the real part of the Fourier transform, DCT the type-II cosine transform, neither
    normalised (scipy's `fftn` and `dctn`). Both are products with matrices of cosines and sines.
    An input is transformed at its own length: padding takes no part.
    """

    def __init__(self, hidden_size: int, num_heads: int, kind: str) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.kind = kind
        self.input = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden: Tensor, mask: Tensor | None, keep_probabilities: bool) -> Mixed:
        """(B, T, H) and its softmax over features (B, heads, T, d), if it was asked for."""
        features = self.input(hidden).unflatten(-1, (self.num_heads, -1))  # (B, T, heads, d)
        width = features.shape[-1]
        ranks = torch.arange(hidden.shape[1], device=hidden.device)[None]  # (1 or B, T)
        lengths = ranks.new_full((1,), hidden.shape[1])
        if mask is not None:
            ranks, lengths = mask.cumsum(1) - 1, mask.sum(1)
        columns = torch.arange(width, device=hidden.device)[None]
        over_positions = self._matrices(ranks, lengths, hidden.dtype)  # (1 or B, T, T) each
        if mask is not None:
            there = mask[:, :, None] & mask[:, None, :]
            over_positions = [matrices * there for matrices in over_positions]
        over_features = self._matrices(columns, columns.new_full((1,), width), hidden.dtype)
        mixed, *imaginary = (
            positions @ (features @ of_features[0].t()).flatten(2)
            for positions, of_features in zip(over_positions, over_features, strict=True)
        )
        if imaginary:
            mixed = mixed - imaginary[0]
        if not keep_probabilities:
            return mixed, None
        return mixed, split_heads(mixed, self.num_heads).softmax(-1)

    def _matrices(self, ranks: Tensor, lengths: Tensor, dtype: torch.dtype) -> list[Tensor]:
        """The transform's real and imaginary part, (B, n, n) each; the second is DFT's alone.

        They are cos and sin of 2 pi j k / n, or 2 cos(pi k (2 j + 1) / 2 n), in row k and column j.
        """
        cosine = self.kind == "DCT"
        period = (4 * lengths if cosine else lengths)[:, None, None]
        places = 2 * ranks + 1 if cosine else ranks
        products = ranks[:, :, None] * places[:, None, :] % period
        # bfloat16 tells whole numbers up to 256 only; angles must keep their digits.
        exact = torch.promote_types(dtype, torch.float32)
        angles = products.to(exact) * (2 * math.pi / period.to(exact))
        parts = [2 * angles.cos()] if cosine else [angles.cos(), angles.sin()]
        return [part.to(dtype) for part in parts]


class SpanConvolution(_Attention):
    """Span-based dynamic convolution: half of the heads attend, half convolve.

    Each position's kernel is made from a separable convolution of the input times the query.
    """

    def __init__(self, hidden_size: int, num_heads: int, kernel_size: int, dropout: float) -> None:
        half = max(1, num_heads // 2)  # of either kind
        width = half * (hidden_size // num_heads)
        super().__init__(hidden_size, width, half, dropout)
        self.kernel_size = kernel_size
        self.key_conv_attn_layer = SeparableConvolution(hidden_size, width, kernel_size)
        self.conv_kernel_layer = nn.Linear(width, half * kernel_size)
        self.conv_out_layer = nn.Linear(hidden_size, width)

    def forward(self, hidden: Tensor, mask: Tensor | None, keep_probabilities: bool) -> Mixed:
        """(B, T, H), attending heads first, and the probabilities, if they were asked for."""
        present = hidden if mask is None else hidden * mask[:, :, None]
        query = self.query(hidden)
        span = self.key_conv_attn_layer(present)  # (B, T, heads * d)
        kernels = self.conv_kernel_layer(span * query)
        kernels = kernels.unflatten(-1, (self.num_heads, self.kernel_size)).softmax(-1)
        inputs = self.conv_out_layer(hidden)
        if mask is not None:
            inputs = inputs * mask[:, :, None]
        reach, length = self.kernel_size // 2, hidden.shape[1]
        padded = F.pad(inputs, (0, 0, reach, reach)).unflatten(2, (self.num_heads, -1))
        shifted = [  # (B, T, heads, d), weighted by (B, T, heads, 1)
            padded[:, k : k + length] * kernels[..., k, None] for k in range(self.kernel_size)
        ]
        convolved = reduce(torch.add, shifted).flatten(2)
        mixed, probabilities = self.attend(query, hidden, mask, keep_probabilities)
        return torch.cat([mixed, convolved], -1), probabilities


class SeparableConvolution(nn.Module):
    """A convolution along positions for each feature, then a linear map of the features."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            inputs, inputs, kernel_size, groups=inputs, padding=kernel_size // 2, bias=False
        )
        self.pointwise = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, outputs) from (B, T, inputs)."""
        convolved: Tensor = self.pointwise(self.depthwise(hidden.transpose(1, 2))) + self.bias
        return convolved.transpose(1, 2)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, T, heads * d) to (B, heads, T, d)."""
    heads: Tensor = x.unflatten(-1, (num_heads, -1))
    return heads.transpose(1, 2)


class MaskedTokenHead(nn.Module):
    """ELECTRA's generator head: logits of the token at each position, tied to the embedding."""

    def __init__(self, hidden_size: int, embedding_size: int, vocabulary_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, embedding_size)
        self.activation = nn.GELU()
        self.LayerNorm = nn.LayerNorm(embedding_size, eps=LAYER_NORM_EPSILON)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, hidden: Tensor, embedding: Tensor) -> Tensor:
        """Logits (..., V) from hidden states (..., H) and the embedding's weight (V, E)."""
        features: Tensor = self.LayerNorm(self.activation(self.dense(hidden)))
        logits: Tensor = F.linear(features, embedding, self.bias)
        return logits
