"""What a module is made of, as far as torch's own classes tell, and hooks on its parts."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import activation as activation_modules

_NOT_ACTIVATIONS = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)


def is_activation(module: nn.Module) -> bool:
    """Whether a module is one of torch's or transformers' activation functions."""
    home = type(module).__module__
    known = home == activation_modules.__name__ or home == "transformers.activations"
    return known and not isinstance(module, _NOT_ACTIVATIONS)


def entering_state(cell: nn.RNNCellBase, input: Tensor, hx: Any = None) -> Tensor:
    """The hidden state that a call of a cell was given; zero where it was given none."""
    if hx is None:
        return input.new_zeros(len(input), cell.hidden_size)
    state: Tensor = hx[0] if isinstance(hx, tuple) else hx
    return state


def in_order(module: nn.Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any]) -> list[Any]:
    """What a module is called with, in the order of its parameters: masks behind what it reads."""
    names = dict.fromkeys((*inspect.signature(module.forward).parameters, *keywords))
    return [*inputs, *(keywords[name] for name in names if name in keywords)]


def hook_all(
    stack: ExitStack, modules: Iterable[nn.Module], function: Callable[..., Any], *leading: Any
) -> None:
    """Call a function with these arguments, a module's inputs and its output.

    Inputs given by keyword stand behind the others, in the order of the module's parameters.
    A result that is not None takes the place of the output.
    """

    def hook(module: Any, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> Any:
        given = tuple(in_order(module, inputs, keywords)) if keywords else inputs
        return function(*leading, given, output)

    for module in modules:
        stack.enter_context(module.register_forward_hook(hook, with_kwargs=True))


def handed_out(tensor: Tensor) -> Tensor:
    """What a module gets in place of a recorded tensor: a copy, which it may change in place."""
    return tensor.clone(memory_format=torch.contiguous_format)
