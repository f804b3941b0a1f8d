"""Many trainings in one folder, done by workers."""

from archscout.training.jobs.job_folder import JobFolder
from archscout.training.jobs.plan import Job, Outcome, Plan
from archscout.training.jobs.running import Standing, run

__all__ = ["Job", "JobFolder", "Outcome", "Plan", "Standing", "run"]
