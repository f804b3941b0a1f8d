"""Random numbers that depend on where a training is, and not on how it got there.

They need no state that a checkpoint would have to hold.
"""

from __future__ import annotations

import numpy as np
import torch


def seed_of(*numbers: int) -> int:
    """A seed below 2^32 from several numbers, such as those of run, epoch and step."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def random_devices(device: torch.device) -> list[int]:
    """The GPUs, by number, whose random numbers a training on a device draws from."""
    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]


def seeded(seed: int, epoch: int, step: int) -> None:
    """Seed torch for what is random in one step, such as dropout."""
    number = seed_of(seed, epoch, step + 1)
    if torch.accelerator.is_available():
        torch.manual_seed(number)
    else:  # the same, without a stack trace for each kind of device that is not there
        torch.default_generator.manual_seed(number)
