"""From a run to a proof: train the best candidates and random ones under the same budget."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel

from archscout.comparison.choice import choose
from archscout.comparison.proof import TRAINED, TRAININGS, Proof, Trainee
from archscout.comparison.verdict import to_document
from archscout.errors import InputError
from archscout.files import write_json
from archscout.runs import Run
from archscout.text import load_corpus
from archscout.training import comparison_preset, find_trainer
from archscout.training.jobs import Job, JobFolder, Outcome, Plan, Standing
from archscout.training.jobs import run as train_all


def check_count(k: int, trials: int) -> int:
    """A number of best candidates that a search with so many proposals may find.

    Raises:
        InputError: it is none: others have to be left to compare them with.
    """
    if not 1 <= k < trials:
        raise InputError(
            f"the best {k} of {trials} proposals are to be trained; accepted is a whole number "
            f"of at least 1 and less than the number of proposals"
        )
    return k


def prove(
    run: Run,
    k: int,
    settings: BaseModel | str = "quick",
    workers: int = 1,
    on_progress: Callable[[Standing], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Proof:
    """Train the k best candidates of a run and k random ones, and write trained.json.

    They are trained at the run's model scale, on its text, with its seed. Called again it goes on
    where it was stopped, and trains nothing twice; with a larger k, too.

    Args:
        run: the run.
        k: how many of each.
        settings: the recipe, or the name of a preset, by which encoders predict masked tokens.
        workers: processes that train, each with one thread.
        on_progress: called every few seconds.
        on_warning: called with what the user should know.

    Raises:
        InputError: the run has too few architectures, its text is another now, the folder holds
            trainings with another recipe, or a file cannot be written.
        KeyboardInterrupt: Ctrl-C; trainings at hand have a checkpoint.
    """
    chosen = choose(run, k)
    if isinstance(settings, str):
        plan = plan_of(run, comparison_preset(settings, run.space.name).settings)
    else:
        plan = plan_of(run, settings)
    with run.folder.lock():
        rows = pd.concat([chosen.top, chosen.random])
        folder = folder_of(run, plan, [_job(run, row) for _, row in rows.iterrows()])
        outcomes = train_all(folder, workers, on_progress, on_warning)

        def trainees(group: pd.DataFrame) -> list[Trainee]:
            return [
                _trainee(run, row, outcomes[row["fingerprint"]], plan)
                for _, row in group.iterrows()
            ]

        measure = find_trainer(run.space.name).measure(plan.settings)
        within = run.table[run.table["within_limits"]]
        proof = Proof(
            asked=k,
            proposals=len(run.trials),
            sampler=run.settings.sampler,
            architectures=len(within),
            scoring_seconds=float(within["seconds"].sum()),
            directions={o.name: 1 if o.sign > 0 else -1 for o in run.objectives},
            measure=measure.name,
            is_exponential=measure.is_exponential,
            part="test" if _has_test(outcomes) else "valid",
            pool=chosen.pool,
            late=chosen.late,
            plan=json.loads(json.dumps(dataclasses.asdict(plan))),
            top=trainees(chosen.top),
            random=trainees(chosen.random),
        )
        write_json(run.folder.path / TRAINED, to_document(proof))
    return proof


def plan_of(run: Run, settings: BaseModel) -> Plan:
    """All that decides how each candidate of a run is trained.

    Raises:
        InputError: the run's text is another now.
    """
    information, found = run.information, run.settings
    corpus = load_corpus(found.text)
    if corpus.sha256 != information["text"]["sha256"]:
        raise InputError(
            f"the text {corpus.name!r} has changed since {run.folder} was started; put it back"
        )
    return Plan.of(
        run.space,
        corpus,
        settings,
        run.model_scale,
        found.vocabulary_size,
        tokenizer=found.tokenizer,
        device=found.device,
        keep_weights=True,
    )


def _job(run: Run, row: pd.Series[Any]) -> Job:
    # The fingerprint as its name: with more candidates or proposals it is known again.
    return Job(row["fingerprint"], json.loads(row["architecture"]), run.settings.seed)


def folder_of(run: Run, plan: Plan, jobs: list[Job], name: str = TRAININGS) -> JobFolder:
    """The folder of a run's trainings, with these among them.

    Raises:
        InputError: it holds trainings with another recipe, or cannot be written.
    """
    path = run.folder.path / name
    try:
        return JobFolder.create(path, plan, jobs, change_jobs=True)
    except InputError as error:
        if JobFolder(path).plan == plan:  # then it is something else
            raise
        raise InputError(
            f"{error};\ntrain as it was begun, or remove {path} to begin anew"
        ) from error


def _trainee(run: Run, row: pd.Series[Any], outcome: Outcome, plan: Plan) -> Trainee:
    loss, losses = find_trainer(plan.space).loss, outcome.result.get("losses", {})
    return Trainee(
        rank=int(row["rank"]),
        fingerprint=row["fingerprint"],
        architecture=json.loads(row["architecture"]),
        parameters=int(row["parameters"]),
        scores={objective.name: float(row[objective.name]) for objective in run.objectives},
        seconds=outcome.seconds,
        problem=outcome.problem,
        losses={part: loss(found, plan.settings) for part, found in losses.items()},
    )


def _has_test(outcomes: Mapping[str, Outcome]) -> bool:
    return any("test" in outcome.result.get("losses", {}) for outcome in outcomes.values())
