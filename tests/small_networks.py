"""Small networks in float64, each with a plain way to run it, to compare metrics with autograd."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archscout.metrics import request
from archscout.recorders.choice import recorded
from archscout.recording import Recorder, kind_of
from archscout.spaces import RecurrentScale, RecurrentSpace
from archscout.spaces.flexibert.network import FlexibertNetwork
from archscout.spaces.flexibert.recorder import FlexibertRecorder
from archscout.spaces.recurrent import RecurrentRecorder
from archscout.tracing import Objective, Trace, trace

V, T, B, E = 11, 6, 4, 6
TOKENS = torch.randint(0, V, (T, B), generator=torch.Generator().manual_seed(0))
VECTORS = torch.randn(T, B, E, generator=torch.Generator().manual_seed(1)).double()
CELLS = RecurrentSpace()
CELL_SCALE = RecurrentScale(B, T, E, 7, 2, "published")


class Perceptron(nn.Module):
    """Vectors (T, B, E) to (T, B, 3), one of its linear maps used twice."""

    def __init__(self, activation: Callable[[], nn.Module] = nn.Tanh, bias: bool = True) -> None:
        super().__init__()
        self.first = nn.Linear(E, 5, bias)
        self.shared = nn.Linear(5, 5, bias)
        self.last = nn.Linear(5, 3, bias)
        self.activations = nn.ModuleList(activation() for _ in range(3))

    def forward(self, vectors: Tensor) -> Tensor:
        one, other, third = self.activations
        hidden = one(self.first(vectors))
        return self.last(third(self.shared(other(self.shared(hidden)))))


class Recurrent(nn.Module):
    """Token ids (T, B) through torch's own recurrent modules, to (T, B, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        self.gru = nn.GRU(E, 5, num_layers=2)
        self.lstm = nn.LSTM(5, 4)
        self.rnn = nn.RNN(4, 4, bias=False)
        self.last = nn.Linear(4, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.last(self.rnn(self.lstm(self.gru(self.embedding(tokens))[0])[0])[0])


@dataclass
class Small:
    """A network as the trace sees it, and as autograd does.

    Attributes:
        module: its parameters in float64.
        weights: those of its linear maps.
        output: runs it, (T, B, ...).
        recorded: it as the trace sees it.
        objective: what is differentiated by default.
    """

    module: nn.Module
    weights: Sequence[Tensor]
    output: Callable[[], Tensor]
    recorded: Callable[[], object]
    minibatch: Tensor
    objective: Objective = "sum"

    @contextmanager
    def recorder(self) -> Iterator[Recorder]:
        given = self.recorded()
        with given if hasattr(given, "__enter__") else nullcontext(given) as recorder:
            yield recorder

    def trace(self, *needs: str, **settings: object) -> Trace:
        with self.recorder() as recorder:
            settings = {"objective": self.objective} | settings
            return trace(recorder, self.minibatch, needs, **settings)  # type: ignore[arg-type]

    def measure(self, name: str, **settings: object) -> float:
        with self.recorder() as recorder:
            asked = request(name, kind_of(recorder))
        return asked.values(self.trace(*asked.metric.needs, **settings))[name]

    def loss(self, inputs: slice = slice(None)) -> Tensor:
        """The objective of some of the inputs, with its graph."""
        output = self.output()
        if self.objective == "cotangent":
            draws = np.random.default_rng([0, 1])
            output = output * torch.from_numpy(
                draws.standard_normal(tuple(output.shape), dtype=np.float32)
            )
        return output[:, inputs].sum()

    def gradients(self, inputs: slice = slice(None)) -> list[Tensor]:
        """Of the weights."""
        for weight in self.weights:
            weight.requires_grad_(True)
        found = torch.autograd.grad(self.loss(inputs), list(self.weights), materialize_grads=True)
        return list(found)

    def by_input(self) -> list[Tensor]:
        """Of each weight the gradients of each input by itself, (B, outputs, inputs)."""
        each = [self.gradients(slice(b, b + 1)) for b in range(B)]
        return [torch.stack(gradients) for gradients in zip(*each, strict=True)]


def of_module(module: nn.Module, batch: Tensor) -> Small:
    module = module.double().eval()
    weights = [
        parameter
        for name, parameter in module.named_parameters()
        if "weight" in name and "embedding" not in name
    ]
    return Small(
        module,
        weights,
        lambda: module(batch),
        lambda: recorded(module, batch, False),
        batch,
    )


def perceptron(activation: Callable[[], nn.Module] = nn.Tanh, bias: bool = True) -> Small:
    torch.manual_seed(0)
    return of_module(Perceptron(activation, bias), VECTORS)


def recurrent_modules() -> Small:
    torch.manual_seed(0)
    return of_module(Recurrent(), TOKENS)


def cell(name: str = "gru") -> Small:
    """A recurrent language model."""
    recipe = CELLS.named[name] if name in CELLS.named else CELLS.sample(int(name))
    model = CELLS.build(recipe, V, CELL_SCALE).double().eval()
    weights = [w for layer in model.layers for node in layer.linear.values() for w in node.weights]
    return Small(
        model, weights, lambda: model.encode(TOKENS)[0], lambda: RecurrentRecorder(model), TOKENS
    )


def encoder(*operations: str) -> Small:
    """An encoder with a layer for each operation."""
    layers = [
        {"operation": operation, "num_heads": 2, "feed_forward": [10, 9]}
        for operation in operations or ("SDP", "DSC-5", "DFT")
    ]
    torch.manual_seed(0)
    network = FlexibertNetwork(layers, V, 8, embedding_size=E, num_positions=T).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.4)
    weights = [m.weight for m in network.encoder.modules() if isinstance(m, nn.Linear)]
    return Small(
        network,
        weights,
        lambda: network(TOKENS.t()).last_hidden_state.transpose(0, 1),
        lambda: FlexibertRecorder(network),
        TOKENS,
        "cotangent",
    )


NETWORKS: dict[str, Callable[[], Small]] = {
    "perceptron": perceptron,
    "recurrent modules": recurrent_modules,
    "gru": cell,
    "lstm": lambda: cell("lstm"),
    "sampled cell": lambda: cell("3"),
    "encoder": encoder,
    "weighted encoder": lambda: encoder("WMA", "DCT"),
}


def dead(small: Small) -> Small:
    """The same network with weights of zeros."""
    for weight in small.weights:
        nn.init.zeros_(weight)
    return small


def magnitudes(small: Small) -> tuple[nn.Module, list[Tensor], Tensor]:
    """SynFlow's copy: absolute values, no layer norm, attention to all positions alike.

    Returns:
        The copy, its weights, and its output of ones.
    """
    network = copy.deepcopy(small.module).requires_grad_(True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.LayerNorm):
                setattr(module, name, nn.Identity())
    ones = torch.ones(T, 1, E, dtype=torch.float64)
    names = {id(p): name for name, p in small.module.named_parameters()}
    copies = dict(network.named_parameters())
    weights = [copies[names[id(weight)]] for weight in small.weights]
    if isinstance(network, FlexibertNetwork):
        with (
            patch.object(Tensor, "softmax", lambda x, axis: torch.full_like(x, 1 / x.shape[axis])),
            patch.object(
                F,
                "scaled_dot_product_attention",
                lambda _query, _key, value, *_: value.mean(-2, keepdim=True).expand_as(value),
            ),
        ):
            output = network(embeddings=ones.transpose(0, 1)).last_hidden_state
    elif hasattr(network, "encode"):
        output = ones
        for layer in network.layers:
            output, _ = layer(output, layer.initial_state(1))
    elif isinstance(network, Recurrent):
        hidden = network.gru(ones)[0]
        output = network.last(network.rnn(network.lstm(hidden)[0])[0])
    else:
        output = network(ones)
    return network, weights, output


def finite_difference(function: Callable[[float], float], step: float = 1e-6) -> float:
    """The derivative at zero."""
    return (function(step) - function(-step)) / (2 * step)
