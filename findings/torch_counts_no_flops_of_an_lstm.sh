#!/usr/bin/env bash
# torch's FLOP counter counts an LSTM as nothing on a CPU, and a GRU in full.
#
# torch.utils.flop_counter.FlopCounterMode adds up the operations that it knows. In torch 2.13.0 an
# nn.LSTM on a CPU is one call of oneDNN (aten.mkldnn_rnn_layer), which it does not know; it gives no
# warning, and the total is 0, in training and evaluation, with and without gradients. nn.GRU and
# nn.RNN of the same sizes are made of matrix products there, and are counted. The same LSTM on the
# meta device, where it is made of products, too, has 4/3 of the GRU's, as four gates and three should.
# So whoever ranks recurrent networks by cost on a CPU finds that the LSTM costs nothing.
# The same holds for attention: an nn.MultiheadAttention that need not return its weights runs
# as a fused kernel of the CPU whose products are not counted, so only its projections are.
#
# Output seen:
#   torch 2.13.0, FLOPs of 35 steps, 8 sequences, width 64: LSTM 0, GRU 13762560, RNN 4587520
#   on the meta device: LSTM 18350080, GRU 13762560, RNN 4587520
#   attention, its weights returned: 11683840; not returned: 9175040
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def flops(network: nn.Module, *inputs: torch.Tensor, **options: bool) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs, **options)
    return counter.get_total_flops()


kinds = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
text = torch.randn(35, 8, 64)
here = {name: flops(kind(64, 64), text) for name, kind in kinds.items()}
on_meta = {name: flops(kind(64, 64).to("meta"), text.to("meta")) for name, kind in kinds.items()}
attention = nn.MultiheadAttention(64, 4)
with_weights = flops(attention, text, text, text)
without = flops(attention, text, text, text, need_weights=False)


def said(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


print(f"torch {torch.__version__.partition('+')[0]}, FLOPs of 35 steps, 8 sequences, width 64: {said(here)}")
print(f"on the meta device: {said(on_meta)}")
print(f"attention, its weights returned: {with_weights}; not returned: {without}")
as_seen = here["LSTM"] == 0 and here["GRU"] > 0 and 3 * on_meta["LSTM"] == 4 * on_meta["GRU"]
sys.exit(not (as_seen and without < with_weights))
PYTHON
