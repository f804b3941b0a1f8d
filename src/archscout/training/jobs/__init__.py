"""Many trainings in one folder, done by workers in segments."""

from archscout.training.jobs.job_folder import JobFolder
from archscout.training.jobs.plan import Job, Outcome, Plan
from archscout.training.jobs.running import Standing, run
from archscout.training.jobs.segments import (
    Part,
    Segment,
    Shared,
    lost_segment,
    next_stop,
    train_segment,
)

__all__ = [
    "Job",
    "JobFolder",
    "Outcome",
    "Part",
    "Plan",
    "Segment",
    "Shared",
    "Standing",
    "lost_segment",
    "next_stop",
    "run",
    "train_segment",
]
