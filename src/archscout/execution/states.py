"""The state that a worker holds, as it comes to it."""

from __future__ import annotations

import gc
import pickle
from functools import cache
from typing import Any


def load_state(packed: bytes) -> Any:
    """A state, from bytes.

    With the first one, garbage collection leaves out what the worker holds by then: a look at all
    that torch brings takes as long as a dozen scores, and finds nothing.
    """
    state = pickle.loads(packed)
    _leave_out()
    return state


@cache
def _leave_out() -> None:
    """Once in a process; asking Python whether anything is left out takes as long as two scores."""
    gc.collect()
    gc.freeze()
