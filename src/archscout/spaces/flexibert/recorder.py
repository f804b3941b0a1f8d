"""How an encoder is recorded for the trace."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archscout import counting
from archscout.errors import InputError
from archscout.recording import PROJECTIONS, RECORDABLE, Linear, Recorder, Recording
from archscout.spaces.flexibert.network import FlexibertNetwork, MaskedTokenHead
from archscout.spaces.layer_hooks import LayerParts, record_layers

MASKED_SHARE = 0.15

# The mixing operations' linear maps by their names, and what they do. Depthwise and pointwise
# convolutions are none.
_ROLES = {
    **{name: name for name in PROJECTIONS},
    "conv_out_layer": "convolution_input",
    "conv_kernel_layer": "convolution_kernel",
}


class FlexibertRecorder(Recorder):
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

    has_attention = True
    states_enter_steps = False
    recordable: Mapping[str, str | None] = dict.fromkeys(RECORDABLE)
    _network: FlexibertNetwork

    def __init__(
        self,
        network: FlexibertNetwork,
        head: MaskedTokenHead | None = None,
        mask_token: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(network.eval().requires_grad_(False))
        self._head = head
        self._mask_token = mask_token
        self._seed = seed

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self._network.encoder.layer)

    @property
    def width(self) -> float:
        """The hidden size."""
        return self._network.encoder.hidden_size

    def flops(self, minibatch: Tensor) -> int:
        """Floating-point operations per token of a sequence as long as the minibatch's."""
        return counting.flops_of_tokens(self._network, (1, len(minibatch))) // len(minibatch)

    def embed(self, minibatch: Tensor) -> Tensor:
        """Word embeddings of token ids (T, B), as (T, B, E)."""
        return F.embedding(minibatch, self._network.embeddings.word_embeddings.weight)

    def linear_parameters(self) -> list[Tensor]:
        """The weights of the linear maps of all layers."""
        layers = self._network.encoder.layer
        return [module.weight for layer in layers for module, _ in _linear_modules(layer)]

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
            InputError: the loss is wanted of sequences of fewer than three tokens.
        """
        recording = Recording()
        layers: list[Any] = list(self._network.encoder.layer[:depth])
        words = self.embed(minibatch) if embeddings is None else embeddings
        masked = self._masked(minibatch) if "loss" in wanted else None
        if masked is not None:
            mask_token = minibatch.new_full((), self._mask_token)
            words = torch.where(masked[..., None], self.embed(mask_token), words)
        if "linears" in wanted:
            maps = (found for layer in layers for found in _linear_modules(layer))
            recording.linears = [Linear(module.weight, role=role) for module, role in maps]
        if torch.is_grad_enabled():
            self._ask_for_gradients(recording, wanted)
        with ExitStack() as stack:
            record_layers(stack, recording, map(_parts, layers), wanted)
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
        if steps < 3:
            raise InputError(
                f"sequence_length is {steps}; the loss hides tokens between the first and the "
                "last, so it needs 3 or more"
            )
        inner = np.arange(batch_size * steps).reshape(steps, batch_size)[1:-1].ravel()
        count = max(1, round(MASKED_SHARE * len(inner)))
        generator = np.random.default_rng([self._seed, 2])
        masked = torch.zeros(steps * batch_size, dtype=torch.bool)
        masked[torch.from_numpy(generator.choice(inner, count, replace=False))] = True
        return masked.view(steps, batch_size).to(minibatch.device)


def _parts(layer: Any) -> LayerParts:
    operations = layer.operation.operation.named_children()
    return LayerParts(
        layer,
        [module for name, module in operations if name in PROJECTIONS],
        layer.intermediate.activation,
        [module for module, _ in _linear_modules(layer)],
    )


def _linear_modules(layer: Any) -> Iterator[tuple[nn.Linear, str]]:
    """The modules of the linear maps of a layer, and what they do."""
    for name, module in layer.operation.operation.named_children():
        if name in _ROLES:
            yield module, _ROLES[name]
    if hasattr(layer.operation, "output"):
        yield layer.operation.output.dense, "output"
    dense = (layer.intermediate.dense_in, *layer.intermediate.dense_list, layer.output.dense)
    for module in dense:
        yield module, "feed_forward"
