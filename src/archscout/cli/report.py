"""`archscout report`: one HTML page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Where to write it; report.html in the run by default."),
    ] = None,
) -> None:
    """Write one self-contained HTML page about a run.

    Example:
        archscout report runs/rnn-python-docs-0
    """
    from archscout.runs import Run

    found = Run(run)  # a wrong folder is told before what takes long to import
    from archscout.report import write_report

    typer.echo(str(write_report(found, None if out is None else Path(out))))
