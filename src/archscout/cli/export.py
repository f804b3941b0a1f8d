"""`archscout export`: an architecture as a model that transformers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archscout.cli import options
from archscout.cli.output import errors
from archscout.errors import InputError


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_ARCHITECTURE",
            help="A run folder, or an architecture: a file of JSON, -, or a name (lstm).",
        ),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder to write.")],
    rank: Annotated[int, typer.Option(help="Of a run: which of its ranking.")] = 1,
    space: Annotated[
        str | None, typer.Option(help="Of an architecture: its space; rnn by default.")
    ] = None,
    text: options.Texts = None,
    vocabulary_size: options.VocabularySize = None,
    scale: options.ScaleName = None,
    embedding_size: options.EmbeddingSize = None,
    hidden_size: options.HiddenSize = None,
    num_layers: options.NumLayers = None,
    initialisation: options.Initialisation = None,
    reading: options.Reading = None,
    tokenizer: options.TokenizerSource = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the weights; a run's own, or 0, by default.")
    ] = None,
) -> None:
    """Write an architecture as a folder that transformers loads.

    The folder holds the weights (safetensors), the genotype, the vocabulary, and the code. A run
    knows its text and sizes; the options for these are for architectures.

    Examples:
        archscout export runs/rnn-python-docs-0 --out model

        archscout export lstm --text my.txt --scale paper --out lstm

        archscout export encoder.json --space flexibert --out encoder
    """
    from archscout import spaces
    from archscout.exports import export as write
    from archscout.exports import export_candidate
    from archscout.runs import Run

    space = space or spaces.DEFAULT
    if _is_run(source, space):
        sizes = (scale, embedding_size, hidden_size, num_layers, initialisation, reading)
        if text or vocabulary_size or tokenizer or any(sizes):
            raise InputError("a run knows its text and sizes; these options are for architectures")
        path = export_candidate(Run(source).candidate(rank), out, seed)
    else:
        from archscout.cli import architectures
        from archscout.text import load_corpus, tokenizer_for

        found = spaces.get(space)
        try:
            genotypes = architectures.read(found, [source])
        except InputError as error:
            raise InputError(f"{error}\n(read as one of space {space}; see --space)") from error
        if len(genotypes) > 1:
            errors.print(f"{source} holds {len(genotypes)} architectures; exporting the first")
        sized = options.resolve(
            found,
            scale,
            embedding_size=embedding_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            initialisation=initialisation,
            reading=reading,
        )
        corpus = load_corpus(text or "python-docs")
        vocabulary = tokenizer_for(found.tokenization, corpus, vocabulary_size, tokenizer)
        network = found.build(genotypes[0], len(vocabulary), sized, seed or 0)
        path = write(found, genotypes[0], network, vocabulary, out)
    typer.echo(str(path))


def _is_run(source: str, space: str) -> bool:
    """Whether a folder is meant; one without a run does not hide the architecture of its name."""
    from archscout import spaces
    from archscout.runs.run_folder import RunFolder

    if not Path(source).is_dir():
        return False
    return RunFolder(source).exists or source not in spaces.get(space).named
