"""The folder of many trainings.

`plan.json` says what is trained and how; `trainings/NAME/` is the training folder of each job, as
its last segment left it, with `progress.json` while it is trained, and `outcomes/NAME.json` says
how it ended. One process, the driver, writes it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from archscout.errors import InputError
from archscout.files import write_json
from archscout.folders import locked
from archscout.training.jobs.plan import Job, Outcome, Plan
from archscout.training.jobs.state import pack, unpack
from archscout.training.training_folder import TrainingFolder, difference

FORMAT = 1
PLAN = "plan.json"
PROGRESS = "progress.json"

# Older ones are of a process that was killed, or that evaluates.
_FRESH_SECONDS = 90.0


class Running(NamedTuple):
    """A job that is trained now.

    Attributes:
        job: its name.
        done: part of the training that is done, 0 to 1.
        note: where the training is, in a few words.
    """

    job: str
    done: float
    note: str


class JobFolder:
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
    ) -> JobFolder:
        """The trainings of that folder, which is made if there is none yet, or grows by new jobs.

        Args:
            path: the folder.
            plan: what the trainings have in common.
            jobs: the trainings.
            change_jobs: take these in place of others that the folder was to do under the same
                plan; what is trained of them by name stays trained.

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
        there = _read(place)
        if there is not None and not _leads_to(there, asked, change_jobs):
            raise InputError(
                f"{path} holds another plan: {_difference(_deciding(there), _deciding(asked))}"
            )
        write_json(place, asked)
        return cls(path)

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from training here.

        Raises:
            InputError: one does, or the folder cannot be written.
        """
        return held(self.path)

    def training(self, job: Job) -> Path:
        """The training folder of a job."""
        return self.path / "trainings" / job.name

    def outcome(self, job: Job) -> Outcome | None:
        """How a job ended; None if it has not."""
        if job.name not in self._ended:
            path = self._outcome(job.name)
            if document := _read(path):
                try:
                    self._ended[job.name] = Outcome(**document)
                except TypeError as error:
                    raise InputError(f"{path} is damaged: {error}") from error
        return self._ended.get(job.name)

    def outcomes(self) -> dict[str, Outcome]:
        """How the jobs ended that did, by name and in their order."""
        found = ((job.name, self.outcome(job)) for job in self.jobs)
        return {name: outcome for name, outcome in found if outcome is not None}

    def state(self, job: Job, warn: Callable[[str], None] = lambda _: None) -> bytes | None:
        """What a worker needs to go on with a job; None where it is not begun.

        Args:
            job: one of the folder.
            warn: called with what the user should know, such as of a damaged checkpoint.
        """
        training = TrainingFolder(self.training(job))
        _, damages = training.checkpoints.latest()
        for damage in damages:
            warn(f"{job.name}: {damage}")
        return pack(training)

    def keep(self, job: Job, state: bytes) -> None:
        """Write the state of a job that a worker gave back: its training folder.

        Raises:
            InputError: it cannot be written, and what was there can be gone on with.
        """
        unpack(state, TrainingFolder(self.training(job)))

    def write_progress(self, name: str, done: float, note: str) -> None:
        """Write down that a job is trained now, and where it is; see `Running`."""
        write_json(self.path / "trainings" / name / PROGRESS, {"done": done, "note": note})

    def running(self) -> list[Running]:
        """The jobs that are trained now, by this process or another one."""
        found = []
        for job in self.jobs:
            path = self.training(job) / PROGRESS
            try:
                fresh = time.time() - path.stat().st_mtime < _FRESH_SECONDS
                if fresh and not self._outcome(job.name).exists():
                    found.append(Running(job.name, **json.loads(path.read_text())))
            except (OSError, ValueError, TypeError):  # none, or just being written
                continue
        return found

    def retry_failed(self) -> int:
        """Forget the failures, so that these jobs are done again; returns how many they are."""
        failed = [name for name, outcome in self.outcomes().items() if outcome.problem]
        for name in failed:
            shutil.rmtree(self.path / "trainings" / name, ignore_errors=True)
            self._outcome(name).unlink(missing_ok=True)
            del self._ended[name]
        return len(failed)

    def record(self, outcome: Outcome) -> None:
        """Write down how a job ended, and remove what only going on would need.

        Raises:
            InputError: the folder cannot be written.
        """
        write_json(self._outcome(outcome.job), dataclasses.asdict(outcome))
        folder = self.path / "trainings" / outcome.job
        (folder / PROGRESS).unlink(missing_ok=True)
        for name in ("checkpoints", "events"):
            shutil.rmtree(folder / name, ignore_errors=True)
        if not self.plan.keep_weights:
            shutil.rmtree(folder / "milestones", ignore_errors=True)
            for path in folder.glob("best-*.safetensors"):
                path.unlink(missing_ok=True)

    def _outcome(self, name: str) -> Path:
        return self.path / "outcomes" / f"{name}.json"


def held(path: str | os.PathLike[str]) -> AbstractContextManager[None]:
    """Keep other processes from training in a folder, which need hold no plan yet.

    Raises:
        InputError: one does, or the folder cannot be written.
    """
    return locked(Path(path) / "trainings", f"another process trains in {path}")


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON document; None where there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} is damaged: it holds no object")
    return document


def _leads_to(there: Mapping[str, Any], asked: Mapping[str, Any], change_jobs: bool) -> bool:
    """Whether a plan may take the place of another: the same, with more jobs, or other ones."""
    same = {**asked, "jobs": there.get("jobs")}
    if _deciding(there) != _deciding(same):
        return False
    return change_jobs or all(job in asked["jobs"] for job in there["jobs"])


def _deciding(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a plan decides results: how often a checkpoint is written does not."""
    plan = document.get("plan")
    if not isinstance(plan, dict) or not isinstance(plan.get("settings"), dict):
        return dict(document)
    settings = {k: v for k, v in plan["settings"].items() if k != "checkpoint_minutes"}
    return {**document, "plan": {**plan, "settings": settings}}


def _difference(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The first thing in which two plans differ, for a message."""
    if there.get("format") != asked["format"]:
        return f"format is {there.get('format')} there, {asked['format']} here"
    first, second = there.get("plan", {}), asked["plan"]
    for name in second:
        if first.get(name) != second[name]:
            what, was, now = difference(first, second, name)
            return f"{what} is {was} there, {now} here"
    before, after = there.get("jobs", []), asked["jobs"]
    if len(before) != len(after):
        return f"{len(before)} trainings there, {len(after)} here"
    pairs = enumerate(zip(before, after, strict=True), 1)
    number = next(i for i, (was, now) in pairs if was != now)
    return f"training {number} is of another architecture or seed"
