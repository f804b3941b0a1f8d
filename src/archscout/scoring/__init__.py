"""Scoring: an architecture (or any module) and a minibatch in, scores out.

The one place where spaces, text and metrics meet.
"""

from archscout.scoring.arguments import (
    MAX_SEED,
    TextSource,
    check_count,
    check_device,
    check_seed,
    parse_requests,
    resolve_objective,
    resolve_scale,
)
from archscout.scoring.found import Found
from archscout.scoring.measuring import Score
from archscout.scoring.modules import score_module
from archscout.scoring.scorer import Scorer, score
from archscout.scoring.settings import Draw, ScoringSettings
from archscout.scoring.texts import minibatch

__all__ = [
    "MAX_SEED",
    "Draw",
    "Found",
    "Score",
    "Scorer",
    "ScoringSettings",
    "TextSource",
    "check_count",
    "check_device",
    "check_seed",
    "minibatch",
    "parse_requests",
    "resolve_objective",
    "resolve_scale",
    "score",
    "score_module",
]
