"""The trained winner becomes the run's model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from archscout.comparison.proof import TRAININGS, Proof, load_proof
from archscout.errors import InputError
from archscout.exports import GENOTYPE
from archscout.files import new_folder
from archscout.runs import Run
from archscout.training.training_folder import MODEL


def hand_over(run: Run, proof: Proof, folder: Path) -> Path | None:
    """Copy the winner of the trained candidates, which its training wrote for transformers.

    Args:
        run: in which it was found.
        proof: of the run.
        folder: replaced if it is there.

    Returns:
        The folder; None if all trainings failed, and then what is there is left alone.

    Raises:
        InputError: the model is gone, or the folder cannot be written.
    """
    winner = proof.winner
    if winner is None:
        return None
    trainings = run.folder.path / TRAININGS
    model = trainings / "trainings" / winner.fingerprint / MODEL
    if not model.is_dir():
        raise InputError(f"{model}, the trained winner, is gone; remove {trainings} to train again")
    with new_folder(folder) as part:
        shutil.copytree(model, part, dirs_exist_ok=True)
    return folder


def is_handed_over(run: Run, folder: Path) -> bool:
    """Whether a folder holds the trained winner of a run."""
    proof = load_proof(run.folder.path)
    winner = None if proof is None else proof.winner
    if winner is None:
        return False
    try:
        document = json.loads((folder / GENOTYPE).read_text(encoding="utf-8"))
        genotype = run.space.parse(document)
    except (OSError, ValueError, InputError):
        return False
    # Earlier versions did not write whether it is trained; a run with a proof has handed it over.
    is_trained = bool(document.get("trained", True))
    return is_trained and run.space.fingerprint(genotype) == winner.fingerprint
