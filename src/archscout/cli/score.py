"""`archscout score`: metrics of architectures."""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Sequence
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
    if explain and (as_json or as_csv):
        raise InputError("--explain goes with the table; --json and --csv print scores alone")
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
    named = reader.stream(found, architectures)
    if as_json:
        for result in _scored(scorer, named):
            output.print_json(result.to_dict())
    elif as_csv:
        _print_csv(_scored(scorer, named))
    else:
        called, genotypes = zip(*named, strict=True)
        scores = list(_scored(scorer, zip(called, genotypes, strict=True), len(genotypes)))
        titles = reader.titles(found, genotypes, scale, called)
        _print_table(scores, titles)
        if explain:
            _explain(scorer, genotypes, titles)


def _scored(
    scorer: Scorer, named: Iterable[tuple[str, Any]], total: int | None = None
) -> Iterator[Score]:
    """Scores as they come, with progress; how many there will be may not be known."""
    with output.progress("scoring", total) as bar:
        for score in scorer.score_all(genotype for _, genotype in named):
            bar.advance()
            yield score


def _explain(scorer: Scorer, genotypes: Sequence[Any], titles: Sequence[str]) -> None:
    for genotype, title in zip(genotypes, titles, strict=True):
        typer.echo(f"{title}\n{textwrap.indent(str(scorer.explain(genotype)), '  ')}")


def _columns(names: Iterable[str]) -> list[str]:
    """Names of all values; networks may differ in layers, and so in what they have."""
    columns = list(dict.fromkeys(names))
    bare = [column.partition("[")[0] for column in columns]
    return sorted(columns, key=lambda column: bare.index(column.partition("[")[0]))


def _print_csv(scores: Iterable[Score]) -> None:
    """A line for each score, which wait in a file until it is known which columns there are."""
    names: dict[str, None] = {}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as waiting:
        for score in scores:
            names |= dict.fromkeys(score.scores)
            row = [score.fingerprint, score.scores, score.seconds, score.problem or ""]
            waiting.write(json.dumps(row) + "\n")
        waiting.seek(0)
        columns = _columns(names)
        writer = csv.writer(sys.stdout)
        writer.writerow(["fingerprint", *columns, "seconds", "problem"])
        for line in waiting:
            fingerprint, values, seconds, problem = json.loads(line)
            cells = [values.get(column, "") for column in columns]
            writer.writerow([fingerprint, *cells, seconds, problem])


def _print_table(scores: Sequence[Score], titles: Sequence[str]) -> None:
    known = _columns(column for score in scores for column in score.scores)
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
