"""The trained winner becomes the run's model."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from archscout.errors import InputError
from archscout.exporting import export
from archscout.proving.proof import TRAININGS, Proof, Trainee
from archscout.searching import Run
from archscout.training.folder import MODEL, RESULT, TrainingFolder
from archscout.training.weights import load_best


def hand_over(run: Run, proof: Proof, folder: Path) -> Path | None:
    """Write the winner of the trained candidates as transformers loads it.

    Args:
        run: in which it was found.
        proof: of the run.
        folder: replaced if it is there.

    Returns:
        The folder; None if all trainings failed, and then what is there is left alone.

    Raises:
        InputError: the weights are gone or damaged, or the folder cannot be written.
    """
    winner = proof.winner
    if winner is None:
        return None
    training = run.folder.path / TRAININGS / "trainings" / winner.fingerprint
    if (training / MODEL).is_dir():
        return _copy(training / MODEL, folder)
    return _export(run, winner, training, folder)


def _copy(model: Path, folder: Path) -> Path:
    """What the training has written as transformers loads it: encoders do."""
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


def _export(run: Run, winner: Trainee, training: Path, folder: Path) -> Path:
    """The network with the weights of its best epoch."""
    place = training / RESULT
    try:
        result = json.loads(place.read_text(encoding="utf-8"))
        epoch, perplexity = int(result["best_epoch"]), result["losses"]["valid"]["perplexity"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read {place}: {error}") from error
    architecture = run.space.parse(winner.architecture)
    network = run.space.build(architecture, run.vocabulary_size, run.model_scale, run.settings.seed)
    load_best(network, TrainingFolder(training).best(epoch), "epoch")
    shutil.rmtree(folder, ignore_errors=True)
    origin = f"trained on {run.information['text']['name']}, validation perplexity {perplexity:.1f}"
    return export(run.space, architecture, network, run.vocabulary, folder, origin)
