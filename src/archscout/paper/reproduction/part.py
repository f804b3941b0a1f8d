"""What the sections of the reproduction share: statistics of raw columns, and ablations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import pandas as pd

from archscout.analysis.document import Plot, Section, Table
from archscout.analysis.figures import bars, box_plots
from archscout.analysis.reliability import reliability
from archscout.analysis.statistics import compare, with_ends
from archscout.benchmarks.published_tables import Draw, PublishedTable

# What the paper's complete data give, absolute values: of recurrent networks over 8,794
# architectures on Penn Treebank, of encoders over 500.
_PUBLISHED = {
    ("recurrent", "hidden_covariance[1]"): (0.3715, 0.5244),
    ("encoder", "softmax_confidence"): (0.216, None),
    ("encoder", "synaptic_diversity"): (0.156, None),
    ("encoder", "head_importance"): (0.164, None),
    ("encoder", "activation_distance"): (0.222, None),
    ("encoder", "parameters"): (0.454, None),
    ("encoder", "head_confidence"): (0.478, None),
    ("encoder", "synaptic_saliency"): (0.188, None),
    ("encoder", "jacobian_covariance"): (0.042, None),
}
STATISTICS = ("kendall", "spearman", "pearson", "pairs")
DRAWN = {"minibatch": "minibatches", "initialisation": "initialisations"}
SIGNS = (
    "Correlations are those of the raw columns, with nothing turned round: negative where a larger "
    "score goes with a smaller {result}{better}. The paper prints absolute values."
)
FIGURE = (
    "Darker points lie closer together. Axes are logarithmic where a metric spans magnitudes; "
    "triangles stand for values beyond an axis, which count in the statistics."
)


_DRAWN_NETWORKS = {
    "recurrent": ("Recurrent networks", "networks", "loss", "loss"),
    "encoder": ("Encoders", "encoders", "glue", "GLUE"),
}


class Part(NamedTuple):
    """What came of some of the files: a section of the page, and perhaps rows of the summary."""

    section: Section
    statistics: pd.DataFrame | None = None


def draws_section(
    kind: Literal["recurrent", "encoder"],
    draw: Draw,
    table: PublishedTable,
    scores: pd.DataFrame,
    remarks: Sequence[str],
) -> Part:
    """The section on what other minibatches or initialisations do to the scores."""
    drawn, name = DRAWN[draw], f"{kind}_{DRAWN[draw]}"
    heading, networks, result, label = _DRAWN_NETWORKS[kind]
    results = table.frame[result].groupby(level=0).first()
    spread, fewer = _spread(scores, results)
    if fewer:
        remarks = [*remarks, f"{fewer} with fewer {drawn} than the others are not in the table."]
    count = scores.groupby(level=0).size()
    shown = results.rename(label)
    section = Section(
        f"{heading}: {draw} ablation",
        f"The same {len(count)} {networks}, scored with {count.max()} {drawn} each.",
        [
            Plot(
                name,
                partial(box_plots, scores, shown, modified=table.source.modified),
                f"Scores over the {drawn}: a point each, a box for the quartiles, whiskers to the "
                f"extremes. {networks.capitalize()} are ordered by their trained result.",
                scores.join(table.frame[result]),
            ),
            Table(
                f"{name}_spread",
                spread,
                "By metric: *mean* of all scores; *standard_deviation* between draws, and "
                "*coefficient_of_variation*, that over the size of the mean score (both of one "
                f"architecture, mean over the {networks}); *between_draws*, Kendall's τ-b between "
                "the rankings of two draws (mean over pairs of draws), and the least; *kendall*, "
                f"τ-b of one draw with the trained result, raw, mean over draws and its deviation.",
            ),
        ],
        list(remarks),
        modified=modified_files(table),
    )
    return Part(section)


def _spread(scores: pd.DataFrame, results: pd.Series) -> tuple[pd.DataFrame, int]:
    """How much scores vary over draws, by metric; and how many architectures lack draws."""
    counts = scores.groupby(level=0).size()
    whole = counts.index[counts == counts.max()]
    complete = scores.loc[whole]
    by_draw = [frame.droplevel("draw").loc[whole] for _, frame in complete.groupby(level="draw")]
    groups = complete.groupby(level=0)
    means, deviations = groups.mean(), groups.std(ddof=1)
    spread = pd.DataFrame(
        {
            "mean": complete.mean(),
            "standard_deviation": deviations.mean(),
            "coefficient_of_variation": (deviations / means.abs()).mean(),
        }
    )
    agreement = reliability(
        by_draw, results.loc[whole], dict.fromkeys(map(str, scores.columns), True), True
    )
    # Of the same ranking in all draws the deviation is a rounding error.
    deviation = agreement["kendall_deviation"]
    agreement["kendall_deviation"] = deviation.where((deviation > 1e-12) | deviation.isna(), 0.0)
    columns = ["between_draws", "between_draws_least", "kendall", "kendall_deviation"]
    return spread.join(agreement[columns]).rename_axis("metric"), len(counts) - len(whole)


def raw_statistics(
    networks: str, scores: pd.DataFrame, results: pd.Series, resamples: int
) -> pd.DataFrame:
    """Rows of the summary: metrics against a result, raw."""
    # Both read as if larger were better, so that signs are those of the raw columns.
    compared = compare(
        scores,
        results,
        larger_is_better=dict.fromkeys(map(str, scores.columns), True),
        result_larger_is_better=True,
        resamples=resamples,
    ).table
    known = [_PUBLISHED.get((networks, name), (None, None)) for name in compared.index]
    table = compared[["n", "problem", *with_ends(*STATISTICS)]].reset_index()
    table.insert(0, "networks", networks)
    table.insert(2, "result", str(results.name))
    for i, name in enumerate(("kendall", "spearman")):
        table[f"{name}_absolute"] = table[name].abs()
        table[f"published_{name}"] = pd.Series([pair[i] for pair in known], dtype=float)
    return table


def kendall_bars(networks: str, statistics: pd.DataFrame, result: str, modified: bool) -> Plot:
    """Bars of the τ-b of raw columns."""
    figure = partial(
        bars,
        statistics.set_index("metric"),
        "kendall",
        f"Kendall's τ-b with {result}, 95 % interval",
        modified=modified,
    )
    return Plot(f"{networks}_kendall", figure, f"Kendall's τ-b with {result}, raw.")


def modified_files(*found: PublishedTable) -> tuple[str, ...]:
    """The files that are not as published, by name."""
    return tuple(table.source.file.name for table in found if table.source.modified)
