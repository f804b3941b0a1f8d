"""The figures of the analysis, each a pure function of numbers.

They are for print: as wide as a text of two columns (or one, where little is shown), no letter
below 7 pt, the colours of Okabe and Ito, and points as a bitmap where there are many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray
from scipy import stats

from archscout.analysis.axes import Axis
from archscout.analysis.kendall import Floats
from archscout.analysis.statistics import error_bars

WIDE = 6.3
"""Inches: a page's text."""
NARROW = 3.1
"""Inches: one of its two columns."""
BLUE, ORANGE, SKY, GREY = "#0072B2", "#D55E00", "#56B4E9", "#767676"
TEXT, TITLE = 7.0, 7.5
"""Points: letters, and those of titles."""

_COLUMNS = 3
_LONGEST_NAME = 44  # characters
_PART, _PARTS = 40, 20  # architectures in a part at least, parts at most
_DENSITY = LinearSegmentedColormap.from_list("density", ["#8CC6EC", BLUE, "#00253D"])
_STYLE: dict[Any, Any] = {
    "font.size": TEXT,
    "axes.titlesize": TITLE,
    "axes.labelsize": TEXT,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "legend.fontsize": TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def metric_grid(
    scores: pd.DataFrame,
    results: pd.Series,
    result_label: str,
    *,
    turned: pd.DataFrame | None = None,
    modified: bool = False,
) -> Figure:
    """Each metric against the trained result, one point an architecture.

    A panel has Kendall's τ-b, Spearman's ρ and the number of architectures: those of `turned`, by
    metric, in which both are positive where a metric predicts as it claims; without it those of
    the raw numbers (negative where larger scores go with smaller results), over the architectures
    with a finite score and a result. Darker points lie closer together; the line is the median
    result of equal parts by score. An axis is logarithmic where a metric spans magnitudes, to both
    sides of zero where it has both signs. Values far beyond the others stand at the edge, as
    triangles.
    """
    results = results.reindex(scores.index)
    with new_figure(len(scores.columns), row_height=1.75, modified=modified) as (figure, panels):
        trained = results[np.isfinite(results)].to_numpy(dtype=float)
        vertical = Axis.of(trained, may_bend=False)
        for axes, name in zip(panels, scores, strict=True):
            pair = pd.DataFrame({"score": scores[name], "result": results}).astype(float)
            pair = pair.loc[np.isfinite(pair.to_numpy()).all(axis=1)]
            _scatter(axes, pair["score"].to_numpy(), pair["result"].to_numpy(), vertical)
            found = _raw(pair) if turned is None else turned.loc[[name]].iloc[0]
            axes.set_title(f"{_title(name)}\n{correlations(found)}", linespacing=1.35)
        _label_left(figure, panels, result_label)
        _legend(figure, panels)
    return figure


def box_plots(scores: pd.DataFrame, results: pd.Series, *, modified: bool = False) -> Figure:
    """What other minibatches or initialisations do to the scores of some architectures.

    A panel is a metric, a box an architecture: its quartiles over the draws and the median, with
    a point for each draw and whiskers to the extremes. Architectures are ordered by their
    results, which are written below.
    """
    order = results.sort_values(kind="stable")
    labels = [_plain(value, 3) for value in order]
    with new_figure(len(scores.columns), row_height=1.5, modified=modified) as (figure, panels):
        for axes, name in zip(panels, scores, strict=True):
            drawn = [scores[name].xs(architecture).to_numpy(float) for architecture in order.index]
            _boxes(axes, [values[np.isfinite(values)] for values in drawn])
            axes.set_title(_title(name))
        for i, axes in enumerate(panels):
            lowest = i + _columns(len(panels)) >= len(panels)
            axes.set_xticks(range(len(order)), labels if lowest else [])
            axes.tick_params(axis="x", rotation=90, length=2.5 if lowest else 0)
        label = "result" if results.name is None else results.name
        figure.supxlabel(f"architectures by their trained result ({label})", size=TITLE)
        figure.supylabel("score", size=TITLE)
    return figure


def lines(curves: pd.DataFrame, x_label: str, y_label: str, *, modified: bool = False) -> Figure:
    """Curves of some architectures (columns) over a number (rows), labelled by where they end."""
    curves = curves.where(np.isfinite(curves.astype(float))).dropna(axis=1, how="all")
    with new_figure(1, row_height=3.0, modified=modified, width=WIDE * 0.75) as (figure, (axes,)):
        if curves.empty:
            say(axes, "no curve has a finite value")
            return figure
        ends = curves.ffill().iloc[-1].sort_values()
        spread = float(ends.max() - ends.min()) or 1.0
        colours = matplotlib.colormaps["viridis"]
        values = curves.to_numpy(dtype=float)
        low, high = np.nanmin(values), np.nanmax(values)
        margin = 0.04 * (high - low) or 0.5
        axes.set_ylim(low - margin, high + margin)
        if len(curves) > 1:
            axes.set_xlim(curves.index.min(), curves.index.max())
        bottom, top = axes.get_ylim()
        places = _apart(ends.to_numpy(dtype=float), 0.047 * (top - bottom), bottom, top)
        for place, (name, end) in zip(places, ends.items(), strict=True):
            colour = colours(0.8 * (end - ends.min()) / spread)
            axes.plot(curves.index, curves[name], color=colour, linewidth=1.1)
            beside = axes.get_yaxis_transform()
            axes.plot(
                [1.005, 1.045], [end, place], color=colour, lw=0.7, transform=beside, clip_on=False
            )
            label = f"{_plain(end, 3)}  (id {name})"
            axes.text(1.055, place, label, color=colour, transform=beside, va="center", size=TEXT)
        axes.set_xlabel(x_label, size=TITLE)
        axes.set_ylabel(y_label, size=TITLE)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        draw_grid(axes, "y")
    return figure


def spending(table: pd.DataFrame, *, modified: bool = False) -> Figure:
    """What strategies find for a budget: percentiles (rows budgets, columns strategies)."""
    with new_figure(1, row_height=3.0, modified=modified, width=WIDE * 0.75) as (figure, (axes,)):
        colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, table.shape[1]))
        for colour, name in zip(colours, table, strict=True):
            axes.plot(table.index, table[name], "o-", color=colour, markersize=3, label=name)
        axes.set_xscale("log")
        axes.set_xticks(table.index, [f"{budget:g}" for budget in table.index])
        axes.minorticks_off()
        axes.set_xlabel("budget, in full trainings", size=TITLE)
        axes.set_ylabel("better ones left in the pool, per cent", size=TITLE)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=TEXT)
        draw_grid(axes, "y")
    return figure


def bars(table: pd.DataFrame, statistic: str, title: str, *, modified: bool = False) -> Figure:
    """A statistic of some metrics (rows) with its 95 % intervals, largest first.

    The table has it, `<statistic>_low` and `<statistic>_high`; metrics without it are named below.
    """
    known = table[np.isfinite(table[statistic])].sort_values(statistic, kind="stable")
    missing = [str(name) for name in table.index.difference(known.index, sort=False)]
    height = 0.19 * max(len(known), 2) + (0.15 * len(missing) if missing else 0)
    size = {"row_height": height + 0.25, "width": WIDE * 0.8}
    with new_figure(1, modified=modified, **size) as (figure, (axes,)):
        values = known[statistic].to_numpy(dtype=float)
        positions = np.arange(len(known))
        colours = [BLUE if value >= 0 else ORANGE for value in values]
        axes.barh(positions, values, height=0.68, color=colours)
        axes.errorbar(
            values, positions, xerr=error_bars(known, statistic), fmt="none", ecolor="black",
            elinewidth=0.8, capsize=1.8, capthick=0.8,
        )  # fmt: skip
        for position, value in enumerate(values):
            text = f"{value:.3f}".replace("-", "−")
            axes.text(
                1.02, position, text, transform=axes.get_yaxis_transform(), va="center", size=TEXT
            )
        axes.set_yticks(positions, [shortened(name) for name in known.index])
        axes.set_ylim(-0.6, max(len(known), 1) - 0.4)
        axes.axvline(0, color="black", linewidth=0.6)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        draw_grid(axes, "x")
        label = title if not missing else "\n".join([title, "no value:", *missing])
        axes.set_xlabel(label, size=TITLE)
    return figure


@contextmanager
def new_figure(
    count: int, row_height: float, modified: bool, width: float | None = None
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of some panels, the style set while it is drawn; sizes in inches."""
    columns = _columns(count)
    rows = math.ceil(count / columns) if count else 1
    with matplotlib.rc_context(_STYLE):
        width = width or (NARROW if columns == 1 else WIDE)
        figure = Figure(figsize=(width, row_height * rows + 0.35), layout="constrained")
        panels = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
        for axes in panels:
            # Said here, for ticks that are made when drawing know no style.
            axes.tick_params(labelsize=TEXT, width=0.6, length=2.5, pad=2)
        if modified:
            mark = "modified data: not as published"
            figure.suptitle(mark, size=TEXT, color=ORANGE, x=0.995, ha="right")
        yield figure, panels
        # The layout is done once and stays, however often the figure is written.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def say(axes: Axes, text: str) -> None:
    """Write in a panel why it shows nothing."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", wrap=True)


def draw_grid(axes: Axes, axis: Literal["x", "y", "both"], colour: str = "#E4E4E4") -> None:
    """Lines at the ticks of an axis, behind all else."""
    axes.grid(axis=axis, color=colour, linewidth=0.5)
    axes.set_axisbelow(True)


def _columns(count: int) -> int:
    return max(1, min(_COLUMNS, count))


def _plain(value: float, digits: int) -> str:
    return f"{value:,.{max(0, digits - len(str(int(abs(value)))))}f}".replace("-", "−")


def _title(name: object) -> str:
    """A metric's name, on two lines where one is too short."""
    text = shortened(name)
    if len(text) <= 30:
        return text
    middle = len(text) // 2
    cuts = [i + 1 for i, letter in enumerate(text) if letter in "_-. [" and i + 1 < len(text)]
    cut = min(cuts, key=lambda i: abs(i - middle), default=middle)
    return f"{text[:cut]}\n{text[cut:]}"


def shortened(name: object, longest: int = _LONGEST_NAME) -> str:
    """A metric's name, without its middle where it is too long for a figure."""
    text = str(name)
    end = 3 * longest // 10
    return text if len(text) <= longest else f"{text[: longest - end - 1]}…{text[-end:]}"


def _raw(pair: pd.DataFrame) -> pd.Series[float]:
    """Kendall's τ-b and Spearman's ρ of numbers as they are; NaN where one is constant."""
    score, result = pair["score"], pair["result"]
    tau = rho = math.nan
    if len(pair) >= 3 and score.nunique() > 1 and result.nunique() > 1:
        tau = stats.kendalltau(score, result).statistic
        rho = stats.spearmanr(score, result).statistic
    return pd.Series({"n": len(pair), "kendall": tau, "spearman": rho})


def correlations(found: pd.Series[float]) -> str:
    """What a panel says of `n`, `kendall` and `spearman`."""
    count = f"n {found['n']:,.0f}"
    if pd.isna(found["kendall"]):
        return f"constant, {count}" if found["n"] >= 3 else count
    rho = f"   ρ {found['spearman']:.3f}" if pd.notna(found["spearman"]) else ""
    return f"τ {found['kendall']:.3f}{rho}   {count}".replace("-", "−")


def _scatter(axes: Axes, scores: Floats, results: Floats, vertical: Axis) -> None:
    horizontal = Axis.of(scores)
    x, y = horizontal.shown(scores), vertical.shown(results)
    sideways, up = horizontal.beyond(scores), vertical.beyond(results)
    inside = (sideways == 0) & (up == 0)
    order, density = _density(x[inside], y[inside])
    many = len(scores) > 1000
    axes.scatter(
        x[inside][order], y[inside][order], c=density, cmap=_DENSITY, vmin=0, vmax=1,
        s=2.5 if many else 7, alpha=0.8, linewidths=0, rasterized=True,
    )  # fmt: skip
    for marker, chosen in (
        ("<", sideways < 0),
        (">", sideways > 0),
        ("v", (up < 0) & (sideways == 0)),
        ("^", (up > 0) & (sideways == 0)),
    ):
        axes.scatter(
            x[chosen], y[chosen], marker=marker, s=9, facecolors="white", edgecolors="black",
            linewidths=0.5, clip_on=False, zorder=4, rasterized=bool(chosen.sum() > 200),
        )  # fmt: skip
    if len(line := medians(x, y)):
        axes.plot(*line.T, color="white", linewidth=2.2, zorder=5)
        axes.plot(*line.T, color=ORANGE, linewidth=1.2, zorder=6)
    horizontal.set_on(axes, "x")
    vertical.set_on(axes, "y")


def medians(x: Floats, y: Floats) -> Floats:
    """(k, 2) median places of equal parts of points by x; none where points are few."""
    if (count := min(len(x) // _PART, _PARTS)) <= 2:
        return np.empty((0, 2))
    parts = np.array_split(np.argsort(x, kind="stable"), count)
    return np.array([(np.median(x[part]), np.median(y[part])) for part in parts])


def _density(x: Floats, y: Floats) -> tuple[NDArray[np.intp], Floats]:
    """An order that puts dense points last, and how dense they lie in that order, from 0 to 1."""
    if len(x) < 2:
        return np.arange(len(x)), np.full(len(x), 0.5)
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=40)
    columns = np.clip(np.searchsorted(x_edges, x, "right") - 1, 0, 39)
    rows = np.clip(np.searchsorted(y_edges, y, "right") - 1, 0, 39)
    logs = np.log1p(counts[columns, rows])
    shares = logs / max(logs.max(), np.log1p(30.0))
    order = np.argsort(shares, kind="stable")
    return order, shares[order]


def _boxes(axes: Axes, groups: Sequence[Floats]) -> None:
    """One box a group, by their order."""
    every = np.concatenate(groups) if groups else np.array([])
    axis = Axis.of(every, cut=False)
    if not len(every):
        say(axes, "no finite score")
        return
    places = [axis.places(group) for group in groups]
    line = {"color": "black", "linewidth": 0.6}
    axes.boxplot(
        places, positions=range(len(places)), widths=0.66, whis=(0, 100), showcaps=False,
        patch_artist=True, whiskerprops=line, manage_ticks=False,
        boxprops={"facecolor": SKY, "edgecolor": "black", "linewidth": 0.5},
        medianprops={"color": ORANGE, "linewidth": 1.4, "solid_capstyle": "butt"},
    )  # fmt: skip
    for position, group in enumerate(places):
        beside = np.linspace(-0.2, 0.2, len(group)) if len(group) > 1 else np.zeros(len(group))
        axes.scatter(
            position + beside, group, s=1.5, color="black", alpha=0.65, linewidths=0, zorder=4
        )
    axes.set_xlim(-0.7, len(groups) - 0.3)
    axis.set_on(axes, "y")


def _label_left(figure: Figure, panels: Sequence[Axes], label: str) -> None:
    columns = _columns(len(panels))
    for i, axes in enumerate(panels):
        if i % columns:
            axes.tick_params(labelleft=False)
    if columns == 1 and len(panels) == 1:
        panels[0].set_ylabel(label, size=TITLE)
    else:
        figure.supylabel(label, size=TITLE)


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """What line and triangles mean, where there are any."""
    handles = []
    if any(axes.lines for axes in panels):
        label = "median result of equal parts"
        handles.append(Line2D([], [], color=ORANGE, linewidth=1.2, label=label))
    if any(np.size(drawn.get_offsets()) for axes in panels for drawn in axes.collections[1:]):
        triangle = Line2D([], [], linestyle="", marker="^", markersize=3, label="beyond the axis")
        triangle.set(markerfacecolor="white", markeredgecolor="black", markeredgewidth=0.5)
        handles.append(triangle)
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=TEXT
        )


def _apart(places: Floats, gap: float, low: float, high: float) -> Floats:
    """Sorted places, moved so that they are a gap apart within two ends, if there is room.

    What is too close becomes a group around its middle, and groups that meet become one.
    """
    groups: list[list[float]] = []
    for place in places:
        groups.append([float(place)])
        while len(groups) > 1 and _first(groups[-1], gap, low, high) < (
            _first(groups[-2], gap, low, high) + gap * len(groups[-2])
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return np.array(
        [_first(group, gap, low, high) + gap * i for group in groups for i in range(len(group))]
    )


def _first(group: Sequence[float], gap: float, low: float, high: float) -> float:
    """Where a group begins whose members are a gap apart."""
    extent = gap * (len(group) - 1)
    return max(low, min(sum(group) / len(group) - extent / 2, high - extent))
