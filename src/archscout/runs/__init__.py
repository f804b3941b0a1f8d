"""Runs: Optuna proposes, workers score, the run folder remembers."""

from archscout.runs.driver import Progress, search, search_from
from archscout.runs.run import Candidate, Run

__all__ = ["Candidate", "Progress", "Run", "search", "search_from"]
