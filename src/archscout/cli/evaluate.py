"""`archscout evaluate`: metrics judged on a benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import Stopped, console, errors, progress
from archscout.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from archscout.analysis.evaluation import Evaluation

_ABLATION_DRAWS = 10
_JUDGED = "What is judged"
_DRAWS = "Draws"


def evaluate(
    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCHMARK",
            help="nas-bench-nlp or nas-bench-bert (whose files are needed), archscout-mini-rnn or "
            "archscout-mini-flexibert (always there), or the folder of one that you built.",
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="What the networks were trained on: of nas-bench-nlp wikitext-2 (default) or ptb.",
            rich_help_panel=_JUDGED,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Names, comma-separated; every metric by default.", rich_help_panel=_JUDGED
        ),
    ] = None,
    metric_file: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of Python that defines metrics with archscout.metric.",
            rich_help_panel=_JUDGED,
        ),
    ] = None,
    combine: Annotated[
        list[str] | None,
        typer.Option(
            help="Metrics joined by +, such as linear_memory+token_sensitivity: their ranks are "
            "made into one score; a formula's own + stands in brackets. May be given several "
            "times.",
            rich_help_panel=_JUDGED,
        ),
    ] = None,
    combine_by: Annotated[
        Literal["mean", "median", "log"] | None,
        typer.Option(
            help="What is made of the ranks; mean by default, log as AZ-NAS does.",
            rich_help_panel=_JUDGED,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            help="So many architectures, drawn at random; all by default.", rich_help_panel=_JUDGED
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="How many initialisations; 1 by default.", rich_help_panel=_DRAWS),
    ] = None,
    minibatches: Annotated[
        int | None,
        typer.Option(help="How many minibatches; 1 by default.", rich_help_panel=_DRAWS),
    ] = None,
    ablate: Annotated[
        Literal["minibatch", "initialisation"] | None,
        typer.Option(
            help=f"Ask how reliable one draw is: {_ABLATION_DRAWS} minibatches or initialisations.",
            rich_help_panel=_DRAWS,
        ),
    ] = None,
    text: options.Texts = None,
    split: options.Split = None,
    vocabulary_size: options.VocabularySize = None,
    tokenizer: options.TokenizerSource = None,
    scale: options.ScaleName = None,
    embedding_size: options.EmbeddingSize = None,
    hidden_size: options.HiddenSize = None,
    num_layers: options.NumLayers = None,
    batch_size: options.BatchSize = None,
    sequence_length: options.SequenceLength = None,
    initialisation: options.Initialisation = None,
    reading: options.Reading = None,
    objective: options.GradientOf = None,
    resamples: options.Resamples = 1000,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that score.")] = 1,
    data_dir: options.DataDir = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the evaluation; evaluations/BENCHMARK-DATASET by default."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the evaluation that the folder holds.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Recompute metrics for a benchmark's architectures and correlate them with its results.

    Examples:
        archscout evaluate archscout-mini-rnn

        archscout evaluate nas-bench-nlp --metrics hidden_covariance --text wikitext-2

        archscout evaluate nas-bench-bert --reading trained --seeds 3 --minibatches 2

        archscout evaluate nas-bench-nlp --ablate minibatch

        archscout evaluate nas-bench-nlp --metric-file mine.py --metrics my_metric,parameters

        archscout evaluate archscout-mini-rnn --combine linear_memory+hidden_covariance[3]
    """
    if combine_by is not None and not combine:
        raise InputError("--combine-by says how; say with --combine which metrics")
    from archscout import benchmarks
    from archscout.analysis import evaluation as room
    from archscout.analysis.checks import check_count
    from archscout.analysis.combination import parse_combinations
    from archscout.analysis.evaluation_page import summary, write_evaluation
    from archscout.metrics import load_file
    from archscout.scoring import resolve_objective

    found = benchmarks.load(benchmark, benchmarks.DataFolder(data_dir), dataset)
    for file in metric_file or ():
        load_file(file)
    combinations = parse_combinations(combine or (), found.space.kind, combine_by or "mean")
    out = out or Path("evaluations") / f"{found.name}-{found.dataset}"
    if seeds is None:
        seeds = _ABLATION_DRAWS if ablate == "initialisation" else 1
    if minibatches is None:
        minibatches = _ABLATION_DRAWS if ablate == "minibatch" else 1
    check_count("resamples", resamples)
    prepared = room.prepare(
        found,
        data_dir=data_dir,
        text=text,
        metrics=metrics,
        metric_files=metric_file or (),
        scale=options.resolve(
            found.space,
            scale,
            embedding_size=embedding_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            batch_size=batch_size,
            sequence_length=sequence_length,
            initialisation=initialisation,
            reading=reading,
        ),
        seeds=seeds,
        minibatches=minibatches,
        seed=seed,
        objective=resolve_objective(objective, found.space.kind),
        split=split,
        vocabulary_limit=vocabulary_size,
        tokenizer=tokenizer,
        device=device,
        limit=limit,
        workers=workers,
        combinations=combinations,
    )
    prepared.check_comparable()
    try:
        with progress("scoring", 1) as bar:
            done = prepared.run(out, resume, bar.set)
    except KeyboardInterrupt:
        raise Stopped(
            f"Stopped; what was scored is in {out}. The same command with --resume goes on."
        ) from None
    comparison = done.compare(resamples=resamples, seed=seed)
    page = write_evaluation(done, comparison)
    table = summary(comparison)
    if as_json:
        records = table.reset_index().to_json(orient="records", double_precision=15)
        typer.echo(json.dumps(json.loads(records)))
    else:
        _print(done, table)
    errors.print(f"Page: {page}", markup=False, highlight=False, soft_wrap=True)


def _print(done: Evaluation, table: pd.DataFrame) -> None:
    shown = Table()
    shown.add_column("metric", overflow="fold")
    for title in ("n", "τ-b", "95 % interval", "pairs", "partial"):
        shown.add_column(title, justify="right", no_wrap=True)
    for name, row in table.iterrows():
        interval = f"{row['kendall_low']:.3f} to {row['kendall_high']:.3f}"
        values = [
            "–" if row[column] != row[column] else f"{row[column]:.3f}"
            for column in ("kendall", "pairs", "partial")
        ]
        if row["problem"]:
            values, interval = ["–"] * 3, ""
        shown.add_row(str(name), str(row["n"]), values[0], interval, values[1], values[2])
    console.print(shown)
    for name, row in table[table["problem"].notna()].iterrows():
        errors.print(f"{name}: {row['problem']}", style="yellow", markup=False, soft_wrap=True)
    benchmark = done.benchmark
    if benchmark.modified:
        names = ", ".join(benchmark.modified)
        errors.print(f"Modified data: {names}", style="yellow", markup=False, soft_wrap=True)
