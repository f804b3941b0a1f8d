"""The structure of a transformer: its layers, their attention and linear maps, its embeddings.

Nothing here knows a model by its name.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from archscout.recorders.parts import is_activation


@dataclass(frozen=True)
class Attention:
    """An attention block: the outermost module of it, those inside it, and its linear maps."""

    module: nn.Module
    inner: Sequence[nn.Module]
    linears: Sequence[nn.Module]


@dataclass(frozen=True)
class Layer:
    """One of the repeated blocks. Of one without attention nothing but its output is known."""

    module: nn.Module
    attentions: Sequence[Attention]
    feed_forward: Sequence[nn.Module] = ()
    activations: Sequence[nn.Module] = ()


def attention_layers(module: nn.Module) -> list[Layer]:
    """The elements of the outermost lists of modules in which there is attention."""
    layers: list[Layer] = []
    inside: set[int] = set()
    for blocks in module.modules():
        if isinstance(blocks, nn.ModuleList) and id(blocks) not in inside:
            found = [_layer(block) for block in blocks.children()]
            if any(layer.attentions for layer in found):
                layers += found
                inside |= {id(m) for m in blocks.modules()}
    return layers


def _layer(block: nn.Module) -> Layer:
    attentions = []
    inside: set[int] = set()
    for name, module in block.named_modules():
        if name and id(module) not in inside and _is_attention(name, module):
            inner = list(module.modules())
            attentions.append(Attention(module, inner, [m for m in inner if _is_linear(m)]))
            inside |= {id(m) for m in inner}
    if not attentions:
        return Layer(block, [])
    outside = [m for m in block.modules() if id(m) not in inside]
    return Layer(
        block,
        attentions,
        [m for m in outside if _is_linear(m)],
        [m for m in outside if is_activation(m)],
    )


def _is_attention(name: str, module: nn.Module) -> bool:
    """By the field's own word, in the class's or the attribute's name, and linear maps inside."""
    words = f"{name.rpartition('.')[2]} {type(module).__name__}".lower()
    if "attention" not in words and "attn" not in words:
        return False
    # Torch's own attention calls no linear map: nothing of it can be hooked.
    if any(isinstance(m, nn.MultiheadAttention) for m in module.modules()):
        return False
    return any(_is_linear(m) for m in module.modules() if m is not module)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or is_transposed(module)


def is_transposed(module: nn.Module) -> bool:
    """Whether it is a linear map whose weight is stored as (inputs, outputs)."""
    return descends(module, "pytorch_utils", "Conv1D")


def descends(module: nn.Module, file: str, name: str) -> bool:
    """Whether the module's class is one of the transformers library's, without importing it."""
    home = f"transformers.{file}"
    return any(c.__module__ == home and c.__name__ == name for c in type(module).__mro__)


def weight_of(linear: nn.Module) -> Tensor:
    """(outputs, inputs)."""
    weight = linear.weight
    assert isinstance(weight, Tensor)
    return weight.t() if is_transposed(linear) else weight


def input_embeddings(module: nn.Module) -> list[nn.Embedding]:
    """The modules that may embed the input: all that hold the weight of the input embedding.

    An encoder and a decoder may each have a module of their own for one shared weight.
    """
    embeddings = [m for m in module.modules() if isinstance(m, nn.Embedding)]
    for model in module.modules():
        getter: Any = getattr(model, "get_input_embeddings", None)
        if callable(getter):
            try:
                found = getter()
            except NotImplementedError:
                continue
            if isinstance(found, nn.Embedding):
                return [m for m in embeddings if m.weight is found.weight]
    return embeddings[:1]


def position_embedding(
    module: nn.Module, layers: Sequence[Layer], others: Sequence[nn.Module]
) -> nn.Embedding | None:
    """The embedding outside of the layers with a row for each position of the configuration."""
    excluded = {id(m) for layer in layers for m in layer.module.modules()} | {id(m) for m in others}
    positions: set[int] = set()
    for config in _configurations(module):
        count = getattr(config, "max_position_embeddings", None)
        count = getattr(config, "n_positions", None) if count is None else count
        # Some models keep two more rows, for padding.
        positions |= {count, count + 2} if isinstance(count, int) else set()
    candidates = [m for m in module.modules() if isinstance(m, nn.Embedding)]
    return next(
        (m for m in candidates if m.num_embeddings in positions and id(m) not in excluded), None
    )


def _configurations(module: nn.Module) -> list[Any]:
    """The configurations of a model and its parts, those that hold others first."""
    found: list[Any] = []
    waiting = [getattr(m, "config", None) for m in module.modules()]
    while waiting:
        config = waiting.pop(0)
        if config is None or any(config is other for other in found):
            continue
        found.append(config)
        waiting += [getattr(config, name, None) for name in getattr(config, "sub_configs", ())]
    return found


@contextmanager
def configured(module: nn.Module) -> Iterator[None]:
    """Eager attention, no cache, and outputs with names, for a while."""
    changes = {"_attn_implementation": "eager", "use_cache": False, "return_dict": True}
    # Only the transformers library's configurations are known to mean this.
    configs = [c for c in _configurations(module) if hasattr(c, "_attn_implementation")]
    before = [
        (config, name, getattr(config, name))
        for config in configs
        for name in changes
        if hasattr(config, name)
    ]
    try:
        for config, name, _ in before:
            setattr(config, name, changes[name])
        yield
    finally:
        # In the order in which they were read: a configuration sets those that it holds.
        for config, name, value in before:
            setattr(config, name, value)
