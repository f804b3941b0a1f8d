"""Tables of the page, before they are written as HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        kind: `number`, `mark`, `code`, `codes` or `text`; decides its looks.
        note: stands below the heading.
    """

    name: str
    kind: str = "text"
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        caption: what it shows.
        columns: from left to right.
        rows: cells as they are written.
    """

    caption: str
    columns: list[Column]
    rows: list[list[str]]
