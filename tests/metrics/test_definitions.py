"""Every recurrent metric against its definition, computed slowly and without archscout's trace.

The reference steps through the recipe node by node with plain autograd, in float64.
"""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from archscout import metrics
from archscout.metrics import request
from archscout.spaces import Recipe, RecurrentScale, RecurrentSpace
from archscout.spaces.recurrent import RecurrentRecorder
from archscout.tracing import trace

SPACE = RecurrentSpace()
VOCABULARY_SIZE = 23
SCALE = RecurrentScale(
    batch_size=5,
    sequence_length=6,
    embedding_size=7,
    hidden_size=9,
    num_layers=3,
    initialisation="published",
)
SEED = 3

RECIPES = {
    **SPACE.named,
    **{f"sample {seed}": SPACE.sample(seed) for seed in range(10)},
    "ignores its input": Recipe.from_json(
        {
            "a": {"op": "linear", "input": ["h_prev_0"]},
            "h_new_0": {"op": "activation_tanh", "input": ["a"]},
        }
    ),
    # Written in no order of computation, one input twice, and a linear node as a state.
    "odd": Recipe.from_json(
        {
            "h_new_0": {"op": "linear", "input": ["b", "x"]},
            "b": {"op": "activation_leaky_relu", "input": ["a"]},
            "a": {"op": "linear", "input": ["h_prev_0", "x", "h_prev_0", "h_prev_1"]},
            "h_new_1": {"op": "elementwise_prod", "input": ["b", "b"]},
        }
    ),
}


class PlainNetwork:
    """The language model of a recipe as its definition reads, with weights that take gradients."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        model = SPACE.build(recipe, VOCABULARY_SIZE, SCALE, SEED).double()
        self.embedding = model.embedding.detach().clone().requires_grad_()
        self.widths = [SCALE.hidden_size, SCALE.hidden_size, SCALE.embedding_size]
        self.weights: list[dict[str, list[Tensor]]] = []
        self.biases: list[dict[str, Tensor]] = []
        for layer in model.layers:
            names = [name for name, node in recipe.nodes.items() if node.op == "linear"]
            self.weights.append(
                {
                    name: [w.detach().clone().requires_grad_() for w in layer.linear[name].weights]
                    for name in names
                }
            )
            self.biases.append({name: layer.linear[name].bias.detach() for name in names})
        self.entering: list[list[Tensor]] = []
        self.activations: list[Tensor] = []

    def run(self, embeddings: Tensor) -> Tensor:
        """The raw output (T, B, E)."""
        self.entering, self.activations = [], []
        outputs = list(embeddings)
        for layer, width in enumerate(self.widths):
            batch_size = outputs[0].shape[0]
            states = [
                torch.zeros(batch_size, width, dtype=torch.float64, requires_grad=True)
                for _ in range(self.recipe.num_states)
            ]
            entering, after = [], []
            for x in outputs:
                entering.append(states[0])
                states = self._step(layer, x, states)
                after.append(states[0])
            self.entering.append(entering)
            outputs = after
        return torch.stack(outputs)

    def _step(self, layer: int, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        values = {"x": x} | {f"h_prev_{i}": state for i, state in enumerate(states)}

        def value(name: str) -> Tensor:
            if name not in values:
                values[name] = self._node(layer, name, [value(s) for s in inputs[name]])
            return values[name]

        inputs = {name: node.input for name, node in self.recipe.nodes.items()}
        for name in self.recipe.nodes:
            value(name)
        return [values[f"h_new_{i}"] for i in range(len(states))]

    def _node(self, layer: int, name: str, inputs: list[Tensor]) -> Tensor:
        op = self.recipe.nodes[name].op
        if op == "linear":
            total = self.biases[layer][name]
            for weight, source in zip(self.weights[layer][name], inputs, strict=True):
                total = total + source @ weight.t()
            return total
        if op == "elementwise_sum":
            return inputs[0] + inputs[1]
        if op == "elementwise_prod":
            return inputs[0] * inputs[1]
        if op == "blend":
            return inputs[0] * inputs[1] + (1 - inputs[0]) * inputs[2]
        (source,) = inputs
        output = {
            "activation_tanh": torch.tanh(source),
            "activation_sigm": 1 / (1 + torch.exp(-source)),
            "activation_leaky_relu": torch.where(source > 0, source, 0.01 * source),
        }[op]
        self.activations.append(output.detach())
        return output

    def all_weights(self, without_first: bool = False) -> list[Tensor]:
        """The weights of every layer's linear nodes, perhaps without each node's first."""
        first = 1 if without_first else 0
        return [w for layer in self.weights for node in layer.values() for w in node[first:]]


def minibatch() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    shape = (SCALE.sequence_length, SCALE.batch_size)
    return torch.randint(0, VOCABULARY_SIZE, shape, generator=rng)


def spectral(rows: Tensor) -> float:
    with np.errstate(invalid="ignore"):
        correlations = np.corrcoef(rows.detach().numpy())
    if not np.isfinite(correlations).all():
        return math.nan
    eigenvalues = np.linalg.eigvalsh(correlations)
    return -float(np.sum(np.log(eigenvalues + 1e-5) + 1 / (eigenvalues + 1e-5)))


def cosine(rows: Tensor) -> float:
    total = 0.0
    count = len(rows)
    for i in range(count):
        for j in range(count):
            if i != j:
                angle = rows[i] @ rows[j] / (rows[i].norm() * rows[j].norm())
                total += abs(float(angle)) ** (1 / 20)
    return 1 - total / 2 / (count**2 - count)


def jacobian(network: PlainNetwork, amplitude: float = 0.0) -> Tensor:
    """One row an input, (B, T * E)."""
    embeddings = network.embedding.detach()[minibatch()]
    if amplitude:
        before = np.random.get_state()
        np.random.seed(SEED)
        noise = torch.from_numpy(np.random.randn(*embeddings.shape).astype("float32"))
        np.random.set_state(before)
        deviation = embeddings - embeddings.mean(1, keepdim=True)
        variance = (deviation * deviation).mean(1, keepdim=True)
        embeddings = embeddings + amplitude * variance * noise
    embeddings.requires_grad_()
    (gradient,) = torch.autograd.grad(
        network.run(embeddings).sum(), embeddings, materialize_grads=True
    )
    return torch.stack([gradient[:, b].flatten() for b in range(SCALE.batch_size)])


def small_difference(score: Callable[[Tensor], float], amplitude: float):
    def value(network: PlainNetwork) -> float:
        return 1 - abs(score(jacobian(network)) - score(jacobian(network, amplitude)))

    return value


def product(score: Callable[[Tensor], float]):
    def value(network: PlainNetwork) -> float:
        return math.prod(score(jacobian(network, a)) for a in (0.0, 0.1, 10.0, 100.0))

    return value


def saliency(
    network: PlainNetwork, weights: list[Tensor], objective: Callable[[Tensor], Tensor]
) -> float:
    output = network.run(network.embedding[minibatch()])
    gradients = torch.autograd.grad(objective(output), weights, materialize_grads=True)
    pairs = zip(weights, gradients, strict=True)
    return sum(float((w * g).detach().abs().sum()) for w, g in pairs)


def published_weights(network: PlainNetwork) -> list[Tensor]:
    return [*network.all_weights(without_first=True), network.embedding]


def hidden_saliency(network: PlainNetwork) -> float:
    output = network.run(network.embedding[minibatch()])
    states = [state for layer in network.entering for state in layer]
    gradients = torch.autograd.grad(output.sum(), states, materialize_grads=True)
    pairs = zip(states, gradients, strict=True)
    return sum(float((h * g).detach().abs().sum()) for h, g in pairs)


def activation_distance(network: PlainNetwork) -> float:
    network.run(network.embedding[minibatch()])
    agreement = np.zeros((SCALE.batch_size, SCALE.batch_size))
    for output in network.activations:
        x = (output > 0).double().numpy()
        agreement += x @ x.T + (1 - x) @ (1 - x).T
    if np.linalg.matrix_rank(agreement) < len(agreement):
        return -math.inf
    return float(np.linalg.slogdet(agreement)[1])


def covariance_of_units(network: PlainNetwork, layer: int) -> float:
    network.run(network.embedding[minibatch()])
    return spectral(torch.cat(network.entering[layer - 1], 0).t())


def covariance_of_inputs(network: PlainNetwork, layer: int) -> float:
    network.run(network.embedding[minibatch()])
    return spectral(torch.cat(network.entering[layer - 1], 1))


def parameters(network: PlainNetwork) -> float:
    counted = [network.embedding, *network.all_weights()]
    biases = [bias for layer in network.biases for bias in layer.values()]
    return sum(t.numel() for t in [*counted, *biases]) + VOCABULARY_SIZE


LAYERS = (1, 2, 3)
DEFINITIONS: dict[str, Callable[[PlainNetwork], float]] = {
    "hidden_covariance": lambda n: covariance_of_units(n, 1),
    **{f"hidden_covariance[{i}]": lambda n, i=i: covariance_of_units(n, i) for i in LAYERS},
    "hidden_covariance_of_inputs": lambda n: covariance_of_inputs(n, 1),
    **{
        f"hidden_covariance_of_inputs[{i}]": lambda n, i=i: covariance_of_inputs(n, i)
        for i in LAYERS
    },
    "jacobian_covariance": lambda n: spectral(jacobian(n)),
    "jacobian_cosine": lambda n: cosine(jacobian(n)),
    "small_noise_jacobian": small_difference(spectral, 0.1),
    "small_noise_jacobian_cosine": small_difference(cosine, 0.1),
    "large_noise_jacobian": small_difference(spectral, 10.0),
    "large_noise_jacobian_cosine": small_difference(cosine, 10.0),
    "more_noised_jacobian": product(spectral),
    "more_noised_jacobian_cosine": product(cosine),
    "activation_distance": activation_distance,
    "activation_distance_published": activation_distance,
    "activation_distance_released": (
        lambda n: activation_distance(n) + SCALE.batch_size * math.log(2)
    ),
    "synaptic_saliency": lambda n: saliency(n, n.all_weights(), torch.sum),
    "synaptic_saliency_published": lambda n: saliency(n, published_weights(n), torch.sum),
    "synaptic_saliency_released": (
        lambda n: saliency(n, published_weights(n), lambda y: (y * y).sum() / 2)
    ),
    "hidden_synaptic_saliency": hidden_saliency,
    "parameters": parameters,
    "l2_norm": lambda n: sum(float(w.detach().square().sum().sqrt()) for w in n.all_weights()),
}


@cache
def scores(recipe: str) -> dict[str, float]:
    """All metrics together, from one trace in float64."""
    model = SPACE.build(RECIPES[recipe], VOCABULARY_SIZE, SCALE, SEED).double()
    requests = [request(name) for name in DEFINITIONS]
    needs = frozenset[str]().union(*(asked.metric.needs for asked in requests))
    traced = trace(RecurrentRecorder(model), minibatch(), needs, seed=SEED)
    found: dict[str, float] = {}
    for asked in requests:
        found |= asked.values(traced)
    return found


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_metric_is_what_its_definition_says(recipe: str, name: str) -> None:
    expected = DEFINITIONS[name](PlainNetwork(RECIPES[recipe]))
    found = scores(recipe)[name]
    # The noise scores are differences of two scores, which may be far larger.
    subtracted = abs(scores(recipe)["jacobian_covariance"]) if "noise_jacobian" in name else 0.0
    tolerance = max(1e-9, 1e-7 * subtracted)
    assert found == pytest.approx(expected, rel=1e-7, abs=tolerance, nan_ok=True)


def test_the_recipes_compared_leave_no_metric_undefined_throughout() -> None:
    for name in DEFINITIONS:
        assert any(math.isfinite(scores(recipe)[name]) for recipe in RECIPES), name


def test_every_metric_of_our_own_has_its_definition_here_or_a_test_of_its_own() -> None:
    own = {n: m for n, m in metrics.available().items() if m.source}
    assert own
    tests = [file.read_text() for file in Path(__file__).parent.glob("test_*.py")]
    for name in own.keys() - DEFINITIONS.keys():
        home = own[name].function.__module__
        file = Path(__file__).with_name(f"test_{home.rpartition('.')[2]}.py")
        assert file.is_file() or any(f"from {home} import" in text for text in tests), name
