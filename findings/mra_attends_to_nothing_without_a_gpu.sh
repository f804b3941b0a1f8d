#!/usr/bin/env bash
# On a machine without a GPU transformers' MRA attends to nothing, and does not say so.
#
# MRA (Zeng et al., 2022) approximates attention from coarse to fine blocks; transformers 5.24.0 has it as
# kernels for CUDA alone. Where these are not there, its attention is a tensor of zeros: no error, no warning,
# a loss and gradients as usual. A token's vector then depends on that token and its position, whatever
# stands beside it, and queries, keys and values have no gradient. So an untrained MRA that is scored or
# trained on a CPU beside other encoders is one without attention. (Nyströmformer and YOSO, which
# approximate attention, too, compute it in torch.)
#
# Output seen (2 layers, weights as drawn; how much the first token's vector changes, relative to its norm,
# when all others are replaced; how many weights of queries, keys and values have no gradient):
#   transformers 5.24.0, Mra: change 0.0000, without a gradient 12 of 12, warnings 0
#   transformers 5.24.0, Nystromformer: change 0.0040, without a gradient 0 of 12, warnings 0
#   transformers 5.24.0, Bert: change 0.0021, without a gradient 0 of 12, warnings 0
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'transformers==5.24.0'
CUDA_VISIBLE_DEVICES='' "$folder/venv/bin/python" - <<'PYTHON'
import logging
import sys
import warnings

import torch
import transformers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    MraConfig,
    MraForMaskedLM,
    NystromformerConfig,
    NystromformerForMaskedLM,
)

WORDS, LENGTH = 100, 128
SIZES = {
    "vocab_size": WORDS,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": LENGTH,
}
said: list[str] = []


class Keep(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        said.append(record.getMessage())


transformers.logging.add_handler(Keep())
transformers.logging.set_verbosity_warning()


def seen(network: torch.nn.Module) -> tuple[float, int, int]:
    """How far other tokens move the first one's vector, and which attention weights have no gradient."""
    text = torch.randint(5, WORDS, (1, LENGTH), generator=torch.Generator().manual_seed(0))
    other = torch.randint(5, WORDS, (1, LENGTH), generator=torch.Generator().manual_seed(1))
    other[:, 0] = text[:, 0]
    network.eval()
    with torch.no_grad():
        first, second = (
            network(each, output_hidden_states=True).hidden_states[-1][0, 0] for each in (text, other)
        )
    network(text, labels=text).loss.backward()
    kinds = ("query", "key", "value")
    weights = [
        p
        for name, p in network.named_parameters()
        if ".attention.self." in name and name.split(".")[-2] in kinds
    ]
    without = sum(p.grad is None or not p.grad.any() for p in weights)
    return ((first - second).norm() / first.norm()).item(), without, len(weights)


kept = True
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name, config, kind in (
        ("Mra", MraConfig, MraForMaskedLM),
        ("Nystromformer", NystromformerConfig, NystromformerForMaskedLM),
        ("Bert", BertConfig, BertForMaskedLM),
    ):
        torch.manual_seed(0)
        said.clear()
        caught.clear()
        change, without, of = seen(kind(config(**SIZES)))
        count = len(said) + len(caught)
        print(
            f"transformers {transformers.__version__}, {name}: change {change:.4f}, "
            f"without a gradient {without} of {of}, warnings {count}"
        )
        if name == "Mra":
            kept &= change == 0 and without == of and count == 0
        else:
            kept &= change > 1e-3 and without < of
sys.exit(not kept)
PYTHON
