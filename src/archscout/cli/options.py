"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.spaces.base import Scale, Space

_TEXT = "Text"
_SIZE = "Size of the networks and the minibatch"

SpaceName = Annotated[str, typer.Argument(metavar="SPACE", help="Search space: rnn or flexibert.")]
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
Reading = Annotated[
    str | None,
    typer.Option(
        help="Of encoders, which network a genotype stands for: declared (as it says; the "
        "default), scored (the published metrics'), or trained (the published scores').",
        rich_help_panel=_SIZE,
    ),
]
TokenizerSource = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        help="Of encoders: a WordPiece from a folder, or by its name on the Hugging Face hub, "
        "such as google/electra-small-discriminator; by default one is trained on the text.",
        rich_help_panel=_TEXT,
    ),
]
GradientOf = Annotated[
    str | None,
    typer.Option(
        "--objective",
        help="What gradients are taken of: sum of the output (default of rnn), cotangent (its "
        "product with random numbers; default of flexibert), or loss (of predicting the next "
        "token, or masked tokens for encoders).",
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        help="Names, comma-separated, such as hidden_covariance (all layers) or "
        "hidden_covariance[1] (one, and faster); every metric by default."
    ),
]
MetricFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--metric-file", help="A file of Python that defines metrics with archscout.metric."
    ),
]
Limit = Annotated[
    int | None, typer.Option(help="So many architectures, drawn at random; all by default.")
]
Seeds = Annotated[int, typer.Option(help="How many initialisations.")]
Minibatches = Annotated[int, typer.Option(help="How many minibatches.")]
ScoringWorkers = Annotated[int, typer.Option("--workers", help="Processes that score.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what the folder holds.")]
Resamples = Annotated[
    int, typer.Option(help="How often architectures are drawn again for the 95 % intervals.")
]
Seed = Annotated[int, typer.Option(help="Decides everything that is random.")]
Device = Annotated[str, typer.Option(help="Where networks run, such as cpu or cuda.")]
DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        help="Folder of published files; by default $ARCHSCOUT_DATA, else the platform's folder "
        "for data.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the training, such as epochs=8 or learning_rate=2e-3; repeat the "
        "option for more.",
        rich_help_panel="How each is trained",
    ),
]
Workers = Annotated[
    int, typer.Option(help="Processes that train.", rich_help_panel="How each is trained")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def parse_changes(given: Iterable[str]) -> dict[str, str]:
    """Settings by name from texts such as `epochs=8`.

    Raises:
        InputError: a text is none such, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise InputError(f"setting {text!r}; accepted is NAME=VALUE, such as epochs=8")
        if name in found:
            raise InputError(f"setting {name!r} is given twice: {found[name]} and {value}")
        found[name] = value
    return found


def listed(names: str | None) -> list[str] | None:
    """Names from a text with commas between them."""
    return None if names is None else [name.strip() for name in names.split(",")]


def resolve(space: Space[Any], scale: str | None, **sizes: int | str | None) -> Scale:
    """The scale that a command's size options describe.

    Args:
        space: the space.
        scale: a name, the space's default if None.
        **sizes: fields of the scale to change; None leaves one as it is.

    Raises:
        InputError: a name or size cannot be used.
    """
    from archscout.scoring import resolve_scale

    named: Scale = resolve_scale(space, scale)
    return named.resized(**sizes)
