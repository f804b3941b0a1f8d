"""Torch's recurrent modules, run layer by layer and step by step while they are recorded.

`torch.nn.RNN`, `GRU` and `LSTM` hide their states, and what their weights multiply, inside fused
kernels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from archscout.errors import InputError
from archscout.recording import Linear

_CELLS: dict[str, tuple[type[nn.RNNCellBase], dict[str, Any]]] = {
    "LSTM": (nn.LSTMCell, {}),
    "GRU": (nn.GRUCell, {}),
    "RNN_TANH": (nn.RNNCell, {"nonlinearity": "tanh"}),
    "RNN_RELU": (nn.RNNCell, {"nonlinearity": "relu"}),
}

# The hidden state alone, or with an LSTM's cell state.
State = Tensor | tuple[Tensor, Tensor]


@dataclass
class Keeper:
    """Where what is seen goes, as into a `recording.Recording`; None where it is not wanted."""

    states: list[Tensor | Sequence[Tensor]] | None = None
    uses: list[Linear] | None = None
    taps: list[Tensor] = field(default_factory=list)


@contextmanager
def stepwise(module: nn.RNNBase, keeper: Keeper) -> Iterator[None]:
    """Run a recurrent module, neither bidirectional nor projected, step by step for a while."""

    def forward(inputs: Tensor, hx: Any = None) -> Any:
        if not isinstance(inputs, Tensor) or inputs.dim() != 3:
            raise InputError("recurrent modules are recorded on tensors of three axes only")
        outputs = inputs.transpose(0, 1) if module.batch_first else inputs
        after = []
        for layer in range(module.num_layers):
            outputs, state = _run_layer(module, layer, outputs, hx, keeper)
            after.append(state)
        if module.batch_first:
            outputs = outputs.transpose(0, 1)
        if module.mode == "LSTM":
            h, c = zip(*after, strict=True)
            return outputs, (torch.stack(h), torch.stack(c))
        return outputs, torch.stack(after)

    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def _run_layer(
    module: nn.RNNBase, layer: int, inputs: Tensor, hx: Any, keeper: Keeper
) -> tuple[Tensor, Any]:
    """Outputs (T, B, H), and the state after the last step."""
    state: State
    if hx is None:
        zeros = inputs.new_zeros(inputs.shape[1], module.hidden_size)
        state = (zeros, zeros) if module.mode == "LSTM" else zeros
    else:
        state = (hx[0][layer], hx[1][layer]) if module.mode == "LSTM" else hx[layer]
    entering: list[Tensor] = []
    make_step = _fused_step if keeper.uses is None else _separate_step
    step = make_step(module, layer, inputs, entering, keeper)
    outputs = []
    for t in range(len(inputs)):
        entering.append(state[0] if isinstance(state, tuple) else state)
        state = step(t, state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    if keeper.states is not None:
        keeper.states.append(entering)
    return torch.stack(outputs), state


def _fused_step(
    module: nn.RNNBase, layer: int, inputs: Tensor, _entering: list[Tensor], _keeper: Keeper
) -> Callable[[int, State], State]:
    """One step by torch's own cell."""
    make, options = _CELLS[module.mode]
    width = inputs.shape[-1]
    cell = make(width, module.hidden_size, bias=module.bias, device="meta", **options)
    weights = {name: getattr(module, f"{name}_l{layer}") for name, _ in cell.named_parameters()}

    def step(t: int, state: State) -> State:
        after: State = functional_call(cell, weights, (inputs[t], state))
        return after

    return step


def _separate_step(
    module: nn.RNNBase, layer: int, inputs: Tensor, entering: list[Tensor], keeper: Keeper
) -> Callable[[int, State], State]:
    """One step by two linear maps, each with its outputs of all steps in one tensor.

    The gradient of the hidden state's product is that of zeros added to it: it is there once, for
    all steps, when the backward pass has gone by all of them.
    """
    suffixes = ("ih", "hh")
    weights = [getattr(module, f"weight_{suffix}_l{layer}") for suffix in suffixes]
    biases = [
        getattr(module, f"bias_{suffix}_l{layer}") if module.bias else None for suffix in suffixes
    ]
    tap = torch.zeros((), device=inputs.device, requires_grad=torch.is_grad_enabled())
    of_inputs = F.linear(inputs, weights[0], biases[0]) + tap.to(inputs)
    added = torch.zeros_like(of_inputs, requires_grad=torch.is_grad_enabled())
    assert keeper.uses is not None
    keeper.uses += [Linear(weights[0], inputs, of_inputs), Linear(weights[1], entering, added)]
    keeper.taps += [tap, added]

    def step(t: int, state: State) -> State:
        hidden = state[0] if isinstance(state, tuple) else state
        of_hidden = F.linear(hidden, weights[1], biases[1]) + added[t]
        return _combine(module.mode, of_inputs[t], of_hidden, state)

    return step


def _combine(mode: str, of_input: Tensor, of_hidden: Tensor, state: State) -> State:
    """The state after a step, from its two products (B, gates * H); gates as torch orders them."""
    if isinstance(state, tuple):
        keep, forget, candidate, show = (of_input + of_hidden).chunk(4, 1)
        memory = forget.sigmoid() * state[1] + keep.sigmoid() * candidate.tanh()
        return show.sigmoid() * memory.tanh(), memory
    if mode == "GRU":
        reset, update, candidate = of_input.chunk(3, 1)
        hidden_reset, hidden_update, hidden_candidate = of_hidden.chunk(3, 1)
        gate = (update + hidden_update).sigmoid()
        new = (candidate + (reset + hidden_reset).sigmoid() * hidden_candidate).tanh()
        return (1 - gate) * new + gate * state
    total = of_input + of_hidden
    return total.tanh() if mode == "RNN_TANH" else total.relu()
