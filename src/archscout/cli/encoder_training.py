"""`archscout train` of an encoder: what it prints of its pretraining."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from archscout.cli.output import console, errors, perplexity, progress
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.spaces.flexibert import EncoderGenotype, FlexibertSpace
    from archscout.text import Corpus
    from archscout.training import (
        EvaluationRecord,
        Pretrained,
        PretrainingProgress,
        PretrainingSettings,
        StreamedText,
    )


def streamed(given: Mapping[str, Any]) -> StreamedText:
    """The data set that a command's options describe.

    Args:
        given: `dataset` (NAME or NAME:CONFIG) and what was given of `dataset_files`,
            `dataset_split`, `dataset_column`, `dataset_valid_split`, `dataset_held_out` and
            `dataset_buffer`.

    Raises:
        InputError: NAME is empty, or a value cannot be used.
    """
    from archscout.training import StreamedText

    name, _, config = given["dataset"].partition(":")
    if not name:
        raise InputError(f"--dataset {given['dataset']!r}; accepted is NAME or NAME:CONFIG")
    chosen = {
        key: given[f"dataset_{key}"]
        for key in ("split", "column", "valid_split", "held_out", "buffer")
        if f"dataset_{key}" in given
    }
    return StreamedText(name, config or None, tuple(given.get("dataset_files", ())), **chosen)


def train_encoder(
    space: FlexibertSpace,
    architecture: EncoderGenotype,
    text: Corpus | StreamedText,
    settings: PretrainingSettings,
    out: str,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Pretrain an encoder, and print how it goes and what came of it.

    Args:
        space: of the architecture.
        architecture: the genotype.
        text: to read.
        settings: the recipe.
        out: the training folder.
        as_json: print JSON.
        **arguments: further ones of `archscout.training.pretrain`.

    Raises:
        InputError: as `pretrain` does.
        KeyboardInterrupt: Ctrl-C.
    """
    from archscout.training import pretrain

    def on_progress(state: PretrainingProgress) -> None:
        note = f"step {state.step:,}/{state.steps:,}, loss {state.loss:.3f}, perplexity of masked "
        note += f"tokens {perplexity(state.loss)}"
        if state.detection_accuracy is not None:
            note += f", replaced told {state.detection_accuracy:.1%}"
        bar.advance_to(state.tokens, note)

    with progress("pretraining, tokens", 1) as bar:
        pretrained = pretrain(
            space,
            architecture,
            text,
            settings,
            out,
            on_start=bar.set,
            on_progress=on_progress,
            on_evaluation=_print_evaluation,
            **arguments,
        )
    if as_json:
        typer.echo(json.dumps({"training": str(pretrained.folder), **pretrained.to_dict()}))
    else:
        _print(pretrained)


def _print_evaluation(record: EvaluationRecord) -> None:
    line = (
        f"step {record.step:,}: masked tokens, loss {record.train_loss:.3f}, validation "
        f"{record.valid_loss:.3f} (unigram {record.valid_unigram:.3f}), accuracy "
        f"{record.valid_accuracy:.1%}"
    )
    if record.valid_detection_accuracy is not None:
        line += (
            f"; replaced tokens told {record.valid_detection_accuracy:.2%} (always original "
            f"{record.valid_original:.2%})"
        )
    errors.print(
        f"{line}; {record.tokens_per_second:,.0f} tokens/s",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


_ENDED = {
    "steps": "all steps done",
    "patience": "no better validation loss in the last evaluations",
    "minutes": "time is up",
}


def _print(pretrained: Pretrained) -> None:
    last = pretrained.records[-1]
    console.print(
        f"{last.step:,} steps in {last.seconds:.0f} s ({_ENDED[pretrained.ended]}), the best "
        f"evaluation is that of step {pretrained.best_step:,}.",
        highlight=False,
    )
    table = Table("", title=f"At step {pretrained.best_step:,}")
    for part in pretrained.losses:
        table.add_column(part, justify="right", no_wrap=True)
    for title, *cells in _rows(pretrained):
        table.add_row(title, *cells)
    console.print(table)
    console.print(f"Training  {pretrained.folder}\nModel     {pretrained.model}", highlight=False)


def _rows(pretrained: Pretrained) -> list[list[str]]:
    """Titles of rows, and a cell for each part of the text."""
    losses = list(pretrained.losses.values())
    rows = [
        ["masked tokens", *(f"{loss.masked:,}" for loss in losses)],
        ["loss, nats", *(f"{loss.nats:.4f}" for loss in losses)],
        ["  of a unigram", *(f"{loss.unigram:.4f}" for loss in losses)],
        ["perplexity", *(perplexity(loss.nats) for loss in losses)],
        ["accuracy", *(f"{loss.accuracy:.2%}" for loss in losses)],
    ]
    if losses[0].detection is not None:
        rows += [
            ["replaced tokens told", *(f"{loss.detection_accuracy:.2%}" for loss in losses)],
            ["  always original", *(f"{loss.original:.2%}" for loss in losses)],
            ["loss of that, nats", *(f"{loss.detection:.4f}" for loss in losses)],
            ["  of the base rate", *(f"{loss.base_rate:.4f}" for loss in losses)],
        ]
    return rows
