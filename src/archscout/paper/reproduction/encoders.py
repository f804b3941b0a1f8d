"""The paper's tables and figures of encoders."""

from __future__ import annotations

from functools import partial
from itertools import combinations, pairwise

import pandas as pd

from archscout.analysis.document import Plot, Section, Table
from archscout.analysis.figures import lines, metric_grid
from archscout.analysis.kendall import kendall_tau_b
from archscout.benchmarks import published_tables as tables
from archscout.benchmarks.published_tables import Draw
from archscout.benchmarks.store import DataFolder
from archscout.paper.reproduction.part import (
    DRAWN,
    FIGURE,
    SIGNS,
    Part,
    draws_section,
    kendall_bars,
    modified_files,
    raw_statistics,
)


def metrics(folder: DataFolder, resamples: int) -> Part:
    """The published metrics and the number of parameters against GLUE."""
    table = tables.encoder_scores(folder)
    glue, modified = table.frame["glue"].rename("GLUE"), table.source.modified
    names = [*tables.ENCODER_METRICS, "parameters"]
    statistics = raw_statistics("encoder", table.frame[names], glue, resamples)
    normalized = [name for name in names if name.endswith(("_normalized", "jacobian_cosine"))]
    plain = [name for name in tables.ENCODER_METRICS if name not in normalized]
    plots = [
        Plot(
            name,
            partial(metric_grid, table.frame[columns], glue, "GLUE", modified=modified),
            f"{what} against GLUE (larger is better), one point an encoder. {FIGURE}",
            table.frame[["glue", *columns]],
        )
        for name, columns, what in (
            ("encoder_metrics", plain, "Metrics that are not normalised"),
            ("encoder_metrics_normalized", normalized, "Normalised metrics"),
            ("encoder_parameters", ["parameters"], "The number of parameters"),
        )
    ]
    section = Section(
        "Encoders: metrics against GLUE",
        f"The published metrics of {len(glue):,} encoders of NAS-Bench-BERT against their mean "
        "score on GLUE, as sums over the network, divided by the number of terms (normalised), "
        "and the number of parameters. "
        + SIGNS.format(result="GLUE score", better=""),
        [*plots, kendall_bars("encoder", statistics, "GLUE", modified)],
        [*table.remarks, *_ENCODER_REMARKS],
        modified=modified_files(table),
    )  # fmt: skip
    return Part(section, statistics)


_ENCODER_REMARKS = (
    "These metrics were computed on other networks than were trained. The published scoring code "
    "fixes hidden size 256 and feed-forward size 1,024 for every encoder, and its linear-transform "
    "layers lack the output projection, residual and layer norm; so does the parameter column, "
    "which does not depend on the hidden size.",
    "The training code compares the names of operations by `is`, which strings from a JSON file "
    "never satisfy; every layer would have been trained as scaled dot-product attention.",
    "The gradient behind synaptic diversity, synaptic saliency, head importance and both Jacobian "
    "scores is zero: the published code differentiates the sum of a layer norm's output, which is "
    "a constant at initialisation. These columns are made of rounding errors.",
)


def draws(folder: DataFolder, draw: Draw) -> Part:
    """Ten encoders over ten minibatches or initialisations."""
    table = tables.encoder_ablation(folder, draw)
    scores = table.frame[list(tables.ENCODER_METRICS)]
    remarks = [*table.remarks, *_growing(scores, draw)]
    return draws_section("encoder", draw, table, scores, remarks)


def pretraining(folder: DataFolder) -> Part:
    """GLUE against the steps of pretraining."""
    table = tables.pretraining_ablation(folder)
    curves = table.frame["glue"].unstack("steps").T.sort_index().rename_axis("steps")
    last = curves.index[-1]
    agreement = []
    for steps, row in curves.iterrows():
        both = row.notna() & curves.loc[last].notna()
        tau = kendall_tau_b(row[both], curves.loc[last][both])
        agreement.append((steps, both.sum(), tau))
    section = Section(
        "Encoders: GLUE against pretraining steps",
        f"{curves.shape[1]} encoders, fine-tuned on GLUE after every so many steps of pretraining, "
        f"up to {last:,}; at 0 steps with the initial weights.",
        [
            Plot(
                "encoder_pretraining",
                partial(lines, curves, "pretraining steps", "GLUE", modified=table.source.modified),
                "One line an encoder, coloured by its last score; *id* is the ablation's own.",
                curves,
            ),
            Table(
                "encoder_pretraining_ranking",
                pd.DataFrame(agreement, columns=["steps", "n", "kendall"]),
                f"Kendall's τ-b of the ranking after so many steps with that after {last:,}.",
            ),
        ],
        [*table.remarks, *_repeated(table.frame)],
        modified=modified_files(table),
    )
    return Part(section)


def _repeated(frame: pd.DataFrame) -> list[str]:
    """What is to be said of steps of pretraining with the very same scores as others."""
    at = {step: rows.droplevel("steps") for step, rows in frame.groupby(level="steps")}
    pairs = [(a, b) for a, b in combinations(sorted(at), 2) if at[a].equals(at[b])]
    if not pairs:
        return []
    named = ", and ".join(f"{a:,} steps and {b:,}" for a, b in pairs)
    return [
        f"The rows of {named} are the same for every encoder and task, to the last digit, so at "
        "least one of each pair is not what was measured then. The lines are drawn as published; a "
        "ranking that is its own copy agrees by construction."
    ]


def _growing(scores: pd.DataFrame, draw: Draw) -> list[str]:
    """What is to be said of sums that grow from row to row."""
    draws = [frame.droplevel("draw") for _, frame in scores.groupby(level="draw")]
    if len(draws) < 4:  # fewer may increase by chance
        return []
    increases = pd.concat([b - a for a, b in pairwise(draws)])
    grown = [str(name) for name in scores if (increases[name].dropna() > 0).all()]
    if not grown:
        return []
    return [
        f"{', '.join(f'`{name}`' for name in grown)}: these sums grow from row to row, since the "
        "published code never removed the hooks of earlier passes. They are shown as published; "
        f"their spread is not one of {DRAWN[draw]}. Normalised metrics are not affected."
    ]
