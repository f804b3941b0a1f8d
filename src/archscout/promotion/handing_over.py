"""The winner of a promotion becomes the run's model."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from archscout.errors import InputError
from archscout.exports import GENOTYPE
from archscout.files import new_folder
from archscout.folders import check_new
from archscout.promotion.promotion import Promotion, load_promotion
from archscout.promotion.trainings import TRAININGS
from archscout.runs import Run
from archscout.training.training_folder import MODEL


def hand_over(run: Run, promotion: Promotion, folder: str | os.PathLike[str]) -> Path:
    """Copy the winner, which its training wrote for transformers; returns the copy.

    Args:
        run: the run.
        promotion: what its budget found.
        folder: of the copy; a model that was exported or handed over there is replaced.

    Raises:
        InputError: the model is gone, or the folder holds something else or cannot be written.
    """
    folder = Path(folder)
    if not (folder / GENOTYPE).is_file():
        check_new(folder, "name another folder")
    trainings = run.folder.path / TRAININGS
    model = trainings / "trainings" / promotion.winner.fingerprint / MODEL
    if not model.is_dir():
        raise InputError(f"{model}, the trained winner, is gone; remove {trainings} to train again")
    with new_folder(folder) as part:
        shutil.copytree(model, part, dirs_exist_ok=True)
    return folder


def is_promoted(run: Run, folder: Path) -> bool:
    """Whether a folder holds the winner of a run's promotion, trained."""
    promotion = load_promotion(run.folder.path)
    if promotion is None:
        return False
    try:
        document = json.loads((folder / GENOTYPE).read_text(encoding="utf-8"))
        genotype = run.space.parse(document)
    except (OSError, ValueError, InputError):
        return False
    # Earlier versions did not write whether it is trained; they handed over what they promoted.
    is_trained = bool(document.get("trained", True))
    return is_trained and run.space.fingerprint(genotype) == promotion.winner.fingerprint
