"""A budget is spent on a run's candidates: by rungs, each a stretch of one training.

`promoted/` of the run folder holds the trainings, `rungs.jsonl` in it what they came to, and
`promoted.json` of the run all that is shown. Killed at any time it goes on, and ends as it would
have without.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel

from archscout.errors import InputError
from archscout.execution import Cluster, check_workers, count_workers
from archscout.files import write_json
from archscout.folders import read_json
from archscout.promotion.breeding import breed
from archscout.promotion.budget import Budget, parse_budget
from archscout.promotion.features import features_of, order_of, ranked
from archscout.promotion.halving import PARTS, FrontOf, schedule
from archscout.promotion.ledger import Ledger, loss_of
from archscout.promotion.promotion import FORMAT, PROMOTED, Promoted, Promotion, Told
from archscout.promotion.strategies import Strategy
from archscout.promotion.telling import what_scores_told
from archscout.promotion.trainings import Asked, Trainings, trainings_of
from archscout.runs import Run
from archscout.runs.table import fronts_of
from archscout.training import comparison_settings, find_trainer
from archscout.training.outcome import bits_per_byte

BUDGETS = "budgets.json"
# Candidates of which one is to be trained, that a time is turned into trainings.
_TIMED = 5


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a promotion stands.

    Attributes:
        spent: of the budget so far, in full trainings; not what others did, who share trainings.
        budget: that is there.
        until: the part of a full training up to which candidates are trained now.
        size: how many of them.
    """

    spent: float
    budget: float
    until: float
    size: int


class Fruitless(InputError):
    """A run has nothing to train, or all of its trainings failed."""


def promote(
    run: Run,
    budget: float | str,
    settings: BaseModel | str = "quick",
    workers: int | Cluster = 1,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Promotion:
    """Train candidates of a run by successive halving, and write promoted.json.

    They are trained at the run's model scale, on its text, with its seed. Called again it goes on
    where it was stopped, and trains nothing twice; with a larger budget, too. The result of so many
    trainings does not depend on the number of workers; a time pays for more with more of them.

    Args:
        run: the run.
        budget: in full trainings, or a time such as `30m`, which one short training turns into
            trainings, once for all.
        settings: the recipe, or the name of a preset.
        workers: processes, or a cluster, that train, each with one thread.
        on_progress: called after every segment.
        on_warning: called with what the user should know.

    Raises:
        InputError: the budget is below one training, the run has nothing to train or every
            training failed (`Fruitless`), its text is another now or too short for the first rung,
            the recipe is not one of the space's, the folder holds trainings with another, or a
            file cannot be written.
        KeyboardInterrupt: Ctrl-C; what was at hand can be gone on with.
    """
    check_workers(workers, run.settings.device)
    recipe = comparison_settings(settings, run.space.name)
    asked = parse_budget(budget)
    if not len(ranked(run.proposed)):
        raise Fruitless(
            f"{run.folder} has no architecture within the limits with a finite score to train"
        )
    features = features_of(run, run.proposed, workers)
    order = order_of(run, features)
    with trainings_of(run, order, recipe, workers, on_warning) as trainings:
        paid = _in_trainings(asked, run, trainings, order, workers)
        took = Asked(trainings)
        trainings.told = partial(_tell, on_progress, took, paid)

        def bred(losses: Mapping[str, float]) -> list[str]:
            children = breed(run, losses, trainings.folder.path, workers, on_warning)
            trainings.add(run, children)
            return children

        rungs = schedule(paid, len(order))
        search = Strategy("search", order, rungs, features, bred)
        winner = search.spend(took.train, fronts_by(run))
        if winner is None:
            raise Fruitless(_all_failed(trainings.ledger, run, search.rungs[0].size))
        features = features_of(run, run.table, workers)
        children = len(features) - len(order)
        asked_for = features[features.index.isin(took.until)]  # not of what others trained
        said = what_scores_told(asked_for, trainings.ledger, search.rungs[0].until)
        promotion = _promotion(run, paid, trainings, took, winner, said, children)
        write_json(run.folder.path / PROMOTED, {"format": FORMAT, **promotion.model_dump()})
    return promotion


def fronts_by(run: Run) -> FrontOf | None:
    """Of a run with several objectives: fronts of the loss and the costs among them.

    The loss is in the place of the scores, which stood for it.
    """
    costs = [objective for objective in run.objectives if objective.request is None]
    if not costs:
        return None

    def front_of(losses: Mapping[str, float]) -> dict[str, int]:
        table, marks = run.table.set_index("fingerprint"), list(losses)
        columns = [o.sign * table.loc[marks, o.name].to_numpy(dtype=float) for o in costs]
        values = np.column_stack([-np.array([losses[mark] for mark in marks]), *columns])
        return dict(zip(marks, fronts_of(values).tolist(), strict=True))

    return front_of


def _in_trainings(
    asked: Budget, run: Run, trainings: Trainings, order: Sequence[str], workers: int | Cluster
) -> float:
    """A budget in full trainings: a time is turned into them by a candidate's first rung.

    That is the first candidate's, unless it fails or was begun before, and then one of the next
    few. What it was turned into is kept, so that the run stays the same when it goes on.

    Raises:
        InputError: all of them fail.
    """
    if asked.trainings is not None:
        return asked.trainings
    assert asked.seconds is not None
    path = trainings.folder.path / BUDGETS
    kept = read_json(path, dict[str, float], {})
    if asked.given not in kept:
        speed = _measured_speed(trainings, order[:_TIMED])
        if speed is None:
            raise Fruitless(_all_failed(trainings.ledger, run, len(order[:_TIMED])))
        kept[asked.given] = asked.seconds * count_workers(workers) * speed
        write_json(path, kept)
    return kept[asked.given]


def _measured_speed(trainings: Trainings, marks: Sequence[str]) -> float | None:
    """Full trainings a second of one worker; None where every training fails."""
    for mark in marks:
        loss, speed = trainings.train([mark], PARTS[0])[mark], trainings.speed(mark)
        if math.isfinite(loss) and speed is not None:
            return speed
    good = [line for line in trainings.ledger.lines if line.problem is None and line.seconds]
    return sum(line.spent for line in good) / sum(line.seconds for line in good) if good else None


def _tell(
    on_progress: Callable[[Progress], None] | None,
    took: Asked,
    budget: float,
    until: float,
    size: int,
) -> None:
    if on_progress is not None:
        on_progress(Progress(took.spent, budget, until, size))


def _all_failed(ledger: Ledger, run: Run, candidates: int) -> str:
    problems = {line.problem for line in ledger.lines if line.problem}
    return (
        f"every training failed, of {candidates} candidates: "
        f"{'; '.join(sorted(problems)[:3])};\n"
        "a smaller learning rate (--set learning_rate=X) or clip (--set clip=X), or a larger "
        f"--budget, may help; the scores are kept in {run.folder}"
    )


def _promotion(
    run: Run,
    budget: float,
    trainings: Trainings,
    took: Asked,
    winner: str,
    told: Sequence[Told],
    bred: int,
) -> Promotion:
    folder = trainings.folder
    plan, space = folder.plan, run.space
    rows = {row["fingerprint"]: row for _, row in run.table.iterrows()}
    trainer = find_trainer(space.name)
    named, outcomes = run.names, folder.outcomes()

    def promoted(mark: str) -> Promoted:
        lines, row = took.lines(mark), rows[mark]
        # Others may have trained it further.
        result: Mapping[str, Any] = outcomes[mark].result if lines[-1].is_over else {}
        return Promoted(
            fingerprint=mark,
            name=named.get(mark),
            rank=int(row["rank"]),
            architecture=json.loads(row["architecture"]),
            parameters=int(row["parameters"]),
            scores={o.name: float(row[o.name]) for o in run.objectives},
            reached=lines[-1].until,
            losses={f"{line.until:.4g}": line.loss for line in lines if line.loss is not None},
            problem=lines[-1].problem,
            results={
                part: trainer.loss(losses, plan.settings)
                for part, losses in result.get("losses", {}).items()
            },
            bits_per_byte=bits_per_byte(result.get("losses", {})),
        )

    last = {mark: took.lines(mark)[-1] for mark in took.until}
    by_length = sorted(
        last, key=lambda mark: (mark != winner, -last[mark].until, loss_of(last[mark]), mark)
    )
    measure = trainer.measure(plan.settings)
    return Promotion(
        budget=budget,
        spent=sum(map(took.cost, last)),
        seconds=sum(line.seconds for mark in last for line in took.lines(mark)),
        measure=measure.name,
        is_exponential=measure.is_exponential,
        plan=json.loads(json.dumps(dataclasses.asdict(plan))),
        told=list(told),
        bred=bred,
        candidates=[promoted(mark) for mark in by_length],
    )
