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
from archscout.errors import InputError
from archscout.spaces.base import Space

FORMAT = 1
INFORMATION = "benchmark.json"
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

    Args:
        path: the folder.
        dataset: the name of its text, the only one.

    Raises:
        InputError: none lies there, the dataset is another, or a file is damaged.
    """
    information = read_information(path)
    space = spaces.get(information["space"])
    read = _READERS.get(space.name, _trainings)
    name = Path(information["text"][0]).stem
    if dataset not in (None, name):
        raise InputError(f"{information['name']} has no dataset {dataset!r}; accepted is {name}")
    architectures, results, curves = read(path, space)
    missing = information["trainings"] - information["finished"]
    remarks = [
        f"{information['failed']} of {information['finished']} trainings failed"
        if information["failed"]
        else "",
        f"{missing} of {information['trainings']} trainings are not done yet" if missing else "",
    ]
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
        sources=(),
        remarks=tuple(remark for remark in remarks if remark),
    )


def read_information(path: Path) -> dict[str, Any]:
    """What benchmark.json says.

    Raises:
        InputError: it is not there, damaged, or of another format.
    """
    place = path / INFORMATION
    try:
        information: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        if information["format"] != FORMAT:
            raise InputError(f"{place} is of format {information['format']}; accepted is {FORMAT}")
        if missing := [key for key in _NEEDED if key not in information]:
            raise InputError(f"{place} lacks {missing[0]!r}")
        if not information["text"]:
            raise InputError(f"{place} names no text")
    except OSError as error:
        raise InputError(f"cannot read {place}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{place} is no description of a benchmark: {error}") from error
    return information


Contents = tuple[Mapping[str, Any], pd.DataFrame, pd.DataFrame]


def _read(place: Path) -> tuple[Path, bytes]:
    try:
        return place, place.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {place}: {error.strerror or error}") from error


def _recurrent(path: Path, space: Space[Any]) -> Contents:
    place, content = _read(path / LOGS)
    logs = list(nas_bench_nlp.read_log_archive(content, str(place)))
    if not logs:
        raise InputError(f"{place} holds no trained network")
    results = nas_bench_nlp.results(logs)
    return (
        nas_bench_nlp.architectures(logs, results.index, space),
        results,
        nas_bench_nlp.curves(logs),
    )


def _encoders(path: Path, space: Space[Any]) -> Contents:
    place, content = _read(path / ENTRIES)
    rows, architectures, curves = [], {}, []
    for entry in nas_bench_bert.entries(content, str(place)):
        name = str(entry["id"])
        architectures[name] = nas_bench_bert.architecture(space, entry, str(place))
        try:
            row, curve = _encoder(entry)
        except (KeyError, TypeError) as error:
            raise InputError(f"{place}: id {name}: no training runs: {error}") from error
        rows.append({"architecture": name, **row})
        curves += [{"architecture": name, **record} for record in curve]
    results = pd.DataFrame(rows).set_index("architecture").astype(float)
    return architectures, results, pd.DataFrame(curves)


def _encoder(entry: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A row of results, and what was recorded while training."""
    runs = entry["runs"]
    failed = sum(run["status"] != "OK" for run in runs)
    counts = {"runs": len(runs), "failed_runs": failed, "seconds": entry.get("time_to_train")}
    curve = [{"seed": run["seed"], **record} for run in runs for record in run["curve"]]
    return {TARGET: math.nan, **entry["scores"], **counts}, curve


def _trainings(path: Path, space: Space[Any]) -> Contents:
    place, content = _read(path / TRAININGS)
    architectures: dict[str, Any] = {}
    rows, curves = [], []
    for number, text in enumerate(content.splitlines(), start=1):
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
    results = (
        groups.mean()
        .drop(columns="failed")
        .assign(
            seconds=groups["seconds"].sum(), runs=groups.size(), failed_runs=groups["failed"].sum()
        )
    )
    return architectures, results.astype(float), pd.DataFrame(curves)


_READERS: Mapping[str, Callable[[Path, Space[Any]], Contents]] = {
    nas_bench_nlp.SPACE: _recurrent,
    nas_bench_bert.SPACE: _encoders,
}
