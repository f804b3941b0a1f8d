"""How a recurrent language model is recorded for the trace."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from archscout.recording import Kind, Linear, Recording
from archscout.spaces.recurrent.language_model import (
    RecurrentLanguageModel,
    RecurrentLayer,
    Unrolled,
)

# What autograd may hold, by an estimate that was compared with cells of 13 to 18 nodes.
_GRAPH_BYTES = 400_000_000

_FORWARD_ONLY = frozenset({"hidden_states"})


class RecurrentRecorder:
    """A `RecurrentLanguageModel` as the trace sees it.

    The model is put in evaluation mode, and its weights are marked as not requiring gradients:
    the trace needs those of the linear nodes' outputs only.

    Args:
        model: with at least as many layers filled as will be recorded.
    """

    kind: Kind = "other"
    recordable: Mapping[str, str | None] = {
        **dict.fromkeys(("output", "hidden_states", "activations", "linears", "embedding")),
        "loss": "the decoder is not run",
        **dict.fromkeys(("projections", "softmaxes", "position_embedding"), "it has no attention"),
    }

    def __init__(self, model: RecurrentLanguageModel) -> None:
        self._model = model.eval().requires_grad_(False)

    @property
    def parameters(self) -> int:
        """Number of trainable parameters, tied ones once."""
        return sum(p.numel() for p in self._model.parameters())

    @property
    def tied_embedding(self) -> Tensor | None:
        """The embedding's weight (V, E), which the decoder shares."""
        return self._model.embedding

    def train(self, mode: bool) -> None:
        """Nothing: recurrent networks are scored without dropout."""

    def inputs_at_once(self, minibatch: Tensor) -> int:
        """As many inputs as keep what autograd holds below about 400 megabytes."""
        steps, batch_size = minibatch.shape
        values = sum(
            layer.hidden_size * sum(1 + len(inputs) for _, _, inputs, _ in layer.program)
            for layer in self._model.recurrent_layers
        )
        size = steps * values * self._model.embedding.element_size()
        parts = math.ceil(batch_size * size / _GRAPH_BYTES)
        return math.ceil(batch_size / parts)

    def embed(self, minibatch: Tensor) -> Tensor:
        """Embedded token ids (T, B), as (T, B, E)."""
        return F.embedding(minibatch, self._model.embedding)

    def record(
        self,
        minibatch: Tensor,
        wanted: frozenset[str],
        depth: int | None = None,
        embeddings: Tensor | None = None,
    ) -> Recording:
        """Run the first `depth` layers once and keep what is wanted; see `Recorder`."""
        layers = self._model.recurrent_layers[:depth]
        recording = Recording()
        inputs = embeddings
        for i, layer in enumerate(layers):
            last = i == len(layers) - 1
            # The state after the last step enters no step: it need not be computed for itself.
            steps = len(minibatch) - (last and wanted <= _FORWARD_ONLY)
            affine = None
            if inputs is None and "linears" not in wanted:
                affine_steps = self._affine_of_tokens(layer, minibatch[:steps])
            else:
                inputs = self.embed(minibatch) if inputs is None else inputs
                affine = layer.affine(inputs)
                if torch.is_grad_enabled() and not affine.requires_grad:
                    affine.requires_grad_()  # no linear node of this cell reads x
                affine_steps = iter(affine[:steps].unbind(0))
            state = layer.initial_state(minibatch.shape[1])
            unrolled = layer.unroll(affine_steps, state, _names_to_keep(layer, wanted))
            if "hidden_states" in wanted:
                entering = [state[0] for state in unrolled.states[: len(minibatch)]]
                recording.hidden_states.append(entering)
            if "activations" in wanted:
                recording.activations += [unrolled.values[name] for name in layer.activations]
            if "linears" in wanted:
                assert inputs is not None and affine is not None
                recording.linears.extend(_linears(layer, inputs, affine, unrolled))
            if not last or "output" in wanted:
                inputs = torch.stack(unrolled.outputs)
        if "output" in wanted:
            recording.output = inputs
        return recording

    def _affine_of_tokens(self, layer: RecurrentLayer, minibatch: Tensor) -> Iterator[Tensor]:
        """The first layer's affine part at each step, computed once for each distinct token."""
        tokens, index = minibatch.unique(return_inverse=True)
        table = layer.affine(self.embed(tokens))
        return (table.index_select(0, row) for row in index)


def _names_to_keep(layer: RecurrentLayer, wanted: frozenset[str]) -> list[str]:
    names = list(layer.activations) if "activations" in wanted else []
    if "linears" in wanted:
        names += [
            name
            for name, readers in layer.readers.items()
            if readers and name != "x" and name not in layer.states and name not in names
        ]
    return names


def _linears(
    layer: RecurrentLayer, inputs: Tensor, affine: Tensor, unrolled: Unrolled
) -> Iterator[Linear]:
    """Every weight of the layer's linear nodes, with what it multiplies."""
    values: dict[str, Tensor | list[Tensor]] = {"x": inputs, **unrolled.values}
    for i, name in enumerate(layer.states):
        values[name] = [state[i] for state in unrolled.states[:-1]]
    for name, node in layer.linear.items():
        start = layer.stacked.index(name) * layer.hidden_size
        for j, source in enumerate(node.inputs):
            yield Linear(
                weight=node.weights[j],
                inputs=values[source],
                outputs=affine,
                columns=slice(start, start + layer.hidden_size),
                first_input=j == 0,
            )
