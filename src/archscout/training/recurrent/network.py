"""The language model's forward pass and loss for training, fast on long sequences.

It computes what `RecurrentLanguageModel` does, with the same random numbers for dropout; only the
gradients are gathered otherwise. A weight that is used at every step has the gradient G^T V, with
G the gradients of its products and V what it multiplies, stacked over time: one matrix product in
place of T small ones, and of T additions to a large matrix. The decoder's logits are never held
all at once: its gradients are taken in the forward pass, a few rows at a time.

Shapes: T time steps, B sequences, E the embedding's width, H a layer's, V the vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archscout.spaces.recurrent.language_model import (
    RecurrentLanguageModel,
    RecurrentLayer,
    locked_dropout,
)

States = list[tuple[Tensor, ...]]

# Logits that are held at once: 16 megabytes.
_LOGITS = 4_000_000


def encode(model: RecurrentLanguageModel, tokens: Tensor, states: States) -> tuple[Tensor, States]:
    """What `RecurrentLanguageModel.encode` gives: raw outputs (T, B, E) and the last states.

    Args:
        model: in training mode for dropout.
        tokens: ids (T, B).
        states: L of k of (B, H).
    """
    drop = model.rates
    outputs = F.embedding(tokens, model.embedding)
    if drop.embedding:
        keep = 1 - drop.embedding
        mask = model.embedding.new_empty(len(model.embedding), 1).bernoulli_(keep) / keep
        outputs = outputs * mask[tokens]  # whole words, without a copy of the embedding
    after = []
    for i, (layer, state) in enumerate(zip(model.recurrent_layers, states, strict=True)):
        outputs = locked_dropout(outputs, drop.between if i else drop.input)
        outputs, state = run_layer(layer, outputs, state, drop.weight)
        after.append(state)
    return outputs, after


def run_layer(
    layer: RecurrentLayer, inputs: Tensor, states: tuple[Tensor, ...], weight_drop: float = 0.0
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What `RecurrentLayer.forward` gives: outputs (T, B, H) and the last states, k of (B, H)."""
    affine = layer.affine(inputs)
    weights = {
        source: weight.to(affine.dtype)
        for source, weight in layer.recurrent_weights(weight_drop).items()
    }
    multiplied: list[list[Tensor]] = []
    places = [_places(layer, source) for source in weights]
    tapped: Tensor = _WeightGradients.apply(  # type: ignore[no-untyped-call]
        affine, multiplied, places, *weights.values()
    )
    unrolled = layer.unroll(
        layer.steps(tapped),
        tuple(state.to(affine.dtype) for state in states),
        [source for source in weights if source not in layer.wiring.states],
        weights={source: weight.detach() for source, weight in weights.items()},
    )
    for source in weights:
        if source in layer.wiring.states:
            i = layer.wiring.states.index(source)
            values = [state[i] for state in unrolled.states[:-1]]
        else:
            values = unrolled.values[source]
        multiplied.append([value.detach() for value in values])
    return torch.stack(unrolled.outputs), unrolled.states[-1]


def _places(layer: RecurrentLayer, source: str) -> list[slice]:
    """The columns of the affine part that belong to a source's readers, neighbours as one."""
    h, found = layer.hidden_size, list[slice]()
    for name in layer.wiring.readers[source]:
        start = layer.wiring.stacked.index(name) * h
        if found and found[-1].stop == start:
            found[-1] = slice(found[-1].start, start + h)
        else:
            found.append(slice(start, start + h))
    return found


class _WeightGradients(torch.autograd.Function):
    """The affine part as it is; its gradient gives those of the weights that feed the same sums.

    Every linear node's sum starts from its columns of the affine part, so that their gradient is
    the sum's. What the weights multiply is known once the layer has run: the list is filled then.
    """

    @staticmethod
    def forward(
        ctx: Any,
        affine: Tensor,
        multiplied: list[list[Tensor]],
        places: list[list[slice]],
        *weights: Tensor,
    ) -> Tensor:
        """The affine part (T, B, N * H); weights (n * H, H), for each the columns it feeds."""
        ctx.multiplied, ctx.places = multiplied, places
        return affine.view_as(affine)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the affine part and of the weights."""
        sums = gradients[0].flatten(0, 1)
        found = []
        for values, slices in zip(ctx.multiplied, ctx.places, strict=True):
            stacked = torch.cat(values)
            parts = [sums[:, columns].t() @ stacked for columns in slices]
            found.append(parts[0] if len(parts) == 1 else torch.cat(parts))
        ctx.multiplied.clear()
        return gradients[0], None, None, *found


class _DecoderLoss(torch.autograd.Function):
    """Mean cross-entropy of a linear map's outputs, without holding them all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """Nats a token, from x (N, E), weight (V, E), bias (V) and targets (N)."""
        total = x.new_zeros((), dtype=torch.float32)
        dx, dweight = torch.empty_like(x), torch.zeros_like(weight)
        dbias = torch.zeros_like(bias)
        rows = max(1, _LOGITS // len(bias))
        decoder = weight.to(x.dtype)
        for part, found, target in zip(
            x.split(rows), dx.split(rows), targets.split(rows), strict=True
        ):
            logits = F.linear(part, decoder, bias.to(x.dtype)).float()
            index = target[:, None]
            largest = logits.amax(1, keepdim=True)
            total -= (logits.gather(1, index) - largest).sum()
            sums = logits.sub_(largest).exp_().sum(1, keepdim=True)
            total += sums.log().sum()
            logits.div_(sums).scatter_add_(1, index, logits.new_full((len(index), 1), -1.0))
            dbias += logits.sum(0)
            errors = logits.to(x.dtype)
            torch.mm(errors, decoder, out=found)
            if dweight.dtype == x.dtype:
                dweight.addmm_(errors.t(), part)
            else:
                dweight += errors.t() @ part
        ctx.save_for_backward(dx, dweight, dbias)
        return total / len(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Those of the forward pass, scaled."""
        dx, dweight, dbias = ctx.saved_tensors
        scale = gradients[0] / len(dx)
        return dx * scale.to(dx.dtype), dweight * scale, dbias * scale, None


def decoder_loss(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the logits x weight^T + bias.

    Args:
        x: (T, B, E).
        weight: (V, E).
        bias: (V).
        targets: ids (T, B).
    """
    loss: Tensor
    if torch.is_grad_enabled():
        with torch.autocast(x.device.type, enabled=False):
            loss = _DecoderLoss.apply(  # type: ignore[no-untyped-call]
                x.flatten(0, 1), weight, bias, targets.flatten()
            )
        return loss
    rows = max(1, _LOGITS // len(bias))
    pairs = zip(x.flatten(0, 1).split(rows), targets.flatten().split(rows), strict=True)
    total = sum(
        F.cross_entropy(F.linear(part, weight, bias).float(), target, reduction="sum")
        for part, target in pairs
    )
    assert isinstance(total, Tensor)
    return total / targets.numel()


def activation_penalty(raw: Tensor, dropped: Tensor, alpha: float, beta: float) -> Tensor:
    """The activation regularisation of AWD-LSTM, of the last layer's output.

    alpha mean(dropped²) + beta mean((raw[t + 1] - raw[t])²), Merity et al. 2018, section 4.4.

    Args:
        raw: the output before dropout, (T, B, E).
        dropped: after dropout, (T, B, E).
        alpha: of activations.
        beta: of their changes between steps.
    """
    penalty = alpha * dropped.float().pow(2).mean()
    if len(raw) > 1:
        penalty = penalty + beta * raw.float().diff(dim=0).pow(2).mean()
    return penalty


def training_loss(
    model: RecurrentLanguageModel,
    tokens: Tensor,
    targets: Tensor,
    states: States,
    alpha: float = 0.0,
    beta: float = 0.0,
) -> tuple[Tensor, Tensor, States]:
    """One segment's loss.

    Args:
        model: in training mode for dropout.
        tokens: ids (T, B).
        targets: the id that follows each, (T, B).
        states: before the first step, L of k of (B, H).
        alpha: see `activation_penalty`.
        beta: see `activation_penalty`.

    Returns:
        What is to be minimised; the cross-entropy in it, nats a token, detached; and the states
        after the last step, detached.
    """
    raw, after = encode(model, tokens, states)
    dropped = locked_dropout(raw, model.rates.output)
    loss = decoder_loss(dropped, model.embedding, model.decoder_bias, targets)
    entropy = loss.detach()
    if alpha or beta:
        loss = loss + activation_penalty(raw, dropped, alpha, beta)
    return loss, entropy, [tuple(state.detach().float() for state in layer) for layer in after]
