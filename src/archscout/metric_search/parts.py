"""A benchmark's architectures in three parts: to breed formulas, to choose one, to judge it."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from archscout.analysis.kendall import Floats
from archscout.benchmarks import Benchmark
from archscout.errors import InputError
from archscout.scoring import resolve_scale
from archscout.spaces import Scale, network_fingerprint

SHARES = (0.5, 0.25, 0.25)
LEAST = 10
"""Architectures in a part, below which its rank correlation says little."""


@dataclass(frozen=True)
class Parts:
    """Names of a benchmark's architectures; all that are one network are in one part.

    Attributes:
        breeding: on which formulas are bred, and learn which way is better.
        choosing: on which one of the best formulas is chosen.
        judging: on which that one is judged, and nothing else.
    """

    breeding: tuple[str, ...]
    choosing: tuple[str, ...]
    judging: tuple[str, ...]


def divide(
    benchmark: Benchmark,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    scale: Scale | None = None,
) -> Parts:
    """The three parts of the architectures that were trained to the end.

    An architecture's part depends on its network's fingerprint, the shares and the seed alone: it
    stays when architectures are added to the benchmark.

    Args:
        benchmark: the benchmark.
        shares: of the parts; they add up to 1.
        seed: of the hash of the fingerprints.
        scale: at which architectures are scored, which may make one network of several of them;
            by default the space's.

    Raises:
        InputError: the shares are not such, or a part has fewer than 10 architectures.
    """
    _check_shares(shares)
    ends = list(accumulate(shares))
    trained = benchmark.results[benchmark.target].notna()
    parts: list[list[str]] = [[], [], []]
    built_at = resolve_scale(benchmark.space, scale)
    for name in trained.index[trained]:
        mark = network_fingerprint(benchmark.space, benchmark.architectures[name], built_at)
        part = bisect(ends[:2], _place(mark, seed))
        parts[part].append(name)
    for title, share, names in zip(("first", "second", "third"), shares, parts, strict=True):
        if len(names) < LEAST:
            raise InputError(
                f"{benchmark.name} has {int(trained.sum())} trained architectures, and a share of "
                f"{share:g} leaves {len(names)} to the {title} part; at least {LEAST} are accepted"
            )
    return Parts(*(tuple(names) for names in parts))


def results(benchmark: Benchmark, names: Sequence[str]) -> Floats:
    """(n,) what architectures reached, turned so that larger is better."""
    reached: Floats = np.asarray(benchmark.reached(list(names)), dtype=np.float64)
    return reached if benchmark.larger_is_better else -reached


def _check_shares(shares: Sequence[float]) -> None:
    positive = len(shares) == 3 and all(share > 0 for share in shares)
    if not positive or not math.isclose(sum(shares), 1):
        shown = "/".join(f"{share:g}" for share in shares)
        raise InputError(
            f"shares are {shown}; accepted are three that add up to 1, as 0.5/0.25/0.25"
        )


def _place(fingerprint: str, seed: int) -> float:
    """A number from 0 to 1 that looks random."""
    digest = hashlib.sha256(f"{seed} {fingerprint}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
