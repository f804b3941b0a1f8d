"""What the limits of a search left out, where that is nothing or nearly all."""

from __future__ import annotations

from archscout.runs.costs import COSTS
from archscout.runs.run import Run

_NEARLY_ALL = 0.9


def remarks(run: Run) -> list[str]:
    """A sentence on each limit that left out no architecture, or nearly every one.

    Args:
        run: with its proposals.
    """
    found = []
    for name, limit in run.settings.limits.items():
        costs = run.table.get(name)
        if costs is None:
            continue
        outside = int((costs > limit).sum())
        if 0 < outside < _NEARLY_ALL * len(costs):
            continue
        unit = f" {COSTS[name].unit}".rstrip()
        left_out = f"{outside:,} of {len(costs):,} architectures" if outside else "no architecture"
        found.append(
            f"max_{name} {_short(limit)}{unit} left out {left_out}: they have "
            f"{_short(costs.min())} to {_short(costs.max())}{unit} at these sizes{_advice(run)}"
        )
    return found


def _advice(run: Run) -> str:
    """Where other sizes come from, if the space names any."""
    others = [name for name, scale in run.space.scales.items() if scale != run.model_scale]
    return f"; other sizes are --model-size {' or '.join(others)}" if others else ""


def _short(value: float) -> str:
    """A cost as limits are written, such as 10M."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= factor:
            return f"{value / factor:.4g}{letter}"
    return f"{value:.4g}"
