"""From a plan to a benchmark: train everything, then write it as the published ones are."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from archscout import spaces
from archscout.benchmarks.build.layouts import architecture_of, write_runs
from archscout.benchmarks.built import FORMAT, TARGET
from archscout.benchmarks.disk import INFORMATION
from archscout.errors import InputError
from archscout.execution import Cluster, check_workers
from archscout.files import write_json
from archscout.folders import versions
from archscout.training import find_trainer
from archscout.training.jobs import Job, JobFolder, Outcome, Plan, Standing, run
from archscout.training.jobs.job_folder import PLAN, held

_LIBRARIES = ("archscout", "torch", "numpy")


def build(
    out: str | os.PathLike[str],
    name: str,
    plan: Plan,
    jobs: Sequence[Job],
    workers: int | Cluster = 1,
    on_progress: Callable[[Standing], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    retry_failed: bool = False,
) -> Standing:
    """Train every job, and write the benchmark that `archscout.benchmarks.load` reads.

    Called again with the same plan it goes on. The benchmark is written anew whenever a call ends,
    from all that is finished by then.

    Args:
        out: the benchmark's folder.
        name: of the benchmark.
        plan: what the trainings have in common.
        jobs: the trainings, see `plan_jobs`.
        workers: processes, or a cluster, that train.
        on_progress: called every few seconds.
        on_warning: called with what the user should know.
        retry_failed: train again what has failed.

    Raises:
        InputError: the text has no test part or is another, an architecture has no network, the
            workers cannot be used, the folder holds another plan, another process trains there, or
            a file cannot be written; what is finished is kept.
        KeyboardInterrupt: Ctrl-C; trainings at hand have a checkpoint.
    """
    if not {"test", "all"} & set(plan.parts):
        raise InputError(
            f"the text {', '.join(plan.text)} has no test split: it has {', '.join(plan.parts)}; "
            "the benchmark's target is the loss on it"
        )
    check_workers(workers, plan.device)
    ended = JobFolder(out).outcomes() if (Path(out) / PLAN).exists() else {}
    kept = [name for name, each in ended.items() if not (retry_failed and each.problem)]
    _check_networks(plan, jobs, kept)
    with held(out):
        folder = JobFolder.create(out, plan, jobs)
        if retry_failed:
            folder.retry_failed()
        try:
            run(folder, workers, on_progress, on_warning)
        finally:
            write(folder, name)
    return Standing.of(folder)


def _check_networks(plan: Plan, jobs: Sequence[Job], done: Sequence[str]) -> None:
    """Make sure that every architecture has a network at the plan's sizes."""
    space = spaces.get(plan.space)
    scale = plan.built_at(space)
    for job in jobs:
        if job.seed == jobs[0].seed and job.name not in done:
            try:
                space.skeleton(space.parse(job.architecture), plan.vocabulary_size, scale)
            except InputError as error:
                raise InputError(f"architecture {architecture_of(job)}: {error}") from error
            except Exception:  # without weights it may have none: its training tells
                return


def standing(out: str | os.PathLike[str]) -> Standing:
    """Where the building of a benchmark is.

    Raises:
        InputError: none is built in that folder.
    """
    return Standing.of(JobFolder(out))


def write(jobs: JobFolder, name: str) -> None:
    """Write what is finished in the layout of the space; nothing if nothing is."""
    outcomes = jobs.outcomes()
    runs = [(job, outcomes[job.name]) for job in jobs.jobs if job.name in outcomes]
    if not runs:
        return
    runs.sort(key=lambda pair: (architecture_of(pair[0]), pair[0].seed))
    plan, folder = jobs.plan, jobs.path
    write_runs(folder, plan, runs)
    information = {
        "format": FORMAT,
        "name": name,
        "space": plan.space,
        "text": list(plan.text),
        "text_sha256": plan.sha256,
        "target": TARGET,
        "larger_is_better": False,
        "settings": dict(plan.settings),
        "scale": dict(plan.scale),
        "vocabulary_size": plan.vocabulary_size,
        "vocabulary_limit": plan.vocabulary_limit,
        "threads": plan.threads,
        "trainings": len(jobs.jobs),
        "finished": len(runs),
        "failed": sum(outcome.problem is not None for _, outcome in runs),
        "seed_agreement": seed_agreement(plan, runs),
        "versions": versions(_LIBRARIES),
    }
    write_json(folder / INFORMATION, information)


def seed_agreement(plan: Plan, runs: Sequence[tuple[Job, Outcome]]) -> dict[str, Any] | None:
    """How far one training's ranking can be trusted.

    Returns:
        Kendall's τ-b between the test losses of two seeds, `mean` and `least` over all pairs of
        seeds, over the `architectures` that were trained with every one of the `seeds`; `left_out`
        are those of which a training failed. None where less than three are left, or a seed has
        the same loss for all.
    """
    seeds = sorted({job.seed for job, _ in runs})
    losses: dict[str, dict[int, float]] = {}
    trainer = find_trainer(plan.space)
    for job, outcome in runs:
        loss = math.nan
        if outcome.problem is None:
            loss = trainer.loss(outcome.result["losses"]["test"], plan.settings)
        losses.setdefault(architecture_of(job), {})[job.seed] = loss
    repeated = [found for found in losses.values() if len(found) == len(seeds)]
    common = [found for found in repeated if all(map(math.isfinite, found.values()))]
    if len(seeds) < 2 or len(common) < 3:
        return None
    taus = [
        float(kendalltau([found[a] for found in common], [found[b] for found in common]).statistic)
        for a, b in combinations(seeds, 2)
    ]
    if any(map(math.isnan, taus)):
        return None
    return {
        "seeds": seeds,
        "architectures": len(common),
        "left_out": len(repeated) - len(common),
        "mean": float(np.mean(taus)),
        "least": min(taus),
    }
