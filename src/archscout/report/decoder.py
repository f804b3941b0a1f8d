"""The layers of a decoder as a drawing, from the tokens at the top to the next one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from markupsafe import Markup

from archscout.report.drawing import Drawing, Kind
from archscout.report.numbers import count
from archscout.report.templates import Column, Table, render
from archscout.spaces.gpt import DecoderGenotype, DecoderScale, GptSpace
from archscout.spaces.gpt.sizes import band_widths, bands

SPACE = GptSpace.name

# Okabe and Ito's colours, each with the ink that is readable on it.
_SOURCE = Kind("embedding (length shows width)", "#CFE3F1")
_QUERIES = Kind("head of queries", "#0072B2")
_KEYS = Kind("head of keys and values, below the heads of queries that share it", "#E69F00")
_FEED_FORWARD = Kind("feed-forward block (length shows width)", "#D5DAE0")
_RESULT = Kind("output", "#1a1d21", "#ffffff")

_POSITIONS = {
    "learned": "embeddings of positions are learned",
    "sinusoidal": "embeddings of positions are sines and cosines",
    "rope": "queries and keys are rotated by their positions",
}
_ACTIVATIONS = {"gelu": "GELU", "relu": "ReLU", "swiglu": "SwiGLU, a gate with a matrix of its own"}
_NORMS = {"layernorm": "layer norm", "rmsnorm": "root mean square norm"}

# A narrow screen shows the picture as wide as it is here.
_WIDTH = 336
_STREAM = 24  # where the residual stream leads down
_LEFT = 60  # of what it reads and what reads it
_LONGEST = 264
_MOST_TICKS = 64  # that can be told apart
_HEAD = 8  # length of an arrow's head
_LINE = 18  # of text
_CHARACTER = 7.0  # width of a wide font's
_GAP = 10


@dataclass(frozen=True)
class _Layers:
    """Layers one after another that are alike."""

    first: int
    last: int
    heads: int
    groups: int
    inner: int

    @property
    def name(self) -> str:
        """Which they are."""
        several = self.last > self.first
        return f"layers {self.first} to {self.last}" if several else f"layer {self.first}"

    def attention(self, d_model: int) -> str:
        """Its heads in words."""
        shared = "" if self.groups == self.heads else f", {self.groups:,} of keys and values"
        return f"{count(self.heads, 'head')} of {d_model // self.heads}{shared}"


@dataclass(frozen=True)
class _Bar:
    """A box of the picture, and what is written in it."""

    name: str
    kind: Kind
    left: float
    top: int
    width: float
    height: int
    label: str

    @property
    def written_at(self) -> float:
        """Where the label begins: inside, or beside it where there is room there alone."""
        needed = 16 + _CHARACTER * len(self.label)
        beside = self.width < needed <= _LONGEST - self.width
        return self.left + 8 + (self.width if beside else 0)


@dataclass
class _Sketch:
    """What is drawn so far, and how far down that reaches."""

    bars: list[_Bar] = field(default_factory=list)
    texts: list[tuple[str, int, bool]] = field(default_factory=list)  # whether it is a heading
    arrows: list[str] = field(default_factory=list)
    panels: list[tuple[int, int]] = field(default_factory=list)  # top and bottom
    bottom: int = 1

    def bar(self, name: str, kind: Kind, width: float, label: str) -> None:
        """A box below what is there."""
        self.bars.append(_Bar(name, kind, _LEFT, self.bottom, width, 24, label))
        self.bottom += 24

    def say(self, text: str, is_heading: bool = False) -> None:
        """A line of text below what is there."""
        self.bottom += _LINE
        self.texts.append((text, self.bottom - 5, is_heading))

    def ticks(self, name: str, kind: Kind, number: int, height: int) -> None:
        """A row of boxes, which together are as wide as the model; one, where they are many."""
        shown = number if number <= _MOST_TICKS else 1
        size = _LONGEST / shown
        self.bars += [
            _Bar(f"{name} {i + 1}", kind, _LEFT + i * size, self.bottom, size - 1, height, "")
            for i in range(shown)
        ]
        self.bottom += height

    def read_and_added(self, top: int) -> None:
        """Arrows from the stream to the block that lies below the top, and back."""
        quarter = (self.bottom - top) // 4
        self.arrows.append(f"M{_STREAM},{top + quarter} H{_LEFT - _HEAD - 1}")
        self.arrows.append(f"M{_LEFT},{self.bottom - quarter} H{_STREAM + _HEAD + 1}")


def draw(genotype: DecoderGenotype, scale: DecoderScale, vocabulary_size: int) -> Drawing:
    """The network from top to bottom, its layers along the residual stream."""
    tables = _tables(genotype, scale, vocabulary_size)
    layers = list(_layers(genotype))
    svg = render(
        "decoder.svg.jinja",
        title=f"Decoder of {count(genotype.n_layer, 'layer')}, {genotype.d_model:,} wide.",
        description=_described(genotype, tables, layers),
        width=_WIDTH,
        stream=_STREAM,
        left=_LEFT,
        head=_HEAD,
        sketch=_picture(genotype, scale, tables, layers),
    )
    return Drawing(
        svg=Markup(svg),
        kinds=[_SOURCE, _QUERIES, _KEYS, _FEED_FORWARD, _RESULT],
        caption=_caption(genotype, scale),
        table=_table(genotype, layers),
    )


def _tables(
    genotype: DecoderGenotype, scale: DecoderScale, vocabulary_size: int
) -> list[tuple[str, int]]:
    """The embeddings of tokens: whose each is, and how wide."""
    if genotype.div_val == 1:
        return [(count(vocabulary_size, "token"), genotype.embedding_size)]
    counts = bands(vocabulary_size, scale.band_ends, genotype.div_val)
    names = [f"{'next' if i else 'first'} {number:,} tokens" for i, number in enumerate(counts)]
    return list(zip(names, band_widths(genotype, len(counts)), strict=True))


def _layers(genotype: DecoderGenotype) -> Iterator[_Layers]:
    last = 0
    for sizes, alike in groupby(
        zip(genotype.n_head, genotype.n_kv_head, genotype.d_inner, strict=True)
    ):
        first, last = last + 1, last + len(list(alike))
        yield _Layers(first, last, *sizes)


def _picture(
    genotype: DecoderGenotype,
    scale: DecoderScale,
    tables: list[tuple[str, int]],
    layers: list[_Layers],
) -> _Sketch:
    sketch = _Sketch()
    for name, width in tables:
        length = _LONGEST * width / tables[0][1]
        sketch.bar(f"embedding of {name}", _SOURCE, length, f"{name}, {width:,} wide")
    said = [f"projected to {genotype.d_model:,}"] if _is_projected(genotype) else []
    said += ["positions added"] if genotype.position != "rope" else []
    if said:
        sketch.say(", ".join(said))
    for alike in layers:
        _add_layers(sketch, alike, genotype)
    sketch.bottom += _GAP
    adaptive = scale.softmax == "adaptive" or genotype.div_val > 1
    parts = ["norm"] if scale.norms == "pre" else []
    parts.append("adaptive softmax" if adaptive else "softmax")
    sketch.bar("output", _RESULT, _LONGEST, ", ".join(parts))
    return sketch


def _is_projected(genotype: DecoderGenotype) -> bool:
    return genotype.div_val > 1 or genotype.embedding_size != genotype.d_model


def _add_layers(sketch: _Sketch, alike: _Layers, genotype: DecoderGenotype) -> None:
    start = sketch.bottom + _GAP
    sketch.bottom = start + 4
    sketch.say(alike.name, is_heading=True)
    sketch.say(alike.attention(genotype.d_model))
    top = sketch.bottom
    sketch.ticks(f"{alike.name} queries", _QUERIES, alike.heads, 16)
    sketch.ticks(f"{alike.name} keys", _KEYS, alike.groups, 12)
    sketch.read_and_added(top)
    sketch.bottom += _GAP
    top = sketch.bottom
    width = _LONGEST * alike.inner / max(genotype.d_inner)
    label = f"feed-forward {alike.inner:,}"
    sketch.bar(f"{alike.name} feed-forward", _FEED_FORWARD, width, label)
    sketch.read_and_added(top)
    sketch.bottom += _GAP
    sketch.panels.append((start, sketch.bottom))


def _described(
    genotype: DecoderGenotype, tables: list[tuple[str, int]], layers: list[_Layers]
) -> str:
    """The drawing in words, from the tokens to the output."""
    embedded = "; ".join(f"{name}: embedded {width:,} wide" for name, width in tables)
    projected = f", projected to {genotype.d_model:,}" if _is_projected(genotype) else ""
    sentences = [f"{embedded[0].upper()}{embedded[1:]}{projected}."]
    sentences += [
        f"{alike.name.capitalize()}: attention with {alike.attention(genotype.d_model)}, then a "
        f"feed-forward block {alike.inner:,} wide."
        for alike in layers
    ]
    return " ".join([*sentences, "The last output predicts the next token."])


def _table(genotype: DecoderGenotype, layers: list[_Layers]) -> Table:
    """The drawing as a table."""
    titles = ("layers", "heads", "of keys and values", "size of a head", "feed-forward width")
    rows = []
    for alike in layers:
        sizes = (alike.heads, alike.groups, genotype.d_model // alike.heads, alike.inner)
        rows.append([alike.name.partition(" ")[2], *(f"{size:,}" for size in sizes)])
    caption = f"The same as a table; the model is {genotype.d_model:,} wide throughout."
    return Table(caption, [Column(title) for title in titles], rows)


def _caption(genotype: DecoderGenotype, scale: DecoderScale) -> str:
    norm = _NORMS[genotype.norm]
    normed = {
        "pre": f"Each block reads the stream after a {norm}, and what it computes is added",
        "post": f"What each block computes is added to the stream, and a {norm} follows",
    }
    biases = "Linear maps have biases" if genotype.bias else "There are no biases"
    heads = {"tied": "the embedding of tokens", "untied": "weights of its own"}
    return (
        "Tokens enter at the top, and the line is the residual stream. "
        f"{normed[scale.norms]}. The activation is {_ACTIVATIONS[genotype.activation]}; "
        f"{_POSITIONS[genotype.position]}. {biases}. The next token is predicted by "
        f"{heads[scale.head]}."
    )
