"""Lines of RNN_parameters.csv that are no data."""

from __future__ import annotations

import csv
import io
import re

import pandas as pd

from archscout.analysis.document import Table
from archscout.benchmarks.published_tables import PublishedTable, recurrent_parameters
from archscout.paper.audit.point import Material, Point, Standing

TITLE = "A published file is malformed"
_FILE = "RNN_parameters.csv"
_SHOWN_LENGTH = 90


def check(material: Material) -> Point:
    """Sort the lines that are left out by what is wrong with them."""
    table = recurrent_parameters(material.folder)
    content, _ = material.folder.read(_FILE)
    lines = left_out_lines(content, table)
    kinds = _kinds(lines)
    return Point(
        TITLE,
        *judge(lines, len(table.frame)),
        claim=f"{_FILE} holds lines that are not data: names such as `logs.zip`, a second header, "
        "and another number of columns (109 lines in the complete file).",
        method="A line is data if it has as many cells as the header, its first is the name of a "
        "training log, the others are numbers, and the number of parameters is among them. Every "
        "other line is left out, and sorted here by what is wrong with it.",
        follows="Do not read the file with a CSV reader's defaults: it would fail, or take text "
        "and missing values into the columns. "
        "`archscout.benchmarks.published_tables.recurrent_parameters` reads what is data and says "
        "which lines it left out.",
        content=[
            Table("malformed_kinds", kinds, "Lines left out, by what is wrong with them."),
            Table(
                "malformed_lines",
                lines,
                "Every line left out." if len(lines) <= 12 else "The first 12 lines left out.",
                shown=lines.head(12),
            ),
        ],
        sources=[table.source],
    )


def left_out_lines(content: bytes, table: PublishedTable) -> pd.DataFrame:
    """The lines that are no data, as they stand: `line` (from 1), `cells`, `kind`, `text`."""
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    header = next(reader, [])
    wanted = set(table.left_out)
    rows = []
    for cells in reader:
        if reader.line_num in wanted:
            text = ",".join(cells)
            short = text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
            rows.append((reader.line_num, len(cells), _kind(cells, header), short))
    return pd.DataFrame(rows, columns=["line", "cells", "kind", "text"])


def _kind(cells: list[str], header: list[str]) -> str:
    if not any(cells):
        return "empty line"
    if cells[0] == header[0]:
        return "another header"
    if any(header[0] in cell for cell in cells[1:]):
        return "data and a header run together"
    if len(cells) != len(header):
        return "another number of columns"
    if not re.fullmatch(r"log_stats_model_\d+_.+\.json", cells[0]):
        return "no training log's name"
    if not all(_is_number(cell) for cell in cells[1:]):
        return "no number where one belongs"
    return "no number of parameters"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _kinds(lines: pd.DataFrame) -> pd.DataFrame:
    groups = lines.groupby("kind")
    table = pd.DataFrame(
        {
            "lines": groups.size(),
            "first line": groups["line"].min(),
            "last line": groups["line"].max(),
            "example": groups["text"].first(),
        }
    )
    return table.sort_values("lines", ascending=False).rename_axis("kind")


def judge(lines: pd.DataFrame, data: int) -> tuple[Standing, str]:
    """Whether there are lines that are no data, and what they are."""
    if lines.empty:
        return "not confirmed", f"All {data:,} lines are data."
    kinds = lines["kind"].value_counts()
    named = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    wrong = f"{len(lines)} of {data + len(lines):,} lines are not data"
    return "confirmed", f"{wrong}: {named}; {data:,} are."
