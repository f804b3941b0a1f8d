"""The figures of a leaderboard: what metrics cost, which say the same, and what searches find.

They are drawn as the others of the analysis are, see `analysis.figures`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from archscout.analysis.figures import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    TEXT,
    TITLE,
    WIDE,
    draw_grid,
    new_figure,
    say,
)
from archscout.analysis.search_comparison import ROUND_BUDGETS
from archscout.analysis.statistics import error_bars

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
    """
    known = table[(table["milliseconds"] > 0) & np.isfinite(table["kendall"])]
    known = known.sort_values("kendall", ascending=False, kind="stable")
    front = front_of(known["milliseconds"], known["kendall"])
    colours = {
        str(name): ORANGE if name in baselines else BLUE if name in front else GREY
        for name in known.index
    }
    with new_figure(1, row_height=4.4, modified=modified, width=WIDE) as (figure, (axes,)):
        _draw_costs(axes, known, colours, front)
        axes.set_xlabel(x_label, size=TITLE)
        axes.set_ylabel(y_label, size=TITLE)
        # Those that stand out come first.
        order = sorted(colours, key=lambda name: colours[name] == GREY)
        points = known[["milliseconds", "kendall"]]
        _label_points(figure, axes, points, {name: colours[name] for name in order})
    return figure


def _draw_costs(
    axes: Axes, known: pd.DataFrame, colours: Mapping[str, str], front: Sequence[str]
) -> None:
    x, y = (known[column].to_numpy(dtype=float) for column in ("milliseconds", "kendall"))
    beside = error_bars(known, "kendall")
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
    draw_grid(axes, "both", "#EFEFEF")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", frameon=False, fontsize=TEXT)


def heat_map(
    correlations: pd.DataFrame, clusters: pd.Series, label: str, *, modified: bool = False
) -> Figure:
    """Correlations among metrics (M, M), with a frame around each cluster of several.

    NaN is left white. Members of a cluster stand next to each other.
    """
    names = [str(name) for name in correlations.index]
    # As high as a page, as long as lines of 7 pt have room there.
    height = max(1.6, min(0.125 * len(names), 8.6), 0.104 * len(names))
    with new_figure(1, row_height=height, modified=modified, width=WIDE) as (figure, (axes,)):
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
                frame = Rectangle((start, start), len(members), len(members), fill=False)
                frame.set(edgecolor="black", linewidth=0.9, clip_on=False)
                axes.add_patch(frame)
        bar = figure.colorbar(drawn, ax=axes, fraction=0.03, pad=0.015, aspect=40)
        bar.set_label(label, size=TITLE)
        bar.ax.tick_params(labelsize=TEXT, width=0.6, length=2.5)
        bar.outline.set_linewidth(0.6)
    return figure


def search_curves(
    found: pd.DataFrame,
    result_label: str,
    larger_is_better: bool,
    best: float,
    *,
    modified: bool = False,
) -> Figure:
    """What searches find against the number of architectures scored, a panel for each `trained`.

    A line is the mean over random orders, a bar their middle half at round numbers of
    architectures from 10 on, and the dotted line the best result that there is to find. The axis of
    results holds the means and that; bars may go on. A panel says so where fewer architectures were
    scored than are to be trained.
    """
    names = list(found["search"].unique())
    parts = apart(found)
    with new_figure(len(parts), row_height=2.9, modified=modified, width=WIDE) as (figure, panels):
        for axes, (trained, part) in zip(panels, parts.items(), strict=True):
            axes.set_title(trained_title(trained))
            if part.empty:
                say(axes, f"fewer than {trained} architectures were scored")
                continue
            for i, (name, line) in enumerate(zip(names, itertools.cycle(_LINES), strict=False)):
                aside = 1.03 ** (i - (len(names) - 1) / 2)
                _search_curve(axes, part[part["search"] == name], name, aside, *line)
            worst = float(part["mean"].min() if larger_is_better else part["mean"].max())
            margin = 0.06 * abs(worst - best) or 0.5
            axes.set_ylim(min(best, worst) - margin, max(best, worst) + margin)
            axes.axhline(best, color="black", linewidth=0.6, linestyle=":", zorder=0)
            axes.set_xlim(trained / 1.04, max(trained + 1, int(part["scored"].max())) * 1.04)
            _mark_magnitudes(axes)
            axes.set_xlabel("architectures scored", size=TITLE)
            axes.set_ylabel(f"best {result_label} found", size=TITLE)
            draw_grid(axes, "y")
        drawn = (axes.get_legend_handles_labels()[0] for axes in panels)
        if handles := next(filter(None, drawn), None):
            figure.legend(
                handles=handles, loc="outside lower center", frameon=False,
                ncols=min(3, len(names)), fontsize=TEXT,
            )  # fmt: skip
    return figure


def apart(found: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """What searches find by how many they train, as far as searches can differ.

    With fewer architectures scored than are trained, all are trained, and no search differs from
    another.
    """
    finite = found[np.isfinite(found["mean"]) & (found["scored"] >= found["trained"])]
    return {k: finite[finite["trained"] == k] for k in sorted(set(found["trained"].astype(int)))}


def trained_title(trained: int) -> str:
    """What searches that train so many do."""
    return f"the best {trained if trained > 1 else 'one'} by score trained"


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


def _mark_magnitudes(axes: Axes) -> None:
    """Make the x axis logarithmic, marked at 1, 3, 10, 30, ..."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def front_of(cost: pd.Series, quality: pd.Series) -> list[str]:
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
                va="center", size=TEXT, color="black" if colour == GREY else colour,
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
