"""The figures of a leaderboard for a browser; `leaderboard.figures` draws them for print."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from archscout.analysis.figures import shortened
from archscout.analysis.leaderboard.figures import apart, front_of, trained_title
from archscout.analysis.panels import LINES, above, narrow_rows, short
from archscout.analysis.search_comparison import ROUND_BUDGETS
from archscout.report.figures import BLUE, INK, MUTED, VERMILLION, Figure, blank, escape
from archscout.report.numbers import number

_ROW = 14  # pixels of a row of a heat map
_SCALE = [[0.0, VERMILLION], [0.5, "#F7F7F7"], [1.0, BLUE]]


def cost_plot(
    table: pd.DataFrame, *, x_label: str, y_label: str, baselines: Sequence[str] = ()
) -> list[Figure]:
    """How well metrics predict against what they cost.

    Metrics than which no cheaper one is better are joined by a line, and have their names beside
    them, but for the baselines; every point says its name where it is pointed at.
    """
    known = table[(table["milliseconds"] > 0) & np.isfinite(table["kendall"])]
    if known.empty:
        return []
    front = front_of(known["milliseconds"], known["kendall"])
    figure = blank(
        x={"title": x_label, "type": "log", "tickformat": "~g", "nticks": 6},
        y={"title": y_label, "zeroline": True, "zerolinecolor": INK},
    )
    line = known.loc[front]
    figure.add_scatter(
        x=short(line["milliseconds"]),
        y=short(line["kendall"]),
        mode="lines",
        name="no cheaper metric is better",
        line={"color": BLUE, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
    )
    sized = known.index.isin(baselines)
    ahead = known.index.isin(front) & ~sized
    for name, chosen, colour, symbol, mode in (
        ("metric", ~sized & ~ahead, MUTED, "circle", "markers"),
        ("metric on the line", ahead, BLUE, "circle", "markers+text"),
        ("baseline of size", sized, VERMILLION, "square", "markers"),
    ):
        rows = known[chosen]
        low, high = (rows[f"kendall_{end}"].to_numpy(float) for end in ("low", "high"))
        values = rows["kendall"].to_numpy(float)
        error = {"array": above(high - values), "arrayminus": above(values - low)}
        figure.add_scatter(
            x=short(rows["milliseconds"]),
            y=short(values),
            mode=mode,
            name=name,
            text=[escape(shortened(metric, 26)) for metric in rows.index],
            textposition=["top center", "bottom center"] * (len(rows) // 2) + ["top center"],
            textfont={"size": 11},
            cliponaxis=False,
            marker={"color": colour, "symbol": symbol, "size": 7},
            error_y={**error, "type": "data", "color": "#c8ccd2", "thickness": 1, "width": 0},
            hovertext=[
                f"<b>{escape(metric)}</b><br>τ-b {number(row.kendall, 3)} "
                f"[{number(row.kendall_low, 3)}, {number(row.kendall_high, 3)}]"
                f"<br>{number(row.milliseconds, 3)} ms"
                for metric, row in zip(rows.index, rows.itertuples(), strict=True)
            ],
            hoverinfo="text",
        )
    label = f"{y_label} against {x_label} of {len(known)} metrics."
    return [Figure.of(figure, label, "", height=520)]


def heat_map(correlations: pd.DataFrame, clusters: pd.Series, label: str) -> list[Figure]:
    """Correlations among metrics (M, M), with a frame around each cluster of several."""
    names = [str(name) for name in correlations.index]
    places = list(range(len(names)))
    rows = {"tickvals": places, "ticktext": [escape(shortened(name)) for name in names]}
    ends = [len(names) - 0.5, -0.5]
    figure = blank(
        x={"visible": False, "range": ends[::-1], "fixedrange": True},
        y={**rows, "range": ends, "fixedrange": True, "showgrid": False, "ticks": ""},
    )
    figure.update_yaxes(tickfont={"size": 11})
    values = correlations.to_numpy(float)
    figure.add_heatmap(
        x=places,
        y=places,
        z=[[None if np.isnan(value) else round(value, 3) for value in row] for row in values],
        customdata=names,
        text=[names] * len(names),
        zmin=-1,
        zmax=1,
        colorscale=_SCALE,
        colorbar={"title": {"text": label, "side": "right"}, "thickness": 12, "len": 0.9},
        hovertemplate="%{text}<br>%{z:.3f}<extra></extra>",
    )
    for members in clusters.groupby(clusters).groups.values():
        if len(members) > 1:
            low = names.index(str(members[0])) - 0.5
            high = low + len(members)
            figure.add_shape(x0=low, x1=high, y0=low, y1=high, line={"color": INK, "width": 1.5})
    narrow = narrow_rows(names)
    figure.update_layout(meta={"narrow": narrow})
    said = f"{label} between {len(names)} metrics; {clusters.nunique()} clusters."
    return [Figure.of(figure, said, "", height=max(260, _ROW * len(names) + 70))]


def search_curves(
    found: pd.DataFrame, result_label: str, larger_is_better: bool, best: float
) -> list[Figure]:
    """What searches find against the number of architectures scored, one for each `trained`.

    A line is the mean over random orders, a bar their middle half at round numbers of
    architectures from 10 on, and the dotted line the best result that there is to find.
    """
    names = [str(name) for name in found["search"].unique()]
    way = "larger" if larger_is_better else "smaller"
    plots = []
    for trained, part in apart(found).items():
        title = trained_title(trained)
        if part.empty:
            continue
        figure = blank(
            x={"title": "architectures scored", "type": "log", "tickformat": "~g", "nticks": 6},
            y={"title": f"best {result_label} found ({way} is better)"},
        )
        ends = short([part["scored"].min(), part["scored"].max()])
        figure.add_scatter(
            x=ends,
            y=[best, best],
            mode="lines",
            name="the best of all",
            line={"color": INK, "width": 1, "dash": "dot"},
            hoverinfo="skip",
        )
        for name, (colour, dash) in zip(names, itertools.cycle(LINES), strict=False):
            curve = part[part["search"] == name].sort_values("scored")
            marked = curve["scored"].isin(ROUND_BUDGETS) & (curve["scored"] >= 10)
            half = [curve["upper"] - curve["mean"], curve["mean"] - curve["lower"]]
            array, arrayminus = (above(side.where(marked, 0).to_numpy(float)) for side in half)
            figure.add_scatter(
                x=curve["scored"].tolist(),
                y=short(curve["mean"]),
                mode="lines",
                name=escape(shortened(name)),
                line={"color": colour, "dash": dash, "width": 2},
                error_y={
                    "type": "data", "array": array, "arrayminus": arrayminus, "width": 0,
                    "thickness": 1, "color": colour,
                },
                hovertemplate=f"{escape(name)}: %{{y:.5~g}} at %{{x}}<extra></extra>",
            )  # fmt: skip
        label = f"{title}: the best {result_label} that {len(names)} searches find."
        plots.append(Figure.of(figure, label, f"{title.capitalize()}."))
    return plots
