"""What a training shows of its course: curves that TensorBoard reads, and running means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SMOOTHING = 0.98


def smoothed(before: float | None, now: float) -> float:
    """A running mean with one more value; None where there was no value before."""
    return now if before is None else _SMOOTHING * before + (1 - _SMOOTHING) * now


class CurveLog:
    """Scalars over the number of tokens read; nothing where the package `tensorboard` is missing.

    Args:
        folder: of the event files; None logs nothing.
        first: tokens read so far: what an earlier process logged after that is hidden.
    """

    def __init__(self, folder: Path | None, first: int) -> None:
        self._writer: Any = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder), purge_step=first or None)

    def add(self, tokens: int, values: Mapping[str, float]) -> None:
        """Log values by name, such as `loss/valid`."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, tokens)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
