"""Search: Optuna proposes, the scorer scores, the run folder remembers."""

from archscout.searching.run import Candidate, Progress, Run, search

__all__ = ["Candidate", "Progress", "Run", "search"]
