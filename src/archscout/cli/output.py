"""What commands print: progress on the error stream, results on the output stream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

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
from rich.text import Text

console = Console()
errors = Console(stderr=True)


class _Rate(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s", style="cyan")


@contextmanager
def progress(what: str, total: int) -> Iterator[_Bar]:
    """A progress bar with rate and remaining time; silent where the error stream is no terminal.

    Args:
        what: is being done.
        total: items.
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
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as bars:
        yield _Bar(bars, bars.add_task(what, total=total, note=""))


class _Bar:
    """One progress bar."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self) -> None:
        """One more item is done."""
        self._bars.advance(self._task)

    def advance_to(self, done: int, note: str) -> None:
        """So many items are done."""
        self._bars.update(self._task, completed=done, note=note)


def number(value: object) -> str:
    """A number for a table: whole ones with separators, others to six digits."""
    if value is None:
        return ""
    if not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.2f}" if 1000 <= abs(value) < 1e9 else f"{value:.6g}"
