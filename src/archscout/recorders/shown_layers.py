"""What runs of a transformer on one batch show: its layers, and what their parts do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.recorders.axes import RESULT, Layout
from archscout.recorders.observation import WeightView
from archscout.recorders.shown import Place, ShownModule
from archscout.recorders.structure import Layer, attention_layers, position_embedding
from archscout.recorders.survey import Cores, Look, MixLook, Survey, named_parts

# Of each layer what is seen of its attentions, and of its parts where it has none.
_Looks = tuple[list[list[Look]], list[list[MixLook]]]

# So many inputs show what the parts of a transformer do.
_FEW_INPUTS = 2


class ShownTransformer(ShownModule):
    """A transformer and what it does with a batch, without what is recorded of it.

    Args:
        module: with repeated blocks that hold attention.
        batch_first: as of `ModuleRecorder`.
    """

    def __init__(self, module: nn.Module, batch_first: bool | None = None) -> None:
        super().__init__(module, batch_first)
        self._blocks = attention_layers(module)
        if not self._blocks:
            raise InputError(f"{type(module).__name__} has no repeated blocks with attention")

    @cached_property
    def _layers(self) -> list[Layer]:
        """The blocks that took part; of those without attention the ones that are as wide."""
        width = next(
            (self._shape(b)[-1] for b in self._blocks if b.attentions and self._shape(b)), 0
        )
        return [
            block
            for block in self._blocks
            if any(map(self.seen.ran, block.module.modules()))
            and (block.attentions or self._shape(block)[-1:] == (width,))
        ]

    @property
    def fits(self) -> bool:
        """Whether layers with attention take part, and no recurrent module does."""
        with_attention = any(layer.attentions for layer in self._layers)
        return with_attention and not self._recurrent and not self._cells

    def _shape(self, block: Layer) -> tuple[int, ...]:
        """That of what a block returns, or of what the last of its parts does."""
        shapes = (self.seen.shapes.get(id(m)) for m in (block.module, *block.module.modules()))
        return next((shape[0] for shape in shapes if shape), ())

    @cached_property
    def _survey(self) -> Survey:
        """What the parts do, by their names or as one run shows."""
        if any(map(_parts, self._layers)) or not all(
            named_parts(attention, self.seen)
            for layer in self._layers
            for attention in layer.attentions
        ):
            looks, mixers = self._looks
        else:
            looks, mixers = self._unlooked()
        survey = Survey()
        for layer, of_layer, of_mixers in zip(self._layers, looks, mixers, strict=True):
            survey.add(layer, of_layer, [mixer.module for mixer in of_mixers if mixer.mixes])
        survey.maps = [part for part in survey.maps if self.seen.ran(part.module)]
        return survey

    @cached_property
    def _cores(self) -> Cores:
        """Where the probabilities of attention are."""
        cores = Cores()
        for of_layer in self._looks[0]:
            cores.add(of_layer)
        return cores

    def _unlooked(self) -> _Looks:
        looks = [[Look(a, self.seen) for a in layer.attentions] for layer in self._layers]
        return looks, [[MixLook(m) for m in _parts(layer)] for layer in self._layers]

    @cached_property
    def _looks(self) -> _Looks:
        """What one run shows of the attention and the parts of each layer."""
        looks, mixers = self._unlooked()
        self._look(looks, mixers)
        return looks, mixers

    def _look(self, looks: Sequence[Sequence[Look]], mixers: Sequence[Sequence[MixLook]]) -> None:
        """Run once, and let the parts show what they do."""
        modules = [look.attention.linears for of_layer in looks for look in of_layer]
        modules.append([mixer.module for of_layer in mixers for mixer in of_layer])
        # Found out in runs of their own, before there are hooks.
        places = [(module, side) for some in modules for module in some for side in ("in", "out")]
        layouts = {place: self.axes.layout(place, 0) for place in places}
        with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
            batch = self._batch.cut(slice(_FEW_INPUTS)) if self.axes.inputs == 0 else None
            stack.enter_context(self._at_rest())
            for look in (look for of_layer in looks for look in of_layer):
                look.watch(stack, partial(_by_step, layouts))
            for mixer in (mixer for of_layer in mixers for mixer in of_layer):
                mixer.watch(stack, lambda m, s: getattr(layouts[m, s], "steps", None))
            self.run(batch=batch)

    @cached_property
    def _weights(self) -> list[WeightView]:
        """Those of the linear maps of all layers."""
        inside = {id(m) for layer in self._layers for m in layer.module.modules()}
        return [view for view in self.seen.weights if id(view.owner) in inside]

    @property
    def _others(self) -> list[tuple[WeightView, str]]:
        """The weights of maps that are no modules, such as a stack of experts, and their roles."""
        modules = {id(part.module) for part in self._survey.maps}
        attention = {
            id(m) for layer in self._layers for a in layer.attentions for m in a.module.modules()
        }
        apart = attention | self._survey.mixing
        return [
            (view, "" if id(view.owner) in apart else "feed_forward")
            for view in self._weights
            if id(view.owner) not in modules
        ]

    @property
    def depth(self) -> int:
        """Number of layers that run, those that run again counted again."""
        return sum(max(1, self.seen.calls[id(layer.module)]) for layer in self._layers)

    @property
    def width(self) -> float:
        """The hidden size."""
        return next((self._shape(layer)[-1] for layer in self._layers if self._shape(layer)), 0)

    @property
    def known(self) -> dict[str, Any]:
        """As of `ModuleRecorder`, and `heads`."""
        heads = {"heads": self._cores.heads} if "_cores" in vars(self) else {}
        return super().known | heads

    def _places(self) -> Iterator[Place]:
        yield from super()._places()
        for block in self._blocks:
            for module in (block.module, *block.activations, *_parts(block)):
                yield module, "in"
                yield module, "out"

    @cached_property
    def _activations(self) -> list[nn.Module]:
        """Those of the layers' feed-forward blocks that ran."""
        found = dict.fromkeys(m for layer in self._layers for m in layer.activations)
        return [module for module in found if self.seen.ran(module)]

    @property
    def _called_activations(self) -> list[int]:
        """Those that layers call beside their attention."""
        _ = self.axes.layout(RESULT)
        inside = {id(m) for layer in self._layers for m in layer.module.modules()}
        attention = (a.module for layer in self._layers for a in layer.attentions)
        inside -= {id(m) for module in attention for m in module.modules()}
        return [i for i, owner in enumerate(self._called) if id(owner) in inside]

    @property
    def _linear_modules(self) -> list[nn.Module]:
        return [part.module for part in self._survey.maps]

    @cached_property
    def _positions(self) -> nn.Embedding | None:
        tokens = [] if self._embedding is None else [self._embedding[0]]
        return position_embedding(self._network, self._blocks, tokens)


def _by_step(
    layouts: Mapping[Place, Layout | None], linear: nn.Module, tensor: Tensor
) -> Tensor | None:
    """What a projection returned, (T, B, columns), where its axes are known."""
    layout = layouts[linear, "out"]
    if layout is None or layout.steps is None or tensor.dim() != 3:
        return None
    return layout.time_first(tensor)


def _parts(layer: Layer) -> Sequence[nn.Module]:
    """What may let positions act on each other in a layer without attention."""
    return [] if layer.attentions else list(layer.module.children())
