"""What `archscout search --train-top` does after the search, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table

from archscout.cli import options
from archscout.cli.output import (
    console,
    interrupts,
    print_abreast,
    progress,
    stopped,
    warn,
)
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.comparison import Proof
    from archscout.runs import Run
    from archscout.spaces.base import Space
    from archscout.training.jobs import Standing


def read_recipe(
    space: Space[Any],
    trials: int,
    train_top: int | None,
    preset: str | None,
    changes: list[str] | None,
    workers: int | None,
) -> Any:
    """The settings of the trainings; None where nothing is to be trained.

    Raises:
        InputError: an option cannot be used, or stands without `--train-top`.
    """
    if train_top is None:
        given = {"preset": preset, "set": changes}
        if alone := [name for name, value in given.items() if value not in (None, [])]:
            raise InputError(f"--{alone[0]} says how to train, but --train-top not how many")
        return None
    from archscout.comparison import check_count
    from archscout.execution import check_workers
    from archscout.training import comparison_preset

    check_count(train_top, trials)
    check_workers(1 if workers is None else workers)
    settings = comparison_preset(preset or "quick", space.name).settings
    return settings.resized(**options.pairs("--set", changes))


def prove(run: Run, k: int, settings: Any, workers: int | None, model: Path, resume: bool) -> Proof:
    """Train the candidates, write the report anew, and the winner in place of the model.

    Raises:
        Stopped: Ctrl-C came.
    """
    from archscout.comparison import hand_over
    from archscout.comparison import prove as train
    from archscout.report import write_report

    def on_progress(now: Standing) -> None:
        bar.advance_to(now.done, f"{now.failed} failed" if now.failed else "")

    try:
        with progress("training", 2 * k) as bar:
            proof = train(run, k, settings, workers or 1, on_progress, warn)
        interrupts.check()
        hand_over(run, proof, model)
        interrupts.check()
        write_report(run)
    except KeyboardInterrupt:
        place = run.folder.path
        raise stopped(f"Stopped; what was scored and trained is in {place}", resume) from None
    return proof


def document(proof: Proof) -> dict[str, Any]:
    """For machines, as trained.json has it."""
    from archscout.comparison import to_document

    return to_document(proof)


def print_proof(proof: Proof) -> None:
    """The trained candidates, and whether the search paid."""
    from archscout.report.proof import summarise

    found = summarise(proof)
    titles = [column.name for column in found.table.columns[:-1]]
    rows = [row[:-1] for row in found.table.rows]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    if sum(widths) + 3 * len(widths) + 1 > console.width:
        print_abreast(titles, rows)
    else:
        table = Table(title=f"Trained candidates, {proof.measure}")
        for column in found.table.columns[:-1]:
            justify: Literal["right", "left"] = "right" if column.kind == "number" else "left"
            table.add_column(column.name, justify=justify, no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for trainee in proof.trainees:
        if trainee.problem is not None:
            warn(f"{trainee.fingerprint} failed: {trainee.problem}")
    _say(found.verdict)
    for sentence in found.sentences:
        _say(f"- {sentence}")


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False)
