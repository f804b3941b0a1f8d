"""The language model around a recurrent cell: embedding, layers of one recipe, tied decoder.

Reads from top to bottom and imports nothing but torch, for an exported model carries this file.
Shapes: T time steps, B sequences, I a layer's input width, H its hidden width, V the vocabulary.

Sources: Merity et al. 2018, "Regularizing and optimizing LSTM language models" (AWD-LSTM);
Klyuchnikov et al. 2020, "NAS-Bench-NLP" (cells as graphs).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from operator import itemgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A cell as {"node": {"op": ..., "input": [...]}, ...}, see recipe.py for its rules.
Cell = Mapping[str, Mapping[str, Any]]
# Every layer's hidden states, L of k of (B, H).
States = list[tuple[Tensor, ...]]
# Untrained, an embedding is uniform within it, and a layer of width H within 1/sqrt(H).
EMBEDDING_BOUND = 0.1


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Dropout rates of AWD-LSTM; the defaults are those of NAS-Bench-NLP on Penn Treebank.

    "Locked" is the same at every time step.
    """

    embedding: float = 0.1  # whole words of the embedding
    input: float = 0.4  # units of the embedded input, locked
    between: float = 0.25  # units between layers, locked
    output: float = 0.4  # units of the last layer's output, locked
    weight: float = 0.5  # single recurrent weights, locked ("weight drop")


def _blend(values: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    gate, a, b = values
    return torch.lerp(b, a, gate)  # gate * a + (1 - gate) * b


def _product(values: tuple[Tensor, Tensor]) -> Tensor:
    return torch.mul(*values)


def _sum(values: tuple[Tensor, Tensor]) -> Tensor:
    return torch.add(*values)


# Of a value, or of a tuple of several.
FUNCTIONS: dict[str, Callable[[Any], Tensor]] = {
    "activation_tanh": torch.tanh,
    "activation_sigm": torch.sigmoid,
    "activation_leaky_relu": F.leaky_relu,
    "blend": _blend,
    "elementwise_prod": _product,
    "elementwise_sum": _sum,
}


@dataclasses.dataclass
class Unrolled:
    """What a layer computes: T steps of it."""

    states: list[tuple[Tensor, ...]]  # after each step and before the first, T + 1 of k of (B, H)
    values: dict[str, list[Tensor]]  # of the nodes asked for, by name, T of (B, H) each

    @property
    def entering(self) -> list[Tensor]:
        """The first hidden state that enters each step, and the last one, T + 1 of (B, H)."""
        return [step[0] for step in self.states]

    @property
    def outputs(self) -> list[Tensor]:
        """The first hidden state after each step, T of (B, H)."""
        return self.entering[1:]

    def followed_by(self, later: Unrolled) -> Unrolled:
        """These steps, and those that went on from their last states."""
        values = {name: steps + later.values[name] for name, steps in self.values.items()}
        return Unrolled(self.states + later.states[1:], values)


class Wiring:
    """How a cell's nodes are joined, which is the same in every layer.

    Args:
        cell: a recipe.

    Attributes:
        states: names of the previous hidden states.
        new_states: of the nodes that give the next ones.
        linear: of the linear nodes, with what they read.
        activations: of the nodes that are activations.
        stacked: of the linear nodes; those that read x stand together, and so do those that read
            h_prev_0.
        readers: for x, each state and each node, the linear nodes that read it.
        program: in an order of computation, for each node its name, its function (none for a linear
            one), what it reads and its readers.
    """

    def __init__(self, cell: Cell) -> None:
        num_states = sum(f"h_new_{i}" in cell for i in range(len(cell)))
        self.states = tuple(f"h_prev_{i}" for i in range(num_states))
        self.new_states = tuple(f"h_new_{i}" for i in range(num_states))
        inputs = {name: tuple(node["input"]) for name, node in cell.items()}
        ops = {name: node["op"] for name, node in cell.items()}
        self.linear = {name: inputs[name] for name in cell if ops[name] == "linear"}
        self.activations = tuple(name for name in cell if ops[name].startswith("activation"))

        def place(name: str) -> tuple[bool, bool]:
            x, h = "x" in inputs[name], "h_prev_0" in inputs[name]
            return (not x, h) if x else (not x, not h)

        self.stacked = tuple(sorted(self.linear, key=place))
        self.readers = {
            source: tuple(n for n in self.stacked if source in inputs[n])
            for source in ("x", *self.states, *cell)
        }
        graph = {name: [s for s in inputs[name] if s in cell] for name in cell}
        order = TopologicalSorter(graph).static_order()
        self.program = [
            (name, FUNCTIONS.get(ops[name]), inputs[name], self.readers[name]) for name in order
        ]


class LinearNode(nn.Module):
    """A linear node: one weight (H, width of the input) for each input, and one bias (H)."""

    def __init__(self, inputs: Sequence[str], input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.inputs = tuple(inputs)
        widths = [input_size if source == "x" else hidden_size for source in inputs]
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.empty(hidden_size, width)) for width in widths]
        )
        self.bias = nn.Parameter(torch.empty(hidden_size))

    def weight_from(self, source: str, drop: float = 0.0) -> Tensor:
        """The weight (H, width) that a source is multiplied by, after weight drop."""
        pairs = zip(self.weights._parameters.values(), self.inputs, strict=True)
        weights: list[Tensor] = [w for w, name in pairs if name == source and w is not None]
        if drop:
            weights = [F.dropout(weight, drop) for weight in weights]
        return weights[0] if len(weights) == 1 else torch.stack(weights).sum(0)


class RecurrentLayer(nn.Module):
    """One recurrent layer: a cell, unrolled over time.

    The layer's input meets its weights in one matrix product over all time steps (`affine`). At
    each step every state or node is multiplied once, by the stacked weights of all the linear
    nodes that read it (`unroll`).
    """

    def __init__(self, wiring: Wiring, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.wiring, self.hidden_size = wiring, hidden_size
        linear = {
            name: LinearNode(inputs, input_size, hidden_size)
            for name, inputs in wiring.linear.items()
        }
        self.linear = linear
        self.linears = nn.ModuleList(linear.values())  # by position: a name may hold a dot

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zero states, k of (B, H)."""
        zeros = next(self.parameters()).new_zeros(batch_size, self.hidden_size)
        return (zeros,) * len(self.wiring.states)

    def affine(self, inputs: Tensor) -> Tensor:
        """What the N nodes of `stacked` get from inputs (..., I) and biases: (..., N * H)."""
        from_x = self.wiring.readers["x"]
        rest: list[Tensor] = [self.linear[name].bias for name in self.wiring.stacked[len(from_x) :]]
        parts = [torch.cat(rest).expand(*inputs.shape[:-1], -1)] if rest else []
        if from_x:
            weight = torch.cat([self.linear[name].weight_from("x") for name in from_x])
            bias = torch.cat([self.linear[name].bias for name in from_x])
            parts.insert(0, F.linear(inputs, weight, bias))
        return torch.cat(parts, -1) if len(parts) > 1 else parts[0]

    def recurrent_weights(self, weight_drop: float = 0.0) -> dict[str, Tensor]:
        """For each state or node that linear nodes read, the stacked weights of these nodes.

        They are (n * H, H) for n readers in the order of `readers`; those that read a previous
        state are dropped at a rate.
        """
        weights: dict[str, Tensor] = {}
        for source, names in self.wiring.readers.items():
            if names and source != "x":
                drop = weight_drop if source in self.wiring.states else 0.0
                weights[source] = torch.cat(
                    [self.linear[n].weight_from(source, drop) for n in names]
                )
        return weights

    def steps(self, affine: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """For each step of the affine part (T, B, N * H) its `columns`."""
        return zip(*(part.unbind(0) for part in self.columns(affine)), strict=True)

    def columns(self, affine: Tensor) -> tuple[Tensor, ...]:
        """The affine part (..., N * H), what readers of h_prev_0 get in one, the others singly."""
        h, first = self.hidden_size, self.wiring.readers["h_prev_0"]
        before = self.wiring.stacked.index(first[0]) if first else len(self.wiring.stacked)
        groups = [h] * before + ([h * len(first)] if first else [])
        groups += [h] * (len(self.wiring.stacked) - before - len(first))
        parts: tuple[Tensor, ...] = affine.split(groups, -1)
        return parts

    def unroll(
        self,
        steps: Iterable[Sequence[Tensor]],
        states: tuple[Tensor, ...],
        keep: Iterable[str] = (),
        weight_drop: float = 0.0,
        weights: Mapping[str, Tensor] | None = None,
        present: Tensor | None = None,
    ) -> Unrolled:
        """Run the cell over T steps.

        Args:
            steps: what `steps` gives, or for each step `columns` of (B, N * H).
            states: k of (B, H).
            keep: names of nodes whose outputs are to be returned.
            weight_drop: dropout rate of the weights that read a previous state.
            weights: what `recurrent_weights` gave, in place of the layer's own.
            present: where there is a token, (T, B); elsewhere the states stay as they are. All by
                default.
        """
        weights = self.recurrent_weights(weight_drop) if weights is None else weights
        turned = {source: weight.t() for source, weight in weights.items()}
        first = self.wiring.readers["h_prev_0"]
        start = self.wiring.stacked.index(first[0]) if first else 0
        others = [(s, None, (s,), self.wiring.readers[s]) for s in self.wiring.states[1:]]
        program = [
            (name, function, itemgetter(*inputs), readers, turned.get(name))
            for name, function, inputs, readers in (*others, *self.wiring.program)
            if function is not None or name in turned
        ]
        names = (*self.wiring.stacked, *self.wiring.states)
        unrolled = Unrolled([states], {name: [] for name in keep})
        for t, step in enumerate(steps):
            if first:
                product = torch.addmm(step[start], states[0], turned["h_prev_0"])
                step = (*step[:start], *product.chunk(len(first), 1), *step[start + 1 :])
            # A linear node's value is its sum so far, which is whole when its turn has come.
            values = dict(zip(names, (*step, *states), strict=True))
            for name, function, inputs, readers, weight in program:
                if function is not None:
                    values[name] = function(inputs(values))
                if weight is None:
                    continue
                if len(readers) == 1:
                    (reader,) = readers
                    values[reader] = torch.addmm(values[reader], values[name], weight)
                    continue
                parts = torch.mm(values[name], weight).chunk(len(readers), 1)
                for reader, part in zip(readers, parts, strict=True):
                    values[reader] = values[reader] + part
            after = tuple([values[name] for name in self.wiring.new_states])
            if present is not None:
                there = present[t, :, None]
                pairs = zip(after, states, strict=True)
                after = tuple(torch.where(there, new, old) for new, old in pairs)
            states = after
            unrolled.states.append(states)
            for name, kept in unrolled.values.items():
                kept.append(values[name])
        return unrolled

    def forward(
        self,
        inputs: Tensor,
        states: tuple[Tensor, ...],
        weight_drop: float = 0.0,
        present: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs (T, B, H) of inputs (T, B, I), and states after the last step, k of (B, H)."""
        steps = self.steps(self.affine(inputs))
        unrolled = self.unroll(steps, states, weight_drop=weight_drop, present=present)
        return torch.stack(unrolled.outputs), unrolled.states[-1]


def layer_widths(
    embedding_size: int, hidden_size: int, num_layers: int
) -> Iterable[tuple[int, int]]:
    """Of every layer, the width of what it reads and its own."""
    return pairwise([embedding_size, *[hidden_size] * (num_layers - 1), embedding_size])


class RecurrentLanguageModel(nn.Module):
    """Embedding, L layers of one cell (the last as wide as the embedding), tied decoder.

    Args:
        cell: a recipe, as {"node": {"op": ..., "input": [...]}, ...}.
        vocabulary_size: V.
        embedding_size: E, the width of the embedding and of the last layer.
        hidden_size: width of the layers before the last.
        num_layers: L.
        dropout: rates that act in training mode.
    """

    def __init__(
        self,
        cell: Cell,
        vocabulary_size: int,
        embedding_size: int = 400,
        hidden_size: int = 600,
        num_layers: int = 3,
        dropout: Dropout | None = None,
    ) -> None:
        super().__init__()
        self.cell = {name: dict(node) for name, node in cell.items()}
        self.dropout = dropout or Dropout()
        # nn.Embedding and nn.Linear would fill themselves; initialisation.py draws all weights.
        self.embedding = nn.Parameter(torch.empty(vocabulary_size, embedding_size))
        self.decoder_bias = nn.Parameter(torch.empty(vocabulary_size))
        wiring = Wiring(cell)
        self.layers = nn.ModuleList(
            RecurrentLayer(wiring, before, after)
            for before, after in layer_widths(embedding_size, hidden_size, num_layers)
        )

    def initial_state(self, batch_size: int) -> States:
        """Zero states of every layer, L of k of (B, H)."""
        return [layer.initial_state(batch_size) for layer in self.recurrent_layers]

    @property
    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The layers, for type checkers: `nn.ModuleList` is one of modules of any kind."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    @property
    def rates(self) -> Dropout:
        """The dropout rates that act: none outside training mode."""
        return self.dropout if self.training else Dropout(0, 0, 0, 0, 0)

    def encode(self, tokens: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """The last layer's raw outputs (T, B, E) of ids (T, B), and the states after the last step.

        States are zero before the first step by default.
        """
        embedding = word_dropout(self.embedding, self.rates.embedding)
        outputs, states = self.run(F.embedding(tokens, embedding), states)
        return outputs[-1], states

    def run(
        self, embedded: Tensor, states: States | None = None, present: Tensor | None = None
    ) -> tuple[list[Tensor], States]:
        """What the layers make of embedded tokens.

        Args:
            embedded: (T, B, E).
            states: before the first step, zero by default.
            present: where there is a token, (T, B); elsewhere the states stay as they are. All by
                default.

        Returns:
            Every layer's raw outputs, L of (T, B, width), and the states after the last step.
        """
        rates = self.rates
        states = states or self.initial_state(embedded.shape[1])
        inputs, outputs, after = embedded, [], []
        for i, (layer, state) in enumerate(zip(self.recurrent_layers, states, strict=True)):
            inputs = locked_dropout(inputs, rates.between if i else rates.input)
            inputs, state = layer(inputs, state, rates.weight, present)
            outputs.append(inputs)
            after.append(state)
        return outputs, after

    def forward(self, tokens: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """Logits (T, B, V) of the next token, and the states after the last step; see `encode`."""
        outputs, states = self.encode(tokens, states)
        outputs = locked_dropout(outputs, self.rates.output)
        return F.linear(outputs, self.embedding, self.decoder_bias), states


def locked_dropout(x: Tensor, rate: float) -> Tensor:
    """Dropout of x (T, B, H) with one mask (B, H) for all time steps."""
    return _dropout(x, (1, *x.shape[1:]), rate)


def word_dropout(embedding: Tensor, rate: float) -> Tensor:
    """Dropout of whole rows of an embedding (V, E)."""
    return _dropout(embedding, (embedding.shape[0], 1), rate)


def _dropout(x: Tensor, shape: tuple[int, ...], rate: float) -> Tensor:
    """Dropout by a mask of a smaller shape."""
    if not rate:
        return x
    return x * (x.new_empty(shape).bernoulli_(1 - rate) / (1 - rate))
