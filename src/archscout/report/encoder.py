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


@dataclass(frozen=True)
class _Bar:
    """A box on the axis of the picture."""

    name: str
    label: str
    kind: Kind
    top: int
    width: int
    height: int
    font_size: int
    detail: str = ""


@dataclass
class _Sketch:
    """What is drawn so far, and how far down that reaches."""

    bars: list[_Bar] = field(default_factory=list)
    arrows: list[tuple[str, bool]] = field(default_factory=list)  # path; whether it is a residual
    panels: list[tuple[str, int, int]] = field(default_factory=list)  # a layer's; top and bottom
    bottom: int = 1

    def add(
        self,
        name: str,
        label: str,
        kind: Kind,
        width: int,
        height: int = 28,
        font_size: int = 13,
        detail: str = "",
        gap: int = _GAP,
    ) -> _Bar:
        """A box below what is there, and the arrow to it unless it touches."""
        top = self.bottom + gap if self.bars else self.bottom
        if self.bars and gap > _HEAD:
            self.arrows.append((f"M{_CENTRE},{self.bottom} V{top - _HEAD}", False))
        bar = _Bar(name, label, kind, top, width, height, font_size, detail)
        self.bars.append(bar)
        self.bottom = top + height
        return bar

    def bypass(self, start: int, target: _Bar) -> None:
        """A residual from a height on the axis, around what lies between, to a box's left end."""
        end = target.top + target.height // 2
        left = _CENTRE - target.width // 2 - _HEAD
        r = 8  # of the corners
        path = (
            f"M{_CENTRE},{start} H{_LANE + r} Q{_LANE},{start} {_LANE},{start + r} "
            f"V{end - r} Q{_LANE},{end} {_LANE + r},{end} H{left}"
        )
        self.arrows.append((path, True))


def draw(genotype: EncoderGenotype, scale: EncoderScale) -> Drawing:
    """The network that the genotype stands for in the scale's reading, from top to bottom."""
    built = plan(genotype, scale.reading)
    used = {layer.operation for layer in built.layers}
    return Drawing(
        svg=_picture(built, scale.embedding_size),
        kinds=[
            _SOURCE,
            *(_OPERATIONS[o] for o in _OPERATIONS if o in used),
            _FEED_FORWARD,
            _RESULT,
        ],
        caption=_caption(built, scale.reading),
        marked="residual, added before the norm",
        table=_table(built),
    )


def _picture(built: Plan, embedding_size: int) -> Markup:
    hidden_size = built.hidden_size
    sketch = _Sketch()
    sketch.add(
        "embedding",
        f"embedding, {embedding_size} wide",
        _SOURCE,
        _END_WIDTH,
        detail="sum of the embeddings of word, position and token type, then layer norm",
    )
    if embedding_size != hidden_size:
        sketch.add("projection", f"projection to {hidden_size}", _CLOSING, _OPERATION_WIDTH)
    for number, layer in enumerate(built.layers, 1):
        _add_layer(sketch, layer, number, built)
    sketch.add("output", f"output, {hidden_size} wide", _RESULT, _END_WIDTH, gap=_GAP + _PADDING)
    return Markup(
        render(
            "encoder.svg.jinja",
            title=f"Encoder of {len(built.layers)} layers, hidden size {hidden_size}.",
            description=_described(built, embedding_size),
            width=_WIDTH,
            height=sketch.bottom + 1,
            centre=_CENTRE,
            bars=sketch.bars,
            arrows=sketch.arrows,
            panels=sketch.panels,
        )
    )


def _add_layer(sketch: _Sketch, layer: LayerPlan, number: int, built: Plan) -> None:
    top = sketch.bottom + _GAP // 2 + (_PADDING if number > 1 else 0)
    closing = f"projection to {built.hidden_size} + residual, norm"
    fork = top + 2 * _FORK
    sketch.add(
        f"layer {number} operation",
        f"{layer.operation}, {count(layer.num_heads, 'head')}",
        _OPERATIONS[layer.operation],
        _OPERATION_WIDTH,
        height=36,
        font_size=15,
        detail=_detail(layer),
        gap=top + 28 - sketch.bottom,
    )
    if layer.closed:
        sketch.bypass(fork, sketch.add(f"layer {number} mixed", closing, _CLOSING, _CLOSING_WIDTH))
    fork = sketch.bottom + _FORK
    for i, width in enumerate(layer.feed_forward):
        sketch.add(
            f"layer {number} feed-forward {i + 1}",
            f"feed-forward {width}",
            _FEED_FORWARD,
            max(_SHORTEST, _LONGEST * width // _LONGEST_SHOWS),
            height=24,
            detail=f"feed-forward layer {i + 1} of {len(layer.feed_forward)}: {width} wide, GELU",
            gap=_SEAM if i else _GAP,
        )
    sketch.bypass(fork, sketch.add(f"layer {number} output", closing, _CLOSING, _CLOSING_WIDTH))
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
