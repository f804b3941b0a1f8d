"""`archscout audit`: what is known about the published data, checked on the data at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archscout.cli import options
from archscout.cli.output import print_json, progress, say, stopped, warn_of_modified

if TYPE_CHECKING:
    from archscout.paper.audit import Point

_COLOURS = {
    "confirmed": "green",
    "partly confirmed": "yellow",
    "not confirmed": "red",
    "not checked": "dim",
}


def audit(
    out: options.Folder = Path("audit"),
    text: options.Texts = None,
    encoders: Annotated[
        int | None,
        typer.Option(help="Recompute so many encoders, drawn at random; all by default (minutes)."),
    ] = None,
    seed: options.Seed = 0,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Check what is known about the published data on the data at hand, with its evidence.

    Writes a page (index.html, report.md) with tables and figures. What takes long is stored at
    once: an audit that was stopped goes on with it when it is called again.

    Examples:
        archscout audit

        archscout audit --encoders 40 --text wikitext-2

        archscout audit --data-dir ../upstream --out audit-upstream
    """
    from archscout.benchmarks import DataFolder
    from archscout.paper.audit import POINTS
    from archscout.paper.audit import audit as check

    points: list[Point] = []
    try:
        with progress("auditing", len(POINTS)) as bar:

            def on_point(point: Point) -> None:
                points.append(point)
                bar.advance_to(len(points), "")
                if not as_json:
                    _print(len(points), point)

            page = check(
                DataFolder(data_dir),
                out,
                encoders=encoders,
                seed=seed,
                text=text or "python-docs",
                progress=lambda what, done, total: bar.advance_to(
                    len(points), f"{what} {done}/{total}"
                ),
                on_point=on_point,
            )
    except KeyboardInterrupt:
        done = f"{len(points)} of {len(POINTS)} points; recomputed scores are kept"
        raise stopped(f"Stopped after {done}", resume=True) from None
    if as_json:
        found = [
            {"point": i, "title": p.title, "standing": p.standing, "verdict": p.verdict}
            for i, p in enumerate(points, start=1)
        ]
        print_json({"points": found, "page": str(page)})
        return
    warn_of_modified(sorted({s.file.name for p in points for s in p.sources if s.modified}))
    say(f"Page  {page}")


def _print(number: int, point: Point) -> None:
    say(f"{number}. {point.title}: ", end="")
    say(point.standing, _COLOURS[point.standing], end="")
    say(f". {point.verdict}")
