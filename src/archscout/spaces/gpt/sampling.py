"""Drawing decoders: at random, between limits of size, and by the genes of a search."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from archscout.errors import InputError
from archscout.spaces.base import Trial
from archscout.spaces.gpt.genotype import DecoderGenotype, divisors
from archscout.spaces.gpt.sizes import decoder_parameters, feed_forward_parameters
from archscout.spaces.random_trial import RandomTrial

STEP: Final = 64
NUM_LAYERS: Final = (2, 16)
WIDTHS: Final = (1, 16)  # of the model, in steps
INNER_WIDTHS: Final = (2, 64)  # of feed-forward blocks, in steps
HEAD_SIZES: Final = (16, 128)
EMBEDDING_SIZES: Final = (-1, 32, 64, 128, 256, 512)
PARTS: Final[Mapping[str, tuple[Any, ...]]] = {
    "div_val": (1, 2, 4),
    "norm": ("layernorm", "rmsnorm"),
    "activation": ("gelu", "relu", "swiglu"),
    "position": ("learned", "sinusoidal", "rope"),
    "bias": (True, False),
}

_TRIES = 100

_SMALLEST = DecoderGenotype(
    n_layer=NUM_LAYERS[0],
    d_model=STEP * WIDTHS[0],
    n_head=STEP * WIDTHS[0] // HEAD_SIZES[0],
    n_kv_head=1,
    d_inner=STEP * INNER_WIDTHS[0],
    norm="rmsnorm",
    bias=False,
)
_LARGEST = DecoderGenotype(
    n_layer=NUM_LAYERS[1],
    d_model=STEP * WIDTHS[1],
    n_head=8,
    d_inner=STEP * INNER_WIDTHS[1],
    activation="swiglu",
)

T = TypeVar("T")


def sample(rng: random.Random, limits: tuple[int, int] | None = None) -> DecoderGenotype:
    """A decoder at random: choice by choice, or of a size between limits.

    Args:
        rng: of all choices.
        limits: of decoder parameters (all but embeddings), of which the logarithm is then spread
            evenly: the size is drawn first, then one of the shapes that can have it, and the
            widths of the feed-forward blocks make up what is missing.

    Raises:
        InputError: no decoder of the space lies between the limits.
    """
    if limits is None:
        return suggest(RandomTrial(rng))
    low, high = limits
    for _ in range(_TRIES if 0 < low <= high else 0):
        size = math.exp(rng.uniform(math.log(low), math.log(high)))
        drawn = _of_size(rng, size)
        if drawn and low <= decoder_parameters(drawn) <= high:
            return drawn
    least, most = decoder_parameters(_SMALLEST), decoder_parameters(_LARGEST)
    raise InputError(
        f"no decoder was found with {low:,} to {high:,} decoder parameters; the space has those "
        f"of {least:,} to {most:,}"
    )


def suggest(trial: Trial) -> DecoderGenotype:
    """A decoder from genes that a search suggests; every setting of the genes gives a valid one.

    The genes are `n_layer`, `d_model`, `d_embed` and the parts, and for each layer that there is
    `layer 1 n_head`, `layer 1 n_kv_head` and `layer 1 d_inner`. Widths and heads are numbers from 0
    to 1: of a width its place between the least and the most, on a logarithmic scale, and of heads
    their place among the numbers that fit, the fewest first.
    """
    layers = trial.suggest_int("n_layer", *NUM_LAYERS)
    width = _width(trial.suggest_float("d_model", 0, 1), WIDTHS)
    embedding = _suggest(trial, "d_embed", EMBEDDING_SIZES)
    parts = {name: _suggest(trial, name, choices) for name, choices in PARTS.items()}
    heads, groups, inner = [], [], []
    for number in range(1, layers + 1):
        heads.append(_at(trial.suggest_float(f"layer {number} n_head", 0, 1), heads_of(width)))
        place = trial.suggest_float(f"layer {number} n_kv_head", 0, 1)
        groups.append(_at(place, divisors(heads[-1])))
        inner.append(_width(trial.suggest_float(f"layer {number} d_inner", 0, 1), INNER_WIDTHS))
    return DecoderGenotype(
        n_layer=layers,
        d_model=width,
        n_head=heads,
        n_kv_head=groups,
        d_inner=inner,
        d_embed=embedding if embedding < width else -1,
        **parts,
    )


def genes(genotype: DecoderGenotype) -> dict[str, int | float | str] | None:
    """Genes by which `suggest` gives a decoder, None where it has values that no gene has."""
    found: dict[str, int | float | str] = {
        "n_layer": genotype.n_layer,
        "d_model": _width_gene(genotype.d_model, WIDTHS),
        "d_embed": str(genotype.d_embed),
        **{name: str(getattr(genotype, name)) for name in PARTS},
    }
    by_layer = zip(genotype.n_head, genotype.n_kv_head, genotype.d_inner, strict=True)
    for number, (heads, groups, inner) in enumerate(by_layer, 1):
        if heads not in heads_of(genotype.d_model):
            return None
        found[f"layer {number} n_head"] = _place(heads, heads_of(genotype.d_model))
        found[f"layer {number} n_kv_head"] = _place(groups, divisors(heads))
        found[f"layer {number} d_inner"] = _width_gene(inner, INNER_WIDTHS)
    return found if _is_drawn(genotype) else None


def heads_of(width: int) -> list[int]:
    """The numbers of heads that a width of the space divides into heads of 16 to 128.

    Examples:
        >>> heads_of(192)
        [2, 3, 4, 6, 8, 12]
    """
    low, high = HEAD_SIZES
    return [heads for heads in divisors(width) if low <= width // heads <= high]


def _is_drawn(genotype: DecoderGenotype) -> bool:
    """Whether all sizes and parts but the heads are among those that are drawn."""
    within = [
        (genotype.n_layer, NUM_LAYERS, 1),
        (genotype.d_model, WIDTHS, STEP),
        *((inner, INNER_WIDTHS, STEP) for inner in genotype.d_inner),
    ]
    return (
        all(low <= size / step <= high and not size % step for size, (low, high), step in within)
        and genotype.d_embed in EMBEDDING_SIZES
        and genotype.d_embed < genotype.d_model
        and all(getattr(genotype, name) in choices for name, choices in PARTS.items())
    )


def _of_size(rng: random.Random, size: float) -> DecoderGenotype | None:
    """A decoder of about so many parameters, None if no shape with the drawn parts has them."""
    parts = {name: rng.choice(choices) for name, choices in PARTS.items()}
    least, most = (STEP * steps for steps in INNER_WIDTHS)
    shapes = []
    for steps in range(WIDTHS[0], WIDTHS[1] + 1):
        smallest, largest = (_layer_size(steps, inner, parts) for inner in (least, most))
        shapes += [
            (layers, steps)
            for layers in range(NUM_LAYERS[0], NUM_LAYERS[1] + 1)
            if layers * smallest <= size <= layers * largest
        ]
    if not shapes:
        return None
    layers, steps = rng.choice(shapes)
    given = {name: str(part) for name, part in parts.items()}
    gene = _width_gene(STEP * steps, WIDTHS)
    drawn = suggest(RandomTrial(rng, {"n_layer": layers, "d_model": gene, **given}))
    missing = (size - decoder_parameters(drawn)) / _per_inner(drawn)
    widths = _spread(rng, missing + sum(drawn.d_inner), layers)
    return drawn.model_copy(update={"d_inner": widths}) if widths else None


def _layer_size(steps: int, inner: int, parts: Mapping[str, Any]) -> int:
    """Parameters of a layer, with as many heads of keys as of queries."""
    sizes = {"n_layer": 1, "d_model": STEP * steps, "n_head": 1, "d_inner": inner}
    return decoder_parameters(DecoderGenotype(**sizes, **parts), final_norm=False)


def _per_inner(genotype: DecoderGenotype) -> int:
    """How many parameters one more of a feed-forward block's width brings."""
    wider = genotype.model_copy(update={"d_inner": tuple(i + 1 for i in genotype.d_inner)})
    more = feed_forward_parameters(wider) - feed_forward_parameters(genotype)
    return more // genotype.n_layer


def _spread(rng: random.Random, whole: float, layers: int) -> tuple[int, ...] | None:
    """Widths of feed-forward blocks that together make up a whole, uneven at random."""
    least, most = (STEP * steps for steps in INNER_WIDTHS)
    if not layers * least <= whole <= layers * most:
        return None
    widths, left = [], whole
    for others in range(layers - 1, -1, -1):
        mean = left / (others + 1)
        low = max(least, left - others * most, mean / 2)
        high = min(most, left - others * least, 2 * mean - low)
        drawn = left if not others else rng.uniform(low, max(low, high))
        widths.append(min(most, max(least, STEP * round(drawn / STEP))))
        left -= widths[-1]
    rng.shuffle(widths)
    return tuple(widths)


def _suggest(trial: Trial, name: str, choices: Sequence[T]) -> T:
    by_word = {str(choice): choice for choice in choices}
    return by_word[trial.suggest_categorical(name, tuple(by_word))]


def _width(place: float, steps: tuple[int, int]) -> int:
    """The width at a place from 0 to 1, on a logarithmic scale."""
    least, most = steps
    width: int = STEP * round(least * (most / least) ** place)
    return width


def _width_gene(width: int, steps: tuple[int, int]) -> float:
    """The place at which `_width` gives a width."""
    least, most = steps
    return math.log(width / STEP / least) / math.log(most / least)


def _at(place: float, choices: Sequence[int]) -> int:
    return choices[min(int(place * len(choices)), len(choices) - 1)]


def _place(choice: int, choices: Sequence[int]) -> float:
    """In the middle of the stretch by which `_at` gives the choice."""
    return (choices.index(choice) + 0.5) / len(choices)
