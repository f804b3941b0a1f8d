"""Which models of transformers `score_module` scores, and what it refuses, and why: a table.

Each family is built tiny, with random weights, and scored by every metric on one batch of tokens:

    python benchmarks/model_families.py --out docs/model_families.md
    python benchmarks/model_families.py --family mixtral --family lfm2

The table says what each is taken for, how many scores there are, which share of the parameters the
weights of linear maps are, and the reasons for which metrics do not apply, most frequent first.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import transformers

import archscout

# Masked, causal, encoder-decoder, mixtures of experts, state-space and hybrid families.
FAMILIES = (
    *("albert", "arcee", "bamba", "bart", "bert", "bert-generation", "big_bird", "bitnet", "bloom"),
    *(
        "blenderbot",
        "camembert",
        "canine",
        "codegen",
        "cohere",
        "convbert",
        "ctrl",
        "data2vec-text",
    ),
    *("deberta", "deberta-v2", "deepseek_v3", "diffllama", "distilbert", "electra", "ernie"),
    *("falcon", "falcon_h1", "falcon_mamba", "fnet", "funnel", "gemma", "gemma2", "gemma3_text"),
    *("glm", "glm4", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_oss", "gptj", "granite"),
    *("granitemoe", "helium", "ibert", "jamba", "layoutlm", "led", "lfm2", "llama", "longformer"),
    *("longt5", "mamba", "mamba2", "marian", "mbart", "minimax", "ministral", "mistral", "mixtral"),
    *("modernbert", "mpnet", "mpt", "mra", "mt5", "mvp", "nemotron", "nystromformer", "olmo"),
    *("olmo2", "olmoe", "openai-gpt", "opt", "pegasus", "persimmon", "phi", "phi3", "phimoe"),
    *("plbart", "prophetnet", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next"),
    *("recurrent_gemma", "reformer", "rembert", "roberta", "roc_bert", "roformer", "rwkv"),
    *("smollm3", "squeezebert", "stablelm", "starcoder2", "switch_transformers", "t5", "umt5"),
    *("xglm", "xlm", "xlm-roberta", "xlnet", "xmod", "yoso", "zamba", "zamba2"),
)

# Sizes by the names that configurations have for them.
SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_blocks"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_encoder_attention_heads", "num_decoder_attention_heads"), 4),
    **dict.fromkeys(("num_encoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("intermediate_size", "n_inner", "d_ff", "dff", "d_inner", "hidden_dim"), 48),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "ffn_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 32),
    **dict.fromkeys(("num_local_experts", "num_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "top_k"), 2),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 64),
    "num_key_value_heads": 2,
    "head_dim": 8,
    "d_kv": 8,
    "vocab_size": 120,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "word_embed_proj_dim": 32,
    "use_mamba_kernels": False,
}

# What else a family needs at such sizes; None leaves a size to the configuration.
EXTRAS: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 16},
    "bamba": {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "attn_layer_indices": [1]},
    "big_bird": {"attention_type": "original_full"},
    "canine": {"local_attention_window": 16},
    "codegen": {"rotary_dim": 4},
    "ctrl": {"dff": 48},
    "deepseek_v3": {
        "head_dim": 4,
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_rope_head_dim": 4,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "n_group": 1,
        "topk_group": 1,
        "num_key_value_heads": 4,
        "first_k_dense_replace": 1,
    },
    "falcon": {"head_dim": None},
    "falcon_h1": {
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_chunk_size": 8,
    },
    "falcon_mamba": {"state_size": 4},
    "funnel": {"block_sizes": [1, 1], "d_head": 8, "num_hidden_layers": None, "num_blocks": None},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 4},
    "jamba": {"mamba_d_state": 4, "attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "longformer": {"attention_window": 8},
    "mamba": {"state_size": 4},
    "mamba2": {"num_heads": 8, "head_dim": 8, "state_size": 4, "n_groups": 1, "chunk_size": 8},
    "openai-gpt": {"afn": "gelu"},
    "prophetnet": {"num_hidden_layers": None},
    "qwen3_next": {
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "layer_types": ["linear_attention", "full_attention"],
    },
    "recurrent_gemma": {"lru_width": 32, "block_types": ["recurrent", "attention"]},
    "reformer": {
        "is_decoder": True,
        "attn_layers": ["local", "local"],
        "axial_pos_shape": [4, 4],
        "axial_pos_embds_dim": [16, 16],
        "attention_head_size": 8,
        "feed_forward_size": 48,
        "local_attn_chunk_length": 4,
    },
    "rwkv": {"attention_hidden_size": 32, "context_length": 64},
    "switch_transformers": {"num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    "t5": {"decoder_start_token_id": 0},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zamba": {"mamba_d_state": 4, "n_mamba_heads": 2, "attention_head_dim": 16},
    "zamba2": {"mamba_d_state": 4, "n_mamba_heads": 8, "mamba_ngroups": 1, "chunk_size": 8},
}

# Inputs and positions; Reformer and others take lengths of a power of two.
BATCH, LENGTH = 4, 16


def build(family: str) -> torch.nn.Module:
    """A tiny model of a family, with the head that it is trained with where it has one."""
    kind = transformers.models.auto.configuration_auto.CONFIG_MAPPING[family]
    config = kind()
    known = {name: value for name, value in SIZES.items() if hasattr(config, name)}
    sizes = {**known, **EXTRAS.get(family, {})}
    config = kind(**{name: value for name, value in sizes.items() if value is not None})
    torch.manual_seed(0)
    for head in ("CausalLM", "MaskedLM", "Seq2SeqLM", ""):
        auto = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
        if type(config) in auto._model_mapping:
            return auto.from_config(config)
    raise KeyError(family)


def batch_of(model: Any) -> dict[str, torch.Tensor]:
    """Tokens, and what the decoder reads of a model that has one."""
    tokens = torch.randint(5, 100, (BATCH, LENGTH), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": tokens}
    if model.config.is_encoder_decoder:
        batch["decoder_input_ids"] = tokens.flip(1)
    return batch


def row(family: str) -> dict[str, Any]:
    """What was found of a family."""
    try:
        model = build(family)
        batch = batch_of(model)
        with torch.no_grad():
            model.eval()(**batch)
    except Exception as error:
        # Nothing of ours: the configuration is wrong at this size, or needs another library.
        return {"family": family, "error": f"{type(error).__name__}: {str(error)[:80]}"}
    found = archscout.score_module(model, batch)
    reasons = Counter(found.inapplicable.values()).most_common()
    assert found.found is not None
    return {
        "family": family,
        "class": type(model).__name__,
        "kind": found.found.kind,
        "layers": found.found.layers,
        "share": found.found.share,
        "scores": len(found.scores),
        "refused": sum(count for _, count in reasons),
        "reasons": [f"{reason} ({count})" for reason, count in reasons],
        "problem": found.problem,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as Markdown."""
    lines = [
        "| family | class | taken for | layers | parameters in linear maps | scores | refused |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['family']} | `{r['class']}` | {r['kind']} | {r['layers']} | {r['share']:.0%} "
        f"| {r['scores']} | {'; '.join(r['reasons']) or 'none'} |"
        for r in rows
        if "error" not in r
    ]
    if left_out := [r["family"] for r in rows if "error" in r]:
        lines += ["", f"Not built at this size: {', '.join(left_out)}."]
    return "\n".join(lines)


def main() -> None:
    """Score every family, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", action="append", choices=FAMILIES, help="Take only this one.")
    parser.add_argument("--out", type=Path, help="Write the page to this file.")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    rows = []
    for family in arguments.family or FAMILIES:
        rows.append(row(family))
        print(rows[-1], file=sys.stderr, flush=True)
    page = table(rows)
    if arguments.out is None:
        print(page)
        return
    title = "# Models of transformers\n\n"
    made = (
        "What `archscout.score_module` makes of tiny models with random weights, "
        f"{BATCH} texts of {LENGTH} tokens, transformers {transformers.__version__}, torch "
        f"{torch.__version__}: made by `python benchmarks/model_families.py --out "
        f"{arguments.out.as_posix()}`. The share is that of all parameters, embeddings among them."
        "\n\n"
    )
    arguments.out.write_text(title + made + page + "\n")


if __name__ == "__main__":
    main()
