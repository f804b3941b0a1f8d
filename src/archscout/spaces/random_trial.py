"""A trial whose genes are drawn at random."""

from __future__ import annotations

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

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """From low to high."""
        drawn = self._generator.randint(low, high)
        value: int = self._given.get(name, drawn)
        return value

    def suggest_float(self, name: str, low: float, high: float) -> float:
        """From low to high."""
        drawn = self._generator.uniform(low, high)
        value: float = self._given.get(name, drawn)
        return value

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the choices."""
        drawn = self._generator.choice(choices)
        value: str = self._given.get(name, drawn)
        return value
