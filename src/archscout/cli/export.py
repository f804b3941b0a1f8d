"""`archscout export`: an architecture as a model that transformers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archscout.cli import options
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
    rank: Annotated[
        int | None,
        typer.Option(help="Which architecture of a run's ranking; the best by default."),
    ] = None,
    space: options.SpaceOption = None,
    text: options.Texts = None,
    vocabulary_size: options.VocabularySize = None,
    tokenizer: options.TokenizerSource = None,
    size: options.Sizes = None,
    seed: Annotated[
        int | None, typer.Option(help="Decides the weights; a run's own, or 0, by default.")
    ] = None,
) -> None:
    """Write an architecture as a folder that transformers loads.

    The folder holds the weights (safetensors), the genotype, the vocabulary, and the code. A run
    knows its space, text and sizes; the options for these are for architectures.

    Examples:
        archscout export runs/rnn-python-docs-0 --out model

        archscout export lstm --text my.txt --size paper --out lstm

        archscout export encoder.json --out encoder
    """
    from archscout.exports import export as write
    from archscout.exports import export_candidate
    from archscout.runs import Run

    if _is_run(source, space):
        if space or text or vocabulary_size or tokenizer or size:
            raise InputError(
                "a run knows its space, text and sizes; these options are for architectures"
            )
        path = export_candidate(Run(source).candidate(1 if rank is None else rank), out, seed)
    elif rank is not None:
        raise InputError(f"--rank {rank} is of a run's ranking; {source} is no run")
    else:
        from archscout.cli import architectures
        from archscout.text import load_corpus, tokenizer_for

        found = architectures.space_of(source, space)
        try:
            genotype = architectures.read_first(found, source, "exporting")
        except InputError as error:
            said = f"(read as one of space {found.name}; see --space)"
            raise InputError(f"{error}\n{said}") from error
        sized = options.scale_of(found, size, minibatch=False)
        corpus = load_corpus(text or "python-docs")
        vocabulary = tokenizer_for(found.tokenization, corpus, vocabulary_size, tokenizer)
        network = found.build(genotype, len(vocabulary), sized, seed or 0)
        path = write(found, genotype, network, vocabulary, out)
    typer.echo(str(path))


def _is_run(source: str, space: str | None) -> bool:
    """Whether a folder is meant; one without a run does not hide the architecture of its name."""
    from archscout import spaces
    from archscout.runs.run_folder import RunFolder

    if not Path(source).is_dir():
        return False
    return (
        RunFolder(source).exists
        or source not in spaces.get(space or spaces.recognise(source)).named
    )
