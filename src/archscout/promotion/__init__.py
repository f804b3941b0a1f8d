"""Promotion: a budget of training is spent on a run's candidates, and the winner trained whole."""

from archscout.promotion.budget import Budget, parse_budget
from archscout.promotion.halving import LEAST, Rung, cost, halve, schedule
from archscout.promotion.handing_over import hand_over, is_promoted
from archscout.promotion.promoting import Progress, promote
from archscout.promotion.promotion import (
    FORMAT,
    Promoted,
    Promotion,
    load_promotion,
    read_document,
)
from archscout.promotion.trainings import Asked, Trainings, trainings_of

__all__ = [
    "FORMAT",
    "LEAST",
    "Asked",
    "Budget",
    "Progress",
    "Promoted",
    "Promotion",
    "Rung",
    "Trainings",
    "cost",
    "halve",
    "hand_over",
    "is_promoted",
    "load_promotion",
    "parse_budget",
    "promote",
    "read_document",
    "schedule",
    "trainings_of",
]
