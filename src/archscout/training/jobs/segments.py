"""A training as a chain of segments: tasks for workers that share nothing with their driver.

A segment begins with the state that the one before it returned, and returns its own (see `state`).
Segments in a row give what one training that never stopped gives, bit for bit. So a search that
trains many architectures for a while, and goes on with some of them, does this:

    waiting = deque(Part(job, folder.state(job), until=0.1) for job in jobs)
    with Workers(Shared.of(plan, corpus), count, len(jobs), worth=0) as workers:
        for part, segment in workers.as_they_come(train_segment, waiting, lost_segment):
            if segment.state is not None:
                folder.keep(part.job, segment.state)
            losses[part.job.name] = segment.loss
            # once all of a rung are there: waiting.extend(Part(job, folder.state(job), 0.3) ...)
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from archscout import spaces
from archscout.errors import InputError
from archscout.spaces.base import Space
from archscout.text import Corpus, Tokenizer, tokenizer_for
from archscout.threads import threads
from archscout.training.by_space import find_trainer
from archscout.training.jobs.plan import Job, Plan
from archscout.training.jobs.state import kept_records, pack, unpack
from archscout.training.outcome import Paused, Untrainable
from archscout.training.trainer import Trained, Trainer
from archscout.training.training_folder import METRICS, TrainingFolder, read_records

# The first segment tells how fast a network is; the others take about so long.
_FIRST = 0.001
_SEGMENT_SECONDS = 60.0
# Beyond this part of the way its end is not worth a segment of its own.
_NEARLY = 0.95

# What torch says of a device that gives no right answers any more, to whatever it is asked.
_BROKEN = ("CUDA error", "cuDNN error", "CUBLAS error")


class Shared(NamedTuple):
    """What all segments have in common; a worker needs no file beside it.

    Attributes:
        plan: of the trainings.
        corpus: that it is of.
        space: of the architectures.
        trainer: of the space.
        tokenizer: a ready one, where the plan names it.
    """

    plan: Plan
    corpus: Corpus
    space: Space[Any]
    trainer: Trainer[Any]
    tokenizer: Tokenizer | None = None

    @classmethod
    def of(cls, plan: Plan, corpus: Corpus) -> Shared:
        """With the space, its trainer, and the tokenizer that a plan names.

        Raises:
            InputError: there is none, or it cannot be read.
        """
        space, trainer = spaces.get(plan.space), find_trainer(plan.space)
        ready = None
        if plan.tokenizer is not None:
            ready = tokenizer_for(space.tokenization, corpus, None, plan.tokenizer)
        return cls(plan, corpus, space, trainer, ready)


class Part(NamedTuple):
    """What a worker is asked for.

    Attributes:
        job: what is trained.
        state: that the segment before returned; None at the beginning.
        until: part of the training's tokens, in (0, 1], after which to stop; None for its end.
    """

    job: Job
    state: bytes | None = None
    until: float | None = None


@dataclasses.dataclass(frozen=True)
class Segment:
    """What came of it.

    Attributes:
        state: to go on from; None where nothing is worth keeping.
        curve: the lines of metrics.jsonl so far.
        loss: of the validation part, what `Trainer.loss` is of it: of the weights where it stopped,
            or of the best ones where the training is over; None where it did not get there.
        done: part of the tokens that were trained on so far, at most 1.
        tokens: that is.
        speed: of its training, tokens a second; 0 without a step.
        seconds: that this segment took, evaluation included.
        result: what result.json holds; None where the training is not over.
        problem: why it failed; None where it did not.
        warnings: what the user should know.
    """

    state: bytes | None
    curve: Sequence[dict[str, Any]] = ()
    loss: float | None = None
    done: float = 0.0
    tokens: int = 0
    speed: float = 0.0
    seconds: float = 0.0
    result: dict[str, Any] | None = None
    problem: str | None = None
    warnings: Sequence[str] = ()

    @property
    def pace(self) -> float:
        """Parts of the training a second; 0 without a step."""
        return self.done / max(self.tokens, 1) * self.speed

    @property
    def is_over(self) -> bool:
        """Whether the training is, with a result or with a problem."""
        return self.result is not None or self.problem is not None

    @property
    def is_stopped(self) -> bool:
        """Whether it ended before where it was to stop."""
        return self.loss is None and not self.is_over


def train_segment(
    shared: Shared, part: Part, on_progress: Callable[[Any], None] | None = None
) -> Segment:
    """Train a network for a while; a task, see `archscout.execution`.

    Args:
        shared: with all other segments.
        part: what is trained, from where and how far.
        on_progress: called after every step, where it is this process that trains.

    Raises:
        InputError: a file cannot be written, or the device is broken.
    """
    (plan, corpus, space, trainer, ready), start = shared, time.monotonic()
    last, warnings = _Last(on_progress), list[str]()
    with tempfile.TemporaryDirectory(prefix="archscout-") as place, threads(plan.threads):
        folder = TrainingFolder(Path(place) / "training")
        if part.state is not None:
            unpack(part.state, folder)
        tokenizer = None if ready is None else Path(place) / "tokenizer.json"
        if ready is not None and tokenizer is not None:
            ready.save(tokenizer)
        loss = problem = result = None
        try:
            trained = trainer.train(
                space,
                space.parse(part.job.architecture),
                corpus,
                trainer.settings_type.read(plan.settings),
                folder.path,
                scale=plan.built_at(space),
                seed=part.job.seed,
                vocabulary_size=plan.vocabulary_limit,
                tokenizer=tokenizer,
                device=plan.device,
                resume=folder.exists,
                keep_model=plan.keep_weights,
                until=part.until,
                has_followers=True,
                log_with=(),
                on_start=last.start,
                on_progress=last,
                on_warning=warnings.append,
            )
            loss, result = _ended(trained, trainer, plan)
        except KeyboardInterrupt:  # a checkpoint was written
            pass
        except Untrainable as error:
            problem = str(error).partition(";")[0]
        except OSError as error:  # of a library that writes files
            raise InputError(f"cannot go on: {error.strerror or error}") from error
        # What torch raises for a network that does not fit into memory, or an operation without a
        # gradient: the architecture's fault.
        except (RuntimeError, MemoryError) as error:
            said = str(error).partition("\n")[0]
            if str(error).startswith(_BROKEN):
                raise InputError(f"the device {plan.device} is broken: {said}") from error
            problem = f"{type(error).__name__}: {said}"
        return Segment(
            state=pack(folder) or part.state,
            curve=records(folder),
            loss=loss,
            done=last.tokens / last.total,
            tokens=last.tokens,
            speed=last.speed,
            seconds=time.monotonic() - start,
            result=result,
            problem=problem,
            warnings=warnings,
        )


def next_stop(done: float, pace: float, end: float = 1.0) -> float | None:
    """Where the next segment of a training stops, about a minute on; None at the training's end.

    Args:
        done: part of the training that is done.
        pace: parts a second; 0 where it is not known.
        end: part of the training up to which it is trained, in (0, 1].
    """
    stop = done + max(_FIRST, pace * _SEGMENT_SECONDS)
    if stop < _NEARLY * end:
        return stop
    return None if end == 1 else end


def lost_segment(part: Part, reason: str) -> Segment:
    """The segment at which worker processes died."""
    curve = () if part.state is None else kept_records(part.state)
    return Segment(part.state, curve=curve, problem=reason)


def _ended(
    trained: Trained | Paused, trainer: Trainer[Any], plan: Plan
) -> tuple[float, dict[str, Any] | None]:
    """The validation loss, and where the training is over its result, as result.json holds it."""
    if isinstance(trained, Paused):
        return trained.loss, None
    result = json.loads(json.dumps(trained.to_dict()))
    return trainer.loss(result["losses"]["valid"], plan.settings), result


class _Last:
    """Where a training was last."""

    def __init__(self, on_progress: Callable[[Any], None] | None) -> None:
        self._on_progress = on_progress
        self.tokens, self.total, self.speed = 0, 1, 0.0

    def start(self, tokens: int, total: int) -> None:
        self.tokens, self.total = tokens, max(total, 1)

    def __call__(self, progress: Any) -> None:
        self.tokens, self.speed = progress.tokens, progress.tokens_per_second
        if self._on_progress is not None:
            self._on_progress(progress)


def records(folder: TrainingFolder) -> list[dict[str, Any]]:
    """What metrics.jsonl holds; nothing where the training ended before its first line."""
    path = folder.path / METRICS
    return read_records(path.read_bytes() if path.exists() else b"")
