"""Promotion: a budget of training is spent on a run's candidates, and the winner trained whole."""

from archscout.promotion.halving import LEAST, Rung, cost, halve, schedule
from archscout.promotion.promoting import promote
from archscout.promotion.promotion import Promoted, Promotion, load_promotion

__all__ = [
    "LEAST",
    "Promoted",
    "Promotion",
    "Rung",
    "cost",
    "halve",
    "load_promotion",
    "promote",
    "schedule",
]
