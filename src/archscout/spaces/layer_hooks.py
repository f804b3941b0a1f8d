"""What our transformers leave of a run of theirs, by hooks on their layers."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from torch import Tensor, nn

from archscout.recording import Linear, Recording


class LayerParts(NamedTuple):
    """A layer (B, T, D) to (B, T, D), which returns its output first, and what is recorded of it.

    Attributes:
        layer: the layer.
        projections: of its mixing operation: query, key and value, where it has them.
        activation: of its feed-forward block.
        linears: all its linear maps.
    """

    layer: nn.Module
    projections: Sequence[nn.Module]
    activation: nn.Module
    linears: Sequence[nn.Linear]


def record_layers(
    stack: ExitStack, recording: Recording, layers: Iterable[LayerParts], wanted: frozenset[str]
) -> None:
    """Keep what is wanted of layers, time first, until the stack is closed."""
    for i, parts in enumerate(layers):
        if not i and "layer_input" in wanted:
            stack.enter_context(parts.layer.register_forward_pre_hook(_keep_input(recording)))
        for module, keep in _hooks(recording, parts, wanted):
            stack.enter_context(module.register_forward_hook(keep))


def _kept(tensors: list[Any], batch_first: Tensor) -> Tensor:
    """The same, after it was kept with time first: what is kept must be part of the graph."""
    tensors.append(batch_first.transpose(0, 1))
    kept: Tensor = tensors[-1].transpose(0, 1)
    return kept


def _keep_input(recording: Recording) -> Any:
    def keep(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        entering: list[Tensor] = []
        inputs = (_kept(entering, inputs[0]), *inputs[1:])
        (recording.layer_input,) = entering
        return inputs

    return keep


def _hooks(
    recording: Recording, parts: LayerParts, wanted: frozenset[str]
) -> Iterator[tuple[nn.Module, Any]]:
    """Modules of a layer whose outputs are kept, with the hooks that keep them."""

    def keep(tensors: list[Any]) -> Any:
        return lambda _module, _inputs, output: _kept(tensors, output)

    def keep_state(_module: nn.Module, _inputs: Any, output: tuple[Tensor, Any]) -> Any:
        return _kept(recording.hidden_states, output[0]), output[1]

    def keep_use(module: nn.Linear, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        outputs = output.transpose(0, 1)
        recording.linear_uses.append(Linear(module.weight, inputs[0].transpose(0, 1), outputs))
        return outputs.transpose(0, 1)

    def keep_inputs(_module: nn.Module, inputs: tuple[Tensor], _output: Tensor) -> None:
        recording.preactivations.append(inputs[0].transpose(0, 1))

    if "projections" in wanted:
        for module in parts.projections:
            yield module, keep(recording.projections)
    if "activations" in wanted:
        yield parts.activation, keep(recording.activations)
    if "preactivations" in wanted:
        yield parts.activation, keep_inputs
    if "linear_uses" in wanted:
        for linear in parts.linears:
            yield linear, keep_use
    if "hidden_states" in wanted:
        yield parts.layer, keep_state
