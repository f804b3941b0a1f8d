"""NAS-Bench-NLP: recurrent language models trained on Penn Treebank and WikiText-2.

Source: Klyuchnikov et al., "NAS-Bench-NLP: Neural Architecture Search Benchmark for Natural
Language Processing" (2020); scores of metrics by Serianni and Kalita (ACL 2023).
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from archscout.benchmarks.base import Benchmark
from archscout.benchmarks.published_tables import (
    RECURRENT_METRICS,
    recipe_of,
    recurrent_parameters,
    recurrent_scores,
)
from archscout.benchmarks.store import DataFolder, StoredFile
from archscout.errors import InputError
from archscout.spaces.base import Space
from archscout.spaces.recurrent import RecurrentSpace

NAME = "nas-bench-nlp"
SPACE = RecurrentSpace.name
DATASETS = ("wikitext-2", "ptb")
_ARCHIVES: Mapping[str, Sequence[str]] = {
    "wikitext-2": ["train_logs_wikitext-2/logs.zip"],
    "ptb": ["train_logs_multi_runs/logs.zip", "train_logs_single_run/logs.zip"],
}
_CURVES = {"train_loss": "train_losses", "val_loss": "val_losses", "test_loss": "test_losses"}
_CURVE_COLUMNS = ["architecture", "log_name", "epoch", *_CURVES, "seconds"]


@dataclass(frozen=True)
class TrainingLog:
    """One training run.

    Attributes:
        name: of the log.
        recipe_id: what was trained.
        recipe: it, as JSON.
        parameters: number of them.
        status: `OK`, or why training failed.
        curves: one row an epoch: mean negative log-likelihood per token in nats on the three
            parts, and the epoch's seconds.
    """

    name: str
    recipe_id: str
    recipe: str
    parameters: int
    status: str
    curves: pd.DataFrame

    @property
    def best(self) -> pd.Series:
        """The epoch of lowest validation loss, all NaN where training failed."""
        losses = self.curves["val_loss"].to_numpy()
        if self.status != "OK" or not np.isfinite(losses).any():
            return pd.Series(math.nan, index=self.curves.columns)
        return self.curves.iloc[int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))]


def load(folder: DataFolder, dataset: str | None = None) -> Benchmark:
    """The benchmark, joined with the published scores where they are for the same networks.

    `results` has, by recipe id: `test_loss` (at the epoch of lowest validation loss; the mean over
    runs that did not fail), `val_loss`, `final_test_loss` (after the last epoch), `parameters`,
    `runs`, `failed_runs`, `seconds` (of training, all runs), `status`. On Penn Treebank `loss` is
    the published table's, and it is the target; where no archive of Penn Treebank is at hand, the
    recipes come from the other archive, and what only archives hold is missing.
    """
    dataset = dataset or DATASETS[0]
    if dataset not in DATASETS:
        raise InputError(f"{NAME} has no dataset {dataset!r}; accepted are {', '.join(DATASETS)}")
    return _wikitext(folder) if dataset == "wikitext-2" else _penn_treebank(folder)


def _wikitext(folder: DataFolder) -> Benchmark:
    logs, sources = _logs(folder, _ARCHIVES["wikitext-2"])
    table = results(logs)
    return _benchmark("wikitext-2", logs, table, pd.DataFrame(index=table.index), sources, ())


def _penn_treebank(folder: DataFolder) -> Benchmark:
    published = recurrent_scores(folder)
    remarks = [*published.remarks]
    archives = [name for name in _ARCHIVES["ptb"] if folder.holds(name)]
    logs, sources = _logs(folder, archives or _ARCHIVES["wikitext-2"])
    scores = published.frame.groupby(published.frame.index.map(recipe_of)).mean()
    scores.index.name = "architecture"
    if archives:
        table = results(logs)
        table.insert(0, "loss", scores["loss"].reindex(table.index).fillna(table["test_loss"]))
    else:
        known = {log.recipe_id: log for log in logs if log.recipe_id in scores.index}
        logs = list(known.values())
        table = scores.loc[list(known), ["loss"]].copy()
        remarks.append(
            f"no archive of Penn Treebank at hand: losses of RNN_results.csv for the {len(known)} "
            f"recipes known from {_ARCHIVES['wikitext-2'][0]}"
        )
        if folder.holds("RNN_parameters.csv"):
            counts = recurrent_parameters(folder)
            sources.append(counts.source)
            remarks += counts.remarks
            by_recipe = counts.frame["parameters"].groupby(counts.frame.index.map(recipe_of))
            table["parameters"] = by_recipe.first().reindex(table.index)
    metrics = scores.reindex(table.index)[list(RECURRENT_METRICS)]
    sources.append(published.source)
    return _benchmark("ptb", logs, table, metrics, sources, remarks)


def _benchmark(
    dataset: str,
    logs: Sequence[TrainingLog],
    table: pd.DataFrame,
    metrics: pd.DataFrame,
    sources: Sequence[StoredFile],
    remarks: Sequence[str],
) -> Benchmark:
    space = RecurrentSpace()
    recorded = dataset == "wikitext-2" or "runs" in table
    return Benchmark(
        name=NAME,
        dataset=dataset,
        space=space,
        architectures=architectures(logs, table.index, space),
        results=table,
        target="loss" if dataset == "ptb" else "test_loss",
        larger_is_better=False,
        metrics=metrics,
        curves=curves(logs if recorded else []),
        text=(dataset,),
        sources=tuple(sources),
        remarks=tuple(remarks),
    )


def architectures(
    logs: Sequence[TrainingLog], names: Iterable[str], space: Space[Any]
) -> dict[str, Any]:
    """The genotypes of some recipe ids."""
    recipes = {log.recipe_id: log for log in logs}
    found = {}
    for name in names:
        try:
            found[name] = space.parse(recipes[name].recipe)
        except InputError as error:
            raise InputError(f"{recipes[name].name}: recipe {name}: {error}") from error
    return found


def results(logs: Sequence[TrainingLog]) -> pd.DataFrame:
    """One row a recipe id: what its training runs came to, see `load`."""
    rows = []
    for log in logs:
        best = log.best
        failed = bool(np.isnan(best["val_loss"]))
        final = math.nan if failed else log.curves["test_loss"].iloc[-1]
        seconds = log.curves["seconds"].sum()
        losses = (best["test_loss"], best["val_loss"], final)
        rows.append((log.recipe_id, *losses, log.parameters, failed, seconds, log.status))
    means = ["test_loss", "val_loss", "final_test_loss"]
    columns = ["architecture", *means, "parameters", "failed", "seconds", "status"]
    runs = pd.DataFrame(rows, columns=columns).groupby("architecture")
    table = runs[means].mean()
    table["parameters"] = runs["parameters"].first()
    table["runs"] = runs.size()
    table["failed_runs"] = runs["failed"].sum().astype(int)
    table["seconds"] = runs["seconds"].sum()
    table["status"] = runs["status"].agg(lambda s: "; ".join(sorted(set(s) - {"OK"})) or "OK")
    return table


def curves(logs: Sequence[TrainingLog]) -> pd.DataFrame:
    """What was recorded in every epoch of every log, in long form."""
    parts = [
        log.curves.assign(
            architecture=log.recipe_id, log_name=log.name, epoch=range(1, len(log.curves) + 1)
        )
        for log in logs
    ]
    if not parts:
        return pd.DataFrame(columns=_CURVE_COLUMNS)
    return pd.concat(parts, ignore_index=True)[_CURVE_COLUMNS]


def _logs(
    folder: DataFolder, archives: Sequence[str]
) -> tuple[list[TrainingLog], list[StoredFile]]:
    """Every log of the archives, in the order of their names."""
    runs: dict[str, tuple[TrainingLog, str]] = {}
    recipes: dict[str, tuple[str, str]] = {}
    sources = []
    for archive in archives:
        content, source = folder.read(archive)
        sources.append(source)
        for log in read_log_archive(content, str(source.path)):
            place = f"{source.path}: {log.name}"
            known, first = recipes.setdefault(log.recipe_id, (log.recipe, place))
            if known != log.recipe:
                raise InputError(
                    f"{first} and {place} claim recipe {log.recipe_id} and hold different recipes"
                )
            if log.name in runs and not log.curves.equals(runs[log.name][0].curves):
                raise InputError(f"{runs[log.name][1]} and {place} claim the same run and differ")
            runs[log.name] = (log, place)
    return [log for _, (log, _) in sorted(runs.items())], sources


def read_log_archive(content: bytes, place: str) -> Iterator[TrainingLog]:
    """The logs of an archive of NAS-Bench-NLP."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                file_name = name.rpartition("/")[2]
                # Resource forks of macOS have names of logs, too.
                if file_name.startswith("log_stats_model_") and file_name.endswith(".json"):
                    yield _log(file_name, archive.read(name), f"{place}: member {name}")
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        raise InputError(f"{place} is no whole zip file: {error}; fetch or add it again") from error


def _log(name: str, content: bytes, place: str) -> TrainingLog:
    try:
        log: dict[str, Any] = json.loads(content)
        curves = pd.DataFrame(
            {column: np.asarray(log[key], dtype=float) for column, key in _CURVES.items()}
        )
        seconds = np.asarray(log["wall_times"], dtype=float)
        curves["seconds"] = np.pad(
            seconds[: len(curves)], (0, max(0, len(curves) - len(seconds))), constant_values=np.nan
        )
        recipe = str(log["recepie_id"]), str(log["recepie"])
        return TrainingLog(name, *recipe, int(log["num_params"]), str(log["status"]), curves)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{place} is no JSON: {error}") from error
    except KeyError as error:
        raise InputError(f"{place} lacks {error}; accepted are training logs") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{place} is no training log: {error}") from error
