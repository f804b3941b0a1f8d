"""Transformers as the trace sees them, whoever wrote them: recorded by hooks, left as found.

Nothing here knows a model by its name. Layers are repeated blocks that hold an attention, and those
between them; the linear maps inside an attention close it or project, all others are feed-forward,
but for those by which a layer without attention lets positions act on each other. What a projection
is for shows in one run of the module: the probabilities of attention at one position depend on that
position's query, on every position's key, and on no value. Where a module returns no probabilities,
names decide (a fused projection is then taken to hold query, key and value in this order).
"""

import inspect
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.recorders.axes import RESULT, Layout
from archscout.recorders.batch import Given
from archscout.recorders.modules import ModuleRecorder, Place, handed_out, linear_of
from archscout.recorders.observation import WeightView
from archscout.recorders.parts import hook_all, in_order
from archscout.recorders.reasons import why_not_by_step
from archscout.recorders.returned import first_tensor, loss_of, replaced, tensors_of
from archscout.recorders.structure import (
    Layer,
    attention_layers,
    position_embedding,
)
from archscout.recorders.survey import (
    ATTENTION_ROLES,
    Cores,
    Look,
    MixLook,
    RoleMap,
    Survey,
    named_parts,
)
from archscout.recording import Linear, Recording

# Of each layer what is seen of its attentions, and of its parts where it has none.
_Looks = tuple[list[list[Look]], list[list[MixLook]]]

# So many inputs show what the parts of a transformer do.
_FEW_INPUTS = 2


@contextmanager
def recorded(
    module: nn.Module, batch: Given, batch_first: bool | None = None
) -> Iterator[ModuleRecorder]:
    """The recorder that fits what of a module runs on a batch, while it records this batch.

    Blocks with attention, or recurrent modules, that are there and do not run decide nothing.

    Args:
        module: any module.
        batch: what it is called with, see `ModuleRecorder.given`.
        batch_first: whether its minibatches are (B, T, ...) and not (T, B, ...).

    Raises:
        InputError: the module takes its batches in the other order.
    """
    if attention_layers(module):
        with TransformerRecorder(module, batch_first).given(batch) as recorder:
            if recorder.fits:
                yield recorder
                return
    with ModuleRecorder(module, batch_first).given(batch) as plain:
        yield plain


class TransformerRecorder(ModuleRecorder):
    """A transformer, for the trace. It records while it is `given` a batch.

    Args:
        module: with repeated blocks that hold attention.
        batch_first: as of `ModuleRecorder`; models of the transformers library take (B, T).

    Raises:
        InputError: the module has no such blocks, or takes its batches in the other order.
    """

    has_attention = True
    states_enter_steps = False

    def __init__(self, module: nn.Module, batch_first: bool | None = None) -> None:
        super().__init__(module, batch_first)
        if self._order_is_certain and batch_first is False:
            raise InputError(
                "batch_first=False, but models of the transformers library take batches (B, T)"
            )
        self._blocks = attention_layers(module)
        if not self._blocks:
            raise InputError(f"{type(module).__name__} has no repeated blocks with attention")

    # What a run shows

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

    # What can be had

    def _reasons(self) -> dict[str, Callable[[], str | None]]:
        return {
            **super()._reasons(),
            "output_by_step": self._why_no_output_by_step,
            "embedding_by_step": self._why_no_embedding_by_step,
            "layer_input": self._why_no_layer_input,
            "preactivations": lambda: self.recordable["activations"],
            "projections": self._why_no_projections,
            "softmaxes": lambda: self._cores.why_none(),
            "position_embedding": self._why_no_positions,
        }

    def _why_no_states(self) -> str | None:
        for layer in self._layers:
            if not self._shape(layer):
                return "its blocks return no tensor"
            if not self.seen.ran(layer.module):
                return "its blocks are lists of modules, which return no hidden states"
            what = "what its blocks return"
            if reason := self._why_not_by_position(what, (layer.module, "out")):
                return reason
        return None if self._layers else "its blocks took no part in its forward"

    def _why_not_by_position(self, what: str, place: Hashable) -> str | None:
        """Why a tensor has not one vector for each position of each input."""
        if reason := self._why_no_layout(what, place):
            return reason
        layout = self._layout(place)
        if layout.steps is None or layout.axes != 3:
            shape = self._shape_at(place)
            shown = f" of shape {shape}" if shape else ""
            return f"{what}{shown} holds not one vector for each position of each input"
        return None

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

    def _why_no_activations(self) -> str | None:
        what = "what an activation of its feed-forward blocks returns"
        places = self._activation_places
        reasons = (self._why_not_by_position(what, place) for place in places)
        if reason := next((reason for reason in reasons if reason), None):
            return reason
        return None if places else "its feed-forward blocks have no activations that take part"

    def _why_no_projections(self) -> str | None:
        projecting = [part for part in self._survey.maps if part.projects]
        what = "a projection of its attention"
        reasons = (self._why_not_by_position(what, (p.module, "out")) for p in projecting)
        if reason := next((reason for reason in reasons if reason), None):
            return reason
        if projecting:
            return None
        return "nothing shows which linear maps of its attention are query, key and value"

    @property
    def _linear_modules(self) -> list[nn.Module]:
        return [part.module for part in self._survey.maps]

    @cached_property
    def _embedded_shape(self) -> tuple[int, ...]:
        """(T, B, ...)."""
        if self._embedding is None:
            return tuple(self.minibatch.shape)
        module, call = self._embedding
        empty = torch.empty(self.seen.shapes[id(module)][call], device="meta")
        return tuple(self._embedding_layout.time_first(empty).shape)

    def _why_no_output_by_step(self) -> str | None:
        if reason := self.recordable["embedding"]:
            return reason
        empty = torch.empty(self.seen.shapes[id(self._network)][-1], device="meta")
        shape = tuple(self._output(empty).shape)
        return why_not_by_step("output", shape, self._embedded_shape)

    def _why_no_embedding_by_step(self) -> str | None:
        if self.recordable["embedding"] or self.recordable["hidden_states"]:
            return self.recordable["embedding"]
        for layer in self._layers:
            shape = self._time_first_shape((layer.module, "out"))
            if reason := why_not_by_step("hidden states", shape, self._embedded_shape):
                return reason
        return None

    def _why_no_layer_input(self) -> str | None:
        """Why steps of a layer cannot be told to be those of the one before."""
        if reason := self.recordable["hidden_states"]:
            return reason
        places = [(layer.module, "out") for layer in self._layers]
        lengths = sorted({self._time_first_shape(place)[0] for place in places})
        if len(lengths) > 1:
            return f"its blocks return {' or '.join(map(str, lengths))} positions"
        what = "what its first block reads"
        return self._why_not_by_position(what, (self._layers[0].module, "in"))

    def _time_first_shape(self, place: Place) -> tuple[int, ...]:
        empty = torch.empty(self._shape_at(place), device="meta")
        return tuple(self._layout(place).time_first(empty).shape)

    @cached_property
    def _positions(self) -> nn.Embedding | None:
        tokens = [] if self._embedding is None else [self._embedding[0]]
        return position_embedding(self._network, self._blocks, tokens)

    def _why_no_positions(self) -> str | None:
        if self._positions is not None:
            return None
        reason = "it has no embedding of positions"
        if any("rotary" in type(m).__name__.lower() for m in self._network.modules()):
            return f"{reason} (its positions are rotary)"
        return reason

    def _why_no_loss(self) -> str | None:
        if self._loss_is_returned:
            return None
        if "labels" in inspect.signature(self._network.forward).parameters:
            return "its output holds no loss; put labels in the batch"
        return "its output holds no loss, and its forward takes no labels"

    @property
    def tied_embedding(self) -> Tensor | None:
        """None: of a transformer the matrix of embedding and decoder is not scored."""
        return None

    # One pass

    def record(
        self,
        minibatch: Tensor,
        wanted: frozenset[str],
        depth: int | None = None,
        embeddings: Tensor | None = None,
        since: int = 0,
    ) -> Recording:
        """Run the module once and keep what is wanted; see `Recorder`. Depth is not used."""
        self._look_ahead(wanted, embeddings)
        recording = Recording()
        if "linears" in wanted:
            recording.linears = self._linears()
        if wanted <= {"linears"}:  # for which nothing has to be run
            return recording
        with ExitStack() as stack:
            given = self._replace_embeddings(stack, embeddings)
            if "hidden_states" in wanted:
                for layer in self._layers:
                    hook_all(stack, [layer.module], self._state, recording, layer.module)
            if "layer_input" in wanted:
                first = self._layers[0].module
                hook = partial(self._entering, recording)
                stack.enter_context(first.register_forward_pre_hook(hook, with_kwargs=True))
            self._record_activations(recording, stack, wanted)
            if "softmaxes" in wanted:
                for core, index in self._cores.found:
                    hook_all(stack, [core], self._softmax, recording, index)
            for part in self._survey.maps if "projections" in wanted else ():
                if part.projects:
                    hook_all(stack, [part.module], self._projected, recording, part)
            if "linear_uses" in wanted:
                self._record_uses(recording, stack)
            result = self.run(given, self._batch_of(minibatch))
        if "output" in wanted:
            recording.output = self._output(result)
        if "loss" in wanted:
            recording.loss = loss_of(result)
        if "position_embedding" in wanted and self._positions is not None:
            recording.position_embedding = self._positions.weight
        return recording

    # Bodies of forward hooks; each returns what replaces the output, or nothing.

    def _state(self, recording: Recording, module: nn.Module, _inputs: Any, output: Any) -> Any:
        # The kept tensor must be one that the objective is computed from, to have a gradient.
        layout, first = self._layout((module, "out")), first_tensor(output)
        state = layout.time_first(first)
        recording.hidden_states.append(state)
        return replaced(output, first, handed_out(layout.back(state)))

    def _entering(
        self,
        recording: Recording,
        module: nn.Module,
        inputs: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> Any:
        if recording.layer_input is not None:  # layers that share one module
            return None
        layout = self._layout((module, "in"), 0)
        first = next(tensors_of(in_order(module, inputs, keywords)))
        entering = recording.layer_input = layout.time_first(first)
        returned = handed_out(layout.back(entering))
        return (
            tuple(returned if value is first else value for value in inputs),
            {name: returned if value is first else value for name, value in keywords.items()},
        )

    def _softmax(self, recording: Recording, index: int, _inputs: Any, output: Any) -> None:
        recording.softmaxes.append(output[index])

    def _projected(
        self, recording: Recording, part: RoleMap, _inputs: Any, output: Tensor
    ) -> Tensor:
        layout = self._layout((part.module, "out"))
        whole = layout.time_first(output)
        ordered = whole if part.order is None else whole[..., part.order]
        recording.projections += [
            ordered[..., columns]
            for role, columns in part.columns.items()
            if role in ATTENTION_ROLES
        ]
        return handed_out(output)

    def _look_ahead(self, wanted: frozenset[str], embeddings: Tensor | None) -> None:
        super()._look_ahead(wanted, embeddings)
        if "linears" in wanted:
            with torch.inference_mode(False), torch.random.fork_rng():
                _ = self._survey

    def _linears(self) -> list[Linear]:
        """The maps of each layer after those of the one before, its attention first."""
        found = [linear for part in self._survey.maps for linear in part.weights()]
        found += [linear_of(view, role) for view, role in self._others]
        known: dict[int, Linear] = {}
        for linear in found:
            if linear.stored is not None or id(linear.weight) not in known:
                known[id(linear.weight)] = linear
        return list(known.values())


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
