"""The tables of scores that were published with the paper, by canonical names.

Every function reads one file of a `DataFolder`. Lines that are not data are left out and counted.
Source: Serianni and Kalita (ACL 2023), repository training-free-nas.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from archscout.benchmarks.store import DataFolder, StoredFile
from archscout.errors import InputError

Draw = Literal["minibatch", "initialisation"]

_LOG_NAME = re.compile(r"log_stats_model_(?P<recipe>\d+)_.+\.json")
_LOG = "log name"
_RESULTS = {"loss": "loss", "perplexity": "perplexity", "bits per word": "bits_per_word"}
_RECURRENT = {
    "Activation Distance": "activation_distance",
    "Synaptic Saliency": "synaptic_saliency",
    "Jacobian Covariance": "jacobian_covariance",
    "Jacobian Cosine": "jacobian_cosine",
    "Large Noise Jacobian": "large_noise_jacobian",
    "Large Noise Jacobian Cosine": "large_noise_jacobian_cosine",
    "More Noised Jacobian": "more_noised_jacobian",
    "More Noised Jacobian Cosine": "more_noised_jacobian_cosine",
    "Hidden Synaptic Saliency": "hidden_synaptic_saliency",
    "Layer 1 Hidden Covariance": "hidden_covariance[1]",
    "Layer 2 Hidden Covariance": "hidden_covariance[2]",
    "Layer 3 Hidden Covariance": "hidden_covariance[3]",
}
# What one ablation file calls hidden synaptic saliency.
_SPELLINGS = {"Hidden Synflow Saliency": "Hidden Synaptic Saliency"}
_ENCODER_METRICS = {
    "Synaptic Diversity": "synaptic_diversity",
    "Synaptic Saliency": "synaptic_saliency",
    "Activation Distance": "activation_distance",
    "Jacobian Score": "jacobian_covariance",
    "Head Importance": "head_importance",
    "Head Confidence": "head_confidence",
    "Head Softmax Confidence": "softmax_confidence",
}
_ENCODER = {
    "GLUE Score": "glue",
    **_ENCODER_METRICS,
    **{f"{title} Normalized": f"{name}_normalized" for title, name in _ENCODER_METRICS.items()},
    "Jacobian Score Normalized": "jacobian_cosine",
    "Number of Parameters": "parameters",
}
RECURRENT_METRICS = tuple(_RECURRENT.values())
"""The twelve published metrics of recurrent networks."""
ENCODER_METRICS = tuple(name for name in _ENCODER.values() if name not in ("glue", "parameters"))
"""The fourteen published metrics of encoders, normalised forms among them."""
TASKS = ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts")
"""The eight tasks of GLUE, in the files' order."""
_ABLATION: Mapping[Draw, str] = {"minibatch": "batch", "initialisation": "initialization"}


@dataclass(frozen=True)
class PublishedTable:
    """A published table.

    Attributes:
        frame: its data.
        source: the file.
        left_out: the numbers of the lines (from 1) that are not data.
    """

    frame: pd.DataFrame = field(repr=False)
    source: StoredFile
    left_out: tuple[int, ...] = ()

    @property
    def remark(self) -> str | None:
        """What was left out, in words; None where nothing was."""
        if not self.left_out:
            return None
        first, last, count = self.left_out[0], self.left_out[-1], len(self.left_out)
        lines = f"line {first}" if count == 1 else f"{count} lines between {first} and {last}"
        return f"{self.source.file.name}: {lines} left out, not data"

    @property
    def remarks(self) -> tuple[str, ...]:
        """The remark, where there is one."""
        return (self.remark,) if self.remark else ()


def recipe_of(log_name: str) -> str:
    """The recipe's id in the name of a training log."""
    match = _LOG_NAME.fullmatch(log_name)
    if match is None:
        raise InputError(
            f"{log_name!r} is no name of a training log; accepted is log_stats_model_<recipe "
            "id>_<time>_<experiment id>.json"
        )
    return match["recipe"]


def recurrent_scores(folder: DataFolder) -> PublishedTable:
    """RNN_results.csv: by log name, `loss`, `perplexity`, `bits_per_word` and twelve metrics."""
    return _one_a_key(_read(folder, "RNN_results.csv", _LOG, _RESULTS | _RECURRENT))


def recurrent_parameters(folder: DataFolder) -> PublishedTable:
    """RNN_parameters.csv: by log name, the loss and `parameters`."""
    counts = {"trainable paramters": "parameters", "total paramters": "total_parameters"}
    columns, required = _RESULTS | counts, "trainable paramters"
    return _one_a_key(_read(folder, "RNN_parameters.csv", _LOG, columns, required))


def recurrent_ablation(folder: DataFolder, draw: Draw) -> PublishedTable:
    """Ten architectures times ten minibatches or initialisations, as `recurrent_scores`.

    By log name and `draw`, from 0.
    """
    name = f"RNN_{_ABLATION[draw]}_ablation.csv"
    return _with_draws(_read(folder, name, _LOG, _RESULTS | _RECURRENT))


def encoder_scores(folder: DataFolder) -> PublishedTable:
    """BERT_results_activation.csv: by id, `glue`, fourteen metrics and `parameters`."""
    return _one_a_key(_read(folder, "BERT_results_activation.csv", "ID", _ENCODER))


def encoder_ablation(folder: DataFolder, draw: Draw) -> PublishedTable:
    """Ten encoders times ten minibatches or initialisations, as `encoder_scores`.

    By id and `draw`, from 0.
    """
    return _with_draws(_read(folder, f"BERT_{_ABLATION[draw]}_ablation.csv", "ID", _ENCODER))


def pretraining_ablation(folder: DataFolder) -> PublishedTable:
    """BERT_train_ablation.csv: by id and `steps` of pretraining, the tasks and `glue`."""
    columns = {"steps": "steps", **{name: name for name in (*TASKS, "glue")}}
    table = _read(folder, "BERT_train_ablation.csv", "id", columns, "steps")
    frame = table.frame.astype({"steps": int}).set_index("steps", append=True)
    return _one_a_key(replace(table, frame=frame))


def _read(
    folder: DataFolder, name: str, key: str, columns: Mapping[str, str], required: str | None = None
) -> PublishedTable:
    """A CSV file by its key; rows that are no data are left out."""
    content, source = folder.read(name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source.path}: no CSV: not UTF-8 at byte {error.start}") from error
    lines = csv.reader(io.StringIO(text))
    titles = [_SPELLINGS.get(title.strip(), title.strip()) for title in next(lines, [])]
    _check_titles(source, titles, [key, *columns])
    rows: dict[str, list[object]] = {title: [] for title in titles}
    left_out = []
    for line in lines:
        values = _values(line, titles, key)
        if values is None or (required is not None and not math.isfinite(float(values[required]))):
            left_out.append(lines.line_num)
            continue
        for title, value in values.items():
            rows[title].append(value)
    frame = pd.DataFrame(rows).set_index(key).rename(columns=columns)
    return PublishedTable(frame, source, tuple(left_out))


def _check_titles(source: StoredFile, titles: list[str], accepted: list[str]) -> None:
    problems = {
        "lacks the column(s)": [title for title in accepted if title not in titles],
        "has the unknown column(s)": [title for title in titles if title not in accepted],
        "has twice": [title for title in set(titles) if titles.count(title) > 1],
    }
    for problem, named in problems.items():
        if named:
            raise InputError(
                f"{source.path} {problem} {', '.join(map(repr, named))}; accepted are "
                f"{', '.join(accepted)}"
            )


def _values(line: list[str], titles: list[str], key: str) -> dict[str, str | float] | None:
    """A row's values by title, None where it is no data."""
    if len(line) != len(titles):
        return None
    values: dict[str, str | float] = {}
    for title, cell in zip(titles, line, strict=True):
        if title == key:
            if not (_LOG_NAME.fullmatch(cell) if key == _LOG else cell.isdigit()):
                return None
            values[title] = cell
            continue
        try:
            values[title] = float(cell)
        except ValueError:
            return None
    return values


def _one_a_key(table: PublishedTable) -> PublishedTable:
    """The table, if no two rows differ that claim to be the same network."""
    keys = list(table.frame.index.names)
    frame = table.frame.reset_index().drop_duplicates().set_index(keys)
    twice = frame.index[frame.index.duplicated()]
    if len(twice):
        raise InputError(
            f"{table.source.path}: {twice[0]!r} stands there {(frame.index == twice[0]).sum()} "
            "times with different values; accepted is one row a network"
        )
    return replace(table, frame=frame)


def _with_draws(table: PublishedTable) -> PublishedTable:
    draws = table.frame.groupby(level=0, sort=False).cumcount().rename("draw")
    return replace(table, frame=table.frame.set_index(draws, append=True))
