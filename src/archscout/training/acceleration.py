"""Where and how a training computes: Hugging Face's accelerate, which is imported when needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from archscout.errors import InputError

if TYPE_CHECKING:
    from accelerate import Accelerator


def accelerator(device: str, precision: str) -> Accelerator:
    """Places models on a device (or on the devices that `accelerate launch` gives out).

    Args:
        device: `cpu`, or that of the accelerator, such as `cuda` or, for one process, `cuda:1`,
            which becomes torch's current device.
        precision: of matrix products, `float32` or `bfloat16`.
    """
    try:
        from accelerate import Accelerator, PartialState
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise InputError(
            "encoders, and others in several processes, are trained with the package accelerate "
            f"({error}); pip install 'archscout[train]', or 'archscout[glue]' for fine-tuning alone"
        ) from error
    # The library keeps device and precision of the process's first training for all others.
    AcceleratorState._reset_state(reset_partial_state=True)
    wanted = torch.device(device)
    processes = PartialState(cpu=wanted.type == "cpu").num_processes
    if wanted.type == "cuda" and wanted.index is not None:
        if processes > 1:
            raise InputError(
                f"device {device!r}: each of {processes} processes takes a GPU of its own; "
                "accepted is cuda"
            )
        torch.cuda.set_device(wanted)  # accelerate places one process on the current GPU
    mixed = "bf16" if precision == "bfloat16" else "no"
    made = Accelerator(cpu=wanted.type == "cpu", mixed_precision=mixed)
    if made.device.type != wanted.type:
        raise InputError(f"device {device!r}: accelerate takes {made.device}")
    return made


def of_several_processes(device: str, precision: str) -> Accelerator | None:
    """That of the processes that `accelerate launch` started; None where this one is alone."""
    return accelerator(device, precision) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None
