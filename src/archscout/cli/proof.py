"""What `archscout search --train-top` does after the search, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Column

from archscout.cli import options, output
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
    """The settings of the trainings; None where nothing is to be trained."""
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
    """Train the candidates, write the report anew, and the winner in place of the model."""
    from archscout.comparison import hand_over
    from archscout.comparison import prove as train
    from archscout.report import write_report

    def on_progress(now: Standing) -> None:
        bar.advance_to(now.done, f"{now.failed} failed" if now.failed else "")

    with output.stoppable(f"Stopped; what was scored and trained is in {run.folder.path}", resume):
        with output.progress("training", 2 * k) as bar:
            proof = train(run, k, settings, workers or 1, on_progress, output.warn)
        output.interrupts.check()
        hand_over(run, proof, model)
        output.interrupts.check()
        write_report(run)
    return proof


def document(proof: Proof | None) -> dict[str, Any]:
    """For machines, as trained.json has it, under `trained`."""
    from archscout.comparison import to_document

    return {} if proof is None else {"trained": to_document(proof)}


def print_proof(proof: Proof) -> None:
    """The trained candidates, and whether the search paid."""
    from archscout.report.proof import summarise

    found = summarise(proof)
    columns, rows = found.table.columns[:-1], [row[:-1] for row in found.table.rows]
    titles = [column.name for column in columns]
    if output.table_width(titles, rows) > output.console.width:
        output.print_abreast(titles, rows)
    else:
        shown = [c.name if c.kind == "number" else Column(c.name, no_wrap=True) for c in columns]
        output.print_table(shown, rows, title=f"Trained candidates, {proof.measure}")
    for trainee in proof.trainees:
        if trainee.problem is not None:
            output.warn(f"{trainee.fingerprint} failed: {trainee.problem}")
    for sentence in (found.verdict, *(f"- {sentence}" for sentence in found.sentences)):
        output.console.print(sentence, markup=False, highlight=False)
