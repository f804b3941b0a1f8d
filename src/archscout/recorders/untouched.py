"""Modules that are left as they were found."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from archscout.errors import InputError


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while."""
    training = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for m, mode in training.items():
            m.training = mode


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, gradients for every parameter and buffers that stay, for a while.

    Raises:
        InputError: the module has parameters that only its first run makes.
    """
    if late := [name for name, parameter in module.named_parameters() if is_lazy(parameter)]:
        raise InputError(
            f"{type(module).__name__} has parameters that only its first run makes, such as "
            f"{late[0]}: run it once before"
        )
    required = {p: p.requires_grad for p in module.parameters()}
    try:
        for parameter in required:
            if parameter.is_floating_point() or parameter.is_complex():
                parameter.requires_grad_(True)
        with evaluating(module), keeping_buffers(module):
            yield
    finally:
        for parameter, before in required.items():
            parameter.requires_grad_(before)


@contextmanager
def keeping_buffers(module: nn.Module) -> Iterator[None]:
    """Undo afterwards what runs change in buffers, such as a batch normalisation's statistics."""
    before = [
        (m, name, buffer, buffer.clone())
        for m in module.modules()
        for name, buffer in m.named_buffers(recurse=False)
        if not buffer.is_meta  # which has no values
    ]
    try:
        yield
    finally:
        for m, name, buffer, value in before:
            setattr(m, name, buffer)
            # Only what changed: a buffer may be a view that cannot be written to.
            if not torch.equal(buffer, value):
                with torch.no_grad():
                    buffer.copy_(value)
