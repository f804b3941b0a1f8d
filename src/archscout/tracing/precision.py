"""Half precision: a trace of such a network holds single precision, which metrics compute in."""

import dataclasses
from typing import Any, TypeVar

import torch
from torch import Tensor

from archscout.tracing.steps import StackedSteps

_HALVES = (torch.float16, torch.bfloat16)

Value = TypeVar("Value")


def in_single(value: Value) -> Value:
    """The same with every tensor of half precision in it as float32; others stay what they are."""
    return _in_single(value)  # type: ignore[no-any-return]


def _in_single(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype in _HALVES else value
    if isinstance(value, StackedSteps):
        return value.changed(_in_single)
    if isinstance(value, list | tuple):
        return type(value)(map(_in_single, value))
    if isinstance(value, dict):
        return {name: _in_single(v) for name, v in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (f.name for f in dataclasses.fields(value) if f.init)
        before = {name: getattr(value, name) for name in names}
        after = {name: _in_single(v) for name, v in before.items()}
        return dataclasses.replace(value, **after)
    return value
