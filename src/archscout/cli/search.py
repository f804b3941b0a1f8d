"""`archscout search`: the main job."""

from __future__ import annotations

import os
import shlex
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column
from rich.text import Text

from archscout.cli import options, output, proof
from archscout.cli.execution import Execution, LatencyOn, with_execution
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.runs import Progress, Run
    from archscout.spaces.base import Space

_SHOWN = 10
_MODEL = "model"
_DESCRIPTION = "architecture"

Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metrics",
        "-m",
        metavar="NAMES",
        help="What to improve: metrics, or costs, which --max lists; several "
        "by commas, or by repeating the option, for a Pareto front. A direction may "
        "follow, as in parameters:max. The space's best metric by default.",
    ),
]
Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--max",
        metavar="COST=VALUE",
        help="Upper limit of a cost: parameters=10M, flops=5M (per token), latency=5ms (of one "
        "token, or, of an encoder or decoder, one sequence), memory=50MB (weights and peak of a "
        "step); of decoders, with a key/value cache, prefill_latency=20ms (of reading a text), "
        "token_latency=5ms (of generating one token after it), or cache_memory=50MB (weights, and "
        "cache and peak of such a token); repeat the option for more.",
    ),
]
Trials = Annotated[int, typer.Option(help="Number of proposals.")]
Minutes = Annotated[
    float | None,
    typer.Option(
        help="Propose for so long at most; the same command with --resume makes the other "
        "proposals."
    ),
]
Sampler = Annotated[
    str,
    typer.Option(
        metavar="NAME[:POPULATION]",
        help="Who proposes: nsga2 (evolution; nsga2:100 for a population of 100 in place of "
        "50), tpe, or random.",
    ),
]
ModelSize = Annotated[
    list[str] | None,
    typer.Option(
        "--model-size",
        metavar="SCALE|NAME=VALUE",
        help="Sizes at which costs are taken and the winner is built, as --size has them; as "
        "scored by default.",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ARCHITECTURES",
        help="Start from these, too: a file of JSON or JSON Lines, such as another run's best.json "
        "or what you use today. They are among the first proposals and the first to be trained, "
        "and stand in the tables; repeat the option for more.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|TIME",
        help="Then spend a budget on training: a number of full trainings, such as 4, or a time, "
        "such as 30m or 2h. Candidates are trained for a short while, the best of them for longer, "
        "and so on; the winner is trained whole and handed over.",
    ),
]
Prove = Annotated[
    int | None,
    typer.Option(
        metavar="SEEDS",
        help="With --budget: spend it from so many seeds, and as much on random candidates, on "
        "random ones by the same halving, and on the best by score, train the named ones, and show "
        "whether the search paid.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(help="Recipe of --budget, as of `archscout train`; quick by default."),
]
Storage = Annotated[
    str | None,
    typer.Option(metavar="URL", help="An Optuna storage in place of the folder's study.jsonl."),
]
Out = Annotated[
    str | None, typer.Option("--out", "-o", help="Run folder; runs/SPACE-TEXT-SEED by default.")
]


@with_execution
def search(
    space: options.SpaceName,
    execution: Execution,
    metrics: Metrics = None,
    metric_file: options.MetricFiles = None,
    limits: Limits = None,
    trials: Trials = 500,
    minutes: Minutes = None,
    sampler: Sampler = "nsga2",
    text: options.Texts = None,
    size: options.Sizes = None,
    model_size: ModelSize = None,
    include: Include = None,
    latency_on: LatencyOn = None,
    scoring: options.ScoringChanges = None,
    seed: options.Seed = 0,
    budget: Budget = None,
    prove: Prove = None,
    preset: Preset = None,
    changes: options.Changes = None,
    storage: Storage = None,
    out: Out = None,
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Search a space for the architectures with the best scores under limits.

    Writes a run folder with every score, a report (report.html), and the best architecture as a
    model that transformers loads (model/). With --budget it then trains candidates, and model/ is
    the trained winner; with --prove it shows whether that paid, over several seeds.

    Examples:
        archscout search rnn --text my.txt --max parameters=10M

        archscout search rnn --text my.txt --trials 5000 --minutes 30

        archscout search rnn -m hidden_covariance -m latency --trials 1000

        archscout search rnn --text my.txt --max parameters=10M --resume

        archscout search flexibert --text my.txt --max latency=5ms --trials 200

        archscout search rnn --text my.txt --budget 4 --set epochs=8 --workers 2
    """
    from archscout import spaces

    found = spaces.get(space)  # a wrong name is told before what takes long to import
    from archscout.runs import remarks
    from archscout.runs.costs import COSTS

    scale = options.scale_of(found, size)
    if minutes is not None and budget is not None:
        raise InputError(
            f"--minutes {minutes:g} may end the search early, and --budget {budget} trains the "
            "best of a whole one; end it by --trials, or train later, by --budget with --resume"
        )
    training = proof.Training.of(found, budget, prove, preset, changes, execution)
    built = options.scale_of(found, model_size, scale, "--model-size") if model_size else None
    bounds = options.checked("--max", limits, COSTS).items()
    run, new, seconds = _search(
        trials,
        resume,
        minutes=minutes,
        space=found,
        text=text or "python-docs",
        metrics=metrics or None,
        metric_files=metric_file or (),
        seed=seed,
        scale=scale,
        model_scale=built,
        out=out,
        storage=storage,
        workers=execution.place(os.cpu_count() or 1),
        latency_on=latency_on,
        include=_included(found, include or []),
        **{f"max_{cost}": limit for cost, limit in bounds},
        **options.scoring(scoring, device=True),
        **_sampler(sampler),
    )
    if (done := len(run.trials) - run.num_bred) < trials:
        output.tell(
            f"The time was up after {done} of {trials} proposals; --resume makes the others."
        )
    for remark in remarks(run):
        output.warn(remark)
    if not as_json:
        _print(run, new, seconds)
    elif not run.front:
        output.print_json(_summary(run, new))
        raise _nothing_found(run)
    promotion, proven = training.do(run, run.folder.path / _MODEL, resume)
    if as_json:
        output.print_json(_summary(run, new) | proof.document(promotion, proven))
        return
    place = run.folder.path
    proof.print_trained(promotion, proven, found, place / _MODEL)
    output.say(f"Run     {place}\nReport  {place / 'report.html'}\nModel   {place / _MODEL}")


def _search(trials: int, resume: bool, **arguments: Any) -> tuple[Run, int, float]:
    """The run, handed over; how many proposals are new, and how long they took, in seconds."""
    from archscout import search as run_search

    start = time.perf_counter()
    counts: list[int] = []

    def on_progress(state: Progress) -> None:
        counts.append(state.done)
        best = "" if state.best is None else f"best {output.number(state.best)}"
        bar.advance_to(state.done, best)

    arguments |= {"resume": resume, "on_progress": on_progress, "on_warning": output.warn}
    try:
        with output.progress("searching", trials) as bar:
            run = run_search(trials=trials, **arguments)
    except KeyboardInterrupt:
        if not counts:
            raise
        done = f"Stopped after {counts[-1]} of {trials} proposals; everything scored is kept"
        raise output.stopped(done, resume) from None
    try:
        _hand_over(run)
    except KeyboardInterrupt:
        raise output.Stopped(
            "Stopped; the run is complete. Make its report with:\n"
            f"  archscout report {shlex.quote(str(run.folder))}"
        ) from None
    return run, counts[-1] - counts[0], time.perf_counter() - start


def _included(space: Space[Any], sources: list[str]) -> dict[str, Any]:
    """Architectures by what the user calls them; of files of one name by all of the path.

    Those of standard input are called as those of a file `-`.
    """
    from archscout.cli.architectures import read_named

    found: dict[str, Any] = {}
    for source in sources:
        read = read_named(space, [source])
        for number, (called, architecture) in enumerate(read, start=1):
            if not called:  # of standard input
                called = f"{source}:{number}" if len(read) > 1 else source
            elif called in found:
                called = source + called.removeprefix(Path(source).name)
            found[called] = architecture
    return found


def _sampler(text: str) -> dict[str, Any]:
    """Who proposes, and the population; 50 where none is given."""
    name, colon, size = text.partition(":")
    if colon and (name != "nsga2" or not size.isdecimal()):
        raise InputError(f"--sampler {text}; accepted is nsga2 with a whole number, as nsga2:100")
    return {"sampler": name, "population_size": int(size or 50)}


def _hand_over(run: Run) -> None:
    """Write the report, and the best architecture as a model, unless there is a trained one."""
    from archscout.exports import export_candidate
    from archscout.promotion import is_promoted
    from archscout.report import write_report

    output.interrupts.check()
    write_report(run)
    output.interrupts.check()
    model = run.folder.path / _MODEL
    if run.front and not is_promoted(run, model):
        export_candidate(run.best, model, replace=True)


def _summary(run: Run, new: int) -> dict[str, object]:
    best = run.front[0] if run.front else None
    return {
        "run": str(run.folder.path),
        "proposals": len(run.trials) - run.num_bred,
        "bred": run.num_bred,
        "new": new,
        "architectures": len(run.table),
        "best": best
        and {
            "fingerprint": best.fingerprint,
            "scores": best.scores,
            "costs": best.costs,
            "architecture": run.space.to_dict(best.architecture),
        },
    }


def _print(run: Run, new: int, seconds: float) -> None:
    table, proposals, bred = run.table, len(run.trials) - run.num_bred, run.num_bred
    outside = int((~table["within_limits"]).sum())
    failed = int(table["front"].isna().sum()) - outside
    output.console.print(
        f"{proposals} proposals{f' ({new} new)' if new < proposals else ''}"
        f"{f' and {bred} bred ones' if bred else ''} in {seconds:.0f} s: "
        f"{len(table)} architectures, "
        f"{outside} outside the limits, {failed} without a finite score.",
        highlight=False,
    )
    if not run.front:
        raise _nothing_found(run)
    _print_ranking(run)
    if isinstance(problem := table["problem"].iloc[0], str):
        output.warn(f"The best one: {problem}")


def _nothing_found(run: Run) -> InputError:
    """The end of a search without a best architecture."""
    return InputError(
        f"no architecture in {run.folder} is within the limits and has a finite score; "
        f"the reasons are in {run.folder.path / 'report.html'}"
    )


def _print_ranking(run: Run) -> None:
    """One architecture a line, with what there is room for of its description."""
    from archscout.cli.architectures import titles
    from archscout.runs.costs import COSTS

    ranked = run.table[run.table["front"].notna()]
    is_best = ranked["rank"] <= _SHOWN
    rows = ranked[is_best | ranked["fingerprint"].isin(run.names)]
    objectives = [objective.name for objective in run.objectives]
    columns = [*objectives, *(c for c in COSTS if c in rows and c not in objectives)]
    units = {name: cost.unit for name, cost in COSTS.items()}
    headings = [f"{column} {units.get(column, '')}".strip() for column in columns]
    header = ["rank", "fingerprint", *headings]
    several = len(objectives) > 1
    architectures = [run.space.parse(architecture) for architecture in rows["architecture"]]
    called = [run.names.get(mark, "") for mark in rows["fingerprint"]]
    descriptions = [run.space.describe(architecture) for architecture in architectures]
    cells: list[list[str]] = [
        [
            f"{row['rank']}{'*' if several and row['front'] == 1 else ''}",
            title,
            *(output.number(float(row[column])) for column in columns),
        ]
        for title, (_, row) in zip(
            titles(run.space, architectures, run.model_scale, called), rows.iterrows(), strict=True
        )
    ]
    caption = "* on the Pareto front" if several else None
    # What is left of the line is for the description: numbers must not be cut off for it.
    left = _left(header, cells)
    if left < len(_DESCRIPTION):  # names go below their fingerprints
        narrow = [[rank, title.replace(" ", "\n", 1), *others] for rank, title, *others in cells]
        if (gained := _left(header, narrow)) >= len(_DESCRIPTION):
            cells, left = narrow, gained
    if left < len(_DESCRIPTION):
        wide = max(output.cell_width(cell) for row in cells for cell in row)
        folded = ["\n".join(textwrap.wrap(each, wide)) for each in descriptions]
        upright = [[*row, each] for row, each in zip(cells, folded, strict=True)]
        output.print_abreast([*header, _DESCRIPTION], upright)
        if caption:
            output.console.print(caption)
        return
    named, described = (Column(title, no_wrap=True) for title in ("fingerprint", _DESCRIPTION))
    lines: list[list[str | Text]] = []
    for row, each in zip(cells, descriptions, strict=True):
        description = Text(each)
        description.truncate(left, overflow="ellipsis")
        lines.append([*row, description])
    shown: list[str | Column] = ["rank", named, *headings, described]
    output.print_table(shown, lines, title="Best architectures", caption=caption)


def _left(header: list[str], cells: list[list[str]]) -> int:
    """How many characters a table leaves for one more column."""
    return output.console.width - output.table_width(header, cells) - 3
