"""Proving: the same budget of training spent in several ways, to tell whether the search pays."""

from archscout.comparison.proof import Found, Proof, load_proof
from archscout.comparison.proving import Progress, prove
from archscout.comparison.verdict import Standing, compare

__all__ = [
    "Found",
    "Progress",
    "Proof",
    "Standing",
    "compare",
    "load_proof",
    "prove",
]
