"""From an architecture and a text to a pretrained encoder."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archscout import spaces
from archscout.errors import InputError
from archscout.exports import export
from archscout.files import write_json
from archscout.scoring import TextSource, check_device, check_seed, resolve_scale
from archscout.spaces.base import Scale, Space
from archscout.spaces.flexibert.genotype import EncoderGenotype
from archscout.spaces.flexibert.network import FlexibertNetwork
from archscout.spaces.flexibert.space import EncoderScale, FlexibertSpace
from archscout.text import Corpus, WordPiece, load_corpus, tokenizer_for
from archscout.training.electra.evaluation import PretrainingLoss
from archscout.training.electra.masking import Masking
from archscout.training.electra.objectives import build_objective, start_from_unigram
from archscout.training.electra.pretraining_loop import (
    EvaluationRecord,
    Pretraining,
    PretrainingProgress,
)
from archscout.training.electra.pretraining_settings import PRESETS, PretrainingSettings
from archscout.training.electra.sequences import PretrainingText, corpus_text
from archscout.training.electra.streams import StreamedText, streamed_text
from archscout.training.outcome import Diverged, Loss, check_finite, record_problem
from archscout.training.starting import begin
from archscout.training.training_folder import (
    FORMAT,
    MILESTONES,
    MODEL,
    RESULT,
    TrainingFolder,
    milestone_name,
)
from archscout.training.training_settings import find_preset


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A pretrained encoder and how it came to be.

    Attributes:
        folder: where it lies.
        space: of the architecture.
        architecture: the genotype.
        encoder: with the weights after the best evaluation.
        vocabulary: of the text.
        losses: by part of the text, `valid` and, where there is one, `test`, with these weights.
        best_step: with the lowest validation objective.
        records: of all evaluations.
        ended: why the training ended: `steps`, `patience`, or `minutes`.
    """

    folder: TrainingFolder
    space: FlexibertSpace
    architecture: EncoderGenotype
    encoder: FlexibertNetwork
    vocabulary: WordPiece
    losses: dict[str, PretrainingLoss]
    best_step: int
    records: list[EvaluationRecord]
    ended: str

    @property
    def model(self) -> Path:
        """The folder of the encoder as transformers loads it."""
        return self.folder.path / MODEL

    @property
    def milestones(self) -> list[Path]:
        """The folders of the encoders that were kept on the way, the first one first."""
        return sorted((self.folder.path / MILESTONES).glob("step-*"))

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as result.json holds them."""
        return {
            "fingerprint": self.space.fingerprint(self.architecture),
            "parameters": sum(p.numel() for p in self.encoder.parameters()),
            "best_step": self.best_step,
            "steps": self.records[-1].step,
            "ended": self.ended,
            "seconds": self.records[-1].seconds,
            "losses": {part: loss.to_dict() for part, loss in self.losses.items()},
            "baselines": {part: loss.baselines() for part, loss in self.losses.items()},
        }


def pretrain(
    space: str | Space[Any],
    architecture: Any,
    text: TextSource | StreamedText,
    settings: PretrainingSettings | str = "quick",
    out: str | os.PathLike[str] = "training",
    *,
    scale: str | Scale | None = None,
    seed: int = 0,
    vocabulary_size: int | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    resume: bool = False,
    keep_model: bool = True,
    on_start: Callable[[int, int], None] | None = None,
    on_progress: Callable[[PretrainingProgress], None] | None = None,
    on_evaluation: Callable[[EvaluationRecord], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Pretrained:
    """Pretrain one encoder on a text.

    The same arguments give the same weights, bit for bit, on the same machine with as many
    threads (on a GPU only as far as its operations repeat themselves); stopped at any time and
    resumed, too (unless `settings.minutes` ended it).

    Args:
        space: the space of encoders, or its name.
        architecture: a genotype, or its JSON.
        text: a corpus, or what `load_corpus` takes. Of a text without splits the last tenth is
            held out for validation, and the tenth before it for testing. Or a `StreamedText`, which
            needs a tokenizer.
        settings: the recipe, or a preset's name.
        out: the training folder.
        scale: sizes and reading of the network, or their name; by default the preset's, or else
            the space's. Its batch size and sequence length are those of scoring and not used.
        seed: of the weights and of all that is random in training.
        vocabulary_size: size limit of the tokenizer that is trained on the text.
        tokenizer: a ready one, see `WordPiece.load`; by default one is trained on the text.
        device: where it is trained, such as `cpu` or `cuda`.
        resume: go on with the training that lies in the folder, if there is one.
        keep_model: write the encoder as transformers loads it, to `model/`.
        on_start: called with the tokens read so far and those to be read.
        on_progress: called after every step.
        on_evaluation: called after every evaluation.
        on_warning: called with what the user should know, such as of a damaged checkpoint.

    Returns:
        The encoder, with the weights after its best evaluation; `milestones/` in the training
        folder holds those on the way, as transformers loads them.

    Raises:
        InputError: something given cannot be used, differs from what is resumed, a package is
            missing, or a file cannot be written; `Diverged` if the loss is no number any more.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written.
    """
    found = _flexibert(space)
    if isinstance(settings, str):
        chosen = find_preset(PRESETS, settings)
        settings, scale = chosen.settings, scale or chosen.scale
    sized: EncoderScale = resolve_scale(found, scale)
    if settings.sequence_length > sized.num_positions:
        raise InputError(
            f"training setting sequence_length is {settings.sequence_length}: the encoder has "
            f"{sized.num_positions} positions"
        )
    architecture = found.parse(architecture)
    check_device(device)
    check_seed(seed)
    pieces, read = _read(text, settings, seed, vocabulary_size, tokenizer)
    model = build_objective(found, architecture, len(pieces), sized, settings, seed)
    if settings.unigram_bias:
        start_from_unigram(model, read.counts)
    folder = TrainingFolder(out)
    hand_over = _HandOver(found, architecture, model.encoder, pieces, folder.path, read.name)
    training = Pretraining(
        model,
        read,
        Masking(pieces, settings.mask_share),
        settings,
        seed,
        folder,
        _identity(found, architecture, sized, read, pieces, settings, seed),
        device,
        on_progress,
        on_evaluation,
        hand_over.milestone,
    )
    warn = on_warning or (lambda _: None)
    checkpoint = begin(folder, training.identity, pieces, resume, warn, training.accelerator)
    if checkpoint is not None:
        training.restore(checkpoint)
    if on_start is not None:
        on_start(training.done, settings.steps * settings.step_tokens)
    return _finish(training, hand_over, keep_model)


def _flexibert(space: str | Space[Any]) -> FlexibertSpace:
    found = spaces.get(space) if isinstance(space, str) else space
    if not isinstance(found, FlexibertSpace):
        raise InputError(f"space {found.name!r} has no encoders to pretrain; accepted is flexibert")
    return found


def _read(
    text: TextSource | StreamedText,
    settings: PretrainingSettings,
    seed: int,
    vocabulary_size: int | None,
    tokenizer: str | os.PathLike[str] | None,
) -> tuple[WordPiece, PretrainingText]:
    """The tokenizer, and the text in sequences."""
    if isinstance(text, StreamedText):
        if tokenizer is None or vocabulary_size is not None:
            raise InputError(
                f"the data set {str(text)!r} is read on the fly, and no tokenizer is trained on "
                "it; give a ready one (--tokenizer) and no vocabulary size"
            )
        pieces = WordPiece.load(tokenizer)
        return pieces, streamed_text(text, pieces, settings, seed)
    corpus = text if isinstance(text, Corpus) else load_corpus(text)
    made = tokenizer_for("wordpiece", corpus, vocabulary_size, tokenizer)
    assert isinstance(made, WordPiece)
    return made, corpus_text(corpus, made, settings, seed)


def _identity(
    space: FlexibertSpace,
    architecture: EncoderGenotype,
    scale: EncoderScale,
    text: PretrainingText,
    tokenizer: WordPiece,
    settings: PretrainingSettings,
    seed: int,
) -> dict[str, Any]:
    """All that decides the weights in the end."""
    sizes = dataclasses.asdict(scale)
    for unused in ("batch_size", "sequence_length"):  # those of scoring
        del sizes[unused]
    return {
        "format": FORMAT,
        "space": space.name,
        "architecture": space.to_dict(architecture),
        "fingerprint": space.fingerprint(architecture),
        "scale": sizes,
        "text": text.identity,
        "vocabulary_size": len(tokenizer),
        "tokenizer": hashlib.sha256(tokenizer.definition.encode()).hexdigest(),
        "settings": settings.model_dump(exclude={"checkpoint_minutes"}, by_alias=True),
        "seed": seed,
    }


def _finish(training: Pretraining, hand_over: _HandOver, keep_model: bool) -> Pretrained:
    """Train, evaluate with the best weights, and write the result."""
    folder, text = training.folder, training.text
    parts = {"valid": text.valid, "test": text.test}
    try:
        training.run()
        losses = {part: training.evaluate(x) for part, x in parts.items() if x is not None}
        check_finite({part: loss.nats for part, loss in losses.items()})
    except Diverged as error:
        if training.accelerator.is_main_process:
            record_problem(folder.path, error)
        raise
    state = training.state
    assert state.ended is not None
    pretrained = Pretrained(
        folder,
        hand_over.space,
        hand_over.architecture,
        hand_over.encoder,
        hand_over.tokenizer,
        losses,
        state.best_step,
        state.records,
        state.ended,
    )
    if training.accelerator.is_main_process:
        if keep_model:
            hand_over.best(pretrained.losses["valid"])
        write_json(folder.path / RESULT, pretrained.to_dict())
    return pretrained


@dataclasses.dataclass(frozen=True)
class _HandOver:
    """Writes an encoder as transformers loads it."""

    space: FlexibertSpace
    architecture: EncoderGenotype
    encoder: FlexibertNetwork
    tokenizer: WordPiece
    folder: Path
    text: str

    def milestone(self, step: int) -> None:
        """Keep the encoder as it is after so many steps."""
        self._export(self.folder / MILESTONES / milestone_name(step), f"after {step:,} steps")

    def best(self, valid: PretrainingLoss) -> None:
        """Keep the encoder as it is at the end."""
        quality = f"validation perplexity of masked tokens {Loss(valid.nats, 1).perplexity:.1f}"
        self._export(self.folder / MODEL, quality)

    def _export(self, folder: Path, quality: str) -> None:
        origin = f"pretrained on {self.text}, {quality}"
        # Of a training that went back to an earlier checkpoint, or was done already, it is there.
        export(
            self.space,
            self.architecture,
            self.encoder,
            self.tokenizer,
            folder,
            origin,
            replace=True,
        )
