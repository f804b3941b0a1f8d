"""The structure of a transformer: its layers, their attention and linear maps, its embeddings.

Nothing here knows a model by its name.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from archscout.recorders.parts import is_activation
from archscout.recording import descends


@dataclass(frozen=True)
class Attention:
    """An attention block: the outermost module of it, those inside it, and its linear maps."""

    module: nn.Module
    inner: Sequence[nn.Module]
    linears: Sequence[nn.Module]


@dataclass(frozen=True)
class Layer:
    """One of the repeated blocks: its attention, and the linear maps and activations beside it."""

    module: nn.Module
    attentions: Sequence[Attention]
    feed_forward: Sequence[nn.Module] = ()
    activations: Sequence[nn.Module] = ()


def attention_layers(module: nn.Module) -> list[Layer]:
    """The repeated blocks that hold attention, and what stands between them.

    They are the elements of lists and sequences of modules, not of those that hold such lists in
    turn, as stages do; or else modules of one class side by side.
    """
    layers: list[Layer] = []
    inside: set[int] = set()
    for blocks in module.modules():
        if not isinstance(blocks, _LISTS) or id(blocks) in inside:
            continue
        children = list(blocks.children())
        holding = [child for child in children if _attentions(child)]
        if holding and not any(map(_holds_blocks, holding)):
            layers += [_layer(c) for c in children if c in holding or _is_composite(c)]
            inside |= {id(m) for m in blocks.modules()}
    return layers or _siblings(module)


_LISTS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)


def _siblings(module: nn.Module) -> list[Layer]:
    """Blocks with attention that stand side by side under names of their own."""
    for parent in module.modules():
        holding = [child for child in parent.children() if _attentions(child)]
        if len(holding) > 1 and len({type(child) for child in holding}) == 1:
            return [_layer(child) for child in holding]
    return []


def _holds_blocks(block: nn.Module) -> bool:
    """Whether there are blocks inside: a list of modules of one class that all hold attention."""
    attention = {id(m) for found in _attentions(block) for m in found.inner}
    for inner in block.modules():
        children = list(inner.children()) if isinstance(inner, _LISTS) else []
        is_one_class = len({type(child) for child in children}) == 1
        if is_one_class and id(inner) not in attention and all(map(_attentions, children)):
            return True
    return False


def _is_composite(block: nn.Module) -> bool:
    return next(block.children(), None) is not None and any(map(is_linear, block.modules()))


def _attentions(block: nn.Module) -> list[Attention]:
    attentions = []
    inside: set[int] = set()
    for name, module in block.named_modules():
        if name and id(module) not in inside and _is_attention(name, module):
            inner = list(module.modules())
            attentions.append(Attention(module, inner, [m for m in inner if is_linear(m)]))
            inside |= {id(m) for m in inner}
    return attentions


def _layer(block: nn.Module) -> Layer:
    attentions = _attentions(block)
    inside = {id(m) for attention in attentions for m in attention.inner}
    outside = [m for m in block.modules() if id(m) not in inside]
    return Layer(
        block,
        attentions,
        [m for m in outside if is_linear(m)],
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
    return any(is_linear(m) for m in module.modules() if m is not module)


def is_linear(module: nn.Module) -> bool:
    """Whether it is a linear map, of torch or stored the other way round."""
    return isinstance(module, nn.Linear) or is_transposed(module)


def is_transposed(module: nn.Module) -> bool:
    """Whether it is a linear map whose weight is stored as (inputs, outputs)."""
    return descends(module, "pytorch_utils", "Conv1D")


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
    """Eager attention and experts, no cache, and outputs with names, for a while."""
    changes = {
        "_attn_implementation": "eager",
        "_experts_implementation": "eager",
        "use_cache": False,
        "return_dict": True,
    }
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
