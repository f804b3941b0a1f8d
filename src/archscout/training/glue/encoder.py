"""An exported encoder, and the classifier around it.

transformers takes seconds to import, so what needs it imports it where it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.exports import GENOTYPE, quiet
from archscout.files import new_folder
from archscout.text import WordPiece
from archscout.training.seeds import seed_of
from archscout.training.training_folder import MODEL

if TYPE_CHECKING:
    from archscout.spaces.flexibert.pretrained import FlexibertForSequenceClassification

_TYPE = "archscout-flexibert"
_SIZES = ("layers", "vocab_size", "max_position_embeddings")
_CONFIG, _WEIGHTS, _TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
_ACCEPTED = "accepted is an encoder's folder as `archscout export` or its training writes it"


@dataclass(frozen=True)
class Encoder:
    """What an exported folder holds.

    Attributes:
        path: the folder.
        sha256: of its configuration, weights and tokenizer.
        config: the configuration, plain JSON.
        weights: of the encoder without heads, by name.
        tokenizer: of its word pieces.
        genotype: plain JSON; None where the folder has none.
    """

    path: Path
    sha256: str
    config: dict[str, Any] = field(repr=False)
    weights: dict[str, Tensor] = field(repr=False)
    tokenizer: WordPiece
    genotype: Any = field(repr=False, default=None)

    @property
    def num_positions(self) -> int:
        """The longest input."""
        return int(self.config["max_position_embeddings"])

    def save_classifier(
        self, model: FlexibertForSequenceClassification, labels: Sequence[str], folder: Path
    ) -> None:
        """Write a fine-tuned classifier as a folder that transformers loads, whole or not at all.

        Args:
            model: what `classifier` gave, fine-tuned.
            labels: the classes in the order of their numbers; empty for regression.
            folder: to be made; what is there is replaced.

        Raises:
            InputError: it cannot be written; what was there is left alone.
        """
        if labels:
            model.config.id2label = dict(enumerate(labels))
            model.config.label2id = {label: i for i, label in enumerate(labels)}
        with new_folder(folder) as part, quiet():
            # The encoder's folder has the code and the tokenizer; its README is about the encoder.
            others = shutil.ignore_patterns(_WEIGHTS, "README.md")
            shutil.copytree(self.path, part, ignore=others, dirs_exist_ok=True)
            model.save_pretrained(part)

    def classifier(
        self, num_outputs: int, dropout: float, seed: int
    ) -> FlexibertForSequenceClassification:
        """The encoder with a new head on its first position, on the CPU.

        Args:
            num_outputs: classes, or 1 for regression.
            dropout: rate, of the encoder and the head.
            seed: of the head's weights.
        """
        from archscout.spaces.flexibert.pretrained import FlexibertForSequenceClassification

        config = _configuration(self.config)
        config.num_labels = num_outputs
        config.hidden_dropout_prob = dropout
        with torch.random.fork_rng(devices=[]):
            model = FlexibertForSequenceClassification(config)
        # A generator of its own: torch's seed is that of all devices, and is the caller's.
        generator = torch.Generator().manual_seed(seed_of(seed))
        for layer in (model.dense, model.out_proj):
            nn.init.normal_(layer.weight, std=config.initializer_range, generator=generator)
            nn.init.zeros_(layer.bias)
        model.flexibert.load_state_dict(self.weights)
        return model


def load_encoder(place: str | os.PathLike[str] | Encoder) -> Encoder:
    """Read an exported encoder.

    Args:
        place: its folder, or the folder of the training that it came out of.

    Raises:
        InputError: there is none, or it is damaged.
    """
    if isinstance(place, Encoder):
        return place
    path = Path(place)
    if not path.is_dir():
        raise InputError(f"no encoder {path}: there is no such folder; {_ACCEPTED}")
    if not (path / _CONFIG).exists() and (path / MODEL / _CONFIG).exists():
        path = path / MODEL
    contents = {name: _read(path, name) for name in (_CONFIG, _WEIGHTS, _TOKENIZER)}
    config = _json(path / _CONFIG, contents[_CONFIG])
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != _TYPE:
        raise InputError(f"{path} holds a model of type {kind!r}, not {_TYPE!r}; {_ACCEPTED}")
    if missing := [name for name in _SIZES if name not in config]:
        raise InputError(f"{path / _CONFIG} describes no encoder: it lacks {missing[0]!r}")
    weights = _encoder_weights(path, contents[_WEIGHTS])
    _check_weights(path, config, weights)
    tokenizer = WordPiece.load(path / _TOKENIZER)
    if len(tokenizer) > config["vocab_size"]:
        raise InputError(
            f"{path} has a tokenizer of {len(tokenizer)} pieces for an encoder of "
            f"{config['vocab_size']}; {_ACCEPTED}"
        )
    genotype = None
    if (path / GENOTYPE).exists():
        document = _json(path / GENOTYPE, _read(path, GENOTYPE))
        genotype = document.get("architecture", document)  # earlier versions wrote no space
    digest = hashlib.sha256(b"".join(hashlib.sha256(c).digest() for c in contents.values()))
    return Encoder(path, digest.hexdigest(), config, weights, tokenizer, genotype)


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path} is no encoder: it lacks {name}; {_ACCEPTED}") from error
    except OSError as error:
        raise InputError(f"cannot read {path / name}: {error.strerror}") from error


def _json(path: Path, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}; {_ACCEPTED}") from error


def _encoder_weights(path: Path, content: bytes) -> dict[str, Tensor]:
    """By name, without those of a head that the encoder may have been saved with."""
    try:
        weights = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{path / _WEIGHTS} is damaged: {error}") from error
    bare = {name.removeprefix("flexibert."): weight for name, weight in weights.items()}
    return {name: weight for name, weight in bare.items() if name.startswith("network.")}


def _check_weights(path: Path, config: dict[str, Any], weights: dict[str, Tensor]) -> None:
    from archscout.spaces.flexibert.pretrained import FlexibertModel

    try:
        with torch.device("meta"):
            expected = FlexibertModel(_configuration(config)).state_dict()
    # A configuration that was written by hand may break anywhere in the network.
    except Exception as error:
        raise InputError(f"{path / _CONFIG} describes no encoder: {error}; {_ACCEPTED}") from error
    for name in expected.keys() | weights.keys():
        wanted, found = (
            tuple(side[name].shape) if name in side else None for side in (expected, weights)
        )
        if wanted != found:
            raise InputError(
                f"{path / _WEIGHTS} does not fit {_CONFIG}: {name} has the shape {found}, and "
                f"{wanted} is needed"
            )


def _configuration(document: dict[str, Any]) -> Any:
    from archscout.spaces.flexibert.pretrained import FlexibertConfig

    return FlexibertConfig.from_dict(document)
