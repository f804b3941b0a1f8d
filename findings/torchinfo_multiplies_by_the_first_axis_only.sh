#!/usr/bin/env bash
# torchinfo counts the multiply-adds of a linear layer for the first axis of its input alone.
#
# torchinfo 1.8.0 takes a linear layer's multiply-adds as its parameters times the first axis of its
# input. A layer over a text of (batch, time, features) is so counted once for each sequence and not for
# each token: the same layer over the same numbers, flattened to (batch x time, features), has as many
# times more as there are steps. An nn.LSTM beside it is counted for every step. So in the summary of a
# recurrent language model with 50 steps its output layer, which does most of the work, takes the
# smaller part, and a transformer is counted as if its texts had one token.
#
# Output seen:
#   torchinfo 1.8.0, Linear(64, 1000): input (8, 50, 64) 520000, input (400, 64) 26000000
#   LSTM(64, 64), input (8, 50, 64): 13312000
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'torchinfo==1.8.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
import torchinfo
from torch import nn


def counted(network: nn.Module, *shape: int) -> int:
    return torchinfo.summary(network, input_data=torch.randn(shape), verbose=0).total_mult_adds


output, recurrent = nn.Linear(64, 1000), nn.LSTM(64, 64, batch_first=True)
as_text, flat = counted(output, 8, 50, 64), counted(output, 400, 64)
steps = counted(recurrent, 8, 50, 64)
print(
    f"torchinfo {torchinfo.__version__}, Linear(64, 1000): "
    f"input (8, 50, 64) {as_text}, input (400, 64) {flat}"
)
print(f"LSTM(64, 64), input (8, 50, 64): {steps}")
sys.exit(not (flat == 50 * as_text and as_text < steps < flat))
PYTHON
