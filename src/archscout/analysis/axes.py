"""How an axis shows some numbers: its ends, its ticks, and whether it is logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from archscout.analysis.kendall import Floats

_FEW = 100  # architectures, below which none counts as far beyond the others


class Axis(NamedTuple):
    """How an axis shows some numbers: evenly, or by their magnitudes to both sides of zero.

    Attributes:
        unit: from it on powers of ten are equally far apart; None where all is even.
        low: end of the axis, a place.
        high: other end.
    """

    unit: float | None
    low: float
    high: float

    @classmethod
    def of(cls, values: Floats, may_bend: bool = True, cut: bool = True) -> Axis:
        """The axis for some finite numbers (n,).

        It may be logarithmic if it may bend, and leave out numbers far beyond the others if cut.
        """
        if not len(values):
            return cls(None, 0.0, 1.0)
        unit = None
        sizes = np.abs(values[values != 0])
        if may_bend and len(sizes) and _spans_magnitudes(values):
            one_sign = (values > 0).all() or (values < 0).all()
            unit = float(sizes.min() if one_sign else np.quantile(sizes, 0.05))
        places = _places(values, unit)
        low, high = _robust_range(places) if cut else (float(places.min()), float(places.max()))
        margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
        return cls(unit, low - margin, high + margin)

    def places(self, values: Floats) -> Floats:
        """Numbers as places along the axis."""
        return _places(values, self.unit)

    def shown(self, values: Floats) -> Floats:
        """Numbers as places within the axis."""
        return np.clip(self.places(values), self.low, self.high)

    def beyond(self, values: Floats) -> NDArray[np.int_]:
        """-1 or 1 where a number lies beyond the axis, 0 elsewhere."""
        places = self.places(values)
        return np.where(places < self.low, -1, np.where(places > self.high, 1, 0))

    def set_on(self, axes: Axes, which: str) -> None:
        """Set ticks and limits of the axis `x` or `y`."""
        drawn = axes.xaxis if which == "x" else axes.yaxis
        (axes.set_xlim if which == "x" else axes.set_ylim)(self.low, self.high)
        if self.unit is None:
            drawn.set_major_locator(
                MaxNLocator(4 if which == "x" else 5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2)
            )
            drawn.set_major_formatter(_Even())
        else:
            ticks = _decades(self.unit, self.low, self.high)
            drawn.set_major_locator(FixedLocator(list(self.places(np.array(ticks)))))
            labels = [_power(tick) for tick in ticks]
            drawn.set_major_formatter(FuncFormatter(lambda _, i: labels[i or 0]))
        drawn.set_minor_locator(NullLocator())


def _places(values: Floats, unit: float | None) -> Floats:
    """Powers of ten from `unit` on, to both sides of zero; below it, in proportion."""
    if unit is None:
        return values
    sizes = np.abs(values) / unit
    bent = np.where(sizes > 1, 1 + np.log10(np.maximum(sizes, 1)), sizes)
    return np.sign(values) * bent


def _spans_magnitudes(values: Floats) -> bool:
    """Whether the middle nine tenths lie more than two powers of ten apart."""
    sizes = np.abs(values[values != 0])
    low, middle, high = np.quantile(sizes, [0.05, 0.5, 0.95])
    return bool(high > 100 * low or sizes.max() > 1000 * middle)


def _robust_range(places: Floats) -> tuple[float, float]:
    """The whole range, or without half a percent at an end if that takes a third of it."""
    low, high = float(places.min()), float(places.max())
    if len(places) < _FEW:
        return low, high
    inner_low = np.quantile(places, 0.005, method="higher")
    inner_high = np.quantile(places, 0.995, method="lower")
    inner = float(inner_high - inner_low)
    if inner > 0:
        low = float(inner_low) if inner_low - low > inner / 2 else low
        high = float(inner_high) if high - inner_high > inner / 2 else high
    return low, high


def _decades(unit: float, low: float, high: float) -> list[float]:
    """Powers of ten within the axis, every one or every few, and zero between two signs."""
    first = math.ceil(math.log10(unit) - 1e-9)
    powers = np.array([10.0**k for k in range(first, first + 60)])
    inside = [
        [sign * p for p in powers if low <= float(_places(np.array(sign * p), unit)) <= high]
        for sign in (-1.0, 1.0)
    ]
    sides = [side for side in inside if side]
    room = 4 if len(sides) < 2 else 2
    ticks = [0.0] if low < 0 < high else []
    for side in sides:
        every = max(1, math.ceil(len(side) / room))
        ticks += side[every - 1 if len(sides) > 1 else 0 :: every]
    return sorted(ticks)


class _Even(FuncFormatter):
    """Labels of even ticks with no more digits than tell them apart, and no offset."""

    def __init__(self) -> None:
        super().__init__(lambda value, _: f"{value:g}")

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        largest = max((abs(value) for value in values), default=0.0)
        if largest >= 1e6 or 0 < largest < 1e-3:
            return [_short(value) for value in values]
        step = min(np.diff(sorted(values)), default=1.0)
        digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 3
        if any(abs(value * 10**digits - round(value * 10**digits)) > 1e-6 for value in values):
            digits += 1
        return [f"{value:,.{digits}f}".replace("-", "−") for value in values]


def _short(value: float) -> str:
    mantissa, _, exponent = f"{value:.6e}".partition("e")
    digits = f"{float(mantissa):g}"
    return "0" if value == 0 else f"{digits}e{int(exponent)}".replace("-", "−")


def _power(value: float) -> str:
    if value == 0:
        return "0"
    exponent = round(math.log10(abs(value)))
    sign = "−" if value < 0 else ""
    if -2 <= exponent <= 3:
        return f"{sign}{10.0**exponent:,g}"
    return f"{sign}1e{exponent}".replace("-", "−")
