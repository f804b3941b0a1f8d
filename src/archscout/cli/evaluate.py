"""`archscout evaluate`: metrics judged on a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from archscout.cli import options, output
from archscout.cli.execution import Execution, with_execution
from archscout.errors import InputError

_ABLATION_DRAWS = 10


Combine = Annotated[
    list[str] | None,
    typer.Option(
        help="Metrics joined by +, such as linear_memory+token_sensitivity, whose ranks are "
        "made into one score by their mean; 'median(a+b)' and 'log(a+b)' (as AZ-NAS does) say "
        "otherwise. A formula's own + stands in brackets. Repeat the option for more."
    ),
]
Seeds = Annotated[int | None, typer.Option(help="How many initialisations; 1 by default.")]
Minibatches = Annotated[int | None, typer.Option(help="How many minibatches; 1 by default.")]
Ablate = Annotated[
    Literal["minibatch", "initialisation"] | None,
    typer.Option(
        help=f"Ask how reliable one draw is: {_ABLATION_DRAWS} minibatches or initialisations."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the evaluation; evaluations/BENCHMARK-DATASET by default."),
]


@with_execution
def evaluate(
    benchmark: options.BenchmarkName,
    execution: Execution,
    dataset: options.Dataset = None,
    metrics: options.Metrics = None,
    metric_file: options.MetricFiles = None,
    combine: Combine = None,
    limit: options.Limit = None,
    seeds: Seeds = None,
    minibatches: Minibatches = None,
    ablate: Ablate = None,
    text: options.BenchmarkTexts = None,
    size: options.Sizes = None,
    scoring: options.DrawnScoringChanges = None,
    resamples: options.Resamples = 1000,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
    out: Out = None,
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Recompute metrics for a benchmark's architectures and correlate them with its results.

    Examples:
        archscout evaluate archscout-mini-rnn

        archscout evaluate nas-bench-nlp --metrics hidden_covariance --text wikitext-2

        archscout evaluate nas-bench-bert --size reading=trained --seeds 3 --minibatches 2

        archscout evaluate nas-bench-nlp --ablate minibatch

        archscout evaluate nas-bench-nlp --metric-file mine.py --metrics my_metric,parameters

        archscout evaluate archscout-mini-rnn --combine linear_memory+hidden_covariance[3]
    """
    from archscout import benchmarks

    found = benchmarks.load(benchmark, benchmarks.DataFolder(data_dir), dataset)
    from archscout.analysis import evaluation as room
    from archscout.analysis.combination import parse_combinations
    from archscout.analysis.evaluation_page import summary, write_evaluation
    from archscout.scoring import check_count

    options.load_metrics(metric_file)
    out = out or Path("evaluations") / f"{found.name}-{found.dataset}"
    check_count("resamples", resamples)
    prepared = room.prepare(
        found,
        data_dir=data_dir,
        text=text,
        metrics=metrics,
        metric_files=metric_file or (),
        scale=options.scale_of(found.space, size),
        seeds=_draws("seeds", seeds, ablate == "initialisation"),
        minibatches=_draws("minibatches", minibatches, ablate == "minibatch"),
        seed=seed,
        device=device,
        limit=limit,
        workers=execution.place(),
        combinations=parse_combinations(combine or (), found.space.kind),
        **options.scoring(scoring, draws=True),
    )
    prepared.check_comparable()
    with output.stoppable("what was scored", out, resume):
        with output.progress("scoring") as bar:
            done = prepared.run(out, resume, bar.set)
        with output.progress("statistics, page", 2) as bar:
            comparison = done.compare(resamples=resamples, seed=seed)
            bar.advance()
            page, table = write_evaluation(done, comparison, seed), summary(comparison)
            bar.advance()
    if as_json:
        output.print_json(output.records(table.reset_index()))
    else:
        output.print_statistics("metric", table, "pairs", "partial")
        output.warn_of_modified(found.modified)
    output.tell(f"Page: {page}")


def _draws(name: str, given: int | None, is_ablated: bool) -> int:
    if given == 1 and is_ablated:
        raise InputError(f"--{name} 1 beside --ablate, which compares draws; accepted from 2 on")
    if given is not None:
        return given
    return _ABLATION_DRAWS if is_ablated else 1
