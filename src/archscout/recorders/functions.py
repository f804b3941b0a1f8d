"""Activations that a module calls as functions, such as `torch.relu`, and not as modules."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archscout.recorders.parts import is_activation

_NAMES = (
    *("relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "mish", "leaky_relu", "prelu"),
    *("rrelu", "hardswish", "hardsigmoid", "hardtanh", "softplus", "softsign", "logsigmoid"),
    *("tanh", "sigmoid", "glu", "threshold", "hardshrink", "softshrink", "tanhshrink"),
)
_FUNCTIONS = {
    function
    for name in (*_NAMES, *(f"{name}_" for name in _NAMES))
    for home in (F, torch, Tensor)
    if (function := getattr(home, name, None)) is not None
}
# What has such functions inside and is recorded as a whole, or not at all.
_CLOSED = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)

# Called with the index of the call in the run, the innermost module that runs, and what the
# function read and returned; what it returns, if anything, takes the output's place.
See = Callable[[int, nn.Module, Tensor, Tensor], Tensor | None]


class CalledActivations(TorchFunctionMode):
    """Sees the activation functions that a module calls while this is entered.

    Args:
        network: the module.
        see: called at each call.
    """

    def __init__(self, network: nn.Module, see: See) -> None:
        super().__init__()
        self._network = network
        self._see = see
        self._running = [network]
        self._closed = 0
        self._count = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for module in self._network.modules():
            self._stack.enter_context(module.register_forward_pre_hook(self._enter))
            self._stack.enter_context(module.register_forward_hook(self._leave))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._stack.close()

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        self._running.append(module)
        self._closed += isinstance(module, _CLOSED) or is_activation(module)

    def _leave(self, module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._running.pop()
        self._closed -= isinstance(module, _CLOSED) or is_activation(module)

    def __torch_function__(
        self, function: Any, types: Any, inputs: Any = (), keywords: Any = None
    ) -> Any:
        given = keywords or {}
        is_seen = function in _FUNCTIONS and not self._closed
        read: Any = next(iter((*inputs, *given.values())), None)
        in_place = given.get("inplace") or any(value is True for value in inputs)
        if is_seen and (in_place or function.__name__.endswith("_")):
            read = read.clone()  # it may write its result there
        output = function(*inputs, **given)
        if not is_seen or not isinstance(output, Tensor):
            return output
        seen = self._see(self._count, self._running[-1], read, output)
        self._count += 1
        return output if seen is None else seen
