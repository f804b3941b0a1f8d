"""The templates of pages, and the tables that they write as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

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
    kind: str = "text"  # or `text long`, `number`, `mark`, `code`, `codes`: its looks
    note: str = ""  # below the heading


@dataclass(frozen=True)
class Table:
    """A table of the page, its cells as they are written."""

    caption: str
    columns: list[Column]
    rows: list[list[str]]


def render(name: str, **values: Any) -> str:
    """A template filled with values, all of them escaped."""
    return _ENVIRONMENT.get_template(name).render(**values)


def render_page(name: str, drawn: Mapping[str, str], **values: Any) -> str:
    """A page that needs no other file: a template that extends `base.html.jinja`.

    Args:
        name: of the template.
        drawn: plotly's figures as JSON, by the identifiers of their places; plotly itself stands on
            the page once, and not at all where there are none.
        **values: of the template, all of them escaped.
    """
    return render(
        name,
        version=version("archscout"),
        plotly=Markup(get_plotlyjs()) if drawn else "",
        figures=Markup(",\n".join(f'"{place}": {figure}' for place, figure in drawn.items())),
        **values,
    )
