"""How a recurrent language model is recorded for the trace."""

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from archscout import counting
from archscout.errors import InputError
from archscout.recording import DECODER, RECORDABLE, Linear, Recorder, Recording
from archscout.spaces.recurrent.language_model import (
    RecurrentLanguageModel,
    RecurrentLayer,
    Unrolled,
)

# What autograd may hold, by an estimate that was compared with cells of 13 to 18 nodes.
_GRAPH_BYTES = 400_000_000

_STATES_ONLY = frozenset({"hidden_states", "layer_input"})
_LINEAR = frozenset({"linears", "linear_uses"})


class RecurrentRecorder(Recorder):
    """A `RecurrentLanguageModel` as the trace sees it.

    The model is put in evaluation mode, and its weights are marked as not requiring gradients:
    the trace needs those of the linear nodes' outputs only. The loss is the cross-entropy of the
    next token, by the decoder tied to the embedding: the output at step t predicts token t + 1.

    Args:
        model: with at least as many layers filled as will be recorded.
    """

    _network: RecurrentLanguageModel
    recordable: Mapping[str, str | None] = {
        **dict.fromkeys(RECORDABLE),
        **dict.fromkeys(("projections", "softmaxes", "position_embedding"), "it has no attention"),
        "preactivations": "it is not a transformer",
    }

    def __init__(self, model: RecurrentLanguageModel) -> None:
        super().__init__(model.eval().requires_grad_(False))
        self._layers = model.recurrent_layers

    @property
    def depth(self) -> int:
        """Layers times the nodes on the longest path through one step of the cell."""
        longest: dict[str, int] = {}
        for name, _, inputs, _ in self._layers[0].wiring.program:
            longest[name] = 1 + max((longest.get(source, 0) for source in inputs), default=0)
        return len(self._layers) * max(longest.values())

    @property
    def width(self) -> float:
        """Hidden states times the units of the widest layer."""
        return max(len(m.wiring.states) * m.hidden_size for m in self._layers)

    def flops(self, minibatch: Tensor) -> int:
        """Floating-point operations of one token, the decoder's among them."""
        return counting.flops_of_tokens(self._network, (1, 1))

    @property
    def tied_embedding(self) -> Tensor | None:
        """The embedding's weight (V, E), which the decoder shares."""
        return self._network.embedding

    def train(self, mode: bool) -> None:
        """Nothing: recurrent networks are scored without dropout."""

    def inputs_at_once(
        self, minibatch: Tensor, wanted: frozenset[str] = frozenset(), copies: int = 1
    ) -> int:
        """As many inputs as keep what autograd holds below about 400 megabytes."""
        steps, batch_size = minibatch.shape
        values = sum(
            layer.hidden_size * sum(1 + len(inputs) for _, _, inputs, _ in layer.wiring.program)
            for layer in self._layers
        )
        if "loss" in wanted:  # logits, their softmax and its gradient
            values += 3 * len(self._network.embedding)
        size = copies * steps * values * self._network.embedding.element_size()
        parts = math.ceil(batch_size * size / _GRAPH_BYTES)
        return math.ceil(batch_size / parts)

    def embed(self, minibatch: Tensor) -> Tensor:
        """Embedded token ids (T, B), as (T, B, E)."""
        return F.embedding(minibatch, self._network.embedding)

    def linear_parameters(self) -> list[Tensor]:
        """The weights of the linear nodes."""
        nodes = [node for layer in self._layers for node in layer.linear.values()]
        return [weight for node in nodes for weight in node.weights]

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
            InputError: the loss is wanted of sequences of one token.
        """
        layers = self._layers[:depth]
        names = [_names_to_keep(layer, wanted) for layer in layers]
        recording = Recording()
        inputs = embeddings
        if "layer_input" in wanted:
            inputs = recording.layer_input = (
                self.embed(minibatch) if embeddings is None else embeddings
            )
        for i, layer in enumerate(layers):
            last = i == len(layers) - 1
            # The state after the last step enters no step: it need not be computed for itself.
            steps = len(minibatch) - (last and wanted <= _STATES_ONLY)
            affine = None
            state = layer.initial_state(minibatch.shape[1])
            if inputs is None and wanted.isdisjoint(_LINEAR):
                of_tokens = self._steps_of_tokens(layer, minibatch[:steps])
                unrolled = layer.unroll(of_tokens, state, names[i])
            else:
                inputs = self.embed(minibatch) if inputs is None else inputs
                before, weights = None, layer.recurrent_weights()
                if since:
                    with torch.inference_mode():
                        first = layer.steps(layer.affine(inputs[:since]))
                        before = layer.unroll(first, state, names[i], weights=weights)
                    # Autograd keeps nothing that was made in inference mode, but a copy of it.
                    state = tuple(entering.clone() for entering in before.states[-1])
                affine = layer.affine(inputs[since:])
                if torch.is_grad_enabled() and not affine.requires_grad:
                    affine.requires_grad_()  # no linear node of this cell reads x
                later = layer.steps(affine[: steps - since])
                unrolled = layer.unroll(later, state, names[i], weights=weights)
                if before is not None:
                    unrolled = before.followed_by(unrolled)
            if "hidden_states" in wanted:
                recording.hidden_states.append(unrolled.entering[: len(minibatch)])
            if "activations" in wanted:
                values = unrolled.values
                recording.activations += [values[name] for name in layer.wiring.activations]
            if "linears" in wanted:
                assert inputs is not None and affine is not None
                recording.linears.extend(_linears(layer, inputs, affine, unrolled))
            if "linear_uses" in wanted:
                assert inputs is not None and affine is not None
                recording.linear_uses.extend(_linears(layer, inputs, affine, unrolled))
            if not last or not wanted.isdisjoint({"output", "loss"}):
                inputs = torch.stack(unrolled.outputs)
        if "output" in wanted:
            recording.output = inputs
        if "loss" in wanted:
            assert inputs is not None
            self._predict(recording, inputs, minibatch, wanted)
        return recording

    def _predict(
        self, recording: Recording, outputs: Tensor, minibatch: Tensor, wanted: frozenset[str]
    ) -> None:
        """The loss, from outputs (T, B, E), and the use of the decoder where maps are wanted."""
        if len(minibatch) < 2:
            raise InputError(
                f"sequence_length is {len(minibatch)}; the loss predicts the next token, so it "
                "needs 2 or more"
            )
        decoder = self._network.embedding
        logits = F.linear(outputs[:-1], decoder, self._network.decoder_bias)
        recording.loss = F.cross_entropy(logits.flatten(0, 1), minibatch[1:].flatten())
        if "linears" in wanted and torch.is_grad_enabled():
            recording.linears.append(Linear(decoder, outputs[:-1], logits, role=DECODER))

    def _steps_of_tokens(
        self, layer: RecurrentLayer, minibatch: Tensor
    ) -> Iterator[tuple[Tensor, ...]]:
        """The first layer's affine part at each step, computed once for each distinct token."""
        tokens, index = minibatch.unique(return_inverse=True)
        table = layer.affine(self.embed(tokens))
        return (layer.columns(table.index_select(0, row)) for row in index)


def _names_to_keep(layer: RecurrentLayer, wanted: frozenset[str]) -> list[str]:
    names = list(layer.wiring.activations) if "activations" in wanted else []
    if not wanted.isdisjoint(_LINEAR):
        names += [
            name
            for name, readers in layer.wiring.readers.items()
            if readers and name != "x" and name not in layer.wiring.states and name not in names
        ]
    return names


def _linears(
    layer: RecurrentLayer, inputs: Tensor, affine: Tensor, unrolled: Unrolled
) -> Iterator[Linear]:
    """Every weight of the layer's linear nodes, with what it multiplies."""
    values: dict[str, Tensor | list[Tensor]] = {"x": inputs, **unrolled.values}
    for i, name in enumerate(layer.wiring.states):
        values[name] = [state[i] for state in unrolled.states[:-1]]
    for name, node in layer.linear.items():
        start = layer.wiring.stacked.index(name) * layer.hidden_size
        for j, source in enumerate(node.inputs):
            yield Linear(
                weight=node.weights[j],
                inputs=values[source],
                outputs=affine,
                columns=slice(start, start + layer.hidden_size),
                first_input=j == 0,
            )
