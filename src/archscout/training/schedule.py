"""How fast a training learns, and how long it takes."""

from __future__ import annotations

import math
import time
from typing import Protocol

LOWEST_RATE = 0.01


class Scheduled(Protocol):
    """Settings of a learning rate's schedule."""

    @property
    def schedule(self) -> str:
        """`constant`, `cosine` or `linear`."""

    @property
    def warm_up(self) -> float:
        """Part of the training in which the learning rate rises to its value."""


def rate_factor(settings: Scheduled, done: float, lowest: float = LOWEST_RATE) -> float:
    """What the learning rate is multiplied by when a part of the training, 0 to 1, is done.

    It rises from a hundredth to one in the warm-up, then stays, falls to the lowest along a
    cosine, or falls along a line that would be one at the start and is zero at the end, as in the
    released code of Clark et al. 2020, "ELECTRA".
    """
    left = max(0.0, 1 - done) if settings.schedule == "linear" else 1.0
    if done < settings.warm_up:
        return left * (LOWEST_RATE + (1 - LOWEST_RATE) * done / settings.warm_up)
    if settings.schedule != "cosine":
        return left
    rest = min(1.0, (done - settings.warm_up) / (1 - settings.warm_up))
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * rest)) / 2


class Clock:
    """Seconds of training, and tokens a second since the clock was made.

    Args:
        seconds: of training so far.
        tokens: read so far, counted from anywhere.
    """

    def __init__(self, seconds: float, tokens: int) -> None:
        self._start = time.perf_counter()
        self._seconds, self._tokens = seconds, tokens

    def seconds(self) -> float:
        """Of training so far."""
        return self._seconds + time.perf_counter() - self._start

    def rate(self, tokens: int) -> float:
        """Tokens a second, when so many are read."""
        return (tokens - self._tokens) / (time.perf_counter() - self._start)
