"""Candidates of a run in training: each a chain of segments, up to the rungs that are asked for.

`promoted/` of the run folder holds the trainings, and `rungs.jsonl` in it what they came to. Who
asks for a rung that was reached before is told at once, so strategies share their trainings.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pydantic import BaseModel

from archscout.errors import InputError
from archscout.execution import Cluster, Workers
from archscout.promotion.halving import PARTS
from archscout.promotion.ledger import Ledger, Reached, loss_of
from archscout.runs import Run
from archscout.text import Corpus
from archscout.training.jobs import (
    Job,
    JobFolder,
    Outcome,
    Part,
    Plan,
    Segment,
    Shared,
    lost_segment,
    next_stop,
    train_segment,
)
from archscout.training.jobs.job_folder import PLAN

TRAININGS = "promoted"
RUNGS = "rungs.jsonl"


@contextmanager
def trainings_of(
    run: Run,
    marks: Sequence[str],
    settings: BaseModel,
    workers: int | Cluster = 1,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[Trainings]:
    """Trainings of a run's candidates, at its model scale, on its text, with its seed.

    Args:
        run: the run, whose folder is held meanwhile.
        marks: fingerprints of those that may be trained.
        settings: the recipe.
        workers: processes, or a cluster, that train, each with one thread.
        on_warning: called with what the user should know.

    Raises:
        InputError: the text is another now, the folder holds trainings with another recipe, or it
            cannot be written.
    """
    corpus = run.load_text()
    plan = _plan_of(run, settings, corpus)
    with run.folder.lock():
        folder = folder_of(run, plan, [])
        shared = Shared.of(plan, corpus)
        with folder.lock(), Workers(shared, workers, len(marks), worth=0) as pool:
            trainings = Trainings(folder, pool, on_warning or (lambda _: None))
            trainings.add(run, marks)
            yield trainings


def _plan_of(run: Run, settings: BaseModel, corpus: Corpus) -> Plan:
    """All that decides how each candidate of a run is trained on its text."""
    found = run.settings
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


def folder_of(run: Run, plan: Plan, jobs: list[Job]) -> JobFolder:
    """The folder of a run's trainings, with these among them.

    Raises:
        InputError: it holds trainings with another recipe, or cannot be written.
    """
    path = run.folder.path / TRAININGS
    try:
        return JobFolder.create(path, plan, jobs, change_jobs=True)
    except InputError as error:
        # Where the plan is the same, or there is none, it is something else.
        if not (path / PLAN).exists() or JobFolder(path).plan == plan:
            raise
        raise InputError(
            f"{error};\ntrain as it was begun, or remove {path} to begin anew"
        ) from error


class Trainings:
    """Trains candidates up to a rung, each a chain of segments, and keeps what they come to.

    Attributes:
        folder: where they lie.
        ledger: what trainings came to.
        told: called after every segment with the rung, and how many are trained to it.
    """

    def __init__(
        self, folder: JobFolder, pool: Workers[Shared], warn: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self._jobs: dict[str, Job] = {}
        self.ledger = Ledger(folder.path / RUNGS)
        self._pool, self._warn = pool, warn
        self._at: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._paces: dict[str, float] = {}
        # How far and how long those were trained that were begun here.
        self._timed: dict[str, tuple[float, float]] = {}
        self.told: Callable[[float, int], None] = lambda *_: None

    def add(self, run: Run, marks: Sequence[str]) -> None:
        """Let more candidates of the run be trained, with the run's seed."""
        rows = run.table.set_index("fingerprint")["architecture"]
        new = {mark: Job(mark, json.loads(rows[mark]), run.settings.seed) for mark in marks}
        self._jobs |= new
        self.folder = folder_of(run, self.folder.plan, list(self._jobs.values()))

    def train(self, marks: Sequence[str], until: float) -> dict[str, float]:
        """Validation losses of candidates after a part of a full training.

        They are measured at every rung on their way, so that whoever asks for one later knows.
        """
        for part in PARTS:
            if part < until:
                self._reach(marks, part)
        return self._reach(marks, until)

    def _reach(self, marks: Sequence[str], until: float) -> dict[str, float]:
        waiting = deque(
            self._part(self._jobs[mark], self.folder.state(self._jobs[mark]), until)
            for mark in marks
            if not self._is_known(mark, until)
        )
        stopped = False
        for part, segment in self._pool.as_they_come(train_segment, waiting, lost_segment):
            for message in dict.fromkeys(segment.warnings):
                self._warn(f"{part.job.name}: {message}")
            stopped = stopped or segment.is_stopped or self._pool.is_stopping
            following = self._take(part, segment, until)
            if stopped:  # whoever is told would end this before all states are kept
                waiting.clear()
                continue
            for _ in range(len(waiting)):  # how far each goes follows from how fast others were
                job, state, _ = waiting.popleft()
                waiting.append(self._part(job, state, until))
            if following is not None:
                waiting.appendleft(following)
            self.told(until, len(marks))
        if stopped:
            raise KeyboardInterrupt
        found = {mark: self.ledger.find(mark, until) for mark in marks}
        return {mark: loss_of(line) for mark, line in found.items() if line is not None}

    def _take(self, part: Part, segment: Segment, until: float) -> Part | None:
        """Keep what came of a segment; the next one of the same training up to the rung."""
        mark = part.job.name
        if part.state is None:
            _check_step(segment, until)
            self._timed[mark] = (0.0, 0.0)
        self._at[mark] = max(segment.done, self._at.get(mark, 0.0))
        self._seconds[mark] = self._seconds.get(mark, 0.0) + segment.seconds
        if segment.pace:
            self._paces[mark] = segment.pace
        if mark in self._timed:
            self._timed[mark] = (segment.done, self._timed[mark][1] + segment.seconds)
        is_there = segment.is_over or (segment.loss is not None and part.until == until)
        if is_there and self.ledger.find(mark, until) is None:
            before = max((line.until for line in self.ledger.of(mark)), default=0.0)
            spent = max(0.0, self._at[mark] - before)
            loss = None if segment.problem else segment.loss
            seconds = self._seconds.pop(mark)
            # Before the state: a measurement that is lost could not be made again from a later one.
            self.ledger.add(
                Reached(mark, until, loss, spent, seconds, segment.is_over, segment.problem)
            )
        if segment.state is not None:
            self.folder.keep(part.job, segment.state)
        if segment.is_over:
            seconds = sum(line.seconds for line in self.ledger.of(mark))
            result = segment.result or {}
            self.folder.record(Outcome(mark, segment.problem, seconds, result, segment.curve))
        if is_there or segment.is_stopped:
            return None
        return self._part(part.job, segment.state, until)

    def _is_known(self, mark: str, until: float) -> bool:
        """Whether nothing is left to do up to the rung.

        A training that ended may have been stopped before its result was kept: it ends again.
        """
        line = self.ledger.find(mark, until)
        if line is None:
            return False
        return not line.is_over or self.folder.outcome(self._jobs[mark]) is not None

    def _part(self, job: Job, state: bytes | None, until: float) -> Part:
        """The next segment of a training, by its pace or that of the slowest other."""
        at = max([self._at.get(job.name, 0.0), *(line.until for line in self.ledger.of(job.name))])
        pace = self._paces.get(job.name) or min(self._paces.values(), default=0.0)
        return Part(job, state, next_stop(at, pace, until))

    def speed(self, mark: str) -> float | None:
        """Parts of a full training a second; None for one that was not begun here.

        How long such a one took before is not known where it was stopped.
        """
        done, seconds = self._timed.get(mark, (0.0, 0.0))
        return done / seconds if seconds else None

    def reached(self, mark: str) -> float:
        """Part of a full training that a candidate was trained for so far."""
        return max(sum(line.spent for line in self.ledger.of(mark)), self._at.get(mark, 0.0))


class Asked:
    """What one way of spending a budget asks of trainings that others may share.

    Attributes:
        until: by candidate, the part of a full training that was asked for.
    """

    def __init__(self, trainings: Trainings) -> None:
        self._trainings = trainings
        self.until: dict[str, float] = {}

    def train(self, marks: Sequence[str], until: float) -> dict[str, float]:
        """As of `Trainings`."""
        self.until |= dict.fromkeys(marks, until)
        return self._trainings.train(marks, until)

    @property
    def spent(self) -> float:
        """So far, in full trainings, on what was asked for."""
        return sum(min(self._trainings.reached(mark), until) for mark, until in self.until.items())

    def lines(self, mark: str) -> list[Reached]:
        """What a candidate came to, as far as it was asked for."""
        return [line for line in self._trainings.ledger.of(mark) if line.until <= self.until[mark]]

    def cost(self, mark: str) -> float:
        """In full trainings, as if no one else had asked."""
        return sum(line.spent for line in self.lines(mark))


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
