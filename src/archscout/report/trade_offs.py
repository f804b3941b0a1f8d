"""Plots of what is given up for what: score against parameters, objective against objective."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
import plotly.graph_objects as go

from archscout.report.axes import Axis
from archscout.report.figures import (
    BLUE,
    INK,
    VERMILLION,
    Figure,
    Quantity,
    add_points,
    add_steps,
    blank,
    hover_texts,
)
from archscout.report.findings import Findings, pareto
from archscout.report.numbers import count


def plot_trade_offs(findings: Findings) -> list[Figure]:
    """Each objective against the parameters, then the objectives against each other."""
    goals = [Quantity.of(o) for o in findings.objectives]
    parameters = next((g for g in goals if g.name == "parameters"), Quantity("parameters", -1))
    others = [goal for goal in goals if goal.name != "parameters"]
    pairs = [(parameters, other) for other in others] + list(combinations(others, 2))
    return [_plot(findings, x, y) for x, y in pairs] if len(findings.scored) else []


def _plot(findings: Findings, x: Quantity, y: Quantity) -> Figure:
    rows = findings.scored
    across, up = Axis.of(x.name, rows[x.name]), Axis.of(y.name, rows[y.name])
    on_front = pareto(x.sign * rows[x.name], y.sign * rows[y.name])
    figure = blank(x={"title": x.title, **across.options()}, y={"title": y.title, **up.options()})
    others = {"color": BLUE, "size": 7, "opacity": 0.55}
    members = {"color": VERMILLION, "size": 10, "symbol": "diamond", "line": {"color": "white"}}
    for name, chosen, marker in (
        ("architecture", rows[~on_front], others),
        ("on the Pareto front of these two", rows[on_front], members),
    ):
        places = across.place(chosen[x.name]), up.place(chosen[y.name])
        add_points(figure, name, *places, marker, hover_texts(findings, chosen))
    _draw_front(figure, rows, on_front, x, across, up)
    _ring_best(figure, rows.iloc[0], across, up)
    total = count(len(rows), "scored architecture")
    caption = (
        f"{total} by {y} and {x}. The step line is the Pareto front: nothing found is better than "
        f"it in one and as good in the other. {up.note} {across.note}"
    )
    label = f"{y.name} against {x.name} of {total}, {on_front.sum()} of them on the Pareto front."
    return Figure(figure, label, " ".join(caption.split()))


def _draw_front(
    figure: go.Figure,
    rows: pd.DataFrame,
    on_front: pd.Series[bool],
    x: Quantity,
    across: Axis,
    up: Axis,
) -> None:
    """A step line through the front, from the best x to the worst that was found."""
    front = rows[on_front].sort_values(x.name, ascending=x.sign < 0).drop_duplicates(x.name)
    worst = rows[x.name].max() if x.sign < 0 else rows[x.name].min()
    heights = list(front[up.name])
    add_steps(
        figure,
        "Pareto front",
        across.place([*front[x.name], worst]),
        up.place([*heights, heights[-1]]),
        legend=False,
    )


def _ring_best(figure: go.Figure, row: pd.Series[float], across: Axis, up: Axis) -> None:
    """A ring around the architecture that ranks first."""
    figure.add_scatter(
        x=across.place([row[across.name]]),
        y=up.place([row[up.name]]),
        mode="markers",
        name="ranked first",
        marker={"symbol": "circle-open", "size": 17, "color": INK, "line": {"width": 2}},
        hoverinfo="skip",
    )
