"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from archscout.errors import InputError, nearest

if TYPE_CHECKING:
    from archscout.spaces.base import Scale, Space

_PAIR = "NAME=VALUE"
_EXAMPLES = {
    "--set": "epochs=8",
    "--size": "hidden_size=100, or a named scale",
    "--model-size": "hidden_size=100, or a named scale",
    "--scoring": "split=valid",
    "--max": "parameters=10M",
    "--dataset-set": "column=text",
}
_MINIBATCH_SIZES = ("batch_size", "sequence_length")

SpaceName = Annotated[
    str, typer.Argument(metavar="SPACE", help="Search space, such as rnn, flexibert or gpt.")
]
SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="SPACE",
        help="Space of an architecture that does not say it; by default told from its content, "
        "else rnn.",
    ),
]
Architectures = Annotated[
    list[str],
    typer.Argument(
        metavar="ARCHITECTURE...",
        help="Files of JSON or JSON Lines, - for standard input, or names (rnn, gru, lstm).",
    ),
]
BenchmarkName = Annotated[
    str,
    typer.Argument(
        metavar="BENCHMARK",
        help="Benchmark: nas-bench-nlp, nas-bench-bert or lts-gpt2 (whose files are needed), "
        "archscout-mini-rnn, archscout-mini-flexibert or archscout-mini-gpt (always there), or the "
        "folder of one that you built.",
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        help="Text that the networks were trained on: of nas-bench-nlp wikitext-2 (default) or ptb."
    ),
]
Texts = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="TEXT",
        help="A file, several (repeat the option), a folder, or a corpus's name: python-docs "
        "(always there; the default), wikitext-2, ptb.",
    ),
]
BenchmarkTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="TEXT",
        help="A file, several (repeat the option), a folder, or a corpus's name: python-docs "
        "(always there), wikitext-2, ptb; by default the text that the benchmark's networks were "
        "trained on where it is at hand, else python-docs.",
    ),
]
Between = Annotated[
    str | None,
    typer.Option(
        metavar="LOW,HIGH",
        help="Take those with so many parameters, embeddings left out, such as 1M,4M, drawn evenly "
        "on a logarithmic scale; for decoders.",
    ),
]
VocabularySize = Annotated[
    int | None,
    typer.Option(
        help="Keep the most frequent tokens only, so many with the unknown one; all by default."
    ),
]
TokenizerSource = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        help="Tokenizer of encoders (WordPiece) or decoders (byte-level BPE), from a folder, or by "
        "its name on the Hugging Face hub, such as google/electra-small-discriminator or gpt2; by "
        "default one is trained on the text.",
    ),
]
Sizes = Annotated[
    list[str] | None,
    typer.Option(
        "--size",
        metavar=f"SCALE|{_PAIR}",
        help="Named sizes, fast (default) or paper for the published ones, or one size to change, "
        "such as hidden_size=100; repeat the option for more. `archscout spaces SPACE` lists them.",
    ),
]
ScoringChanges = Annotated[
    list[str] | None,
    typer.Option(
        "--scoring",
        metavar=_PAIR,
        help="How scores are made: split (of the text; test by default), vocabulary_size, "
        "tokenizer (of encoders and decoders), minibatch (which of the text, from 0), or "
        "objective (what gradients are taken of: sum, cotangent or loss); repeat the option for "
        "more.",
    ),
]
CommonScoringChanges = Annotated[
    list[str] | None,
    typer.Option(
        "--scoring",
        metavar=_PAIR,
        help="How all scores are made: split (of the text; test by default), vocabulary_size, or "
        "objective (what gradients are taken of: sum, cotangent or loss); repeat the option for "
        "more.",
    ),
]
DrawnScoringChanges = Annotated[
    list[str] | None,
    typer.Option(
        "--scoring",
        metavar=_PAIR,
        help="How scores are made: split (of the text; test by default), vocabulary_size, "
        "tokenizer (of encoders and decoders), or objective (what gradients are taken of: sum, "
        "cotangent or loss); repeat the option for more.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar=_PAIR,
        help="Setting of the recipe of training, such as epochs=8 or learning_rate=2e-3; repeat "
        "the option for more. `archscout spaces SPACE` lists them.",
    ),
]
Preset = Annotated[
    str,
    typer.Option(
        help="Recipe of training: quick (for a laptop), or one that the space has beside it, "
        "such as published of rnn and flexibert (the benchmark's, at the paper's scale); "
        "`archscout spaces SPACE` lists them."
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
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what the folder holds.")]
Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")]
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
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def grouped(kind: type[Any], name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that are fields of a dataclass, and hand it an instance.

    Args:
        kind: the dataclass, whose annotations declare the options.
        name: of the command's parameter that gets it.
    """
    hints = get_type_hints(kind, include_extras=True)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = signature(command, eval_str=True).parameters.values()
        parameters = [
            *(each.replace(kind=Parameter.KEYWORD_ONLY) for each in own if each.name != name),
            *(
                Parameter(
                    f.name, Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name]
                )
                for f in fields(kind)
            ),
        ]

        @wraps(command)
        def with_options(**given: Any) -> None:
            group = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
            command(**{name: group}, **given)

        # typer reads both.
        vars(with_options)["__signature__"] = Signature(parameters)
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return decorate


def pairs(option: str, given: Iterable[str] | None) -> dict[str, str]:
    """Values by name from texts such as `epochs=8`, which stand in an option such as `--set`."""
    found: dict[str, str] = {}
    for text in given or ():
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise InputError(f"{option} {text!r}; accepted is {_PAIR}, such as {_EXAMPLES[option]}")
        if name in found:
            raise InputError(f"{option} {name} is given twice: {found[name]} and {value}")
        found[name] = value
    return found


def checked(option: str, given: Iterable[str] | None, accepted: Collection[str]) -> dict[str, str]:
    """As `pairs`, where the names are known."""
    found = pairs(option, given)
    for name in found:
        if name not in accepted:
            raise InputError(
                f"{option} {name}={found[name]}: there is none of that name"
                f"{nearest(name, accepted)}; accepted: {', '.join(accepted)}"
            )
    return found


def scoring(
    given: Iterable[str] | None,
    draws: bool = False,
    device: bool = False,
    tokenizer: bool = True,
) -> dict[str, Any]:
    """The arguments of a scorer that `--scoring` describes.

    Where other options ask for several minibatches (`draws`), it chooses none; where no other
    option names a device, it does (`device`). For networks of all kinds there is no `tokenizer`.
    """
    accepted = ["split", "vocabulary_size", *["tokenizer"] * tokenizer, "objective"]
    accepted += ["minibatch"] * (not draws) + ["device"] * device
    found = checked("--scoring", given, accepted)
    numbered = whole_numbers("--scoring", found, "vocabulary_size", "minibatch")
    if "minibatch" in numbered:
        numbered["minibatch_index"] = numbered.pop("minibatch")
    return numbered


def load_metrics(files: Iterable[Path] | None) -> None:
    """Run the files of `--metric-file`, so that the metrics in them are known."""
    from archscout.metrics import load_file

    for file in files or ():
        load_file(file)


def load_plugins(files: Iterable[Path] | None) -> None:
    """Run the files of `--plugin`; what they define is sent to workers whole."""
    if not files:
        return
    import cloudpickle

    from archscout.metrics import load_file

    for file in files:
        cloudpickle.register_pickle_by_value(load_file(file))


def scale_of(
    space: Space[Any],
    given: Iterable[str] | None,
    default: str | Scale | None = None,
    option: str = "--size",
    minibatch: bool = True,
) -> Scale:
    """The scale that names of scales, and sizes to change, describe.

    Where none is named it is the default, or the space's. Sizes of a minibatch are accepted only
    where there is one.
    """
    from archscout.scoring import resolve_scale

    texts = list(given or ())
    named = [text for text in texts if "=" not in text]
    if len(named) > 1:
        raise InputError(f"{option} {named[0]} and {option} {named[1]}: accepted is one scale")
    scale: Scale = resolve_scale(space, named[0] if named else default)
    changes = pairs(option, [text for text in texts if "=" in text])
    if not minibatch and (wrong := [name for name in changes if name in _MINIBATCH_SIZES]):
        raise InputError(
            f"{option} {wrong[0]}={changes[wrong[0]]} is of a minibatch that is scored; accepted "
            f"here are sizes of networks; a recipe's is --set {wrong[0]}=VALUE"
        )
    return scale.resized(**{name: _number(value) for name, value in changes.items()})


def sizes_between(space: Space[Any], between: str | None) -> tuple[int, int] | None:
    """The least and most parameters that --between says of a space."""
    if between is None:
        return None
    from archscout.runs.search_settings import parse_limit
    from archscout.spaces.base import SizedSpace

    if not isinstance(space, SizedSpace):
        raise InputError(
            f"space {space.name} draws no architectures by size; --between is for decoders"
        )
    try:
        low, high = (int(parse_limit("parameters", each)) for each in between.split(","))
    except ValueError as error:
        raise InputError(f"--between {between}; accepted is LOW,HIGH, such as 1M,4M") from error
    return low, high


def listed(names: str | None) -> list[str] | None:
    """Names from a text with commas between them."""
    return None if names is None else [name.strip() for name in names.split(",")]


def whole_numbers(option: str, values: dict[str, str], *names: str) -> dict[str, Any]:
    """Values by name, some of them as whole numbers."""
    found: dict[str, Any] = dict(values)
    for name in names:
        if name in values:
            found[name] = _number(values[name])
            if not isinstance(found[name], int):
                raise InputError(f"{option} {name}={values[name]}: a whole number is accepted")
    return found


def _number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text
