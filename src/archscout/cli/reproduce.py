"""`archscout reproduce`: the paper's tables and figures from the published files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Column

from archscout.cli import options, output
from archscout.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def reproduce(
    which: Annotated[
        Literal["rnn", "flexibert", "all"],
        typer.Argument(help="What was published on recurrent networks, on encoders, or on both."),
    ] = "all",
    out: options.Folder = Path("reproduction"),
    resamples: options.Resamples = 1000,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Make every table and figure of the paper from the published files.

    Nothing is scored anew. The page, tables (CSV) and figures (PNG, PDF) are written into a
    folder; the correlations are printed. What a missing file was needed for is left out, with
    exit code 2.

    Examples:
        archscout reproduce

        archscout reproduce rnn --out paper --resamples 200

        archscout reproduce flexibert --data-dir data --json
    """
    from archscout.benchmarks import DataFolder
    from archscout.paper import reproduction

    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is no folder; a folder, new or not, is accepted")
    with output.progress("parts") as bar:
        done = reproduction.compute(DataFolder(data_dir), which, resamples, bar.set)
    page = done.document.write(out)
    if as_json:
        output.print_json(output.records(done.summary))
    else:
        _print(done.summary)
    output.warn_of_modified(done.document.modified)
    output.tell(f"Page: {page}")
    if done.complaint:
        raise InputError(done.complaint)


def _print(summary: pd.DataFrame) -> None:
    if summary.empty:
        return
    for networks, rows in summary.groupby("networks", sort=False):
        header = ["metric", "n", "τ-b", "95 % interval", "paper", "pairs", "ρ"]
        cells = [_cells(row) for _, row in rows.iterrows()]
        for _ in range(2):  # what the page has, too
            if output.table_width(header, cells) > output.console.width:
                header, cells = header[:-1], [row[:-1] for row in cells]
        if output.table_width(header, cells) > output.console.width:
            output.print_abreast(header, cells)
            continue
        results = " and ".join(rows["result"].unique())
        title = f"{str(networks).capitalize()} metrics against {results}"
        output.print_table([Column(header[0]), *header[1:]], cells, title=title)


def _cells(row: pd.Series) -> list[str]:
    low, high = _rounded(row["kendall_low"]), _rounded(row["kendall_high"])
    published = row["published_kendall"]
    return [
        str(row["metric"]),
        f"{row['n']:,}",
        _rounded(row["kendall"]),
        f"{low} to {high}" if low else "",
        "" if published != published else f"{published:g}",
        _rounded(row["pairs"]),
        _rounded(row["spearman"]),
    ]


def _rounded(value: float) -> str:
    return "" if value != value else f"{value:.3f}"
