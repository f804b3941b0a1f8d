"""Runs: Optuna proposes, workers score, the run folder remembers."""

from archscout.runs.driver import Progress, propose, search, search_from
from archscout.runs.limits import remarks
from archscout.runs.run import Candidate, Run

__all__ = ["Candidate", "Progress", "Run", "propose", "remarks", "search", "search_from"]
