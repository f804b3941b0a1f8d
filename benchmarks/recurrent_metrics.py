"""How much faster are the recurrent metrics than a plain implementation, in one run?

Prints, for a few cells at the paper's scale, times of the plain implementation (plain.py) and of
archscout, from genotype to scores (the network is built anew each time), and their ratios. Checks
that both compute the same numbers.

    python benchmarks/recurrent_metrics.py [--cells 4] [--repeats 3]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import numpy as np
import torch
from plain import PlainModel, all_metrics

from archscout import Scorer
from archscout.spaces import RecurrentSpace


def seconds(function: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def check(plain: dict[str, float], ours: dict[str, float]) -> None:
    for name, value in plain.items():
        if np.isfinite(value) and not name.startswith("small_noise"):
            assert abs(ours[name] - value) <= 1e-3 * abs(value), (name, value, ours[name])


def cells(space: RecurrentSpace, number: int) -> Iterable[tuple[str, Any]]:
    yield "lstm", space.named["lstm"]
    yield "rnn", space.named["rnn"]
    for recipe in islice(space.samples(seed=0), 2, number):
        yield space.fingerprint(recipe)[:8], recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    space = RecurrentSpace()
    names = [
        "activation_distance", "synaptic_saliency", "hidden_synaptic_saliency",
        "hidden_covariance", "jacobian_covariance", "jacobian_cosine",
        *(f"{kind}_jacobian{s}" for kind in ("small_noise", "large_noise", "more_noised")
          for s in ("", "_cosine")),
    ]  # fmt: skip
    full = Scorer(space, metrics=names, scale="paper")
    first = Scorer(space, metrics=["hidden_covariance[1]"], scale="paper")
    tokens, scale = full.minibatch, full.scale
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; {scale}")
    print(f"{'cell':10}{'plain set':>11}{'our set':>9}{'ratio':>7}"
          f"{'layer 1':>9}{'ratio':>7}{'3 layers':>10}{'ratio':>7}")  # fmt: skip
    ratios = []
    for name, recipe in cells(space, arguments.cells):
        nodes = space.to_dict(recipe)
        sizes = (len(full.vocabulary), scale.embedding_size, scale.hidden_size, scale.num_layers)

        def plain_set(nodes: Any = nodes, sizes: Any = sizes) -> dict[str, float]:
            return all_metrics(PlainModel(nodes, *sizes, 0), tokens, 0)

        def plain_forward(nodes: Any = nodes, sizes: Any = sizes) -> None:
            model = PlainModel(nodes, *sizes, 0)
            with torch.no_grad():
                model(model.embedding(tokens))

        start = time.perf_counter()
        expected = plain_set()
        plain_seconds = time.perf_counter() - start
        check(expected, full.score(recipe).scores)
        times = [
            plain_seconds,
            seconds(lambda recipe=recipe: full.score(recipe), arguments.repeats),
            seconds(lambda recipe=recipe: first.score(recipe), 3 * arguments.repeats),
            seconds(plain_forward, arguments.repeats),
        ]
        plain, ours, layer, forward = times
        ratios.append((plain / ours, plain / layer, forward / layer))
        print(f"{name:10}{plain:10.2f}s{ours:8.2f}s{plain / ours:6.1f}x"
              f"{layer:8.3f}s{plain / layer:6.1f}x"
              f"{forward:9.3f}s{forward / layer:6.1f}x")  # fmt: skip
    print("median ratios: full set {:.1f}x, layer 1 against the plain full set {:.1f}x, "
          "layer 1 against a plain forward pass {:.1f}x".format(
              *(statistics.median(column) for column in zip(*ratios, strict=True))))  # fmt: skip


if __name__ == "__main__":
    main()
