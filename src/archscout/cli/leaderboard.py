"""`archscout leaderboard`: every metric on every benchmark that is at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column

from archscout.cli import options, output
from archscout.cli.execution import Execution, with_execution

if TYPE_CHECKING:
    import pandas as pd

    from archscout.analysis.leaderboard import Leaderboard

_OUT = Path("evaluations") / "leaderboard"

Searches = Annotated[
    str | None,
    typer.Option(
        help="Metrics, comma-separated, whose searches are compared, beside those by the "
        "number of parameters, the paper's metric and the space's default one."
    ),
]
Orders = Annotated[
    int, typer.Option(help="Random orders in which searches meet the architectures.")
]
Timed = Annotated[int, typer.Option(help="Architectures on which each metric is timed.")]
Out = Annotated[Path, typer.Option(help="Folder of the leaderboard.")]


@with_execution
def leaderboard(
    execution: Execution,
    metrics: options.Metrics = None,
    metric_file: options.MetricFiles = None,
    searches: Searches = None,
    orders: Orders = 1000,
    timed: Timed = 5,
    limit: options.Limit = None,
    seeds: options.Seeds = 1,
    minibatches: options.Minibatches = 1,
    text: options.BenchmarkTexts = None,
    scoring: options.CommonScoringChanges = None,
    resamples: options.Resamples = 1000,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
    out: Out = _OUT,
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Judge every metric on every benchmark that is at hand.

    Shows what metrics cost, which say the same, and what searches by them find.

    Examples:
        archscout leaderboard --limit 100

        archscout leaderboard --metric-file mine.py --metrics my_metric,hidden_covariance

        archscout leaderboard --resume
    """
    from archscout.analysis.leaderboard import Rules, make_leaderboard
    from archscout.analysis.leaderboard.page import write_leaderboard

    named = options.listed(searches) or ()
    rules = Rules(searches=named, timed=timed, orders=orders, resamples=resamples, seed=seed)
    with output.stoppable("what was scored and timed", out, resume):
        done = make_leaderboard(
            out=out,
            rules=rules,
            data_dir=data_dir,
            text=text,
            metrics=metrics,
            metric_files=metric_file or (),
            seeds=seeds,
            minibatches=minibatches,
            seed=seed,
            device=device,
            limit=limit,
            workers=execution.place(),
            resume=resume,
            stage=_stage,
            **options.scoring(scoring, draws=True, tokenizer=False),
        )
        page = write_leaderboard(done)
    if as_json:
        output.print_json(output.records(done.records))
    else:
        _print(done)
    for judged in done.rounds:
        for name in judged.left_out:
            output.warn(f"No search by {name} on {judged.benchmark.name}: it has no scores there")
    for name, why in done.absent.items():
        output.warn(f"Not at hand: {name}: {why}")
    output.tell(f"Page: {page}")


@contextmanager
def _stage(what: str) -> Iterator[Callable[[int, int], None]]:
    with output.progress(what) as bar:
        yield bar.set


def _print(done: Leaderboard) -> None:
    """τ-b by metric and benchmark, in as many tables as the line needs, and what beats size."""
    order = list(map(str, done.overall("kendall").index))
    benchmarks = [judged.benchmark for judged in done.rounds]
    names = [b.name.removeprefix("archscout-").removeprefix("nas-bench-") for b in benchmarks]
    titles = [f"{name}\n{b.dataset}" for name, b in zip(names, benchmarks, strict=True)]
    columns = [_cells(judged.standings.reindex(order)) for judged in done.rounds]
    widths = [
        max(map(len, [*title.split("\n"), *cells])) + 3
        for title, cells in zip(titles, columns, strict=True)
    ]
    for block in _blocks(widths, output.console.width - max(map(len, order)) - 4):
        output.print_table(
            [Column("metric", no_wrap=True), *(titles[i] for i in block)],
            zip(order, *(columns[i] for i in block), strict=True),
            caption="τ-b; * beats every baseline of size",
        )
    output.warn_of_modified(dict.fromkeys(name for each in benchmarks for name in each.modified))


def _cells(standings: pd.DataFrame) -> list[str]:
    stars = (standings["beats"] > "") & (standings["does_not_beat"] == "")
    return [
        output.fixed(value) + ("" if value != value else "*" if star else " ")
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
