"""`archscout discover`: metrics as formulas, bred on a benchmark."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column

from archscout.cli import options, output
from archscout.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from archscout.metric_search import Discovery
    from archscout.spaces.base import Scale, Space


Generations = Annotated[
    int, typer.Option(help="Generations after the first, which is drawn at random.")
]
PopulationSize = Annotated[int, typer.Option(help="Formulas of a generation.")]
Penalty = Annotated[
    float, typer.Option(help="What fitness pays for each quantity and operation, in units of τ-b.")
]
Quantities = Annotated[
    str | None,
    typer.Option(
        help="What formulas may name, comma-separated, such as hidden_states,weights; by "
        "default all that the networks have."
    ),
]
Shares = Annotated[
    str,
    typer.Option(
        help="Parts of the architectures: to breed on, to choose a formula, and to judge it."
    ),
]
SplitSeed = Annotated[int, typer.Option(help="Decides which architecture is where.")]
Candidates = Annotated[int, typer.Option(help="How many of the best formulas one is chosen from.")]
Against = Annotated[
    str | None,
    typer.Option(
        help="Metrics beside which it is judged, comma-separated; by default the space's "
        "metric for search, and parameters."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the discovery; discoveries/BENCHMARK-DATASET by default."),
]


def discover(
    benchmark: options.BenchmarkName,
    dataset: options.Dataset = None,
    generations: Generations = 20,
    population_size: PopulationSize = 60,
    penalty: Penalty = 0.002,
    quantities: Quantities = None,
    shares: Shares = "0.5/0.25/0.25",
    split_seed: SplitSeed = 0,
    candidates: Candidates = 10,
    against: Against = None,
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
    """Breed metrics as formulas: on one part of a benchmark, chosen on another, judged on a third.

    Examples:
        archscout discover archscout-mini-rnn --generations 5

        archscout discover nas-bench-nlp --text wikitext-2 --seed 1

        archscout discover nas-bench-bert --quantities weights,weight_gradients,parameters

        archscout discover nas-bench-nlp --against hidden_covariance,l2_norm,parameters --resume
    """
    from archscout import benchmarks

    found = benchmarks.load(benchmark, benchmarks.DataFolder(data_dir), dataset)
    from archscout.metric_search import discover as breed
    from archscout.metric_search import write_discovery
    from archscout.metric_search.page import judgement

    out = out or Path("discoveries") / f"{found.name}-{found.dataset}"
    with (
        output.stoppable("what was bred", out, resume),
        output.progress("networks") as bar,
    ):
        done = breed(
            found,
            out=out,
            data_dir=data_dir,
            text=text,
            scale=_scale(found.space, size),
            quantities=options.listed(quantities),
            shares=_shares(shares),
            split_seed=split_seed,
            seed=seed,
            generations=generations,
            population_size=population_size,
            penalty=penalty,
            candidates=candidates,
            references=options.listed(against),
            device=device,
            resamples=resamples,
            resume=resume,
            progress=partial(_tell, bar),
            **options.scoring(scoring, draws=True),
        )
    page, table = write_discovery(done), judgement(done)
    if as_json:
        output.print_json(_document(done, table))
    else:
        _print(done, table)
    output.tell(f"Page: {page}")


def _tell(bar: output.Bar, networks: int, total: int, remark: str) -> None:
    bar.set(networks, total)
    bar.advance_to(networks, remark)


def _scale(space: Space[Any], size: list[str] | None) -> Scale:
    """The sizes; of a minibatch where none is given, few inputs."""
    from archscout.metric_search.discovery import BATCH_SIZE

    scale = options.scale_of(space, size)
    if any(text.startswith("batch_size") for text in size or ()):
        return scale
    return scale.resized(batch_size=min(BATCH_SIZE, scale.batch_size))


def _shares(text: str) -> list[float]:
    try:
        return [float(share) for share in text.split("/")]
    except ValueError:
        raise InputError(f"shares are {text!r}; accepted are three, as 0.5/0.25/0.25") from None


def _document(done: Discovery, table: pd.DataFrame) -> dict[str, Any]:
    return {
        "metric": done.metric,
        "size": done.chosen.size,
        "judgement": output.records(table),
        "candidates": [
            {"metric": entry.metric, "breeding": entry.kendall, "choosing": tau}
            for entry, tau in zip(done.candidates, done.choosing, strict=True)
        ],
    }


def _print(done: Discovery, table: pd.DataFrame) -> None:
    from archscout.metric_search.page import verdict

    rows = []
    for row in table.to_dict("records"):
        name = "the formula" if row["metric"] == done.metric else row["metric"]
        tau = output.fixed(row["kendall"])
        interval = "" if tau == "–" else f"{row['kendall_low']:.3f} to {row['kendall_high']:.3f}"
        pairs = output.fixed(row["pairs"])
        rows.append([row["part"], name, str(row["n"]), tau, interval, pairs])
    output.say(done.metric)
    part, metric = Column("part"), Column("metric", overflow="fold")
    output.print_table([part, metric, "n", "τ-b", "95 % interval", "pairs"], rows)
    output.say(verdict(done))
    output.warn_of_modified(done.benchmark.modified)
