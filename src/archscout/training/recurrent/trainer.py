"""The trainer of recurrent cells: language models."""

from __future__ import annotations

import os
from typing import Any

from archscout.spaces.base import Space
from archscout.spaces.recurrent.space import RecurrentSpace
from archscout.training.outcome import written_perplexity
from archscout.training.recurrent.generation import sample_text
from archscout.training.recurrent.language_model_loop import EpochRecord, Progress
from archscout.training.recurrent.language_model_settings import PRESETS, TrainingSettings
from archscout.training.recurrent.language_model_training import Trained, train_language_model
from archscout.training.trainer import Summary, Trainer

_ENDED = {
    "epochs": "all epochs done",
    "patience": "no better validation loss in the last epochs",
    "minutes": "time is up",
}


class RecurrentTrainer(Trainer[TrainingSettings]):
    """Trains language models of recurrent cells, by the AWD recipe."""

    space = RecurrentSpace.name
    settings_type = TrainingSettings
    presets = PRESETS
    draws_text = True

    def train(
        self,
        space: Space[Any],
        architecture: Any,
        text: Any,
        settings: TrainingSettings | str,
        out: str | os.PathLike[str],
        *,
        on_record: Any = None,
        **options: Any,
    ) -> Trained:
        """Train a language model; see `train_language_model`."""
        if on_record is not None:
            options["on_epoch"] = on_record
        return train_language_model(space, architecture, text, settings, out, **options)

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
            f"{record.valid_loss:.3f} (perplexity {record.valid_perplexity:,.1f}), "
            f"{record.tokens_per_second:,.0f} tokens/s"
        )

    def summarise(self, trained: Trained) -> Summary:
        """What came of a training: a row for each part of the text."""
        return Summary(
            f"{len(trained.records)} epochs in {trained.records[-1].seconds:.0f} s "
            f"({_ENDED[trained.ended]}), the best is epoch {trained.best_epoch}.",
            f"At epoch {trained.best_epoch}",
            ("part", "tokens", "loss", "perplexity", "bits per word"),
            [
                [
                    part,
                    f"{loss.tokens:,}",
                    f"{loss.nats:.4f}",
                    f"{loss.perplexity:,.2f}",
                    f"{loss.bits:.4f}",
                ]
                for part, loss in trained.losses.items()
            ],
        )

    def draw(self, trained: Trained, prompt: str, n: int, temperature: float, seed: int) -> str:
        """Draw words; see `sample_text`."""
        return sample_text(trained.model, trained.vocabulary, prompt, n, temperature, seed)
