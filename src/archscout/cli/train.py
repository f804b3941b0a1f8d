"""`archscout train`: a trained language model, or a pretrained encoder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import console, errors, progress, stopped, warn
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.spaces import Scale, Space
    from archscout.text import Corpus
    from archscout.training import StreamedText, Summary, Trainer

_RECIPE = "Recipe, by default the preset's"
_RECURRENT = "Recipe of recurrent networks"
_ENCODER = "Recipe of encoders"
_DROPOUT = "Dropout of recurrent networks, by default the preset's"
_SAMPLE = "Text from the trained model, of recurrent networks"
_DATASET = "Data set in place of a text, for encoders"

# Options of some spaces that are no settings or sizes.
_OF_DRAWING = {"sample", "prompt", "temperature"}
_OF_STREAMS = {
    "dataset",
    "dataset_files",
    "dataset_split",
    "dataset_column",
    "dataset_valid_split",
    "dataset_held_out",
    "dataset_buffer",
}

LearningRate = Annotated[float | None, typer.Option(help="Of Adam.", rich_help_panel=_RECIPE)]
Number = Annotated[float | None, typer.Option(rich_help_panel=_RECIPE)]
RecurrentNumber = Annotated[float | None, typer.Option(rich_help_panel=_RECURRENT)]
Rate = Annotated[float | None, typer.Option(rich_help_panel=_DROPOUT)]


def train(
    context: typer.Context,
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="ARCHITECTURE",
            help="A file of JSON (such as a run's best.json), - for standard input, or a name "
            "(rnn, gru, lstm).",
        ),
    ],
    space: Annotated[
        str | None,
        typer.Option(
            "--space",
            metavar="SPACE",
            help="rnn or flexibert, where the architecture does not say: on standard input it is "
            "rnn by default.",
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="quick (for a laptop), published (the benchmark's recipe, at the paper's scale), "
            "or, for recurrent networks, published-wikitext-2."
        ),
    ] = "quick",
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="Training folder; trainings/FINGERPRINT-TEXT-SEED by default."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training in the folder.")
    ] = False,
    text: options.Texts = None,
    vocabulary_size: options.VocabularySize = None,
    tokenizer: options.TokenizerSource = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:CONFIG]",
            help="Of the Hugging Face hub, read on the fly, or text, json, csv or parquet for "
            "local files. It needs --tokenizer.",
            rich_help_panel=_DATASET,
        ),
    ] = None,
    dataset_files: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Local files; repeat the option.", rich_help_panel=_DATASET
        ),
    ] = None,
    dataset_split: Annotated[
        str | None, typer.Option(help="To train on; train by default.", rich_help_panel=_DATASET)
    ] = None,
    dataset_column: Annotated[
        str | None,
        typer.Option(help="That holds the text; text by default.", rich_help_panel=_DATASET),
    ] = None,
    dataset_valid_split: Annotated[
        str | None,
        typer.Option(
            help="For validation; by default the first sequences are held out.",
            rich_help_panel=_DATASET,
        ),
    ] = None,
    dataset_held_out: Annotated[
        int | None,
        typer.Option(
            help="Sequences of validation, at most; 1,000 by default.", rich_help_panel=_DATASET
        ),
    ] = None,
    dataset_buffer: Annotated[
        int | None,
        typer.Option(
            help="Sequences that are shuffled at a time; 10,000 by default.",
            rich_help_panel=_DATASET,
        ),
    ] = None,
    scale: options.ScaleName = None,
    embedding_size: options.EmbeddingSize = None,
    hidden_size: options.HiddenSize = None,
    num_layers: options.NumLayers = None,
    initialisation: options.Initialisation = None,
    reading: options.Reading = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Of training, at most; the schedule is fitted to it.", rich_help_panel=_RECIPE
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many epochs (of encoders: evaluations) without a better "
            "validation loss.",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    learning_rate: LearningRate = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="Of the learning rate: constant, cosine, or, for encoders, linear.",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    warm_up: Annotated[
        float | None,
        typer.Option(help="Part of the training in which the rate rises.", rich_help_panel=_RECIPE),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Sequences side by side.", rich_help_panel=_RECIPE)
    ] = None,
    sequence_length: Annotated[
        int | None,
        typer.Option(
            help="Tokens of a sequence; of recurrent networks those through which gradients flow, "
            "on the average.",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    clip: Number = None,
    weight_decay: Number = None,
    unigram_bias: Annotated[
        bool | None,
        typer.Option(
            "--unigram-bias/--no-unigram-bias",
            help="Start from the words' frequencies.",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32, or bfloat16 (mixed precision, for GPUs).", rich_help_panel=_RECIPE
        ),
    ] = None,
    checkpoint_minutes: Annotated[
        float | None,
        typer.Option(
            help="Between checkpoints within an epoch or between evaluations.",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="At most.", rich_help_panel=_RECURRENT)] = None,
    evaluation_batch_size: Annotated[
        int | None,
        typer.Option(help="Sequences side by side in evaluation.", rich_help_panel=_RECURRENT),
    ] = None,
    jitter: Annotated[
        bool | None,
        typer.Option(
            "--jitter/--no-jitter",
            help="Draw the length of every segment, as AWD-LSTM does.",
            rich_help_panel=_RECURRENT,
        ),
    ] = None,
    activation_alpha: RecurrentNumber = None,
    activation_beta: RecurrentNumber = None,
    embedding_dropout: Rate = None,
    input_dropout: Rate = None,
    between_dropout: Rate = None,
    output_dropout: Rate = None,
    weight_drop: Rate = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="replaced (ELECTRA: tell replaced tokens) or masked (predict masked tokens).",
            rich_help_panel=_ENCODER,
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="At most.", rich_help_panel=_ENCODER)] = None,
    accumulation: Annotated[
        int | None,
        typer.Option(
            help="Batches whose gradients are added up for a step.", rich_help_panel=_ENCODER
        ),
    ] = None,
    evaluate_every: Annotated[
        int | None, typer.Option(help="Steps between evaluations.", rich_help_panel=_ENCODER)
    ] = None,
    milestones: Annotated[
        int | None,
        typer.Option(
            help="Keep the encoder every so many steps, for fine-tuning.", rich_help_panel=_ENCODER
        ),
    ] = None,
    dropout: Annotated[float | None, typer.Option(rich_help_panel=_ENCODER)] = None,
    mask_share: Annotated[
        float | None,
        typer.Option(help="Of the tokens that are predicted.", rich_help_panel=_ENCODER),
    ] = None,
    generator_share: Annotated[
        float | None,
        typer.Option(
            help="The generator's widths in parts of the encoder's.", rich_help_panel=_ENCODER
        ),
    ] = None,
    discriminator_weight: Annotated[
        float | None,
        typer.Option(help="Of the loss of telling replaced tokens.", rich_help_panel=_ENCODER),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(help="Draw so many words afterwards.", rich_help_panel=_SAMPLE),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Words to go on from.", rich_help_panel=_SAMPLE)
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Below 1 likely words become likelier; 1 by default.", rich_help_panel=_SAMPLE
        ),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    as_json: options.Json = False,
) -> None:
    """Train one architecture on a text: a recurrent language model, or an encoder (ELECTRA).

    Writes a training folder with checkpoints, curves (metrics.jsonl, and events/ for
    TensorBoard), the result, and the trained model as transformers loads it (model/). Of a text
    without splits the last tenth is held out for validation and the tenth before it for testing.

    Examples:
        archscout train lstm --text my.txt

        archscout train runs/rnn-my-0/best.json --text my.txt --minutes 10 --sample 50

        archscout train lstm --text my.txt --resume

        archscout train cell.json --preset published --text ptb --device cuda

        archscout train runs/flexibert-my-0/best.json --text my.txt --milestones 500

        archscout train encoder.json --preset published --dataset Skylion007/openwebtext \
--tokenizer google/electra-small-discriminator --device cuda --precision bfloat16
    """
    from archscout import spaces
    from archscout.cli import architectures
    from archscout.training import find_trainer

    found = spaces.get(space or _recognise(architecture))
    trainer = find_trainer(found.name)
    # The options are called as the settings and sizes that they are for.
    given = {name: value for name, value in context.params.items() if value not in (None, (), [])}
    settings, sizes = _settings_and_sizes(found, trainer, preset, given, architecture)
    genotypes = architectures.read(found, [architecture])
    if len(genotypes) > 1:
        errors.print(f"{architecture} holds {len(genotypes)} architectures; training the first")
    if sample is not None and sample < 1:
        raise InputError(f"--sample {sample}; accepted is a whole number of at least 1")
    read = _text(text, given)
    name = read.name.rpartition("/")[2]
    out = out or f"trainings/{found.fingerprint(genotypes[0])}-{name}-{seed}"

    def on_progress(state: Any) -> None:
        bar.advance_to(state.tokens, trainer.describe_progress(state))

    with _stoppable(out, resume), progress("training, tokens", 1) as bar:
        trained = trainer.train(
            found,
            genotypes[0],
            read,
            settings,
            out,
            scale=sizes,
            seed=seed,
            vocabulary_limit=vocabulary_size,
            tokenizer=tokenizer,
            device=device,
            resume=resume,
            on_start=bar.set,
            on_progress=on_progress,
            on_record=lambda record: _print_line(trainer.describe_record(record)),
            on_warning=warn,
        )
    result = {"training": str(trained.folder), **trained.to_dict()}
    if sample is not None:
        result["sample"] = trainer.draw(
            trained, prompt or "", sample, 1.0 if temperature is None else temperature, seed
        )
    if as_json:
        typer.echo(json.dumps(result))
        return
    _print(trainer.summarise(trained), trained.folder.path)
    if sample is not None:
        console.print(result["sample"], markup=False, highlight=False, soft_wrap=True)


def _recognise(architecture: str) -> str:
    """The name of the space that an architecture's source is of, so far as it tells."""
    from archscout import spaces

    try:
        return spaces.recognise(Path(architecture).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):  # a name, standard input, or what is complained of later
        return spaces.DEFAULT


def _settings_and_sizes(
    space: Space[Any],
    trainer: Trainer[Any],
    preset: str,
    given: Mapping[str, Any],
    architecture: str,
) -> tuple[Any, Scale]:
    """The preset of the space with what options change.

    Args:
        space: of the architecture.
        trainer: of the space.
        preset: its name.
        given: the options that were given, by name.
        architecture: as given, for messages.

    Raises:
        InputError: an option is for another space, or a value cannot be used.
    """
    from archscout import spaces
    from archscout.training import named_preset, trainers

    own = _options_of(space, trainer)
    others = {name: _options_of(spaces.get(name), other) for name, other in trainers().items()}
    for name in given:
        if name in own:
            continue
        if other := next((other for other, names in others.items() if name in names), None):
            raise InputError(
                f"--{name.replace('_', '-')} is for architectures of space {other}; "
                f"{architecture} is taken as one of {space.name}"
            )
    chosen = named_preset(preset, space.name)
    fields = trainer.settings_type.model_fields
    settings = chosen.settings.resized(**{k: v for k, v in given.items() if k in fields})
    sizes = {k: v for k, v in given.items() if k in _sizes(space)}
    return settings, options.resolve(space, given.get("scale", chosen.scale), **sizes)


def _options_of(space: Space[Any], trainer: Trainer[Any]) -> set[str]:
    """The options that not all spaces have: settings, sizes, and what they can do."""
    found = {*trainer.settings_type.model_fields, *_sizes(space)}
    if trainer.draws_text:
        found |= _OF_DRAWING
    if trainer.reads_streams:
        found |= _OF_STREAMS
    return found | {"tokenizer"} if space.tokenization == "wordpiece" else found


def _sizes(space: Space[Any]) -> set[str]:
    """The sizes of a network."""
    fields = dataclasses.fields(space.scales[space.default_scale])
    return {field.name for field in fields} - {"batch_size", "sequence_length"}


def _text(texts: list[str] | None, given: Mapping[str, Any]) -> Corpus | StreamedText:
    """The text to train on.

    Raises:
        InputError: it cannot be read, or options contradict each other.
    """
    from archscout.text import load_corpus

    if "dataset" not in given:
        if lone := sorted(name for name in given if name.startswith("dataset_")):
            raise InputError(f"--{lone[0].replace('_', '-')} needs --dataset, which names the data")
        return load_corpus(texts or "python-docs")
    if texts:
        raise InputError("--text and --dataset are both given; accepted is one of them")
    return _streamed(given)


def _streamed(given: Mapping[str, Any]) -> StreamedText:
    """The data set that `--dataset` and its options describe.

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


@contextmanager
def _stoppable(out: str, resume: bool) -> Iterator[None]:
    """Say at Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise stopped(f"Stopped; the training so far is in {out}", resume) from None


def _print_line(line: str) -> None:
    errors.print(line, markup=False, highlight=False, soft_wrap=True)


def _print(summary: Summary, folder: Path) -> None:
    console.print(summary.sentence, highlight=False)
    first, *others = summary.columns
    table = Table(first, title=summary.title)
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    for row in summary.rows:
        table.add_row(*row)
    console.print(table)
    console.print(f"Training  {folder}\nModel     {folder / 'model'}", highlight=False)
