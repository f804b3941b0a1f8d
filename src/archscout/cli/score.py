"""`archscout score`: metrics of architectures."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import console, errors, number, progress
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.scoring import Score


def score(
    space: options.SpaceName,
    architectures: Annotated[
        list[str],
        typer.Argument(
            metavar="ARCHITECTURE...",
            help="Files of JSON or JSON Lines, - for standard input, or names (rnn, gru, lstm).",
        ),
    ],
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Names, comma-separated, such as hidden_covariance (all layers) or "
            "hidden_covariance[1] (one, and faster); every metric by default."
        ),
    ] = None,
    text: options.Texts = None,
    split: options.Split = None,
    vocabulary_size: options.VocabularySize = None,
    minibatch: options.Minibatch = 0,
    scale: options.ScaleName = None,
    embedding_size: options.EmbeddingSize = None,
    hidden_size: options.HiddenSize = None,
    num_layers: options.NumLayers = None,
    batch_size: options.BatchSize = None,
    sequence_length: options.SequenceLength = None,
    initialisation: options.Initialisation = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    as_json: options.Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
) -> None:
    """Score architectures without training them.

    Examples:
        archscout score rnn lstm gru rnn --metrics hidden_covariance,parameters

        archscout score rnn cells.jsonl --text my.txt --json > scores.jsonl

        archscout score rnn lstm --text wikitext-2 --scale paper
    """
    from archscout import spaces
    from archscout.cli import architectures as reader
    from archscout.scoring import Scorer

    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other")
    found = spaces.get(space)
    scorer = Scorer(
        found,
        text or "python-docs",
        metrics.split(",") if metrics is not None else None,
        options.resolve(
            found,
            scale,
            embedding_size,
            hidden_size,
            num_layers,
            batch_size,
            sequence_length,
            initialisation,
        ),
        seed,
        split,
        vocabulary_size,
        minibatch,
        device,
    )
    genotypes = reader.read(found, architectures)
    scores = []
    with progress("scoring", len(genotypes)) as bar:
        for result in scorer.score_all(genotypes):
            bar.advance()
            scores.append(result)
            if as_json:
                typer.echo(json.dumps(result.to_dict(), allow_nan=False))
            elif as_csv:
                _print_csv([result], header=len(scores) == 1)
    if not as_json and not as_csv:
        _print_table(scores)


def _print_csv(scores: Iterable[Score], header: bool) -> None:
    writer = csv.writer(sys.stdout)
    for score in scores:
        if header:
            writer.writerow(["fingerprint", *score.scores, "seconds", "problem"])
        writer.writerow(
            [score.fingerprint, *score.scores.values(), score.seconds, score.problem or ""]
        )


def _print_table(scores: Sequence[Score]) -> None:
    # The bare name of a per-layer metric stands for one of its layers: once is enough here.
    columns = [c for c in scores[0].scores if f"{c}[1]" not in scores[0].scores]
    rows = [
        [
            score.fingerprint or "",
            *(number(score.scores[column]) for column in columns),
            f"{1e3 * score.seconds:.1f}",
        ]
        for score in scores
    ]
    header = ["fingerprint", *columns, "ms"]
    widths = [max(map(len, cells)) for cells in zip(header, *rows, strict=True)]
    if sum(widths) + 3 * len(widths) + 1 <= console.width:
        table = Table(header[0])
        for title in header[1:]:
            table.add_column(title, justify="right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        # Side by side, as many as the line holds: each as wide as its widest value.
        cell = max(len(text) for row in rows for text in row)
        room = console.width - max(map(len, [*columns, "milliseconds"])) - 4
        abreast = max(1, room // (cell + 3))
        for start in range(0, len(scores), abreast):
            _print_abreast(scores[start : start + abreast], columns)
    for score in scores:
        if score.problem:
            errors.print(
                f"{score.fingerprint}: {score.problem}",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )


def _print_abreast(scores: Sequence[Score], columns: Sequence[str]) -> None:
    """Several architectures side by side, one metric a row."""
    table = Table()
    table.add_column("metric", no_wrap=True)
    for score in scores:
        table.add_column(score.fingerprint or "", justify="right", no_wrap=True)
    for column in columns:
        table.add_row(column, *(number(score.scores[column]) for score in scores))
    table.add_row("[dim]milliseconds", *(f"[dim]{1e3 * score.seconds:.1f}" for score in scores))
    console.print(table)
