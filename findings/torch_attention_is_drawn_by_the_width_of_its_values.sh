#!/usr/bin/env bash
# How far apart torch draws an attention's queries depends on how wide its values are.
#
# nn.MultiheadAttention of torch 2.13.0 keeps the projections of queries, keys and values in one matrix of
# 3d × d where all have the width d, and in three matrices where keys or values have another (kdim, vdim).
# It draws by Xavier's rule, which goes by the numbers of inputs and outputs of a matrix: one of 3d × d has
# half the variance that three of d × d have. So an attention whose values alone are narrower or wider has
# queries and keys with √2 times the standard deviation, and so twice that of attention's logits: other
# heads than those of the plain one at once, though nothing about queries and keys was asked to change.
# A training-free score that looks at an untrained network's attention compares the two ways of storing.
#
# Output seen (d 256, 8 heads, 512 texts' queries and keys; standard deviations):
#   torch 2.13.0, values of width 256: queries' weights 0.0442, logits 0.50
#   torch 2.13.0, values of width 128: queries' weights 0.0626, logits 1.00
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
"$folder/venv/bin/python" - <<'PYTHON'
import math
import sys

import torch
from torch import nn

WIDTH, HEADS = 256, 8


def spreads(values: int) -> tuple[float, float]:
    """Standard deviations of the queries' weights and of attention's logits."""
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(WIDTH, HEADS, vdim=values)
    packed = attention.in_proj_weight
    if packed is None:
        queries, keys = attention.q_proj_weight, attention.k_proj_weight
    else:
        queries, keys, _ = packed.chunk(3)
    with torch.no_grad():
        one, other = (torch.randn(512, WIDTH) @ weight.T for weight in (queries, keys))
        heads = [vectors.unflatten(1, (HEADS, -1)).transpose(0, 1) for vectors in (one, other)]
        logits = heads[0] @ heads[1].mT / math.sqrt(WIDTH / HEADS)
    return queries.std().item(), logits.std().item()


found = {values: spreads(values) for values in (WIDTH, WIDTH // 2)}
for values, (weights, logits) in found.items():
    print(
        f"torch {torch.__version__.partition('+')[0]}, values of width {values}: "
        f"queries' weights {weights:.4f}, logits {logits:.2f}"
    )
(weights, logits), (other_weights, other_logits) = found.values()
is_same = abs(other_weights / weights - math.sqrt(2)) < 0.02 and 1.9 < other_logits / logits < 2.1
sys.exit(not is_same)
PYTHON
