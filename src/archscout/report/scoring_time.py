"""A plot of what scoring cost."""

from __future__ import annotations

import math

import numpy as np

from archscout.report.figures import INK, PALE_BLUE, Figure, blank
from archscout.report.findings import Findings
from archscout.report.numbers import count, number

_MOST_BINS = 40
_FEW = 8


def plot_scoring_time(findings: Findings) -> list[Figure]:
    """How many architectures took how long to score."""
    times = findings.milliseconds
    if not len(times):
        return []
    median = number(float(np.median(times)), 3)
    heights, edges, above = histogram(times)
    whole = {"dtick": 1} if heights.max() < _FEW else {}
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
        x=[float(np.median(times))] * 2,
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
    return [Figure(figure, f"Milliseconds per architecture; the median is {median}.", caption)]


def histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Bars over positive values, a few far above the rest being counted in the last one.

    Args:
        values: at least one.

    Returns:
        Heights (n,), edges (n + 1,), and how many values are above the last edge.
    """
    top = min(float(values.max()), 1.5 * float(np.quantile(values, 0.95)))
    low = float(values.min())
    if low == top:
        low, top = 0.9 * low, 1.1 * top
    edges = np.linspace(low, top, min(_MOST_BINS, math.ceil(math.sqrt(len(values)))) + 1)
    heights, _ = np.histogram(values.clip(max=top), edges)
    return heights, edges, int((values > top).sum())
