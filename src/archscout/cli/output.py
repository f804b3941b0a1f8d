"""What commands print, progress on the error stream and results on the output stream; Ctrl-C."""

from __future__ import annotations

import json
import math
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

# Between two lines of progress where there is no terminal, and over which speed is averaged.
_LINE_SECONDS, _SPEED_SECONDS = 30.0, 300.0

console = Console()
errors = Console(stderr=True)


class Stopped(Exception):
    """The end for Ctrl-C, where there is more to say than that."""


def stopped(what: str, resume: bool) -> Stopped:
    """The end for Ctrl-C of a command that goes on with --resume, which it may have already."""
    arguments = sys.argv[1:] if resume else [*sys.argv[1:], "--resume"]
    return Stopped(f"{what}. Go on with:\n  archscout {shlex.join(arguments)}")


@contextmanager
def stoppable(what: str, place: Path, resume: bool) -> Iterator[None]:
    """Say at Ctrl-C what is in a folder, and how to go on, if it is begun."""
    try:
        yield
    except KeyboardInterrupt:
        if not place.exists():
            raise
        raise stopped(f"Stopped; {what} is in {place}", resume) from None


class Interrupts:
    """Ctrl-C that cannot get lost.

    Python drops it in callbacks of its clean-up, and imports swallow it or turn it into errors of
    their own; so it is remembered, and whoever can stop asks.
    """

    def __init__(self) -> None:
        self.asked = False

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if Ctrl-C came."""
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Remember Ctrl-C, and print nothing of it where Python drops it."""
        self.asked = False
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # nohup, say
            yield
            return
        report = sys.unraisablehook

        def interrupt(*_: object) -> None:
            self.asked = True
            raise KeyboardInterrupt

        def report_others(dropped: sys.UnraisableHookArgs) -> None:
            if dropped.exc_type is not KeyboardInterrupt:
                report(dropped)

        signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = report_others
        try:
            yield
        finally:
            sys.unraisablehook = report
            signal.signal(signal.SIGINT, signal.default_int_handler)


interrupts = Interrupts()


class _Rate(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s", style="cyan")


@contextmanager
def progress(what: str, total: float | None = None) -> Iterator[Bar]:
    """A progress bar with rate and remaining time; lines where the error stream is no terminal.

    Args:
        what: is done.
        total: items that there are; None where that is told later.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with live(*columns) as bars:
        yield Bar(bars, bars.add_task(what, total=total, note=""))


@contextmanager
def live(*columns: ProgressColumn) -> Iterator[Progress]:
    """Progress bars; where the error stream is no terminal, lines on the one added last."""
    watched = errors.is_terminal
    with Progress(
        *columns, console=errors, disable=not watched, speed_estimate_period=_SPEED_SECONDS
    ) as bars:
        if watched:
            yield bars
            return
        with _lines(bars):
            yield bars


@contextmanager
def _lines(bars: Progress) -> Iterator[None]:
    """Tell every half minute where the last task is."""
    ended = Event()

    def tell_often() -> None:
        while not ended.wait(_LINE_SECONDS):
            for task in bars.tasks[-1:]:
                tell(_line(task))

    teller = Thread(target=tell_often, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _line(task: Task) -> str:
    """Where a task is: `searching: 120 of 500 in 0:02:00, 0:06:20 left, best 0.44`."""
    begun = timedelta(seconds=int(task.elapsed or 0))
    if task.total is None:
        done = f"{task.completed:,.0f} in" if task.completed else "preparing for"
        return f"{task.description}: {done} {begun}"
    left = task.time_remaining
    parts = [
        f"{number(round(task.completed, 2))} of {number(round(task.total, 2))} in {begun}",
        "" if left is None else f"{timedelta(seconds=int(left))} left",
        task.fields.get("note", ""),
    ]
    return f"{task.description}: {', '.join(filter(None, parts))}"


class Bar:
    """One progress bar; what moves it raises `KeyboardInterrupt` if a Ctrl-C before got lost."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self) -> None:
        """One more item is done."""
        interrupts.check()
        self._bars.advance(self._task)

    def set(self, done: float, total: float) -> None:
        """So many of so many items are done."""
        interrupts.check()
        self._bars.update(self._task, completed=done, total=total)

    def advance_to(self, done: float, note: str) -> None:
        """So many items are done."""
        interrupts.check()
        self._bars.update(self._task, completed=done, note=note)


def say(message: str, style: str = "", end: str = "\n") -> None:
    """A result, as it is."""
    console.print(message, style=style, end=end, markup=False, highlight=False, soft_wrap=True)


def tell(message: str, style: str = "") -> None:
    """What is no result, on the error stream."""
    errors.print(message, style=style, markup=False, highlight=False, soft_wrap=True)


def warn(message: str) -> None:
    """Tell what the user should know, on the error stream."""
    tell(message, "yellow")


def warn_of_modified(names: Iterable[str]) -> None:
    """Tell which published files differ from what was published, if any do."""
    if files := ", ".join(names):
        warn(f"Modified data: {files}")


def print_json(document: object) -> None:
    """One line, for machines; numbers must be finite."""
    typer.echo(json.dumps(document, allow_nan=False))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table for JSON, NaN being null."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


def number(value: object) -> str:
    """A number for a table: whole ones with separators, others to six digits."""
    if value is None:
        return ""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.2f}" if 1000 <= abs(value) < 1e9 else f"{value:.6g}"


def fixed(value: float) -> str:
    """A statistic to three decimals; a dash where it is not defined."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def print_table(
    columns: Iterable[Column | str], rows: Iterable[Sequence[str | Text]], **looks: Any
) -> None:
    """A table; a column that is given by its title alone is one of numbers."""
    table = Table(
        *(
            Column(Text(c), justify="right", no_wrap=True) if isinstance(c, str) else c
            for c in columns
        ),
        **looks,
    )
    for row in rows:
        # Not what looks like markup: names of files stand there.
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console.print(table)


def print_statistics(title: str, table: pd.DataFrame, *others: str) -> None:
    """How well metrics order results: τ-b with its interval and other statistics, by their name."""
    rows = []
    for name, row in table.iterrows():
        interval = f"{row['kendall_low']:.3f} to {row['kendall_high']:.3f}"
        values = [fixed(row["kendall"]), interval, *(fixed(row[other]) for other in others)]
        if row["problem"]:
            values = ["–", "", *["–"] * len(others)]
        rows.append([str(name), str(row["n"]), *values])
    print_table([Column(title, overflow="fold"), "n", "τ-b", "95 % interval", *others], rows)
    for name, problem in table["problem"].dropna().items():
        warn(f"{name}: {problem}")


def cell_width(cell: str) -> int:
    """How many characters wide a cell of one or several lines is."""
    return max(map(len, cell.split("\n")))


def table_width(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """How many characters wide a table is."""
    widths = [max(map(cell_width, cells)) for cells in zip(titles, *rows, strict=True)]
    return sum(widths) + 3 * len(widths) + 1


def print_abreast(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on its side, in as many blocks as the line needs: values are never cut."""
    value = max(cell_width(cell) for row in rows for cell in row)
    room = console.width - max(map(len, titles)) - 4
    abreast = max(1, room // (value + 3))
    for start in range(0, len(rows), abreast):
        first, *lines = zip(titles, *rows[start : start + abreast], strict=True)
        print_table([Column(first[0]), *first[1:]], lines)
