"""Proving: the best and random candidates of a run are trained, to tell whether the search paid."""

from archscout.comparison.choice import place_in_draw
from archscout.comparison.handing_over import copy_model, hand_over, holds_trained, is_handed_over
from archscout.comparison.proof import (
    FORMAT,
    Proof,
    Trainee,
    load_proof,
    read_document,
)
from archscout.comparison.trainings import check_count, folder_of, plan_of, prove
from archscout.comparison.verdict import Comparison, compare, to_document

__all__ = [
    "FORMAT",
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
    "place_in_draw",
    "plan_of",
    "prove",
    "read_document",
    "to_document",
]
