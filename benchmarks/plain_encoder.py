"""A plain implementation of the encoder metrics, to measure archscout against.

It does what the published notebook does: every metric has hooks of its own and makes a pass of its
own through the network, which returns all probabilities of attention; a metric that reads gradients
takes those of all parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from plain import cosine_score, spectral_score
from torch import Tensor, nn

PROJECTIONS = ("query", "key", "value", "input", "weight")


def of_mixing(network: Any, names: Iterable[str]) -> list[Any]:
    names = tuple(names)
    return [
        module
        for name, module in network.named_modules()
        if ".operation.operation." in name and name.endswith(names)
    ]


def of_feed_forward(network: Any) -> list[Any]:
    return [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
        and (".intermediate." in name or (".output." in name and ".operation." not in name))
    ]


def of_mixing_blocks(network: Any) -> list[Any]:
    return [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and ".operation." in name
    ]


def outputs_of(network: Any, tokens: Tensor, modules: Iterable[Any]) -> list[Tensor]:
    outputs: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
        for module in modules
    ]
    with torch.no_grad():
        network(tokens, keep_probabilities=True)
    for hook in hooks:
        hook.remove()
    return outputs


def backward(network: Any, tokens: Tensor, cotangent: Tensor) -> None:
    network.zero_grad()
    output = network(tokens, keep_probabilities=True).last_hidden_state
    (output * cotangent).sum().backward()


def saliency(
    network: Any, tokens: Tensor, cotangent: Tensor, modules: Iterable[Any]
) -> list[float]:
    backward(network, tokens, cotangent)
    return [float((m.weight.detach() * m.weight.grad).abs().sum()) for m in modules]


def synaptic_saliency(network: Any, tokens: Tensor, cotangent: Tensor) -> list[float]:
    return saliency(network, tokens, cotangent, of_feed_forward(network))


def head_importance(network: Any, tokens: Tensor, cotangent: Tensor) -> list[float]:
    modules = of_mixing(network, (*PROJECTIONS, "conv_out_layer"))
    return saliency(network, tokens, cotangent, modules)


def synaptic_diversity(network: Any, tokens: Tensor, cotangent: Tensor) -> list[float]:
    backward(network, tokens, cotangent)
    return [
        float(torch.norm(m.weight.detach(), "nuc") * torch.norm(m.weight.grad, "nuc"))
        for m in of_mixing_blocks(network)
    ]


def activation_distance(network: Any, tokens: Tensor) -> list[float]:
    activations = [m for m in network.modules() if isinstance(m, nn.GELU)]
    distances = []
    for outputs in outputs_of(network, tokens, activations):
        x = (outputs[0] > 0).float()
        distances.append(float((x @ x.t() + (1 - x) @ (1 - x).t()).sum()))
    return distances


def head_confidence(network: Any, tokens: Tensor) -> list[float]:
    outputs = outputs_of(network, tokens, of_mixing(network, PROJECTIONS))
    return [float(output.amax(1).mean()) for output in outputs]


def softmax_confidence(network: Any, tokens: Tensor) -> list[float]:
    with torch.no_grad():
        found = network(tokens, keep_probabilities=True).probabilities
    return [float(probabilities.amax(1).mean()) for probabilities in found]


def position_jacobian(network: Any, tokens: Tensor, cotangent: Tensor) -> Tensor:
    backward(network, tokens, cotangent)
    gradient: Tensor = network.embeddings.position_embeddings.weight.grad
    return gradient.t()


def with_mean(name: str, terms: list[float]) -> dict[str, float]:
    return {name: sum(terms), f"{name}_normalized": sum(terms) / len(terms)}


def diversity(network: Any, tokens: Tensor, cotangent: Tensor) -> dict[str, float]:
    return with_mean("synaptic_diversity", synaptic_diversity(network, tokens, cotangent))


def all_metrics(network: Any, tokens: Tensor, cotangent: Tensor) -> dict[str, float]:
    """All but synaptic diversity, of token ids (B, T) and a cotangent of the output (B, T, H)."""
    jacobian = spectral_score(position_jacobian(network, tokens, cotangent))
    cosine = cosine_score(position_jacobian(network, tokens, cotangent))
    return {
        **with_mean("synaptic_saliency", synaptic_saliency(network, tokens, cotangent)),
        **with_mean("head_importance", head_importance(network, tokens, cotangent)),
        **with_mean("activation_distance", activation_distance(network, tokens)),
        **with_mean("head_confidence", head_confidence(network, tokens)),
        **with_mean("softmax_confidence", softmax_confidence(network, tokens)),
        "jacobian_covariance": jacobian,
        "jacobian_cosine": cosine,
    }
