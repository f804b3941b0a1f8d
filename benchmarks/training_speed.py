"""Training speed of recurrent language models, in tokens a second.

Against the plain implementation (node by node, see plain.py) and against torch.nn.LSTM, each in
the same language model with the same dropouts, loss, optimizer and sizes. Steps of the two take
turns, so that what else the machine does meets both.

    python benchmarks/training_speed.py [STEPS]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from plain import PlainModel
from torch import Tensor, nn

from archscout.spaces.recurrent import RecurrentScale, RecurrentSpace
from archscout.spaces.recurrent.language_model import Dropout, locked_dropout, word_dropout
from archscout.training import TrainingSettings
from archscout.training.recurrent.network import training_loss

SETTINGS = TrainingSettings()
SCALE = RecurrentScale(20, 70, 400, 600, 3, "published")
VOCABULARY = 10_000  # of Penn Treebank
TINY = 100  # with which the decoder, which all of them share, costs next to nothing
Step = Callable[[Tensor, Tensor], float]


def optimizer(module: nn.Module, fused: bool) -> torch.optim.Adam:
    return torch.optim.Adam(
        module.parameters(),
        lr=SETTINGS.learning_rate,
        weight_decay=SETTINGS.weight_decay,
        fused=fused,
    )


def our_step(recipe: Any, vocabulary: int = VOCABULARY) -> Step:
    model = RecurrentSpace().build(recipe, vocabulary, SCALE, 0).train()
    model.dropout = SETTINGS.dropout
    adam = optimizer(model, True)
    states = model.initial_state(SCALE.batch_size)

    def step(tokens: Tensor, targets: Tensor) -> float:
        nonlocal states
        adam.zero_grad()
        loss, entropy, states = training_loss(model, tokens, targets, states, 2.0, 1.0)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), SETTINGS.clip)
        adam.step()
        return float(entropy)

    return step


def regularised_loss(
    raw: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, drop: Dropout
) -> Tensor:
    dropped = locked_dropout(raw, drop.output)
    logits = F.linear(dropped, weight, bias)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    return loss + 2.0 * dropped.pow(2).mean() + (raw[1:] - raw[:-1]).pow(2).mean()


def plain_step(recipe: Any, vocabulary: int = VOCABULARY) -> Step:
    model = PlainModel(
        recipe.to_dict(), vocabulary, SCALE.embedding_size, SCALE.hidden_size, SCALE.num_layers, 0
    )
    model.decoder.bias = nn.Parameter(torch.zeros(vocabulary))
    drop, adam = SETTINGS.dropout, optimizer(model, False)
    states = [
        [torch.zeros(SCALE.batch_size, layer.hidden_size)] * layer.num_states
        for layer in model.layers
    ]

    def step(tokens: Tensor, targets: Tensor) -> float:
        adam.zero_grad()
        x = F.embedding(tokens, word_dropout(model.embedding.weight, drop.embedding))
        for i, layer in enumerate(model.layers):
            x = locked_dropout(x, drop.between if i else drop.input)
            raw, names = layer.weights, recurrent_names(layer)
            dropped = {n: F.dropout(w, drop.weight) if n in names else w for n, w in raw.items()}
            layer.__dict__["weights"] = dropped
            outputs, hidden = [], states[i]
            for row in x:
                values = {"x": row, **{f"h_prev_{k}": h for k, h in enumerate(hidden)}}
                layer.step(values, None)
                hidden = [values[f"h_new_{k}"] for k in range(layer.num_states)]
                outputs.append(hidden[0])
            del layer.__dict__["weights"]
            states[i] = [h.detach() for h in hidden]
            x = torch.stack(outputs)
        weight, bias = model.embedding.weight, model.decoder.bias
        loss = regularised_loss(x, weight, bias, targets, drop)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), SETTINGS.clip)
        adam.step()
        return float(loss.detach())

    return step


def recurrent_names(layer: Any) -> set[str]:
    return {
        f"{name}_{i}"
        for name, node in layer.recipe.items()
        for i, source in enumerate(node["input"])
        if source.startswith("h_prev")
    }


class TorchModel(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocabulary, 400).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        sizes = [(400, 600), (600, 600), (600, 400)]
        self.layers = nn.ModuleList(nn.LSTM(a, b) for a, b in sizes)


def torch_step(vocabulary: int = VOCABULARY) -> Step:
    model = TorchModel(vocabulary)
    drop, adam = SETTINGS.dropout, optimizer(model, True)
    states: list[Any] = [None] * 3

    def step(tokens: Tensor, targets: Tensor) -> float:
        adam.zero_grad()
        x = F.embedding(tokens, word_dropout(model.embedding, drop.embedding))
        for i, layer in enumerate(model.layers):
            x = locked_dropout(x, drop.between if i else drop.input)
            weights = dict(layer.named_parameters())
            weights["weight_hh_l0"] = F.dropout(weights["weight_hh_l0"], drop.weight)
            given = (x,) if states[i] is None else (x, states[i])
            x, state = torch.func.functional_call(layer, weights, given)
            states[i] = tuple(h.detach() for h in state)
        loss = regularised_loss(x, model.embedding, model.bias, targets, drop)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), SETTINGS.clip)
        adam.step()
        return float(loss.detach())

    return step


def compare(
    name: str, ours: Step, other: Step, other_name: str, steps: int, vocabulary: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    length, batch = SCALE.sequence_length, SCALE.batch_size
    text = torch.randint(vocabulary, (length + 1, batch), generator=generator)
    times: dict[Step, list[float]] = {ours: [], other: []}
    for i in range(steps + 1):
        for step, found in times.items():
            start = time.perf_counter()
            step(text[:-1], text[1:])
            if i:  # the first one warms up
                found.append(time.perf_counter() - start)
    fastest = [length * batch / min(found) for found in times.values()]
    usual = [length * batch / median(found) for found in times.values()]
    print(
        f"{name:45} V {vocabulary:6,}: {fastest[0]:6,.0f} tokens/s, {other_name} "
        f"{fastest[1]:6,.0f}, ratio {fastest[0] / fastest[1]:.2f} "
        f"(of medians {usual[0] / usual[1]:.2f})",
        flush=True,
    )


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    space = RecurrentSpace()
    print(f"{torch.get_num_threads()} thread(s), the fastest of {steps} steps; {SCALE}")
    lstm = space.named["lstm"]
    recipes = {"lstm": lstm} | {f"sample {i}": space.sample(i) for i in (0, 1, 2)}
    for v in (VOCABULARY, TINY):
        compare("lstm", our_step(lstm, v), torch_step(v), "torch.nn.LSTM", steps, v)
        for name, recipe in recipes.items():
            title = f"{name} ({len(recipe.nodes)} nodes)"
            compare(title, our_step(recipe, v), plain_step(recipe, v), "plain", steps, v)


if __name__ == "__main__":
    main()
