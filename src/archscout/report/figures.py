"""What the plots of pages have in common: their looks, points, and what is shown beside these."""

from __future__ import annotations

import html
import re
import textwrap
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from archscout.report.findings import Findings
from archscout.report.numbers import unit_of
from archscout.report.templates import Column
from archscout.runs.search_settings import Objective

# Okabe and Ito's colours, which stay apart for the colour-blind; shapes differ as well.
INK, MUTED, GRID = "#1a1d21", "#5b6470", "#e6e9ed"
BLUE, PALE_BLUE, VERMILLION = "#0072B2", "#73B3D8", "#D55E00"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True)
class Figure:
    """A plot of a page, what it shows for those who do not see it, and how to read it.

    Attributes:
        figure: of plotly. What its layout's `meta` has under `narrow` replaces, by axis or other
            part, options of the layout where the plot is narrow.
        label: what it shows, in words.
        caption: how to read it.
        height: in pixels; the pages' usual one if None.
        small: whether three stand beside each other where there is room.
    """

    figure: go.Figure
    label: str
    caption: str
    height: int | None = None
    small: bool = False

    @classmethod
    def of(cls, figure: go.Figure, label: str, caption: str, **looks: Any) -> Figure:
        """A plot, where parts of the caption may be empty; looks are `height` and `small`."""
        return cls(figure, label, " ".join(caption.split()), **looks)

    def to_json(self) -> str:
        """Data and layout as JSON that may stand inside a script element."""
        return str(self.figure.to_json()).replace("<", "\\u003c")


@dataclass(frozen=True)
class Quantity:
    """What a figure puts on an axis: a column of the table, larger (1) or smaller (-1) better."""

    name: str
    sign: int

    @classmethod
    def of(cls, objective: Objective) -> Quantity:
        """An objective."""
        return cls(objective.name, objective.sign)

    @property
    def title(self) -> str:
        """Of an axis."""
        return escape(unit_of(self.name).heading(self.name))

    @property
    def column(self) -> Column:
        """Of a table."""
        return Column(unit_of(self.name).heading(self.name), "number", self._better)

    @property
    def _better(self) -> str:
        return f"{'larger' if self.sign > 0 else 'smaller'} is better"

    def __str__(self) -> str:
        return f"{self.name} ({self._better})"


def blank(x: dict[str, Any], y: dict[str, Any]) -> go.Figure:
    """An empty plot in the report's looks, with more options of plotly's for its axes."""
    figure = go.Figure()
    axis: dict[str, Any] = {
        "gridcolor": GRID,
        "linecolor": MUTED,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": MUTED,
        "automargin": True,
    }
    figure.update_layout(
        template="none",
        font={"family": FONT, "size": 13, "color": INK},
        margin={"l": 20, "r": 16, "t": 34, "b": 20},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hoverlabel={"bgcolor": "white", "font": {"family": FONT, "size": 13}, "align": "left"},
        hovermode="closest",
        xaxis=axis | x,
        yaxis=axis | y,
    )
    figure.update_xaxes(title_standoff=8)
    figure.update_yaxes(title_standoff=10)
    return figure


def add_points(
    figure: go.Figure,
    name: str,
    x: list[Any],
    y: list[Any],
    marker: dict[str, Any],
    hover: list[str],
) -> None:
    """Points of that name in the legend, with a text beside each that is pointed at."""
    figure.add_scatter(
        x=x, y=y, mode="markers", name=name, marker=marker, hovertext=hover, hoverinfo="text"
    )


def add_ring(figure: go.Figure, name: str, x: list[Any], y: list[Any], size: int) -> None:
    """A ring around one point."""
    marker = {"symbol": "circle-open", "size": size, "color": INK, "line": {"width": 2}}
    figure.add_scatter(x=x, y=y, mode="markers", name=name, marker=marker, hoverinfo="skip")


def add_named(
    figure: go.Figure, findings: Findings, rows: pd.DataFrame, x: list[Any], y: list[Any]
) -> None:
    """The named architectures among rows, each with its name beside it."""
    for place, mark in enumerate(rows["fingerprint"]):
        if mark in findings.named:
            figure.add_scatter(
                x=[x[place]],
                y=[y[place]],
                mode="markers+text",
                text=[escape(findings.named[mark])],
                textposition="top center",
                marker={"symbol": "star", "size": 11, "color": INK, "line": {"color": "white"}},
                hoverinfo="skip",
                showlegend=False,
            )


def add_steps(figure: go.Figure, name: str, x: list[Any], y: list[Any], legend: bool) -> None:
    """A line that keeps its height from each point to the next, in the legend or not."""
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=name,
        line={"color": VERMILLION, "width": 1.8, "shape": "hv"},
        hoverinfo="skip",
        showlegend=legend,
    )


def hover_texts(findings: Findings, rows: pd.DataFrame, proposals: bool = False) -> list[str]:
    """What is shown beside each architecture or proposal, in plotly's small subset of HTML."""
    columns = dict.fromkeys([*(o.name for o in findings.objectives), "parameters"])
    texts = []
    for row, words in zip(rows.to_dict("records"), findings.describe(rows), strict=True):
        lines = [f"<b>{escape(row['fingerprint'])}</b>"]
        # A number keeps to its noun.
        description = re.sub(r"(\d) ", "\\1\u00a0", words)
        lines += [escape(line) for line in textwrap.wrap(description, 38)]
        values = [(name, row[name]) for name in columns if not pd.isna(row[name])]
        lines += [f"{escape(name)} {unit_of(name).write(value)}" for name, value in values]
        if proposals:
            lines.append(f"proposal {row['trial']}")
        texts.append("<br>".join(lines))
    return texts


def escape(text: object) -> str:
    """A text of which plotly takes nothing for HTML."""
    return html.escape(str(text), quote=False)
