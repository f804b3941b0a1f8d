#!/usr/bin/env bash
# TensorBoard shows what a resumed training has withdrawn, if its writer is a process's eleventh.
#
# A training that goes on from a checkpoint opens a SummaryWriter with purge_step, which withdraws what was
# logged after that step. Whether it does is decided by the names of the two files: each is named by the
# second, the host and the process in which its writer was made, and by a count of the process's writers
# from 0, without leading zeros, and TensorBoard reads a run's files in the order of their names. So within
# one second the writer with the count 10 is read before that with 9, and 100 before 99: the steps withdrawn
# stay, those of the resumed training come before them, and the curve runs backwards. A process that trains
# short candidates in turn, each with a writer, and resumes one gets there; the first ten never do.
#
# Output seen:
#   tensorboard 2.21.0, torch 2.13.0
#   writers 8 and 9: steps 1, 2, 3, 4
#   writers 9 and 10: steps 3, 4, 1, 2, 3
#   writers 10 and 11: steps 1, 2, 3, 4
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'tensorboard==2.21.0'
cat > "$folder/resumed.py" <<'PYTHON'
import sys
import time

import tensorboard
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter


def log(folder: str, steps: list[int], purge_step: int | None = None) -> None:
    with SummaryWriter(folder, purge_step=purge_step) as writer:
        for step in steps:
            writer.add_scalar("loss", 1 / step, step)


def resumed(folder: str, earlier: int) -> list[int]:
    """Steps that are shown of a training that went on from its second step."""
    for candidate in range(earlier):
        log(f"{folder}/candidate-{candidate}", [1])
    time.sleep(1.01 - time.time() % 1)  # both files in one second
    log(f"{folder}/resumed", [1, 2, 3])
    log(f"{folder}/resumed", [3, 4], purge_step=3)
    shown = EventAccumulator(f"{folder}/resumed")
    shown.Reload()
    return [event.step for event in shown.Scalars("loss")]


if __name__ == "__main__":
    steps = resumed(sys.argv[1], int(sys.argv[2]))
    if sys.argv[2] == "8":
        print(f"tensorboard {tensorboard.__version__}, torch {torch.__version__.split('+')[0]}")
    print(f"writers {sys.argv[2]} and {int(sys.argv[2]) + 1}: steps {', '.join(map(str, steps))}")
    sys.exit(0 if steps == ([3, 4, 1, 2, 3] if sys.argv[2] == "9" else [1, 2, 3, 4]) else 1)
PYTHON
for earlier in 8 9 10; do
    "$folder/venv/bin/python" "$folder/resumed.py" "$folder/$earlier" "$earlier"
done
