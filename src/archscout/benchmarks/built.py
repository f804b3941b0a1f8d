"""Benchmarks that archscout has built itself, and those that it ships.

A folder holds `benchmark.json`, which says what was trained and how, and beside it the results in
the layout of the published benchmark of the same space, `logs.zip` or `encoders.json`; those of
other spaces are in `trainings.jsonl`, a line each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from archscout import spaces
from archscout.benchmarks import nas_bench_bert, nas_bench_nlp
from archscout.benchmarks.base import Benchmark
from archscout.benchmarks.disk import INFORMATION, read_bytes
from archscout.errors import InputError
from archscout.spaces.base import Space

FORMAT = 1
LOGS = "logs.zip"
ENTRIES = "encoders.json"
TRAININGS = "trainings.jsonl"
TARGET = "test_loss"

_NEEDED = (
    *("name", "space", "text", "text_sha256", "target", "larger_is_better"),
    *("trainings", "finished", "failed", "seed_agreement"),
)


def is_built(path: Path) -> bool:
    """Whether a benchmark lies in that folder."""
    return (path / INFORMATION).is_file()


def load(path: Path, dataset: str | None = None) -> Benchmark:
    """The benchmark in a folder.

    `results` has what the published benchmark of the space has; the target is the test loss in
    nats a token at the lowest validation loss, the mean over runs that did not fail, and NaN where
    all did.
    """
    information = read_information(path)
    space = spaces.get(information["space"])
    read = _READERS.get(space.name, _trainings)
    name = Path(information["text"][0]).stem
    if dataset not in (None, name):
        raise InputError(f"{information['name']} has no dataset {dataset!r}; accepted is {name}")
    architectures, results, curves = read(path, space)
    missing = information["trainings"] - information["finished"]
    remarks = []
    if failed := information["failed"]:
        remarks.append(f"{failed} of {information['finished']} trainings failed")
    if missing:
        remarks.append(f"{missing} of {information['trainings']} trainings are not done yet")
    return Benchmark(
        name=information["name"],
        dataset=name,
        space=space,
        architectures=architectures,
        results=results,
        target=information["target"],
        larger_is_better=information["larger_is_better"],
        metrics=pd.DataFrame(index=results.index),
        curves=curves,
        text=tuple(information["text"]),
        text_sha256=information["text_sha256"],
        remarks=tuple(remarks),
    )


def read_information(path: Path) -> dict[str, Any]:
    """What benchmark.json says."""
    place = path / INFORMATION
    try:
        information: dict[str, Any] = json.loads(read_bytes(place).decode())
        if information["format"] != FORMAT:
            raise InputError(f"{place} is of format {information['format']}; accepted is {FORMAT}")
        if missing := [key for key in _NEEDED if key not in information]:
            raise InputError(f"{place} lacks {missing[0]!r}")
        texts = information["text"]
        if not isinstance(texts, list) or not all(isinstance(name, str) for name in texts):
            raise TypeError(f"text is {texts!r}")
        if not texts:
            raise InputError(f"{place} names no text")
        for name in ("trainings", "finished", "failed"):
            if not isinstance(information[name], int):
                raise TypeError(f"{name} is {information[name]!r}")
    except InputError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{place} is no description of a benchmark: {error}") from error
    return information


Contents = tuple[Mapping[str, Any], pd.DataFrame, pd.DataFrame]


def _recurrent(path: Path, space: Space[Any]) -> Contents:
    place = path / LOGS
    logs = list(nas_bench_nlp.read_log_archive(read_bytes(place), str(place)))
    if not logs:
        raise InputError(f"{place} holds no trained network")
    results = nas_bench_nlp.results(logs)
    architectures = nas_bench_nlp.architectures(logs, results.index, space)
    return architectures, results, nas_bench_nlp.curves(logs)


def _encoders(path: Path, space: Space[Any]) -> Contents:
    place = path / ENTRIES
    rows, architectures, curves = [], {}, []
    for entry in nas_bench_bert.entries(read_bytes(place), str(place)):
        name = str(entry["id"])
        architectures[name] = nas_bench_bert.architecture(space, entry, str(place))
        try:
            runs = entry["runs"]
            failed = sum(run["status"] != "OK" for run in runs)
            counts = {"runs": len(runs), "failed_runs": failed}
            counts["seconds"] = entry.get("time_to_train")
            rows.append({"architecture": name, TARGET: math.nan, **entry["scores"], **counts})
            for run in runs:
                curves += [
                    {"architecture": name, "seed": run["seed"], **record} for record in run["curve"]
                ]
        except (KeyError, TypeError) as error:
            raise InputError(f"{place}: id {name}: no training runs: {error}") from error
    results = pd.DataFrame(rows).set_index("architecture").astype(float)
    return architectures, results, pd.DataFrame(curves)


def _trainings(path: Path, space: Space[Any]) -> Contents:
    place = path / TRAININGS
    architectures: dict[str, Any] = {}
    rows, curves = [], []
    for number, text in enumerate(read_bytes(place).splitlines(), start=1):
        try:
            line = json.loads(text)
            name = line["id"]
            if name not in architectures:
                architectures[name] = space.parse(line["architecture"])
            rows.append(
                {
                    "architecture": name,
                    TARGET: math.nan,
                    **line["losses"],
                    "parameters": line["parameters"],
                    "failed": line["status"] != "OK",
                    "seconds": line["seconds"],
                }
            )
            curves += [{"architecture": name, "seed": line["seed"], **at} for at in line["curve"]]
        except (ValueError, KeyError, TypeError, InputError) as error:
            raise InputError(f"{place}, line {number}: no training: {error}") from error
    if not rows:
        raise InputError(f"{place} holds no training")
    groups = pd.DataFrame(rows).groupby("architecture", sort=False)
    results = groups.mean().drop(columns="failed")
    results["seconds"], results["runs"] = groups["seconds"].sum(), groups.size()
    results["failed_runs"] = groups["failed"].sum()
    return architectures, results.astype(float), pd.DataFrame(curves)


_READERS: Mapping[str, Callable[[Path, Space[Any]], Contents]] = {
    nas_bench_nlp.SPACE: _recurrent,
    nas_bench_bert.SPACE: _encoders,
}
