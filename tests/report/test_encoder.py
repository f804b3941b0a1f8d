"""The drawing of an encoder, and the page about a search for one."""

import json
import random
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archscout.report.encoder import draw
from archscout.report.page import build_page
from archscout.report.summary import commands
from archscout.runs import Run
from archscout.spaces.flexibert import EncoderGenotype, EncoderLayer, FlexibertSpace
from archscout.spaces.flexibert.genotype import OPERATIONS, sample
from archscout.spaces.flexibert.readings import Reading, plan

SCALE = FlexibertSpace.scales["fast"]
READINGS = get_args(Reading)

genotypes = st.builds(lambda seed: sample(random.Random(seed)), st.integers(0, 2**32 - 1))
readings = st.sampled_from(READINGS)


class Picture:
    """A drawn encoder taken apart.

    Attributes:
        svg: the root.
        boxes: name to label, from top to bottom.
        places: name to left, top, right, bottom.
        fills: name to colour.
        arrows: the plain ones' start and end heights.
        residuals: the dashed ones' start and end heights.
    """

    def __init__(self, genotype: EncoderGenotype, reading: Reading, embedding: int = 128) -> None:
        scale = SCALE.resized(reading=reading, embedding_size=embedding)
        self.drawing = draw(genotype, scale, 100)
        self.svg = ElementTree.fromstring(str(self.drawing.svg))
        self.boxes: dict[str, str] = {}
        self.places: dict[str, tuple[float, float, float, float]] = {}
        self.fills: dict[str, str] = {}
        self.inks: dict[str, str] = {}
        for group in self.svg.iter("g"):
            name, rect, text = str(group.get("data-name")), group.find("rect"), group.find("text")
            assert rect is not None and text is not None
            x, y, width, height = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
            self.boxes[name] = str(text.text)
            self.places[name] = (x, y, x + width, y + height)
            self.fills[name], self.inks[name] = rect.attrib["fill"], text.attrib["fill"]
        self.arrows, self.residuals = [], []
        for path in self.svg.iter("path"):
            if path.get("class") == "arrow":
                numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.attrib["d"])]
                if "stroke-dasharray" in path.attrib:
                    self.residuals.append((numbers[1], numbers[-2]))
                else:
                    self.arrows.append((numbers[1], numbers[-1]))

    def layer(self, number: int) -> dict[str, str]:
        """The boxes of a layer, by the rest of their names."""
        start = f"layer {number} "
        return {n.removeprefix(start): v for n, v in self.boxes.items() if n.startswith(start)}


def encoder(*parameters: str | int, hidden_size: int = 128) -> EncoderGenotype:
    """An encoder with these operations, three feed-forward layers in each odd layer."""
    kinds = {parameter: kind for kind, choices in OPERATIONS.items() for parameter in choices}
    layers = [
        EncoderLayer(
            operation_type=kinds[parameter],
            operation_parameter=parameter,
            num_operation_heads=2 if i % 2 else 4,
            feed_forward_dimension=512,
            num_feed_forward=1 if i % 2 else 3,
        )
        for i, parameter in enumerate(parameters)
    ]
    return EncoderGenotype(hidden_size=hidden_size, layers=tuple(layers))


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 has it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@given(genotypes, readings)
@settings(deadline=None, max_examples=40)
def test_the_network_that_is_built_is_what_is_drawn(
    genotype: EncoderGenotype, reading: Reading
) -> None:
    picture, built = Picture(genotype, reading), plan(genotype, reading)
    for number, layer in enumerate(built.layers, 1):
        boxes = picture.layer(number)
        assert boxes.pop("operation") == f"{layer.operation}, {layer.num_heads} heads"
        closing = f"projection to {built.hidden_size} + residual, norm"
        assert ("mixed" in boxes) == layer.closed
        assert boxes.pop("mixed", closing) == boxes.pop("output") == closing
        assert list(boxes.values()) == [f"feed-forward {width}" for width in layer.feed_forward]
    assert picture.boxes["embedding"] == "embedding, 128 wide"
    assert picture.boxes["output"] == f"output, {built.hidden_size} wide"
    assert ("projection" in picture.boxes) == (built.hidden_size != 128)


@given(genotypes, readings)
@settings(deadline=None, max_examples=40)
def test_boxes_lie_below_each_other_inside_their_layer_and_the_picture(
    genotype: EncoderGenotype, reading: Reading
) -> None:
    picture = Picture(genotype, reading)
    places = list(picture.places.values())
    assert next(iter(picture.places)) == "embedding" and list(picture.places)[-1] == "output"
    for above, below in pairwise(places):
        assert above[3] < below[1]
    _, _, width, height = map(float, picture.svg.attrib["viewBox"].split())
    panels = [rect for rect in picture.svg.iter("rect") if rect.get("class") == "panel"]
    assert len(panels) == genotype.num_layers
    for name, (left, top, right, bottom) in picture.places.items():
        assert left >= 0 and right <= width and top >= 0 and bottom <= height
        for number, panel in enumerate(panels, 1):
            start, size = float(panel.attrib["y"]), float(panel.attrib["height"])
            inside = start < top and bottom < start + size
            assert inside == name.startswith(f"layer {number} ")
            assert inside or bottom < start or top > start + size


@given(genotypes, readings)
@settings(deadline=None, max_examples=40)
def test_arrows_lead_from_box_to_box_and_residuals_around_each_block(
    genotype: EncoderGenotype, reading: Reading
) -> None:
    picture, built = Picture(genotype, reading), plan(genotype, reading)
    names = list(picture.places)
    followed = [
        (picture.places[above][3], picture.places[below][1] - 8)
        for above, below in pairwise(names)
        if not re.search(r"feed-forward [23]$", below)
    ]
    assert picture.arrows == followed
    expected = []
    for number, layer in enumerate(built.layers, 1):
        blocks = [("operation", "mixed")] if layer.closed else []
        blocks.append(("feed-forward 1", "output"))
        expected += [[f"layer {number} {name}" for name in block] for block in blocks]
    assert len(picture.residuals) == len(expected)
    for (start, end), (first, closing) in zip(picture.residuals, expected, strict=True):
        before = picture.places[names[names.index(first) - 1]]
        assert before[3] < start < picture.places[first][1]
        assert picture.places[closing][1] < end < picture.places[closing][3]


def test_the_six_operations_differ_in_colour_and_label() -> None:
    fills: dict[str, str] = {}
    for names in (("SDP", "WMA", "DFT", "DCT"), (5, 9)):
        picture = Picture(encoder(*names), "declared")
        named = {kind.fill: kind.name for kind in picture.drawing.kinds}
        for name, label in picture.boxes.items():
            if name.endswith("operation"):
                operation = label.partition(",")[0]
                fills[operation] = picture.fills[name]
                assert named[fills[operation]].startswith(f"{operation}, ")
    assert sorted(fills) == ["DCT", "DFT", "DSC-5", "DSC-9", "SDP", "WMA"]
    assert len(set(fills.values())) == 6


@pytest.mark.parametrize("reading", READINGS)
def test_labels_are_readable_on_their_boxes(reading: Reading) -> None:
    for names in (("SDP", "WMA", "DFT", "DCT"), (5, 9)):
        picture = Picture(encoder(*names), reading)
        for name, fill in picture.fills.items():
            light, dark = sorted((luminance(fill), luminance(picture.inks[name])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, name
            left, _, right, _ = picture.places[name]
            size = 8.9 if name.endswith("operation") else 7.0  # of a wide font's character
            assert len(picture.boxes[name]) * size < right - left, name


def test_a_wider_feed_forward_layer_is_longer() -> None:
    picture = Picture(encoder("SDP", "SDP", hidden_size=256), "trained")
    assert list(picture.layer(1).values())[2:5] == [f"feed-forward {n}" for n in (1024, 512, 512)]
    lengths = [
        picture.places[f"layer 1 feed-forward {i}"][2]
        - picture.places[f"layer 1 feed-forward {i}"][0]
        for i in (1, 2, 3)
    ]
    assert lengths[0] / 2 == pytest.approx(lengths[1]) and lengths[1] == lengths[2]


def test_a_narrow_screen_shows_it_whole() -> None:
    picture = Picture(encoder("SDP", "DFT", 5, 9), "declared")
    least = re.search(r"min-width:([\d.]+)px", picture.svg.attrib["style"])
    assert least is not None and float(least[1]) <= 360 - 2 * 16
    assert all(float(text.attrib["font-size"]) >= 13 for text in picture.svg.iter("text"))


@given(genotypes, readings)
@settings(deadline=None, max_examples=40)
def test_it_is_told_in_words_and_as_a_table(genotype: EncoderGenotype, reading: Reading) -> None:
    picture, built = Picture(genotype, reading), plan(genotype, reading)
    description = picture.svg.find("desc")
    assert description is not None and description.text is not None
    assert picture.svg.attrib["aria-describedby"] == description.attrib["id"]
    assert picture.svg.attrib["role"] == "img"
    assert f"{len(built.layers)} layers" in picture.svg.attrib["aria-label"]
    table = picture.drawing.table
    assert table is not None and f"hidden size is {built.hidden_size} " in table.caption
    names = [column.name for column in table.columns]
    open_ones = [layer for layer in built.layers if not layer.closed]
    assert ("closed" in names) == bool(open_ones)
    for number, (layer, row) in enumerate(zip(built.layers, table.rows, strict=True), 1):
        cells = dict(zip(names, row, strict=True))
        widths = ", ".join(map(str, layer.feed_forward))
        assert cells["layer"] == str(number) and cells["operation"] == layer.operation
        assert cells["heads"] == str(layer.num_heads) and cells["feed-forward widths"] == widths
        assert cells.get("closed", "yes") == ("yes" if layer.closed else "no")
        words = f"Layer {number}: {layer.operation} with {layer.num_heads} heads"
        assert words in description.text and f"feed-forward {widths}," in description.text


def test_the_caption_names_the_reading_and_what_it_changes() -> None:
    genotype = encoder("DFT", "WMA")
    captions = {reading: Picture(genotype, reading).drawing.caption for reading in READINGS}
    for reading, caption in captions.items():
        assert f"reading: {reading}" in caption
        assert ("whatever the genotype says" in caption) == (reading != "declared")


def test_a_convolution_tells_how_its_heads_are_shared_out() -> None:
    picture = Picture(encoder(5, 9), "declared")
    titles = [group.findtext("title") or "" for group in picture.svg.iter("g")]
    assert any("2 heads convolving, 2 heads attending" in title for title in titles)
    assert any("1 head convolving, 1 head attending" in title for title in titles)


# The page


def test_the_page_draws_what_the_run_builds_not_what_it_scores(encoders: Run) -> None:
    text = build_page(encoders)
    assert encoders.settings.scale["reading"] == "declared"
    found = re.search(r'<svg class="graph".*?</svg>', text, re.DOTALL)
    assert found is not None
    scale = SCALE.resized(reading="trained")
    assert found[0] == str(draw(encoders.best.architecture, scale, 100).svg)
    assert "reading: trained" in text


def test_the_layers_of_the_genotype_stand_on_a_line_each(encoders: Run) -> None:
    text = build_page(encoders)
    written = re.search(r"<pre[^>]*>(\{.*?)</pre>", text, re.DOTALL)
    assert written is not None
    document = written[1].replace("&#34;", '"')
    assert json.loads(document) == encoders.best.architecture.to_dict()
    lines = [line for line in document.splitlines() if "operation_type" in line]
    assert len(lines) == encoders.best.architecture.num_layers


def test_latency_is_said_to_be_that_of_a_sequence_or_of_a_token(
    encoders: Run, find: Callable[..., Path]
) -> None:
    cells = Run(find(trials=2, metrics="latency"))
    assert "Latency is that of one whole sequence of 8 tokens." in build_page(encoders)
    assert "Latency is that of one token of one sequence." in build_page(cells)


def test_the_command_scores_encoders_as_the_run_did(encoders: Run) -> None:
    line = commands(encoders, 1)[-1][1]
    assert "--size batch_size=2" in line and "--size sequence_length=8" in line
    assert not re.search("(objective|tokenizer|reading)=", line)
    changes = {"objective": "loss", "tokenizer": "my words"}
    other = Run(encoders.folder.path)
    other.settings = other.settings.model_copy(
        update=changes | {"scale": encoders.settings.model_scale}
    )
    line = commands(other, 1)[-1][1]
    assert "objective=loss" in line and "tokenizer=my words'" in line
    assert "--size reading=trained" in line


def test_a_page_without_latency_does_not_speak_of_it(ordinary: Run) -> None:
    assert "Latency is" not in build_page(ordinary)
