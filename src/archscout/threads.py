"""Torch's threads within one operation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch


def one_thread() -> AbstractContextManager[None]:
    """Torch on one thread, and afterwards on as many as before.

    Small matrices take longer on several, and times are comparable on one alone.
    """
    return threads(1)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch on so many threads, and afterwards on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
