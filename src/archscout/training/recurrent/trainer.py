"""The trainer of recurrent cells: from an architecture and a text to a trained language model."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.spaces.recurrent.space import RecurrentSpace
from archscout.text import Corpus, Vocabulary, load_corpus, tokenizer_for
from archscout.training.outcome import Loss, check_finite, written_bits, written_perplexity
from archscout.training.parts import splits
from archscout.training.recurrent.columns import columns
from archscout.training.recurrent.generation import sample_text
from archscout.training.recurrent.language_model_loop import (
    EpochRecord,
    LanguageModelTraining,
    Progress,
)
from archscout.training.recurrent.language_model_settings import PRESETS, TrainingSettings
from archscout.training.trainer import Assignment, Summary, Trainer
from archscout.training.training_folder import TrainingFolder

_ENDED = {
    "epochs": "all epochs done",
    "patience": "no better validation loss in the last epochs",
    "minutes": "time is up",
}


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
                    "bytes": loss.bytes,
                    "bits_per_byte": loss.bits_per_byte,
                }
                for part, loss in self.losses.items()
            },
        }


class RecurrentTrainer(Trainer[TrainingSettings]):
    """Trains language models of recurrent cells, by the AWD recipe."""

    space = RecurrentSpace.name
    settings_type = TrainingSettings
    presets = PRESETS
    draws_text = True

    def prepare(
        self, task: Assignment[TrainingSettings]
    ) -> tuple[LanguageModelTraining, Vocabulary]:
        """A network with its first weights, and the text in columns."""
        settings = task.settings
        corpus = task.text if isinstance(task.text, Corpus) else load_corpus(task.text)
        vocabulary = tokenizer_for("words", corpus, task.vocabulary_size, task.tokenizer)
        assert isinstance(vocabulary, Vocabulary)

        def in_columns(part: str, numbers: Tensor) -> Tensor:
            is_trained = part == "train"
            size = settings.batch_size if is_trained else settings.evaluation_batch_size
            return columns(numbers, size, part)

        texts = {
            part: in_columns(part, ids).to(task.device)
            for part, ids in splits(corpus, vocabulary.encode).items()
        }
        byte_lengths = {
            part: in_columns(part, lengths)
            for part, lengths in splits(corpus, vocabulary.byte_lengths).items()
        }
        space, drawn_as = task.space, task.architecture
        if task.scale.initialisation == "canonical":
            drawn_as = space.canonical(task.architecture)
        identity = task.identity(
            architecture=space.to_dict(drawn_as),
            text={"name": corpus.name, "sha256": corpus.sha256},
            vocabulary_size=len(vocabulary),
        )
        network = space.build(task.architecture, len(vocabulary), task.scale, task.seed)
        assert isinstance(network, RecurrentLanguageModel)
        model = network.to(task.device)
        model.dropout = settings.dropout
        if settings.unigram_bias:
            _start_from_unigram(model, texts["train"])
        return LanguageModelTraining(task, model, texts, byte_lengths, identity), vocabulary

    def finish(
        self,
        task: Assignment[TrainingSettings],
        training: LanguageModelTraining,
        tokenizer: Vocabulary,
    ) -> Trained:
        """Evaluate with the weights of the best epoch."""
        model = training.model.eval()
        losses = {part: training.loss(part) for part in ("valid", "test") if part in training.texts}
        check_finite({part: loss.nats for part, loss in losses.items()})
        state = training.state
        assert isinstance(task.space, RecurrentSpace) and state.ended is not None
        return Trained(
            *(task.folder, task.space, task.architecture, model, tokenizer),
            *(losses, state.best_epoch, state.records, state.ended),
        )

    def origin(self, training: LanguageModelTraining, trained: Trained) -> str:
        """What the trained weights are."""
        valid = trained.losses["valid"]
        return (
            f"trained on {training.identity['text']['name']}, validation perplexity "
            f"{valid.perplexity:.1f}{written_bits(valid.bits_per_byte)}"
        )

    def for_benchmark(self, settings: TrainingSettings) -> TrainingSettings:
        """With the test loss of every epoch, which NAS-Bench-NLP's logs hold."""
        return settings.resized(test_curve=True)

    def describe_progress(self, progress: Progress) -> str:
        """Where a training is, in a few words."""
        return (
            f"epoch {progress.epoch}/{progress.epochs}, loss {progress.loss:.3f}, perplexity "
            f"{written_perplexity(progress.loss)}"
        )

    def describe_record(self, record: EpochRecord) -> str:
        """An epoch in a line."""
        return (
            f"epoch {record.epoch}: loss {record.train_loss:.3f}, validation "
            f"{record.valid_loss:.3f} (perplexity {record.valid_perplexity:,.1f}"
            f"{written_bits(record.valid_bits_per_byte)}), {record.tokens_per_second:,.0f} tokens/s"
        )

    def summarise(self, trained: Trained) -> Summary:
        """What came of a training: a row for each part of the text."""
        return Summary(
            f"{len(trained.records)} epochs in {trained.records[-1].seconds:.0f} s "
            f"({_ENDED[trained.ended]}), the best is epoch {trained.best_epoch}.",
            f"At epoch {trained.best_epoch}",
            ("part", "tokens", "loss", "perplexity", "bits per word", "bits per byte"),
            [
                [
                    part,
                    f"{loss.tokens:,}",
                    f"{loss.nats:.4f}",
                    f"{loss.perplexity:,.2f}",
                    f"{loss.bits:.4f}",
                    "–" if loss.bits_per_byte is None else f"{loss.bits_per_byte:.4f}",
                ]
                for part, loss in trained.losses.items()
            ],
        )

    def draw(self, trained: Trained, prompt: str, n: int, temperature: float, seed: int) -> str:
        """Draw words; see `sample_text`."""
        return sample_text(trained.model, trained.vocabulary, prompt, n, temperature, seed)


def _start_from_unigram(model: RecurrentLanguageModel, text: Tensor) -> None:
    """Set the decoder's bias to the log frequencies of the text's words, plus one each."""
    counts = text.flatten().bincount(minlength=len(model.decoder_bias)).float() + 1
    with torch.no_grad():
        model.decoder_bias.copy_((counts / counts.sum()).log())
