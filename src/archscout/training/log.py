"""Curves that TensorBoard reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class CurveLog:
    """Scalars over the number of tokens read; nothing where the package `tensorboard` is missing.

    Args:
        folder: of the event files.
        first: tokens read so far: what an earlier process logged after that is hidden.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder), purge_step=first or None)

    @property
    def is_on(self) -> bool:
        """Whether `tensorboard` is installed."""
        return self._writer is not None

    def add(self, tokens: int, values: Mapping[str, float]) -> None:
        """Log values by name, such as `loss/valid`."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, tokens)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
