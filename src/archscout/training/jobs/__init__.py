"""Many trainings in one folder, done by workers that share it."""

from archscout.training.jobs.crew import Standing, run
from archscout.training.jobs.queue import Job, Outcome, Plan, Queue

__all__ = ["Job", "Outcome", "Plan", "Queue", "Standing", "run"]
