"""What a module is called with, one tensor of which is the minibatch, and what it returns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from archscout.errors import InputError

Given = Tensor | Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True)
class Batch:
    """The arguments of a call, one of which is the minibatch."""

    input: Tensor
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, given: Given, name: str = "") -> Self:
        """Take a batch apart; the minibatch is the argument of that name, or the first tensor."""
        keywords = dict(given) if isinstance(given, Mapping) else {}
        arguments = () if keywords else (given,) if isinstance(given, Tensor) else tuple(given)
        values = (keywords.get(name), *arguments, *keywords.values())
        first = next((value for value in values if isinstance(value, Tensor)), None)
        if first is None or first.dim() < 2:
            shape = "no tensor" if first is None else f"a tensor of shape {tuple(first.shape)}"
            raise InputError(f"batch holds {shape}; expected one of (T, B), (B, T) or more axes")
        return cls(first, arguments, keywords)

    def call(self, module: nn.Module, place: Callable[[Any], Any]) -> Any:
        """Call a module with what `place` makes of each argument."""
        keywords = {name: place(value) for name, value in (self.keywords or {}).items()}
        return module(*map(place, self.arguments), **keywords)


NONE = Batch(torch.empty(0, 0))
"""What there is before a batch was given."""


def first_tensor(output: Any) -> Tensor:
    """The first tensor of what a module returned."""
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, Mapping) else output
    for value in values if isinstance(values, Iterable) else ():
        if isinstance(value, Tensor):
            return value
    raise InputError(f"the module returned {type(output).__name__}, which holds no tensor")


def doubled(value: Any) -> Any:
    """The same with every tensor of numbers in it in float64."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if type(value) in (list, tuple):
        return type(value)(map(doubled, value))
    if isinstance(value, dict):
        return {name: doubled(v) for name, v in value.items()}
    return value
