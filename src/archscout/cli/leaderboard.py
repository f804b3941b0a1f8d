"""`archscout evaluate --all`: every metric on every benchmark that is at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from archscout.cli.output import console, errors, progress, stopped, warn

if TYPE_CHECKING:
    import pandas as pd

    from archscout.analysis.leaderboard import Contest

OUT = Path("evaluations") / "contest"


def contest(
    *,
    searches: str | None,
    timed: int,
    orders: int,
    resamples: int,
    seed: int,
    out: Path | None,
    resume: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Hold the contest, write its page and print the table.

    Args:
        searches: names, comma-separated.
        timed: architectures on which each metric is timed.
        orders: random orders in which searches meet the architectures.
        resamples: of the bootstrap.
        seed: of everything.
        out: folder; the default one if None.
        resume: go on with a contest.
        as_json: print the records.
        **settings: other ones of `archscout.analysis.leaderboard.hold`.

    Raises:
        InputError: something cannot be used.
        Stopped: by Ctrl-C.
    """
    from archscout.analysis.leaderboard import Rules, hold
    from archscout.analysis.leaderboard.page import write_contest

    out = out or OUT
    names = [name.strip() for name in searches.split(",")] if searches else []
    try:
        done = hold(
            out=out,
            rules=Rules(searches=names, timed=timed, orders=orders, resamples=resamples, seed=seed),
            seed=seed,
            resume=resume,
            stage=_stage,
            **settings,
        )
        page = write_contest(done)
    except KeyboardInterrupt:
        raise stopped(f"Stopped; what was scored and timed is in {out}", resume) from None
    if as_json:
        records = done.records.to_json(orient="records", double_precision=15)
        typer.echo(json.dumps(json.loads(records)))
    else:
        _print(done)
    for judged in done.rounds:
        for name in judged.left_out:
            warn(f"No search by {name} on {judged.benchmark.name}: it has no scores there")
    for name, why in done.absent.items():
        warn(f"Not at hand: {name}: {why}")
    errors.print(f"Page: {page}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _stage(what: str) -> Iterator[Callable[[int, int], None]]:
    with progress(what, 1) as bar:
        yield bar.set


def _print(done: Contest) -> None:
    """τ-b by metric and benchmark, in as many tables as the line needs, and what beats size."""
    titles, columns = [], []
    order = list(map(str, done.overall("kendall").index))
    for judged in done.rounds:
        name = judged.benchmark.name.removeprefix("archscout-").removeprefix("nas-bench-")
        titles.append(f"{name}\n{judged.benchmark.dataset}")
        columns.append(_cells(judged.standings.reindex(order)))
    widths = [
        max(map(len, [*title.split("\n"), *cells])) + 3
        for title, cells in zip(titles, columns, strict=True)
    ]
    for block in _blocks(widths, console.width - max(map(len, order)) - 4):
        table = Table(caption="τ-b; * beats every baseline of size")
        table.add_column("metric", no_wrap=True)
        for i in block:
            table.add_column(titles[i], justify="right", no_wrap=True)
        for metric, *cells in zip(order, *(columns[i] for i in block), strict=True):
            table.add_row(metric, *cells)
        console.print(table)
    modified = dict.fromkeys(name for judged in done.rounds for name in judged.benchmark.modified)
    if modified:
        warn(f"Modified data: {', '.join(modified)}")


def _cells(standings: pd.DataFrame) -> list[str]:
    stars = (standings["beats"] > "") & (standings["does_not_beat"] == "")
    return [
        "–" if value != value else f"{value:.3f}{'*' if star else ' '}"
        for value, star in zip(standings["kendall"], stars, strict=True)
    ]


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns that have room beside each other, at least one each time."""
    blocks: list[list[int]] = [[]]
    for i, width in enumerate(widths):
        if blocks[-1] and sum(widths[j] for j in blocks[-1]) + width > room:
            blocks.append([])
        blocks[-1].append(i)
    return blocks
