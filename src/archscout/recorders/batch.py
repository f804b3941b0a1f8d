"""What a module is called with, one tensor of which is the minibatch, and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_leaves

from archscout.errors import InputError

Given = Tensor | Mapping[str, Any] | Sequence[Any]

# The names by which models of the transformers library are given their text.
_MINIBATCHES = ("input_ids", "inputs_embeds")


@dataclass(frozen=True)
class Batch:
    """The arguments of a call, one of which is the minibatch."""

    input: Tensor
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, given: Given) -> Self:
        """Take a batch apart; the minibatch is `input_ids`, `inputs_embeds` or the first tensor.

        A packed sequence is one argument, whose data are the minibatch.
        """
        keywords = dict(given) if isinstance(given, Mapping) else {}
        is_one = isinstance(given, Tensor | PackedSequence)
        arguments = () if keywords else (given,) if is_one else tuple(given)
        values = (*map(keywords.get, _MINIBATCHES), *arguments, *keywords.values())
        values = tuple(v.data if isinstance(v, PackedSequence) else v for v in values)
        first = next((value for value in values if isinstance(value, Tensor)), None)
        packed = any(isinstance(v, PackedSequence) for v in (*arguments, *keywords.values()))
        if first is None or (first.dim() < 2 and not packed):
            shape = "no tensor" if first is None else f"a tensor of shape {tuple(first.shape)}"
            raise InputError(f"batch holds {shape}; expected one of (T, B), (B, T) or more axes")
        return cls(first, arguments, keywords)

    @property
    def is_packed(self) -> bool:
        """Whether the minibatch is that of a packed sequence, in which inputs have no axis."""
        values = (*self.arguments, *(self.keywords or {}).values())
        return any(isinstance(v, PackedSequence) and v.data is self.input for v in values)

    @property
    def padding(self) -> tuple[int, int]:
        """How many of the positions are padding by the masks in the batch, and of how many."""
        for name, mask in (self.keywords or {}).items():
            is_mask = "attention_mask" in name and isinstance(mask, Tensor)
            if is_mask and mask.dim() == 2 and not mask.is_meta:
                return int((mask == 0).sum()), mask.numel()
        return 0, 0

    def cut(self, inputs: slice, others: slice = slice(None)) -> Self | None:
        """The batch with a part of the minibatch's first two axes, masks and labels alike.

        None where some of its tensors have other axes, which cannot be told to belong to these.
        """
        shape = self.input.shape[:2]
        tensors = [t for t in _tensors(self.arguments, self.keywords) if t is not self.input]
        if self.is_packed or any(tensor.shape[:2] != shape for tensor in tensors):
            return None
        small = self.input[inputs, others].contiguous()

        def change(tensor: Tensor) -> Tensor:
            return small if tensor is self.input else tensor[inputs, others].contiguous()

        keywords = {name: with_tensors(v, change) for name, v in (self.keywords or {}).items()}
        return type(self)(small, tuple(with_tensors(v, change) for v in self.arguments), keywords)

    def call(self, module: nn.Module, place: Callable[[Any], Any]) -> Any:
        """Call a module with what `place` makes of each argument."""
        keywords = {name: place(value) for name, value in (self.keywords or {}).items()}
        return module(*map(place, self.arguments), **keywords)


def _tensors(*values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


NONE = Batch(torch.empty(0, 0))
"""What there is before a batch was given."""


def with_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same with every tensor in it changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, PackedSequence):
        return value._replace(data=change(value.data))
    if type(value) in (list, tuple):
        return type(value)(with_tensors(v, change) for v in value)
    if isinstance(value, dict):
        return {name: with_tensors(v, change) for name, v in value.items()}
    return value


def doubled(value: Any) -> Any:
    """The same with every tensor of numbers in it in float64."""
    return with_tensors(value, lambda t: t.double() if t.is_floating_point() else t)
