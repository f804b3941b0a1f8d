#!/usr/bin/env bash
# The first optimizer of a process, and the first operation on the meta device, import torch's
# compiler, though nothing is compiled.
#
# Seen with torch 2.13.0 on Python 3.11, Linux. `import torch` leaves torch._dynamo and sympy alone.
# A first torch.optim.SGD (or any other), a FlopCounterMode, a checkpoint of activations,
# torch.func.jacrev, or a linear map on the meta device brings in both with some 800 modules:
# functions that must not be compiled are wrapped so that the compiler is imported when they first
# run. Processes that live shortly (workers, command lines, tests) pay about two seconds of processor
# time each, which is nearly as much as `import torch` costs.
#
# Output seen:
#   torch 2.13.0+cpu, import torch: compiler False, sympy False
#   SGD: compiler True, sympy True, 824 modules more
#   FlopCounterMode: compiler True, sympy True, 824 modules more
#   checkpoint: compiler True, sympy True, 824 modules more
#   jacrev: compiler True, sympy True, 824 modules more
#   meta device: compiler True, sympy True, 824 modules more
#   vmap: compiler False, sympy False, 0 modules more
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$folder/first.py" <<'PYTHON'
import sys

import torch
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode


def counted() -> None:
    with FlopCounterMode(display=False):
        weight @ weight


weight = torch.nn.Parameter(torch.ones(2, 2))
does = {
    "import torch": lambda: None,
    "SGD": lambda: torch.optim.SGD([weight]),
    "FlopCounterMode": counted,
    "checkpoint": lambda: checkpoint(torch.sin, weight, use_reentrant=False),
    "jacrev": lambda: torch.func.jacrev(torch.sin)(weight),
    "meta device": lambda: torch.nn.Linear(2, 2, device="meta")(torch.ones(1, 2, device="meta")),
    "vmap": lambda: torch.func.vmap(torch.sin)(weight),
}
name = sys.argv[1]
before = set(sys.modules)
does[name]()
found = ["torch._dynamo" in sys.modules, "sympy" in sys.modules]
shown = f"{name}: compiler {found[0]}, sympy {found[1]}"
more = len(set(sys.modules) - before)
print(f"torch {torch.__version__}, {shown}" if name == "import torch" else f"{shown}, {more} modules more")
sys.exit(found != [name not in ("import torch", "vmap")] * 2)
PYTHON
for name in 'import torch' SGD FlopCounterMode checkpoint jacrev 'meta device' vmap; do
  "$folder/venv/bin/python" "$folder/first.py" "$name"
done
