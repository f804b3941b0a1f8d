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
    from archscout.report import write_report

    typer.echo(str(write_report(run, None if out is None else Path(out))))
