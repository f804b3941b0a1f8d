"""Finished trainings that were made up, for benchmarks to be written from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout import spaces
from archscout.benchmarks.build import plan_jobs
from archscout.benchmarks.build.plan import choose
from archscout.text import load_corpus
from archscout.training import PretrainingSettings, TrainingSettings
from archscout.training.jobs import Job, JobFolder, Outcome, Plan


def recurrent_outcome(job: Job, loss: float) -> Outcome:
    """Three epochs, of which the second is the best on the validation text."""
    losses = {part: {"nats": loss + d} for part, d in (("valid", 0.1), ("test", 0.0))}
    epochs = [
        {"train_loss": loss + e, "valid_loss": v, "test_loss": t, "seconds": 2.0 * e}
        for e, v, t in ((1, loss + 0.5, loss + 0.4), (2, loss + 0.1, loss), (3, loss + 0.2, loss))
    ]
    return Outcome(job.name, None, 7.0, {"losses": losses}, epochs)


def encoder_outcome(job: Job, loss: float) -> Outcome:
    losses = {part: {"nats": loss + d} for part, d in (("valid", 0.1), ("test", 0.0))}
    return Outcome(job.name, None, 7.0, {"losses": losses}, [{"step": 10, "valid_loss": loss}])


@pytest.fixture
def make_jobs(words: Path, tmp_path: Path) -> Callable[..., JobFolder]:
    """A folder in which every job has ended; `losses` by name, None for a failure."""

    def make(
        space_name: str, losses: dict[str, float | None], n: int, repeated: int = 0
    ) -> JobFolder:
        space = spaces.get(space_name)
        settings: Any = TrainingSettings() if space_name == "rnn" else PretrainingSettings()
        limit = None if space_name == "rnn" else 40
        plan = Plan.of(space, load_corpus(words), settings, space.scales["fast"], limit)
        jobs = plan_jobs(space, choose(space, n, seed=5), 0, repeated)
        folder = JobFolder.create(tmp_path / "benchmark", plan, jobs)
        for job in jobs:
            if job.name not in losses:
                continue
            loss = losses[job.name]
            if loss is None:
                folder.record(Outcome(job.name, "training diverged in epoch 1", 1.0))
            else:
                made = recurrent_outcome if space_name == "rnn" else encoder_outcome
                folder.record(made(job, loss))
        return folder

    return make
