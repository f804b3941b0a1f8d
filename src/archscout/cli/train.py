"""`archscout train`: a trained language model."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import Stopped, console, errors, interrupts, progress
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.training import EpochRecord, Progress, Trained

_RECIPE = "Recipe, by default the preset's"
_DROPOUT = "Dropout, by default the preset's"
_SAMPLE = "Text from the trained model"

Epochs = Annotated[int | None, typer.Option(help="At most.", rich_help_panel=_RECIPE)]
LearningRate = Annotated[float | None, typer.Option(help="Of Adam.", rich_help_panel=_RECIPE)]
Number = Annotated[float | None, typer.Option(rich_help_panel=_RECIPE)]
Rate = Annotated[float | None, typer.Option(rich_help_panel=_DROPOUT)]


def train(
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="ARCHITECTURE",
            help="A file of JSON (such as a run's best.json), - for standard input, or a name "
            "(rnn, gru, lstm).",
        ),
    ],
    preset: Annotated[
        str,
        typer.Option(
            help="quick (for a laptop), published (the benchmark's recipe for Penn Treebank, at "
            "the paper's scale), or published-wikitext-2."
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
    scale: options.ScaleName = None,
    embedding_size: options.EmbeddingSize = None,
    hidden_size: options.HiddenSize = None,
    num_layers: options.NumLayers = None,
    initialisation: options.Initialisation = None,
    epochs: Epochs = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Of training, at most; the schedule is fitted to it.", rich_help_panel=_RECIPE
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many epochs without a better validation loss.",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    learning_rate: LearningRate = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="Of the learning rate: constant or cosine.", rich_help_panel=_RECIPE),
    ] = None,
    warm_up: Annotated[
        float | None,
        typer.Option(help="Part of the training in which the rate rises.", rich_help_panel=_RECIPE),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Sequences side by side.", rich_help_panel=_RECIPE)
    ] = None,
    evaluation_batch_size: Annotated[
        int | None, typer.Option(help="The same, in evaluation.", rich_help_panel=_RECIPE)
    ] = None,
    sequence_length: Annotated[
        int | None,
        typer.Option(
            help="Tokens through which gradients flow, on the average.", rich_help_panel=_RECIPE
        ),
    ] = None,
    jitter: Annotated[
        bool | None,
        typer.Option(
            "--jitter/--no-jitter",
            help="Draw the length of every segment, as AWD-LSTM does.",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    clip: Number = None,
    weight_decay: Number = None,
    activation_alpha: Number = None,
    activation_beta: Number = None,
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
        typer.Option(help="Between checkpoints within an epoch.", rich_help_panel=_RECIPE),
    ] = None,
    embedding_dropout: Rate = None,
    input_dropout: Rate = None,
    between_dropout: Rate = None,
    output_dropout: Rate = None,
    weight_drop: Rate = None,
    sample: Annotated[
        int | None,
        typer.Option(help="Draw so many words afterwards.", rich_help_panel=_SAMPLE),
    ] = None,
    prompt: Annotated[str, typer.Option(help="Words to go on from.", rich_help_panel=_SAMPLE)] = "",
    temperature: Annotated[
        float, typer.Option(help="Below 1 likely words become likelier.", rich_help_panel=_SAMPLE)
    ] = 1.0,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    as_json: options.Json = False,
) -> None:
    """Train one recurrent architecture on a text, as a language model.

    Writes a training folder with checkpoints, curves (metrics.jsonl, and events/ for
    TensorBoard), the result, and the trained model as transformers loads it (model/). Of a text
    without splits the last tenth is held out for validation and the tenth before it for testing.

    Examples:
        archscout train lstm --text my.txt

        archscout train runs/rnn-my-0/best.json --text my.txt --minutes 10 --sample 50

        archscout train lstm --text my.txt --resume

        archscout train cell.json --preset published --text ptb --device cuda
    """
    from archscout import spaces
    from archscout.cli import architectures
    from archscout.text import load_corpus
    from archscout.training import named_preset, sample_text
    from archscout.training import train as run

    space = spaces.get("rnn")
    genotypes = architectures.read(space, [architecture])
    if len(genotypes) > 1:
        errors.print(f"{architecture} holds {len(genotypes)} architectures; training the first")
    chosen = named_preset(preset)
    settings = chosen.settings.resized(
        epochs=epochs,
        minutes=minutes,
        patience=patience,
        learning_rate=learning_rate,
        schedule=schedule,
        warm_up=warm_up,
        batch_size=batch_size,
        evaluation_batch_size=evaluation_batch_size,
        sequence_length=sequence_length,
        jitter=jitter,
        clip=clip,
        weight_decay=weight_decay,
        activation_alpha=activation_alpha,
        activation_beta=activation_beta,
        unigram_bias=unigram_bias,
        precision=precision,
        checkpoint_minutes=checkpoint_minutes,
        embedding_dropout=embedding_dropout,
        input_dropout=input_dropout,
        between_dropout=between_dropout,
        output_dropout=output_dropout,
        weight_drop=weight_drop,
    )
    sizes = options.resolve(
        space,
        scale or chosen.scale,
        embedding_size=embedding_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        initialisation=initialisation,
    )
    if sample is not None and sample < 1:
        raise InputError(f"--sample {sample}; accepted is a whole number of at least 1")
    corpus = load_corpus(text or "python-docs")
    out = out or f"trainings/{space.fingerprint(genotypes[0])}-{corpus.name}-{seed}"

    def on_progress(state: Progress) -> None:
        note = f"epoch {state.epoch}/{state.epochs}, loss {state.loss:.3f}, perplexity "
        bar.advance_to(state.tokens, f"{note}{_perplexity(state.loss)}")

    try:
        with progress("training, tokens", 1) as bar:
            trained = run(
                space,
                genotypes[0],
                corpus,
                settings,
                out,
                scale=sizes,
                seed=seed,
                vocabulary_limit=vocabulary_size,
                device=device,
                resume=resume,
                on_start=bar.set,
                on_progress=on_progress,
                on_epoch=_print_epoch,
                on_warning=_warn,
            )
    except KeyboardInterrupt:
        arguments = sys.argv[1:] if resume else [*sys.argv[1:], "--resume"]
        raise Stopped(
            f"Stopped; the training so far is in {out}. Go on with:\n"
            f"  archscout {shlex.join(arguments)}"
        ) from None
    drawn = None
    if sample is not None:
        drawn = sample_text(trained.model, trained.vocabulary, prompt, sample, temperature, seed)
    _hand_over(trained, corpus.name)
    if as_json:
        result = {"training": str(trained.folder), **trained.to_dict()}
        typer.echo(json.dumps(result | ({} if drawn is None else {"sample": drawn})))
    else:
        _print(trained)
        if drawn is not None:
            console.print(drawn, markup=False, highlight=False, soft_wrap=True)


def _perplexity(loss: float) -> str:
    from archscout.training import Loss

    return f"{Loss(loss, 1).perplexity:,.1f}"


def _warn(message: str) -> None:
    errors.print(message, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _print_epoch(record: EpochRecord) -> None:
    errors.print(
        f"epoch {record.epoch}: loss {record.train_loss:.3f}, validation {record.valid_loss:.3f} "
        f"(perplexity {record.valid_perplexity:,.1f}), {record.tokens_per_second:,.0f} tokens/s",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _hand_over(trained: Trained, text: str) -> None:
    """Write the trained model as transformers loads it."""
    from archscout.exporting import export
    from archscout.training.folder import MODEL

    interrupts.check()
    folder = trained.folder.path / MODEL
    shutil.rmtree(folder, ignore_errors=True)
    perplexity = trained.losses["valid"].perplexity
    origin = f"trained on {text}, validation perplexity {perplexity:.1f}"
    export(
        trained.space,
        trained.architecture,
        trained.model.cpu(),
        trained.vocabulary,
        folder,
        origin,
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
