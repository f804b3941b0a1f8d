"""The trained winner becomes the run's model."""

from __future__ import annotations

import shutil
from pathlib import Path

from archscout.comparison.proof import TRAININGS, Proof, load_proof
from archscout.errors import InputError
from archscout.exports import GENOTYPE, README
from archscout.files import replace_folder
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
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(model, part)
        replace_folder(part, folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def is_handed_over(run: Run, folder: Path) -> bool:
    """Whether a folder holds the trained winner of a run."""
    proof = load_proof(run.folder.path)
    winner = None if proof is None else proof.winner
    if winner is None:
        return False
    try:
        genotype = run.space.parse((folder / GENOTYPE).read_text(encoding="utf-8"))
        origin = (folder / README).read_text(encoding="utf-8")
    except (OSError, InputError):
        return False
    return run.space.fingerprint(genotype) == winner.fingerprint and "untrained" not in origin
