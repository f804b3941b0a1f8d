"""A decoder whose layers may differ: GPT-2's and Llama's parts, and embeddings in bands.

Sources: Radford et al. 2019, "GPT-2"; Touvron et al. 2023, "Llama" (root mean square norm, gated
feed-forward blocks, rotary positions); Ainslie et al. 2023 (grouped-query attention); Su et al.
2021 (rotary positions); Vaswani et al. 2017 (sinusoidal positions).

Shapes: B inputs, T positions, S positions together with those in the cache, D the model's width,
h heads of width d, k heads of keys and values, V tokens.
This file and vocabulary_bands.py stand alone: an exported folder carries them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Relative, for in an exported folder this file lies beside the other without a package.
from .vocabulary_bands import Head, TokenEmbedding

EPSILON = 1e-5  # of norms
ROPE_BASE = 10000.0
DEVIATION = 0.02  # of random weights

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": lambda: nn.GELU("tanh"),
    "relu": nn.ReLU,
    "swiglu": nn.SiLU,
}


@dataclass
class Outputs:
    """What the layers return: the last one's output, normalised (B, T, D).

    Attributes:
        last_hidden_state: (B, T, D).
        probabilities: of attention by layer, (B, h, T, S), where they were asked for.
    """

    last_hidden_state: Tensor
    probabilities: list[Tensor] = field(default_factory=list)


class DecoderNetwork(nn.Module):
    """Embeddings, layers, and what predicts the next token.

    Args:
        vocabulary_size: V.
        d_model: D.
        n_head: of each layer, h.
        n_kv_head: of each layer, k.
        d_inner: of each layer, the width of its feed-forward block.
        d_embed: width of the first band's embedding; -1 for D.
        div_val: how many times narrower each band is embedded than the one before.
        cutoffs: the ids at which the bands of the vocabulary end, but for the last.
        adaptive: whether the softmax is adaptive, in the same bands; it is where bands narrow.
        norm: `layernorm` or `rmsnorm`.
        activation: `gelu`, `relu` or `swiglu`.
        position: `learned`, `sinusoidal` or `rope`.
        bias: whether linear maps and layer norms have biases.
        pre_norm: whether norms stand before attention and feed-forward blocks, with another behind
            the last layer; else they stand behind each sum.
        num_positions: the longest text.
        dropout: rate, of embeddings, probabilities of attention, and what blocks add.
        tied: whether tokens are predicted by the weights of their embeddings.
    """

    def __init__(
        self,
        vocabulary_size: int,
        d_model: int,
        n_head: Sequence[int],
        n_kv_head: Sequence[int],
        d_inner: Sequence[int],
        d_embed: int = -1,
        div_val: int = 1,
        cutoffs: Sequence[int] = (),
        adaptive: bool = False,
        norm: str = "layernorm",
        activation: str = "gelu",
        position: str = "learned",
        bias: bool = True,
        pre_norm: bool = True,
        num_positions: int = 1024,
        dropout: float = 0.1,
        tied: bool = True,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in ARGUMENTS}
        super().__init__()
        self.arguments = given  # to make another one
        self.d_model, self.num_positions, self.position = d_model, num_positions, position
        self.gradient_checkpointing = False  # whether backward passes compute layers again
        width = d_model if d_embed == -1 else d_embed
        tables = [*cutoffs, vocabulary_size] if div_val > 1 else [vocabulary_size]
        widths = [width // div_val**i for i in range(len(tables))]
        projected = div_val > 1 or width != d_model
        self.embedding = TokenEmbedding(tables, widths, d_model, projected)
        if position == "learned":
            self.positions = nn.Embedding(num_positions, d_model)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            Layer(i, d_model, *sizes, norm, activation, bias, pre_norm, dropout)
            for i, sizes in enumerate(zip(n_head, n_kv_head, d_inner, strict=True))
        )
        if pre_norm:
            self.norm = normalisation(norm, d_model, bias)
        ends = [*cutoffs, vocabulary_size] if adaptive or div_val > 1 else None
        self.head = Head(d_model, tables, widths, projected, ends, tied)
        self.initialise()

    def initialise(self) -> None:
        """Draw all weights."""
        for name, parameter in self.named_parameters():
            draw_weights(name, parameter, len(self.layers))

    def forward(
        self,
        tokens: Tensor | None = None,
        embeddings: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Any = None,
    ) -> Tensor:
        """Logits (B, T, V) of the token after each; see `decode`."""
        outputs = self.decode(tokens, embeddings, mask, cache)
        return self.logits(outputs.last_hidden_state)

    def decode(
        self,
        tokens: Tensor | None = None,
        embeddings: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Any = None,
        keep_probabilities: bool = False,
        depth: int | None = None,
    ) -> Outputs:
        """Run the first `depth` layers.

        Args:
            tokens: ids (B, T).
            embeddings: of the tokens, (B, T, D), in place of their ids.
            mask: (B, S), true or 1 where there is a token and not padding; all by default.
            cache: of the tokens before, see `generation.Cache`, or one of transformers; it takes
                these, too.
            keep_probabilities: whether those of attention are returned.
            depth: all layers by default.

        Raises:
            ValueError: the text is longer than there are positions.
        """
        words = self.embedding(tokens) if embeddings is None else embeddings
        past = 0 if cache is None else cache.get_seq_length()
        length = past + words.shape[1]
        if length > self.num_positions:
            raise ValueError(f"{length} tokens; the network has {self.num_positions} positions")
        places = torch.arange(past, length, device=words.device)[None]  # (1, T)
        if mask is not None:
            places = (mask.long().cumsum(1) - 1).clamp(min=0)[:, past:]
        visible = visible_positions(words.shape[1], length, mask, words.device)
        hidden = self.dropout(self._positioned(words, places))
        rotations = self._rotations(places, words)
        outputs = Outputs(hidden)
        again = self.gradient_checkpointing and self.training and torch.is_grad_enabled()
        for layer in self.layers[:depth]:
            given = (hidden, rotations, visible, cache, keep_probabilities)
            hidden, probabilities = (
                checkpoint(layer, *given, use_reentrant=False) if again else layer(*given)
            )
            if probabilities is not None:
                outputs.probabilities.append(probabilities)
        outputs.last_hidden_state = self.norm(hidden) if hasattr(self, "norm") else hidden
        return outputs

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., V) from last hidden states (..., D)."""
        logits: Tensor = self.head(hidden, self.embedding)
        return logits

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats of tokens (...), predicted by last hidden states (..., D)."""
        return self.head.loss(hidden.flatten(0, -2), targets.flatten(), self.embedding)

    def _positioned(self, words: Tensor, places: Tensor) -> Tensor:
        """Embeddings with positions added, where positions are embedded."""
        if self.position == "learned":
            added: Tensor = self.positions(places)
            return words + added
        if self.position == "sinusoidal":  # sines do not shrink as embeddings do (Vaswani, 3.4)
            return words * math.sqrt(self.d_model) + sinusoids(places, self.d_model).to(words.dtype)
        return words

    def _rotations(self, places: Tensor, words: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        """By size of heads, cosines and sines (1 or B, 1, T, d) that rotate them."""
        if self.position != "rope":
            return {}
        layers: Any = self.layers
        sizes = {layer.attention.head_size for layer in layers}
        return {size: rotation(places, size, words.dtype) for size in sizes}


class Layer(nn.Module):
    """Attention and a feed-forward block, each added to what it reads."""

    def __init__(
        self,
        index: int,
        d_model: int,
        n_head: int,
        n_kv_head: int,
        d_inner: int,
        norm: str,
        activation: str,
        bias: bool,
        pre_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.attention_norm = normalisation(norm, d_model, bias)
        self.attention = SelfAttention(index, d_model, n_head, n_kv_head, bias, dropout)
        self.feed_forward_norm = normalisation(norm, d_model, bias)
        self.feed_forward = FeedForward(d_model, d_inner, activation, bias)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        hidden: Tensor,
        rotations: dict[int, tuple[Tensor, Tensor]],
        visible: Tensor | None,
        cache: Any,
        keep_probabilities: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), and the probabilities of attention if they were asked for."""
        read = self.attention_norm(hidden) if self.pre_norm else hidden
        mixed, probabilities = self.attention(read, rotations, visible, cache, keep_probabilities)
        hidden = hidden + self.dropout(mixed)
        if self.pre_norm:
            hidden = hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))
        else:
            hidden = self.attention_norm(hidden)
            hidden = self.feed_forward_norm(hidden + self.dropout(self.feed_forward(hidden)))
        return hidden, probabilities


class SelfAttention(nn.Module):
    """Causal scaled dot-product attention; heads of queries may share those of keys and values."""

    def __init__(
        self, index: int, d_model: int, n_head: int, n_kv_head: int, bias: bool, dropout: float
    ) -> None:
        super().__init__()
        self.index = index
        self.head_size = d_model // n_head
        self.shared_by = n_head // n_kv_head
        self.dropout = nn.Dropout(dropout)  # of probabilities
        self.query = nn.Linear(d_model, d_model, bias)
        self.key = nn.Linear(d_model, n_kv_head * self.head_size, bias)
        self.value = nn.Linear(d_model, n_kv_head * self.head_size, bias)
        self.output = nn.Linear(d_model, d_model, bias)

    def forward(
        self,
        hidden: Tensor,
        rotations: dict[int, tuple[Tensor, Tensor]],
        visible: Tensor | None,
        cache: Any,
        keep_probabilities: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), and the probabilities (B, h, T, S) if they were asked for."""
        query, key, value = (
            projection(hidden).unflatten(-1, (-1, self.head_size)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )  # (B, h, T, d), (B, k, T, d)
        if self.head_size in rotations:
            query, key = (rotate(x, *rotations[self.head_size]) for x in (query, key))
        if cache is not None:
            key, value = cache.update(key, value, self.index)
        shape = query.shape
        if shape[2] == 1 and not keep_probabilities:
            # Heads that share keys read them as steps of one head: none are copied for one token.
            query = query.reshape(shape[0], -1, self.shared_by, self.head_size)
        elif self.shared_by > 1 and (keep_probabilities or visible is not None):
            key, value = (x.repeat_interleave(self.shared_by, 1) for x in (key, value))
        dropout = self.dropout.p if self.training else 0.0
        probabilities = None
        if keep_probabilities:
            scores = query @ key.transpose(-1, -2) / math.sqrt(self.head_size)
            if visible is None:
                visible = torch.ones_like(scores, dtype=torch.bool).tril()
            probabilities = scores.masked_fill(~visible, -math.inf).softmax(-1)
            mixed = F.dropout(probabilities, dropout) @ value
        else:
            is_causal = visible is None and shape[2] > 1
            grouped = query.shape[1] != key.shape[1]
            mixed = F.scaled_dot_product_attention(
                query, key, value, visible, dropout, is_causal=is_causal, enable_gqa=grouped
            ).reshape(shape)
        return self.output(mixed.transpose(1, 2).flatten(2)), probabilities


class FeedForward(nn.Module):
    """Up, activation, down; where it is gated (Shazeer 2020) the activation weighs the way up."""

    def __init__(self, d_model: int, d_inner: int, activation: str, bias: bool) -> None:
        super().__init__()
        if activation == "swiglu":
            self.gate = nn.Linear(d_model, d_inner, bias)
        self.up = nn.Linear(d_model, d_inner, bias)
        self.activation = ACTIVATIONS[activation]()
        self.down = nn.Linear(d_inner, d_model, bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, D)."""
        up = self.up(hidden)
        gated = hasattr(self, "gate")
        inner = self.activation(self.gate(hidden)) * up if gated else self.activation(up)
        down: Tensor = self.down(inner)
        return down


def normalisation(norm: str, d_model: int, bias: bool) -> nn.Module:
    """A norm of vectors (..., D)."""
    if norm == "rmsnorm":
        return nn.RMSNorm(d_model, EPSILON)
    return nn.LayerNorm(d_model, EPSILON, bias=bias)


def visible_positions(
    steps: int, length: int, mask: Tensor | None, device: torch.device
) -> Tensor | None:
    """Which positions each of the last `steps` sees, (T, S) or (B, 1, T, S).

    None where it is those up to itself and nothing is cached, or one step that sees all.
    """
    if mask is None and (steps == length or steps == 1):
        return None
    seen = torch.arange(length, device=device)
    own = seen[length - steps :, None]
    if mask is None:
        return seen <= own
    # A position of padding sees itself: there must be something to see.
    return (seen <= own) & mask[:, None, None, :].bool() | (seen == own)


def sinusoids(places: Tensor, width: int) -> Tensor:
    """Sines of positions (B, T), then cosines, (B, T, D)."""
    angles = _angles(places, width + width % 2)
    return torch.cat([angles.sin(), angles.cos()], -1)[..., :width]


def rotation(places: Tensor, size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines (B, 1, T, d) by which heads at positions (B, T) are rotated."""
    angles = _angles(places, size)[:, None]
    both = torch.cat([angles, angles], -1)
    return both.cos().to(dtype), both.sin().to(dtype)


def rotate(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate pairs of features (B, h, T, d), the first half of which goes with the second."""
    first, second = heads.chunk(2, -1)
    return heads * cosines + torch.cat([-second, first], -1) * sines


def _angles(places: Tensor, width: int) -> Tensor:
    """(B, T, width / 2)."""
    exponents = torch.arange(0, width, 2, device=places.device).float() / width
    return places[..., None].float() * ROPE_BASE**-exponents


def deviation(name: str, shape: Sequence[int], layers: int) -> float | None:
    """How far the normal weights of a parameter lie from zero; None where they are no such.

    As in GPT-2: what closes a block is the smaller the deeper the network is. Projections of
    embeddings leave the size of what they project, and of logits, as it is without them.
    """
    if name.endswith("bias") or "norm." in name:
        return None
    if name.endswith(("attention.output.weight", "feed_forward.down.weight")):
        return DEVIATION / math.sqrt(2 * layers)
    if "projection" in name:  # (D, width) in the embedding, (width, D) in the head
        return 1 / math.sqrt(shape[1] if name.startswith("embedding") else shape[0])
    return DEVIATION


@torch.no_grad()
def draw_weights(name: str, parameter: Tensor, layers: int) -> None:
    """Give a parameter of that name its random values, in a network of so many layers."""
    if std := deviation(name, parameter.shape, layers):
        nn.init.normal_(parameter, std=std)
    else:
        nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)


ARGUMENTS = tuple(inspect.signature(DecoderNetwork).parameters)
