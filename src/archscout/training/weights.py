"""The tensors of a training: weights, buffers and the optimizer's averages, by their names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.training.checkpoints import Checkpoint, Damaged, read_checkpoint, write_checkpoint


def training_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What a checkpoint holds of a model and its optimizer; no copies."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer/{key}/{name}"] = value
    return {f"model/{name}": value for name, value in _weights(model).items()} | tensors


def restore_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Give a model and its optimizer (of Adam's kind) what `training_tensors` gave."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = {id(parameter): i for i, parameter in enumerate(parameters)}
    state: dict[int, dict[str, Tensor]] = {}
    for name, weight in _weights(model).items():
        weight.copy_(tensors[f"model/{name}"])
    for name, parameter in model.named_parameters():
        found = {
            key: tensors[f"optimizer/{key}/{name}"]
            for key in ("step", "exp_avg", "exp_avg_sq")
            if f"optimizer/{key}/{name}" in tensors
        }
        if found:
            state[numbers[id(parameter)]] = found
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights, whole or not at all."""
    write_checkpoint(path, Checkpoint(_weights(model), {}))


def remove_superseded(folder: Path, losses: Iterable[tuple[int, float]]) -> None:
    """Remove the weights `best-N.safetensors` that no checkpoint needs any more.

    Args:
        folder: of the training.
        losses: N and the validation loss of each evaluation, in their order.
    """
    best, numbers = math.inf, list[int]()
    for number, loss in losses:
        if loss < best:
            best = loss
            numbers.append(number)
    for path in folder.glob("best-*.safetensors"):
        digits = path.stem.partition("-")[2]
        # The checkpoint before the last may need the best weights before these.
        if digits.isdecimal() and int(digits) not in numbers[-2:]:
            path.unlink(missing_ok=True)


def load_best(model: nn.Module, path: Path, when: str) -> None:
    """Give a model the weights that `save_weights` wrote at its best.

    Args:
        model: of the same parameters.
        path: the file.
        when: it was best, such as `epoch`, for the message.
    """
    try:
        weights = read_checkpoint(path).tensors
    except Damaged as damage:
        raise InputError(
            f"{path}, the weights of the best {when}, is damaged: {damage};\n"
            "no other file holds them: train again in another folder (--out)"
        ) from damage
    for name, weight in _weights(model).items():
        weight.copy_(weights[name])


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """What of a model training changes, each once: parameters, and buffers that are kept."""
    kept = model.state_dict()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in kept}
    return {name: p.detach() for name, p in model.named_parameters()} | buffers


def is_decayed(name: str) -> bool:
    """Whether weight decay acts on a parameter of an encoder, as in ELECTRA's released code."""
    return not (name.endswith("bias") or "LayerNorm" in name)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups of an encoder for AdamW: what decays, and biases and layer norms, which do not."""
    decayed: list[Tensor] = []
    undecayed: list[Tensor] = []
    for name, parameter in model.named_parameters():
        (decayed if is_decayed(name) else undecayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
    ]
