"""Finished trainings as files of a benchmark.

Those of a space with a published benchmark are in its layout: recurrent cells as a zip archive of
training logs, as NAS-Bench-NLP has it; encoders as a list of JSON entries, as NAS-Bench-BERT has
it, each with its `runs` beside. Those of other spaces are JSON lines, one a training. All lie next
to `benchmark.json`, which says what the numbers are.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archscout import spaces
from archscout.benchmarks import nas_bench_bert, nas_bench_nlp
from archscout.benchmarks.built import ENTRIES, LOGS, TRAININGS
from archscout.files import write_json, write_json_lines, write_whole
from archscout.training import find_trainer
from archscout.training.jobs import Job, Outcome, Plan

Runs = Sequence[tuple[Job, Outcome]]

# Of every member of an archive, so that the same logs make the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def architecture_of(job: Job) -> str:
    """The benchmark's name of a job's architecture."""
    return job.name.rpartition("-")[0]


def write_runs(folder: Path, plan: Plan, runs: Runs) -> None:
    """Write trainings in the layout of their space."""
    _WRITERS.get(plan.space, _write_trainings)(folder, plan, runs)


def _write_trainings(folder: Path, plan: Plan, runs: Runs) -> None:
    parameters = _parameters(plan, runs)
    lines = [
        {
            "id": architecture_of(job),
            "architecture": dict(job.architecture),
            "seed": job.seed,
            "status": outcome.problem or "OK",
            "seconds": round(outcome.seconds, 2),
            "parameters": parameters[architecture_of(job)],
            "losses": _scores(plan, outcome),
            "curve": list(outcome.epochs),
        }
        for job, outcome in runs
    ]
    write_json_lines(folder / TRAININGS, lines)


def _parameters(plan: Plan, runs: Runs) -> dict[str, int]:
    """The number of parameters by the architecture's name."""
    space = spaces.get(plan.space)
    scale = plan.built_at(space)
    found: dict[str, int] = {}
    for job, outcome in runs:
        if "parameters" in outcome.result:
            found[architecture_of(job)] = int(outcome.result["parameters"])
        elif architecture_of(job) not in found:
            network = space.skeleton(space.parse(job.architecture), plan.vocabulary_size, scale)
            found[architecture_of(job)] = sum(p.numel() for p in network.parameters())
    return found


def _write_logs(folder: Path, plan: Plan, runs: Runs) -> None:
    """The archive of training logs, in the layout of NAS-Bench-NLP."""
    parameters, buffer = _parameters(plan, runs), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for job, outcome in runs:
            name = architecture_of(job)
            log = _log(plan, job, outcome) | {"num_params": parameters[name]}
            member = zipfile.ZipInfo(f"log_stats_model_{name}_{job.seed}.json", _DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, json.dumps(log))
    write_whole(folder / LOGS, buffer.getvalue())


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


def _write_entries(folder: Path, plan: Plan, runs: Runs) -> None:
    """The list of encoders, in the layout of NAS-Bench-BERT.

    An entry's scores are the mean over its runs that did not fail; there are none where all did.
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
    write_json(folder / ENTRIES, list(entries.values()))


def _scores(plan: Plan, outcome: Outcome) -> dict[str, float]:
    """A training's losses as columns: `test_loss` is what was minimised."""
    found, loss = {}, find_trainer(plan.space).loss
    for part, values in outcome.result.get("losses", {}).items():
        found[f"{part}_loss"] = loss(values, plan.settings)
        for name in ("accuracy", "detection_nats", "detection_accuracy"):
            if name in values:
                found[f"{part}_{name}"] = values[name]
    return found


_WRITERS: Mapping[str, Callable[[Path, Plan, Runs], None]] = {
    nas_bench_nlp.SPACE: _write_logs,
    nas_bench_bert.SPACE: _write_entries,
}
