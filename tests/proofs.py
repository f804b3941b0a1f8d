"""Made-up proofs, for tests that train nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from archscout.comparison import Proof, Trainee


def trainee(rank: int, loss: float | None, **changes: Any) -> Trainee:
    """A candidate with that test loss (its validation loss is 0.1 less); None failed."""
    usual: dict[str, Any] = {
        "rank": rank,
        "fingerprint": f"{rank:016x}",
        "architecture": {},
        "parameters": 1000 + rank,
        "scores": {"hidden_covariance": -100.0 * rank},
        "seconds": 10.0,
        "problem": "the loss is no number" if loss is None else None,
        "losses": {} if loss is None else {"valid": loss - 0.1, "test": loss},
    }
    return Trainee(**usual | changes)


def proof(
    top: Sequence[float | None] = (5.0, 5.2),
    random: Sequence[float | None] = (5.1, 5.6),
    **changes: Any,
) -> Proof:
    """Of these test losses, ranked 1, 2, ... and 11, 12, ..."""
    usual: dict[str, Any] = {
        "asked": len(top),
        "proposals": 60,
        "sampler": "nsga2",
        "architectures": 50,
        "scoring_seconds": 4.0,
        "directions": {"hidden_covariance": 1},
        "measure": "perplexity",
        "part": "test",
        "pool": 40,
        "late": 0,
        "plan": {},
        "top": [trainee(1 + i, loss) for i, loss in enumerate(top)],
        "random": [trainee(11 + i, loss) for i, loss in enumerate(random)],
    }
    return Proof(**usual | changes)


def perplexity(loss: float) -> float:
    """Of a loss in nats."""
    return math.exp(loss)
