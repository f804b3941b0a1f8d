"""Plots of the search itself: what was proposed, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from archscout.report.axes import Axis
from archscout.report.figures import (
    BLUE,
    INK,
    MUTED,
    Figure,
    Quantity,
    add_points,
    add_steps,
    blank,
    hover_texts,
)
from archscout.report.findings import FAILED, OUTSIDE, SCORED, Findings
from archscout.report.numbers import count, unit_of

_FEW = 10
_SYMBOLS = {FAILED: "x-thin-open", OUTSIDE: "line-ns-open"}


def plot_histories(findings: Findings) -> list[Figure]:
    """For each objective, the value of every proposal in order."""
    goals = [Quantity.of(o) for o in findings.objectives]
    return [_plot(findings, goal) for goal in goals] if len(findings.scored) else []


def _plot(findings: Findings, goal: Quantity) -> Figure:
    rows = findings.proposals
    scored = rows[rows["outcome"] == SCORED]
    missing = [kind for kind in (FAILED, OUTSIDE) if (rows["outcome"] == kind).any()]
    up = Axis.of(goal.name, scored[goal.name])
    edge = 0.5 + 0.02 * len(rows)
    whole = {"dtick": 1} if len(rows) < _FEW else {}
    figure = blank(
        x={"title": "proposal", "range": [-edge, len(rows) - 1 + edge], **whole},
        y={"title": goal.title, **up.options()},
    )
    again = scored["repeated"]
    for name, chosen, marker in (
        ("new architecture", scored[~again], {"size": 6, "color": BLUE, "opacity": 0.65}),
        ("proposed before", scored[again], {"size": 6, "color": MUTED, "symbol": "circle-open"}),
    ):
        places = list(chosen["trial"]), up.place(chosen[goal.name])
        add_points(figure, name, *places, marker, hover_texts(findings, chosen, True))
    best = list(goal.sign * (goal.sign * scored[goal.name]).cummax())
    times = [*scored["trial"], rows["trial"].max()]
    add_steps(figure, "best so far", times, up.place([*best, best[-1]]), legend=True)
    _add_strip(figure, findings, missing)
    caption = f"Every proposal's {goal}, in order; the line is the best value so far. {up.note}"
    if missing:
        caption += " Proposals without a value stand below the plot: " + " and ".join(missing) + "."
    label = (
        f"{goal.name} of {count(len(scored), 'proposal')} over the search; "
        f"the best ends at {unit_of(goal.name).write(best[-1])}."
    )
    return Figure(figure, label, " ".join(caption.split()))


def _add_strip(figure: go.Figure, findings: Findings, kinds: Sequence[str]) -> None:
    """Below the plot, one line of marks for each reason why a proposal has no value."""
    if not kinds:
        return
    for kind in kinds:
        chosen: pd.DataFrame = findings.proposals[findings.proposals["outcome"] == kind]
        figure.add_scatter(
            x=list(chosen["trial"]),
            y=[kind] * len(chosen),
            yaxis="y2",
            mode="markers",
            marker={"size": 7, "color": INK, "symbol": _SYMBOLS[kind]},
            hovertext=hover_texts(findings, chosen, True),
            hoverinfo="text",
            showlegend=False,
        )
    height = 0.07 * len(kinds)
    figure.update_layout(
        yaxis={"domain": [height + 0.05, 1]},
        yaxis2={
            "type": "category",
            "domain": [0, height],
            "range": [-0.6, len(kinds) - 0.4],
            "tickvals": [FAILED, OUTSIDE],
            "ticktext": ["not finite", "outside"],
            "fixedrange": True,
            "showgrid": False,
            "automargin": True,
        },
        xaxis={"anchor": "y2"},
    )
