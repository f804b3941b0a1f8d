"""How much do the encoder metrics cost beside a plain pass, a plain implementation, and building?

Prints, for the first architectures of the published sample (read as declared, 16 inputs of 128
tokens, vocabulary of 30,522), times and their ratios:

* one forward and backward pass of the plain network, all parameters differentiated (pass);
* archscout's trace and all encoder metrics (ours), and the same by a plain implementation, a pass
  a metric (plain: plain_encoder.py), both without synaptic diversity;
* the nuclear norms of synaptic diversity, which both sides leave to LAPACK;
* building what is scored, the first time with a seed (cold) and after it (warm), and the same of
  `space.build`, which copies what it draws.

Checks that both implementations compute the same numbers. All are repeated in turn, so that what
disturbs the machine disturbs each of them; times are medians, ratios those of medians. On a busy
machine two threads wait for each other most of the time; with `--threads 1` the time is that of
the processor, in which other processes take no part.

    python benchmarks/encoder_metrics.py [--architectures 6] [--repeats 9] [--threads 1]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import numpy as np
import torch
from plain_encoder import all_metrics, diversity
from torch import Tensor

from archscout.metrics import available, request
from archscout.spaces import FlexibertSpace
from archscout.tracing import Trace, trace

BATCH_SIZE, LENGTH, VOCABULARY_SIZE, SEED = 16, 128, 30_522, 0
OPERATIONS = {"SA-SDP", "SA-WMA", "LT-DFT", "LT-DCT", "DSC-5", "DSC-9"}
# The paper's own set.
FILES = {
    "activation_distance",
    "head_confidence",
    "head_importance",
    "jacobian_cosine",
    "jacobian_covariance",
    "softmax_confidence",
    "synaptic_diversity",
    "synaptic_saliency",
}
OWN = [
    name
    for name, metric in available("transformer").items()
    if metric.kind == "transformer" and metric.function.__module__.rpartition(".")[2] in FILES
]
DIVERSITY = [name for name in OWN if name.startswith("synaptic_diversity")]
METRICS = [name for name in OWN if name not in DIVERSITY]
NEEDS = frozenset().union(*(available("transformer")[name].needs for name in METRICS))

Cases = dict[str, Callable[[], Any]]


def cotangent(hidden_size: int) -> Tensor:
    """What the trace multiplies the output by, inputs first."""
    draws = np.random.default_rng([SEED, 1])
    shape = (LENGTH, BATCH_SIZE, hidden_size)
    return torch.from_numpy(draws.standard_normal(shape, dtype=np.float32)).transpose(0, 1)


def values(names: list[str], traced: Trace) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in names:
        found |= request(name, "transformer").values(traced)
    return found


def cases(space: FlexibertSpace, genotype: Any, tokens: Tensor) -> Cases:
    """What is timed, by name."""
    scale = space.scales["paper"].resized(
        batch_size=BATCH_SIZE, sequence_length=LENGTH, reading="declared"
    )
    network = space.build(genotype, VOCABULARY_SIZE, scale, SEED).eval()
    recorder = space.recorder(genotype, VOCABULARY_SIZE, scale, SEED)
    inputs_first = tokens.t().contiguous()
    direction = cotangent(genotype.hidden_size)
    seeds = (i // 2 for i in count(2 + 2 * SEED))  # each twice: cold, then warm

    def one_pass() -> None:
        network.zero_grad()
        (network(inputs_first).last_hidden_state * direction).sum().backward()

    def traced() -> Trace:
        return trace(recorder, tokens, NEEDS, seed=SEED, objective="cotangent")

    def recorded() -> None:
        space.recorder(genotype, VOCABULARY_SIZE, scale, next(seeds))

    def built() -> None:
        space.build(genotype, VOCABULARY_SIZE, scale, next(seeds))

    def norms() -> dict[str, float]:
        # A new trace each time, or it would remember what was computed.
        read = Trace(kept.parameters, tokens, weight_gradients=kept.weight_gradients)
        return values(DIVERSITY, read)

    kept = traced()
    return {
        "pass": one_pass,
        "ours": lambda: values(METRICS, traced()),
        "plain": lambda: all_metrics(network, inputs_first, direction),
        "norms": norms,
        "plain norms": lambda: diversity(network, inputs_first, direction),
        "cold": recorded,
        "warm": recorded,
        "build cold": built,
        "build warm": built,
    }


def check(plain: Mapping[str, float], ours: Mapping[str, float]) -> None:
    assert plain.keys() == ours.keys(), plain.keys() ^ ours.keys()
    for name, value in plain.items():
        assert np.isfinite(value), name
        assert abs(ours[name] - value) <= 1e-3 * abs(value), (name, value, ours[name])


def medians(timed: Cases, repeats: int) -> dict[str, float]:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(repeats):
        for name, function in timed.items():
            start = clock()
            function()
            times[name].append(clock() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--architectures", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    space = FlexibertSpace()
    genotypes = space.published_sample[: arguments.architectures]
    missing = OPERATIONS - {layer.operation for g in genotypes for layer in g.layers}
    draws = np.random.default_rng(SEED)
    tokens = torch.from_numpy(draws.integers(VOCABULARY_SIZE, size=(LENGTH, BATCH_SIZE)))
    print(f"Python {platform.python_version()}, torch {torch.__version__}, "
          f"numpy {np.__version__}, {torch.get_num_threads()} threads; "
          f"{BATCH_SIZE} x {LENGTH} tokens, {arguments.repeats} repeats; operations not covered: "
          f"{', '.join(sorted(missing)) or 'none'}")  # fmt: skip
    print(f"{'ms':>4}{'pass':>8}{'ours':>8}{'plain':>8}{'norms':>8}"
          f"{'cold':>7}{'warm':>7}{'b.cold':>8}{'b.warm':>8}"
          f"{'ours/pass':>11}{'plain/ours':>11}{'cold/ours':>10}{'warm/ours':>10}")  # fmt: skip
    ratios = []
    for i, genotype in enumerate(genotypes):
        timed = cases(space, genotype, tokens)
        plain_norms = timed.pop("plain norms")
        check(timed["plain"]() | plain_norms(), timed["ours"]() | timed["norms"]())
        ms = {name: 1e3 * t for name, t in medians(timed, arguments.repeats).items()}
        ours = ms["ours"]
        ratios.append(
            (ours / ms["pass"], ms["plain"] / ours, ms["cold"] / ours, ms["warm"] / ours,
             ms["build cold"] / ms["cold"], ms["build warm"] / ms["warm"])
        )  # fmt: skip
        print(f"{i:4}{ms['pass']:8.0f}{ours:8.0f}{ms['plain']:8.0f}{ms['norms']:8.0f}"
              f"{ms['cold']:7.0f}{ms['warm']:7.1f}"
              f"{ms['build cold']:8.0f}{ms['build warm']:8.1f}"
              f"{ratios[-1][0]:10.2f}x{ratios[-1][1]:10.2f}x{ratios[-1][2]:9.2f}x"
              f"{ratios[-1][3]:9.2f}x  {space.describe(genotype)}")  # fmt: skip
    print("median ratios: all metrics against one pass {:.2f}x, plain implementation against ours "
          "{:.2f}x; building for a score against scoring {:.2f}x cold, {:.2f}x warm; "
          "space.build against building for a score {:.2f}x cold, {:.2f}x warm".format(
              *(statistics.median(column) for column in zip(*ratios, strict=True))))  # fmt: skip


if __name__ == "__main__":
    main()
