"""`archscout score`: metrics of architectures."""

from __future__ import annotations

import csv
import json
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column

from archscout.cli import options, output
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.scoring import Score, Scorer


def score(
    space: options.SpaceName,
    architectures: options.Architectures,
    metrics: options.Metrics = None,
    metric_file: options.MetricFiles = None,
    text: options.Texts = None,
    size: options.Sizes = None,
    scoring: options.ScoringChanges = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    as_json: options.Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what was found in each network.")
    ] = False,
) -> None:
    """Score architectures without training them.

    Examples:
        archscout score rnn lstm gru rnn --metrics hidden_covariance,parameters

        archscout score rnn cells.jsonl --text my.txt --json > scores.jsonl

        archscout score rnn lstm --text wikitext-2 --size paper --size num_layers=1

        archscout score rnn lstm --explain

        archscout sample flexibert -n 5 | archscout score flexibert - --metrics head_importance
    """
    from archscout import spaces
    from archscout.cli import architectures as reader
    from archscout.scoring import Scorer

    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other")
    options.load_metrics(metric_file)
    found = spaces.get(space)
    scale = options.scale_of(found, size)
    scorer = Scorer(
        found,
        text or "python-docs",
        options.listed(metrics),
        scale,
        seed,
        device=device,
        **options.scoring(scoring),
    )
    called, genotypes = zip(*reader.read_named(found, architectures), strict=True)
    scores = []
    with output.progress("scoring", len(genotypes)) as bar:
        for result in scorer.score_all(genotypes):
            bar.advance()
            scores.append(result)
            if as_json:
                typer.echo(json.dumps(result.to_dict(), allow_nan=False))
    if as_csv:
        _print_csv(scores)
    elif not as_json:
        titles = reader.titles(found, genotypes, scale, called)
        _print_table(scores, titles)
        if explain:
            _explain(scorer, genotypes, titles)


def _explain(scorer: Scorer, genotypes: Sequence[Any], titles: Sequence[str]) -> None:
    for genotype, title in zip(genotypes, titles, strict=True):
        typer.echo(f"{title}\n{textwrap.indent(str(scorer.explain(genotype)), '  ')}")


def _columns(scores: Sequence[Score]) -> list[str]:
    """Names of all values; networks may differ in layers, and so in what they have."""
    columns = list(dict.fromkeys(column for score in scores for column in score.scores))
    bare = [column.partition("[")[0] for column in columns]
    return sorted(columns, key=lambda column: bare.index(column.partition("[")[0]))


def _print_csv(scores: Sequence[Score]) -> None:
    columns = _columns(scores)
    writer = csv.writer(sys.stdout)
    writer.writerow(["fingerprint", *columns, "seconds", "problem"])
    for score in scores:
        values = [score.scores.get(column, "") for column in columns]
        writer.writerow([score.fingerprint, *values, score.seconds, score.problem or ""])


def _print_table(scores: Sequence[Score], titles: Sequence[str]) -> None:
    known = _columns(scores)
    # The bare name of a per-layer metric stands for one of its layers: once is enough here.
    columns = [c for c in known if f"{c}[1]" not in known]
    rows = [
        [
            title,
            *(output.number(score.scores.get(column)) for column in columns),
            f"{1e3 * score.seconds:.1f}",
        ]
        for title, score in zip(titles, scores, strict=True)
    ]
    header = ["fingerprint", *columns, "ms"]
    if output.table_width(header, rows) <= output.console.width:
        output.print_table([Column(header[0]), *header[1:]], rows)
    else:
        output.print_abreast([*header[:-1], "milliseconds"], rows)
    for score in scores:
        if score.problem:
            output.warn(f"{score.fingerprint}: {score.problem}")
