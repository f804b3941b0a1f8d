"""Search: Optuna proposes, the scorer scores, the run folder remembers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archscout.runs.run import Candidate, Progress, Run, search

__all__ = ["Candidate", "Progress", "Run", "search"]


# The writer's process imports this package and needs neither torch nor the seconds it takes.
def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("archscout.runs.run"), name)
    raise AttributeError(f"module 'archscout.runs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
