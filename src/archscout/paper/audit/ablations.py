"""The recurrent ablation files beside the results: the same networks, scored by released code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import pandas as pd

from archscout.benchmarks.published_tables import (
    RECURRENT_METRICS,
    Draw,
    recurrent_ablation,
    recurrent_scores,
)
from archscout.benchmarks.store import DataFolder, StoredFile
from archscout.errors import InputError
from archscout.paper.audit.point import in_one_line


@dataclass(frozen=True)
class Ablations:
    """What the results and the ablations say of the same networks.

    Attributes:
        results: the published table, by log name.
        rows: every row of the ablations: `file`, `log name`, `draw` and the metrics.
        first: of the networks that are in both, the ablations' first draw, by log name.
        sources: the files.
        missing: why an ablation file is not among them.
        remarks: lines that were left out.
    """

    results: pd.DataFrame = field(repr=False)
    rows: pd.DataFrame = field(repr=False)
    first: pd.DataFrame = field(repr=False)
    sources: tuple[StoredFile, ...]
    missing: tuple[str, ...]
    remarks: tuple[str, ...]


def load(folder: DataFolder) -> Ablations:
    """Read the results and the ablations that are at hand."""
    published = recurrent_scores(folder)
    tables, missing = {}, []
    for draw in get_args(Draw):
        try:
            tables[draw] = recurrent_ablation(folder, draw)
        except InputError as error:
            missing.append(in_one_line(error))
    if not tables:
        raise InputError(missing[0])
    found = {table.source.file.name: table.frame.reset_index() for table in tables.values()}
    rows = pd.concat([frame.assign(file=name) for name, frame in found.items()], ignore_index=True)
    first = rows[rows["draw"] == 0].groupby("log name")[list(RECURRENT_METRICS)].first()
    first = first.loc[first.index.intersection(published.frame.index)]
    every = [published, *tables.values()]
    return Ablations(
        published.frame,
        rows,
        first,
        tuple(table.source for table in every),
        tuple(missing),
        tuple(remark for table in every for remark in table.remarks),
    )
