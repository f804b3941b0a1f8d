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
    if proof.winner is None:
        return None
    return copy_model(run.folder.path / TRAININGS, proof.winner.fingerprint, folder)


def copy_model(trainings: Path, fingerprint: str, folder: Path) -> Path:
    """Copy the trained model of an architecture out of a folder of trainings; returns the copy.

    Raises:
        InputError: it is gone, or the folder cannot be written.
    """
    model = trainings / "trainings" / fingerprint / MODEL
    if not model.is_dir():
        raise InputError(f"{model}, the trained winner, is gone; remove {trainings} to train again")
    with new_folder(folder) as part:
        shutil.copytree(model, part, dirs_exist_ok=True)
    return folder


def is_handed_over(run: Run, folder: Path) -> bool:
    """Whether a folder holds the trained winner of a run."""
    proof = load_proof(run.folder.path)
    winner = None if proof is None else proof.winner
    return winner is not None and holds_trained(run, folder, winner.fingerprint)


def holds_trained(run: Run, folder: Path, fingerprint: str) -> bool:
    """Whether a folder holds the trained model of an architecture."""
    try:
        document = json.loads((folder / GENOTYPE).read_text(encoding="utf-8"))
        genotype = run.space.parse(document)
    except (OSError, ValueError, InputError):
        return False
    # Earlier versions did not write whether it is trained; a run with a proof has handed it over.
    is_trained = bool(document.get("trained", True))
    return is_trained and run.space.fingerprint(genotype) == fingerprint
