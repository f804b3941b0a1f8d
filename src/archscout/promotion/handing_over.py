"""The winner of a promotion becomes the run's model."""

from __future__ import annotations

from pathlib import Path

from archscout.comparison import copy_model, holds_trained
from archscout.promotion.promoting import TRAININGS
from archscout.promotion.promotion import Promotion, load_promotion
from archscout.runs import Run


def hand_over(run: Run, promotion: Promotion, folder: Path) -> Path:
    """Copy the winner, which its training wrote for transformers; returns the copy.

    Raises:
        InputError: the model is gone, or the folder cannot be written.
    """
    return copy_model(run.folder.path / TRAININGS, promotion.winner.fingerprint, folder)


def is_promoted(run: Run, folder: Path) -> bool:
    """Whether a folder holds the winner of a run's promotion."""
    promotion = load_promotion(run.folder.path)
    return promotion is not None and holds_trained(run, folder, promotion.winner.fingerprint)
