#!/usr/bin/env bash
# What transformers' ConvBERT says of a text depends on how far it is padded, with its attention mask, too.
#
# ConvBERT (Jiang et al., 2020) has dynamic convolutions beside attention. In transformers 5.24.0 the mask
# hides padding from attention alone: a convolution's window of nine tokens reaches four tokens into the
# padding, whose vectors are no zeros, while at the end of a text without padding it meets zeros. So
# the last four tokens of a text have other vectors in a padded batch than alone, and layer by layer four
# more. Scores and losses of encoders with convolutions change with their batch; BERT's do not.
#
# Output seen (2 layers, weights as drawn; the largest change of a token's vector, relative to its norm):
#   transformers 5.24.0, 12 tokens, padded by 8: ConvBert 0.0084, Bert 0.0000
#   padded by 1: ConvBert 0.0023, Bert 0.0000
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
from torch.nn import functional
from transformers import BertConfig, BertModel, ConvBertConfig, ConvBertModel

WORDS, LENGTH = 100, 12
SIZES = {
    "vocab_size": WORDS,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}


def change(network: torch.nn.Module, padding: int) -> float:
    """How far padding moves the vectors of a text's tokens."""
    text = torch.randint(5, WORDS, (1, LENGTH), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(text)
    batch = {
        "input_ids": functional.pad(text, (0, padding)),
        "attention_mask": functional.pad(mask, (0, padding)),
    }
    with torch.no_grad():
        alone = network(text, attention_mask=mask).last_hidden_state
        padded = network(**batch).last_hidden_state[:, :LENGTH]
    return ((alone - padded).norm(dim=-1) / alone.norm(dim=-1)).max().item()


torch.manual_seed(0)
networks = {
    "ConvBert": ConvBertModel(ConvBertConfig(embedding_size=64, **SIZES)).eval(),
    "Bert": BertModel(BertConfig(**SIZES)).eval(),
}
found = {n: {name: change(each, n) for name, each in networks.items()} for n in (8, 1)}
for padding, changes in found.items():
    said = ", ".join(f"{name} {value:.4f}" for name, value in changes.items())
    start = f"transformers {transformers.__version__}, {LENGTH} tokens, " if padding == 8 else ""
    print(f"{start}padded by {padding}: {said}")
sys.exit(not all(c["ConvBert"] > 1e-3 and c["Bert"] < 1e-5 for c in found.values()))
PYTHON
