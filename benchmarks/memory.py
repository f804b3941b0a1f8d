"""How much memory does scoring take at the paper's scale, and does it grow?

Scores many architectures with layer 1's hidden covariance, printing the process's resident memory
as it goes, then the largest of a sample of large cells with every metric of the paper, and with
every metric that there is.

    python benchmarks/memory.py [--architectures 1000]
"""

from __future__ import annotations

import argparse
import os
import resource
from itertools import islice
from pathlib import Path

from archscout import Scorer
from archscout.metrics import available
from archscout.spaces import RecurrentSpace

FILES = {
    "activation_distance",
    "hidden_covariance",
    "hidden_synaptic_saliency",
    "jacobian_cosine",
    "jacobian_covariance",
    "l2_norm",
    "large_noise_jacobian",
    "more_noised_jacobian",
    "parameters",
    "small_noise_jacobian",
    "synaptic_saliency",
}


def resident() -> float:
    """Megabytes now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak() -> float:
    """Megabytes at most so far (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", type=int, default=1000)
    number = parser.parse_args().architectures
    space = RecurrentSpace()
    first = Scorer(space, metrics=["hidden_covariance[1]"], scale="paper")
    print(f"before scoring: {resident():.0f} MB")
    for i, recipe in enumerate(islice(space.samples(seed=0), number), start=1):
        first.score(recipe)
        if i % max(1, number // 10) == 0:
            print(f"after {i}: {resident():.0f} MB, peak {peak():.0f} MB", flush=True)
    large = max(
        islice(RecurrentSpace(states=3, steps=12).samples(seed=0), 200),
        key=lambda recipe: len(recipe.nodes),
    )
    names = [n for n, m in available().items() if m.function.__module__.rpartition(".")[2] in FILES]
    for label, metrics in (("every metric of the paper", names), ("every metric", None)):
        Scorer(space, metrics=metrics, scale="paper").score(large)
        print(f"{label}, cell of {len(large.nodes)} nodes: peak {peak():.0f} MB", flush=True)


if __name__ == "__main__":
    main()
