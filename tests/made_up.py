"""Small benchmark files in the published layouts, made up for tests."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from archscout.spaces import FlexibertSpace, RecurrentSpace

RECURRENT_TITLES = [
    "Activation Distance",
    "Synaptic Saliency",
    "Jacobian Covariance",
    "Jacobian Cosine",
    "Large Noise Jacobian",
    "Large Noise Jacobian Cosine",
    "More Noised Jacobian",
    "More Noised Jacobian Cosine",
    "Hidden Synaptic Saliency",
    "Layer 1 Hidden Covariance",
    "Layer 2 Hidden Covariance",
    "Layer 3 Hidden Covariance",
]
ENCODER_TITLES = [
    "Synaptic Diversity",
    "Synaptic Diversity Normalized",
    "Synaptic Saliency",
    "Synaptic Saliency Normalized",
    "Activation Distance",
    "Activation Distance Normalized",
    "Jacobian Score",
    "Jacobian Score Normalized",
    "Number of Parameters",
    "Head Importance",
    "Head Importance Normalized",
    "Head Confidence",
    "Head Confidence Normalized",
    "Head Softmax Confidence",
    "Head Softmax Confidence Normalized",
]
TASKS = ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts")
WIKITEXT = "nas-bench-nlp-release/train_logs_wikitext-2/logs.zip"
SCORES = "training-free-nas/data"


def log_name(recipe_id: int, run: int = 0) -> str:
    return f"log_stats_model_{recipe_id}_2020-04-1{run}_10-00-00_9999{recipe_id}.json"


def training_log(
    recipe_id: int, recipe: Any, losses: Sequence[float], status: str = "OK", **changes: Any
) -> dict[str, Any]:
    return {
        "recepie_id": recipe_id,
        "recepie": json.dumps(recipe),
        "num_params": 1000 + recipe_id,
        "wall_times": [2.0] * len(losses),
        "train_losses": [loss - 0.5 for loss in losses],
        "val_losses": list(losses),
        "test_losses": [loss + 0.25 for loss in losses],
        "status": status,
    } | changes


def archive(members: Mapping[str, Any]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, member in members.items():
            file.writestr(name, member if isinstance(member, str) else json.dumps(member))
    return content.getvalue()


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return text.getvalue().encode()


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def recurrent_data(folder: Path, count: int = 8) -> Path:
    """An archive of `count` recipes, ids from 100, and their published scores; the last failed."""
    space = RecurrentSpace()
    rng = np.random.default_rng(0)
    members, scores, parameters = {}, [], []
    for recipe_id, recipe in enumerate(islice(space.samples(1), count), start=100):
        loss = 4 + float(rng.random())
        failed = recipe_id == 100 + count - 1
        members[log_name(recipe_id)] = training_log(
            recipe_id,
            space.to_dict(recipe),
            [loss + 0.5, loss, float("nan") if failed else loss + 0.125],
            "loss is nan!" if failed else "OK",
        )
        if not failed:
            scores.append(
                [log_name(recipe_id), loss, 2.7**loss, loss * 1.4427, *rng.normal(size=12)]
            )
        parameters.append([log_name(recipe_id), loss, 1, 1, 1000 + recipe_id, 1000 + recipe_id])
    head = ["log name", "loss", "perplexity", "bits per word"]
    write(folder, WIKITEXT, archive(members))
    content = table([*head, *RECURRENT_TITLES], scores)
    write(folder, f"{SCORES}/RNN_results.csv", b"\xef\xbb\xbf" + content)
    content = table([*head, "trainable paramters", "total paramters"], parameters)
    write(
        folder,
        f"{SCORES}/RNN_parameters.csv",
        content + b"logs.zip,nan,nan,nan,nan,nan\nlog name\n",
    )
    for draw in ("batch", "initialization"):
        rows = [[*scores[i][:4], *rng.normal(i, 0.1, size=12)] for i in range(3) for _ in range(10)]
        content = table([*head, *RECURRENT_TITLES], rows)
        write(folder, f"{SCORES}/RNN_{draw}_ablation.csv", content)
    return folder


def encoder_data(folder: Path, count: int = 6) -> Path:
    """Encoders with ids from 0, their published scores, and an ablation of pretraining."""
    space = FlexibertSpace()
    rng = np.random.default_rng(0)
    entries, curves, scores, steps_rows = [], [], [], []
    for i, genotype in enumerate(islice(space.samples(1), count)):
        tasks = {task: round(float(rng.uniform(50, 90)), 2) for task in TASKS}
        tasks["glue"] = float(np.mean(list(tasks.values())))
        hparams = {"model_hparam_overrides": space.to_dict(genotype)}
        entry = {"id": i, "completed": True, "time_to_train": 10.0 + i, "hparams": hparams}
        entries.append(entry | {"scores": tasks})
        curves.append(entry | {"scores": {str(s): tasks for s in (0, 50000, 100000)}})
        steps_rows += [[i, s, *tasks.values()] for s in (0, 50000, 100000)]
        scores.append([i, tasks["glue"], *rng.uniform(1, 2, size=15)])
    write(folder, f"{SCORES}/BERT_benchmark.json", json.dumps(entries).encode())
    content = json.dumps(curves).encode()
    write(folder, f"{SCORES}/BERT_benchmark_train_ablation.json", content)
    content = table(["id", "steps", *TASKS, "glue"], steps_rows)
    write(folder, f"{SCORES}/BERT_train_ablation.csv", content)
    titles = ["ID", "GLUE Score", *ENCODER_TITLES]
    write(folder, f"{SCORES}/BERT_results_activation.csv", table(titles, scores))
    for draw in ("batch", "initialization"):
        rows = [[*scores[i][:2], *rng.normal(i, 0.1, size=15)] for i in range(3) for _ in range(10)]
        write(folder, f"{SCORES}/BERT_{draw}_ablation.csv", table(titles, rows))
    return folder
