"""The templates of the report, and the tables that they write as HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_ENVIRONMENT = Environment(
    loader=PackageLoader("archscout", "report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    kind: str = "text"  # or `number`, `mark`, `code` or `codes`; decides its looks
    note: str = ""  # below the heading


@dataclass(frozen=True)
class Table:
    """A table of the page, its cells as they are written."""

    caption: str
    columns: list[Column]
    rows: list[list[str]]


def render(name: str, **values: Any) -> str:
    """A template of the report filled with values, all of them escaped."""
    return _ENVIRONMENT.get_template(name).render(**values)
