"""On which axis values are drawn: linear, or logarithmic where they span decades.

Scores may be negative throughout (a log-determinant), or of both signs; neither fits a plain
logarithmic axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from archscout.report.numbers import Unit, short, unit_of

Kind = Literal["linear", "log", "negative log", "symmetric log"]

# From this ratio of the largest magnitude to the smallest on, or of the largest to the median
# where values of both signs come near zero, a linear axis would squash most points.
_DECADES = 100.0
_MOST_DECADES = 12  # on either side of zero
_MOST_TICKS = 9
_ZERO = 1e-100  # numbers so small that dividing by them overflows


@dataclass(frozen=True)
class Axis:
    """An axis for one quantity."""

    name: str
    kind: Kind  # negative log is of magnitudes, as symmetric log is, with a linear middle
    threshold: float = 1.0  # where that middle ends
    limit: float = 1.0  # the largest magnitude
    smallest: float = 1.0  # the smallest one but zero, of those that are drawn where they belong
    is_cut: bool = False  # whether smaller ones stand at the edge of a logarithmic axis
    single: float | None = None  # the value, if there is but one

    @classmethod
    def of(cls, name: str, values: Iterable[float]) -> Axis:
        """The axis that suits finite values."""
        found = np.array([v for v in values if math.isfinite(v)], dtype=float)
        found[np.abs(found) < _ZERO] = 0.0
        sizes = np.abs(found[found != 0])
        if len(np.unique(found)) <= 1:
            single = float(found[0]) if len(found) else None
            return cls(name, "linear", limit=float(sizes.max(initial=0.0)), single=single)
        limit, smallest = float(sizes.max()), float(sizes.min())
        if (found > 0).all() or (found < 0).all():
            wide = limit / smallest >= _DECADES
            one_sided: Kind = "log" if found[0] > 0 else "negative log"
            # A few that are smaller by far would squash all others.
            tenth = float(np.quantile(sizes, 0.1, method="lower"))
            edge = 10.0 ** math.floor(math.log10(tenth) - 1)
            if wide and smallest < edge / 10:
                return cls(name, one_sided, limit=limit, smallest=edge, is_cut=True)
            return cls(name, one_sided if wide else "linear", limit=limit, smallest=smallest)
        if limit < _DECADES * np.median(np.abs(found)):
            return cls(name, "linear", limit=limit)
        low, high = (math.floor(math.log10(v)) for v in (np.quantile(sizes, 0.1), limit))
        threshold = 10.0 ** max(low, high - _MOST_DECADES)
        return cls(name, "symmetric log", threshold, limit)

    @property
    def unit(self) -> Unit:
        """How the quantity is written."""
        return unit_of(self.name)

    def place(self, values: Iterable[float]) -> list[float]:
        """Values as plotly is to have them."""
        numbers = np.array(list(values), dtype=float)
        if self.kind == "negative log":
            placed = np.maximum(-numbers, self.smallest)
        elif self.kind == "log":
            placed = np.maximum(numbers, self.smallest) / self.unit.divisor
        elif self.kind == "symmetric log":
            placed = self._symmetric(numbers)
        else:
            placed = numbers / self.unit.divisor
        return [float(value) for value in placed]

    def options(self) -> dict[str, Any]:
        """The axis's part of a plotly layout, without its title."""
        if self.kind == "linear":
            return self._linear_options()
        if self.kind == "symmetric log":
            ticks = self._ticks()
            return {
                "type": "linear",
                "tickmode": "array",
                "tickvals": self._symmetric(np.array(ticks)).tolist(),
                "ticktext": [short(tick) for tick in ticks],
            }
        common: dict[str, Any] = {"type": "log", "minor": {"ticks": "outside", "ticklen": 3}}
        if self.kind == "negative log":
            # A prefix would be left out of plotly's labels between the decades.
            sizes = self._decades()
            labels = [short(-size) for size in sizes]
            common |= {"tickmode": "array", "tickvals": sizes, "ticktext": labels}
            return common | {"autorange": "reversed"}
        # 2k rather than 2,000, but no milli and micro.
        small = self.smallest / self.unit.divisor < 1
        return common | {"nticks": 6, "tickformat": "~g" if small else "~s"}

    def _linear_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"type": "linear", "exponentformat": "power"}
        if self.limit / self.unit.divisor >= 1e4:
            options["tickformat"] = "~s"
        if self.single is not None:
            # Around one value, plotly would choose a range so small that labels say nothing.
            value = self.single / self.unit.divisor
            room = 0.2 * abs(value) or 1.0
            options["range"] = [value - room, value + room]
        return options

    @property
    def note(self) -> str:
        """How the axis is to be read, for a caption; empty where it is linear."""
        if self.kind == "linear":
            return ""
        if self.kind == "symmetric log":
            return (
                f"The axis of {self.name} is logarithmic in both directions beyond "
                f"±{short(self.threshold)} and linear between; its labels are the values."
            )
        if self.kind == "negative log":
            return (
                f"The values of {self.name} are negative and span decades, so its axis is "
                "logarithmic in their magnitude: each step away from zero multiplies by ten."
                f"{self.edge}"
            )
        return f"The axis of {self.name} is logarithmic: each step multiplies by ten.{self.edge}"

    @property
    def edge(self) -> str:
        """What stands at the axis's edge, a sentence after others; empty if nothing does."""
        if not self.is_cut:
            return ""
        edge = f"{self.smallest / self.unit.divisor:g}".replace("-", "−")
        where = f"nearer to zero than −{edge}" if self.kind == "negative log" else f"below {edge}"
        return f" Values {where} stand at its edge."

    def _symmetric(self, numbers: np.ndarray) -> np.ndarray:
        inside = np.abs(numbers) <= self.threshold
        beyond = 1 + np.log10(np.maximum(np.abs(numbers) / self.threshold, 1))
        curve: np.ndarray = np.where(inside, numbers / self.threshold, np.sign(numbers) * beyond)
        return curve

    def _decades(self) -> list[float]:
        """Round magnitudes between the smallest and the largest, at most nine, at least one."""
        low, high = math.floor(math.log10(self.smallest)), math.ceil(math.log10(self.limit))
        found: list[float] = []
        for digits in ((1, 2, 5), (1, 3), (1,)):
            sizes = [digit * 10.0**i for i in range(low, high + 1) for digit in digits]
            found = [size for size in sizes if self.smallest <= size <= self.limit]
            if len(found) <= _MOST_TICKS:
                break
        return found[:: math.ceil(len(found) / _MOST_TICKS)]

    def _ticks(self) -> list[float]:
        decades = max(1, math.ceil(math.log10(self.limit / self.threshold)))
        step = math.ceil(2 * decades / _MOST_TICKS)
        sizes = [self.threshold * 10.0**i for i in range(0, decades + 1, step)]
        return [*(-size for size in reversed(sizes)), 0.0, *sizes]
