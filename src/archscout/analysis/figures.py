"""The figures of the analysis, each a pure function of numbers.

They are for print: as wide as a text of two columns (or one, where little is shown), no letter
below 7 pt, the colours of Okabe and Ito, and points as a bitmap where there are many.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from scipy import stats

from archscout.analysis.search_comparison import ROUND_BUDGETS

Floats = NDArray[np.float64]

WIDE = 6.3
"""Inches: a page's text."""
NARROW = 3.1
"""Inches: one of its two columns."""
BLUE, ORANGE, SKY, GREY = "#0072B2", "#D55E00", "#56B4E9", "#767676"

_TEXT, _TITLE = 7.0, 7.5  # pt
_COLUMNS = 3
_LONGEST_NAME = 44  # characters
_FEW = 100  # architectures, below which none counts as far beyond the others
_PART, _PARTS = 40, 20  # architectures in a part at least, parts at most
_DENSITY = LinearSegmentedColormap.from_list("density", ["#8CC6EC", BLUE, "#00253D"])
_SIGNED = LinearSegmentedColormap.from_list("signed", [ORANGE, "#F7F7F7", BLUE])
# Told apart in grey, too.
_LINES = [
    (GREY, "--"), (BLUE, "-"), (ORANGE, "-"), ("#009E73", "-."), ("#CC79A7", (0, (4, 1))),
    ("#E69F00", (0, (1, 1))), (SKY, "-"), ("black", "-."),
]  # fmt: skip
# Where a label may stand beside its point, pt: the nearest first.
_BESIDE = [
    (5, 0), (-5, 0), (0, 8), (0, -8), (5, 7), (5, -7), (-5, 7), (-5, -7),
    *((right, up) for up in (14, -14, 22, -22) for right in (6, -6, 16, -16)),
]  # fmt: skip
_LEADER: dict[str, Any] = {
    "arrowstyle": "-",
    "linewidth": 0.4,
    "color": "#909090",
    "shrinkA": 0,
    "shrinkB": 2,
}
_HALO = withStroke(linewidth=1.8, foreground="white")
_STYLE: dict[Any, Any] = {
    "font.size": _TEXT,
    "axes.titlesize": _TITLE,
    "axes.labelsize": _TEXT,
    "xtick.labelsize": _TEXT,
    "ytick.labelsize": _TEXT,
    "legend.fontsize": _TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def metric_grid(
    scores: pd.DataFrame, results: pd.Series, result_label: str, *, modified: bool = False
) -> Figure:
    """Each metric against the trained result, one point an architecture.

    A panel has Kendall's τ-b and Spearman's ρ of the raw numbers (negative where larger scores
    go with smaller results) and the number of architectures with a finite score and a result.
    Darker points lie closer together; the line is the median result of equal parts by
    score. An axis is logarithmic where a metric spans magnitudes, to both sides of zero where it
    has both signs. Values far beyond the others stand at the edge, as triangles.

    Args:
        scores: by architecture (rows) and metric (columns).
        results: by architecture.
        result_label: of the results' axis.
        modified: whether to mark the figure as made from modified data.
    """
    results = results.reindex(scores.index)
    with _figure(len(scores.columns), row_height=1.75, modified=modified) as (figure, panels):
        trained = results[np.isfinite(results)].to_numpy(dtype=float)
        vertical = _axis(trained, may_bend=False)
        for axes, name in zip(panels, scores, strict=True):
            pair = pd.DataFrame({"score": scores[name], "result": results}).astype(float)
            pair = pair.loc[np.isfinite(pair.to_numpy()).all(axis=1)]
            _scatter(axes, pair["score"].to_numpy(), pair["result"].to_numpy(), vertical)
            axes.set_title(f"{_title(name)}\n{_correlations(pair)}", linespacing=1.35)
        _label_left(figure, panels, result_label)
        _legend(figure, panels)
    return figure


def box_plots(scores: pd.DataFrame, results: pd.Series, *, modified: bool = False) -> Figure:
    """What other minibatches or initialisations do to the scores of some architectures.

    A panel is a metric, a box an architecture: its quartiles over the draws and the median, with
    a point for each draw and whiskers to the extremes. Architectures are ordered by their
    results, which are written below.

    Args:
        scores: by (architecture, draw) and metric.
        results: by architecture, named as what it is.
        modified: whether to mark the figure as made from modified data.
    """
    order = results.sort_values(kind="stable")
    labels = [_plain(value, 3) for value in order]
    with _figure(len(scores.columns), row_height=1.5, modified=modified) as (figure, panels):
        for axes, name in zip(panels, scores, strict=True):
            drawn = [scores[name].xs(architecture).to_numpy(float) for architecture in order.index]
            _boxes(axes, [values[np.isfinite(values)] for values in drawn])
            axes.set_title(_title(name))
        for i, axes in enumerate(panels):
            lowest = i + _columns(len(panels)) >= len(panels)
            axes.set_xticks(range(len(order)), labels if lowest else [])
            axes.tick_params(axis="x", rotation=90, length=2.5 if lowest else 0)
        label = "result" if results.name is None else results.name
        figure.supxlabel(f"architectures by their trained result ({label})", size=_TITLE)
        figure.supylabel("score", size=_TITLE)
    return figure


def lines(curves: pd.DataFrame, x_label: str, y_label: str, *, modified: bool = False) -> Figure:
    """Curves of some architectures, coloured and labelled by where they end.

    Args:
        curves: by what goes on (rows, a number) and architecture (columns).
        x_label: of the rows.
        y_label: of the values.
        modified: whether to mark the figure as made from modified data.
    """
    with _figure(1, row_height=3.0, modified=modified, width=WIDE * 0.75) as (figure, panels):
        axes = panels[0]
        ends = curves.ffill().iloc[-1].sort_values()
        spread = float(ends.max() - ends.min()) or 1.0
        colours = matplotlib.colormaps["viridis"]
        values = curves.to_numpy(dtype=float)
        low, high = np.nanmin(values), np.nanmax(values)
        axes.set_ylim(low - 0.04 * (high - low), high + 0.04 * (high - low))
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
            axes.text(1.055, place, label, color=colour, transform=beside, va="center", size=_TEXT)
        axes.set_xlabel(x_label, size=_TITLE)
        axes.set_ylabel(y_label, size=_TITLE)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(axis="y", color="#E4E4E4", linewidth=0.5)
        axes.set_axisbelow(True)
    return figure


def bars(table: pd.DataFrame, statistic: str, title: str, *, modified: bool = False) -> Figure:
    """A statistic of some metrics with its 95 % intervals, largest first.

    Args:
        table: by metric, with the columns `<statistic>`, `<statistic>_low` and `<statistic>_high`.
        statistic: what is shown; metrics without it are named below the bars.
        title: of its axis.
        modified: whether to mark the figure as made from modified data.
    """
    known = table[table[statistic].notna()].sort_values(statistic, kind="stable")
    missing = [str(name) for name in table.index.difference(known.index, sort=False)]
    height = 0.19 * max(len(known), 2) + (0.15 * len(missing) if missing else 0)
    with _figure(1, row_height=height + 0.25, modified=modified, width=WIDE * 0.8) as (
        figure,
        panels,
    ):
        axes = panels[0]
        values = known[statistic].to_numpy(dtype=float)
        ends = known[[f"{statistic}_low", f"{statistic}_high"]].to_numpy(dtype=float)
        beside = np.abs(ends - values[:, None])
        positions = np.arange(len(known))
        colours = [BLUE if value >= 0 else ORANGE for value in values]
        axes.barh(positions, values, height=0.68, color=colours)
        axes.errorbar(
            values, positions, xerr=np.nan_to_num(beside).T, fmt="none", ecolor="black",
            elinewidth=0.8, capsize=1.8, capthick=0.8,
        )  # fmt: skip
        for position, value in enumerate(values):
            text = f"{value:.3f}".replace("-", "−")
            axes.text(
                1.02, position, text, transform=axes.get_yaxis_transform(), va="center", size=_TEXT
            )
        axes.set_yticks(positions, [_shortened(name) for name in known.index])
        axes.set_ylim(-0.6, max(len(known), 1) - 0.4)
        axes.axvline(0, color="black", linewidth=0.6)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#E4E4E4", linewidth=0.5)
        axes.set_axisbelow(True)
        label = title if not missing else "\n".join([title, "no value:", *missing])
        axes.set_xlabel(label, size=_TITLE)
    return figure


def cost_plot(
    table: pd.DataFrame,
    *,
    x_label: str,
    y_label: str,
    baselines: Sequence[str] = (),
    modified: bool = False,
) -> Figure:
    """How well metrics predict against what they cost.

    Metrics than which no cheaper one is better are joined by a line. Labels stand beside their
    points as long as there is room: those of the front and the baselines first, then the best.

    Args:
        table: by metric, with the columns `milliseconds`, `kendall`, `kendall_low` and
            `kendall_high`; metrics without a value of either are left out.
        x_label: of the cost.
        y_label: of the statistic.
        baselines: metrics that are drawn as such.
        modified: whether to mark the figure as made from modified data.
    """
    known = table[(table["milliseconds"] > 0) & table["kendall"].notna()]
    known = known.sort_values("kendall", ascending=False, kind="stable")
    front = _front(known["milliseconds"], known["kendall"])
    colours = {
        str(name): ORANGE if name in baselines else BLUE if name in front else GREY
        for name in known.index
    }
    with _figure(1, row_height=4.4, modified=modified, width=WIDE) as (figure, panels):
        axes = panels[0]
        _draw_costs(axes, known, colours, front)
        axes.set_xlabel(x_label, size=_TITLE)
        axes.set_ylabel(y_label, size=_TITLE)
        emphasised = [name for name in colours if colours[name] != GREY]
        _label_points(
            figure,
            axes,
            known[["milliseconds", "kendall"]],
            {name: colours[name] for name in dict.fromkeys([*emphasised, *colours])},
        )
    return figure


def _draw_costs(
    axes: Axes, known: pd.DataFrame, colours: Mapping[str, str], front: Sequence[str]
) -> None:
    x, y = (known[column].to_numpy(dtype=float) for column in ("milliseconds", "kendall"))
    ends = known[["kendall_low", "kendall_high"]].to_numpy(dtype=float)
    beside = np.nan_to_num(np.abs(ends - y[:, None])).T
    axes.errorbar(x, y, yerr=beside, fmt="none", ecolor="#D4D4D4", elinewidth=0.7, zorder=1)
    axes.axhline(0, color="black", linewidth=0.6, zorder=0)
    joined = known.loc[list(front)]
    axes.plot(
        joined["milliseconds"], joined["kendall"], color=BLUE, linewidth=0.9,
        drawstyle="steps-post", zorder=2,
        label="no cheaper metric is better" if len(joined) > 1 else None,
    )  # fmt: skip
    for colour, marker, meaning in (
        (GREY, "o", None),
        (BLUE, "o", None),
        (ORANGE, "s", "baseline of size"),
    ):
        chosen = known.loc[[name for name in colours if colours[name] == colour]]
        axes.scatter(
            chosen["milliseconds"], chosen["kendall"], s=13, color=colour, marker=marker,
            linewidths=0, zorder=3, label=meaning if len(chosen) else None,
        )  # fmt: skip
    shown = x if len(x) else np.ones(1)
    axes.set_xlim(shown.min() / 1.3, shown.max() * 2.2)
    _mark_magnitudes(axes)
    axes.grid(color="#EFEFEF", linewidth=0.5)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", frameon=False, fontsize=_TEXT)


def heat_map(
    correlations: pd.DataFrame, clusters: pd.Series, label: str, *, modified: bool = False
) -> Figure:
    """Correlations among metrics, with a frame around each cluster of several.

    Args:
        correlations: (M, M) from -1 to 1, rows and columns alike; NaN is left white.
        clusters: (M,) the cluster of each metric, members next to each other.
        label: of the colours.
        modified: whether to mark the figure as made from modified data.
    """
    names = [str(name) for name in correlations.index]
    # As high as a page, as long as lines of 7 pt have room there.
    height = max(1.6, min(0.125 * len(names), 8.6), 0.104 * len(names))
    with _figure(1, row_height=height, modified=modified, width=WIDE) as (figure, panels):
        axes = panels[0]
        drawn = axes.imshow(
            correlations.to_numpy(float), cmap=_SIGNED, vmin=-1, vmax=1, aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        axes.set_yticks(range(len(names)), names)
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0)
        axes.spines[:].set_visible(False)
        for members in clusters.groupby(clusters).groups.values():
            if len(members) > 1:
                start = names.index(str(members[0])) - 0.5
                axes.add_patch(
                    Rectangle(
                        (start, start), len(members), len(members),
                        fill=False, edgecolor="black", linewidth=0.9, clip_on=False,
                    )
                )  # fmt: skip
        bar = figure.colorbar(drawn, ax=axes, fraction=0.03, pad=0.015, aspect=40)
        bar.set_label(label, size=_TITLE)
        bar.ax.tick_params(labelsize=_TEXT, width=0.6, length=2.5)
        bar.outline.set_linewidth(0.6)
    return figure


def search_curves(
    found: pd.DataFrame, result_label: str, larger_is_better: bool, *, modified: bool = False
) -> Figure:
    """What searches find against the number of architectures scored, a panel for each `trained`.

    A line is the mean over random orders, a bar their middle half at round numbers of
    architectures from 10 on. The axis of results holds the means; bars may go on.

    Args:
        found: as `search_comparison.compare_searches` gives it.
        result_label: of the results' axis.
        larger_is_better: of the results.
        modified: whether to mark the figure as made from modified data.
    """
    names = list(found["search"].unique())
    counts = sorted(set(found["trained"].astype(int)))
    ends = found[["mean", "low", "high"]].to_numpy(dtype=float)
    best = float(ends.max() if larger_is_better else ends.min())
    with _figure(len(counts), row_height=2.9, modified=modified, width=WIDE) as (figure, panels):
        for axes, trained in zip(panels, counts, strict=True):
            # With fewer, all are trained, and no search differs from another.
            part = found[(found["trained"] == trained) & (found["scored"] >= trained)]
            for i, (name, line) in enumerate(zip(names, itertools.cycle(_LINES), strict=False)):
                aside = 1.03 ** (i - (len(names) - 1) / 2)
                _search_curve(axes, part[part["search"] == name], name, aside, *line)
            worst = float(part["mean"].min() if larger_is_better else part["mean"].max())
            margin = 0.06 * abs(worst - best) or 0.5
            axes.set_ylim(min(best, worst) - margin, max(best, worst) + margin)
            axes.axhline(best, color="black", linewidth=0.6, linestyle=":", zorder=0)
            axes.set_xlim(trained / 1.04, max(trained + 1, int(part["scored"].max())) * 1.04)
            _mark_magnitudes(axes)
            axes.set_title(f"the best {trained if trained > 1 else 'one'} by score trained")
            axes.set_xlabel("architectures scored", size=_TITLE)
            axes.grid(axis="y", color="#E4E4E4", linewidth=0.5)
            axes.set_axisbelow(True)
        panels[0].set_ylabel(f"best {result_label} found", size=_TITLE)
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside lower center", frameon=False,
            ncols=min(3, len(names)), fontsize=_TEXT,
        )  # fmt: skip
    return figure


def _search_curve(
    axes: Axes, curve: pd.DataFrame, name: str, aside: float, colour: str, style: Any
) -> None:
    curve = curve.sort_values("scored")
    axes.plot(curve["scored"], curve["mean"], color=colour, linestyle=style, lw=1.3, label=name)
    marked = curve[curve["scored"].isin(ROUND_BUDGETS) & (curve["scored"] >= 10)]
    # Beside each other, for bars at one place would hide one another.
    axes.vlines(
        marked["scored"] * aside, marked["lower"], marked["upper"], color=colour, lw=0.9, alpha=0.7
    )


@contextmanager
def _figure(
    count: int, row_height: float, modified: bool, width: float | None = None
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of some panels, the style set while it is drawn.

    Args:
        count: of panels.
        row_height: inches.
        modified: whether it is to be marked.
        width: inches; by default as wide as the panels need.
    """
    columns = _columns(count)
    rows = math.ceil(count / columns) if count else 1
    with matplotlib.rc_context(_STYLE):
        figure = Figure(
            figsize=(width or (NARROW if columns == 1 else WIDE), row_height * rows + 0.35),
            layout="constrained",
        )
        panels = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
        for axes in panels:
            # Said here, for ticks that are made when drawing know no style.
            axes.tick_params(labelsize=_TEXT, width=0.6, length=2.5, pad=2)
        if modified:
            figure.suptitle(
                "modified data: not as published", size=_TEXT, color=ORANGE,
                x=0.995, ha="right",
            )  # fmt: skip
        yield figure, panels
        # The layout is done once and stays, however often the figure is written.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def _columns(count: int) -> int:
    return max(1, min(_COLUMNS, count))


class _Axis(NamedTuple):
    """How an axis shows some numbers.

    Attributes:
        forward: numbers to places along the axis.
        backward: places to numbers.
        low: end of the axis, a place.
        high: other end.
        ticks: numbers that are marked; None where evenly.
    """

    forward: Callable[[Floats], Floats]
    backward: Callable[[Floats], Floats]
    low: float
    high: float
    ticks: Sequence[float] | None = None

    def shown(self, values: Floats) -> Floats:
        """Numbers as places within the axis."""
        return np.clip(self.forward(values), self.low, self.high)

    def beyond(self, values: Floats) -> NDArray[np.int_]:
        """-1 or 1 where a number lies beyond the axis, 0 elsewhere."""
        places = self.forward(values)
        return np.where(places < self.low, -1, np.where(places > self.high, 1, 0))


def _axis(values: Floats, may_bend: bool = True, cut: bool = True) -> _Axis:
    """The axis for some finite numbers.

    Args:
        values: (n,).
        may_bend: whether it may be logarithmic.
        cut: whether it may leave out numbers far beyond the others.
    """
    if not len(values):
        return _Axis(_same, _same, 0.0, 1.0)
    forward: Callable[[Floats], Floats] = _same
    backward: Callable[[Floats], Floats] = _same
    unit = None
    sizes = np.abs(values[values != 0])
    if may_bend and len(sizes) and _spans_magnitudes(values):
        one_sign = (values > 0).all() or (values < 0).all()
        unit = float(sizes.min() if one_sign else np.quantile(sizes, 0.05))
        forward, backward = _symmetric_log(unit)
    places = forward(values)
    low, high = float(places.min()), float(places.max())
    if cut:
        low, high = _robust_range(places)
    margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    low, high = low - margin, high + margin
    ticks = None if unit is None else _decades(forward, low, high, unit)
    return _Axis(forward, backward, low, high, ticks)


def _spans_magnitudes(values: Floats) -> bool:
    """Whether the middle nine tenths lie more than two powers of ten apart."""
    sizes = np.abs(values[values != 0])
    low, middle, high = np.quantile(sizes, [0.05, 0.5, 0.95])
    return bool(high > 100 * low or sizes.max() > 1000 * middle)


def _robust_range(places: Floats) -> tuple[float, float]:
    """The whole range, or without half a percent at an end if that takes a third of it."""
    low, high = float(places.min()), float(places.max())
    if len(places) < _FEW:
        return low, high
    inner_low = np.quantile(places, 0.005, method="higher")
    inner_high = np.quantile(places, 0.995, method="lower")
    inner = float(inner_high - inner_low)
    if inner > 0:
        low = float(inner_low) if inner_low - low > inner / 2 else low
        high = float(inner_high) if high - inner_high > inner / 2 else high
    return low, high


def _same(values: Floats) -> Floats:
    return values


def _symmetric_log(unit: float) -> tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]:
    """Powers of ten from `unit` on, to both sides of zero; below it, in proportion."""

    def forward(values: Floats) -> Floats:
        sizes = np.abs(values) / unit
        bent = np.where(sizes > 1, 1 + np.log10(np.maximum(sizes, 1)), sizes)
        return np.sign(values) * bent

    def backward(places: Floats) -> Floats:
        sizes = np.abs(places)
        bent = np.where(sizes > 1, 10 ** (np.maximum(sizes, 1) - 1), sizes)
        return np.sign(places) * bent * unit

    return forward, backward


def _decades(
    forward: Callable[[Floats], Floats], low: float, high: float, unit: float
) -> Sequence[float]:
    """Powers of ten within the axis, every one or every few, and zero between two signs."""
    first = math.ceil(math.log10(unit) - 1e-9)
    powers = np.array([10.0**k for k in range(first, first + 60)])
    inside = [
        [sign * p for p in powers if low <= float(forward(np.array(sign * p))) <= high]
        for sign in (-1.0, 1.0)
    ]
    sides = [side for side in inside if side]
    room = 4 if len(sides) < 2 else 2
    ticks = [0.0] if low < 0 < high else []
    for side in sides:
        every = max(1, math.ceil(len(side) / room))
        ticks += side[every - 1 if len(sides) > 1 else 0 :: every]
    return sorted(ticks)


def _place(axes: Axes, which: str, axis: _Axis) -> None:
    """Ticks and limits of the axis `x` or `y`."""
    drawn = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xlim if which == "x" else axes.set_ylim)(axis.low, axis.high)
    if axis.ticks is None:
        drawn.set_major_locator(
            MaxNLocator(4 if which == "x" else 5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2)
        )
        drawn.set_major_formatter(_Even())
    else:
        drawn.set_major_locator(FixedLocator(list(axis.forward(np.array(axis.ticks)))))
        labels = [_power(tick) for tick in axis.ticks]
        drawn.set_major_formatter(FuncFormatter(lambda _, i: labels[i or 0]))
    drawn.set_minor_locator(NullLocator())


class _Even(FuncFormatter):
    """Labels of even ticks with no more digits than tell them apart, and no offset."""

    def __init__(self) -> None:
        super().__init__(lambda value, _: f"{value:g}")

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        largest = max((abs(value) for value in values), default=0.0)
        if largest >= 1e6 or 0 < largest < 1e-3:
            return [_short(value) for value in values]
        step = min(np.diff(sorted(values)), default=1.0)
        digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 3
        if any(abs(value * 10**digits - round(value * 10**digits)) > 1e-6 for value in values):
            digits += 1
        return [f"{value:,.{digits}f}".replace("-", "−") for value in values]


def _short(value: float) -> str:
    mantissa, _, exponent = f"{value:.6e}".partition("e")
    digits = f"{float(mantissa):g}"
    return "0" if value == 0 else f"{digits}e{int(exponent)}".replace("-", "−")


def _power(value: float) -> str:
    if value == 0:
        return "0"
    exponent = round(math.log10(abs(value)))
    sign = "−" if value < 0 else ""
    if -2 <= exponent <= 3:
        return f"{sign}{10.0**exponent:,g}"
    return f"{sign}1e{exponent}".replace("-", "−")


def _plain(value: float, digits: int) -> str:
    return f"{value:,.{max(0, digits - len(str(int(abs(value)))))}f}".replace("-", "−")


def _title(name: object) -> str:
    """A metric's name, on two lines where one is too short."""
    text = _shortened(name)
    if len(text) <= 30:
        return text
    middle = len(text) // 2
    cuts = [i + 1 for i, letter in enumerate(text) if letter in "_-. [" and i + 1 < len(text)]
    cut = min(cuts, key=lambda i: abs(i - middle), default=middle)
    return f"{text[:cut]}\n{text[cut:]}"


def _shortened(name: object) -> str:
    """A metric's name, without its middle where it is a formula too long for a figure."""
    text = str(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:28]}…{text[-13:]}"


def _correlations(pair: pd.DataFrame) -> str:
    score, result = pair["score"], pair["result"]
    count = f"n {len(pair):,}"
    if len(pair) < 3 or score.nunique() < 2 or result.nunique() < 2:
        return f"constant, {count}" if len(pair) >= 3 else count
    tau = stats.kendalltau(score, result).statistic
    rho = stats.spearmanr(score, result).statistic
    return f"τ {tau:.3f}   ρ {rho:.3f}   {count}".replace("-", "−")


def _scatter(axes: Axes, scores: Floats, results: Floats, vertical: _Axis) -> None:
    horizontal = _axis(scores)
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
    if (count := min(len(scores) // _PART, _PARTS)) > 2:
        parts = np.array_split(np.argsort(scores, kind="stable"), count)
        middles = [(np.median(x[part]), np.median(y[part])) for part in parts]
        axes.plot(*zip(*middles, strict=True), color="white", linewidth=2.2, zorder=5)
        axes.plot(*zip(*middles, strict=True), color=ORANGE, linewidth=1.2, zorder=6)
    _place(axes, "x", horizontal)
    _place(axes, "y", vertical)


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
    axis = _axis(every, cut=False)
    places = [axis.forward(group) for group in groups]
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
    _place(axes, "y", axis)


def _label_left(figure: Figure, panels: Sequence[Axes], label: str) -> None:
    columns = _columns(len(panels))
    for i, axes in enumerate(panels):
        if i % columns:
            axes.tick_params(labelleft=False)
    if columns == 1 and len(panels) == 1:
        panels[0].set_ylabel(label, size=_TITLE)
    else:
        figure.supylabel(label, size=_TITLE)


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
            handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=_TEXT
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


def _mark_magnitudes(axes: Axes) -> None:
    """Make the x axis logarithmic, marked at 1, 3, 10, 30, ..."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _front(cost: pd.Series, quality: pd.Series) -> list[str]:
    """Of what no other is both at most as dear and better, the names."""
    order = pd.DataFrame({"cost": cost, "quality": quality}).sort_values(
        ["cost", "quality"], ascending=[True, False], kind="stable"
    )
    highest = order["quality"].cummax().shift(fill_value=-np.inf)
    return [str(name) for name in order.index[order["quality"] > highest]]


def _label_points(
    figure: Figure, axes: Axes, points: pd.DataFrame, colours: Mapping[str, str]
) -> None:
    """Write the names of points beside them, in the order of `colours`, where there is room."""
    # Places are those of the finished layout.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    places = axes.transData.transform(points.to_numpy(dtype=float))
    taken = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in places]
    if legend := axes.get_legend():
        taken.append(legend.get_window_extent())
    room = Bbox(axes.get_window_extent().get_points())
    for name, colour in colours.items():
        x, y = points.loc[name].to_numpy(dtype=float)
        for right, up in _BESIDE:
            text = axes.annotate(
                name, (x, y), (right, up), textcoords="offset points",
                ha="left" if right > 0 else "right" if right < 0 else "center",
                va="center", size=_TEXT, color="black" if colour == GREY else colour,
                arrowprops=None if abs(up) < 9 else _LEADER, zorder=4, path_effects=[_HALO],
            )  # fmt: skip
            text.get_window_extent()  # puts it where it belongs
            # Without its leader, which may cross what it likes.
            box = Text.get_window_extent(text)
            if _holds(room, box) and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def _holds(room: Bbox, box: Bbox) -> bool:
    return bool(room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1)
