"""How numbers are written in the report: for readers, in as few digits as tell them apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

MISSING = "none"


@dataclass(frozen=True)
class Unit:
    """How a quantity is written."""

    label: str = ""  # after the quantity's name, in parentheses
    divisor: float = 1.0  # from the stored value to the written one
    decimals: int | None = None  # after the point; None for five significant digits

    def heading(self, name: str) -> str:
        """The quantity's name with its unit.

        >>> Unit("ms").heading("latency")
        'latency (ms)'
        """
        return f"{name} ({self.label})" if self.label else name

    def write(self, value: float) -> str:
        """The value without its unit.

        >>> Unit("MB", 1e6, 2).write(12_345_678)
        '12.35'
        """
        if self.decimals is None or not math.isfinite(value):
            return number(value / self.divisor)
        return f"{value / self.divisor:,.{self.decimals}f}".replace("-", "−")


COSTS = {
    "parameters": Unit(decimals=0),
    "non_embedding_parameters": Unit(decimals=0),
    "flops": Unit("per token", decimals=0),
    "latency": Unit("ms", decimals=2),
    "memory": Unit("MB", 1e6, 2),
    "prefill_latency": Unit("ms", decimals=2),
    "token_latency": Unit("ms", decimals=2),
    "cache_memory": Unit("MB", 1e6, 2),
}


def unit_of(name: str) -> Unit:
    """How an objective or a cost is written."""
    return COSTS.get(name, Unit())


def number(value: float, digits: int = 5) -> str:
    """A number in so many significant digits, thousands apart, with a true minus sign.

    >>> number(-175.4922), number(-677895.4), number(0.000012345), number(2.0), number(268.9999)
    ('−175.49', '−677,895', '1.2345e−05', '2', '269.00')
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size and not 1e-4 <= size < 1e12:
        return f"{value:.{digits}g}".replace("-", "−")
    whole = len(str(int(size))) if size >= 1 else 0
    leading_zeros = -math.floor(math.log10(size)) - 1 if 0 < size < 1 else 0
    decimals = 0 if value == int(value) else max(0, digits - whole + leading_zeros)
    return f"{value:,.{decimals}f}".replace("-", "−")


def bits(value: float | None, missing: str = MISSING) -> str:
    """Bits a byte, which differ little between models.

    >>> bits(1.23456), bits(None)
    ('1.235', 'none')
    """
    return missing if value is None else f"{value:.3f}"


def short(value: float) -> str:
    """A round number in few characters.

    >>> short(-1e7), short(500), short(0)
    ('−10M', '500', '0')
    """
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1e15:
            return f"{number(value / size)}{letter}"
    return number(value)


def count(n: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "proposal"), count(1200, "proposal")
    ('1 proposal', '1,200 proposals')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> duration(0.0096), duration(7.14), duration(200), duration(7500)
    ('9.60 ms', '7.1 s', '3 min 20 s', '2 h 5 min')
    """
    if seconds < 0.9995:
        return f"{number(1e3 * seconds, 3)} ms"
    if seconds < 59.95:
        return f"{number(seconds, 2 if seconds < 9.95 else 3)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"
