"""A cell or another graph, drawn as SVG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from archscout.report.layout import Layout, Vertex, arrange
from archscout.report.templates import Table, render

_MARGIN = 12.0
_HEIGHT = 34.0
_CHARACTER = 7.6  # mean width of one at the font size of labels
_PORT = 13.0  # between arrows that enter the same box
_HEAD = 8.0  # length of an arrow's head


@dataclass(frozen=True)
class Kind:
    """What boxes may stand for."""

    name: str  # in the legend
    fill: str
    ink: str = "#000000"
    round: bool = False  # at the ends, as those of sources and results


@dataclass(frozen=True)
class Box:
    """A vertex of the graph."""

    name: str  # unique in the graph
    label: str
    kind: Kind
    end: str = ""  # `first` or `last` for what stands leftmost or rightmost
    detail: str = ""  # shown when pointed at


@dataclass(frozen=True)
class Arrow:
    """An edge of the graph, between boxes by their names."""

    source: str
    target: str
    port: str = ""  # written where it enters the target, where inputs differ
    marked: bool = False  # drawn dashed, as the input that plays another part than the rest


@dataclass(frozen=True)
class Drawing:
    """A drawn architecture."""

    svg: Markup
    kinds: Sequence[Kind]  # what its colours mean
    caption: str
    marked: str = ""  # what dashed arrows are
    table: Table | None = None  # the same for those who do not see it, where that can be a table


def draw_graph(boxes: Sequence[Box], arrows: Sequence[Arrow], title: str) -> Markup:
    """A directed acyclic graph as SVG, from left to right, titled for those who do not see it."""
    entering = {box.name: [a for a in arrows if a.target == box.name] for box in boxes}
    vertices = [_vertex(box, entering[box.name]) for box in boxes]
    layout = arrange(vertices, [(arrow.source, arrow.target) for arrow in arrows])
    ports = _ports(arrows, layout)
    return Markup(
        render(
            "graph.svg.jinja",
            title=title,
            margin=_MARGIN,
            width=layout.width + 2 * _MARGIN,
            height=layout.height + 2 * _MARGIN,
            boxes=[
                (box, vertex, layout.centres[box.name])
                for box, vertex in zip(boxes, vertices, strict=True)
            ],
            arrows=[
                (arrow, _path(route, port), (route[-1][0], port))
                for arrow, route, port in zip(arrows, layout.routes, ports, strict=True)
            ],
        )
    )


def _vertex(box: Box, entering: Sequence[Arrow]) -> Vertex:
    named = any(arrow.port for arrow in entering)
    width = max(_HEIGHT, _CHARACTER * len(box.label) + 20 + 14 * named)
    return Vertex(box.name, width, max(_HEIGHT, _PORT * len(entering) + 8), box.end)


def _ports(arrows: Sequence[Arrow], layout: Layout) -> list[float]:
    """The height at which each arrow enters its target, so that arrows do not cross there."""
    entering: dict[str, list[int]] = defaultdict(list)
    for i, arrow in enumerate(arrows):
        entering[arrow.target].append(i)
    heights = [0.0] * len(arrows)
    for target, numbers in entering.items():
        numbers.sort(key=lambda i: layout.routes[i][-3][1])
        for place, i in enumerate(numbers):
            offset = _PORT * (place - (len(numbers) - 1) / 2)
            heights[i] = layout.centres[target][1] + offset
    return heights


def _path(route: Sequence[tuple[float, float]], port: float) -> str:
    """A smooth line along the route, entering at the port, that ends where the head begins."""
    *points, (before, _), (end, _) = route
    points += [(before, port), (end - _HEAD, port)]
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        if i % 2:
            middle = (x0 + x1) / 2
            path += f" C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f}"
        else:
            path += f" L{x1:.1f},{y1:.1f}"
    return path
