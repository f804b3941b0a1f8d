"""Trainings by workers: each is a task, which goes on from its checkpoint wherever it was left."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from archscout import spaces
from archscout.errors import InputError
from archscout.execution import Workers, check_workers, stopping
from archscout.files import write_json
from archscout.scoring import resolve_scale
from archscout.text import Corpus, load_corpus
from archscout.training.by_space import find_trainer, train
from archscout.training.jobs.job_folder import PROGRESS, JobFolder, Running
from archscout.training.jobs.plan import Job, Outcome
from archscout.training.outcome import Diverged
from archscout.training.training_folder import METRICS, RESULT

Warn = Callable[[str], None]

_TELL_SECONDS = 2.0
_WRITE_SECONDS = 5.0

# What torch says of a device that gives no right answers any more, to whatever it is asked.
_BROKEN = ("CUDA error", "cuDNN error", "CUBLAS error")


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

    def seconds_left(self, workers: int | None = None) -> float | None:
        """What the rest will take; None where nothing tells.

        Args:
            workers: at it; by default as many as train now.
        """
        workers = workers or len(self.running)
        if self.seconds_each is None or (not workers and self.done < self.total):
            return None
        return (self.total - self.done) * self.seconds_each / max(workers, 1)


def run(
    folder: JobFolder,
    workers: int = 1,
    on_progress: Callable[[Standing], None] | None = None,
    on_warning: Warn | None = None,
) -> dict[str, Outcome]:
    """Train all of a folder that is not trained yet.

    Args:
        folder: of the trainings.
        workers: processes that train; with one it is this process.
        on_progress: called every few seconds.
        on_warning: called with what the user should know.

    Returns:
        How the trainings ended, by the jobs' names.

    Raises:
        InputError: a file cannot be written, the text is another, the device is broken, or another
            process trains here; what is finished is kept.
        KeyboardInterrupt: Ctrl-C; what was at hand has a checkpoint.
    """
    check_workers(workers)
    corpus = load_corpus(list(folder.plan.text))
    _check_text(folder, corpus)
    tell, warn = on_progress or (lambda _: None), on_warning or (lambda _: None)
    left = [job for job in folder.jobs if folder.outcome(job) is None]

    def tick() -> None:
        tell(Standing.of(folder))

    state = _Trainings(folder, corpus, tick if workers == 1 else None)
    with (
        folder.lock(),
        Workers(state, workers, len(left), worth=0, threads=folder.plan.threads) as pool,
    ):
        for outcome, warnings in pool.map(_train, left, _lost, tick):
            folder.record(outcome)
            for message in warnings:
                warn(f"{outcome.job}: {message}")
            tick()
    return folder.outcomes()


@dataclasses.dataclass
class _Trainings:
    """What all trainings share.

    Attributes:
        folder: theirs.
        corpus: that they read.
        tick: called now and then where it is this process that trains.
    """

    folder: JobFolder
    corpus: Corpus
    tick: Callable[[], None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "corpus": self.corpus, "tick": None}


def _check_text(folder: JobFolder, corpus: Corpus) -> None:
    plan = folder.plan
    if (corpus.sha256, corpus.names()) != (plan.sha256, plan.parts):
        raise InputError(
            f"the text {corpus.name} is not the one that {folder.path} was begun with: its SHA-256 "
            f"is {corpus.sha256[:12]}... ({', '.join(corpus.names())}), and was "
            f"{plan.sha256[:12]}... ({', '.join(plan.parts)})"
        )


def _train(state: _Trainings, job: Job) -> tuple[Outcome, list[str]]:
    """How a training ended, and what the user should know of it."""
    plan, start = state.folder.plan, time.monotonic()
    space = spaces.get(plan.space)
    folder = state.folder.training(job)
    warnings: list[str] = []
    problem = None
    threads = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    before = signal.getsignal(signal.SIGINT)
    # A worker process ignores Ctrl-C, but a training answers it with a checkpoint.
    with suppress(ValueError):  # outside the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        train(
            space,
            space.parse(job.architecture),
            state.corpus,
            find_trainer(space.name).settings_type.read(plan.settings),
            folder,
            scale=dataclasses.replace(resolve_scale(space, None), **plan.scale),
            seed=job.seed,
            vocabulary_size=plan.vocabulary_limit,
            device=plan.device,
            resume=True,
            keep_model=plan.keep_weights,
            tokenizer=plan.tokenizer,
            on_progress=_Progress(folder, state.tick),
            on_warning=warnings.append,
        )
    except Diverged as error:
        problem = str(error).partition(";")[0]
    except OSError as error:  # of a library that writes files, such as TensorBoard's
        raise InputError(f"cannot go on: {error.strerror or error}") from error
    # What torch raises for a network that does not fit into memory, or an operation without a
    # gradient: the architecture's fault.
    except (RuntimeError, MemoryError) as error:
        if str(error).startswith(_BROKEN):
            raise InputError(f"the device {plan.device} is broken: {_first_line(error)}") from error
        problem = f"{type(error).__name__}: {_first_line(error)}"
    finally:
        torch.set_num_threads(threads)
        with suppress(ValueError):
            signal.signal(signal.SIGINT, before)
    result = json.loads((folder / RESULT).read_text(encoding="utf-8")) if problem is None else {}
    # The training counts on where another process left it.
    seconds = max(time.monotonic() - start, result.get("seconds", 0.0))
    return Outcome(job.name, problem, seconds, result, _records(folder / METRICS)), warnings


def _lost(job: Job, reason: str) -> tuple[Outcome, list[str]]:
    return Outcome(job.name, reason, 0.0), []


class _Progress:
    """Writes where a training is, and stops it, with a checkpoint, where the driver stops."""

    def __init__(self, folder: Path, tick: Callable[[], None] | None) -> None:
        self._path, self._tick = folder / PROGRESS, tick
        self._written = self._told = 0.0

    def __call__(self, progress: Any) -> None:
        now = time.monotonic()
        if now - self._written > _WRITE_SECONDS:
            self._written = now
            done = progress.tokens / max(progress.total_tokens, 1)
            note = f"{progress.tokens_per_second:,.0f} tokens/s"
            write_json(self._path, {"done": done, "note": note})
        if self._tick is not None and now - self._told > _TELL_SECONDS:
            self._told = now
            self._tick()
        if stopping():
            os.kill(os.getpid(), signal.SIGINT)


def _records(path: Path) -> list[dict[str, Any]]:
    """What was recorded, none where the training ended before."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
