"""The drawing of a decoder, and the page about a search for one."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archscout.report.decoder import draw
from archscout.report.page import build_page
from archscout.runs import Run
from archscout.spaces import DecoderGenotype, GptSpace
from archscout.spaces.gpt.sampling import sample

SCALE = GptSpace.scales["fast"]
SPACE = GptSpace()

genotypes = st.builds(lambda seed: sample(random.Random(seed)), st.integers(0, 2**32 - 1))


class Picture:
    """A drawn decoder taken apart.

    Attributes:
        svg: the root.
        places: name of a box to left, top, right, bottom.
        texts: all that is written.
    """

    def __init__(self, genotype: DecoderGenotype, vocabulary_size: int = 8192) -> None:
        self.drawing = draw(genotype, SCALE, vocabulary_size)
        self.svg = ElementTree.fromstring(str(self.drawing.svg))
        self.places: dict[str, tuple[float, float, float, float]] = {}
        for group in self.svg.iter("g"):
            rect = group.find("rect")
            assert rect is not None
            x, y, width, height = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
            self.places[str(group.get("data-name"))] = (x, y, x + width, y + height)
        self.texts = [str(text.text) for text in self.svg.iter("text")]

    def named(self, pattern: str) -> list[str]:
        """Boxes of these names."""
        return [name for name in self.places if re.fullmatch(pattern, name)]

    def width(self, name: str) -> float:
        left, _, right, _ = self.places[name]
        return right - left


@given(genotypes)
@settings(deadline=None, max_examples=30)
def test_each_layer_has_its_heads_and_its_width(genotype: DecoderGenotype) -> None:
    picture = Picture(genotype)
    assert picture.drawing.table is not None
    rows = picture.drawing.table.rows
    seen = 0
    for numbers, *sizes in rows:
        first, _, last = numbers.partition(" to ")
        name = f"layers {numbers}" if last else f"layer {first}"
        heads, groups, size, inner = (int(value.replace(",", "")) for value in sizes)
        assert heads * size == genotype.d_model
        for layer in range(int(first) - 1, int(last or first)):
            assert layer == seen
            seen += 1
            wanted = (genotype.n_head[layer], genotype.n_kv_head[layer], genotype.d_inner[layer])
            assert (heads, groups, inner) == wanted
        assert len(picture.named(f"{name} queries .*")) == heads
        assert len(picture.named(f"{name} keys .*")) == groups
        assert f"feed-forward {inner:,}" in picture.texts
    assert seen == genotype.n_layer
    assert len(picture.named("layer.* feed-forward")) == len(rows)


@given(genotypes)
@settings(deadline=None, max_examples=30)
def test_blocks_lie_inside_their_layer_and_the_picture(genotype: DecoderGenotype) -> None:
    picture = Picture(genotype)
    _, _, width, height = map(float, picture.svg.attrib["viewBox"].split())
    panels = [rect for rect in picture.svg.iter("rect") if rect.get("class") == "panel"]
    bounds = [(float(p.attrib["y"]), float(p.attrib["height"])) for p in panels]
    for name, (left, top, right, bottom) in picture.places.items():
        assert left >= 0 and right <= width and top >= 0 and bottom <= height
        around = [start < top and bottom < start + size for start, size in bounds]
        assert sum(around) == name.startswith("layer")


def test_heads_of_keys_lie_below_the_heads_that_share_them() -> None:
    genotype = SPACE.parse({"n_layer": 1, "d_model": 64, "n_head": 4, "n_kv_head": 2, "d_inner": 9})
    picture = Picture(genotype)
    assert "4 heads of 16, 2 of keys and values" in picture.texts
    for i in range(4):
        query = picture.places[f"layer 1 queries {i + 1}"]
        key = picture.places[f"layer 1 keys {i // 2 + 1}"]
        assert key[1] == query[3] and key[0] <= query[0] and query[2] <= key[2]


def test_layers_that_are_alike_are_drawn_once() -> None:
    picture = Picture(SPACE.named["gpt2"])
    assert "layers 1 to 12" in picture.texts
    assert len(picture.named("layers? .* feed-forward")) == 1


def test_lengths_show_widths() -> None:
    sizes = {"d_inner": [300, 900], "d_embed": 32, "div_val": 2}
    picture = Picture(SPACE.parse({"n_layer": 2, "d_model": 64, "n_head": 2, **sizes}), 4000)
    blocks = [picture.width(f"layer {i} feed-forward") for i in (1, 2)]
    assert blocks[1] == pytest.approx(3 * blocks[0], abs=0.02)
    # The vocabulary ends where the third band would begin.
    tables = picture.named("embedding of .*")
    assert tables == ["embedding of first 1,000 tokens", "embedding of next 3,000 tokens"]
    assert picture.width(tables[0]) == pytest.approx(2 * picture.width(tables[1]), abs=0.02)
    assert "projected to 64, positions added" in picture.texts
    assert "norm, adaptive softmax" in picture.texts


def test_the_parts_are_said() -> None:
    said = Picture(SPACE.named["llama-tiny"]).drawing.caption
    for words in ("root mean square norm", "SwiGLU", "rotated by their positions", "no biases"):
        assert words in said
    assert "layer norm, and what it computes" in Picture(SPACE.named["gpt2"]).drawing.caption
    assert said.endswith("The next token is predicted by the embedding of tokens.")
    untied = draw(SPACE.named["gpt2"], SCALE.resized(head="untied"), 8192).caption
    assert untied.endswith("The next token is predicted by weights of its own.")


@pytest.fixture(scope="module")
def decoders(find: Callable[..., Path]) -> Run:
    """A run over decoders by what it costs to generate text with them."""
    goals = "parameters,prefill_latency,token_latency,cache_memory"
    sizes = SCALE.resized(batch_size=2, sequence_length=9)
    return Run(find(space="gpt", trials=2, metrics=goals, scale=sizes))


def test_what_a_cache_costs_is_said_and_of_which_text(decoders: Run) -> None:
    text = build_page(decoders)
    assert "Prefill is reading 8 tokens at once." in text
    assert "Token latency is that of generating one token after 9." in text
    assert "The cache holds 9 tokens." in text
    for heading in ("prefill_latency", "token_latency", "cache_memory"):
        assert f"{heading} (" in text


def test_the_page_draws_the_best_for_the_tokens_of_the_run(decoders: Run) -> None:
    drawn = draw(decoders.best.architecture, decoders.model_scale, decoders.vocabulary_size)
    assert str(drawn.svg) in build_page(decoders)
