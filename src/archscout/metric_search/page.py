"""The page of a discovery: the chosen formula, what it was chosen from, and how it was bred."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from archscout.analysis import figures, panels
from archscout.analysis.document import (
    Document,
    Plot,
    Section,
    Table,
    intervals,
    settings_section,
    with_interval,
)
from archscout.analysis.figures import BLUE, GREY, ORANGE, SKY, TEXT, WIDE
from archscout.analysis.statistics import with_ends
from archscout.metric_search.discovery import PARTS, Discovery
from archscout.metric_search.discovery_folder import DiscoveryFolder

_PURPOSE = {
    "breeding": "formulas were bred and learnt which way is better",
    "choosing": "one of the best was chosen",
    "judging": "that one was judged, and nothing else",
}


def write_discovery(discovery: Discovery) -> Path:
    """Write a discovery's page, tables and figures into its folder.

    Returns:
        The HTML page.

    Raises:
        InputError: the folder cannot be written.
    """
    benchmark, parts = discovery.benchmark, discovery.parts
    counts = ", ".join(f"on {len(getattr(parts, part))} {_PURPOSE[part]}" for part in PARTS)
    return Document(
        f"A metric discovered on {benchmark.name} ({benchmark.dataset})",
        f"`{discovery.metric}` is the chosen metric. Of the trained architectures, those of one "
        f"fingerprint together, {counts}.",
        [
            _judgement(discovery),
            _candidates(discovery),
            _generations(discovery),
            settings_section(
                discovery.settings.model_dump(),
                "Everything that decides the result; `generations.jsonl` has every candidate.",
            ),
        ],
        benchmark.modified,
    ).write(discovery.folder)


def judgement(discovery: Discovery) -> pd.DataFrame:
    """The chosen formula and known metrics, a row a part and metric.

    Columns: `part`, `metric`, `n`, `kendall`, `kendall_low`, `kendall_high` (its 95 % interval),
    `pairs` (the share ordered right, a tie counting half), `difference` (by which the formula's
    τ-b exceeds the metric's), `difference_low`, `difference_high`, `p_value` (two-sided, for no
    difference).
    """
    rows: list[dict[str, Any]] = []
    for part in PARTS:
        comparison = discovery.comparisons[part]
        for metric, row in comparison.table.iterrows():
            found = {"part": part, "metric": metric, "n": int(row["n"])}
            found |= {name: row[name] for name in (*with_ends("kendall"), "pairs")}
            if metric != discovery.metric:
                test = comparison.test(discovery.metric, str(metric))
                ends = (test.difference, test.low, test.high)
                found |= dict(zip(with_ends("difference"), ends, strict=True))
                found["p_value"] = test.p_value
            rows.append(found)
    return pd.DataFrame(rows)


def _judgement(discovery: Discovery) -> Section:
    table = judgement(discovery)
    judging = discovery.comparisons["judging"].table
    named = judging.rename(index={discovery.metric: "the formula"})
    drawn = (named, "kendall", "Kendall's τ-b on the third part")
    shown = pd.DataFrame(
        {
            "part": table["part"],
            "metric": table["metric"],
            "n": table["n"],
            "τ-b": intervals(table, "kendall"),
            "pairs": ["–" if pd.isna(share) else f"{share:.3f}" for share in table["pairs"]],
            "formula's lead": intervals(table, "difference"),
            "p": ["–" if pd.isna(p) else f"{p:.3f}" for p in table["p_value"]],
        }
    )
    return Section(
        "What it is worth",
        "Kendall's τ-b with the trained result, positive where a metric predicts as it claims, and "
        "the share of *pairs* ordered right, which ties cannot lift, "
        "with bootstrap 95 % intervals over architectures, and by how much the formula exceeds "
        "each known metric on the same architectures (paired bootstrap). On the first two parts "
        "the formula is flattered, for they made and chose it; the third part is what counts.",
        [
            Table("judgement", table, "The three parts.", shown=shown),
            Plot(
                "judging",
                partial(figures.bars, *drawn, modified=bool(discovery.benchmark.modified)),
                "On the third part, with 95 % intervals.",
                panels=partial(panels.bars, *drawn),
            ),
        ],
        list(DiscoveryFolder(discovery.folder).remarks()),
        conclusion=verdict(discovery),
    )


def verdict(discovery: Discovery) -> str:
    """Whether the formula is better than the best of the known metrics, on the third part."""
    comparison = discovery.comparisons["judging"]
    known = comparison.table["kendall"].drop(discovery.metric).dropna()
    if comparison.table["problem"].notna()[discovery.metric]:
        return "The formula is the same for all architectures of the third part: it says nothing."
    if known.empty:
        return "No known metric has a value on the third part."
    rival = str(known.idxmax())
    test = comparison.test(discovery.metric, rival)
    lead = with_interval(test.difference, test.low, test.high)
    outcome = "is not shown to differ from"
    if test.low > 0 or test.high < 0:
        outcome = "is better than" if test.low > 0 else "is worse than"
    return (
        f"On the third part the formula {outcome} `{rival}`, the best of the known metrics there: "
        f"its τ-b exceeds that metric's by {lead}, p = {test.p_value:.3f}, n = {test.n}."
    )


def _candidates(discovery: Discovery) -> Section:
    rows = [
        (c.metric, c.size, c.finite, c.kendall, tau, "yes" if c == discovery.chosen else "")
        for c, tau in zip(discovery.candidates, discovery.choosing, strict=True)
    ]
    columns = ["formula", "size", "finite", "breeding", "choosing", "chosen"]
    table = pd.DataFrame(rows, columns=columns)
    return Section(
        "Candidates",
        "The fittest formulas of all generations; of those that have the same τ-b on the first "
        "part, the smallest. *size*: quantities and operations. *finite*: architectures of the "
        "first part with a finite value; the others rank last. *breeding*, *choosing*: τ-b on the "
        "first and second part. The one with the largest τ-b on the second part, less "
        f"{discovery.settings.penalty:g} for each unit of size, was chosen.",
        [Table("formulas", table, "Each is a metric of which larger is better.")],
    )


def _generations(discovery: Discovery) -> Section:
    frame = pd.DataFrame(
        [
            {"generation": number, **entry.to_dict()}
            for number, generation in enumerate(discovery.generations)
            for entry in generation
        ]
    )
    tried = frame["formula"].nunique()
    return Section(
        "Generations",
        f"{tried:,} different formulas were tried on the {len(discovery.parts.breeding)} "
        "architectures of the first part.",
        [
            Plot(
                "generations",
                partial(_generations_figure, frame, modified=bool(discovery.benchmark.modified)),
                "τ-b on the first part by generation: the best candidate, the median one, and the "
                "middle half of them.",
                frame,
            )
        ],
    )


def _generations_figure(candidates: pd.DataFrame, *, modified: bool = False) -> Figure:
    """How τ-b and size go from generation to generation."""
    with matplotlib.rc_context({"font.size": TEXT}):
        figure = Figure(figsize=(WIDE, 2.6), layout="constrained")
        by_generation = candidates.groupby("generation")
        titles = {"kendall": "τ-b on the first part", "size": "quantities and operations"}
        for place, (column, title) in enumerate(titles.items(), start=1):
            axes = figure.add_subplot(1, 2, place)
            low, middle, high = (by_generation[column].quantile(q) for q in (0.25, 0.5, 0.75))
            axes.fill_between(low.index, low, high, color=SKY, alpha=0.4, linewidth=0)
            axes.plot(middle.index, middle, color=BLUE, label="median, middle half", linewidth=1.2)
            fittest = candidates.loc[by_generation["fitness"].idxmax()].set_index("generation")
            axes.plot(
                fittest.index, fittest[column], color=ORANGE, label="fittest", linewidth=1.2,
                marker="." if len(fittest) < 3 else None,
            )  # fmt: skip
            axes.set_xlabel("generation")
            axes.set_ylabel(title)
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color="#E4E4E4", linewidth=0.5)
        figure.axes[0].legend(frameon=False, loc="best", labelcolor=GREY)
        if modified:
            figure.suptitle(
                "modified data: not as published", size=TEXT, color=ORANGE, x=0.995, ha="right"
            )
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure
