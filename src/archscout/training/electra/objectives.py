"""What an encoder is pretrained to do: to tell replaced tokens, or to predict masked ones.

Sources: Clark et al. 2020, "ELECTRA"; Devlin et al. 2019, "BERT". Logits of tokens are computed at
the chosen positions only, which with large vocabularies is most of the work that there is.

Shapes: N sequences, T positions, M chosen positions, V the vocabulary, H the hidden size.
"""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archscout.spaces.flexibert.genotype import EncoderGenotype
from archscout.spaces.flexibert.initialisation import fill
from archscout.spaces.flexibert.network import (
    FlexibertNetwork,
    MaskedTokenHead,
    SelfAttention,
    SpanConvolution,
)
from archscout.spaces.flexibert.readings import plan
from archscout.spaces.flexibert.space import EncoderScale, FlexibertSpace
from archscout.training.electra.masking import MaskedBatch
from archscout.training.electra.pretraining_settings import PretrainingSettings

N = TypeVar("N")


class Sums(NamedTuple, Generic[N]):
    """Sums over a batch, numbers or tensors without dimensions.

    Attributes:
        nats: negative log-likelihood of the chosen tokens; it has gradients.
        hits: chosen tokens that are the likeliest.
        detection: negative log-likelihood of whether each token was replaced; it has gradients.
        detected: tokens at which that is told right.
        replaced: tokens that differ from the original.
    """

    nats: N
    hits: N
    detection: N
    detected: N
    replaced: N


class MaskedTokens(nn.Module):
    """The encoder predicts masked tokens; the decoder is tied to the word embedding."""

    def __init__(self, encoder: FlexibertNetwork, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = _head(encoder, encoder.encoder.hidden_size, seed, "masked_token_head")

    @property
    def predictor(self) -> MaskedTokenHead:
        """What predicts masked tokens."""
        return self.head

    def forward(self, batch: MaskedBatch) -> Sums[Tensor]:
        """The sums over a batch; those of detection are 0."""
        logits = _predict(self.encoder, self.head, batch)
        nats, hits = _entropy(logits, batch)
        zero = nats.new_zeros(())
        return Sums(nats, hits, zero, zero, zero)


class ReplacedTokens(nn.Module):
    """ELECTRA: a generator fills masked tokens in, the encoder tells which are not the original.

    What the generator draws is the original in some cases, which then counts as such. No gradient
    flows from the encoder into the generator. Both share all embeddings with their layer norm; the
    generator's decoder is tied to the word embedding.
    """

    def __init__(self, encoder: FlexibertNetwork, generator: FlexibertNetwork, seed: int) -> None:
        super().__init__()
        hidden_size = encoder.encoder.hidden_size
        self.encoder = encoder
        self.generator = generator
        self.generator_head = _head(encoder, generator.encoder.hidden_size, seed, "generator_head")
        with torch.device("meta"):
            self.detection_head = DetectionHead(hidden_size)
        fill(self.detection_head, seed, False, "detection_head")

    @property
    def predictor(self) -> MaskedTokenHead:
        """What predicts masked tokens."""
        return self.generator_head

    def forward(self, batch: MaskedBatch) -> Sums[Tensor]:
        """The sums over a batch."""
        logits = _predict(self.generator, self.generator_head, batch)
        nats, hits = _entropy(logits, batch)
        filled = batch.originals.clone()
        filled[batch.chosen] = draw_tokens(logits.detach(), batch.draws[batch.chosen])
        replaced = filled != batch.originals
        hidden = self.encoder(filled, batch.present).last_hidden_state
        scores: Tensor = self.detection_head(hidden).float()  # (N, T)
        if batch.present is not None:
            scores, replaced = scores[batch.present], replaced[batch.present]
        return Sums(
            nats,
            hits,
            F.binary_cross_entropy_with_logits(scores, replaced.float(), reduction="sum"),
            ((scores > 0) == replaced).sum(),
            replaced.sum(),
        )


class DetectionHead(nn.Module):
    """ELECTRA's discriminator head: a logit at each position, positive for a replaced token."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.activation = nn.GELU()
        self.prediction = nn.Linear(hidden_size, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits (N, T) of hidden states (N, T, H)."""
        scores: Tensor = self.prediction(self.activation(self.dense(hidden)))
        return scores.squeeze(-1)


def build_objective(
    space: FlexibertSpace,
    architecture: EncoderGenotype,
    vocabulary_size: int,
    scale: EncoderScale,
    settings: PretrainingSettings,
    seed: int,
) -> MaskedTokens | ReplacedTokens:
    """What is trained; the encoder in it has the weights that scoring sees for the seed."""
    encoder = space.build(architecture, vocabulary_size, scale, seed)
    objective: MaskedTokens | ReplacedTokens
    if settings.task == "masked":
        objective = MaskedTokens(encoder, seed)
    else:
        generator = build_generator(encoder, architecture, scale, settings.generator_share, seed)
        objective = ReplacedTokens(encoder, generator, seed)
    _set_dropout(objective, settings.dropout)
    return objective


def start_from_unigram(model: MaskedTokens | ReplacedTokens, counts: Tensor) -> None:
    """Let the model predict masked tokens as often as they occur, plus one, at first.

    Args:
        model: with its first weights.
        counts: (V,), how often each piece occurs.
    """
    frequencies = counts.double() + 1
    with torch.no_grad():
        model.predictor.bias.copy_((frequencies / frequencies.sum()).log())


def build_generator(
    encoder: FlexibertNetwork,
    architecture: EncoderGenotype,
    scale: EncoderScale,
    share: float,
    seed: int,
) -> FlexibertNetwork:
    """The same architecture in the same reading, narrower, on the encoder's own embeddings.

    Hidden size and feed-forward widths are the share of the encoder's, the hidden size rounded to
    what its numbers of heads divide; layers, operations, heads and kernels are the encoder's. (The
    released ELECTRA narrows likewise, and has a head for every 64 features.)
    """
    plans = plan(architecture, scale.reading).arguments()
    unit = math.lcm(*(layer["num_heads"] for layer in plans["layers"]))
    hidden_size = max(1, round(plans["hidden_size"] * share / unit)) * unit
    layers: list[dict[str, Any]] = [
        layer | {"feed_forward": [max(1, round(width * share)) for width in layer["feed_forward"]]}
        for layer in plans["layers"]
    ]
    with torch.device("meta"):
        generator = FlexibertNetwork(layers, 1, hidden_size, scale.embedding_size, 1)
    generator.embeddings = encoder.embeddings
    for name, part in generator.named_children():
        if part is not encoder.embeddings:
            fill(part, seed, False, f"generator.{name}")
    return generator


def draw_tokens(logits: Tensor, draws: Tensor) -> Tensor:
    """Draw a token from each distribution, by its distribution function.

    Args:
        logits: (M, V).
        draws: (M,), uniform from 0 to 1; what is drawn depends on nothing else.

    Returns:
        Token ids (M,).
    """
    cumulative = logits.float().softmax(-1).cumsum(-1)
    points = draws[:, None] * cumulative[:, -1:]
    found = torch.searchsorted(cumulative, points, right=True).squeeze(-1)
    return found.clamp(max=logits.shape[-1] - 1)


def _head(encoder: FlexibertNetwork, hidden_size: int, seed: int, name: str) -> MaskedTokenHead:
    words = encoder.embeddings.word_embeddings
    with torch.device("meta"):
        head = MaskedTokenHead(hidden_size, words.embedding_dim, words.num_embeddings)
    fill(head, seed, False, name)
    return head


def _predict(network: FlexibertNetwork, head: MaskedTokenHead, batch: MaskedBatch) -> Tensor:
    """Logits (M, V) of the chosen tokens."""
    hidden = network(batch.inputs, batch.present).last_hidden_state
    logits: Tensor = head(hidden[batch.chosen], network.embeddings.word_embeddings.weight)
    return logits


def _entropy(logits: Tensor, batch: MaskedBatch) -> tuple[Tensor, Tensor]:
    """Sum of the negative log-likelihoods, and number of hits."""
    targets = batch.originals[batch.chosen]
    nats = F.cross_entropy(logits.float(), targets, reduction="sum")
    return nats, (logits.argmax(-1) == targets).sum()


def _set_dropout(model: nn.Module, rate: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        elif isinstance(module, SelfAttention | SpanConvolution):
            module.dropout = rate
