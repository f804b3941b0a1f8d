"""`archscout discover`: metrics as formulas, bred on a benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import console, errors, progress, stopped
from archscout.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from archscout.metric_search import Discovery

_BRED = "How formulas are bred"
_PARTS = "How one is chosen and judged"


def discover(
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
            help="What the networks were trained on: of nas-bench-nlp wikitext-2 (default) or ptb."
        ),
    ] = None,
    generations: Annotated[
        int,
        typer.Option(
            help="Generations after the first, which is drawn at random.", rich_help_panel=_BRED
        ),
    ] = 20,
    population: Annotated[
        int, typer.Option(help="Formulas of a generation.", rich_help_panel=_BRED)
    ] = 60,
    penalty: Annotated[
        float,
        typer.Option(
            help="What fitness pays for each quantity and operation, in units of τ-b.",
            rich_help_panel=_BRED,
        ),
    ] = 0.002,
    quantities: Annotated[
        str | None,
        typer.Option(
            help="What formulas may name, comma-separated, such as hidden_states,weights; by "
            "default all that the networks have.",
            rich_help_panel=_BRED,
        ),
    ] = None,
    shares: Annotated[
        str,
        typer.Option(
            help="Of the architectures: to breed formulas on, to choose one, and to judge it.",
            rich_help_panel=_PARTS,
        ),
    ] = "0.5/0.25/0.25",
    split_seed: Annotated[
        int, typer.Option(help="Decides which architecture is where.", rich_help_panel=_PARTS)
    ] = 0,
    candidates: Annotated[
        int,
        typer.Option(help="Of how many of the best one is chosen.", rich_help_panel=_PARTS),
    ] = 10,
    against: Annotated[
        str | None,
        typer.Option(
            help="Metrics beside which it is judged, comma-separated; by default the space's "
            "metric for search, and parameters.",
            rich_help_panel=_PARTS,
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
    batch_size: options.BatchSize = 8,
    sequence_length: options.SequenceLength = None,
    initialisation: options.Initialisation = None,
    reading: options.Reading = None,
    objective: options.GradientOf = None,
    resamples: options.Resamples = 1000,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the discovery; discoveries/BENCHMARK-DATASET by default."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the discovery that the folder holds.")
    ] = False,
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
    from archscout.metric_search import discover as breed
    from archscout.metric_search import write_discovery
    from archscout.metric_search.page import judgement
    from archscout.scoring import resolve_objective

    found = benchmarks.load(benchmark, benchmarks.DataFolder(data_dir), dataset)
    out = out or Path("discoveries") / f"{found.name}-{found.dataset}"
    sizes = options.resolve(
        found.space,
        scale,
        embedding_size=embedding_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        batch_size=batch_size,
        sequence_length=sequence_length,
        initialisation=initialisation,
        reading=reading,
    )
    try:
        with progress("networks", 1) as bar:

            def tell(networks: int, total: int, remark: str) -> None:
                bar.set(networks, total)
                bar.advance_to(networks, remark)

            done = breed(
                found,
                out=out,
                data_dir=data_dir,
                text=text,
                scale=sizes,
                objective=resolve_objective(objective, found.space.kind),
                quantities=_listed(quantities),
                shares=_shares(shares),
                split_seed=split_seed,
                seed=seed,
                generations=generations,
                population=population,
                penalty=penalty,
                candidates=candidates,
                references=_listed(against),
                split=split,
                vocabulary_limit=vocabulary_size,
                tokenizer=tokenizer,
                device=device,
                resamples=resamples,
                resume=resume,
                progress=tell,
            )
    except KeyboardInterrupt:
        raise stopped(f"Stopped; the generations that ended are in {out}", resume) from None
    page = write_discovery(done)
    table = judgement(done)
    if as_json:
        typer.echo(json.dumps(_document(done, table)))
    else:
        _print(done, table)
    errors.print(f"Page: {page}", markup=False, highlight=False, soft_wrap=True)


def _listed(names: str | None) -> list[str] | None:
    return None if names is None else [name.strip() for name in names.split(",")]


def _shares(text: str) -> list[float]:
    try:
        return [float(share) for share in text.split("/")]
    except ValueError:
        raise InputError(f"shares are {text!r}; accepted are three, as 0.5/0.25/0.25") from None


def _document(done: Discovery, table: pd.DataFrame) -> dict[str, Any]:
    records: list[dict[str, Any]] = json.loads(
        table.to_json(orient="records", double_precision=15, force_ascii=False)
    )
    return {
        "metric": done.metric,
        "size": done.chosen.size,
        "judgement": records,
        "candidates": [
            {"metric": entry.metric, "breeding": entry.kendall, "choosing": tau}
            for entry, tau in zip(done.candidates, done.choosing, strict=True)
        ],
    }


def _print(done: Discovery, table: pd.DataFrame) -> None:
    from archscout.metric_search.page import verdict

    shown = Table()
    shown.add_column("part")
    shown.add_column("metric", overflow="fold")
    for title in ("n", "τ-b", "95 % interval"):
        shown.add_column(title, justify="right", no_wrap=True)
    for row in table.to_dict("records"):
        name = "the formula" if row["metric"] == done.metric else row["metric"]
        tau, interval = f"{row['kendall']:.3f}", f"{row['kendall_low']:.3f} to "
        interval += f"{row['kendall_high']:.3f}"
        if row["kendall"] != row["kendall"]:
            tau, interval = "–", ""
        shown.add_row(row["part"], name, str(row["n"]), tau, interval)
    console.print(done.metric, markup=False, highlight=False, soft_wrap=True)
    console.print(shown)
    console.print(verdict(done), markup=False, highlight=False, soft_wrap=True)
    if done.benchmark.modified:
        names = ", ".join(done.benchmark.modified)
        errors.print(f"Modified data: {names}", style="yellow", markup=False, soft_wrap=True)
