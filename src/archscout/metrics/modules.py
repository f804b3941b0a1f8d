"""Any PyTorch module as the trace sees it: recorded by hooks, and left as it was found.

Recurrent modules (`torch.nn.RNN`, `GRU`, `LSTM`) hide their states inside fused kernels; while
being recorded they run layer by layer and step by step through the matching cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules import activation as activation_modules

from archscout.errors import InputError
from archscout.recording import Kind, Linear, Recording

_CELLS: dict[str, tuple[type[nn.RNNCellBase], dict[str, Any]]] = {
    "LSTM": (nn.LSTMCell, {}),
    "GRU": (nn.GRUCell, {}),
    "RNN_TANH": (nn.RNNCell, {"nonlinearity": "tanh"}),
    "RNN_RELU": (nn.RNNCell, {"nonlinearity": "relu"}),
}
_NOT_ACTIVATIONS = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)


class ModuleRecorder(AbstractContextManager["ModuleRecorder"]):
    """A module and one batch of input, for the trace.

    Used in a `with` statement, within which the module is in evaluation mode and every parameter
    requires a gradient; afterwards both are as before.

    Args:
        module: any module.
        batch: its input: a tensor, a mapping of keyword arguments, or a sequence of arguments;
            the first of them is the minibatch.
        batch_first: whether the minibatch is (B, T, ...) and not (T, B, ...); by default as its
            recurrent modules say, and True where it has none.

    Raises:
        InputError: the batch holds no tensor, or has fewer than two dimensions.
    """

    kind: Kind = "other"

    def __init__(
        self,
        module: nn.Module,
        batch: Tensor | Mapping[str, Tensor] | Sequence[Any],
        batch_first: bool | None = None,
    ) -> None:
        self._module = module
        self._arguments: tuple[Any, ...] = ()
        self._keywords: dict[str, Any] = {}
        if isinstance(batch, Tensor):
            self._arguments = (batch,)
        elif isinstance(batch, Mapping):
            self._keywords = dict(batch)
        else:
            self._arguments = tuple(batch)
        first = self._choose_input()
        if first is None or first.dim() < 2:
            shape = "no tensor" if first is None else f"a tensor of shape {tuple(first.shape)}"
            raise InputError(f"batch holds {shape}; expected one of (T, B), (B, T) or more axes")
        recurrent = [m for m in module.modules() if isinstance(m, nn.RNNBase)]
        if batch_first is None:
            batch_first = not any(not m.batch_first for m in recurrent)
        self._batch_first = batch_first
        self._input = first
        self.minibatch = self._time_first(first)
        self._embeddings = [m for m in module.modules() if isinstance(m, nn.Embedding)][:1]
        self._activations = [m for m in module.modules() if is_activation(m)]
        self._cells = [m for m in module.modules() if isinstance(m, nn.RNNCellBase)]
        self._recurrent = recurrent
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._exit.enter_context(_untouched(self._module))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit.close()

    @property
    def parameters(self) -> int:
        """Number of parameters, shared ones once."""
        return sum(p.numel() for p in self._module.parameters())

    @property
    def recordable(self) -> Mapping[str, str | None]:
        """Which fields can be recorded, and why the others cannot."""
        reasons: dict[str, str | None] = dict.fromkeys(
            ("output", "embedding", "hidden_states", "activations", "linears")
        )
        for name in ("projections", "softmaxes"):
            reasons[name] = "it has no repeated blocks with attention"
        reasons["position_embedding"] = "it is not a transformer"
        reasons["loss"] = "what it is trained for is not known"
        if not self._recurrent and not self._cells:
            reasons["hidden_states"] = "it has no torch.nn.RNN, GRU or LSTM, nor their cells"
        for recurrent in self._recurrent:
            if recurrent.bidirectional or recurrent.proj_size:
                kind = "bidirectional" if recurrent.bidirectional else "projected"
                reasons["hidden_states"] = f"states of {kind} recurrent modules are not supported"
        if not self._activations:
            reasons["activations"] = "it has no activation modules"
        if not self._embeddings and not self._input.is_floating_point():
            reasons["embedding"] = "it has no torch.nn.Embedding, and its input is of integers"
        if not any(True for _ in self._weights()):
            reasons["linears"] = "it has no torch.nn.Linear and no recurrent module"
        return reasons

    @property
    def tied_embedding(self) -> Tensor | None:
        """The embedding's weight (V, E) if a linear map shares it."""
        if self._embeddings:
            weight = self._embeddings[0].weight
            if any(m.weight is weight for m in self._module.modules() if isinstance(m, nn.Linear)):
                return weight
        return None

    def train(self, mode: bool) -> None:
        """Switch dropout on or off."""
        self._module.train(mode)

    def inputs_at_once(self, minibatch: Tensor) -> int:
        """All: a module may treat its inputs together, as batch normalisation does."""
        return max(1, minibatch.shape[1])

    def embed(self, minibatch: Tensor) -> Tensor:
        """The embeddings of the batch, (T, B, E), or the batch itself where it is of numbers."""
        if not self._embeddings:
            return self.minibatch
        seen: list[Tensor] = []
        handle = self._embeddings[0].register_forward_hook(
            lambda _module, _inputs, output: seen.append(output)
        )
        with handle, torch.no_grad():
            self._run()
        if not seen:
            raise InputError("the module's first torch.nn.Embedding took no part in its forward")
        return self._time_first(seen[0])

    def record(
        self,
        minibatch: Tensor,
        wanted: frozenset[str],
        depth: int | None = None,
        embeddings: Tensor | None = None,
    ) -> Recording:
        """Run the module once and keep what is wanted; see `Recorder`. Depth is not used."""
        recording = Recording()
        with ExitStack() as stack:
            given = self._replace_embeddings(stack, embeddings)
            if "activations" in wanted:
                for module in self._activations:
                    stack.enter_context(
                        module.register_forward_hook(
                            lambda _m, _i, output: recording.activations.append(
                                self._activation(output)
                            )
                        )
                    )
            if "hidden_states" in wanted:
                self._record_states(recording, stack)
            result = self._run(given)
        if "output" in wanted:
            recording.output = self._output(result)
        if "linears" in wanted:
            recording.linears = [Linear(weight) for weight in self._weights()]
        return recording

    def _choose_input(self) -> Tensor | None:
        """Which tensor of the batch is the minibatch."""
        given = (*self._arguments, *self._keywords.values())
        return next((value for value in given if isinstance(value, Tensor)), None)

    def _replace_embeddings(self, stack: ExitStack, embeddings: Tensor | None) -> Tensor | None:
        """Put these (T, B, E) in place of the batch's own; returned where they are the input."""
        if embeddings is None or not self._embeddings:
            return embeddings
        replaced = self._time_first(embeddings)
        stack.enter_context(self._embeddings[0].register_forward_hook(lambda *_: replaced))
        return None

    def _output(self, result: Any) -> Tensor:
        """What gradients are taken of, (T, B, ...)."""
        output = first_tensor(result)
        return self._time_first(output) if output.dim() > 1 else output

    def _record_states(self, recording: Recording, stack: ExitStack) -> None:
        for module in self._recurrent:
            stack.enter_context(_stepwise(module, recording.hidden_states.append))
        for cell in self._cells:
            steps: list[Tensor] = []
            recording.hidden_states.append(steps)
            stack.enter_context(
                cell.register_forward_pre_hook(
                    lambda module, inputs, keywords, steps=steps: steps.append(
                        _entering(module, *inputs, **keywords)
                    ),
                    with_kwargs=True,
                )
            )

    def _run(self, replacement: Tensor | None = None) -> Any:
        def place(value: Any) -> Any:
            if replacement is not None and value is self._input:
                return self._time_first(replacement)
            return value

        arguments = [place(value) for value in self._arguments]
        keywords = {name: place(value) for name, value in self._keywords.items()}
        return self._module(*arguments, **keywords)

    def _time_first(self, tensor: Tensor) -> Tensor:
        """(B, T, ...) to (T, B, ...) and back where the batch comes first."""
        return tensor.transpose(0, 1) if self._batch_first else tensor

    def _activation(self, output: Tensor) -> Tensor:
        axis = 0 if self._batch_first else 1
        if output.dim() <= axis or output.shape[axis] != self._input.shape[axis]:
            raise InputError(
                f"an activation module's output has shape {tuple(output.shape)}; activations are "
                f"compared between the {self._input.shape[axis]} inputs of the batch, which must "
                f"be axis {axis}"
            )
        return self._time_first(output) if output.dim() > 1 else output[None]

    def _weights(self) -> Iterator[Tensor]:
        seen = set()
        for module in self._module.modules():
            if isinstance(module, nn.Linear):
                weights = [module.weight]
            elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
                weights = [p for name, p in module.named_parameters() if name.startswith("weight")]
            else:
                continue
            for weight in weights:
                if id(weight) not in seen:
                    seen.add(id(weight))
                    yield weight


def is_activation(module: nn.Module) -> bool:
    """Whether a module is one of torch's or transformers' activation functions."""
    home = type(module).__module__
    known = home == activation_modules.__name__ or home == "transformers.activations"
    return known and not isinstance(module, _NOT_ACTIVATIONS)


def _entering(cell: nn.RNNCellBase, input: Tensor, hx: Any = None) -> Tensor:
    """The hidden state that a call of a cell was given; zero where it was given none."""
    if hx is None:
        return input.new_zeros(len(input), cell.hidden_size)
    state: Tensor = hx[0] if isinstance(hx, tuple) else hx
    return state


def first_tensor(output: Any) -> Tensor:
    """The first tensor of what a module returned.

    Raises:
        InputError: it holds none.
    """
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, Mapping) else output
    for value in values if isinstance(values, Iterable) else ():
        if isinstance(value, Tensor):
            return value
    raise InputError(f"the module returned {type(output).__name__}, which holds no tensor")


@contextmanager
def _untouched(module: nn.Module) -> Iterator[None]:
    """Evaluation mode and gradients for every parameter, for a while."""
    training = {m: m.training for m in module.modules()}
    required = {p: p.requires_grad for p in module.parameters()}
    module.eval()
    try:
        for parameter in required:
            parameter.requires_grad_(True)
        yield
    finally:
        for m, mode in training.items():
            m.training = mode
        for parameter, before in required.items():
            parameter.requires_grad_(before)


@contextmanager
def _stepwise(module: nn.RNNBase, keep: Callable[[Sequence[Tensor]], None]) -> Iterator[None]:
    """Run a recurrent module through cells while in this context, keeping each layer's states."""

    def forward(inputs: Tensor, hx: Any = None) -> Any:
        if not isinstance(inputs, Tensor) or inputs.dim() != 3:
            raise InputError("recurrent modules are recorded on tensors of three axes only")
        outputs = inputs.transpose(0, 1) if module.batch_first else inputs
        after = []
        for layer in range(module.num_layers):
            entering, outputs, state = _run_layer(module, layer, outputs, hx)
            keep(entering)
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
    module: nn.RNNBase, layer: int, inputs: Tensor, hx: Any
) -> tuple[list[Tensor], Tensor, Any]:
    """States entering each step, outputs (T, B, H), and the state after the last step."""
    make, options = _CELLS[module.mode]
    hidden_size = module.hidden_size
    cell = make(inputs.shape[-1], hidden_size, bias=module.bias, device="meta", **options)
    weights = {name: getattr(module, f"{name}_l{layer}") for name, _ in cell.named_parameters()}
    zeros = inputs.new_zeros(inputs.shape[1], hidden_size)
    state: Any
    if module.mode == "LSTM":
        state = (zeros, zeros) if hx is None else (hx[0][layer], hx[1][layer])
    else:
        state = zeros if hx is None else hx[layer]
    entering, outputs = [], []
    for step in inputs:
        entering.append(state[0] if module.mode == "LSTM" else state)
        state = functional_call(cell, weights, (step, state))
        outputs.append(state[0] if module.mode == "LSTM" else state)
    return entering, torch.stack(outputs), state
