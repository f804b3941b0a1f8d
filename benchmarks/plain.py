"""A plain implementation of the recurrent metrics, to measure archscout against.

It does what the published notebook does: it steps through the recipe node by node, with one
matrix product for each input of each linear node, and gives every metric passes of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

NOISE = {"small": (0.1,), "large": (10.0,), "more": (0.1, 10.0, 100.0)}


class PlainLayer(nn.Module):
    def __init__(self, recipe: Mapping[str, Any], input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.recipe, self.hidden_size = recipe, hidden_size
        self.num_states = sum(f"h_new_{i}" in recipe for i in range(3))
        self.weights = nn.ParameterDict()
        self.order: list[str] = []
        left = dict(recipe)
        done = {"x", *(f"h_prev_{i}" for i in range(self.num_states))}
        while left:
            name = next(n for n, node in left.items() if done.issuperset(node["input"]))
            self.order.append(name)
            done.add(name)
            del left[name]
        for name, node in recipe.items():
            if node["op"] != "linear":
                continue
            for i, source in enumerate(node["input"]):
                weight = torch.empty(hidden_size, input_size if source == "x" else hidden_size)
                nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
                self.weights[f"{name}_{i}"] = nn.Parameter(weight)
            first = self.weights[f"{name}_0"]
            bias = torch.empty(hidden_size).uniform_(-1, 1) / math.sqrt(first.shape[1])
            self.weights[f"{name}_bias"] = nn.Parameter(bias)
        for name, node in recipe.items():
            if node["op"] == "linear":
                bound = 1 / math.sqrt(hidden_size)
                nn.init.uniform_(self.weights[f"{name}_bias"], -bound, bound)
                for i in range(len(node["input"])):
                    nn.init.uniform_(self.weights[f"{name}_{i}"], -bound, bound)

    def step(self, values: dict[str, Tensor], activations: list[Tensor] | None) -> None:
        for name in self.order:
            node = self.recipe[name]
            inputs = [values[source] for source in node["input"]]
            if node["op"] == "linear":
                total = F.linear(inputs[0], self.weights[f"{name}_0"], self.weights[f"{name}_bias"])
                for i in range(1, len(inputs)):
                    total = total + F.linear(inputs[i], self.weights[f"{name}_{i}"])
                values[name] = total
            elif node["op"] == "blend":
                values[name] = inputs[0] * inputs[1] + (1 - inputs[0]) * inputs[2]
            elif node["op"] == "elementwise_prod":
                values[name] = inputs[0] * inputs[1]
            elif node["op"] == "elementwise_sum":
                values[name] = inputs[0] + inputs[1]
            else:
                function = {
                    "activation_tanh": torch.tanh,
                    "activation_sigm": torch.sigmoid,
                    "activation_leaky_relu": lambda x: F.leaky_relu(x, 0.01),
                }[node["op"]]
                values[name] = function(inputs[0])
                if activations is not None:
                    activations.append(values[name].detach())


class PlainModel(nn.Module):
    def __init__(
        self,
        recipe: Mapping[str, Any],
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int,
        seed: int,
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        widths = [embedding_size, *[hidden_size] * (num_layers - 1), embedding_size]
        self.layers = nn.ModuleList(
            PlainLayer(recipe, widths[i], widths[i + 1]) for i in range(num_layers)
        )
        self.decoder = nn.Linear(hidden_size, vocabulary_size)
        self.decoder.weight = self.embedding.weight
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(
        self, embedded: Tensor, activations: list[Tensor] | None = None
    ) -> tuple[Tensor, list[list[Tensor]]]:
        entering = []
        for layer in self.layers:
            zero = embedded.new_zeros(embedded.shape[1], layer.hidden_size)
            states = [zero] * layer.num_states
            outputs, before = [], []
            for x in embedded:
                before.append(states[0])
                values = {"x": x, **{f"h_prev_{i}": h for i, h in enumerate(states)}}
                layer.step(values, activations)
                states = [values[f"h_new_{i}"] for i in range(layer.num_states)]
                outputs.append(states[0])
            embedded = torch.stack(outputs)
            entering.append(before)
        return embedded, entering


def spectral_score(rows: Tensor) -> float:
    values = np.linalg.eigvalsh(np.corrcoef(rows.numpy())) + 1e-5
    return -float(np.sum(np.log(values) + 1 / values))


def cosine_score(rows: Tensor) -> float:
    directions = rows / rows.norm(dim=1, keepdim=True)
    cosines = (directions @ directions.t()).fill_diagonal_(0)
    n = len(rows)
    return 1 - float(cosines.abs().pow(1 / 20).sum()) / 2 / (n * n - n)


def jacobian(model: PlainModel, tokens: Tensor, amplitude: float, seed: int) -> Tensor:
    embedded = model.embedding(tokens).detach()
    if amplitude:
        np.random.seed(seed)
        noise = torch.from_numpy(np.random.randn(*embedded.shape)).float()
        embedded = embedded + amplitude * embedded.var(1, unbiased=False, keepdim=True) * noise
    embedded.requires_grad_()
    output, _ = model(embedded)
    model.zero_grad()
    output.sum().backward()
    return embedded.grad.transpose(0, 1).flatten(1)


def hidden_covariance(model: PlainModel, tokens: Tensor) -> list[float]:
    with torch.no_grad():
        _, entering = model(model.embedding(tokens))
    return [spectral_score(torch.cat(steps).t()) for steps in entering]


def activation_distance(model: PlainModel, tokens: Tensor) -> float:
    activations: list[Tensor] = []
    with torch.no_grad():
        model(model.embedding(tokens), activations)
    total = np.zeros((tokens.shape[1],) * 2)
    for outputs in activations:
        x = (outputs > 0).float()
        total += (x @ x.t() + (1 - x) @ (1 - x).t()).numpy()
    return float(np.linalg.slogdet(total)[1])


def synaptic_saliency(model: PlainModel, tokens: Tensor) -> float:
    model.zero_grad()
    output, _ = model(model.embedding(tokens))
    output.sum().backward()
    return sum(
        float((p.detach() * p.grad).abs().sum())
        for layer in model.layers
        for name, p in layer.weights.items()
        if not name.endswith("bias") and p.grad is not None
    )


def hidden_synaptic_saliency(model: PlainModel, tokens: Tensor) -> float:
    model.zero_grad()
    output, entering = model(model.embedding(tokens))
    states = [state for steps in entering for state in steps if state.requires_grad]
    for state in states:
        state.retain_grad()
    output.sum().backward()
    return sum(float((s.detach() * s.grad).abs().sum()) for s in states if s.grad is not None)


def noise_score(
    kind: str, score: Callable[[Tensor], float], model: PlainModel, tokens: Tensor, seed: int
) -> float:
    base = score(jacobian(model, tokens, 0, seed))
    noised = [score(jacobian(model, tokens, amplitude, seed)) for amplitude in NOISE[kind]]
    return base * math.prod(noised) if kind == "more" else 1 - abs(base - noised[0])


def all_metrics(model: PlainModel, tokens: Tensor, seed: int) -> dict[str, float]:
    found = {
        "activation_distance": activation_distance(model, tokens),
        "synaptic_saliency": synaptic_saliency(model, tokens),
        "hidden_synaptic_saliency": hidden_synaptic_saliency(model, tokens),
    }
    for i, value in enumerate(hidden_covariance(model, tokens), start=1):
        found[f"hidden_covariance[{i}]"] = value
    for suffix, score in (("", spectral_score), ("_cosine", cosine_score)):
        name = "jacobian_cosine" if suffix else "jacobian_covariance"
        found[name] = score(jacobian(model, tokens, 0, seed))
        found[f"small_noise_jacobian{suffix}"] = noise_score("small", score, model, tokens, seed)
        found[f"large_noise_jacobian{suffix}"] = noise_score("large", score, model, tokens, seed)
        found[f"more_noised_jacobian{suffix}"] = noise_score("more", score, model, tokens, seed)
    return found
