"""Plots of a run: what is given up for what, what was proposed, and what scoring cost."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from archscout.report.axes import Axis
from archscout.report.figures import (
    BLUE,
    INK,
    MUTED,
    PALE_BLUE,
    VERMILLION,
    Figure,
    Quantity,
    add_named,
    add_points,
    add_ring,
    add_steps,
    blank,
    hover_texts,
)
from archscout.report.findings import FAILED, OUTSIDE, SCORED, Findings, pareto, sample
from archscout.report.numbers import count, number, unit_of

_FEW_PROPOSALS = 10
_SYMBOLS = {FAILED: "x-thin-open", OUTSIDE: "line-ns-open"}
_MOST_BINS = 40
# More points of a kind make a page slow, and cover each other.
_MOST_POINTS = 3000
_FEW_TIMES = 8


def plot_trade_offs(findings: Findings) -> list[Figure]:
    """Each objective against the parameters, then the objectives against each other."""
    goals = [Quantity.of(o) for o in findings.objectives]
    parameters = next((g for g in goals if g.name == "parameters"), Quantity("parameters", -1))
    others = [goal for goal in goals if goal.name != "parameters"]
    pairs = [(parameters, other) for other in others] + list(combinations(others, 2))
    return [_trade_off(findings, x, y) for x, y in pairs] if len(findings.scored) else []


def _trade_off(findings: Findings, x: Quantity, y: Quantity) -> Figure:
    rows = findings.scored
    across, up = Axis.of(x.name, rows[x.name]), Axis.of(y.name, rows[y.name])
    on_front = pareto(x.sign * rows[x.name], y.sign * rows[y.name])
    figure = blank(x={"title": x.title, **across.options()}, y={"title": y.title, **up.options()})
    others = {"color": BLUE, "size": 7, "opacity": 0.55}
    members = {"color": VERMILLION, "size": 10, "symbol": "diamond", "line": {"color": "white"}}
    drawn = sample(rows, on_front, _MOST_POINTS)
    beaten = drawn[~on_front[drawn.index]]
    for name, chosen, marker in (
        ("architecture", beaten, others),
        ("on the Pareto front of these two", rows[on_front], members),
    ):
        places = across.place(chosen[x.name]), up.place(chosen[y.name])
        add_points(figure, name, *places, marker, hover_texts(findings, chosen))
    # The front's line leads from the best x to the worst that was found.
    front = rows[on_front].sort_values(x.name, ascending=x.sign < 0).drop_duplicates(x.name)
    worst = rows[x.name].max() if x.sign < 0 else rows[x.name].min()
    line = across.place([*front[x.name], worst]), up.place([*front[y.name], front[y.name].iloc[-1]])
    add_steps(figure, "Pareto front", *line, legend=False)
    add_named(figure, findings, rows, across.place(rows[x.name]), up.place(rows[y.name]))
    first = rows.iloc[0]
    add_ring(figure, "ranked first", across.place([first[x.name]]), up.place([first[y.name]]), 17)
    total = count(len(rows), "scored architecture")
    caption = (
        f"{total} by {y} and {x}. The step line is the Pareto front: nothing found is better than "
        f"it in one and as good in the other. {_drawn(drawn, rows)} {up.note} {across.note}"
    )
    label = f"{y.name} against {x.name} of {total}, {on_front.sum()} of them on the Pareto front."
    return Figure.of(figure, label, caption)


def plot_histories(findings: Findings) -> list[Figure]:
    """For each objective, the value of every proposal in order."""
    goals = [Quantity.of(o) for o in findings.objectives]
    return [_history(findings, goal) for goal in goals] if len(findings.scored) else []


def _history(findings: Findings, goal: Quantity) -> Figure:
    rows = findings.proposals
    scored = rows[rows["outcome"] == SCORED]
    missing = {kind: rows[rows["outcome"] == kind] for kind in (FAILED, OUTSIDE)}
    missing = {kind: chosen for kind, chosen in missing.items() if len(chosen)}
    up = Axis.of(goal.name, scored[goal.name])
    edge = 0.5 + 0.02 * len(rows)
    whole = {"dtick": 1} if len(rows) < _FEW_PROPOSALS else {}
    figure = blank(
        x={"title": "proposal", "range": [-edge, len(rows) - 1 + edge], **whole},
        y={"title": goal.title, **up.options()},
    )
    best = (goal.sign * scored[goal.name]).cummax()
    better = best.diff().ne(0)  # than all before
    drawn = sample(scored, better, _MOST_POINTS)
    new, old = drawn[~drawn["repeated"]], drawn[drawn["repeated"]]
    for name, chosen, marker in (
        ("new architecture", new, {"size": 6, "color": BLUE, "opacity": 0.65}),
        ("proposed before", old, {"size": 6, "color": MUTED, "symbol": "circle-open"}),
    ):
        places = list(chosen["trial"]), up.place(chosen[goal.name])
        add_points(figure, name, *places, marker, hover_texts(findings, chosen, True))
    first = scored[~scored["repeated"]]
    add_named(figure, findings, first, list(first["trial"]), up.place(first[goal.name]))
    steps = list(goal.sign * best[better])
    times = [*scored["trial"][better], rows["trial"].max()]
    add_steps(figure, "best so far", times, up.place([*steps, steps[-1]]), legend=True)
    caption = (
        f"Every proposal's {goal}, in order; the line is the best value so far. "
        f"{_drawn(drawn, scored)} {up.note}"
    )
    if missing:
        _add_strip(figure, findings, missing)
        caption += " Proposals without a value stand below the plot: " + " and ".join(missing) + "."
    label = (
        f"{goal.name} of {count(len(scored), 'proposal')} over the search; "
        f"the best ends at {unit_of(goal.name).write(steps[-1])}."
    )
    return Figure.of(figure, label, caption)


def _add_strip(figure: go.Figure, findings: Findings, missing: dict[str, pd.DataFrame]) -> None:
    """Below the plot, one line of marks for each reason why a proposal has no value."""
    for kind, rows in missing.items():
        chosen = sample(rows, pd.Series(False, rows.index), _MOST_POINTS)
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
    height = 0.07 * len(missing)
    figure.update_layout(
        yaxis={"domain": [height + 0.05, 1]},
        yaxis2={
            "type": "category",
            "domain": [0, height],
            "range": [-0.6, len(missing) - 0.4],
            "tickvals": [FAILED, OUTSIDE],
            "ticktext": ["not finite", "outside"],
            "fixedrange": True,
            "showgrid": False,
            "automargin": True,
        },
        xaxis={"anchor": "y2"},
    )


def _drawn(drawn: pd.DataFrame, rows: pd.DataFrame) -> str:
    """That a plot shows a sample, where it does."""
    if len(drawn) == len(rows):
        return ""
    return f"{len(drawn):,} of the {len(rows):,} are drawn: those on the line, and a sample."


def plot_scoring_time(findings: Findings) -> list[Figure]:
    """How many architectures took how long to score."""
    times = findings.milliseconds
    if not len(times):
        return []
    middle = float(np.median(times))
    median = number(middle, 3)
    heights, edges, above = histogram(times)
    whole = {"dtick": 1} if heights.max() < _FEW_TIMES else {}
    figure = blank(
        x={"title": "milliseconds per architecture", "range": [0, 1.05 * edges[-1]]},
        y={"title": "architectures", "range": [0, 1.08 * heights.max()], **whole},
    )
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=heights,
        width=np.diff(edges),
        marker={"color": PALE_BLUE, "line": {"color": "white", "width": 1}},
        hovertext=[
            f"{number(low, 3)} to {number(high, 3)} ms: {count(int(height), 'architecture')}"
            for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True)
        ],
        hoverinfo="text",
        showlegend=False,
    )
    figure.add_scatter(
        x=[middle] * 2,
        y=[0, 1.05 * heights.max()],
        mode="lines",
        line={"color": INK, "dash": "dash", "width": 1.5},
        name=f"median {median} ms",
        hoverinfo="skip",
        showlegend=True,
    )
    caption = (
        f"Time for building and scoring each of {count(len(times), 'architecture')}; the median "
        f"is {median} ms, the slowest {number(times.max(), 3)} ms. An architecture that is "
        "proposed again is not scored again."
    )
    if above:
        caption += f" The last bar also holds {above:,} that took longer than the axis reaches."
    return [Figure.of(figure, f"Milliseconds per architecture; the median is {median}.", caption)]


def histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Bars over positive values, a few far above the rest being counted in the last one.

    These are heights (n,), edges (n + 1,), and how many values are above the last edge.
    """
    top = min(float(values.max()), 1.5 * float(np.quantile(values, 0.95)))
    low = float(values.min())
    if math.isclose(low, top):  # between which there is no room for edges
        low, top = 0.9 * low, 1.1 * top
    edges = np.linspace(low, top, min(_MOST_BINS, math.ceil(math.sqrt(len(values)))) + 1)
    heights, _ = np.histogram(values.clip(max=top), edges)
    return heights, edges, int((values > top).sum())
