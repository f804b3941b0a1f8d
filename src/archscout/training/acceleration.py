"""Where and how a training computes: Hugging Face's accelerate, which is imported when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archscout.errors import InputError

if TYPE_CHECKING:
    from accelerate import Accelerator


def accelerator(device: str, precision: str) -> Accelerator:
    """Places models on a device (or on the devices that `accelerate launch` gives out).

    Args:
        device: `cpu`, or that of the accelerator, such as `cuda`.
        precision: of matrix products, `float32` or `bfloat16`.

    Raises:
        InputError: accelerate is not installed, or would take another device.
    """
    try:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise InputError(
            f"training encoders needs the package accelerate ({error}); "
            "pip install 'archscout[train]'"
        ) from error
    # The library keeps device and precision of the process's first training for all others.
    AcceleratorState._reset_state(reset_partial_state=True)
    mixed = "bf16" if precision == "bfloat16" else "no"
    made = Accelerator(cpu=device == "cpu", mixed_precision=mixed)
    if made.device.type != device.partition(":")[0]:
        raise InputError(f"device {device!r}: accelerate takes {made.device}")
    return made
