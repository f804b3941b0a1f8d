"""The trainer of causal language models: from an architecture and a text to a trained one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from archscout.errors import InputError
from archscout.spaces.base import Space
from archscout.text import ByteLevel, Corpus, Tokenizer, WordPiece, load_corpus, tokenizer_for
from archscout.training.acceleration import of_several_processes
from archscout.training.causal.causal_settings import CausalSettings
from archscout.training.causal.evaluation import LossFunction
from archscout.training.causal.module_loss import OwnLoss, next_token_loss
from archscout.training.causal.training_loop import CausalProgress, CausalRecord, CausalTraining
from archscout.training.outcome import Loss, check_finite, written_bits, written_perplexity
from archscout.training.parts import splits
from archscout.training.trainer import Assignment, Summary, Trainer
from archscout.training.training_folder import MODEL, TrainingFolder
from archscout.training.training_settings import Preset

_ENDED = {
    "steps": "all steps done",
    "patience": "no better validation loss in the last evaluations",
    "minutes": "time is up",
}


@dataclasses.dataclass(frozen=True)
class TrainedCausal:
    """A trained causal language model and how it came to be.

    Attributes:
        folder: where it lies.
        space: of the architecture.
        architecture: the genotype.
        network: with the weights of the best evaluation.
        vocabulary: of the text.
        losses: by part of the text, `valid` and, where there is one, `test`, with these weights.
        best_step: with the lowest validation loss.
        records: of all evaluations.
        ended: why the training ended: `steps`, `patience`, or `minutes`.
    """

    folder: TrainingFolder
    space: Space[Any]
    architecture: Any
    network: Any
    vocabulary: Any
    losses: dict[str, Loss]
    best_step: int
    records: list[CausalRecord]
    ended: str

    @property
    def model(self) -> Path:
        """The folder of the network as it is handed over."""
        return self.folder.path / MODEL

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as result.json holds them."""
        return {
            "fingerprint": self.space.fingerprint(self.architecture),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "best_step": self.best_step,
            "steps": self.records[-1].step,
            "ended": self.ended,
            "seconds": self.records[-1].seconds,
            "losses": {
                part: {
                    **loss._asdict(),
                    "perplexity": loss.perplexity,
                    "bits_per_byte": loss.bits_per_byte,
                }
                for part, loss in self.losses.items()
            },
        }


class CausalTrainer(Trainer[CausalSettings]):
    """Trains networks that return logits to predict the next token.

    A module's output is logits (B, T, V) for token ids (B, T), or (T, B, V) for (T, B), which is
    told by running it: a tensor, the first of several, or `logits` of what transformers returns.

    Args:
        space: of the networks, which read words or byte-level pieces.
        loss: in place of the next token's by the logits: a function of the module and of token ids
            (B, T + 1), the mean nats of each token but the first. Of a module in evaluation mode
            that is what perplexity is made of.

    Examples:
        >>> import torch
        >>> from archscout import spaces, training
        >>> def suggest(trial):
        ...     return {"width": 8 * trial.suggest_int("width", 1, 8)}
        >>> def build(configuration, words):
        ...     width = configuration["width"]
        ...     layers = torch.nn.Embedding(words, width), torch.nn.Linear(width, words)
        ...     return torch.nn.Sequential(*layers)
        >>> space = spaces.ModuleSpace("pairs", suggest, build, kind="other", default_metric="snip")
        >>> training.register(training.CausalTrainer(space))
        >>> training.preset("quick", space).resized(steps=100).step_tokens
        1024
    """

    settings_type: type[CausalSettings] = CausalSettings

    def __init__(self, space: Space[Any], loss: LossFunction | None = None) -> None:
        self.space = space.name
        self.presets: Mapping[str, Preset[Any]] = {
            "quick": Preset("for a small text", CausalSettings(), space.default_scale)
        }
        self._own_loss = loss

    def _built(
        self, task: Assignment[CausalSettings], words: int
    ) -> tuple[nn.Module, LossFunction]:
        """A network with its first weights, on its device, and its loss.

        Raises:
            InputError: the network cannot be trained by the recipe.
        """
        network = task.space.build(task.architecture, words, task.scale, task.seed).to(task.device)
        if self._own_loss is not None:
            return network, OwnLoss(self._own_loss)
        return network, next_token_loss(network, words, task.settings.sequence_length, task.device)

    def prepare(self, task: Assignment[CausalSettings]) -> tuple[CausalTraining, Tokenizer]:
        """A network with its first weights, and the parts of the text."""
        settings = task.settings
        several = of_several_processes(task.device, settings.precision)
        if several is not None:
            task = dataclasses.replace(task, device=str(several.device))
        corpus = task.text if isinstance(task.text, Corpus) else load_corpus(task.text)
        tokenizer = tokenizer_for(
            task.space.tokenization, corpus, task.vocabulary_size, task.tokenizer
        )
        if isinstance(tokenizer, WordPiece):
            raise InputError(
                f"space {self.space!r} reads word pieces, of which texts cannot be made again; "
                "accepted of causal language models are words and bpe"
            )
        parts = {
            name: ids.to(task.device) for name, ids in splits(corpus, tokenizer.encode).items()
        }
        needed = {"train": settings.sequence_length + 1}
        for name, ids in parts.items():
            if len(ids) < (least := needed.get(name, 2)):
                raise InputError(
                    f"the {name} part of the text {corpus.name!r} has {len(ids)} tokens, and "
                    f"training at sequence_length {settings.sequence_length} needs {least} there; "
                    "take a longer text"
                )
        network, loss = self._built(task, len(tokenizer))
        known: dict[str, Any] = {"vocabulary_size": len(tokenizer)}
        if isinstance(tokenizer, ByteLevel):
            known["tokenizer"] = hashlib.sha256(tokenizer.definition.encode()).hexdigest()
        identity = task.identity(text={"name": corpus.name, "sha256": corpus.sha256}, **known)
        if isinstance(tokenizer, ByteLevel):
            table = tokenizer.byte_lengths()
            lengths = {name: table[ids.cpu()] for name, ids in parts.items()}
        else:
            lengths = splits(corpus, tokenizer.byte_lengths)
        training = CausalTraining(task, network, loss, parts, lengths, identity, several)
        return training, tokenizer

    def finish(
        self, task: Assignment[CausalSettings], training: CausalTraining, tokenizer: Tokenizer
    ) -> TrainedCausal:
        """Evaluate with the weights of the best evaluation."""
        model = training.model.eval()
        losses = {
            part: training.evaluate(part) for part in ("valid", "test") if part in training.parts
        }
        check_finite({part: loss.nats for part, loss in losses.items()})
        state = training.state
        assert state.ended is not None
        return TrainedCausal(
            *(task.folder, task.space, task.architecture, model, tokenizer),
            *(losses, state.best_step, state.records, state.ended),
        )

    def origin(self, training: CausalTraining, trained: TrainedCausal) -> str:
        """What the trained weights are."""
        valid = trained.losses["valid"]
        return (
            f"trained on {training.identity['text']['name']}, validation perplexity "
            f"{valid.perplexity:.1f}{written_bits(valid.bits_per_byte)}"
        )

    def describe_progress(self, progress: CausalProgress) -> str:
        """Where a training is, in a few words."""
        return (
            f"step {progress.step:,}/{progress.steps:,}, loss {progress.loss:.3f}, perplexity "
            f"{written_perplexity(progress.loss)}"
        )

    def describe_record(self, record: CausalRecord) -> str:
        """An evaluation in a line."""
        return (
            f"step {record.step:,}: loss {record.train_loss:.3f}, validation "
            f"{record.valid_loss:.3f} (perplexity {record.valid_perplexity:,.1f}"
            f"{written_bits(record.valid_bits_per_byte)}), {record.tokens_per_second:,.0f} tokens/s"
        )

    def summarise(self, trained: TrainedCausal) -> Summary:
        """What came of a training: a row for each part of the text."""
        last = trained.records[-1]
        return Summary(
            f"{last.step:,} steps in {last.seconds:.0f} s ({_ENDED[trained.ended]}), the best "
            f"evaluation is that of step {trained.best_step:,}.",
            f"At step {trained.best_step:,}",
            ("part", "tokens", "loss", "perplexity", "bits per byte"),
            [
                [
                    part,
                    f"{loss.tokens:,}",
                    f"{loss.nats:.4f}",
                    f"{loss.perplexity:,.2f}",
                    "–" if loss.bits_per_byte is None else f"{loss.bits_per_byte:.4f}",
                ]
                for part, loss in trained.losses.items()
            ],
        )
