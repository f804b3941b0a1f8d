"""Passes with random numbers in place of, or on top of, what the network was given.

Sources: Lin et al. 2021, "Zen-NAS" (normal embeddings); Lee and Ham 2024, "AZ-NAS" (probes of the
Jacobian between layers); Celotti et al. 2020, "Improving zero-shot neural architecture search with
parameters scoring" (noise on the embeddings).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from archscout.recording import Recorder
from archscout.tracing.differentiation import gradients_of
from archscout.tracing.objectives import Differentiated, noise, signs, standard_normal
from archscout.tracing.quantities import RECENT_STEPS
from archscout.tracing.steps import joined, parts_of, stacked, tensors

# Streams of one seed; those before them are the cotangent's and that of the masked tokens.
_GAUSSIAN, _PERTURBATION, _PROBES, _LAST_STEP = 3, 4, 5, 6

# Zen-NAS's alpha: how far the second input is from the first.
PERTURBATION = 0.01

Steps = Tensor | Sequence[Tensor]


def gaussian_outputs(recorder: Recorder, minibatch: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Raw outputs (T, B, E) at standard normal embeddings e, and at e + 0.01 ε."""
    with torch.inference_mode():
        like = recorder.embed(minibatch)
        shape = tuple(like.shape)
        # A copy, and both before the first pass: a network may change its inputs in place.
        embeddings = standard_normal((seed, _GAUSSIAN), shape).to(like, copy=True)
        change = standard_normal((seed, _PERTURBATION), shape).to(like)
        moved = embeddings + PERTURBATION * change
        first, second = (
            recorder.record(minibatch, frozenset({"output"}), embeddings=at).output
            for at in (embeddings, moved)
        )
    assert first is not None and second is not None
    return first, second


def layer_probes(
    entering: Tensor, layers: Sequence[Steps], seed: int, inputs: slice, batch_size: int
) -> list[tuple[Tensor, Tensor]]:
    """For each layer and what comes before it: v of ±1, and v's product with the Jacobian.

    The Jacobian is that of all the states of a layer with respect to all of those before; of a
    recurrent network it includes how an earlier state acts through later ones of its own layer.
    Before the first layer comes what it reads. States are (T, part of B, H) or T of (part of B, H),
    with their graph, of these inputs of the minibatch.
    """
    found = []
    for layer, (before, states) in enumerate(pairwise([entering, *layers])):
        first = tensors(states)[0]
        shape = (len(states), batch_size, first.shape[-1])
        v = signs((seed, _PROBES, layer), shape)[:, inputs].to(first)
        found.append((v, _product(states, before, v)))
    return found


def _product(states: Steps, before: Steps, v: Tensor) -> Tensor:
    """vᵀ J, of the shape of what came before."""
    outputs = list(zip(tensors(states), [v] if isinstance(states, Tensor) else v, strict=True))
    outputs = [(state, direction) for state, direction in outputs if state.requires_grad]
    sources = tensors(before)
    found: dict[int, Tensor] = {}
    reachable = [source for source in sources if source.requires_grad]
    if outputs and reachable:
        # The graph is kept for the other layers' probes and the objective.
        gradients = torch.autograd.grad(
            [state for state, _ in outputs],
            reachable,
            [direction for _, direction in outputs],
            retain_graph=True,
            materialize_grads=True,
        )
        found = dict(zip(map(id, reachable), gradients, strict=True))
    products = [found.get(id(source), torch.zeros_like(source)) for source in sources]
    return products[0] if isinstance(before, Tensor) else stacked(products)


def last_step_gradient(
    output: Tensor, embeddings: Tensor, seed: int, inputs: slice, batch_size: int
) -> Tensor:
    """Gradient of Σ v · y over the last step's output y, v standard normal, of these inputs.

    Of outputs (T, part of B, E) with their graph, with respect to the embeddings of the last
    R = `RECENT_STEPS` steps, (R, part of B, E).
    """
    last = output[-1]
    v = standard_normal((seed, _LAST_STEP), (batch_size, *last.shape[1:]))[inputs].to(last)
    # The graph is kept for the objective.
    gradients = gradients_of((last * v).sum(), [embeddings], retain_graph=True)
    return gradients[id(embeddings)][-RECENT_STEPS:]


def noised_gradient(
    recorder: Recorder, minibatch: Tensor, amplitude: float, seed: int, wanted: Differentiated
) -> Tensor:
    """The embeddings' gradient at e + amplitude * var * noise, var taken over the inputs."""
    with torch.enable_grad():
        embeddings = recorder.embed(minibatch).detach()
        variance = embeddings.var(1, unbiased=False, keepdim=True)
        drawn = noise(seed, tuple(embeddings.shape)).to(embeddings)
        noised = embeddings + amplitude * variance * drawn
        gradients = []
        size = recorder.inputs_at_once(minibatch, frozenset({wanted.field}))
        for inputs in parts_of(minibatch.shape[1], size):
            leaf = noised[:, inputs].detach().requires_grad_()
            recording = recorder.record(
                minibatch[:, inputs], frozenset({wanted.field}), embeddings=leaf
            )
            gradients.append(gradients_of(wanted.of(recording, inputs), [leaf])[id(leaf)])
        return joined(gradients)
