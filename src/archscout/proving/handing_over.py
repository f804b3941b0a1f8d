"""The trained winner becomes the run's model."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from archscout.errors import InputError
from archscout.proving.proof import TRAININGS, Proof
from archscout.searching import Run
from archscout.training.folder import MODEL


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
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder
