"""The paper's tables and figures of recurrent networks."""

from __future__ import annotations

from functools import partial

import pandas as pd

from archscout.analysis.document import Plot, Section
from archscout.analysis.figures import metric_grid
from archscout.benchmarks import published_tables as tables
from archscout.benchmarks.published_tables import Draw
from archscout.benchmarks.store import DataFolder
from archscout.paper.reproduction.part import (
    FIGURE,
    SIGNS,
    Part,
    draws_section,
    kendall_bars,
    modified_files,
    raw_statistics,
)


def metrics(folder: DataFolder, resamples: int) -> Part:
    """The twelve published metrics against the loss."""
    table = tables.recurrent_scores(folder)
    scores, loss = table.frame[list(tables.RECURRENT_METRICS)], table.frame["loss"]
    statistics = raw_statistics("recurrent", scores, loss, resamples)
    modified = table.source.modified
    remarks = [
        *table.remarks,
        *_corrupt(scores["jacobian_covariance"], folder),
        "Released code and published columns differ in activation distance, synaptic saliency and "
        "hidden synaptic saliency; the columns are shown as published.",
    ]
    section = Section(
        "Recurrent networks: metrics against loss",
        f"The twelve published metrics of {len(scores):,} recurrent networks of NAS-Bench-NLP "
        "against their loss after training on Penn Treebank. "
        + SIGNS.format(result="loss", better=", as it should be for a metric of which more is "
                        "better"),
        [
            Plot(
                "recurrent_metrics",
                partial(metric_grid, scores, loss, "loss", modified=modified),
                f"Each metric against the loss (smaller is better), one point a network. {FIGURE}",
                table.frame,
            ),
            kendall_bars("recurrent", statistics, "loss", modified),
        ],
        remarks,
        modified=modified_files(table),
    )  # fmt: skip
    return Part(section, statistics)


def parameters(folder: DataFolder, resamples: int) -> Part:
    """The number of parameters against the loss."""
    table, sizes = tables.recurrent_scores(folder), tables.recurrent_parameters(folder)
    joined = table.frame[["loss"]].join(sizes.frame[["parameters"]], how="inner")
    counts, loss = joined[["parameters"]], joined["loss"]
    statistics = raw_statistics("recurrent", counts, loss, resamples)
    without = len(table.frame) - len(joined)
    modified = modified_files(table, sizes)
    figure = partial(metric_grid, counts, loss, "loss", modified=bool(modified))
    section = Section(
        "Recurrent networks: parameters against loss",
        f"The number of trainable parameters of {len(joined):,} networks: those of "
        f"RNN_results.csv ({len(table.frame):,}) that RNN_parameters.csv ({len(sizes.frame):,}) "
        f"has too, by the name of their log; {without:,} are without a number.",
        [
            Plot(
                "recurrent_parameters",
                figure,
                f"Parameters against the loss (smaller is better). {FIGURE}",
                joined,
            )
        ],
        sizes.remarks,
        modified=modified,
    )
    return Part(section, statistics)


def draws(folder: DataFolder, draw: Draw) -> Part:
    """Ten networks over ten minibatches or initialisations."""
    table = tables.recurrent_ablation(folder, draw)
    scores = table.frame[list(tables.RECURRENT_METRICS)]
    return draws_section("recurrent", draw, table, scores, table.remarks)


def _corrupt(jacobian: pd.Series, folder: DataFolder) -> list[str]:
    """What is to be said of the recurrent networks' column of Jacobian covariance."""
    low, high = jacobian.min(), jacobian.max()
    if high - low > 0.01 * abs(high):
        return []
    remark = (
        f"The column Jacobian Covariance is corrupt: it is between {low:.2f} and {high:.2f} for "
        f"all {len(jacobian):,} networks"
    )
    if folder.holds("RNN_batch_ablation.csv"):
        again = tables.recurrent_ablation(folder, "minibatch").frame["jacobian_covariance"]
        remark += (
            f", while RNN_batch_ablation.csv has values from {again.max():,.0f} down to "
            f"{again.min():,.0f}"
        )
    return [f"{remark}. The noise columns, computed from the right values, are not affected."]
