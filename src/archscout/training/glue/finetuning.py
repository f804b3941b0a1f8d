"""From an encoder to its scores on the tasks.

In the folder `finetuning.json` says what is fine-tuned, on what and how; a folder for each task
holds `checkpoints/` while it is trained, and where it diverged; `metrics.jsonl` with a line for
each epoch, and `result.json` when it is over; `results.json` holds all results together.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archscout.errors import InputError
from archscout.files import write_json
from archscout.scoring import check_device, check_seed
from archscout.training.acceleration import accelerator
from archscout.training.checkpoints import Checkpoints
from archscout.training.glue.data import DataSource, load_tasks
from archscout.training.glue.encoder import Encoder, load_encoder
from archscout.training.glue.examples import TaskData, majority_baseline
from archscout.training.glue.finetuning_loop import (
    EpochRecord,
    Progress,
    TaskTraining,
    examples_to_read,
)
from archscout.training.glue.finetuning_settings import FinetuningSettings
from archscout.training.glue.results import Finetuned, TaskResult
from archscout.training.glue.tasks import Task, named_tasks
from archscout.training.outcome import Diverged
from archscout.training.training_folder import (
    CHECKPOINTS,
    FORMAT,
    MODEL,
    RESULT,
    ResumableFolder,
    check_identity,
)

RESULTS = "results.json"


class FinetuningFolder(ResumableFolder):
    """A folder of one fine-tuning.

    Args:
        path: the folder; made when something is first written.
    """

    description = "finetuning.json"
    noun = "fine-tuning"
    libraries = ("archscout", "torch", "transformers", "accelerate", "tokenizers", "scikit-learn")

    def begin(self, identity: dict[str, Any], resume: bool) -> None:
        """Make the folder, or make sure that it holds the same fine-tuning."""
        if resume:
            self.check(identity)
        else:
            self.start(identity)

    def task(self, name: str) -> Path:
        """The folder of a task."""
        return self.path / name

    def result(self, name: str) -> TaskResult | None:
        """What a task came to; None while it is not over."""
        path = self.task(name) / RESULT
        try:
            return TaskResult(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"cannot read {path}: {error}; remove it to fine-tune on the task again"
            ) from error


@dataclasses.dataclass(frozen=True)
class Callbacks:
    """Who is told of what.

    Attributes:
        on_start: called with the examples trained on so far, of all tasks, and all there will be.
        on_progress: called after every step.
        on_epoch: called after every epoch.
        on_result: called after every task, also those that were finished before.
        on_warning: called with what the user should know, such as of a damaged checkpoint.
    """

    on_start: Callable[[int, int], None] = lambda _done, _total: None
    on_progress: Callable[[Progress], None] = lambda _: None
    on_epoch: Callable[[EpochRecord], None] = lambda _: None
    on_result: Callable[[TaskResult], None] = lambda _: None
    on_warning: Callable[[str], None] = lambda _: None

    def shifted(self, before: int, total: int) -> Callbacks:
        """Those of one part of the work, which count the examples of all."""

        def on_progress(progress: Progress) -> None:
            examples = before + progress.examples
            self.on_progress(dataclasses.replace(progress, examples=examples, total_examples=total))

        return dataclasses.replace(
            self,
            on_start=lambda done, _: self.on_start(before + done, total),
            on_progress=on_progress,
        )


def finetune(
    encoder: str | os.PathLike[str] | Encoder,
    data: DataSource,
    tasks: str | Sequence[str] | None = None,
    settings: FinetuningSettings | None = None,
    out: str | os.PathLike[str] = "finetuning",
    *,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    keep_models: bool = False,
    callbacks: Callbacks | None = None,
) -> Finetuned:
    """Fine-tune an encoder on each of some tasks, one after the other.

    The same arguments give the same scores, bit for bit, on the same machine with as many threads;
    stopped at any time and resumed, too. A task on which fine-tuning diverges has no score, and a
    `problem`, and its last checkpoints are kept; the others go on.

    Args:
        encoder: its exported folder, or the folder of its training.
        data: a folder of GLUE's own files, `hub`, or examples by the tasks' names.
        tasks: names of tasks; all eight by default.
        settings: the recipe; as published by default.
        out: the folder for results.
        seed: of the heads' weights and of all that is random in training.
        device: where it is trained, such as `cpu` or `cuda`.
        resume: go on with the fine-tuning that lies in the folder; tasks that are over are not
            repeated.
        keep_models: write the classifier of each task to `TASK/model/`, as transformers loads it.
        callbacks: who is told of the progress.

    Returns:
        The scores.

    Raises:
        InputError: something given cannot be used, differs from what is resumed, or a file cannot
            be written.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written.
    """
    settings, tell = settings or FinetuningSettings(), callbacks or Callbacks()
    chosen = named_tasks(tasks)
    loaded_encoder = ready_encoder(encoder, settings, device, seed)
    examples = load_tasks(data, chosen, tell.on_warning)
    identity = identity_of(chosen, examples, settings, seed) | {
        "encoder": {"sha256": loaded_encoder.sha256}
    }
    folder = FinetuningFolder(out)
    with folder.claimed(resume):
        folder.begin(identity, resume)
        sizes = {t.name: examples_to_read(t, examples[t.name], settings) for t in chosen}
        results: dict[str, TaskResult] = {}
        for task in chosen:
            result = folder.result(task.name)
            if result is not None:
                _tidy(folder.task(task.name), result)  # it may have been killed before that
                if keep_models and result.problem is None:
                    _check_model(folder.task(task.name), tell)
            else:
                before = sum(sizes[name] for name in results)
                shifted = tell.shifted(before, sum(sizes.values()))
                training = TaskTraining(
                    loaded_encoder,
                    task,
                    examples[task.name],
                    settings,
                    seed,
                    device,
                    folder.task(task.name),
                    identity | {"task": task.name},
                    shifted.on_progress,
                    shifted.on_epoch,
                )
                result = _run(training, folder.task(task.name), shifted, keep_models)
            results[task.name] = result
            tell.on_result(result)
        finetuned = Finetuned(folder.path, loaded_encoder, results)
        write_json(folder.path / RESULTS, finetuned.to_dict())
        return finetuned


def finetune_task(
    encoder: str | os.PathLike[str] | Encoder,
    task: Task,
    data: TaskData,
    settings: FinetuningSettings | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    callbacks: Callbacks | None = None,
) -> TaskResult:
    """Fine-tune an encoder on one task of any kind, without a folder.

    Args:
        encoder: its exported folder, or the folder of its training.
        task: one of `TASKS`, or any other, such as `Task("tone", "Tone", ("low", "high"))`.
        data: its examples.
        settings: the recipe; as published by default.
        seed: of the head's weights and of all that is random in training.
        device: where it is trained.
        callbacks: who is told of the progress.

    Returns:
        The score, or the problem that ended the training.

    Raises:
        InputError: something given cannot be used.
        KeyboardInterrupt: Ctrl-C.
    """
    settings, tell = settings or FinetuningSettings(), callbacks or Callbacks()
    loaded = ready_encoder(encoder, settings, device, seed)
    load_tasks({task.name: data}, [task])
    training = TaskTraining(
        loaded,
        task,
        data,
        settings,
        seed,
        device,
        on_progress=tell.on_progress,
        on_epoch=tell.on_epoch,
    )
    return _finish(training)


def identity_of(
    tasks: Sequence[Task],
    examples: Mapping[str, TaskData],
    settings: FinetuningSettings,
    seed: int,
) -> dict[str, Any]:
    """All that decides the scores, but for the encoder."""
    return {
        "format": FORMAT,
        "tasks": [task.name for task in tasks],
        "data": {task.name: examples[task.name].sha256 for task in tasks},
        "settings": settings.model_dump(exclude={"checkpoint_minutes"}),
        "seed": seed,
    }


def ready_encoder(
    place: str | os.PathLike[str] | Encoder, settings: FinetuningSettings, device: str, seed: int
) -> Encoder:
    """The encoder, where it and this machine can be used so: on one process, with such inputs."""
    check_device(device)
    if accelerator(device, settings.precision).num_processes > 1:
        raise InputError("fine-tuning runs in one process; start it without accelerate launch")
    check_seed(seed)
    encoder = load_encoder(place)
    if settings.max_length > encoder.num_positions:
        raise InputError(
            f"max_length is {settings.max_length}; the encoder {encoder.path} has "
            f"{encoder.num_positions} positions"
        )
    return encoder


def _run(
    training: TaskTraining, place: Path, tell: Callbacks, keep_model: bool = False
) -> TaskResult:
    """Fine-tune on a task from where its last checkpoint is, and write its result."""
    checkpoints = Checkpoints(place / CHECKPOINTS)
    checkpoint, damages = checkpoints.latest()
    for damage in damages:
        tell.on_warning(damage)
    if checkpoint is not None:
        found = checkpoint.state.get("identity")
        check_identity(found, training.identity, f"the checkpoint in {checkpoints.folder}")
        training.restore(checkpoint)
    elif damages:
        tell.on_warning(f"{place} holds no whole checkpoint; starting the task from the beginning")
    tell.on_start(training.done, training.total)
    result = _finish(training)
    for note in result.notes[len(training.data.notes) :]:
        tell.on_warning(f"{training.task.title}: {note}")
    if keep_model and result.problem is None:
        training.save_classifier(place / MODEL)
    write_json(place / RESULT, dataclasses.asdict(result))
    _tidy(place, result)
    return result


def _check_model(place: Path, tell: Callbacks) -> None:
    """Say where the model of a task that is over was not kept, and what brings it back."""
    if not (place / MODEL).exists():
        tell.on_warning(
            f"{place} has no model: it was not to be kept when the task was fine-tuned; remove "
            f"{place / RESULT} to fine-tune on it again"
        )


def _tidy(place: Path, result: TaskResult) -> None:
    """Remove the checkpoints of a task that is over, each three times the encoder's size.

    Where it diverged they are kept: there is nothing else to look into.
    """
    if result.problem is None:
        shutil.rmtree(place / CHECKPOINTS, ignore_errors=True)


def _finish(training: TaskTraining) -> TaskResult:
    """Train to the end, and say what it came to."""
    task, data, problem = training.task, training.data, None
    try:
        training.run()
    except Diverged as error:
        problem = str(error).partition("\n")[0]
    records = training.state.records
    metrics = records[-1].metrics if records and problem is None else {}
    notes = records[-1].notes if metrics else []
    baseline = majority_baseline(task, data)
    return TaskResult(
        task=task.name,
        score=task.mean(metrics) if metrics else None,
        leaderboard=task.mean(metrics, leaderboard=True) if metrics else None,
        baseline=task.mean(baseline.values),
        metrics=metrics,
        baseline_metrics=baseline.values,
        notes=[*data.notes, *notes],
        problem=problem,
        epochs=len(records),
        train_examples=training.examples_per_epoch,
        seconds=training.state.seconds,
    )
