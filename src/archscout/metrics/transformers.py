"""Transformers as the trace sees them, whoever wrote them: recorded by hooks, left as found.

Nothing here knows a model by its name. Layers are the elements of a `torch.nn.ModuleList` that
hold an attention; the linear maps inside it close it or project, all others are feed-forward.
What a projection is for shows in one run of the module: the probabilities of attention at one
position depend on that position's query, on every position's key, and on no value. Where a module
returns no probabilities, names decide (a fused projection is then taken to hold query, key and
value in this order).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.metrics.modules import ModuleRecorder, first_tensor, is_activation
from archscout.recording import Kind, Linear, Recording

_ROLES = ("query", "key", "value")
_NAMES = {role: re.compile(rf"(^|_|w){role[0]}({role[1:]})?(_|$)", re.I) for role in _ROLES}


def module_recorder(
    module: nn.Module,
    batch: Tensor | Mapping[str, Any] | Sequence[Any],
    batch_first: bool | None = None,
) -> ModuleRecorder:
    """The recorder that fits a module: of transformers if it has repeated blocks with attention.

    Args:
        module: any module.
        batch: its input, see `ModuleRecorder`.
        batch_first: whether the minibatch is (B, T, ...) and not (T, B, ...).

    Raises:
        InputError: the batch cannot be the module's input.
    """
    recurrent = any(isinstance(m, nn.RNNBase | nn.RNNCellBase) for m in module.modules())
    if not recurrent and _layers(module):
        return TransformerRecorder(module, batch, batch_first)
    return ModuleRecorder(module, batch, batch_first)


class TransformerRecorder(ModuleRecorder):
    """A transformer and one batch of input, for the trace.

    Used in a `with` statement, within which the module is in evaluation mode, every parameter
    requires a gradient, and a model of the transformers library computes attention eagerly and
    keeps no cache, so that a score does not depend on what else is asked for; afterwards all are
    as before. On entering, the module is run once to see what its parts do.

    Args:
        module: with repeated blocks that hold attention.
        batch: its input: a tensor, a mapping of keyword arguments, or a sequence of arguments;
            the minibatch is `input_ids`, or else the first tensor.
        batch_first: whether the minibatch is (B, T, ...), as by default, and not (T, B, ...).

    Raises:
        InputError: the module has no such blocks, or the batch cannot be its input.
    """

    kind: Kind = "transformer"

    def __init__(
        self,
        module: nn.Module,
        batch: Tensor | Mapping[str, Any] | Sequence[Any],
        batch_first: bool | None = None,
    ) -> None:
        super().__init__(module, batch, batch_first is None or batch_first)
        if not self._batch_first and _descends(module, "modeling_utils", "PreTrainedModel"):
            raise InputError(
                "batch_first=False, but models of the transformers library take batches (B, T)"
            )
        self._layers = _layers(module)
        if not self._layers:
            raise InputError(f"{type(module).__name__} has no repeated blocks with attention")
        self._embedding_candidates = _input_embeddings(module)
        self._positions = _position_embedding(module, self._layers, self._embedding_candidates)
        self._survey = _Survey()

    def __enter__(self) -> Self:
        try:
            super().__enter__()
            self._exit.enter_context(_configured(self._module))
            self._survey = self._look()
        except BaseException:
            self._exit.close()
            raise
        self._embeddings = self._survey.embeddings
        return self

    @property
    def recordable(self) -> Mapping[str, str | None]:
        """Which fields can be recorded, and why the others cannot."""
        survey = self._survey
        return {
            "output": None,
            "embedding": self._why_no_embedding(),
            "hidden_states": survey.why_no_states(*self._inputs),
            "activations": survey.why_no_activations(),
            "linears": None,
            "projections": survey.why_no_projections(*self._inputs),
            "softmaxes": survey.why_no_softmaxes(),
            "position_embedding": self._why_no_positions(),
            "loss": self._why_no_loss(),
        }

    @property
    def tied_embedding(self) -> Tensor | None:
        """None: of a transformer the matrix of embedding and decoder is not scored."""
        return None

    def embed(self, minibatch: Tensor) -> Tensor:
        """The embeddings of the batch, (T, B, E), or the batch itself where it is of numbers."""
        if self._survey.embedded is None:
            return self.minibatch
        return self._time_first(self._survey.embedded)

    def record(
        self,
        minibatch: Tensor,
        wanted: frozenset[str],
        depth: int | None = None,
        embeddings: Tensor | None = None,
    ) -> Recording:
        """Run the module once and keep what is wanted; see `Recorder`. Depth is not used."""
        recording = Recording()
        linears: dict[int, list[Linear]] = {}
        with ExitStack() as stack:
            given = self._replace_embeddings(stack, embeddings)
            if "hidden_states" in wanted:
                _hook(stack, [layer.module for layer in self._layers], self._state, recording)
            if "activations" in wanted:
                modules = dict.fromkeys(m for layer in self._layers for m in layer.activations)
                _hook(stack, modules, self._activated, recording)
            if "softmaxes" in wanted:
                for core, index in self._survey.cores:
                    _hook(stack, [core], self._softmax, recording, index)
            for part in self._survey.maps:
                if ("linears" in wanted and not part.is_whole) or (
                    "projections" in wanted and part.projects
                ):
                    _hook(stack, [part.module], self._mapped, recording, part, wanted, linears)
            result = self._run(given)
        if "output" in wanted:
            recording.output = self._output(result)
        if "linears" in wanted:
            recording.linears = self._linears(linears)
        if "loss" in wanted:
            recording.loss = _loss(result)
        if "position_embedding" in wanted and self._positions is not None:
            recording.position_embedding = self._positions.weight
        return recording

    # Parts of one pass; each is a forward hook's body and returns what replaces the output.

    def _state(self, recording: Recording, _inputs: Any, output: Any) -> Any:
        # The kept tensor must be one that the objective is computed from, to have a gradient.
        state = self._time_first(first_tensor(output))
        recording.hidden_states.append(state)
        returned = self._time_first(state)
        return returned if isinstance(output, Tensor) else (returned, *output[1:])

    def _activated(self, recording: Recording, _inputs: Any, output: Tensor) -> None:
        recording.activations.append(self._time_first(output))

    def _softmax(self, recording: Recording, index: int, _inputs: Any, output: Any) -> None:
        recording.softmaxes.append(output[index])

    def _mapped(
        self,
        recording: Recording,
        part: _RoleMap,
        wanted: frozenset[str],
        linears: dict[int, list[Linear]],
        inputs: Any,
        output: Tensor,
    ) -> Tensor | None:
        ordered = output if part.order is None else output[..., part.order]
        if "projections" in wanted:
            recording.projections += [
                self._time_first(ordered[..., columns])
                for role, columns in part.columns.items()
                if role in _ROLES
            ]
        if "linears" in wanted and not part.is_whole:
            weight = _weight(part.module)
            weight = weight if part.order is None else weight[part.order]
            linears.setdefault(id(part), []).extend(
                Linear(weight[columns], inputs[0], ordered, columns, role=role)
                for role, columns in part.columns.items()
            )
        return None if part.order is None else ordered[..., part.order.argsort()]

    def _linears(self, in_parts: Mapping[int, Sequence[Linear]]) -> list[Linear]:
        """Of every map: its parts as they were recorded, or its weight, once, for autograd."""
        found = []
        weights: set[int] = set()
        for part in self._survey.maps:
            weight = _weight(part.module)
            if part.is_whole and id(weight) not in weights:
                weights.add(id(weight))
                (role,) = part.columns
                found.append(Linear(weight, role=role))
            found += in_parts.get(id(part), [])
        return found

    # What can be had

    @property
    def _inputs(self) -> tuple[int, int]:
        """The axis of the inputs of the batch, and their number."""
        axis = 0 if self._batch_first else 1
        return axis, self._input.shape[axis]

    def _choose_input(self) -> Tensor | None:
        named = self._keywords.get("input_ids")
        return named if isinstance(named, Tensor) else super()._choose_input()

    def _output(self, result: Any) -> Tensor:
        values = result if isinstance(result, Sequence) else [result]
        if isinstance(result, Mapping):
            values = [result.get("last_hidden_state"), *result.values()]
        for value in values:
            # A scalar is a loss, which some outputs hold first.
            if isinstance(value, Tensor) and value.is_floating_point() and value.dim():
                return super()._output(value)
        return super()._output(result)

    def _look(self) -> _Survey:
        """Run once and see what the parts do."""
        survey = _Survey()
        looks = [[_Look(attention) for attention in layer.attentions] for layer in self._layers]
        with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
            for embedding in self._embedding_candidates:
                _hook(stack, [embedding], survey.see_embedding, embedding)
            for layer, of_layer in zip(self._layers, looks, strict=True):
                _hook(stack, [layer.module], survey.see_state, layer)
                _hook(stack, layer.activations, survey.see_activation, layer)
                for look in of_layer:
                    look.watch(stack, self._time_first)
            result = self._run()
        self._output(result)
        survey.has_loss = _loss(result) is not None
        for layer, of_layer in zip(self._layers, looks, strict=True):
            survey.add(layer, of_layer)
        return survey

    def _why_no_embedding(self) -> str | None:
        if self._survey.embeddings or self._input.is_floating_point():
            return None
        if not self._embedding_candidates:
            return "it has no torch.nn.Embedding, and its input is of integers"
        return "its input embedding took no part in its forward"

    def _why_no_positions(self) -> str | None:
        if self._positions is not None:
            return None
        reason = "it has no embedding of positions"
        if any("rotary" in type(m).__name__.lower() for m in self._module.modules()):
            return f"{reason} (its positions are rotary)"
        return reason

    def _why_no_loss(self) -> str | None:
        if self._survey.has_loss:
            return None
        if "labels" in inspect.signature(self._module.forward).parameters:
            return "its output holds no loss; put labels in the batch"
        return "its output holds no loss, and its forward takes no labels"


# How a transformer is built


@dataclass(frozen=True)
class _Attention:
    """An attention block: the outermost module of it, those inside it, and its linear maps."""

    module: nn.Module
    inner: Sequence[nn.Module]
    linears: Sequence[nn.Module]


@dataclass(frozen=True)
class _Layer:
    """One of the repeated blocks. Of one without attention nothing but its output is known."""

    module: nn.Module
    attentions: Sequence[_Attention]
    feed_forward: Sequence[nn.Module] = ()
    activations: Sequence[nn.Module] = ()


def _layers(module: nn.Module) -> list[_Layer]:
    """The elements of the outermost lists of modules in which there is attention."""
    layers: list[_Layer] = []
    inside: set[int] = set()
    for blocks in module.modules():
        if isinstance(blocks, nn.ModuleList) and id(blocks) not in inside:
            found = [_layer(block) for block in blocks.children()]
            if any(layer.attentions for layer in found):
                layers += found
                inside |= {id(m) for m in blocks.modules()}
    return layers


def _layer(block: nn.Module) -> _Layer:
    attentions = []
    inside: set[int] = set()
    for name, module in block.named_modules():
        if name and id(module) not in inside and _is_attention(name, module):
            inner = list(module.modules())
            attentions.append(_Attention(module, inner, [m for m in inner if _is_linear(m)]))
            inside |= {id(m) for m in inner}
    if not attentions:
        return _Layer(block, [])
    outside = [m for m in block.modules() if id(m) not in inside]
    return _Layer(
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
    return isinstance(module, nn.Linear) or _is_transposed(module)


def _is_transposed(module: nn.Module) -> bool:
    """Whether it is a linear map whose weight is stored as (inputs, outputs)."""
    return _descends(module, "pytorch_utils", "Conv1D")


def _descends(module: nn.Module, file: str, name: str) -> bool:
    """Whether the module's class is one of the transformers library's, without importing it."""
    home = f"transformers.{file}"
    return any(c.__module__ == home and c.__name__ == name for c in type(module).__mro__)


def _weight(linear: nn.Module) -> Tensor:
    """(outputs, inputs)."""
    weight = linear.weight
    assert isinstance(weight, Tensor)
    return weight.t() if _is_transposed(linear) else weight


def _input_embeddings(module: nn.Module) -> list[nn.Embedding]:
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


def _position_embedding(
    module: nn.Module, layers: Sequence[_Layer], others: Sequence[nn.Module]
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
def _configured(module: nn.Module) -> Iterator[None]:
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


# What its parts do


@dataclass(frozen=True)
class _RoleMap:
    """A linear map, and which columns of its outputs have which role.

    Attributes:
        module: the map.
        columns: by role, of the outputs in that order.
        order: of the outputs, such that each role's stand together; None where they do already.
    """

    module: nn.Module
    columns: Mapping[str, slice]
    order: Tensor | None = None

    @property
    def projects(self) -> bool:
        """Whether it has a query, a key or a value."""
        return not self.columns.keys().isdisjoint(_ROLES)

    @property
    def is_whole(self) -> bool:
        """Whether its gradient is that of one weight as autograd knows it."""
        return len(self.columns) == 1 and not _is_transposed(self.module)


@dataclass
class _Call:
    """The first call of a linear map: its input and output, and what its columns turned out to be.

    Attributes:
        roles: of each column, the index of its role in `_ROLES`; None while nothing shows it.
    """

    linear: nn.Module
    input: Tensor
    output: Tensor
    roles: Tensor | None = None

    def reads_with(self, other: _Call) -> bool:
        """Whether both read the same tensor, or views of it."""
        storages = [call.input.untyped_storage().data_ptr() for call in (self, other)]
        return storages[0] == storages[1]


class _Look:
    """What one attention does during a run with gradients.

    Attributes:
        attention: which.
        core: the innermost module that returned the probabilities and where among what it
            returned, if any did.
        calls: of its linear maps, in order.
    """

    def __init__(self, attention: _Attention) -> None:
        self.attention = attention
        self.core: tuple[nn.Module, int] | None = None
        self.calls: list[_Call] = []
        self._generator = torch.Generator().manual_seed(0)

    def watch(self, stack: ExitStack, time_first: Callable[[Tensor], Tensor]) -> None:
        """Look until the stack is closed."""
        for linear in self.attention.linears:
            _hook(stack, [linear], self._see_linear, linear)
        for module in self.attention.inner:
            _hook(stack, [module], self._see_core, module, time_first)

    def _see_linear(self, linear: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        # Parameters may be shared between layers: the first call is enough.
        if any(call.linear is linear for call in self.calls):
            return None
        # Noise, since gradients vanish where weights are zero or all positions are alike.
        noise = torch.randn(output.shape, generator=self._generator)
        output = output + 0.1 * noise.to(output)
        self.calls.append(_Call(linear, inputs[0], output))
        return output

    def _see_core(
        self,
        module: nn.Module,
        time_first: Callable[[Tensor], Tensor],
        _inputs: Any,
        output: Any,
    ) -> None:
        index = None if self.core else _probabilities(output)
        if index is None:
            return
        self.core = module, index
        if not self.calls:
            return
        probabilities = output[index]
        weights = torch.linspace(0, 1, probabilities.shape[-1]).to(probabilities)
        gradients = torch.autograd.grad(
            (probabilities[..., -1, :] * weights).sum(),
            [call.output for call in self.calls],
            retain_graph=True,
            allow_unused=True,
        )
        if not any(gradient is not None and bool(gradient.any()) for gradient in gradients):
            return
        for call, gradient in zip(self.calls, gradients, strict=True):
            outputs = call.output
            # Only where the axes are known can positions be told apart.
            if outputs.dim() == 3 and time_first(outputs).shape[1] == len(probabilities):
                call.roles = _roles(
                    time_first(torch.zeros_like(outputs) if gradient is None else gradient)
                )

    def maps(self) -> list[_RoleMap]:
        """The linear maps that took part, with their roles."""
        if not self.calls:
            return []
        first, last = self.calls[0], self.calls[-1]
        closing = None if last.reads_with(first) else last
        projections = [call for call in self.calls if call is not closing]
        if all(call.roles is None for call in projections):
            for call in projections:
                call.roles = self._by_name(call, closing, fused=len(projections) == 1)
        found = [_role_map(call.linear, call.roles) for call in projections]
        return found + ([_RoleMap(closing.linear, {"output": slice(None)})] if closing else [])

    def _by_name(self, call: _Call, closing: _Call | None, fused: bool) -> Tensor | None:
        """The role of each column where no probabilities show it."""
        columns = call.output.shape[-1]
        if fused:
            # Queries are as wide as what closes the attention reads; keys and values may be less.
            width = columns // 3 if closing is None else closing.input.shape[-1]
            rest = (columns - width) // 2
            if rest < 1 or width + 2 * rest != columns:
                return None
            return torch.arange(3).repeat_interleave(torch.tensor([width, rest, rest]))
        path = next(n for n, m in self.attention.module.named_modules() if m is call.linear)
        for index, role in enumerate(_ROLES):
            if _NAMES[role].search(path.rpartition(".")[2]):
                return torch.full((columns,), index)
        return None


def _roles(effect: Tensor) -> Tensor:
    """The role of each column of a linear map's outputs.

    Args:
        effect: the gradient (T, B, columns) of the last position's probabilities of attention.
    """
    elsewhere = (effect[:-1] != 0).flatten(0, -2).any(0)
    anywhere = (effect != 0).flatten(0, -2).any(0)
    return torch.where(elsewhere, 1, torch.where(anywhere, 0, 2))


def _role_map(linear: nn.Module, roles: Tensor | None) -> _RoleMap:
    if roles is None:
        return _RoleMap(linear, {"": slice(None)})
    parts = {}
    start = 0
    for role, count in zip(_ROLES, roles.bincount(minlength=3).tolist(), strict=True):
        if count:
            parts[role] = slice(start, start + count)
        start += count
    order = roles.argsort(stable=True)
    in_place = bool((order == torch.arange(len(order), device=order.device)).all())
    return _RoleMap(linear, parts, None if in_place else order)


def _probabilities(output: Any) -> int | None:
    """Where the tensor (B, heads, T, T) whose rows sum to one is in what a module returned."""
    for index, value in enumerate(output if isinstance(output, tuple | list) else ()):
        if isinstance(value, Tensor) and value.dim() == 4 and value.requires_grad:
            sums = value.detach().float().sum(-1)
            if bool((value >= 0).all()) and torch.allclose(sums, sums.new_ones(()), atol=1e-2):
                return index
    return None


@dataclass
class _Survey:
    """What one run of a transformer showed of its parts.

    Attributes:
        embeddings: the module that embedded the input, if one did.
        embedded: what it returned.
        states: of each layer, in the order of the calls, the shape of its output.
        activations: by feed-forward activation, the layer and the shape of its output.
        projections: the shapes of the outputs of queries, keys and values.
        maps: the linear maps of all layers, with their roles.
        cores: the modules that return the probabilities of attention, one a layer, and where.
        missing: number of layers whose attention returns none.
        has_loss: whether the output holds a loss.
    """

    embeddings: list[nn.Embedding] = field(default_factory=list)
    embedded: Tensor | None = None
    states: list[tuple[nn.Module, tuple[int, ...]]] = field(default_factory=list)
    activations: list[tuple[nn.Module, tuple[int, ...]]] = field(default_factory=list)
    projections: list[tuple[int, ...]] = field(default_factory=list)
    maps: list[_RoleMap] = field(default_factory=list)
    cores: list[tuple[nn.Module, int]] = field(default_factory=list)
    missing: int = 0
    has_loss: bool = False

    def see_embedding(self, embedding: nn.Embedding, _inputs: Any, output: Tensor) -> None:
        """The first call is that of the minibatch, a later one that of a decoder."""
        if not self.embeddings:
            self.embeddings, self.embedded = [embedding], output.detach()

    def see_state(self, layer: _Layer, _inputs: Any, output: Any) -> None:
        """A layer has run."""
        usable = isinstance(output, Tensor | tuple | list)
        shape = tuple(first_tensor(output).shape) if usable else ()
        self.states.append((layer.module, shape))

    def see_activation(self, layer: _Layer, _inputs: Any, output: Tensor) -> None:
        """A feed-forward activation has run."""
        self.activations.append((layer.module, tuple(output.shape)))

    def add(self, layer: _Layer, looks: Sequence[_Look]) -> None:
        """What was seen of the attention of a layer, after the run."""
        for look in looks:
            maps = look.maps()
            outputs = {id(call.linear): call.output for call in look.calls}
            self.projections += [tuple(outputs[id(m.module)].shape) for m in maps if m.projects]
            self._add_maps(maps)
        self._add_maps(_RoleMap(m, {"feed_forward": slice(None)}) for m in layer.feed_forward)
        cores = [look.core for look in looks if look.core is not None]
        self.cores += [core for core in cores[:1] if core not in self.cores]
        self.missing += bool(looks) and not cores

    def _add_maps(self, maps: Iterable[_RoleMap]) -> None:
        # Layers may share modules, which must not be hooked twice.
        known = {id(part.module) for part in self.maps}
        self.maps += [part for part in maps if id(part.module) not in known]

    def why_no_states(self, axis: int, size: int) -> str | None:
        """Why hidden states cannot be recorded; `size` inputs must be on this axis."""
        for _, shape in self.states:
            if len(shape) != 3 or shape[axis] != size:
                return f"its blocks return {_described(shape)}, not hidden states by input"
        return None if self.states else "its blocks took no part in its forward"

    def why_no_activations(self) -> str | None:
        """Why feed-forward activations cannot be recorded."""
        by_layer = dict(self.states)
        for layer, shape in self.activations:
            if len(shape) != 3 or shape[:2] != by_layer.get(layer, ())[:2]:
                return (
                    f"an activation of its feed-forward blocks returns {_described(shape)}, not "
                    "one vector for each position of each input"
                )
        if self.activations:
            return None
        return "its feed-forward blocks have no activation modules (functions cannot be recorded)"

    def why_no_projections(self, axis: int, size: int) -> str | None:
        """Why queries, keys and values cannot be recorded; see `why_no_states`."""
        for shape in self.projections:
            if len(shape) != 3 or shape[axis] != size:
                return f"a projection of its attention returns {_described(shape)}"
        if self.projections:
            return None
        return "nothing shows which linear maps of its attention are query, key and value"

    def why_no_softmaxes(self) -> str | None:
        """Why the probabilities of attention cannot be recorded."""
        if not self.missing:
            return None if self.cores else "its attention took no part in its forward"
        if not self.cores:
            return "its attention returns no probabilities"
        layers = self.missing + len(self.cores)
        return f"the attention of {self.missing} of its {layers} layers returns no probabilities"


def _described(shape: tuple[int, ...]) -> str:
    return f"a tensor of shape {shape}" if shape else "no tensor"


def _loss(result: Any) -> Tensor | None:
    loss = result.get("loss") if isinstance(result, Mapping) else None
    return loss if isinstance(loss, Tensor) else None


def _hook(
    stack: ExitStack, modules: Iterable[nn.Module], function: Callable[..., Any], *leading: Any
) -> None:
    """Call a function with these arguments, a module's inputs and its output.

    A result that is not None takes the place of the output.
    """
    for module in modules:
        hook = partial(_drop_module, function, leading)
        stack.enter_context(module.register_forward_hook(hook))


def _drop_module(
    function: Callable[..., Any], leading: Sequence[Any], _module: Any, inputs: Any, output: Any
) -> Any:
    return function(*leading, inputs, output)
