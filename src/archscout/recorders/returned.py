"""What modules return: tensors, alone or in tuples, named tuples, mappings and data classes."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from archscout.errors import InputError


def named_values(output: Any) -> Iterator[tuple[str, Any]]:
    """What a module returned, one after another, with its name, or an empty one."""
    if isinstance(output, Mapping):
        yield from output.items()
    elif dataclasses.is_dataclass(output):
        yield from ((f.name, getattr(output, f.name)) for f in dataclasses.fields(output))
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        yield from zip(output._fields, output, strict=True)
    elif isinstance(output, tuple | list):
        yield from (("", value) for value in output)
    else:
        yield "", output


def tensors_of(output: Any) -> Iterator[Tensor]:
    """The tensors of what a module returned, in order."""
    return (value for _, value in named_values(output) if isinstance(value, Tensor))


def first_tensor(output: Any) -> Tensor:
    """The first tensor of what a module returned.

    Raises:
        InputError: it holds none.
    """
    for tensor in tensors_of(output):
        return tensor
    raise InputError(f"the module returned {type(output).__name__}, which holds no tensor")


def main_tensor(output: Any) -> Tensor:
    """What a module computed: the last hidden state by name, or the first tensor that is no scalar.

    A scalar is a loss, which some outputs hold first.

    Raises:
        InputError: it holds no tensor.
    """
    named = dict(named_values(output))
    values = [named.get("last_hidden_state"), *(value for _, value in named_values(output))]
    for value in values:
        if isinstance(value, Tensor) and value.is_floating_point() and value.dim():
            return value
    return first_tensor(output)


def loss_of(output: Any) -> Tensor | None:
    """The loss that a module returned: what is named so, or the only scalar beside others."""
    values = list(named_values(output))
    named = [value for name, value in values if name == "loss"]
    scalars = [v for _, v in values if isinstance(v, Tensor) and not v.dim() and len(values) > 1]
    for value in named or (scalars if len(scalars) == 1 else []):
        if isinstance(value, Tensor) and value.is_floating_point() and value.numel() == 1:
            return value.reshape(())
    return None


def replaced(output: Any, old: Tensor, new: Tensor) -> Any:
    """The same with one tensor in another's place, of the same type."""
    if output is old:
        return new
    if isinstance(output, PackedSequence):
        return output._replace(data=new)
    values = {name: new if value is old else value for name, value in named_values(output)}
    if isinstance(output, Mapping):
        changed = output.copy() if hasattr(output, "copy") else dict(output)
        for name, value in values.items():
            if value is new:
                changed[name] = value
        return changed
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return dataclasses.replace(output, **{n: v for n, v in values.items() if v is new})
    if hasattr(output, "_replace"):
        return output._replace(**values)
    return type(output)(new if value is old else value for value in output)
