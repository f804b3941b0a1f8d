"""Trainings by workers: each a chain of segments, whose states this process alone keeps."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from archscout.errors import InputError
from archscout.execution import Cluster, Workers, check_workers
from archscout.text import Corpus, load_corpus
from archscout.training.jobs.job_folder import JobFolder, Running
from archscout.training.jobs.plan import Outcome
from archscout.training.jobs.segments import (
    Part,
    Segment,
    Shared,
    lost_segment,
    next_stop,
    train_segment,
)

Warn = Callable[[str], None]

_TELL_SECONDS = 2.0
_WRITE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where many trainings are.

    Attributes:
        total: trainings.
        outcomes: of those that ended, by name.
        running: those that are trained now.
    """

    total: int
    outcomes: dict[str, Outcome]
    running: list[Running]

    @classmethod
    def of(cls, folder: JobFolder) -> Standing:
        """Where those of a folder are now."""
        return cls(len(folder.jobs), folder.outcomes(), folder.running())

    @property
    def failed(self) -> int:
        """Trainings that ended without a result."""
        return sum(outcome.problem is not None for outcome in self.outcomes.values())

    @property
    def done(self) -> float:
        """Trainings that ended, and the parts of the others that are done."""
        return len(self.outcomes) + sum(job.done for job in self.running)

    @property
    def seconds_each(self) -> float | None:
        """Mean time of a training that did not fail; None before there is one."""
        times = [o.seconds for o in self.outcomes.values() if o.problem is None]
        return sum(times) / len(times) if times else None

    def seconds_left(self) -> float | None:
        """What the rest will take those that train now; None where nothing tells."""
        workers = len(self.running)
        if self.seconds_each is None or (not workers and self.done < self.total):
            return None
        return (self.total - self.done) * self.seconds_each / max(workers, 1)


def run(
    folder: JobFolder,
    workers: int | Cluster = 1,
    on_progress: Callable[[Standing], None] | None = None,
    on_warning: Warn | None = None,
) -> dict[str, Outcome]:
    """Train all of a folder that is not trained yet.

    Args:
        folder: of the trainings, held by the caller (`JobFolder.lock`).
        workers: processes, or a cluster, that train; with one it is this process.
        on_progress: called every few seconds.
        on_warning: called with what the user should know.

    Returns:
        How the trainings ended, by the jobs' names.

    Raises:
        InputError: a file cannot be written, the text is another, or the device is broken; what is
            finished is kept.
        KeyboardInterrupt: Ctrl-C; what was at hand has a checkpoint.
    """
    check_workers(workers, folder.plan.device)
    corpus = load_corpus(list(folder.plan.text))
    _check_text(folder, corpus)
    tell, warn = on_progress or (lambda _: None), on_warning or (lambda _: None)
    is_stopped = False
    course = _Course(folder, tell, warn)
    task = partial(train_segment, on_progress=course.step) if workers == 1 else train_segment
    tick = course.tick
    shared = Shared.of(folder.plan, corpus)
    with Workers(shared, workers, len(course.waiting), worth=0) as pool:
        for part, segment in pool.as_they_come(task, course.waiting, lost_segment, tick):
            for message in segment.warnings:
                warn(f"{part.job.name}: {message}")
            course.go_on(part, segment)
            is_stopped |= segment.is_stopped or pool.is_stopping
            if is_stopped:  # who is told would end this before all states are kept
                course.waiting.clear()
            else:
                tick()
    if is_stopped:
        raise KeyboardInterrupt
    return folder.outcomes()


def _check_text(folder: JobFolder, corpus: Corpus) -> None:
    plan = folder.plan
    if (corpus.sha256, corpus.names()) != (plan.sha256, plan.parts):
        raise InputError(
            f"the text {corpus.name} is not the one that {folder.path} was begun with: its SHA-256 "
            f"is {corpus.sha256[:12]}... ({', '.join(corpus.names())}), and was "
            f"{plan.sha256[:12]}... ({', '.join(plan.parts)})"
        )


@dataclasses.dataclass
class _Pace:
    """How a job goes on: the part that was done at a time, and the parts a second since.

    Attributes:
        spent: seconds of its segments.
    """

    done: float = 0.0
    speed: float = 0.0
    since: float = 0.0
    note: str = ""
    spent: float = 0.0

    def set(self, done: float, tokens_per_second: float, speed: float = 0.0) -> None:
        self.done, self.speed, self.since = done, speed, time.monotonic()
        self.note = f"{tokens_per_second:,.0f} tokens/s"

    def now(self) -> float:
        """The part that is done by now, about."""
        return min(1.0, self.done + self.speed * (time.monotonic() - self.since))


class _Course:
    """The jobs that are left, each a chain of segments.

    Attributes:
        waiting: the next segment of each that is not at work.
    """

    def __init__(self, folder: JobFolder, tell: Callable[[Standing], None], warn: Warn) -> None:
        self._folder, self._tell = folder, tell
        left = [job for job in folder.jobs if folder.outcome(job) is None]
        self.waiting = deque(Part(job, folder.state(job, warn), next_stop(0, 0)) for job in left)
        self._paces = {job.name: _Pace() for job in left}
        self._written = self._told = 0.0

    def go_on(self, part: Part, segment: Segment) -> None:
        """Keep what came of a segment, and let the next one follow where there is one."""
        name, pace = part.job.name, self._paces[part.job.name]
        pace.spent += segment.seconds
        if segment.state is not None:
            self._folder.keep(part.job, segment.state)
        if segment.is_over:
            result = segment.result or {}
            # The training counts on where another driver left it.
            seconds = max(pace.spent, result.get("seconds", 0.0))
            self._folder.record(Outcome(name, segment.problem, seconds, result, segment.curve))
            del self._paces[name]
            return
        pace.set(segment.done, segment.speed, segment.pace)
        # First what was begun, so that few states are kept at a time.
        until = next_stop(segment.done, segment.pace)
        self.waiting.appendleft(Part(part.job, segment.state, until))

    def tick(self) -> None:
        """Write and tell where all are."""
        if time.monotonic() - self._written > _WRITE_SECONDS:
            self._written = time.monotonic()
            for name in self._at_work():
                pace = self._paces[name]
                self._folder.write_progress(name, pace.now(), pace.note)
        self._tell(Standing.of(self._folder))

    def step(self, progress: Any) -> None:
        """Write and tell after a step in this process, now and then."""
        if time.monotonic() - self._told > _TELL_SECONDS:
            self._told = time.monotonic()
            (name,) = self._at_work()
            done = progress.tokens / max(progress.total_tokens, 1)
            self._paces[name].set(done, progress.tokens_per_second)
            self.tick()

    def _at_work(self) -> set[str]:
        return self._paces.keys() - {part.job.name for part in self.waiting}
