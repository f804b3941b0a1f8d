"""The figure of a discovery's generations."""

from __future__ import annotations

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from archscout.analysis.figures import BLUE, GREY, ORANGE, SKY, WIDE

_HEIGHT = 2.6  # inches
_POINTS = 7.0


def generations_figure(candidates: pd.DataFrame, *, modified: bool = False) -> Figure:
    """How τ-b and size go from generation to generation.

    Args:
        candidates: a row each, with `generation`, `kendall` and `size`.
        modified: whether to mark the figure as made from modified data.
    """
    with matplotlib.rc_context({"font.size": _POINTS}):
        figure = Figure(figsize=(WIDE, _HEIGHT), layout="constrained")
        by_generation = candidates.groupby("generation")
        titles = {"kendall": "τ-b on the first part", "size": "quantities and operations"}
        for place, (column, title) in enumerate(titles.items(), start=1):
            axes = figure.add_subplot(1, 2, place)
            low, middle, high = (by_generation[column].quantile(q) for q in (0.25, 0.5, 0.75))
            axes.fill_between(low.index, low, high, color=SKY, alpha=0.4, linewidth=0)
            axes.plot(middle.index, middle, color=BLUE, label="median, middle half", linewidth=1.2)
            fittest = candidates.loc[by_generation["fitness"].idxmax()].set_index("generation")
            axes.plot(
                fittest.index, fittest[column], color=ORANGE, label="fittest", linewidth=1.2,
                marker="." if len(fittest) < 3 else None,
            )  # fmt: skip
            axes.set_xlabel("generation")
            axes.set_ylabel(title)
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color="#E4E4E4", linewidth=0.5)
        figure.axes[0].legend(frameon=False, loc="best", labelcolor=GREY)
        if modified:
            figure.suptitle(
                "modified data: not as published", size=_POINTS, color=ORANGE, x=0.995, ha="right"
            )
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure
