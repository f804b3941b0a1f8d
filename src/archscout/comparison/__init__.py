"""Proving: the best and random candidates of a run are trained, to tell whether the search paid."""

from archscout.comparison.handing_over import copy_model, hand_over, holds_trained, is_handed_over
from archscout.comparison.proof import Proof, Trainee, load_proof
from archscout.comparison.trainings import check_count, folder_of, plan_of, prove
from archscout.comparison.verdict import Comparison, compare, to_document

__all__ = [
    "Comparison",
    "Proof",
    "Trainee",
    "check_count",
    "compare",
    "copy_model",
    "folder_of",
    "hand_over",
    "holds_trained",
    "is_handed_over",
    "load_proof",
    "plan_of",
    "prove",
    "to_document",
]
