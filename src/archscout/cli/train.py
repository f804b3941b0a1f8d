"""`archscout train`: a trained language model, or a pretrained encoder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import console, errors, perplexity, progress, stopped, warn
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.spaces import Recipe, RecurrentSpace, Scale, Space
    from archscout.text import Corpus
    from archscout.training import (
        EpochRecord,
        PretrainingSettings,
        Progress,
        StreamedText,
        Trained,
        TrainingSettings,
    )

_RECIPE = "Recipe, by default the preset's"
_RECURRENT = "Recipe of recurrent networks"
_ENCODER = "Recipe of encoders"
_DROPOUT = "Dropout of recurrent networks, by default the preset's"
_SAMPLE = "Text from the trained model, of recurrent networks"
_DATASET = "Data set in place of a text, for encoders"

# Options of one kind of architecture that are no settings or sizes.
_OF_RECURRENT = {"sample", "prompt", "temperature"}
_OF_ENCODERS = {
    "tokenizer",
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
    from archscout.cli.encoder_training import train_encoder
    from archscout.spaces import FlexibertSpace, RecurrentSpace
    from archscout.text import Corpus
    from archscout.training import PretrainingSettings, TrainingSettings

    found = spaces.get(space or _recognise(architecture))
    # The options are called as the settings and sizes that they are for.
    given = {name: value for name, value in context.params.items() if value not in (None, (), [])}
    settings, sizes = _settings_and_sizes(found, preset, given, architecture)
    genotypes = architectures.read(found, [architecture])
    if len(genotypes) > 1:
        errors.print(f"{architecture} holds {len(genotypes)} architectures; training the first")
    if sample is not None and sample < 1:
        raise InputError(f"--sample {sample}; accepted is a whole number of at least 1")
    read = _text(text, given)
    name = read.name.rpartition("/")[2]
    out = out or f"trainings/{found.fingerprint(genotypes[0])}-{name}-{seed}"
    arguments = {
        "scale": sizes,
        "seed": seed,
        "vocabulary_limit": vocabulary_size,
        "device": device,
        "resume": resume,
        "on_warning": warn,
    }
    with _stoppable(out, resume):
        if isinstance(found, FlexibertSpace) and isinstance(settings, PretrainingSettings):
            arguments["tokenizer"] = tokenizer
            train_encoder(found, genotypes[0], read, settings, out, as_json, **arguments)
        elif isinstance(found, RecurrentSpace) and isinstance(settings, TrainingSettings):
            assert isinstance(read, Corpus)
            drawing = (sample, prompt or "", 1.0 if temperature is None else temperature)
            _train_recurrent(
                found, genotypes[0], read, settings, out, drawing, as_json, **arguments
            )


def _recognise(architecture: str) -> str:
    """The name of the space that an architecture's source is of, so far as it tells."""
    try:
        text = Path(architecture).read_text(encoding="utf-8-sig")
    except (OSError, ValueError):  # a name, standard input, or what is complained of later
        return "rnn"
    return "flexibert" if '"nas_config"' in text else "rnn"


def _settings_and_sizes(
    space: Space[Any], preset: str, given: Mapping[str, Any], architecture: str
) -> tuple[TrainingSettings | PretrainingSettings, Scale]:
    """The preset of the space with what options change.

    Args:
        space: of the architecture.
        preset: its name.
        given: the options that were given, by name.
        architecture: as given, for messages.

    Raises:
        InputError: an option is for the other space, or a value cannot be used.
    """
    from archscout import spaces
    from archscout.training import PretrainingSettings, TrainingSettings, named_preset

    of_space = {
        "rnn": (_names(TrainingSettings.model_fields, spaces.RecurrentScale) | _OF_RECURRENT),
        "flexibert": (_names(PretrainingSettings.model_fields, spaces.EncoderScale) | _OF_ENCODERS),
    }
    own = of_space.get(space.name, set())
    for name in given:
        if name not in own and any(name in names for names in of_space.values()):
            other = next(other for other, names in of_space.items() if name in names)
            raise InputError(
                f"--{name.replace('_', '-')} is for architectures of space {other}; "
                f"{architecture} is taken as one of {space.name}"
            )
    chosen = named_preset(preset, space.name)
    fields = type(chosen.settings).model_fields
    settings = chosen.settings.resized(**{k: v for k, v in given.items() if k in fields})
    scale_fields = _names((), type(space.scales[chosen.scale]))
    sizes = {k: v for k, v in given.items() if k in scale_fields}
    return settings, options.resolve(space, given.get("scale", chosen.scale), **sizes)


def _names(settings: Iterable[str], scale: type[Scale]) -> set[str]:
    """Settings, and the sizes of a network."""
    sizes = {field.name for field in dataclasses.fields(scale)}
    return {*settings, *sizes - {"batch_size", "sequence_length"}}


def _text(texts: list[str] | None, given: Mapping[str, Any]) -> Corpus | StreamedText:
    """The text to train on.

    Raises:
        InputError: it cannot be read, or options contradict each other.
    """
    from archscout.cli.encoder_training import streamed
    from archscout.text import load_corpus

    if "dataset" not in given:
        if lone := sorted(name for name in given if name.startswith("dataset_")):
            raise InputError(f"--{lone[0].replace('_', '-')} needs --dataset, which names the data")
        return load_corpus(texts or "python-docs")
    if texts:
        raise InputError("--text and --dataset are both given; accepted is one of them")
    return streamed(given)


@contextmanager
def _stoppable(out: str, resume: bool) -> Iterator[None]:
    """Say at Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise stopped(f"Stopped; the training so far is in {out}", resume) from None


def _train_recurrent(
    space: RecurrentSpace,
    architecture: Recipe,
    corpus: Corpus,
    settings: TrainingSettings,
    out: str,
    drawing: tuple[int | None, str, float],
    as_json: bool,
    **arguments: Any,
) -> None:
    """Train a language model, and print how it goes and what came of it.

    Args:
        space: of the architecture.
        architecture: the genotype.
        corpus: the text.
        settings: the recipe.
        out: the training folder.
        drawing: number of words to draw afterwards, words to go on from, and temperature.
        as_json: print JSON.
        **arguments: further ones of `archscout.training.train_language_model`.
    """
    from archscout.training import sample_text, train_language_model

    def on_progress(state: Progress) -> None:
        note = f"epoch {state.epoch}/{state.epochs}, loss {state.loss:.3f}, perplexity "
        bar.advance_to(state.tokens, f"{note}{perplexity(state.loss)}")

    with progress("training, tokens", 1) as bar:
        trained = train_language_model(
            space,
            architecture,
            corpus,
            settings,
            out,
            on_start=bar.set,
            on_progress=on_progress,
            on_epoch=_print_epoch,
            **arguments,
        )
    drawn = None
    number, prompt, temperature = drawing
    if number is not None:
        drawn = sample_text(
            trained.model, trained.vocabulary, prompt, number, temperature, arguments["seed"]
        )
    if as_json:
        result = {"training": str(trained.folder), **trained.to_dict()}
        typer.echo(json.dumps(result | ({} if drawn is None else {"sample": drawn})))
    else:
        _print(trained)
        if drawn is not None:
            console.print(drawn, markup=False, highlight=False, soft_wrap=True)


def _print_epoch(record: EpochRecord) -> None:
    errors.print(
        f"epoch {record.epoch}: loss {record.train_loss:.3f}, validation {record.valid_loss:.3f} "
        f"(perplexity {record.valid_perplexity:,.1f}), {record.tokens_per_second:,.0f} tokens/s",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


_ENDED = {
    "epochs": "all epochs done",
    "patience": "no better validation loss in the last epochs",
    "minutes": "time is up",
}


def _print(trained: Trained) -> None:
    seconds = trained.records[-1].seconds
    console.print(
        f"{len(trained.records)} epochs in {seconds:.0f} s ({_ENDED[trained.ended]}), the best is "
        f"epoch {trained.best_epoch}.",
        highlight=False,
    )
    table = Table("part", title=f"At epoch {trained.best_epoch}")
    for title in ("tokens", "loss", "perplexity", "bits per word"):
        table.add_column(title, justify="right", no_wrap=True)
    for part, loss in trained.losses.items():
        table.add_row(
            part,
            f"{loss.tokens:,}",
            f"{loss.nats:.4f}",
            f"{loss.perplexity:,.2f}",
            f"{loss.bits:.4f}",
        )
    console.print(table)
    folder = trained.folder.path
    console.print(f"Training  {folder}\nModel     {folder / 'model'}", highlight=False)
