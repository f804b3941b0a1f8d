"""`archscout finetune`: an encoder's scores on GLUE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import (
    console,
    print_abreast,
    print_json,
    progress,
    say,
    stoppable,
    tell,
    warn,
)
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.training.glue import Curve, EpochRecord, Finetuned, Progress, TaskResult


Encoder = Annotated[
    str,
    typer.Argument(
        metavar="ENCODER",
        help="An encoder's exported folder, or the folder of its training.",
    ),
]
Data = Annotated[
    str,
    typer.Option(
        metavar="FOLDER",
        help="GLUE's own files, with a folder for each task (CoLA, MNLI, ...); hub, the "
        "default, downloads them.",
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        help="Names with commas between them: cola, mnli, mrpc, qnli, qqp, rte, sst, sts; all "
        "by default."
    ),
]
Out = Annotated[
    str | None,
    typer.Option("--out", "-o", help="Folder for results; finetunings/NAME-SEED by default."),
]
EveryCheckpoint = Annotated[
    bool,
    typer.Option(
        "--every-checkpoint",
        help="Fine-tune each encoder that the training in the folder kept "
        "(milestones/step-NNNNNNNN), and write the curve.",
    ),
]
KeepModels = Annotated[
    bool,
    typer.Option("--keep-models", help="Write each task's classifier, as transformers loads it."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Setting of the recipe, by default as published for ELECTRA-small, such as "
        "epochs=2, or limit=500 for so many examples of a task only; repeat the option for "
        "more. `archscout spaces --finetuning` lists them.",
    ),
]


def finetune(
    encoder: Encoder,
    data: Data = "hub",
    tasks: Tasks = None,
    out: Out = None,
    every_checkpoint: EveryCheckpoint = False,
    keep_models: KeepModels = False,
    resume: options.Resume = False,
    changes: Changes = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    as_json: options.Json = False,
) -> None:
    """Fine-tune an encoder on GLUE's tasks, and print its scores.

    Beside each score stands the majority baseline, that of always answering with the most
    frequent class. GLUE's score is the mean of all eight tasks. Writes results.json, and for each
    task result.json and metrics.jsonl.

    Examples:
        archscout finetune trainings/encoder --data glue_data

        archscout finetune model --tasks cola,rte --data glue_data --set limit=2000

        archscout finetune trainings/encoder --data glue_data --every-checkpoint --device cuda
    """
    from archscout.training import glue

    settings = glue.FinetuningSettings().resized(**options.pairs("--set", changes))
    if every_checkpoint and keep_models:
        raise InputError("--keep-models is for one encoder, not for every checkpoint of one")
    chosen = [task.name for task in glue.named_tasks(tasks)]
    folder = out or f"finetunings/{_name(encoder)}-{seed}"

    def on_progress(state: Progress) -> None:
        note = f"{state.task}, epoch {state.epoch}/{state.epochs}, loss {state.loss:.3f}"
        bar.advance_to(state.examples, note)

    what = (encoder, data, chosen, settings, folder)
    how: dict[str, Any] = {"seed": seed, "device": device, "resume": resume}
    curve: Curve | None = None
    finetuned: Finetuned | None = None
    with (
        stoppable("the fine-tuning so far", Path(folder), resume),
        progress("fine-tuning, examples") as bar,
    ):
        callbacks = glue.Callbacks(bar.set, on_progress, _print_epoch, _print_result, warn)
        if every_checkpoint:
            curve = glue.finetune_milestones(
                *what, on_milestone=_print_milestone, callbacks=callbacks, **how
            )
        else:
            finetuned = glue.finetune(*what, keep_models=keep_models, callbacks=callbacks, **how)
    if curve is not None:
        _show_curve(curve, as_json)
    if finetuned is not None:
        _show(finetuned, as_json)


def _name(encoder: str) -> str:
    """Of the encoder, or of the training that it came out of."""
    path = Path(encoder).resolve()
    return path.parent.name if path.name == "model" else path.name


def _print_epoch(record: EpochRecord) -> None:
    metrics = ", ".join(f"{name} {value:.2f}" for name, value in record.metrics.items())
    tell(
        f"{record.task}, epoch {record.epoch}: loss {record.train_loss:.3f}, {metrics}, "
        f"{record.examples_per_second:,.0f} examples/s"
    )


def _print_result(result: TaskResult) -> None:
    if result.problem is not None:
        warn(f"{result.task}: no score: {result.problem}")
        return
    tell(f"{result.task}: score {result.score:.2f}, majority baseline {result.baseline:.2f}")


def _print_milestone(steps: int, finetuned: Finetuned) -> None:
    tell(f"step {steps:,}: {_heading(finetuned)} {_percent(finetuned.mean)}")


def _show(finetuned: Finetuned, as_json: bool) -> None:
    if as_json:
        print_json({"finetuning": str(finetuned.folder), **finetuned.to_dict()})
    else:
        _print(finetuned)
    if not finetuned.counted:
        raise typer.Exit(2)


def _print(finetuned: Finetuned) -> None:
    table = Table("task", "metrics", title="GLUE, in percent")
    for title in ("score", "majority", "examples", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    for result in finetuned.results.values():
        metrics = "\n".join(f"{name} {value:.2f}" for name, value in result.metrics.items())
        table.add_row(
            result.task,
            metrics or "failed",
            _percent(result.score),
            _percent(result.baseline),
            f"{result.train_examples:,}",
            f"{result.seconds:,.0f}",
        )
    table.add_section()
    table.add_row(
        _heading(finetuned), "", _percent(finetuned.mean), _percent(finetuned.baseline), "", ""
    )
    console.print(table)
    if finetuned.leaderboard is not None:
        console.print(
            f"As GLUE's leaderboard counts (with F1, and MNLI's other part): "
            f"{finetuned.leaderboard:.2f}",
            highlight=False,
            soft_wrap=True,
        )
    say(f"Results  {finetuned.folder}")


def _show_curve(curve: Curve, as_json: bool) -> None:
    if as_json:
        print_json({"finetuning": str(curve.folder), "curve": curve.to_entry()})
    else:
        _print_curve(curve)
    if not any(point.counted for point in curve.points.values()):
        raise typer.Exit(2)


def _print_curve(curve: Curve) -> None:
    points = curve.points.values()
    first = next(iter(points))
    tasks = list(first.results)
    # Means over other tasks at each step could not be compared.
    common = [task for task in tasks if all(task in point.counted for point in points)]
    columns: dict[str, Mapping[str, float | None]] = {
        f"{steps:,}": point.scores for steps, point in curve.points.items()
    }
    columns["majority"] = {task: result.baseline for task, result in first.results.items()}
    rows = [
        [title, *(_percent(scores[task]) for task in tasks), _percent(_mean(scores, common))]
        for title, scores in columns.items()
    ]
    whole = all(point.glue is not None for point in points)
    print_abreast(["step", *tasks, "GLUE" if whole else "mean"], rows)
    if len(common) < len(tasks):
        warn(
            "the mean is of the tasks that have a score at every step: "
            f"{', '.join(common) or 'there are none'}"
        )
    say(f"Results  {curve.folder}")


def _mean(scores: Mapping[str, float | None], tasks: Sequence[str]) -> float | None:
    """Of those tasks, which have scores; None of no tasks."""
    values = [score for task in tasks if (score := scores[task]) is not None]
    return sum(values) / len(values) if values else None


def _heading(finetuned: Finetuned) -> str:
    """What the mean is of."""
    count = len(finetuned.counted)
    return "GLUE" if finetuned.glue is not None else f"mean of {count} task{'s' * (count != 1)}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
