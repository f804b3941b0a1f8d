"""How an encoder is recorded for the trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archscout.recording import PROJECTIONS, Kind, Linear, Recording
from archscout.spaces.flexibert.network import FlexibertNetwork, Layer, MaskedTokenHead

MASKED_SHARE = 0.15

# The mixing operations' linear maps by their names, and what they do. Depthwise and pointwise
# convolutions are none.
_ROLES = {
    **{name: name for name in PROJECTIONS},
    "conv_out_layer": "convolution_input",
    "conv_kernel_layer": "convolution_kernel",
}
_FIELDS = (
    "output",
    "embedding",
    "hidden_states",
    "activations",
    "linears",
    "projections",
    "softmaxes",
    "position_embedding",
    "loss",
)


class FlexibertRecorder:
    """A `FlexibertNetwork` as the trace sees it.

    The loss is masked-token cross-entropy: 15 % of the tokens between the first and the last,
    chosen from the seed, are replaced by the mask token and predicted, with the decoder tied to
    the embedding. All that is recorded together with it comes from the masked minibatch.

    Args:
        network: in evaluation mode, with at least as many layers filled as will be recorded.
        head: predicts masked tokens; needed for the loss only.
        mask_token: its id.
        seed: of the choice of tokens.
    """

    kind: Kind = "transformer"
    recordable: Mapping[str, str | None] = dict.fromkeys(_FIELDS)
    tied_embedding: Tensor | None = None

    def __init__(
        self,
        network: FlexibertNetwork,
        head: MaskedTokenHead | None = None,
        mask_token: int = 0,
        seed: int = 0,
    ) -> None:
        self._network = network.eval().requires_grad_(False)
        self._head = head
        self._mask_token = mask_token
        self._seed = seed

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self._network.parameters())

    def train(self, mode: bool) -> None:
        """Switch dropout on or off."""
        self._network.train(mode)

    def inputs_at_once(self, minibatch: Tensor) -> int:
        """All."""
        return max(1, minibatch.shape[1])

    def embed(self, minibatch: Tensor) -> Tensor:
        """Word embeddings of token ids (T, B), as (T, B, E)."""
        return F.embedding(minibatch, self._network.embeddings.word_embeddings.weight)

    def record(
        self,
        minibatch: Tensor,
        wanted: frozenset[str],
        depth: int | None = None,
        embeddings: Tensor | None = None,
    ) -> Recording:
        """Run the first `depth` layers once and keep what is wanted; see `Recorder`."""
        recording = Recording()
        layers: list[Any] = list(self._network.encoder.layer[:depth])
        words = self.embed(minibatch) if embeddings is None else embeddings
        masked = self._masked(minibatch) if "loss" in wanted else None
        if masked is not None:
            mask_token = minibatch.new_full((), self._mask_token)
            words = torch.where(masked[..., None], self.embed(mask_token), words)
        if "linears" in wanted:
            recording.linears = [linear for layer in layers for linear in _linears(layer)]
        if torch.is_grad_enabled():
            self._ask_for_gradients(recording, wanted)
        with ExitStack() as stack:
            for layer in layers:
                for module, keep in _hooks(recording, layer, wanted):
                    stack.enter_context(module.register_forward_hook(keep))
            outputs = self._network(
                embeddings=words.transpose(0, 1),
                keep_probabilities="softmaxes" in wanted,
                depth=depth,
            )
        recording.softmaxes = outputs.probabilities
        output = outputs.last_hidden_state
        if masked is not None:
            assert self._head is not None
            chosen = masked.t()
            vectors = self._network.embeddings.word_embeddings.weight
            logits = self._head(output[chosen], vectors)
            recording.loss = F.cross_entropy(logits, minibatch.t()[chosen])
        if "output" in wanted:
            recording.output = output.transpose(0, 1)
        return recording

    def _ask_for_gradients(self, recording: Recording, wanted: frozenset[str]) -> None:
        for linear in recording.linears:
            linear.weight.requires_grad_()
        if "position_embedding" in wanted:
            positions = self._network.embeddings.position_embeddings.weight
            recording.position_embedding = positions.requires_grad_()

    def _masked(self, minibatch: Tensor) -> Tensor:
        """Which tokens (T, B) are to be predicted: at least one, never the first or last."""
        steps, batch_size = minibatch.shape
        inner = np.arange(batch_size * steps).reshape(steps, batch_size)[1:-1].ravel()
        count = max(1, round(MASKED_SHARE * len(inner)))
        generator = np.random.default_rng([self._seed, 2])
        masked = torch.zeros(steps * batch_size, dtype=torch.bool)
        masked[torch.from_numpy(generator.choice(inner, count, replace=False))] = True
        return masked.view(steps, batch_size).to(minibatch.device)


def _hooks(
    recording: Recording, layer: Layer, wanted: frozenset[str]
) -> Iterator[tuple[nn.Module, Any]]:
    """Modules of a layer whose outputs are kept, with the hooks that keep them, time first."""

    def keep(outputs: list[Any]) -> Any:
        return lambda _module, _inputs, output: outputs.append(output.transpose(0, 1))

    def keep_state(_module: nn.Module, _inputs: Any, output: tuple[Tensor, Any]) -> Any:
        # What is kept must be part of the graph, or it would have no gradient.
        state = output[0].transpose(0, 1)
        recording.hidden_states.append(state)
        return state.transpose(0, 1), output[1]

    if "projections" in wanted:
        for name, module in layer.operation.operation.named_children():
            if name in PROJECTIONS:
                yield module, keep(recording.projections)
    if "activations" in wanted:
        yield layer.intermediate.activation, keep(recording.activations)
    if "hidden_states" in wanted:
        yield layer, keep_state


def _linears(layer: Any) -> Iterator[Linear]:
    """Every linear map of a layer."""
    for name, module in layer.operation.operation.named_children():
        if name in _ROLES:
            yield Linear(module.weight, role=_ROLES[name])
    if hasattr(layer.operation, "output"):
        yield Linear(layer.operation.output.dense.weight, role="output")
    dense = (layer.intermediate.dense_in, *layer.intermediate.dense_list, layer.output.dense)
    for module in dense:
        yield Linear(module.weight, role="feed_forward")
