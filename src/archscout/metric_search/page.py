"""The page of a discovery: the chosen formula, what it was chosen from, and how it was bred."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from archscout.analysis.document import Document, Plot, Section, Table
from archscout.analysis.figures import bars
from archscout.metric_search.discovery import PARTS, Discovery
from archscout.metric_search.generations_figure import generations_figure

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
    benchmark = discovery.benchmark
    return Document(
        f"A metric discovered on {benchmark.name} ({benchmark.dataset})",
        _introduction(discovery),
        [
            _judgement(discovery),
            _candidates(discovery),
            _generations(discovery),
            _settings(discovery),
        ],
        benchmark.modified,
    ).write(discovery.folder)


def judgement(discovery: Discovery) -> pd.DataFrame:
    """The chosen formula and known metrics, a row a part and metric.

    Columns: `part`, `metric`, `n`, `kendall`, `kendall_low`, `kendall_high` (its 95 % interval),
    `difference` (by which the formula's τ-b exceeds the metric's), `difference_low`,
    `difference_high`, `p_value` (two-sided, for no difference).
    """
    rows: list[dict[str, Any]] = []
    for part in PARTS:
        comparison = discovery.comparisons[part]
        for metric, row in comparison.table.iterrows():
            found = {"part": part, "metric": metric, "n": int(row["n"])}
            found |= {name: row[name] for name in ("kendall", "kendall_low", "kendall_high")}
            if metric != discovery.metric:
                test = comparison.test(discovery.metric, str(metric))
                found |= {
                    "difference": test.difference,
                    "difference_low": test.low,
                    "difference_high": test.high,
                    "p_value": test.p_value,
                }
            rows.append(found)
    return pd.DataFrame(rows)


def _introduction(discovery: Discovery) -> str:
    parts = discovery.parts
    counts = ", ".join(f"on {len(getattr(parts, part))} {_PURPOSE[part]}" for part in PARTS)
    return (
        f"`{discovery.metric}` is the chosen metric. Of the trained architectures, those of one "
        f"fingerprint together, {counts}."
    )


def _judgement(discovery: Discovery) -> Section:
    table = judgement(discovery)
    judging = discovery.comparisons["judging"].table
    shown = pd.DataFrame(
        {
            "part": table["part"],
            "metric": table["metric"],
            "n": table["n"],
            "τ-b": [_interval(*row) for row in _columns(table, "kendall")],
            "formula's lead": [_interval(*row) for row in _columns(table, "difference")],
            "p": ["–" if pd.isna(p) else f"{p:.3f}" for p in table["p_value"]],
        }
    )
    return Section(
        "What it is worth",
        "Kendall's τ-b with the trained result, positive where a metric predicts as it claims, "
        "with bootstrap 95 % intervals over architectures, and by how much the formula exceeds "
        "each known metric on the same architectures (paired bootstrap). On the first two parts "
        "the formula is flattered, for they made and chose it; the third part is what counts.",
        [
            Table("judgement", table, "The three parts.", shown=shown),
            Plot(
                "judging",
                bars(
                    judging.rename(index={discovery.metric: "the formula"}),
                    "kendall",
                    "Kendall's τ-b on the third part",
                    modified=bool(discovery.benchmark.modified),
                ),
                "On the third part, with 95 % intervals.",
            ),
        ],
        conclusion=verdict(discovery),
    )


def _columns(table: pd.DataFrame, name: str) -> Iterator[tuple[float, float, float]]:
    return zip(table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True)


def _interval(value: float, low: float, high: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


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
    lead = _interval(test.difference, test.low, test.high)
    if test.low > 0:
        outcome = "is better than"
    elif test.high < 0:
        outcome = "is worse than"
    else:
        outcome = "is not shown to differ from"
    return (
        f"On the third part the formula {outcome} `{rival}`, the best of the known metrics there: "
        f"its τ-b exceeds that metric's by {lead}, p = {test.p_value:.3f}, n = {test.n}."
    )


def _candidates(discovery: Discovery) -> Section:
    rows = [
        {
            "formula": entry.metric,
            "size": entry.size,
            "finite": entry.finite,
            "breeding": entry.kendall,
            "choosing": tau,
            "chosen": "yes" if entry == discovery.chosen else "",
        }
        for entry, tau in zip(discovery.candidates, discovery.choosing, strict=True)
    ]
    penalty = discovery.settings.penalty
    return Section(
        "Candidates",
        "The fittest formulas of all generations; of those that have the same τ-b on the first "
        "part, the smallest. *size*: quantities and operations. *finite*: architectures of the "
        "first part with a finite value; the others rank last. *breeding*, *choosing*: τ-b on the "
        "first and second part. The one with the largest τ-b on the second part, less "
        f"{penalty:g} for each unit of size, was chosen.",
        [Table("formulas", pd.DataFrame(rows), "Each is a metric of which larger is better.")],
    )


def _generations(discovery: Discovery) -> Section:
    frame = pd.DataFrame(
        [
            {"generation": number, **entry.to_dict()}
            for number, generation in enumerate(discovery.generations)
            for entry in generation
        ]
    )
    figure = generations_figure(frame, modified=bool(discovery.benchmark.modified))
    tried = frame["formula"].nunique()
    return Section(
        "Generations",
        f"{tried:,} different formulas were tried on the {len(discovery.parts.breeding)} "
        "architectures of the first part.",
        [
            Plot(
                "generations",
                figure,
                "τ-b on the first part by generation: the best candidate, the median one, and the "
                "middle half of them.",
                frame,
            )
        ],
    )


def _settings(discovery: Discovery) -> Section:
    rows = []
    for name, value in discovery.settings.model_dump().items():
        if isinstance(value, dict):
            value = [f"{key} {entry}" for key, entry in value.items()]
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        rows.append((name, shown))
    return Section(
        "Settings",
        content=[
            Table(
                "settings",
                pd.DataFrame(rows, columns=["setting", "value"]),
                "Everything that decides the result; `generations.jsonl` has every candidate.",
            )
        ],
    )
