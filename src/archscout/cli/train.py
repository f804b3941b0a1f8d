"""`archscout train`: a trained language model, or a pretrained encoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import console, print_json, progress, say, stoppable, tell, warn
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.spaces.base import Scale, Space
    from archscout.text import Corpus
    from archscout.training import StreamedText, Summary, Trainer

_STREAM = ("split", "column", "valid_split", "held_out", "buffer")


Architecture = Annotated[
    str,
    typer.Argument(
        metavar="ARCHITECTURE",
        help="A file of JSON (such as a run's best.json), - for standard input, or a name "
        "(rnn, gru, lstm).",
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:CONFIG]",
        help="Data set of the Hugging Face hub for encoders, read on the fly in place of a "
        "text, or text, json, csv or parquet for local files. It needs --tokenizer.",
    ),
]
DatasetFiles = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE", help="Local files of --dataset; repeat the option."),
]
DatasetSet = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="How --dataset is read: split (train), column (text), valid_split (by default the "
        "first sequences are held out), held_out (1000 sequences at most), or buffer (10000 "
        "sequences are shuffled at a time); repeat the option for more.",
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(help="Draw so many tokens from the trained network, unless it is an encoder."),
]
Prompt = Annotated[str | None, typer.Option(help="Text that --sample goes on from.")]
Temperature = Annotated[
    float | None,
    typer.Option(help="Temperature of --sample: below 1 likely words become likelier."),
]
Out = Annotated[
    str | None,
    typer.Option(
        "--out", "-o", help="Training folder; trainings/FINGERPRINT-TEXT-SEED by default."
    ),
]
LogWith = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TRACKER",
        help="Log the curves with this tracker of accelerate, such as mlflow; may be given "
        "several times. By default TensorBoard, where it is installed.",
    ),
]


def train(
    architecture: Architecture,
    space: options.SpaceOption = None,
    preset: options.Preset = "quick",
    changes: options.Changes = None,
    size: options.Sizes = None,
    text: options.Texts = None,
    vocabulary_size: options.VocabularySize = None,
    tokenizer: options.TokenizerSource = None,
    dataset: Dataset = None,
    dataset_files: DatasetFiles = None,
    dataset_set: DatasetSet = None,
    sample: Sample = None,
    prompt: Prompt = None,
    temperature: Temperature = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    log_with: LogWith = None,
    out: Out = None,
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Train one architecture on a text: a recurrent cell, a decoder, an encoder, or a module.

    Writes a training folder with checkpoints, curves (metrics.jsonl, and events/ for
    TensorBoard), the result, and the trained model as transformers loads it (model/). Of a text
    without splits the last tenth is held out for validation and the tenth before it for testing.

    Examples:
        archscout train lstm --text my.txt

        archscout train runs/rnn-my-0/best.json --text my.txt --set minutes=10 --sample 50

        archscout train lstm --text my.txt --resume

        archscout train cell.json --preset published --text ptb --device cuda

        archscout train runs/flexibert-my-0/best.json --text my.txt --set milestones=500

        archscout train encoder.json --preset published --dataset Skylion007/openwebtext \
--tokenizer google/electra-small-discriminator --device cuda --set precision=bfloat16
    """
    from archscout import training
    from archscout.cli import architectures

    found = architectures.space_of(architecture, space)
    trainer = training.find_trainer(found.name)
    drawing = {"sample": sample, "prompt": prompt, "temperature": temperature}
    stream = {"dataset": dataset, "dataset-files": dataset_files, "dataset-set": dataset_set}
    _refuse(found.name, architecture, drawing, stream, {"tokenizer": tokenizer})
    chosen = training.named_preset(preset, found.name)
    settings = chosen.settings.resized(**options.pairs("--set", changes))
    scale = options.scale_of(found, size, chosen.scale, minibatch=False)
    _check_drawing(sample, temperature, scale)
    genotype = architectures.read_first(found, architecture, "training")
    read = _text(text, dataset, dataset_files, dataset_set)
    _check_prompt(prompt, found, read, vocabulary_size)
    name = read.name.rpartition("/")[2]
    out = out or f"trainings/{found.fingerprint(genotype)}-{name}-{seed}"
    how = {
        "scale": scale,
        "seed": seed,
        "vocabulary_size": vocabulary_size,
        "tokenizer": tokenizer,
        "device": device,
        "resume": resume,
        "log_with": log_with or None,
    }
    with (
        stoppable("the training so far", Path(out), resume),
        progress("training, tokens") as bar,
    ):
        told = _told(trainer, bar)
        trained = training.train(found, genotype, read, settings, out, **how, **told)
    result = {"training": str(trained.folder), **trained.to_dict()}
    if not as_json:
        _print(trainer.summarise(trained), trained.folder.path)
    try:
        if sample is not None:
            heat = 1.0 if temperature is None else temperature
            result["sample"] = drawn = trainer.draw(trained, prompt or "", sample, heat, seed)
            if not as_json:
                console.print(drawn, markup=False, highlight=False, soft_wrap=True)
    finally:  # what was trained is told even where nothing can be drawn from it
        if as_json:
            print_json(result)


def _told(trainer: Trainer[Any], bar: Any) -> dict[str, Callable[..., None]]:
    """What a training calls on its way."""
    return {
        "on_start": bar.set,
        "on_progress": lambda now: bar.advance_to(now.tokens, trainer.describe_progress(now)),
        "on_record": lambda record: tell(trainer.describe_record(record)),
        "on_warning": warn,
    }


def _refuse(
    space: str,
    architecture: str,
    drawing: Mapping[str, object],
    stream: Mapping[str, object],
    pieces: Mapping[str, object],
) -> None:
    """Make sure that options (for drawing text, streams, pieces) are for this space."""
    from archscout import spaces
    from archscout.training import find_trainer, trainers

    does: list[tuple[Mapping[str, object], Callable[[str], bool]]] = [
        (drawing, lambda name: find_trainer(name).draws_text),
        (stream, lambda name: find_trainer(name).reads_streams),
        (pieces, lambda name: spaces.get(name).tokenization != "words"),
    ]
    for given, can in does:
        used = [name for name, value in given.items() if value not in (None, [])]
        if used and not can(space):
            able = " or ".join(filter(can, trainers()))
            raise InputError(
                f"--{used[0]} is for architectures of space {able}; {architecture} is taken as one "
                f"of {space}"
            )
    lone = [name for name, value in drawing.items() if value is not None]
    if lone and drawing["sample"] is None:
        raise InputError(f"--{lone[0]} needs --sample, which says how many words are drawn")


def _check_drawing(sample: int | None, temperature: float | None, scale: Scale) -> None:
    """Make sure of what is drawn, before what it is drawn from is trained."""
    if sample is not None and sample < 1:
        raise InputError(f"--sample {sample}; accepted is a whole number of at least 1")
    if temperature is not None and not 0 < temperature < math.inf:
        raise InputError(f"--temperature {temperature:g}; accepted is a number above 0")
    positions = getattr(scale, "num_positions", math.inf)
    if sample is not None and sample >= positions:
        raise InputError(
            f"--sample {sample}; the network has {positions} positions, of which the prompt takes "
            "one or more"
        )


def _check_prompt(
    prompt: str | None, space: Space[Any], text: Corpus | StreamedText, limit: int | None
) -> None:
    """Make sure that the words of a prompt are those of the text, where words are read."""
    from archscout.text import Corpus

    if prompt is not None and space.tokenization == "words" and isinstance(text, Corpus):
        words = text.vocabulary(limit)
        try:
            words.encode(prompt.split())
        except InputError as error:
            raise InputError(f"--prompt {prompt!r}: {error}") from error


def _text(
    texts: list[str] | None,
    dataset: str | None,
    files: Sequence[str] | None,
    changes: Sequence[str] | None,
) -> Corpus | StreamedText:
    """The text to train on: a corpus, or what `--dataset` and its options describe."""
    from archscout.text import load_corpus
    from archscout.training import StreamedText

    if dataset is None:
        if lone := [name for name, given in (("files", files), ("set", changes)) if given]:
            raise InputError(f"--dataset-{lone[0]} needs --dataset, which names the data")
        return load_corpus(texts or "python-docs")
    if texts:
        raise InputError("--text and --dataset are both given; accepted is one of them")
    name, _, config = dataset.partition(":")
    if not name:
        raise InputError(f"--dataset {dataset!r}; accepted is NAME or NAME:CONFIG")
    given = options.checked("--dataset-set", changes, _STREAM)
    numbered = options.whole_numbers("--dataset-set", given, "held_out", "buffer")
    return StreamedText(name, config or None, tuple(files or ()), **numbered)


def _print(summary: Summary, folder: Path) -> None:
    console.print(summary.sentence, highlight=False)
    first, *others = summary.columns
    table = Table(first, title=summary.title)
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    for row in summary.rows:
        table.add_row(*row)
    console.print(table)
    say(f"Training  {folder}\nModel     {folder / 'model'}")
