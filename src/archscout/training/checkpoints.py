"""Checkpoints: all that a training needs to go on as if it had never stopped.

A checkpoint is one file of safetensors: tensors by name, and in its header a JSON document and a
checksum of both. Nothing in it is code. The last two are kept, so that there is one before a
damaged one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from archscout.errors import InputError
from archscout.files import write_whole

_KEPT = 2
_NAME = "checkpoint-{:08d}.safetensors"


class Checkpoint(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        tensors: by name.
        state: plain JSON types.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]


class Damaged(Exception):
    """A file that is no whole checkpoint; the message says why."""


class Checkpoints:
    """The checkpoints of one training, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self) -> list[Path]:
        """The checkpoints, oldest first."""
        return sorted(self.folder.glob("checkpoint-*.safetensors"), key=_number)

    def save(self, number: int, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, then remove all but the last two.

        Raises:
            InputError: it cannot be written; those before it are left alone.
        """
        path = self.folder / _NAME.format(number)
        try:
            write_checkpoint(path, checkpoint)
        except InputError as error:
            before = [found for found in self.paths() if found != path]
            kept = f"{before[-1]} is whole, and --resume goes on from it" if before else ""
            raise InputError(f"{error}\n{kept}" if kept else str(error)) from error
        for old in self.paths()[:-_KEPT]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint, if any, and what is wrong with those after it.

        Damaged ones are removed: what is written next may get the same name or an earlier one.
        """
        damages: list[str] = []
        for path in reversed(self.paths()):
            try:
                return read_checkpoint(path), damages
            except Damaged as damage:
                damages.append(f"{path} is damaged ({damage}); going on from the one before it")
                path.unlink(missing_ok=True)
        return None, damages


def _number(path: Path) -> int:
    """Of a checkpoint by its name, which may have more digits than others."""
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else -1


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write one file, whole or not at all."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    state = json.dumps(checkpoint.state)
    header = {"state": state, "checksum": _checksum(tensors, state)}
    write_whole(path, save(tensors, header))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote, onto the CPU.

    Raises:
        Damaged: it is not whole.
        InputError: it cannot be read, and may be whole.
    """
    try:
        path.open("rb").close()  # safetensors calls whatever cannot be opened missing
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, FileNotFoundError, ValueError) as error:
        raise Damaged(str(error).partition("\n")[0]) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    state = header.get("state", "")
    if header.get("checksum") != _checksum(tensors, state):
        raise Damaged("its content does not match its checksum")
    return Checkpoint(tensors, json.loads(state))


def _checksum(tensors: Mapping[str, Tensor], state: str) -> str:
    digest = hashlib.blake2b(state.encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
