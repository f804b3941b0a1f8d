"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from archscout.spaces.base import Scale, Space

_TEXT = "Text"
_SIZE = "Size of the networks and the minibatch"

SpaceName = Annotated[str, typer.Argument(metavar="SPACE", help="Search space: rnn.")]
Texts = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="TEXT",
        help="A file, several (repeat the option), a folder, or a corpus's name: python-docs "
        "(always there; the default), wikitext-2, ptb.",
        rich_help_panel=_TEXT,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Part of a corpus with splits that is read; test by default.", rich_help_panel=_TEXT
    ),
]
VocabularySize = Annotated[
    int | None,
    typer.Option(
        help="Keep the most frequent tokens only, so many with the unknown one; all by default.",
        rich_help_panel=_TEXT,
    ),
]
Minibatch = Annotated[
    int, typer.Option(help="Which minibatch of the text, from 0.", rich_help_panel=_TEXT)
]
ScaleName = Annotated[
    str | None,
    typer.Option(
        help="Named sizes: fast (default), or paper for the published ones.",
        rich_help_panel=_SIZE,
    ),
]
EmbeddingSize = Annotated[int | None, typer.Option(rich_help_panel=_SIZE)]
HiddenSize = Annotated[int | None, typer.Option(rich_help_panel=_SIZE)]
NumLayers = Annotated[int | None, typer.Option(rich_help_panel=_SIZE)]
BatchSize = Annotated[int | None, typer.Option(rich_help_panel=_SIZE)]
SequenceLength = Annotated[int | None, typer.Option(rich_help_panel=_SIZE)]
Initialisation = Annotated[
    str | None,
    typer.Option(
        help="canonical (ignores names and order of nodes) or published (the released code's "
        "weights for a seed).",
        rich_help_panel=_SIZE,
    ),
]
Seed = Annotated[int, typer.Option(help="Decides everything that is random.")]
Device = Annotated[str, typer.Option(help="Where networks run, such as cpu or cuda.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def resolve(
    space: Space[Any],
    scale: str | None,
    embedding_size: int | None,
    hidden_size: int | None,
    num_layers: int | None,
    batch_size: int | None,
    sequence_length: int | None,
    initialisation: str | None,
) -> Scale:
    """The scale that a command's size options describe.

    Raises:
        InputError: a name or size cannot be used.
    """
    from archscout.scoring import resolve_scale

    named: Scale = resolve_scale(space, scale)
    return named.resized(
        embedding_size=embedding_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        batch_size=batch_size,
        sequence_length=sequence_length,
        initialisation=initialisation,
    )
