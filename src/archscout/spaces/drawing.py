"""Drawing different architectures at random."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

Drawn = TypeVar("Drawn")

# Draws in a row that were there before: then hardly any others are left.
_MISSES = 1000


def different(
    draw: Callable[[], Drawn], mark: Callable[[Drawn], Hashable] | None = None
) -> Iterator[Drawn]:
    """What is drawn, each once, until hardly any are left.

    Args:
        draw: one, at random.
        mark: what is the same of two that are alike; by default they are themselves.

    Examples:
        >>> numbers = iter([3, 1, 3, 2] + 1000 * [1])
        >>> list(different(lambda: next(numbers), mark=str))
        [3, 1, 2]
    """
    seen: set[Hashable] = set()
    misses = 0
    while misses < _MISSES:
        drawn = draw()
        known: Any = drawn if mark is None else mark(drawn)
        misses = misses + 1 if known in seen else 0
        if not misses:
            seen.add(known)
            yield drawn
