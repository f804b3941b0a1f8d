"""The trainer: a language model by Adam, resumable after every evaluation."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from archscout.exports import export
from archscout.files import write_json, write_json_lines
from archscout.scoring import resolve_scale
from archscout.spaces import Space
from archscout.text import Corpus, load_corpus, tokenizer_for
from archscout.training import Summary, Trainer, TrainingFolder
from archscout.training.checkpoints import Checkpoint
from archscout.training.parts import splits
from archscout.training.seeds import seeded
from archscout.training.starting import begin
from archscout.training.training_folder import FORMAT, METRICS, MODEL, RESULT
from archscout.training.training_settings import Preset, Settings, find_preset
from archscout.training.weights import restore_tensors, training_tensors

from .network import ToyDecoder


class ToySettings(Settings):
    """How a decoder is trained."""

    steps: int = Field(20, ge=1)
    batch_size: int = Field(4, ge=1)
    sequence_length: int = Field(8, ge=2)
    learning_rate: float = Field(1e-2, gt=0)
    evaluate_every: int = Field(5, ge=1)


class Progress(NamedTuple):
    """How far a training is."""

    tokens: int
    total_tokens: int
    tokens_per_second: float


@dataclasses.dataclass
class ToyTrained:
    """A trained decoder."""

    folder: TrainingFolder
    model: ToyDecoder
    records: list[dict[str, float]]
    result: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """What result.json holds."""
        return self.result


class ToyTrainer(Trainer[ToySettings]):
    """Trains toy decoders."""

    space = "toy-decoder"
    settings_type = ToySettings
    presets: Mapping[str, Preset[ToySettings]] = {
        "quick": Preset("for tests", ToySettings(), "fast")
    }

    def train(
        self,
        space: Space[Any],
        architecture: Any,
        text: Any,
        settings: ToySettings | str,
        out: str | os.PathLike[str],
        *,
        scale: Any = None,
        seed: int = 0,
        vocabulary_size: int | None = None,
        tokenizer: str | None = None,
        device: str = "cpu",
        resume: bool = False,
        keep_model: bool = True,
        on_start: Callable[[int, int], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_record: Callable[[dict[str, float]], None] | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> ToyTrained:
        """Train one decoder; see `Trainer.train`."""
        if isinstance(settings, str):
            settings = find_preset(self.presets, settings).settings
        architecture, sizes = space.parse(architecture), resolve_scale(space, scale)
        corpus = text if isinstance(text, Corpus) else load_corpus(text)
        words = tokenizer_for(space.tokenization, corpus, vocabulary_size, tokenizer)
        parts = {name: ids.to(device) for name, ids in splits(corpus, words).items()}
        model = space.build(architecture, len(words), sizes, seed).to(device)
        assert isinstance(model, ToyDecoder)
        optimizer = torch.optim.Adam(model.parameters(), settings.learning_rate)
        identity = {
            "format": FORMAT,
            "space": space.name,
            "architecture": space.to_dict(architecture),
            "fingerprint": space.fingerprint(architecture),
            "scale": dataclasses.asdict(sizes),
            "text": {"name": corpus.name, "sha256": corpus.sha256},
            "settings": settings.model_dump(),
            "seed": seed,
        }
        folder, start = TrainingFolder(out), time.monotonic()
        records: list[dict[str, float]] = []
        step, tokens = 0, settings.batch_size * settings.sequence_length
        checkpoint = begin(folder, identity, words, resume, on_warning or (lambda _: None))
        if checkpoint is not None:
            restore_tensors(model, optimizer, checkpoint.tensors)
            step, records = checkpoint.state["step"], checkpoint.state["records"]
        if on_start is not None:
            on_start(step * tokens, settings.steps * tokens)
        while step < settings.steps:
            seeded(seed, 0, step)
            loss = loss_of(model, drawn(parts["train"], settings))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if on_progress is not None:
                rate = step * tokens / (time.monotonic() - start)
                on_progress(Progress(step * tokens, settings.steps * tokens, rate))
            if step % settings.evaluate_every == 0 or step == settings.steps:
                valid = evaluated(model, parts["valid"], settings)
                records.append({"step": step, "train_loss": loss.item(), "valid_loss": valid})
                write_json_lines(folder.path / METRICS, records)
                state = {"identity": identity, "step": step, "records": records}
                tensors = training_tensors(model, optimizer)
                folder.checkpoints.save(step, Checkpoint(tensors, state))
                if on_record is not None:
                    on_record(records[-1])
        losses = {
            part: {"nats": evaluated(model, parts[part], settings)}
            for part in ("valid", "test")
            if part in parts
        }
        result = {"steps": step, "seconds": time.monotonic() - start, "losses": losses}
        if keep_model:
            place = folder.path / MODEL
            export(space, architecture, model, words, place, "trained for tests", replace=True)
        write_json(folder.path / RESULT, result)
        return ToyTrained(folder, model, records, result)

    def describe_progress(self, progress: Progress) -> str:
        """In a few words."""
        return f"{progress.tokens} tokens"

    def describe_record(self, record: dict[str, float]) -> str:
        """In a line."""
        return f"step {record['step']}: validation {record['valid_loss']:.3f}"

    def summarise(self, trained: ToyTrained) -> Summary:
        """A row for each part."""
        rows = [[part, f"{loss['nats']:.4f}"] for part, loss in trained.result["losses"].items()]
        return Summary(f"{trained.result['steps']} steps.", "Losses", ("part", "nats"), rows)


def drawn(ids: Tensor, settings: ToySettings) -> Tensor:
    """Sequences (B, T) from anywhere in the text."""
    starts = torch.randint(len(ids) - settings.sequence_length, (settings.batch_size,))
    return torch.stack([ids[i : i + settings.sequence_length] for i in starts.tolist()])


def loss_of(model: ToyDecoder, tokens: Tensor) -> Tensor:
    """Nats a token of sequences (B, T)."""
    logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


@torch.no_grad()
def evaluated(model: ToyDecoder, ids: Tensor, settings: ToySettings) -> float:
    """Nats a token of a text."""
    length = settings.sequence_length
    rows = ids[: len(ids) // length * length].view(-1, length)
    return loss_of(model, rows).item()
