"""What a module is made of, as far as torch's own classes tell, and hooks on its parts."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

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


def used_weights(module: nn.Module) -> Iterator[object]:
    """What linear maps and recurrent modules multiply with, stored or computed."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            yield part.weight
        elif isinstance(part, nn.RNNBase):
            yield from (weight for layer in part.all_weights for weight in layer)
        elif isinstance(part, nn.RNNCellBase):
            yield from (part.weight_ih, part.weight_hh)


def stored_weights(module: nn.Module) -> list[Tensor]:
    """The parameters of linear maps and recurrent modules that are weights, each once."""
    weights: list[Tensor] = []
    for part in module.modules():
        if isinstance(part, nn.Linear):
            weights.append(part.weight)
        elif isinstance(part, nn.RNNBase | nn.RNNCellBase):
            weights += [p for name, p in part.named_parameters() if name.startswith("weight")]
    return list({id(weight): weight for weight in weights}.values())


def hook_all(
    stack: ExitStack, modules: Iterable[nn.Module], function: Callable[..., Any], *leading: Any
) -> None:
    """Call a function with these arguments, a module's inputs and its output.

    Inputs given by keyword stand behind the others, in the order in which they were given.
    A result that is not None takes the place of the output.
    """

    def hook(_module: Any, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> Any:
        return function(*leading, (*inputs, *keywords.values()), output)

    for module in modules:
        stack.enter_context(module.register_forward_hook(hook, with_kwargs=True))
