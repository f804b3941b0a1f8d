"""Finished trainings in the layouts of the published benchmarks.

Recurrent cells: a zip archive of training logs, as NAS-Bench-NLP has it. Encoders: a list of JSON
entries, as NAS-Bench-BERT has it, each with its `runs` beside. Both lie next to `benchmark.json`,
which says what the numbers are.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from archscout.spaces.base import Space
from archscout.training.jobs import Job, Outcome, Plan
from archscout.training.outcome import objective_of

# Of every member of an archive, so that the same logs make the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def architecture_of(job: Job) -> str:
    """The benchmark's name of a job's architecture."""
    return job.name.rpartition("-")[0]


def log_archive(
    plan: Plan, runs: Iterable[tuple[Job, Outcome]], parameters: Mapping[str, int]
) -> bytes:
    """The archive of training logs, in the layout of NAS-Bench-NLP.

    Args:
        plan: of the trainings.
        runs: jobs and how they ended.
        parameters: number of them, by the architecture's name.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for job, outcome in runs:
            name = architecture_of(job)
            log = _log(plan, job, outcome) | {"num_params": parameters[name]}
            member = zipfile.ZipInfo(f"log_stats_model_{name}_{job.seed}.json", _DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, json.dumps(log))
    return buffer.getvalue()


def _log(plan: Plan, job: Job, outcome: Outcome) -> dict[str, Any]:
    settings, scale = plan.settings, plan.scale
    seconds = [record["seconds"] for record in outcome.epochs]
    return {
        "data": " ".join(plan.text),
        "recepie_id": architecture_of(job),
        "recepie": json.dumps(job.architecture),
        "experiment_id": job.seed,
        "model": "CustomRNN",
        "tied": True,
        "cuda": plan.device != "cpu",
        "emsize": scale["embedding_size"],
        "nhid": scale["hidden_size"],
        "nlayers": scale["num_layers"],
        "batch_size": settings["batch_size"],
        "bptt": settings["sequence_length"],
        "epochs": settings["epochs"],
        "lr": settings["learning_rate"],
        "wdecay": settings["weight_decay"],
        "alpha": settings["activation_alpha"],
        "beta": settings["activation_beta"],
        "clip": settings["clip"],
        "dropout": settings["output_dropout"],
        "dropouth": settings["between_dropout"],
        "dropouti": settings["input_dropout"],
        "dropoute": settings["embedding_dropout"],
        "wdrop": settings["weight_drop"],
        "eval_batch_size": settings["evaluation_batch_size"],
        "status": outcome.problem or "OK",
        "train_losses": [record["train_loss"] for record in outcome.epochs],
        "val_losses": [record["valid_loss"] for record in outcome.epochs],
        "test_losses": [record["test_loss"] for record in outcome.epochs],
        "wall_times": [round(float(s), 2) for s in np.diff(seconds, prepend=0.0)],
    }


def encoder_entries(
    space: Space[Any], plan: Plan, runs: Iterable[tuple[Job, Outcome]]
) -> list[dict[str, Any]]:
    """The list of encoders, in the layout of NAS-Bench-BERT.

    An entry's scores are the mean over its runs that did not fail; there are none where all did.

    Args:
        space: of the encoders.
        plan: of the trainings.
        runs: jobs and how they ended.
    """
    entries: dict[str, dict[str, Any]] = {}
    for job, outcome in runs:
        name = architecture_of(job)
        entry = entries.setdefault(
            name,
            {
                "id": int(name),
                "is_running": False,
                "completed": True,
                "time_to_train": 0.0,
                "scores": {},
                "hparams": {**plan.settings, "model_hparam_overrides": dict(job.architecture)},
                "runs": [],
            },
        )
        entry["time_to_train"] += round(outcome.seconds, 2)
        entry["runs"].append(
            {
                "seed": job.seed,
                "status": outcome.problem or "OK",
                "scores": _scores(plan, outcome),
                "curve": list(outcome.epochs),
            }
        )
    for entry in entries.values():
        scores = [run["scores"] for run in entry["runs"] if run["scores"]]
        for column in scores[0] if scores else ():
            entry["scores"][column] = float(np.mean([score[column] for score in scores]))
    return list(entries.values())


def _scores(plan: Plan, outcome: Outcome) -> dict[str, float]:
    """A training's losses as columns: `test_loss` is what was minimised."""
    found = {}
    for part, values in outcome.result.get("losses", {}).items():
        found[f"{part}_loss"] = objective_of(values, plan.settings)
        for name in ("accuracy", "detection_nats", "detection_accuracy"):
            if name in values:
                found[f"{part}_{name}"] = values[name]
    return found
