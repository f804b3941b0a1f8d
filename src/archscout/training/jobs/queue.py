"""The queue: a folder of trainings that are to be done, each by one worker at a time.

`plan.json` says what is trained and how; `trainings/NAME/` is the training folder of each job, and
`outcomes/NAME.json` how it ended. While a worker trains, `claims/NAME.json` says so; it writes that
file anew every few seconds, so that a claim whose worker died is known by its age, also where the
folder is shared by many machines. What changes a claim holds the queue's lock.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import filelock
from pydantic import BaseModel

from archscout.errors import InputError
from archscout.files import write_json
from archscout.spaces.base import Scale, Space
from archscout.text import Corpus, tokenizer_for
from archscout.training.jobs import processes

T = TypeVar("T")

FORMAT = 1
PLAN = "plan.json"
_CLAIMS, _TRAININGS, _LOCK = "claims", "trainings", "claims/.lock"

BEAT_SECONDS = 5.0
"""How often a worker shows that it lives."""

_STALE_SECONDS = 90.0
_LOCK_SECONDS = 30.0

DEATHS = 3
"""After so many workers that died at a job and brought it no further, it counts as failed."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        name: that no other has, fit for a file.
        architecture: the genotype as JSON.
        seed: of the weights and of all that is random.
    """

    name: str
    architecture: Mapping[str, Any]
    seed: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the trainings of a queue have in common.

    Attributes:
        space: name of the architectures' space.
        text: what `load_corpus` takes, one or several.
        sha256: of the text.
        parts: of the text, such as `train`; `all` for one without splits.
        settings: the recipe, as JSON.
        scale: sizes of the networks, as JSON.
        vocabulary_size: V.
        vocabulary_limit: size limit of the vocabulary.
        tokenizer: of encoders, where it is not trained on the text.
        device: where they are trained.
        threads: of each worker.
        keep_weights: keep the weights of finished trainings, at their best, and the models.
    """

    space: str
    text: tuple[str, ...]
    sha256: str
    parts: tuple[str, ...]
    settings: Mapping[str, Any]
    scale: Mapping[str, Any]
    vocabulary_size: int
    vocabulary_limit: int | None = None
    tokenizer: str | None = None
    device: str = "cpu"
    threads: int = 1
    keep_weights: bool = False

    @classmethod
    def of(
        cls,
        space: Space[Any],
        corpus: Corpus,
        settings: BaseModel,
        scale: Scale,
        vocabulary_limit: int | None = None,
        tokenizer: str | None = None,
        **options: Any,
    ) -> Plan:
        """The plan for a text that is at hand.

        Args:
            space: of the architectures.
            corpus: to train on.
            settings: the recipe.
            scale: sizes of the networks.
            vocabulary_limit: size limit of the vocabulary.
            tokenizer: of encoders, where it is not trained on the text.
            **options: `device`, `threads`, `keep_weights`.

        Raises:
            InputError: the text cannot give such a vocabulary.
        """
        return cls(
            space.name,
            corpus.given or corpus.sources,
            corpus.sha256,
            corpus.names(),
            settings.model_dump(),
            dataclasses.asdict(scale),
            len(tokenizer_for(space.tokenization, corpus, vocabulary_limit, tokenizer)),
            vocabulary_limit,
            tokenizer,
            **options,
        )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        job: its name.
        problem: why it failed; None where it did not.
        seconds: that the last worker spent on it, evaluation included, or where that is more, that
            all of them spent on its steps.
        result: what the training's result.json holds; empty where it failed.
        epochs: the training's metrics.jsonl: one record an epoch, or an evaluation, as far as it
            went.
    """

    job: str
    problem: str | None
    seconds: float
    result: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    epochs: Sequence[Mapping[str, Any]] = ()


@dataclasses.dataclass(frozen=True)
class Claim:
    """That a worker is at a job.

    Attributes:
        job: its name.
        token: that no other claim has.
        host: the name of the worker's machine.
        machine: what no other machine or container has.
        pid: the worker's process.
        born: when that process started, by its machine's count.
        deaths: workers that died at it in a row without bringing it any further.
        begun: part of the training that was done when it was taken.
        done: part of the training that is done, 0 to 1.
        note: where the training is, in a few words.
    """

    job: str
    token: str
    host: str
    machine: str
    pid: int
    born: int
    deaths: int = 0
    begun: float = 0.0
    done: float = 0.0
    note: str = ""


class ClaimLost(Exception):
    """Another worker has taken the job, because this one seemed dead."""


class Queue:
    """A folder of trainings.

    Args:
        path: the folder, in which there is a plan.

    Attributes:
        plan: what the trainings have in common.
        jobs: the trainings, in the order in which they are begun.

    Raises:
        InputError: there is no plan, or it is damaged or of another format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._ended: dict[str, Outcome] = {}
        document = _read(self.path / PLAN)
        if document is None:
            raise InputError(f"{self.path} holds no {PLAN}: there are no trainings in it")
        try:
            if document["format"] != FORMAT:
                raise InputError(
                    f"{self.path / PLAN} is of format {document['format']}; accepted is {FORMAT}"
                )
            lists = {name: tuple(document["plan"][name]) for name in ("text", "parts")}
            self.plan = Plan(**document["plan"] | lists)
            self.jobs = tuple(Job(**job) for job in document["jobs"])
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.path / PLAN} is damaged: {error}") from error

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        plan: Plan,
        jobs: Sequence[Job],
        change_jobs: bool = False,
    ) -> Queue:
        """The queue of that folder, which is made if there is none yet, or grows by new jobs.

        Args:
            path: the folder.
            plan: what the trainings have in common.
            jobs: the trainings.
            change_jobs: take these in place of others that the folder was to do under the same
                plan; what is trained of them by name stays trained. Nobody may be at it.

        Raises:
            InputError: the folder holds another plan, or cannot be written.
        """
        place = Path(path) / PLAN
        asked = {
            "format": FORMAT,
            "plan": dataclasses.asdict(plan),
            "jobs": [dataclasses.asdict(job) for job in jobs],
        }
        asked = json.loads(json.dumps(asked))
        with _locked(Path(path)):
            there = _read(place)
            if there is not None and not _leads_to(there, asked, change_jobs):
                raise InputError(f"{path} holds another plan: {_difference(there, asked)}")
            write_json(place, asked)
        return cls(path)

    def training(self, job: Job) -> Path:
        """The training folder of a job."""
        return self.path / _TRAININGS / job.name

    def outcome(self, job: Job) -> Outcome | None:
        """How a job ended; None if it has not."""
        if job.name not in self._ended:
            path = self._outcome(job.name)
            if document := _read(path):
                self._ended[job.name] = _made(Outcome, document, path)
        return self._ended.get(job.name)

    def outcomes(self) -> dict[str, Outcome]:
        """How the jobs ended that did, by name and in their order."""
        found = ((job.name, self.outcome(job)) for job in self.jobs)
        return {name: outcome for name, outcome in found if outcome is not None}

    def claims(self) -> list[Claim]:
        """What workers are at; those that are known to be dead are left out."""
        found = [self._claimed(job) for job in self.jobs if not self.is_done(job)]
        now = self._now()
        return [claim for claim in found if claim is not None and self._is_alive(claim, now)]

    def is_done(self, job: Job) -> bool:
        """Whether a job ended, well or not."""
        return job.name in self._ended or self._outcome(job.name).exists()

    def retry_failed(self) -> int:
        """Forget the failures, so that these jobs are done again; returns how many they are.

        Raises:
            InputError: the folder cannot be written.
        """
        with self.locked():
            failed = [name for name, outcome in self.outcomes().items() if outcome.problem]
            for name in failed:
                shutil.rmtree(self.path / _TRAININGS / name, ignore_errors=True)
                self._outcome(name).unlink(missing_ok=True)
                del self._ended[name]
        return len(failed)

    # What workers do

    def is_free(self) -> bool:
        """Whether there is a job that nobody is at."""
        claimed = {claim.job for claim in self.claims()}
        return any(job.name not in claimed and not self.is_done(job) for job in self.jobs)

    def take(self) -> tuple[Job, Claim] | None:
        """The first job that nobody is at, claimed; None if there is none.

        A job at which workers died three times, each without bringing it any further, is recorded
        as failed.

        Raises:
            InputError: the folder cannot be written.
        """
        with self.locked() as now:
            for job in self.jobs:
                if self.is_done(job):
                    continue
                before = self._claimed(job)
                if before is not None and self._is_alive(before, now):
                    continue
                deaths, begun = 0, 0.0
                if before is not None:
                    begun = max(before.begun, before.done)
                    deaths = 0 if before.done > before.begun else before.deaths + 1
                if deaths >= DEATHS:
                    problem = f"the worker died {deaths} times at it"
                    self.record(Outcome(job.name, problem, 0.0))
                    continue
                claim = Claim(
                    job.name,
                    secrets.token_hex(8),
                    *processes.this_process(),
                    deaths=deaths,
                    begun=begun,
                )
                write_json(self._claim(job.name), dataclasses.asdict(claim))
                return job, claim
        return None

    def beat(self, claim: Claim) -> None:
        """Show that the worker lives, and how far it is.

        Raises:
            ClaimLost: another worker has taken the job.
            InputError: the folder cannot be written.
        """
        with self.locked():
            self._check(claim)
            write_json(self._claim(claim.job), dataclasses.asdict(claim))

    def release(self, claim: Claim) -> None:
        """Leave a job to whoever comes next, if it is still this worker's.

        Raises:
            InputError: the folder cannot be written.
        """
        with self.locked(), suppress(ClaimLost):
            self._check(claim)
            self._claim(claim.job).unlink(missing_ok=True)

    def finish(self, claim: Claim, outcome: Outcome) -> None:
        """Record how a job ended, and remove what only going on would need.

        Raises:
            ClaimLost: another worker has taken the job.
            InputError: the folder cannot be written.
        """
        with self.locked():
            self._check(claim)
            self.record(outcome)

    def record(self, outcome: Outcome) -> None:
        """Do so for whoever is at the job.

        Raises:
            InputError: the folder cannot be written.
        """
        write_json(self._outcome(outcome.job), dataclasses.asdict(outcome))
        folder = self.path / _TRAININGS / outcome.job
        for name in ("checkpoints", "events"):
            shutil.rmtree(folder / name, ignore_errors=True)
        if not self.plan.keep_weights:
            shutil.rmtree(folder / "milestones", ignore_errors=True)
            for path in folder.glob("best-*.safetensors"):
                path.unlink(missing_ok=True)
        self._claim(outcome.job).unlink(missing_ok=True)

    def _check(self, claim: Claim) -> None:
        there = _read(self._claim(claim.job))
        if there is None or there.get("token") != claim.token:
            raise ClaimLost(claim.job)

    def _claimed(self, job: Job) -> Claim | None:
        path = self._claim(job.name)
        document = _read(path)
        return None if document is None else _made(Claim, document, path)

    def _is_alive(self, claim: Claim, now: float) -> bool:
        try:
            age = now - self._claim(claim.job).stat().st_mtime
        except FileNotFoundError:
            return False
        if age > _STALE_SECONDS:
            return False
        return claim.machine != processes.machine() or processes.runs(claim.pid, claim.born)

    def _claim(self, name: str) -> Path:
        return self.path / _CLAIMS / f"{name}.json"

    def _outcome(self, name: str) -> Path:
        return self.path / "outcomes" / f"{name}.json"

    def _now(self) -> float:
        """The time by the clock of the disk, or where it cannot be written, by the machine's."""
        path = self.path / _LOCK
        try:
            os.utime(path)
            return path.stat().st_mtime
        except OSError:
            return time.time()

    @contextmanager
    def locked(self) -> Iterator[float]:
        """Hold the queue's lock; gives the time by the clock of the disk.

        Raises:
            InputError: the folder cannot be written, or another process holds the lock for long.
        """
        with _locked(self.path):
            yield self._now()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    path = folder / _LOCK
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(filelock.FileLock(path, timeout=_LOCK_SECONDS))
        except filelock.Timeout as error:
            raise InputError(
                f"{path} has been locked for {_LOCK_SECONDS:.0f} s by another process"
            ) from error
        except OSError as error:
            raise InputError(f"cannot write in {folder}: {error.strerror or error}") from error
        yield


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON document; None where there is none."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    return document


def _made(kind: type[T], document: Mapping[str, Any], path: Path) -> T:
    try:
        return kind(**document)
    except TypeError as error:
        raise InputError(f"{path} is damaged: {error}") from error


def _leads_to(there: Mapping[str, Any], asked: Mapping[str, Any], change_jobs: bool) -> bool:
    """Whether a plan may take the place of another: the same, with more jobs, or other ones."""
    if there != {**asked, "jobs": there.get("jobs")}:
        return False
    return change_jobs or all(job in asked["jobs"] for job in there["jobs"])


def _difference(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The first thing in which two plans differ, for a message."""
    if there.get("format") != asked["format"]:
        return f"format is {there.get('format')} there, {asked['format']} here"
    first, second = there.get("plan", {}), asked["plan"]
    for name in second:
        if first.get(name) == second[name]:
            continue
        was, now = first.get(name), second[name]
        if isinstance(was, dict) and isinstance(now, dict):
            inner = next(key for key in {**now, **was} if was.get(key) != now.get(key))
            name, was, now = f"{name}: {inner}", was.get(inner), now.get(inner)
        return f"{name.replace('_', ' ')} is {was} there, {now} here"
    before, after = there.get("jobs", []), asked["jobs"]
    if len(before) != len(after):
        return f"{len(before)} trainings there, {len(after)} here"
    pairs = enumerate(zip(before, after, strict=True), 1)
    number = next(i for i, (was, now) in pairs if was != now)
    return f"training {number} is of another architecture or seed"
