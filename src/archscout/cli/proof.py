"""What `archscout search` trains after the search, and what it prints of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Column

from archscout.cli import options, output
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.comparison import Proof
    from archscout.promotion import Progress, Promotion
    from archscout.report.proof import ProofSummary
    from archscout.report.templates import Table
    from archscout.runs import Run
    from archscout.spaces.base import Space
    from archscout.training.jobs import Standing

_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Training:
    """What is to be trained after a search, and how.

    Attributes:
        settings: the recipe; None where nothing is to be trained.
        budget: what is to be spent on training, as given.
        top: how many of the best, and as many random ones, are to be trained.
        workers: processes that train.
    """

    settings: Any = None
    budget: str | None = None
    top: int | None = None
    workers: int = 1

    @classmethod
    def of(
        cls,
        space: Space[Any],
        trials: int,
        budget: str | None,
        top: int | None,
        preset: str | None,
        changes: list[str] | None,
        workers: int | None,
    ) -> Training:
        """From the options; checks all that can be checked before the search.

        Raises:
            InputError: one cannot be used, or stands without what it is for.
        """
        if budget is None and top is None:
            given = {"preset": preset, "set": changes}
            if alone := [name for name, value in given.items() if value not in (None, [])]:
                raise InputError(
                    f"--{alone[0]} says how to train, but neither --budget nor --train-top how much"
                )
            return cls()
        from archscout.comparison import check_count
        from archscout.execution import check_workers
        from archscout.promotion import parse_budget
        from archscout.training import comparison_preset

        if budget is not None and top is not None:
            raise InputError("--budget and --train-top are given; one of them is accepted")
        if budget is not None:
            parse_budget(budget)
        if top is not None:
            check_count(top, trials)
        settings = comparison_preset(preset or "quick", space.name).settings
        settings = settings.resized(**options.pairs("--set", changes))
        return cls(settings, budget, top, check_workers(1 if workers is None else workers))

    def do(self, run: Run, model: Path, resume: bool) -> Proof | Promotion | None:
        """Train, write the report anew, and the winner in place of the model."""
        if self.budget is not None:
            return spend(run, self.budget, self.settings, self.workers, model, resume)
        if self.top is not None:
            return prove(run, self.top, self.settings, self.workers, model, resume)
        return None


def spend(
    run: Run, budget: str, settings: Any, workers: int, model: Path, resume: bool
) -> Promotion:
    """Spend a budget on the candidates of a run."""
    from archscout.promotion import hand_over, promote
    from archscout.report import write_report

    def on_progress(now: Progress) -> None:
        bar.set(now.spent, now.budget)
        bar.advance_to(now.spent, f"{now.size} to {now.until:.0%} of a training")

    with output.stoppable(f"Stopped; what was scored and trained is in {run.folder.path}", resume):
        with output.progress("training", 1) as bar:
            promotion = promote(run, budget, settings, workers, on_progress, output.warn)
        output.interrupts.check()
        hand_over(run, promotion, model)
        output.interrupts.check()
        write_report(run)
    return promotion


def prove(run: Run, k: int, settings: Any, workers: int, model: Path, resume: bool) -> Proof:
    """Train the candidates, write the report anew, and the winner in place of the model."""
    from archscout.comparison import hand_over
    from archscout.comparison import prove as train
    from archscout.report import write_report

    def on_progress(now: Standing) -> None:
        bar.advance_to(now.done, f"{now.failed} failed" if now.failed else "")

    with output.stoppable(f"Stopped; what was scored and trained is in {run.folder.path}", resume):
        with output.progress("training", 2 * k) as bar:
            proof = train(run, k, settings, workers, on_progress, output.warn)
        output.interrupts.check()
        hand_over(run, proof, model)
        output.interrupts.check()
        write_report(run)
    return proof


def document(trained: Proof | Promotion | None) -> dict[str, Any]:
    """For machines, as trained.json has it, under `trained`, or promoted.json, under `promoted`."""
    from archscout.comparison import Proof, to_document

    if trained is None:
        return {}
    if isinstance(trained, Proof):
        return {"trained": to_document(trained)}
    return {"promoted": trained.model_dump()}


def print_trained(trained: Proof | Promotion | None, space: Space[Any], model: Path) -> None:
    """What was trained, if anything, what came of it, and text that the winner draws."""
    from archscout.comparison import Proof
    from archscout.exports import drawn_text

    if isinstance(trained, Proof):
        print_proof(trained)
    elif trained is not None:
        print_promotion(trained)
        if space.auto_class == "AutoModelForCausalLM":
            output.console.print("Text that the winner draws:", highlight=False)
            output.console.print(drawn_text(model), markup=False, highlight=False)


def print_promotion(promotion: Promotion) -> None:
    """Who was trained how long, and the winner."""
    from archscout.report.promoted import summarise

    found = summarise(promotion)
    rows = [
        row
        for place, (row, each) in enumerate(
            zip(found.table.rows, promotion.candidates, strict=True)
        )
        if place < _SHOWN or each.name is not None
    ]
    title = f"Trained candidates, validation {promotion.measure}"
    left_out = len(promotion.candidates) - len(rows)
    _print_summary(dataclasses.replace(found.table, rows=rows), title, ("parameters",))
    if left_out:
        output.say(f"({left_out} others, which left early, are in the report.)")
    for each in promotion.candidates:
        if each.problem is not None:
            output.warn(f"{each.title} failed: {each.problem}")
    _print_words(found)


def print_proof(proof: Proof) -> None:
    """The trained candidates, and whether the search paid."""
    from archscout.report.proof import summarise

    _print_summary(summarise(proof).table, f"Trained candidates, {proof.measure}")
    for trainee in proof.trainees:
        if trainee.problem is not None:
            output.warn(f"{trainee.fingerprint} failed: {trainee.problem}")
    _print_words(summarise(proof))


def _print_summary(found: Table, title: str, without: Collection[str] = ()) -> None:
    """A table of the report, without its last column, which is words."""
    kept = [i for i, column in enumerate(found.columns[:-1]) if column.name not in without]
    columns, rows = [found.columns[i] for i in kept], [[row[i] for i in kept] for row in found.rows]
    titles = [column.name for column in columns]
    if output.table_width(titles, rows) > output.console.width:
        output.print_abreast(titles, rows)
    else:
        shown = [c.name if c.kind == "number" else Column(c.name, no_wrap=True) for c in columns]
        output.print_table(shown, rows, title=title)


def _print_words(found: ProofSummary) -> None:
    for sentence in (found.verdict, *(f"- {sentence}" for sentence in found.sentences)):
        output.console.print(sentence, markup=False, highlight=False)
