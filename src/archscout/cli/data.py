"""`archscout data`: published files, whence they come and where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import console, interrupts, live, print_json, say

if TYPE_CHECKING:
    from archscout.benchmarks.store import Change, DataFolder, Status, StoredFile, Verified

app = typer.Typer(
    help="Published benchmarks and corpora: list, download, add and verify their files.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_WIDE = 164  # columns of a terminal that has room for everything in one line
_STYLES = {"present": "green", "modified": "yellow", "absent": "dim", "damaged": "red"}


@app.command("list")
def list_files(data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """List the published files: what they are, their licence, checksum, and where they lie.

    A file is present (as published), modified (its content differs) or absent.

    Examples:
        archscout data list

        archscout data list --data-dir upstream --json
    """
    folder = _folder(data_dir)
    found = folder.status()
    if as_json:
        for status in found:
            print_json(_described(status))
        return
    console.print(_wide_table(found) if console.width >= _WIDE else _narrow_table(found))
    held = sum(status.stored is not None for status in found)
    say(f"{held} of {len(found)} files are in the data folder {folder.path}")


@app.command()
def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Files, or all of one source (training-free-nas, nas-bench-nlp, wikitext-2, "
            "lts-gpt2), or ptb; everything by default.",
        ),
    ] = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Download published files, each checked by its checksum.

    What is there as published is left alone, so that a stopped download goes on when called again.

    Examples:
        archscout data download

        archscout data download wikitext-2 RNN_results.csv
    """
    folder = _folder(data_dir)
    with _bars() as progress:
        changes = folder.download(names or None, progress)
    _print_changes(folder, changes, as_json)


@app.command()
def add(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Files, folders, or whole checkouts of what was published."
        ),
    ],
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Copy published files that you have into the data folder.

    Files are known by name and content; of a logs.zip or a text of wikitext-2 keep the folder's
    name, too. A file that is valid but not as published is added and marked as modified.

    Examples:
        archscout data add ~/nas-bench-nlp-release ~/training-free-nas

        archscout data add ~/Downloads/RNN_results.csv
    """
    folder = _folder(data_dir)
    _print_changes(folder, folder.add(*paths), as_json)


@app.command()
def verify(data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """Verify the checksums of the files that are there; exit code 1 if any differs.

    A folder of files, of which no checksum is known, is read instead.

    Example:
        archscout data verify
    """
    folder = _folder(data_dir)
    found = folder.verify()
    for verified in found:
        if as_json:
            stored = _stored(verified.stored)
            print_json(stored | {"problem": verified.problem, "state": _verdict(verified)})
        else:
            _print_verdict(verified)
    differing = any(_verdict(verified) in ("modified", "damaged") for verified in found)
    if not as_json and not found:
        say(f"No published file is in the data folder {folder.path}")
    elif not as_json:
        same = sum(_verdict(verified) == "present" for verified in found)
        say(f"{same} of {len(found)} files in the data folder {folder.path} are as published")
    if differing:
        raise typer.Exit(1)


def _folder(data_dir: str | None) -> DataFolder:
    # What it needs takes seconds to import, and help needs none of it.
    from archscout.benchmarks.store import DataFolder

    return DataFolder(data_dir)


def _described(status: Status) -> dict[str, Any]:
    file = status.file
    said = ("name", "description", "source", "licence", "url", "sha256", "git_blob")
    size = status.stored.size if status.stored else None
    found = {"path": str(status.path), "size": size, "state": status.state}
    return {name: getattr(file, name) for name in said} | found


def _stored(stored: StoredFile) -> dict[str, Any]:
    return {
        "name": stored.file.name,
        "path": str(stored.path),
        "size": stored.size,
        "modified": stored.modified,
    }


def _of_source(found: Sequence[Status]) -> Iterator[tuple[str, str, list[Status]]]:
    """Sources, their repositories, and their files."""
    from archscout.benchmarks.catalogue import SOURCES

    for source in dict.fromkeys(status.file.source for status in found):
        files = [status for status in found if status.file.source == source]
        yield source, SOURCES[source].repository, files


def _cells(status: Status) -> tuple[str, str, str]:
    """State, checksum and size of a file."""
    size = decimal(status.stored.size) if status.stored else ""
    return f"[{_STYLES[status.state]}]{status.state}[/]", status.file.checksum[:8], size


def _wide_table(found: Sequence[Status]) -> Table:
    """Everything about a file in one line."""
    table = Table("file", "state", "what", "licence", "checksum", "from GitHub")
    table.add_column("size", justify="right")
    for _, repository, files in _of_source(found):
        for status in files:
            file = status.file
            state, checksum, size = _cells(status)
            described = (file.description, file.licence, checksum, repository)
            table.add_row(file.name, state, *described, size)
        table.add_section()
    return table


def _narrow_table(found: Sequence[Status]) -> Table:
    """What files of one source share above them, and what is in a file below its name."""
    table = Table("file", "state", "checksum")
    table.add_column("size", justify="right", no_wrap=True)
    for source, repository, files in _of_source(found):
        table.add_row(f"[bold]{source}[/], {files[0].file.licence}\n[dim]github.com/{repository}")
        table.add_section()
        for status in files:
            name = f"{status.file.name}\n[dim]  {status.file.description}"
            table.add_row(name, *_cells(status))
        table.add_section()
    return table


def _print_changes(folder: DataFolder, changes: Sequence[Change], as_json: bool) -> None:
    for change in changes:
        if as_json:
            unpacked = [str(path) for path in change.unpacked]
            done = {"action": change.action, "from": change.origin, "unpacked": unpacked}
            print_json(_stored(change.stored) | done)
        else:
            _print_change(change)
    if not as_json:
        say(f"The data folder is {folder.path}")


def _print_change(change: Change) -> None:
    stored = change.stored
    name = stored.file.name
    modified = ", modified (not as published)" if stored.modified else ""
    style = _STYLES["modified"] if stored.modified else ""
    if change.action == "present":
        say(f"{name}: already there{modified}", style)
    elif change.action == "kept":
        kept = f"{change.origin} is modified, so the published file is kept; remove {stored.path}"
        say(f"{name}: {kept} first if you want the other", _STYLES["modified"])
    else:
        say(f"{name}: {change.action}, {decimal(stored.size)}{modified}", style)
    if change.unpacked:
        say(f"{name}: the texts of {stored.file.corpus} lie in {change.unpacked[0].parent}")
    elif stored.file.corpus and change.action != "kept":
        say(f"{name}: found no texts of {stored.file.corpus} in it", _STYLES["modified"])


def _verdict(verified: Verified) -> str:
    if verified.problem:
        return "damaged"
    if verified.stored.modified:
        return "modified"
    return "present" if verified.stored.file.checksum else "unchecked"


def _print_verdict(verified: Verified) -> None:
    state = _verdict(verified)
    words = {
        "damaged": f"damaged: {verified.problem}",
        "modified": "modified, its content is valid but not as published",
        "present": "as published",
        "unchecked": "can be read; no checksum of it is known",
    }
    style = _STYLES.get(state, "") if state != "present" else ""
    say(f"{verified.stored.file.name}: {words[state]}", style)


class _Bar:
    """The progress bar of one download, as pooch moves it."""

    def __init__(self, bars: Progress, name: str) -> None:
        self._bars = bars
        self._task = bars.add_task(name, total=None)
        self._total = 0

    @property
    def total(self) -> int:
        """Size of the file in bytes, 0 if the server does not say."""
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self._bars.update(self._task, total=total or None)

    def update(self, n: int) -> None:
        """So many bytes more; raises `KeyboardInterrupt` if a Ctrl-C before it got lost."""
        interrupts.check()
        self._bars.advance(self._task, n)

    def reset(self) -> None:
        """None so far."""
        self._bars.update(self._task, completed=0)

    def close(self) -> None:
        """All is there."""
        self._bars.stop_task(self._task)


@contextmanager
def _bars() -> Iterator[Any]:
    """Makes progress bars, one a file."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with live(*columns) as bars:
        yield lambda file: _Bar(bars, file.name)
