"""The layers of an encoder as a drawing, from the embedding at the top to the output."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

from archscout.report.drawing import Drawing, Kind
from archscout.report.numbers import count
from archscout.report.templates import Column, Table, render
from archscout.spaces.flexibert import EncoderGenotype, EncoderScale, FlexibertSpace
from archscout.spaces.flexibert.readings import LayerPlan, Plan, Reading, plan

SPACE = FlexibertSpace.name

# Okabe and Ito's colours, each with the ink that is readable on it; the operations of a type are
# neighbours in hue. What all layers have is grey or white.
_SOURCE = Kind("embedding", "#ffffff", round=True)
_RESULT = Kind("output", "#1a1d21", "#ffffff", round=True)
_OPERATIONS = {
    "SDP": Kind("SDP, scaled dot-product attention", "#0072B2", "#ffffff"),
    "WMA": Kind("WMA, weighted multiplicative attention", "#8ECDF2"),
    "DFT": Kind("DFT, discrete Fourier transform", "#E69F00"),
    "DCT": Kind("DCT, discrete cosine transform", "#F0E442"),
    "DSC-5": Kind("DSC-5, span-based dynamic convolution over 5 tokens", "#4DBD9A"),
    "DSC-9": Kind("DSC-9, span-based dynamic convolution over 9 tokens", "#DDA0C4"),
}
_FEED_FORWARD = Kind("feed-forward layer and GELU (length shows width)", "#D5DAE0")
_CLOSING = Kind("projection", "#ffffff")

_READINGS: dict[Reading, str] = {
    "declared": "as the genotype declares it (reading: declared)",
    "scored": (
        "as the published metrics were computed on it (reading: scored): whatever the genotype "
        "says, the hidden size is 256 and feed-forward layers are 1024 wide, and nothing follows "
        "a DFT or DCT but the feed-forward layers"
    ),
    "trained": (
        "as the published scores were trained (reading: trained): whatever the genotype says, "
        "every operation is SDP, and the first feed-forward layer of each layer is four times as "
        "wide as the hidden size"
    ),
}

# A narrow screen shows the picture as wide as it is here; the boxes leave a lane for residuals.
_WIDTH = 336
_CENTRE = 182
_LANE = 26
_LONGEST, _LONGEST_SHOWS = 268, 1024  # the widest feed-forward layer of the space
_SHORTEST = 130  # that holds its label
_CLOSING_WIDTH = 248
_OPERATION_WIDTH = 170
_END_WIDTH = 170

_HEAD = 8  # length of an arrow's head
_GAP = 18  # that an arrow crosses
_FORK = 6  # from the start of a gap to where the residual leaves
_SEAM = 3  # between feed-forward layers
_PADDING = 12  # of a layer's panel


@dataclass
class _Bar:
    """A box on the axis of the picture; where it begins, the sketch says."""

    name: str
    label: str
    kind: Kind
    width: int
    height: int = 28
    font_size: int = 13
    detail: str = ""
    top: int = 1


@dataclass
class _Sketch:
    """What is drawn so far, and how far down that reaches."""

    bars: list[_Bar] = field(default_factory=list)
    arrows: list[tuple[str, bool]] = field(default_factory=list)  # path; whether it is a residual
    panels: list[tuple[str, int, int]] = field(default_factory=list)  # a layer's; top and bottom
    bottom: int = 1

    def add(self, bar: _Bar, gap: int = _GAP) -> None:
        """A box below what is there, and the arrow to it unless it touches."""
        if self.bars:
            bar.top = self.bottom + gap
            if gap > _HEAD:
                self.arrows.append((f"M{_CENTRE},{self.bottom} V{bar.top - _HEAD}", False))
        self.bars.append(bar)
        self.bottom = bar.top + bar.height

    def close(self, name: str, hidden_size: int, start: int) -> None:
        """What closes operations and feed-forward layers: a projection, and a residual to it.

        The residual leads from a height on the axis, around what lies between, to its left end.
        """
        label = f"projection to {hidden_size} + residual, norm"
        target = _Bar(name, label, _CLOSING, _CLOSING_WIDTH)
        self.add(target)
        end = target.top + target.height // 2
        left = _CENTRE - target.width // 2 - _HEAD
        r = 8  # of the corners
        path = (
            f"M{_CENTRE},{start} H{_LANE + r} Q{_LANE},{start} {_LANE},{start + r} "
            f"V{end - r} Q{_LANE},{end} {_LANE + r},{end} H{left}"
        )
        self.arrows.append((path, True))


def draw(genotype: EncoderGenotype, scale: EncoderScale, _vocabulary_size: int) -> Drawing:
    """The network that the genotype stands for in the scale's reading, from top to bottom."""
    built = plan(genotype, scale.reading)
    used = {layer.operation for layer in built.layers}
    operations = [kind for operation, kind in _OPERATIONS.items() if operation in used]
    return Drawing(
        svg=_picture(built, scale.embedding_size),
        kinds=[_SOURCE, *operations, _FEED_FORWARD, _RESULT],
        caption=_caption(built, scale.reading),
        marked="residual, added before the norm",
        table=_table(built),
    )


def _picture(built: Plan, embedding_size: int) -> Markup:
    hidden_size = built.hidden_size
    sketch = _Sketch()
    embedding = _Bar("embedding", f"embedding, {embedding_size} wide", _SOURCE, _END_WIDTH)
    embedding.detail = "sum of the embeddings of word, position and token type, then layer norm"
    sketch.add(embedding)
    if embedding_size != hidden_size:
        label = f"projection to {hidden_size}"
        sketch.add(_Bar("projection", label, _CLOSING, _OPERATION_WIDTH))
    for number, layer in enumerate(built.layers, 1):
        _add_layer(sketch, layer, number, built)
    output = _Bar("output", f"output, {hidden_size} wide", _RESULT, _END_WIDTH)
    sketch.add(output, _GAP + _PADDING)
    svg = render(
        "encoder.svg.jinja",
        title=f"Encoder of {len(built.layers)} layers, hidden size {hidden_size}.",
        description=_described(built, embedding_size),
        width=_WIDTH,
        centre=_CENTRE,
        sketch=sketch,
    )
    return Markup(svg)


def _add_layer(sketch: _Sketch, layer: LayerPlan, number: int, built: Plan) -> None:
    top = sketch.bottom + _GAP // 2 + (_PADDING if number > 1 else 0)
    operation = _Bar(
        f"layer {number} operation",
        f"{layer.operation}, {count(layer.num_heads, 'head')}",
        _OPERATIONS[layer.operation],
        _OPERATION_WIDTH,
        height=36,
        font_size=15,
        detail=_detail(layer),
    )
    sketch.add(operation, top + 28 - sketch.bottom)
    if layer.closed:
        sketch.close(f"layer {number} mixed", built.hidden_size, top + 2 * _FORK)
    fork = sketch.bottom + _FORK
    for i, width in enumerate(layer.feed_forward):
        feed_forward = _Bar(
            f"layer {number} feed-forward {i + 1}",
            f"feed-forward {width}",
            _FEED_FORWARD,
            max(_SHORTEST, _LONGEST * width // _LONGEST_SHOWS),
            height=24,
            detail=f"feed-forward layer {i + 1} of {len(layer.feed_forward)}: {width} wide, GELU",
        )
        sketch.add(feed_forward, _SEAM if i else _GAP)
    sketch.close(f"layer {number} output", built.hidden_size, fork)
    sketch.panels.append((f"layer {number}", top, sketch.bottom + _PADDING))


def _detail(layer: LayerPlan) -> str:
    heads = count(layer.num_heads, "head")
    if layer.operation.startswith("DSC"):
        half = count(layer.num_heads // 2, "head")
        heads = f"{half} convolving, {half} attending"
    return f"{_OPERATIONS[layer.operation].name}; {heads}"


def _described(built: Plan, embedding_size: int) -> str:
    """The drawing in words, from the input to the output."""
    projected = "" if embedding_size == built.hidden_size else f", projected to {built.hidden_size}"
    sentences = [f"The embedding is {embedding_size} wide{projected}."]
    for number, layer in enumerate(built.layers, 1):
        closed = "then projection, residual and norm" if layer.closed else "nothing else before"
        sentences.append(
            f"Layer {number}: {layer.operation} with {count(layer.num_heads, 'head')}, {closed}, "
            f"feed-forward {_widths(layer)}, then projection, residual and norm."
        )
    return " ".join([*sentences, f"The output is {built.hidden_size} wide."])


def _table(built: Plan) -> Table:
    """The drawing as a table; what closes the operations has a column where they differ in it."""
    differ = not all(layer.closed for layer in built.layers)
    titles = ["layer", "operation", "heads", *["closed"] * differ, "feed-forward widths"]
    rows = []
    for number, layer in enumerate(built.layers, 1):
        closed = ["yes" if layer.closed else "no"] * differ
        operation = [str(number), layer.operation, str(layer.num_heads)]
        rows.append([*operation, *closed, _widths(layer)])
    caption = f"The same as a table; the hidden size is {built.hidden_size} throughout."
    if differ:
        caption += " An operation is closed where projection, residual and norm follow it."
    return Table(caption, [Column(title) for title in titles], rows)


def _widths(layer: LayerPlan) -> str:
    return ", ".join(map(str, layer.feed_forward))


def _caption(built: Plan, reading: Reading) -> str:
    caption = (
        f"The encoder {_READINGS[reading]}. Tokens enter at the top. Each layer mixes the "
        f"positions by its operation, then passes each through its feed-forward layers; a "
        f"projection to the hidden size, {built.hidden_size}, the residual and layer norm close "
    )
    if all(layer.closed for layer in built.layers):
        return f"{caption}both."
    return f"{caption}the feed-forward layers, and the operation where they are drawn below it."
