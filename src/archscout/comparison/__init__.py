"""Proving: the best and random candidates of a run are trained, to tell whether the search paid."""

from archscout.comparison.handing_over import hand_over, is_handed_over
from archscout.comparison.proof import Proof, Trainee, load_proof
from archscout.comparison.trainings import check_count, prove
from archscout.comparison.verdict import Comparison, compare, to_document

__all__ = [
    "Comparison",
    "Proof",
    "Trainee",
    "check_count",
    "compare",
    "hand_over",
    "is_handed_over",
    "load_proof",
    "prove",
    "to_document",
]
