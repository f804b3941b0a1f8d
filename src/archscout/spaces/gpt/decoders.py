"""Decoders that have a name in the literature, or the shape of one that has, as genotypes."""

from typing import Any

from archscout.spaces.gpt.genotype import DecoderGenotype


def _gpt2(n_layer: int, d_model: int, n_head: int) -> DecoderGenotype:
    return DecoderGenotype(n_layer=n_layer, d_model=d_model, n_head=n_head, d_inner=4 * d_model)


def _llama(
    n_layer: int, d_model: int, n_head: int, n_kv_head: int, d_inner: int
) -> DecoderGenotype:
    parts: dict[str, Any] = {"norm": "rmsnorm", "activation": "swiglu", "position": "rope"}
    sizes = {"n_head": n_head, "n_kv_head": n_kv_head, "d_inner": d_inner}
    return DecoderGenotype(n_layer=n_layer, d_model=d_model, **sizes, bias=False, **parts)


# gpt2 is the smallest model of Radford et al. 2019. Those called tiny and mini are as wide and as
# deep as the encoders of Turc et al. 2019 that have these names, with the parts of GPT-2 or Llama.
DECODERS = {
    "gpt2-tiny": _gpt2(2, 128, 2),
    "gpt2-mini": _gpt2(4, 256, 4),
    "llama-tiny": _llama(2, 128, 2, 1, 320),
    "llama-mini": _llama(4, 256, 4, 2, 704),
    "gpt2": _gpt2(12, 768, 12),
}
