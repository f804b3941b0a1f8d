"""`archscout search`: the main job."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from archscout.cli import options, proof
from archscout.cli.output import (
    Stopped,
    console,
    errors,
    interrupts,
    number,
    print_abreast,
    progress,
    stopped,
    warn,
)
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.runs import Progress, Run

_LIMITS = "Limits"
_SHOWN = 10
MODEL = "model"


def search(
    space: options.SpaceName,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help="What to improve: a metric, or a cost (parameters, flops, latency, memory); "
            "repeat it or separate by commas for a Pareto front. A direction may follow, as in "
            "parameters:max. The space's best metric by default.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(help="Number of proposals.")] = 500,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Run folder; runs/SPACE-TEXT-SEED by default."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
    sampler: Annotated[
        str, typer.Option(help="Who proposes: nsga2 (evolution), tpe, or random.")
    ] = "nsga2",
    population_size: Annotated[int, typer.Option(help="Of nsga2.")] = 50,
    max_parameters: Annotated[
        str | None, typer.Option(metavar="N", help="Such as 10M.", rich_help_panel=_LIMITS)
    ] = None,
    max_flops: Annotated[
        str | None,
        typer.Option(metavar="N", help="Per token, such as 5M.", rich_help_panel=_LIMITS),
    ] = None,
    max_latency: Annotated[
        str | None,
        typer.Option(
            metavar="MS",
            help="Of one token, or, of an encoder, one sequence: 5ms.",
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="BYTES", help="Weights and peak of a step: 50MB.", rich_help_panel=_LIMITS
        ),
    ] = None,
    text: options.Texts = None,
    split: options.Split = None,
    vocabulary_size: options.VocabularySize = None,
    minibatch: options.Minibatch = 0,
    scale: options.ScaleName = None,
    model_scale: Annotated[
        str | None,
        typer.Option(
            help="Named sizes at which costs are taken and the winner is built; as scored by "
            "default.",
            rich_help_panel="Size of the networks and the minibatch",
        ),
    ] = None,
    embedding_size: options.EmbeddingSize = None,
    hidden_size: options.HiddenSize = None,
    num_layers: options.NumLayers = None,
    batch_size: options.BatchSize = None,
    sequence_length: options.SequenceLength = None,
    initialisation: options.Initialisation = None,
    reading: options.Reading = None,
    objective: options.GradientOf = None,
    tokenizer: options.TokenizerSource = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    train_top: proof.TrainTop = None,
    train_preset: proof.TrainPreset = None,
    train_set: proof.TrainSet = None,
    workers: proof.Workers = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An Optuna storage in place of the folder's study.jsonl."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Search a space for the architectures with the best scores under limits.

    Writes a run folder with every score, a report (report.html), and the best architecture as a
    model that transformers loads (model/). With --train-top it then trains the best and random
    candidates, shows whether the search paid, and model/ is the trained winner.

    Examples:
        archscout search rnn --text my.txt --max-parameters 10M

        archscout search rnn -m hidden_covariance -m latency --trials 1000

        archscout search rnn --text my.txt --max-parameters 10M --resume

        archscout search flexibert --text my.txt --max-latency 5ms --trials 200

        archscout search rnn --text my.txt --train-top 5 --train-set epochs=8 --workers 2
    """
    from archscout import search as run_search
    from archscout import spaces
    from archscout.scoring import resolve_objective

    found = spaces.get(space)
    sizes = options.resolve(
        found,
        scale,
        embedding_size=embedding_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        batch_size=batch_size,
        sequence_length=sequence_length,
        initialisation=initialisation,
        reading=reading,
    )
    recipe = proof.read_recipe(found, trials, train_top, train_preset, train_set, workers)
    start = time.perf_counter()
    made: list[int] = []

    def on_progress(state: Progress) -> None:
        made.append(state.done)
        best = "" if state.best is None else f"best {number(state.best)}"
        bar.advance_to(state.done, best)

    try:
        with progress("searching", trials) as bar:
            run = run_search(
                found,
                text or "python-docs",
                metric or None,
                trials=trials,
                seed=seed,
                sampler=sampler,
                population_size=population_size,
                max_parameters=max_parameters,
                max_flops=max_flops,
                max_latency=max_latency,
                max_memory=max_memory,
                scale=sizes,
                model_scale=model_scale,
                split=split,
                vocabulary_limit=vocabulary_size,
                minibatch_index=minibatch,
                device=device,
                objective=resolve_objective(objective, found.kind),
                tokenizer=tokenizer,
                out=out,
                storage=storage,
                resume=resume,
                workers=workers or os.cpu_count() or 1,
                on_progress=on_progress,
                on_warning=warn,
            )
    except KeyboardInterrupt:
        done = f" after {made[-1]} of {trials} proposals" if made else ""
        raise stopped(f"Stopped{done}; everything scored is kept", resume) from None
    try:
        _hand_over(run)
    except KeyboardInterrupt:
        raise Stopped(
            "Stopped; the run is complete. Make its report with:\n"
            f"  archscout report {shlex.quote(str(run.folder))}"
        ) from None
    if not as_json:
        _print(run, len(made), time.perf_counter() - start)
    proven = None
    if train_top is not None:
        model = run.folder.path / MODEL
        proven = proof.prove(run, train_top, recipe, workers, model, resume)
    if as_json:
        summary = _summary(run, len(made))
        trained = {} if proven is None else {"trained": proof.document(proven)}
        typer.echo(json.dumps(summary | trained, allow_nan=False))
        return
    if proven is not None:
        proof.print_proof(proven)
    _print_places(run)


def _hand_over(run: Run) -> None:
    """Write the report, and the best architecture as a model, unless there is a trained one."""
    from archscout.comparison import is_handed_over
    from archscout.exports import export_candidate
    from archscout.report import write_report

    interrupts.check()
    write_report(run)
    interrupts.check()
    model = run.folder.path / MODEL
    if run.front and not is_handed_over(run, model):
        export_candidate(run.best, model, replace=True)


def _summary(run: Run, new: int) -> dict[str, object]:
    best = run.front[0] if run.front else None
    return {
        "run": str(run.folder.path),
        "proposals": len(run.trials),
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
    table = run.table
    outside = int((~table["within_limits"]).sum())
    failed = int(table["front"].isna().sum()) - outside
    proposals = len(run.trials)
    console.print(
        f"{proposals} proposals{f' ({new} new)' if new < proposals else ''} in {seconds:.0f} s: "
        f"{len(table)} architectures, "
        f"{outside} outside the limits, {failed} without a finite score.",
        highlight=False,
    )
    if not run.front:
        raise InputError(
            f"no architecture in {run.folder} is within the limits and has a finite score; "
            f"the reasons are in {run.folder.path / 'report.html'}"
        )
    _print_ranking(run)
    if isinstance(problem := table["problem"].iloc[0], str):
        errors.print(f"The best one: {problem}", style="yellow", markup=False, soft_wrap=True)


def _print_places(run: Run) -> None:
    console.print(
        f"Run     {run.folder.path}\n"
        f"Report  {run.folder.path / 'report.html'}\n"
        f"Model   {run.folder.path / MODEL}",
        highlight=False,
        soft_wrap=True,
    )


def _print_ranking(run: Run) -> None:
    rows = run.table[run.table["front"].notna()].head(_SHOWN)
    objectives = [objective.name for objective in run.objectives]
    costs = [c for c in ("parameters", "flops", "latency", "memory") if c in rows]
    columns = [*objectives, *(c for c in costs if c not in objectives)]
    header = ["rank", "fingerprint", *columns]
    cells = [
        [
            f"{row['rank']}{'*' if len(objectives) > 1 and row['front'] == 1 else ''}",
            row["fingerprint"],
            *(number(float(row[column])) for column in columns),
        ]
        for _, row in rows.iterrows()
    ]
    # What is left of the line is for the description: numbers must not be cut off for it.
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    left = console.width - sum(widths) - 3 * len(widths) - 1
    caption = "* on the Pareto front" if len(objectives) > 1 else None
    if left < 0:
        print_abreast(header, cells)
        if caption:
            console.print(caption)
        return
    descriptions = [run.space.describe(run.space.parse(a)) for a in rows["architecture"]]
    table = _table(header, cells, descriptions, left - 3)
    table.title, table.caption = "Best architectures", caption
    console.print(table)


def _table(
    header: Sequence[str],
    cells: Sequence[Sequence[str]],
    descriptions: Sequence[str],
    room: int,
) -> Table:
    """One architecture a line, with what there is room for of its description."""
    table = Table()
    for i, title in enumerate(header):
        table.add_column(title, justify="left" if i == 1 else "right", no_wrap=True)
    described = room > len("architecture")
    if described:
        table.add_column("architecture", no_wrap=True)
    for row, description in zip(cells, descriptions, strict=True):
        text = Text(description)
        text.truncate(room, overflow="ellipsis")
        table.add_row(*row, *([text] if described else []))
    return table
