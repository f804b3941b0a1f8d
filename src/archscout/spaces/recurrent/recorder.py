"""How a recurrent language model is recorded for the trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from archscout.recording import Linear, Recording
from archscout.spaces.recurrent.language_model import (
    RecurrentLanguageModel,
    RecurrentLayer,
    Unrolled,
)

_FORWARD_ONLY = frozenset({"hidden_states"})


class RecurrentRecorder:
    """A `RecurrentLanguageModel` as the trace sees it.

    The model is put in evaluation mode, and its weights are marked as not requiring gradients:
    the trace needs those of the linear nodes' outputs only.

    Args:
        model: with at least as many layers filled as will be recorded.
    """

    recordable: Mapping[str, str | None] = dict.fromkeys(
        ("output", "hidden_states", "activations", "linears", "embedding")
    )

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
        layers = list(self._model.layers)[:depth]
        recording = Recording()
        inputs = embeddings
        for i, layer in enumerate(layers):
            assert isinstance(layer, RecurrentLayer)
            if inputs is None:
                affine = self._affine_of_tokens(layer, minibatch)
            else:
                affine = layer.affine(inputs)
            last = i == len(layers) - 1
            if "linears" in wanted and not affine.requires_grad:
                affine.requires_grad_()  # no linear node of this cell reads x
            keep = _names_to_keep(layer, wanted)
            # The state after the last step enters no step: it need not be computed for itself.
            steps = len(affine) - 1 if last and wanted <= _FORWARD_ONLY else len(affine)
            state = layer.initial_state(affine.shape[1])
            unrolled = layer.unroll(affine[:steps], state, keep)
            if "hidden_states" in wanted:
                recording.hidden_states.append([s[0] for s in unrolled.states[: len(affine)]])
            if "activations" in wanted:
                kept = (unrolled.values[name] for name in layer.activations)
                recording.activations.extend(torch.stack(values) for values in kept)
            if "linears" in wanted:
                if inputs is None:
                    inputs = self.embed(minibatch)
                recording.linears.extend(_linears(layer, inputs, affine, unrolled))
            if not last or "output" in wanted:
                inputs = torch.stack(unrolled.outputs)
        if "output" in wanted:
            recording.output = inputs
        return recording

    def _affine_of_tokens(self, layer: RecurrentLayer, minibatch: Tensor) -> Tensor:
        """The first layer's affine part, computed once for each distinct token."""
        tokens, index = minibatch.unique(return_inverse=True)
        return layer.affine(self.embed(tokens))[index]


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
    values = {"x": inputs.detach()}
    for i, name in enumerate(layer.states):
        if layer.readers[name]:
            values[name] = torch.stack([state[i] for state in unrolled.states[:-1]]).detach()
    for name, kept in unrolled.values.items():
        if layer.readers[name]:
            values[name] = torch.stack(kept).detach()
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
