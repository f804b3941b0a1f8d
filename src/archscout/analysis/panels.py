"""The figures of the analysis for a browser: they answer to the pointer, and fit any width.

What they show is what `analysis.figures` draws for print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from archscout.analysis.figures import correlations, medians, shortened
from archscout.report.axes import Axis
from archscout.report.figures import (
    BLUE,
    INK,
    MUTED,
    PALE_BLUE,
    VERMILLION,
    Figure,
    blank,
    escape,
)
from archscout.report.numbers import number

_MOST_POINTS = 500  # of a panel
_ROW = 19  # pixels of a bar
_NARROW = 22  # characters of a name beside a narrow plot
_SMALL = 300  # pixels of the height of a panel among many


def bars(table: pd.DataFrame, statistic: str, title: str) -> list[Figure]:
    """A statistic of some metrics (rows) with its 95 % intervals, the largest on top.

    The table has it, `<statistic>_low` and `<statistic>_high`; what lacks it is named below.
    """
    known = table[np.isfinite(table[statistic])].sort_values(statistic, kind="stable")
    missing = [f"`{name}`" for name in table.index.difference(known.index, sort=False)]
    caption = f"No value: {', '.join(missing)}." if missing else ""
    if known.empty:
        return []
    values, places = known[statistic].tolist(), list(range(len(known)))
    names = [str(name) for name in known.index]
    rows = {"tickvals": places, "range": [-0.7, len(known) - 0.3], "fixedrange": True}
    figure = blank(
        x={"title": title},
        y={**rows, "ticktext": [escape(shortened(name)) for name in names], "showgrid": False},
    )
    low, high = (known[f"{statistic}_{end}"].to_numpy(float) for end in ("low", "high"))
    error = {"array": above(high - values), "arrayminus": above(values - low), "width": 2}
    figure.add_bar(
        x=short(values),
        y=places,
        orientation="h",
        marker={"color": [BLUE if value >= 0 else VERMILLION for value in values]},
        error_x={**error, "type": "data", "color": INK, "thickness": 1},
        hovertext=[
            f"<b>{escape(name)}</b><br>{number(value, 3)} [{number(a, 3)}, {number(b, 3)}]"
            for name, value, a, b in zip(names, values, low, high, strict=True)
        ],
        hoverinfo="text",
    )
    # A second axis writes the values at the right, and shows only where something is drawn on it.
    figure.add_scatter(x=[0], y=[0], yaxis="y2", mode="markers", opacity=0, hoverinfo="skip")
    written = [f"{value:.3f}".replace("-", "−") for value in values]
    figure.update_layout(
        showlegend=False,
        bargap=0.3,
        yaxis2={
            **rows,
            **{"ticktext": written, "overlaying": "y", "side": "right", "automargin": True},
            **{"showgrid": False, "zeroline": False},
        },
        meta={"narrow": narrow_rows(names)},
    )
    figure.update_xaxes(zeroline=True, zerolinecolor=INK)
    label = f"{title} of {len(known)} metrics; the largest is {written[-1]}, of {names[-1]}."
    return [Figure.of(figure, label, caption, height=_ROW * len(known) + 110)]


def scatter(
    scores: pd.DataFrame,
    results: pd.Series,
    *,
    turned: pd.DataFrame,
    axes: Mapping[str, str],
    result_axis: str,
    captions: Mapping[str, str],
) -> list[Figure]:
    """Each metric against the trained result, a panel each, the best metric first.

    Args:
        scores: (n, M) a row an architecture.
        results: of the same.
        turned: `n`, `kendall` and `spearman` by metric, positive where a metric predicts as it
            claims.
        axes: title of the axis of scores, by metric.
        result_axis: title of that of results.
        captions: what is said below each panel.
    """
    order = turned.loc[list(scores)].sort_values("kendall", ascending=False, kind="stable").index
    results = results.reindex(scores.index).astype(float)
    panels = []
    for name in map(str, order):
        pair = pd.DataFrame({"score": scores[name].astype(float), "result": results})
        pair = pair[np.isfinite(pair.to_numpy()).all(axis=1)]
        said = correlations(turned.loc[[name]].iloc[0])
        caption, label = captions[name], f"{name} against the trained result: {said}."
        if pair.empty:
            caption = f"`{name}`: no trained architecture has a finite score. {caption}"
        across, up = (Axis.of(of, pair[of]) for of in ("score", "result"))
        figure = _against(pair, across, up)
        figure.update_layout(
            xaxis={"title": {"text": axes[name]}}, yaxis={"title": {"text": result_axis}}
        )
        entitle(figure, shortened(name, 38), said)
        figure.update_layout(showlegend=False, font={"size": 11})
        caption += across.edge
        panels.append(Figure.of(figure, label, caption, height=_SMALL, small=True))
    return panels


def _against(pair: pd.DataFrame, across: Axis, up: Axis) -> Any:
    """Points of an architecture each, and the median result of equal parts by score."""
    figure = blank(x=across.options(), y=up.options())
    few = pair.iloc[_spread(len(pair))]
    figure.add_scatter(
        x=short(across.place(few["score"])),
        y=short(up.place(few["result"])),
        mode="markers",
        marker={"color": BLUE, "size": 5, "opacity": 0.6},
        hovertext=[
            f"{escape(name)}<br>score {number(score, 4)}<br>result {number(result, 4)}"
            for name, score, result in few.itertuples()
        ],
        hoverinfo="text",
    )
    line = medians(pair["score"].to_numpy(), pair["result"].to_numpy())
    if len(line):
        figure.add_scatter(
            x=short(across.place(line[:, 0])),
            y=short(up.place(line[:, 1])),
            mode="lines",
            line={"color": VERMILLION, "width": 2},
            hoverinfo="skip",
        )
    return figure


def boxes(scores: pd.DataFrame, results: pd.Series) -> list[Figure]:
    """What other draws do to the scores of some architectures, a panel a metric.

    A box holds the draws of an architecture, with a point each; architectures are ordered by their
    trained results, which are written below.
    """
    order = results.sort_values(kind="stable")
    label = "result" if results.name is None else str(results.name)
    written = [number(value, 3) for value in order]
    panels = []
    for name in map(str, scores):
        drawn = [scores[name].xs(key).to_numpy(float) for key in order.index]
        drawn = [values[np.isfinite(values)] for values in drawn]
        axis = Axis.of("score", np.concatenate(drawn) if drawn else [])
        places = list(range(len(drawn)))
        figure = blank(
            x={"title": f"architectures by {label}", "tickvals": places, "ticktext": written},
            y={"title": "score", **axis.options()},
        )
        for place, values in zip(places, drawn, strict=True):
            figure.add_box(
                x=[place] * len(values),
                y=short(axis.place(values)),
                boxpoints="all",
                pointpos=0,
                jitter=0.4,
                marker={"color": INK, "size": 3},
                line={"color": BLUE, "width": 1},
                fillcolor=PALE_BLUE,
                hoverinfo="y",
            )
        entitle(figure, shortened(name, 38))
        figure.update_layout(showlegend=False, font={"size": 11})
        found = f"{name} of {len(places)} architectures in all draws."
        panels.append(Figure.of(figure, found, "", height=_SMALL, small=True))
    return panels


def spending(table: pd.DataFrame) -> list[Figure]:
    """What strategies find for a budget: percentiles (rows budgets, columns strategies)."""
    budgets = [float(budget) for budget in table.index]
    ticks = {"tickvals": budgets, "ticktext": [f"{budget:g}" for budget in budgets]}
    figure = blank(
        x={"title": "budget, in full trainings", "type": "log", **ticks},
        y={"title": "better ones left in the pool, per cent", "rangemode": "tozero"},
    )
    for (colour, dash), name in zip(LINES, table, strict=False):
        figure.add_scatter(
            x=budgets,
            y=short(table[name]),
            mode="lines+markers",
            name=str(name),
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=f"{escape(name)}: %{{y:.1f}} %<extra></extra>",
        )
    return [Figure.of(figure, "What a budget of training finds, by strategy.", "")]


# Colours and dashes of lines, told apart in grey, too.
LINES = (
    (MUTED, "dash"), (BLUE, "solid"), (VERMILLION, "solid"), ("#009E73", "dashdot"),
    ("#CC79A7", "longdash"), ("#E69F00", "dot"), ("#56B4E9", "solid"), ("#000000", "dashdot"),
)  # fmt: skip


def entitle(figure: Any, title: str, *lines: str) -> None:
    """Write a title above a plot's left end, and lines below it."""
    figure.add_annotation(
        text="<br>".join([f"<b>{escape(title)}</b>", *lines]),
        **{"x": 0, "xref": "paper", "xanchor": "left", "align": "left"},
        **{"y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "yshift": 4},
        font={"size": 13},
    )
    figure.update_layout(margin={"t": 34 + 18 * len(lines)})


def narrow_rows(names: Sequence[str]) -> dict[str, Any]:
    """What differs of rows with names beside them where a plot is narrow."""
    texts = [escape(shortened(name, _NARROW)) for name in names]
    return {"yaxis": {"ticktext": texts, "tickfont": {"size": 10}}}


def _spread(count: int) -> np.ndarray:
    """Places of as many rows as a panel may have, evenly over all of them."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(int))


def short(values: Any) -> list[float]:
    """Numbers in no more digits than a plot shows."""
    return [float(f"{value:.5g}") for value in values]


def above(values: np.ndarray) -> list[float]:
    """Lengths, of which a rounding may leave some below zero."""
    return short(np.nan_to_num(np.maximum(values, 0)))
