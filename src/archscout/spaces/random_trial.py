"""A trial whose genes are drawn at random."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any


class RandomTrial:
    """A trial that draws each gene evenly.

    Args:
        generator: of the draws.
        given: values of genes that are not drawn.

    Examples:
        >>> RandomTrial(random.Random(0), {"width": 4}).suggest_int("width", 1, 8)
        4
    """

    def __init__(self, generator: random.Random, given: Mapping[str, Any] | None = None) -> None:
        self._generator = generator
        self._given = given or {}

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """From low to high, in steps; or evenly in its logarithm."""
        if log:
            drawn = round(self._on_logarithm(low - 0.5, high + 0.5))
            drawn = min(max(drawn, low), high)
        else:
            drawn = low + step * self._generator.randint(0, (high - low) // step)
        value: int = self._given.get(name, drawn)
        return value

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """From low to high, in steps; or evenly in its logarithm."""
        if log:
            drawn = self._on_logarithm(low, high)
        elif step is not None:
            drawn = low + step * self._generator.randint(0, int((high - low) / step + 1e-9))
        else:
            drawn = self._generator.uniform(low, high)
        value: float = self._given.get(name, drawn)
        return value

    def _on_logarithm(self, low: float, high: float) -> float:
        return math.exp(self._generator.uniform(math.log(low), math.log(high)))

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the choices."""
        drawn = self._generator.choice(choices)
        value: str = self._given.get(name, drawn)
        return value
