"""The cell of a recurrent architecture as a drawing."""

from __future__ import annotations

from archscout.report.drawing import Arrow, Box, Drawing, Kind, draw_graph
from archscout.report.numbers import count
from archscout.spaces.recurrent import Recipe, RecurrentScale, RecurrentSpace

SPACE = RecurrentSpace.name

# Okabe and Ito's colours, each with the ink that is readable on it.
_SOURCE = Kind("input x and previous states h", "#ffffff", round=True)
_RESULT = Kind("new states", "#1a1d21", "#ffffff", round=True)
_KINDS = {
    "linear": Kind("linear", "#0072B2", "#ffffff"),
    "activation_tanh": Kind("tanh", "#E69F00"),
    "activation_sigm": Kind("sigmoid", "#F0E442"),
    "activation_leaky_relu": Kind("leaky ReLU", "#D55E00"),
    "blend": Kind("blend", "#4DBD9A"),
    "elementwise_prod": Kind("× product", "#DDA0C4"),
    "elementwise_sum": Kind("+ sum", "#8ECDF2"),
}
_LABELS = {"elementwise_prod": "×", "elementwise_sum": "+"}
_BLEND_PORTS = ("g", "a", "b")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def draw(recipe: Recipe, scale: RecurrentScale, _vocabulary_size: int) -> Drawing:
    """The recipe's graph: sources at the left, operations, new states at the right."""
    boxes = [Box(name, written_name(name), _SOURCE, "first") for name in recipe.sources]
    arrows = []
    for name in recipe.order:
        node = recipe.nodes[name]
        kind = _KINDS[node.op]
        inputs = ", ".join(written_name(source) for source in node.input)
        label = _LABELS.get(node.op, kind.name)
        boxes.append(Box(name, label, kind, detail=f"{written_name(name)} = {node.op}({inputs})"))
        ports = _BLEND_PORTS if node.op == "blend" else ("",) * len(node.input)
        arrows += [
            Arrow(source, name, port, marked=port == "g")
            for source, port in zip(node.input, ports, strict=True)
        ]
    for i in range(recipe.num_states):
        result = f"h_prev_{i} of the next step"  # no node may have such a name
        boxes.append(Box(result, written_name(f"h_new_{i}"), _RESULT, "last"))
        arrows.append(Arrow(f"h_new_{i}", result))
    used = {node.op for node in recipe.nodes.values()}
    blends = "blend" in used
    title = f"Graph of a recurrent cell: {len(recipe.nodes)} nodes, {recipe.num_states} states."
    return Drawing(
        svg=draw_graph(boxes, arrows, title),
        kinds=[_SOURCE, *(kind for op, kind in _KINDS.items() if op in used), _RESULT],
        caption=_caption(blends, scale.num_layers),
        marked="gate g of a blend" if blends else "",
    )


def written_name(name: str) -> str:
    """A node's name as it is written in the drawing.

    >>> written_name("h_prev_0"), written_name("h_new_1"), written_name("n3")
    ('h₀ previous', 'h₁ new', 'n3')
    """
    for mark, word in (("h_prev_", "previous"), ("h_new_", "new")):
        if name.startswith(mark) and name.removeprefix(mark).isdigit():
            return f"h{name.removeprefix(mark).translate(_SUBSCRIPTS)} {word}"
    return name


def _caption(blends: bool, num_layers: int) -> str:
    caption = (
        "One step of the cell, from left to right; the model has "
        f"{count(num_layers, 'layer')} of it. x is the layer's input, h₀ the state that is "
        "also its output; a linear node is the sum of a learnt linear map of each of its inputs."
    )
    if blends:
        caption += " A blend is g·a + (1 − g)·b of the inputs so lettered; its gate g is dashed."
    return caption
