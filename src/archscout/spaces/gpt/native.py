"""Decoders that transformers has a class of its own for: GPT-2's and Llama's.

They are exported as such, and load without the code of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from archscout.spaces.gpt.genotype import DecoderGenotype
from archscout.spaces.gpt.network import EPSILON, ROPE_BASE, DecoderNetwork

_ACTIVATIONS = {"gelu": "gelu_pytorch_tanh", "relu": "relu"}
_GPT2 = {
    "attention_norm": "ln_1",
    "attention.output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.up": "mlp.c_fc",
    "feed_forward.down": "mlp.c_proj",
}
_LLAMA = {
    "attention_norm": "input_layernorm",
    **{f"attention.{role}": f"self_attn.{role[0]}_proj" for role in ("query", "key", "value")},
    "attention.output": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    **{f"feed_forward.{name}": f"mlp.{name}_proj" for name in ("gate", "up", "down")},
}


def native(network: DecoderNetwork, genotype: DecoderGenotype) -> PreTrainedModel | None:
    """The model of transformers that computes the same with the same weights, None if it has none.

    Args:
        network: what the genotype describes.
        genotype: alike in all layers, with plain embeddings and norms before its blocks, and with
            the parts of GPT-2 or Llama, if there is such a model.
    """
    is_plain = not network.embedding.projections and not network.head.sizes
    if not (is_plain and genotype.is_homogeneous and hasattr(network, "norm")):
        return None
    parts = genotype.norm, genotype.position, genotype.activation == "swiglu"
    if parts == ("layernorm", "learned", False) and genotype.bias:
        return _gpt2(network, genotype) if genotype.n_kv_head == genotype.n_head else None
    return _llama(network, genotype) if parts == ("rmsnorm", "rope", True) else None


def _gpt2(network: DecoderNetwork, genotype: DecoderGenotype) -> PreTrainedModel:
    weights = network.state_dict()
    make: Any = GPT2Config
    config = make(
        vocab_size=network.embedding.tables[0].num_embeddings,
        n_positions=network.num_positions,
        n_embd=genotype.d_model,
        n_layer=genotype.n_layer,
        n_head=genotype.n_head[0],
        n_inner=genotype.d_inner[0],
        activation_function=_ACTIVATIONS[genotype.activation],
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), network.dropout.p),
        layer_norm_epsilon=EPSILON,
        tie_word_embeddings=network.arguments["tied"],
        bos_token_id=None,
        eos_token_id=None,
    )
    found = {
        "transformer.wte.weight": weights["embedding.tables.0.weight"],
        "transformer.wpe.weight": weights["positions.weight"],
        **{f"transformer.ln_f.{kind}": weights[f"norm.{kind}"] for kind in ("weight", "bias")},
        **_untied(weights),
    }
    for layer in range(genotype.n_layer):
        ours, theirs = f"layers.{layer}", f"transformer.h.{layer}"
        for kind in ("weight", "bias"):
            joined = [weights[f"{ours}.attention.{r}.{kind}"] for r in ("query", "key", "value")]
            found[f"{theirs}.attn.c_attn.{kind}"] = torch.cat(joined).t()
            for name, other in _GPT2.items():
                found[f"{theirs}.{other}.{kind}"] = weights[f"{ours}.{name}.{kind}"].t()
    return _filled(GPT2LMHeadModel, config, found)


def _llama(network: DecoderNetwork, genotype: DecoderGenotype) -> PreTrainedModel:
    weights = network.state_dict()
    make: Any = LlamaConfig
    config = make(
        vocab_size=network.embedding.tables[0].num_embeddings,
        max_position_embeddings=network.num_positions,
        hidden_size=genotype.d_model,
        intermediate_size=genotype.d_inner[0],
        num_hidden_layers=genotype.n_layer,
        num_attention_heads=genotype.n_head[0],
        num_key_value_heads=genotype.n_kv_head[0],
        rms_norm_eps=EPSILON,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_BASE},
        attention_dropout=network.dropout.p,
        attention_bias=genotype.bias,
        mlp_bias=genotype.bias,
        tie_word_embeddings=network.arguments["tied"],
        bos_token_id=None,
        eos_token_id=None,
    )
    found = {
        "model.embed_tokens.weight": weights["embedding.tables.0.weight"],
        "model.norm.weight": weights["norm.weight"],
        **_untied(weights),
    }
    for layer in range(genotype.n_layer):
        for name, other in _LLAMA.items():
            for kind in ("weight", "bias"):
                if (ours := f"layers.{layer}.{name}.{kind}") in weights:
                    found[f"model.layers.{layer}.{other}.{kind}"] = weights[ours]
    return _filled(LlamaForCausalLM, config, found)


def _untied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that predict tokens, where they are not those of the embedding."""
    own = weights.get("head.words.0.weight")
    return {} if own is None else {"lm_head.weight": own}


def _filled(model_class: Any, config: Any, weights: Mapping[str, Tensor]) -> PreTrainedModel:
    """A model with copies of these weights."""
    model: PreTrainedModel = model_class(config)
    own = dict(model.named_parameters())
    assert own.keys() == weights.keys()
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])
    return model
