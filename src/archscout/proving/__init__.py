"""Proving: the best and random candidates of a run are trained, to tell whether the search paid."""

from archscout.proving.comparison import Comparison, compare, to_document
from archscout.proving.handing_over import hand_over, is_handed_over
from archscout.proving.proof import Proof, Trainee, load_proof
from archscout.proving.trainings import check_count, prove

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
