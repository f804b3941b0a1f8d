"""Made-up proofs, for tests that train nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archscout.comparison import Found, Proof


def found(strategy: str, seed: int, loss: float | None, **changes: Any) -> Found:
    """With that test loss (its validation loss is 0.1 less); None where nothing was found."""
    mark = None if loss is None else f"{seed:08x}{len(strategy):08x}"
    usual: dict[str, Any] = {
        "strategy": strategy,
        "seed": seed,
        "fingerprint": mark,
        "title": mark or "",
        "cost": 1.0 if strategy == "lstm" else 3.9,
        "trained": 1 if strategy == "lstm" else 12,
        "losses": {} if loss is None else {"valid": loss - 0.1, "test": loss},
        "steps": [] if loss is None else [(3.9, loss)],
    }
    return Found(**usual | changes)


def proof(losses: dict[str, Sequence[float | None]] | None = None, **changes: Any) -> Proof:
    """Of these test losses by strategy, one a seed."""
    losses = losses or {"search": (5.0, 5.1), "random": (5.2, 5.05), "lstm": (5.3, 5.3)}
    usual: dict[str, Any] = {
        "budget": 4.0,
        "seeds": list(range(len(losses["search"]))),
        "measure": "perplexity",
        "is_exponential": True,
        "part": "test",
        "drawn": [47] * len(losses["search"]),
        "plan": {"text": ["my.txt"]},
        "found": [
            found(name, seed, loss)
            for name, group in losses.items()
            for seed, loss in enumerate(group)
        ],
    }
    return Proof(**usual | changes)
