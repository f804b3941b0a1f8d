"""The state that a worker holds, as it comes to it."""

from __future__ import annotations

import gc
import pickle
from typing import Any


def load_state(packed: bytes) -> Any:
    """A state, from bytes.

    With the first one, garbage collection leaves out what the worker holds by then: a look at all
    that torch brings takes as long as a dozen scores, and finds nothing.
    """
    state = pickle.loads(packed)
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
    return state
