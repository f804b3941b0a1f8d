"""Metrics written as text: the language of formulas, and the operations that it has."""

from archscout.metrics.formula.language import PREFIX, UNDEFINED, Formula, parse

__all__ = ["PREFIX", "UNDEFINED", "Formula", "parse"]
