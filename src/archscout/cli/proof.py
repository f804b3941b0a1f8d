"""What `archscout search` trains after the search, and what it prints of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Column

from archscout.cli import options, output
from archscout.cli.execution import Execution
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout import comparison
    from archscout.comparison import Proof
    from archscout.execution import Cluster
    from archscout.promotion import Progress, Promotion
    from archscout.report.proof import ProofSummary
    from archscout.report.templates import Table
    from archscout.runs import Run
    from archscout.spaces.base import Space

_SHOWN = 10
_LEFT_OUT = ("parameters", "bits per byte", "outcome")  # columns that the page has, too


@dataclasses.dataclass(frozen=True)
class Training:
    """What is to be trained after a search, and how.

    Attributes:
        settings: the recipe; None where nothing is to be trained.
        budget: what is to be spent on training, as given; None where nothing is.
        seeds: from which the search is to be proved; None where it is not.
        workers: processes, or a cluster, that train.
    """

    settings: Any = None
    budget: str | None = None
    seeds: int | None = None
    workers: int | Cluster = 1

    @classmethod
    def of(
        cls,
        space: Space[Any],
        budget: str | None,
        seeds: int | None,
        preset: str | None,
        changes: list[str] | None,
        execution: Execution,
    ) -> Training:
        """From the options; checks all that can be checked before the search.

        Raises:
            InputError: one cannot be used, or stands without what it is for.
        """
        if budget is None:
            given = {"preset": preset, "set": changes, "prove": seeds}
            if alone := [name for name, value in given.items() if value not in (None, [])]:
                raise InputError(
                    f"--{alone[0]} is about training, and without --budget nothing is trained"
                )
            return cls()
        from archscout.promotion import parse_budget
        from archscout.scoring import check_count
        from archscout.training import comparison_preset

        parse_budget(budget)
        if seeds is not None:
            check_count("--prove", seeds)
        settings = comparison_preset(preset or "quick", space.name).settings
        settings = settings.resized(**options.pairs("--set", changes))
        return cls(settings, budget, seeds, execution.place())

    def do(self, run: Run, model: Path, resume: bool) -> tuple[Promotion | None, Proof | None]:
        """Train, write the report anew, and the winner in place of the model."""
        if self.budget is None:
            return None, None
        from archscout.promotion import hand_over, promote
        from archscout.report import write_report

        def on_progress(now: Progress) -> None:
            bar.set(now.spent, now.budget)
            bar.advance_to(now.spent, f"{now.size} to {now.until:.0%} of a training")

        with output.stoppable("what was scored and trained", run.folder.path, resume):
            with output.progress("training") as bar:
                promotion = promote(
                    run, self.budget, self.settings, self.workers, on_progress, output.warn
                )
            output.interrupts.check()
            hand_over(run, promotion, model)
            proof = None if self.seeds is None else self._prove(run, self.budget, self.seeds)
            output.interrupts.check()
            write_report(run)
        return promotion, proof

    def _prove(self, run: Run, budget: str, seeds: int) -> Proof:
        from archscout.comparison import prove

        def on_progress(now: comparison.Progress) -> None:
            bar.set(now.done, now.total)
            bar.advance_to(now.done, now.doing)

        with output.progress("proving") as bar:
            return prove(run, budget, seeds, self.settings, self.workers, on_progress, output.warn)


def document(promotion: Promotion | None, proof: Proof | None) -> dict[str, Any]:
    """For machines, as promoted.json and proof.json have it, under `promoted` and `proof`."""
    found = {"promoted": promotion, "proof": proof}
    return {name: each.model_dump() for name, each in found.items() if each is not None}


def print_trained(
    promotion: Promotion | None, proof: Proof | None, space: Space[Any], model: Path
) -> None:
    """What was trained, if anything, what came of it, and text that the winner draws."""
    from archscout.exports import drawn_text
    from archscout.training import find_trainer

    if promotion is not None:
        print_promotion(promotion)
        if find_trainer(space.name).draws_text:
            output.console.print("Text that the winner draws:", highlight=False)
            output.console.print(drawn_text(model), markup=False, highlight=False)
    if proof is not None:
        print_proof(proof)


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
    _print_table(dataclasses.replace(found.table, rows=rows), title, _LEFT_OUT)
    if left_out:
        output.say(f"({left_out} others, which left early, are in the report.)")
    for each in promotion.candidates:
        if each.problem is not None:
            output.warn(f"{each.title} failed: {each.problem}")
    _print_words(found)


def print_proof(proof: Proof) -> None:
    """What every way of spending the budget found."""
    from archscout.report.proof import summarise

    found = summarise(proof)
    _print_table(found.table, f"{proof.part} {proof.measure} found")
    _print_words(found)


def _print_table(found: Table, title: str, without: Collection[str] = ()) -> None:
    """A table of the report, but for some of its columns."""
    kept = [i for i, column in enumerate(found.columns) if column.name not in without]
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
