"""How a decoder is recorded for the trace."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from archscout import counting
from archscout.errors import InputError
from archscout.recording import RECORDABLE, Linear, Recorder, Recording
from archscout.spaces.gpt.network import DecoderNetwork, Layer
from archscout.spaces.layer_hooks import LayerParts, record_layers


class DecoderRecorder(Recorder):
    """A `DecoderNetwork` as the trace sees it.

    Its embedding is that of tokens, projected; its output the normalised hidden states of the last
    layer; its loss that of each next token. What metrics read of an embedding of positions is the
    gradient of what is added at each, which there is whether positions are learned or not.

    Args:
        network: with at least as many layers filled as will be recorded.
    """

    has_attention = True
    states_enter_steps = False
    recordable: Mapping[str, str | None] = dict.fromkeys(RECORDABLE)
    _network: DecoderNetwork

    def __init__(self, network: DecoderNetwork) -> None:
        super().__init__(network.eval().requires_grad_(False))

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self._network.layers)

    @property
    def width(self) -> float:
        """Of the residual stream."""
        return self._network.d_model

    @property
    def non_embedding_parameters(self) -> int:
        """Those of the layers and of the norm after the last: the decoder's."""
        parts = (getattr(self._network, name, None) for name in ("layers", "norm"))
        return sum(p.numel() for part in parts if part is not None for p in part.parameters())

    def flops(self, minibatch: Tensor) -> int:
        """Floating-point operations per token of a text as long as the minibatch's."""
        return counting.flops_of_tokens(self._network, (1, len(minibatch))) // len(minibatch)

    def embed(self, minibatch: Tensor) -> Tensor:
        """Embeddings of token ids (T, B), as (T, B, D)."""
        embedded: Tensor = self._network.embedding(minibatch)
        return embedded

    def linear_parameters(self) -> list[Tensor]:
        """The weights of the linear maps of all layers."""
        return [m.weight for layer in self._layers() for m, _ in _linear_modules(layer)]

    def record(
        self,
        minibatch: Tensor,
        wanted: frozenset[str],
        depth: int | None = None,
        embeddings: Tensor | None = None,
        since: int = 0,
    ) -> Recording:
        """Run the first `depth` layers once and keep what is wanted; see `Recorder`.

        Raises:
            InputError: the loss is wanted of texts of one token.
        """
        recording = Recording()
        layers = self._layers(depth)
        words = self.embed(minibatch) if embeddings is None else embeddings
        if "linears" in wanted:
            maps = (found for layer in layers for found in _linear_modules(layer))
            recording.linears = [Linear(module.weight, role=role) for module, role in maps]
        if torch.is_grad_enabled():
            for linear in recording.linears:
                linear.weight.requires_grad_()
        if "position_embedding" in wanted:
            added = words.new_zeros(self._network.num_positions, words.shape[-1])
            recording.position_embedding = added.requires_grad_(torch.is_grad_enabled())
            words = words + recording.position_embedding[: len(words), None]
        with ExitStack() as stack:
            record_layers(stack, recording, map(_parts, layers), wanted)
            outputs = self._network.decode(
                embeddings=words.transpose(0, 1),
                keep_probabilities="softmaxes" in wanted,
                depth=depth,
            )
        recording.softmaxes = outputs.probabilities
        output = outputs.last_hidden_state
        if "loss" in wanted:
            recording.loss = self._loss(output, minibatch)
        if "output" in wanted:
            recording.output = output.transpose(0, 1)
        return recording

    def _layers(self, depth: int | None = None) -> list[Any]:
        return list(self._network.layers[:depth])

    def _loss(self, output: Tensor, minibatch: Tensor) -> Tensor:
        if len(minibatch) < 2:
            raise InputError(
                "sequence_length is 1; the loss is that of each next token, so it needs 2 or more"
            )
        return self._network.loss(output[:, :-1], minibatch.t()[:, 1:])


def _parts(layer: Layer) -> LayerParts:
    attention = layer.attention
    return LayerParts(
        layer,
        (attention.query, attention.key, attention.value),
        layer.feed_forward.activation,
        [module for module, _ in _linear_modules(layer)],
    )


def _linear_modules(layer: Layer) -> Iterator[tuple[nn.Linear, str]]:
    """The modules of the linear maps of a layer, and what they do."""
    for role in ("query", "key", "value", "output"):
        yield getattr(layer.attention, role), role
    for name in ("gate", "up", "down"):
        if hasattr(layer.feed_forward, name):
            yield getattr(layer.feed_forward, name), "feed_forward"
