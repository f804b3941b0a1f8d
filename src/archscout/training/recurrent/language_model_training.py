"""From an architecture and a text to a trained language model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from archscout import spaces
from archscout.errors import InputError
from archscout.exports import export
from archscout.files import write_json
from archscout.scoring import TextSource, check_device, check_seed, resolve_scale
from archscout.spaces.base import Scale, Space
from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.spaces.recurrent.space import RecurrentScale, RecurrentSpace
from archscout.text import Corpus, Vocabulary, load_corpus, tokenizer_for
from archscout.training.electra.streams import StreamedText
from archscout.training.outcome import Diverged, Loss, check_finite, record_problem
from archscout.training.parts import splits
from archscout.training.recurrent.evaluation import evaluate
from archscout.training.recurrent.language_model_loop import (
    EpochRecord,
    LanguageModelTraining,
    Progress,
)
from archscout.training.recurrent.language_model_settings import PRESETS, TrainingSettings
from archscout.training.recurrent.segments import columns
from archscout.training.starting import begin
from archscout.training.training_folder import FORMAT, MODEL, RESULT, TrainingFolder
from archscout.training.training_settings import find_preset


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained language model and how it came to be.

    Attributes:
        folder: where it lies.
        space: of the architecture.
        architecture: the genotype.
        model: with the weights after the best epoch.
        vocabulary: of the text.
        losses: by part of the text, `valid` and, where there is one, `test`, at the best epoch.
        best_epoch: with the lowest validation loss, from 1.
        records: of all epochs.
        ended: why the training ended: `epochs`, `patience`, or `minutes`.
    """

    folder: TrainingFolder
    space: RecurrentSpace
    architecture: Any
    model: RecurrentLanguageModel
    vocabulary: Vocabulary
    losses: dict[str, Loss]
    best_epoch: int
    records: list[EpochRecord]
    ended: str

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as result.json holds them."""
        return {
            "fingerprint": self.space.fingerprint(self.architecture),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "best_epoch": self.best_epoch,
            "epochs": len(self.records),
            "ended": self.ended,
            "seconds": self.records[-1].seconds,
            "losses": {
                part: {
                    "nats": loss.nats,
                    "perplexity": loss.perplexity,
                    "bits_per_word": loss.bits,
                    "tokens": loss.tokens,
                }
                for part, loss in self.losses.items()
            },
        }


def train_language_model(
    space: str | Space[Any],
    architecture: Any,
    text: TextSource | StreamedText,
    settings: TrainingSettings | str = "quick",
    out: str | os.PathLike[str] = "training",
    *,
    scale: str | Scale | None = None,
    seed: int = 0,
    vocabulary_size: int | None = None,
    tokenizer: None = None,
    device: str = "cpu",
    resume: bool = False,
    keep_model: bool = True,
    on_start: Callable[[int, int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Trained:
    """Train one architecture on a text.

    The same arguments give the same weights, bit for bit, on the same machine with as many
    threads (on a GPU only as far as its operations repeat themselves); stopped at any time and
    resumed, too (unless `settings.minutes` ended it).

    Args:
        space: the recurrent space, or its name.
        architecture: a genotype, its JSON, or its name.
        text: a corpus, or what `load_corpus` takes. Of a text without splits the last tenth is
            held out for validation, and the tenth before it for testing.
        settings: the recipe, or a preset's name.
        out: the training folder.
        scale: sizes of the network, or their name; by default the preset's, or else the space's.
        seed: of the weights and of all that is random in training.
        vocabulary_size: size limit of the vocabulary.
        tokenizer: none: these networks read words.
        device: where it is trained, such as `cpu` or `cuda`.
        resume: go on with the training that lies in the folder, if there is one.
        keep_model: write the model as transformers loads it, to `model/`.
        on_start: called with the tokens read so far, of all epochs, and those to be read.
        on_progress: called after every step.
        on_epoch: called after every epoch.
        on_warning: called with what the user should know, such as of a damaged checkpoint.

    Returns:
        The trained model, with the weights after its best epoch.

    Raises:
        InputError: something given cannot be used, differs from what is resumed, or a file cannot
            be written; `Diverged` if the loss is no number any more.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written.
    """
    found = _recurrent(space)
    if isinstance(text, StreamedText):
        raise InputError(f"the data set {str(text)!r}: recurrent networks read a text whole")
    if isinstance(settings, str):
        chosen = find_preset(PRESETS, settings)
        settings, scale = chosen.settings, scale or chosen.scale
    sized = resolve_scale(found, scale)
    architecture = found.parse(architecture)
    check_device(device)
    check_seed(seed)
    corpus = text if isinstance(text, Corpus) else load_corpus(text)
    vocabulary = tokenizer_for("words", corpus, vocabulary_size, tokenizer)
    assert isinstance(vocabulary, Vocabulary)
    texts = _texts(corpus, vocabulary, settings, device)
    identity = _identity(found, architecture, sized, corpus, vocabulary, settings, seed)
    model = found.build(architecture, len(vocabulary), sized, seed).to(device)
    model.dropout = settings.dropout
    if settings.unigram_bias:
        _start_from_unigram(model, texts["train"])
    folder = TrainingFolder(out)
    training = LanguageModelTraining(
        model, texts, settings, seed, folder, identity, on_progress, on_epoch
    )
    checkpoint = begin(folder, identity, vocabulary, resume, on_warning or (lambda _: None))
    if checkpoint is not None:
        training.restore(checkpoint)
    if on_start is not None:
        on_start(training.done, training.total)
    trained = _trained(training, found, architecture, vocabulary)
    if keep_model:
        quality = f"validation perplexity {trained.losses['valid'].perplexity:.1f}"
        origin = f"trained on {corpus.name}, {quality}"
        place = folder.path / MODEL
        export(found, architecture, model, vocabulary, place, origin, replace=True)
    write_json(folder.path / RESULT, trained.to_dict())
    return trained


def _texts(
    corpus: Corpus, vocabulary: Vocabulary, settings: TrainingSettings, device: str
) -> dict[str, Tensor]:
    """The parts of the text in columns, (rows, B) each."""
    sizes = {"train": settings.batch_size}
    return {
        part: columns(ids, sizes.get(part, settings.evaluation_batch_size), part).to(device)
        for part, ids in splits(corpus, vocabulary).items()
    }


def _trained(
    training: LanguageModelTraining,
    space: RecurrentSpace,
    architecture: Any,
    vocabulary: Vocabulary,
) -> Trained:
    """Train to the end, and evaluate with the best weights."""
    texts, length = training.texts, training.settings.sequence_length
    try:
        training.run()
        losses: dict[str, Loss] = {
            part: evaluate(training.model.eval(), texts[part], length)
            for part in ("valid", "test")
            if part in texts
        }
        check_finite({part: loss.nats for part, loss in losses.items()})
    except Diverged as error:
        record_problem(training.folder.path, error)
        raise
    state = training.state
    assert state.ended is not None
    return Trained(
        training.folder,
        space,
        architecture,
        training.model,
        vocabulary,
        losses,
        state.best_epoch,
        state.records,
        state.ended,
    )


def _recurrent(space: str | Space[Any]) -> RecurrentSpace:
    found = spaces.get(space) if isinstance(space, str) else space
    if not isinstance(found, RecurrentSpace):
        raise InputError(f"space {found.name!r} has no language models to train; accepted is rnn")
    return found


def _start_from_unigram(model: RecurrentLanguageModel, text: Tensor) -> None:
    """Set the decoder's bias to the log frequencies of the text's words, plus one each."""
    counts = text.flatten().bincount(minlength=len(model.decoder_bias)).float() + 1
    with torch.no_grad():
        model.decoder_bias.copy_((counts / counts.sum()).log())


def _identity(
    space: RecurrentSpace,
    architecture: Any,
    scale: RecurrentScale,
    corpus: Corpus,
    vocabulary: Vocabulary,
    settings: TrainingSettings,
    seed: int,
) -> dict[str, Any]:
    """All that decides the weights in the end."""
    if scale.initialisation == "canonical":
        architecture = space.canonical(architecture)
    sizes = dataclasses.asdict(scale)
    for unused in ("batch_size", "sequence_length"):  # those of scoring
        del sizes[unused]
    return {
        "format": FORMAT,
        "space": space.name,
        "architecture": space.to_dict(architecture),
        "fingerprint": space.fingerprint(architecture),
        "scale": sizes,
        "text": {"name": corpus.name, "sha256": corpus.sha256},
        "vocabulary_size": len(vocabulary),
        "settings": settings.model_dump(exclude={"checkpoint_minutes"}),
        "seed": seed,
    }
