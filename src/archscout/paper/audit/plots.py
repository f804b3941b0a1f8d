"""How the audit's figures look. Colours are those of Okabe and Ito, told apart by everyone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
VERMILION, PURPLE, GREY = "#D55E00", "#CC79A7", "#767676"
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE)


def panels(count: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure with some panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(1, count, squeeze=False, **options)
    axes: list[Axes] = list(grid[0])
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=9)
    return figure, axes


def horizontal_bars(
    axis: Axes, names: list[str], series: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> None:
    """Bars with intervals (each label's values, lower and upper ends), first name on top."""
    height = 0.8 / len(series)
    rows = np.arange(len(names))
    for i, (label, (values, low, high)) in enumerate(series.items()):
        places = rows + (i - (len(series) - 1) / 2) * height
        axis.barh(places, np.nan_to_num(values), height * 0.92, color=COLOURS[i], label=label)
        shown = np.isfinite(values) & np.isfinite(low) & np.isfinite(high)
        errors = np.stack([values - low, high - values])[:, shown]
        axis.errorbar(
            values[shown], places[shown], xerr=np.maximum(errors, 0), fmt="none",
            ecolor="#222222", elinewidth=0.9, capsize=1.5,
        )  # fmt: skip
    axis.set_yticks(rows, names)
    axis.invert_yaxis()
    axis.axvline(0, color="#222222", linewidth=0.8)
