#!/usr/bin/env bash
# The first step of pytorch_optimizer's Lamb is ten times as large as the learning rate says.
#
# LAMB (You et al. 2020) scales each step by the ratio of a weight's norm to that of Adam's step, so
# that a step is the learning rate times the weight's norm, whatever the scale of the means of
# gradients: their bias at the beginning takes itself out. The class's documentation says that it
# follows version 3 of the paper, without bias correction. In version 4.1.0 its step is divided by
# 1 - β1^t all the same, behind the ratio: with β1 0.9 the first step is ten times the learning rate,
# the second five times, the twentieth 1.1 times. With `adam_debias=True`, which its
# arguments do not list, all steps are as in the paper. A recipe of another LAMB, such as NVIDIA's
# learning rate of 0.01, so begins with steps of a tenth of each weight.
#
# Output seen:
#   pytorch_optimizer 4.1.0, Lamb(lr=0.01), steps over the weight's norm: 0.1000 0.0526 0.0369 0.0291
#   with adam_debias=True: 0.0100 0.0100 0.0100 0.0100
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'pytorch-optimizer==4.1.0'
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import torch
from pytorch_optimizer import Lamb


def steps(**more: bool) -> list[float]:
    weight = torch.nn.Parameter(torch.full((3,), 2.0))
    optimizer = Lamb([weight], lr=0.01, **more)
    found = []
    for _ in range(4):
        before = weight.detach().clone()
        weight.grad = torch.ones(3)
        optimizer.step()
        found.append(float((weight.detach() - before).norm() / before.norm()))
    return found


plain, debiased = steps(), steps(adam_debias=True)
version = importlib.metadata.version("pytorch-optimizer")
print(
    f"pytorch_optimizer {version}, Lamb(lr=0.01), steps over the weight's norm:",
    *(f"{step:.4f}" for step in plain),
)
print("with adam_debias=True:", *(f"{step:.4f}" for step in debiased))
sys.exit(not (plain[0] > 0.09 and max(debiased) < 0.0101))
PYTHON
