#!/usr/bin/env bash
# In an untrained xLSTM of transformers the feed-forward layers say nothing: each adds exact zeros.
#
# A block of an xLSTM (Beck et al., 2024) is a memory with gates and a gated feed-forward layer, SiLU(gate) * up.
# The memory's gates are to start with weights of zero, so transformers 5.24.0 draws none for linear layers whose
# name has "gate" in it. The feed-forward layer's `proj_up_gate` is one of them: SiLU(0) = 0, so its layer's output is
# zero whatever its width, and at the start neither `proj_up` nor `proj_down` has a gradient. A Llama's `gate_proj`
# is drawn like the rest. Nearly half of a block's weights (`proj_up` and `proj_down`) are thus out of reach of a
# score at the start, be it of outputs, of gradients, or of weights times gradients; one step of training
# brings them in.
#
# Output seen (2 blocks, weights as drawn; the feed-forward layers' output relative to their input, and which of their
# three weights each have no gradient; then once more after one step of SGD):
#   transformers 5.24.0, xLSTM: output 0.0000, without a gradient 4 of 6; after a step 0.0057, 0 of 6
#   transformers 5.24.0, Llama: output 0.0102, without a gradient 0 of 6; after a step 0.0102, 0 of 6
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'transformers==5.24.0'
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, xLSTMConfig, xLSTMForCausalLM

WORDS, LENGTH = 200, 64


def seen(network: torch.nn.Module, layers: list[torch.nn.Module]) -> tuple[float, int, int]:
    """The feed-forward layers' outputs relative to their inputs, and weights of theirs without a gradient."""
    ratios: list[float] = []

    def look(_: torch.nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        ratios.append((output.norm() / given[0].norm()).item())

    hooks = [layer.register_forward_hook(look) for layer in layers]
    text = torch.randint(5, WORDS, (4, LENGTH), generator=torch.Generator().manual_seed(0))
    network.zero_grad()
    network(text, labels=text, use_cache=False).loss.backward()
    for hook in hooks:
        hook.remove()
    weights = [p for layer in layers for p in layer.parameters()]
    without = sum(p.grad is None or not p.grad.any() for p in weights)
    return sum(ratios) / len(ratios), without, len(weights)


torch.manual_seed(0)
sizes = {"vocab_size": WORDS, "hidden_size": 128, "num_hidden_layers": 2}
xlstm = xLSTMForCausalLM(xLSTMConfig(num_heads=4, **sizes))
llama = LlamaForCausalLM(LlamaConfig(num_attention_heads=4, intermediate_size=384, **sizes))
networks = {
    "xLSTM": (xlstm, [block.ffn for block in xlstm.backbone.blocks]),
    "Llama": (llama, [layer.mlp for layer in llama.model.layers]),
}
kept = True
for name, (network, layers) in networks.items():
    ratio, without, of = seen(network, layers)
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    after, still, _ = seen(network, layers)
    print(
        f"transformers {transformers.__version__}, {name}: output {ratio:.4f}, without a gradient {without} of {of}; "
        f"after a step {after:.4f}, {still} of {of}"
    )
    kept &= (ratio == 0 and without == 4) if name == "xLSTM" else (ratio > 1e-3 and without == 0)
    kept &= after > 0 and still == 0
sys.exit(not kept)
PYTHON
