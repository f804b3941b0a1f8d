#!/usr/bin/env bash
# thop says that a recurrent network has no parameters, and an encoder layer half of them.
#
# thop 0.1.1 returns operations and parameters of a network. The parameters are summed over the
# modules that it has a rule for: nn.LSTM, nn.GRU and nn.RNN have a rule for their operations, and
# count 0 parameters; of nn.TransformerEncoderLayer the projections of queries, keys and values are
# left out, for they are parameters of nn.MultiheadAttention itself, as its output projection is that
# is never called as a module. Nothing warns with verbose=False. A limit on the number of parameters
# that is judged by it lets every recurrent network pass.
#
# Output seen:
#   thop 0.1.1-2209072238: LSTM 0 of 33280, GRU 0 of 24960, TransformerEncoderLayer 16832 of 33472
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'thop==0.1.1.post2209072238' \
    'setuptools==80.9.0'
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import thop
import torch
from torch import nn

text = torch.randn(35, 8, 64)
found = {}
for network in (nn.LSTM(64, 64), nn.GRU(64, 64), nn.TransformerEncoderLayer(64, 4, 128)):
    own = sum(parameter.numel() for parameter in network.parameters())
    _, counted = thop.profile(network, (text,), verbose=False)
    found[type(network).__name__] = int(counted), own
said = ", ".join(f"{name} {counted} of {own}" for name, (counted, own) in found.items())
print(f"thop {importlib.metadata.version('thop')}: {said}")
*recurrent, encoder = found.values()
sys.exit(any(counted for counted, _ in recurrent) or not 0 < 2 * encoder[0] < 1.1 * encoder[1])
PYTHON
