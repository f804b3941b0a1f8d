"""The state of a training that stopped on the way, as bytes that a worker can go on from.

It is what of the training's folder going on needs (its description, vocabulary and records, the
newest checkpoint, the best weights), one safetensors archive with a tensor of bytes a file. Nothing
in it is code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from safetensors.numpy import load, save

from archscout.errors import InputError
from archscout.files import write_whole
from archscout.training.training_folder import (
    CHECKPOINTS,
    METRICS,
    MILESTONES,
    MODEL,
    RESULT,
    VOCABULARY,
    TrainingFolder,
    read_records,
)

_PACKED = (
    TrainingFolder.description,
    VOCABULARY,
    METRICS,
    RESULT,
    f"{MODEL}/**/*",
    f"{MILESTONES}/**/*",
    "best-*.safetensors",
)


def pack(folder: TrainingFolder) -> bytes | None:
    """What of a training's folder going on needs; None where there is no training in it."""
    if not folder.exists:
        return None
    paths = [path for pattern in _PACKED for path in sorted(folder.path.glob(pattern))]
    paths += folder.checkpoints.paths()[-1:]
    return bytes(
        save(
            {
                path.relative_to(folder.path).as_posix(): np.frombuffer(
                    path.read_bytes(), dtype=np.uint8
                )
                for path in paths
                if path.is_file()
            }
        )
    )


def unpack(state: bytes, folder: TrainingFolder) -> None:
    """Write what `pack` gave, so that after a kill at any time the folder can be gone on with.

    Raises:
        InputError: a file cannot be written, or one would lie elsewhere.
    """
    files = load(state)
    for name in sorted(files, key=_order):
        path = (folder.path / name).resolve()
        if not path.is_relative_to(folder.path.resolve()):
            raise InputError(f"the state of a training names {name}, a file outside of its folder")
        write_whole(path, files[name].tobytes())
    # The checkpoint counts on the others, and what it does not need any more goes last.
    for pattern in ("best-*.safetensors", f"{CHECKPOINTS}/*"):
        for path in folder.path.glob(pattern):
            if path.relative_to(folder.path).as_posix() not in files:
                path.unlink(missing_ok=True)


def kept_records(state: bytes) -> list[dict[str, Any]]:
    """What metrics.jsonl holds in a state."""
    files = load(state)
    return read_records(files[METRICS].tobytes() if METRICS in files else b"")


def _order(name: str) -> int:
    """What says that a folder is a training's comes first, and what counts on all others last."""
    return -1 if name == TrainingFolder.description else name.startswith(CHECKPOINTS)
