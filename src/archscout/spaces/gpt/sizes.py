"""How many parameters a decoder has, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from archscout.errors import InputError
from archscout.spaces.gpt.genotype import DecoderGenotype


def bands(vocabulary_size: int, cutoffs: Sequence[int], div_val: int) -> list[int]:
    """How many tokens each band of the vocabulary holds, the commonest first.

    Args:
        vocabulary_size: V.
        cutoffs: ids at which bands end, rising; those behind the vocabulary's end are left out.
        div_val: of the genotype.

    Raises:
        InputError: bands are to be narrowed, and there are none: the vocabulary is smaller than
            the first cutoff, or there is no cutoff.

    Examples:
        >>> bands(50264, (19997, 39997, 199997), 2)
        [19997, 20000, 10267]
    """
    if div_val > 1 and (not cutoffs or vocabulary_size < cutoffs[0]):
        wanted = (
            f"cutoffs are {', '.join(map(str, cutoffs))}" if cutoffs else "there are no cutoffs"
        )
        raise InputError(
            f"div_val is {div_val}, but {wanted} and the vocabulary has {vocabulary_size} tokens, "
            "so it has no bands; accepted is div_val 1, or a cutoff within the vocabulary"
        )
    ends = [0, *(end for end in cutoffs if end < vocabulary_size), vocabulary_size]
    return [end - start for start, end in pairwise(ends)]


def band_widths(genotype: DecoderGenotype, count: int) -> list[int]:
    """How wide each band is embedded.

    Raises:
        InputError: one would have no width.
    """
    widths = [genotype.embedding_size // genotype.div_val**i for i in range(count)]
    if not widths[-1]:
        raise InputError(
            f"d_embed {genotype.embedding_size} divided by div_val {genotype.div_val} leaves no "
            f"width for band {widths.index(0) + 1} of the vocabulary; a wider embedding, or a "
            "smaller div_val, is accepted"
        )
    return widths


def attention_parameters(genotype: DecoderGenotype) -> int:
    """Of the projections of all layers' attention."""
    width = genotype.d_model
    total = 0
    for heads, groups in zip(genotype.n_head, genotype.n_kv_head, strict=True):
        outputs = 2 * width + 2 * width // heads * groups  # query and output, key and value
        total += (width + genotype.bias) * outputs
    return total


def feed_forward_parameters(genotype: DecoderGenotype) -> int:
    """Of all layers' feed-forward blocks."""
    width, into = genotype.d_model, 2 if genotype.activation == "swiglu" else 1
    bias = genotype.bias
    return sum(
        (into * inner) * (width + bias) + width * (inner + bias) for inner in genotype.d_inner
    )


def norm_parameters(genotype: DecoderGenotype, final: bool = True) -> int:
    """Of two norms a layer and a final one, which post-norm networks lack."""
    has_bias = genotype.bias and genotype.norm == "layernorm"
    return (2 * genotype.n_layer + final) * genotype.d_model * (1 + has_bias)


def decoder_parameters(genotype: DecoderGenotype, final_norm: bool = True) -> int:
    """All parameters but those of embeddings and of what predicts tokens from them.

    Examples:
        >>> decoder_parameters(DecoderGenotype(n_layer=12, d_model=768, n_head=12, d_inner=3072))
        85056000
    """
    return (
        attention_parameters(genotype)
        + feed_forward_parameters(genotype)
        + norm_parameters(genotype, final_norm)
    )


def embedding_parameters(
    genotype: DecoderGenotype,
    vocabulary_size: int,
    num_positions: int,
    cutoffs: Sequence[int] = (),
) -> int:
    """Of the embeddings of tokens, with their projections, and of positions."""
    counts, widths, projected = _embedded(genotype, vocabulary_size, cutoffs)
    tokens = sum(count * size for count, size in zip(counts, widths, strict=True))
    positions = num_positions * genotype.d_model if genotype.position == "learned" else 0
    return tokens + sum(projected) * genotype.d_model + positions


def head_parameters(
    genotype: DecoderGenotype,
    vocabulary_size: int,
    cutoffs: Sequence[int] = (),
    adaptive: bool = False,
    tied: bool = True,
) -> int:
    """Of what predicts tokens, beside the embedding that it shares.

    The first band's projection is its own; those of the others are the embedding's. One that is not
    tied has weights of its own for tokens, and projections for the other bands. An adaptive
    softmax has a bias for each token and for each band but the first, and a vector for the latter.

    Args:
        genotype: of the decoder.
        vocabulary_size: V.
        cutoffs: ids at which bands end.
        adaptive: whether the softmax is adaptive although `div_val` is 1.
        tied: whether it shares the embedding.
    """
    counts, widths, projected = _embedded(genotype, vocabulary_size, cutoffs)
    own = genotype.d_model * widths[0] if projected else 0
    if not tied:
        own += sum(count * width for count, width in zip(counts, widths, strict=True))
        own += genotype.d_model * sum(widths[1:])
    if genotype.div_val == 1 and not adaptive:
        return own
    clusters = len(bands(vocabulary_size, cutoffs, genotype.div_val)) - 1
    return own + vocabulary_size + clusters * (widths[0] + 1)


def _embedded(
    genotype: DecoderGenotype, vocabulary_size: int, cutoffs: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """Of each table of embeddings its tokens, its width, and that again if it is projected."""
    counts = [vocabulary_size]
    if genotype.div_val > 1:
        counts = bands(vocabulary_size, cutoffs, genotype.div_val)
    widths = band_widths(genotype, len(counts))
    plain = genotype.div_val == 1 and genotype.d_embed == -1
    return counts, widths, [] if plain else widths
