"""A budget is spent on a run's candidates: by rungs, each a segment of one training.

`promoted/` of the run folder holds the trainings, `rungs.jsonl` in it what they came to, and
`promoted.json` of the run all that is shown. Killed at any time it goes on, and ends as it would
have without.
"""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from archscout.comparison import FORMAT, folder_of, plan_of
from archscout.errors import InputError
from archscout.execution import Workers, check_workers
from archscout.files import write_json
from archscout.promotion.budget import Budget, parse_budget
from archscout.promotion.features import features_of, order_of, ranked
from archscout.promotion.halving import PARTS, FrontOf, Rung, schedule
from archscout.promotion.ledger import Ledger, Reached, loss_of
from archscout.promotion.promotion import PROMOTED, Promoted, Promotion, Told
from archscout.promotion.strategies import Strategy
from archscout.promotion.telling import what_scores_told
from archscout.runs import Run
from archscout.runs.table import fronts_of
from archscout.spaces import names
from archscout.text import Corpus, load_corpus
from archscout.training import comparison_preset, find_trainer
from archscout.training.jobs import (
    Job,
    JobFolder,
    Outcome,
    Part,
    Plan,
    Segment,
    lost_segment,
    train_segment,
)

TRAININGS = "promoted"
RUNGS = "rungs.jsonl"
BUDGETS = "budgets.json"

# A driver that is killed loses at most the work of so many seconds a worker.
_SEGMENT_SECONDS = 60.0
_LEAST_SEGMENT = 0.02


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a promotion stands.

    Attributes:
        spent: of the budget so far, in full trainings.
        budget: that is there.
        until: the part of a full training up to which candidates are trained now.
        size: how many of them.
    """

    spent: float
    budget: float
    until: float
    size: int


def promote(
    run: Run,
    budget: float | str,
    settings: BaseModel | str = "quick",
    workers: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Promotion:
    """Train candidates of a run by successive halving, and write promoted.json.

    They are trained at the run's model scale, on its text, with its seed. Called again it goes on
    where it was stopped, and trains nothing twice; with a larger budget, too. The result does not
    depend on the number of workers.

    Args:
        run: the run.
        budget: in full trainings, or a time such as `30m`, which one short training turns into
            trainings, once for all.
        settings: the recipe, or the name of a preset.
        workers: processes that train, each with one thread.
        on_progress: called after every segment.
        on_warning: called with what the user should know.

    Raises:
        InputError: the budget is below one training, the run has nothing to train, its text is
            another now or too short for the first rung, the folder holds trainings with another
            recipe, every training failed, or a file cannot be written.
        KeyboardInterrupt: Ctrl-C; what was at hand can be gone on with.
    """
    check_workers(workers)
    recipe = settings
    if isinstance(recipe, str):
        recipe = comparison_preset(recipe, run.space.name).settings
    asked = parse_budget(budget)
    if not len(ranked(run)):
        raise InputError(
            f"{run.folder} has no architecture within the limits with a finite score to train"
        )
    plan = plan_of(run, recipe)
    with run.folder.lock():
        features = features_of(run, workers)
        order = order_of(run, features)
        rows = {row["fingerprint"]: row for _, row in run.table.iterrows()}
        jobs = {
            mark: Job(mark, json.loads(rows[mark]["architecture"]), run.settings.seed)
            for mark in order
        }
        folder = folder_of(run, plan, list(jobs.values()), TRAININGS)
        shared = (plan, load_corpus(list(plan.text)))
        with folder.lock(), Workers(shared, workers, len(jobs), worth=0) as pool:
            trainings = _Trainings(folder, jobs, pool, on_warning or (lambda _: None))
            paid = _in_trainings(asked, trainings, order[0], workers)
            trainings.told = partial(_tell, on_progress, paid)
            search = Strategy("search", order, schedule(paid, len(order)), features)
            winner = search.spend(trainings.train, _fronts(run))
            if winner is None:
                raise InputError(_all_failed(trainings.ledger, run, search.rungs))
            said = what_scores_told(features, trainings.ledger, search.rungs[0].until)
            promotion = _promotion(run, paid, folder, trainings.ledger, winner, rows, said)
        write_json(run.folder.path / PROMOTED, {"format": FORMAT, **promotion.model_dump()})
    return promotion


def _fronts(run: Run) -> FrontOf | None:
    """Of a run with several objectives: fronts of the loss and the costs among them.

    The loss is in the place of the scores, which stood for it.
    """
    costs = [objective for objective in run.objectives if objective.request is None]
    if not costs:
        return None
    table = run.table.set_index("fingerprint")

    def front_of(losses: Mapping[str, float]) -> dict[str, int]:
        marks = list(losses)
        columns = [o.sign * table.loc[marks, o.name].to_numpy(dtype=float) for o in costs]
        values = np.column_stack([-np.array([losses[mark] for mark in marks]), *columns])
        return dict(zip(marks, fronts_of(values).tolist(), strict=True))

    return front_of


def _in_trainings(asked: Budget, trainings: _Trainings, first: str, workers: int) -> float:
    """A budget in full trainings: a time is turned into them by the first candidate's first rung.

    What it was turned into is kept, so that the run stays the same when it goes on.
    """
    if asked.trainings is not None:
        return asked.trainings
    assert asked.seconds is not None
    path = trainings.path / BUDGETS
    kept: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    if asked.given not in kept:
        trainings.train([first], PARTS[0])
        line = trainings.ledger.of(first)[0]
        kept[asked.given] = asked.seconds * workers * line.spent / line.seconds
        write_json(path, kept)
    return kept[asked.given]


def _tell(
    on_progress: Callable[[Progress], None] | None,
    budget: float,
    spent: float,
    until: float,
    size: int,
) -> None:
    if on_progress is not None:
        on_progress(Progress(spent, budget, until, size))


class _Trainings:
    """Trains candidates up to a rung, each a chain of segments, and keeps what they come to.

    Attributes:
        ledger: what trainings came to.
        told: called after every segment with what is spent, the rung, and how many are trained.
    """

    def __init__(
        self,
        folder: JobFolder,
        jobs: Mapping[str, Job],
        pool: Workers[tuple[Plan, Corpus]],
        warn: Callable[[str], None],
    ) -> None:
        self._folder, self._jobs, self.path = folder, jobs, folder.path
        self.ledger = Ledger(folder.path / RUNGS)
        self._pool, self._warn = pool, warn
        self._at: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self.told: Callable[[float, float, int], None] = lambda *_: None

    def train(self, marks: Sequence[str], until: float) -> dict[str, float]:
        """Validation losses of candidates after a part of a full training."""
        waiting = deque(
            Part(self._jobs[mark], self._folder.state(self._jobs[mark]), self._next(until, until))
            for mark in marks
            if self.ledger.find(mark, until) is None
        )
        stopped = False
        for part, segment in self._pool.as_they_come(train_segment, waiting, lost_segment):
            for message in dict.fromkeys(segment.warnings):
                self._warn(f"{part.job.name}: {message}")
            stopped = stopped or segment.is_stopped
            following = self._take(part, segment, until)
            if stopped:
                waiting.clear()
            elif following is not None:
                waiting.appendleft(following)
            self.told(self.spent, until, len(marks))
        if stopped:
            raise KeyboardInterrupt
        found = {mark: self.ledger.find(mark, until) for mark in marks}
        return {mark: loss_of(line) for mark, line in found.items() if line is not None}

    def _take(self, part: Part, segment: Segment, until: float) -> Part | None:
        """Keep what came of a segment; the next one of the same training up to the rung."""
        mark = part.job.name
        if part.state is None:
            _check_step(segment, until)
        self._at[mark] = max(segment.done, self._at.get(mark, 0.0))
        self._seconds[mark] = self._seconds.get(mark, 0.0) + segment.seconds
        is_there = segment.is_over or (segment.loss is not None and part.until == until)
        if is_there:
            before = max((line.until for line in self.ledger.of(mark)), default=0.0)
            spent = max(0.0, self._at[mark] - before)
            loss = None if segment.problem else segment.loss
            seconds = self._seconds.pop(mark)
            # Before the state: a measurement that is lost could not be made again from a later one.
            self.ledger.add(
                Reached(mark, until, loss, spent, seconds, segment.is_over, segment.problem)
            )
        if segment.state is not None:
            self._folder.keep(part.job, segment.state)
        if segment.is_over:
            seconds = sum(line.seconds for line in self.ledger.of(mark))
            result = segment.result or {}
            self._folder.record(Outcome(mark, segment.problem, seconds, result, segment.curve))
        if is_there or segment.is_stopped:
            return None
        pace = segment.done / max(segment.tokens, 1) * segment.speed
        ahead = segment.done + max(_LEAST_SEGMENT, pace * _SEGMENT_SECONDS)
        return Part(part.job, segment.state, self._next(ahead, until))

    @property
    def spent(self) -> float:
        """Of the budget so far, in full trainings."""
        at = dict.fromkeys(self._at, 0.0)
        for line in self.ledger.lines:
            at[line.fingerprint] = at.get(line.fingerprint, 0.0) + line.spent
        return sum(max(known, self._at.get(mark, 0.0)) for mark, known in at.items())

    @staticmethod
    def _next(ahead: float, until: float) -> float | None:
        """Where a segment stops: at the rung where it is near; None for a training's end."""
        if ahead < 0.95 * until:
            return ahead
        return None if until == 1 else until


def _check_step(segment: Segment, until: float) -> None:
    """Make sure that a rung is not less than a step, so that it ends where it is to.

    Raises:
        InputError: it is.
    """
    if segment.problem is None and segment.done > 2 * until:
        raise InputError(
            f"the text is too short for a budget: one step is {segment.done:.1%} of a training, "
            f"and the first rung ends at {until:.1%} of it; a longer text, a smaller batch (--set "
            "batch_size=N) or more epochs are accepted"
        )


def _all_failed(ledger: Ledger, run: Run, rungs: Sequence[Rung]) -> str:
    problems = {line.problem for line in ledger.lines if line.problem}
    return (
        f"every training failed, of {rungs[0].size} candidates: "
        f"{'; '.join(sorted(problems)[:3])};\n"
        "a smaller learning rate (--set learning_rate=X) or clip (--set clip=X), or a larger "
        f"--budget, may help; the scores are kept in {run.folder}"
    )


def _promotion(
    run: Run,
    budget: float,
    folder: JobFolder,
    ledger: Ledger,
    winner: str,
    rows: Mapping[str, pd.Series[Any]],
    told: Sequence[Told],
) -> Promotion:
    plan, space = folder.plan, run.space
    trainer = find_trainer(space.name)
    named, outcomes = names(space), folder.outcomes()

    def promoted(mark: str) -> Promoted:
        lines, row = ledger.of(mark), rows[mark]
        result: Mapping[str, Any] = outcomes[mark].result if mark in outcomes else {}
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
        )

    trained = {line.fingerprint for line in ledger.lines} & set(rows)
    by_length = sorted(
        trained,
        key=lambda mark: (
            mark != winner,
            -ledger.of(mark)[-1].until,
            loss_of(ledger.of(mark)[-1]),
            mark,
        ),
    )
    measure = trainer.measure(plan.settings)
    return Promotion(
        budget=budget,
        spent=sum(line.spent for line in ledger.lines),
        seconds=sum(line.seconds for line in ledger.lines),
        measure=measure.name,
        is_exponential=measure.is_exponential,
        plan=json.loads(json.dumps(dataclasses.asdict(plan))),
        told=list(told),
        candidates=[promoted(mark) for mark in by_length],
    )
