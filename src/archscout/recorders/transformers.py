"""Transformers as the trace sees them, whoever wrote them: recorded by hooks, left as found.

Nothing here knows a model by its name. Layers are the elements of a `torch.nn.ModuleList` that
hold an attention; the linear maps inside it close it or project, all others are feed-forward.
What a projection is for shows in one run of the module: the probabilities of attention at one
position depend on that position's query, on every position's key, and on no value. Where a module
returns no probabilities, names decide (a fused projection is then taken to hold query, key and
value in this order).
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.recorders.batch import first_tensor
from archscout.recorders.modules import ModuleRecorder
from archscout.recorders.parts import hook_all
from archscout.recorders.reasons import Reasons, why_no_weights, why_not_by_step
from archscout.recorders.structure import (
    attention_layers,
    configured,
    descends,
    input_embeddings,
    position_embedding,
    weight_of,
)
from archscout.recorders.survey import ATTENTION_ROLES, Look, RoleMap, Survey
from archscout.recording import Linear, Recording


def module_recorder(module: nn.Module, batch_first: bool | None = None) -> ModuleRecorder:
    """The recorder that fits a module: of transformers if it has repeated blocks with attention.

    Args:
        module: any module.
        batch_first: whether its minibatches are (B, T, ...) and not (T, B, ...).

    Raises:
        InputError: the module takes its batches in the other order.
    """
    recurrent = any(isinstance(m, nn.RNNBase | nn.RNNCellBase) for m in module.modules())
    if not recurrent and attention_layers(module):
        return TransformerRecorder(module, batch_first)
    return ModuleRecorder(module, batch_first)


class TransformerRecorder(ModuleRecorder):
    """A transformer, for the trace. It records while it is `given` a batch.

    Meanwhile a model of the transformers library computes attention eagerly and keeps no cache, so
    that a score does not depend on what else is asked for; afterwards both are as before. Given a
    batch, the module is run once to see what its parts do. The minibatch is `input_ids`, or else
    the first tensor.

    Args:
        module: with repeated blocks that hold attention.
        batch_first: whether its minibatches are (B, T, ...), as by default, and not (T, B, ...).

    Raises:
        InputError: the module has no such blocks, or takes its batches in the other order.
    """

    has_attention = True
    states_enter_steps = False
    _input_name = "input_ids"

    def __init__(self, module: nn.Module, batch_first: bool | None = None) -> None:
        super().__init__(module, batch_first is None or batch_first)
        if not self.batch_first and descends(module, "modeling_utils", "PreTrainedModel"):
            raise InputError(
                "batch_first=False, but models of the transformers library take batches (B, T)"
            )
        self._layers = attention_layers(module)
        if not self._layers:
            raise InputError(f"{type(module).__name__} has no repeated blocks with attention")
        self._embedding_candidates = input_embeddings(module)
        self._positions = position_embedding(module, self._layers, self._embedding_candidates)
        self._survey = Survey()
        self._output_shape: tuple[int, ...] = ()

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        with configured(self._network):
            self._survey = self._look()
            self._embeddings = self._survey.embeddings
            yield

    def _reasons(self) -> Reasons:
        """Which fields can be recorded of this batch, and why the others cannot."""
        survey = self._survey
        reasons = {
            "output": None,
            "output_by_step": why_not_by_step("output", self._output_shape, self._embedded_shape),
            "embedding": self._why_no_embedding(),
            "embedding_by_step": self._why_no_embedding_by_step(),
            "hidden_states": survey.why_no_states(*self._inputs),
            "layer_input": survey.why_no_states(*self._inputs) or self._why_no_common_length(),
            "activations": survey.why_no_activations(),
            "linears": why_no_weights(m.weight for m in self._linear_modules()),
            "preactivations": survey.why_no_activations(),
            "projections": survey.why_no_projections(*self._inputs),
            "softmaxes": survey.why_no_softmaxes(),
            "position_embedding": self._why_no_positions(),
            "loss": self._why_no_loss(),
        }
        return Reasons(reasons, {"linear_uses": lambda: self._why_no_linear_uses(reasons)})

    @property
    def depth(self) -> int:
        """Number of layers that run."""
        return len(self._survey.states)

    @property
    def width(self) -> float:
        """The hidden size."""
        shapes = [shape for _, shape in self._survey.states if shape]
        return shapes[0][-1] if shapes else 0

    def linear_parameters(self) -> list[Tensor]:
        """The weights of the linear maps of all layers."""
        weights = [module.weight for module in self._linear_modules()]
        return list({id(w): w for w in weights if isinstance(w, Tensor)}.values())

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
        since: int = 0,
    ) -> Recording:
        """Run the module once and keep what is wanted; see `Recorder`. Depth is not used."""
        recording = Recording()
        linears: dict[int, list[Linear]] = {}
        with ExitStack() as stack:
            given = self._replace_embeddings(stack, embeddings)
            if "hidden_states" in wanted:
                hook_all(stack, [layer.module for layer in self._layers], self._state, recording)
            if "layer_input" in wanted:
                first = self._survey.states[0][0]
                hook = partial(self._entering, recording)
                stack.enter_context(first.register_forward_pre_hook(hook, with_kwargs=True))
            activations = dict.fromkeys(m for layer in self._layers for m in layer.activations)
            if "activations" in wanted:
                hook_all(stack, activations, self._activated, recording)
            if "preactivations" in wanted:
                hook_all(stack, activations, self._preactivated, recording)
            if "softmaxes" in wanted:
                for core, index in self._survey.cores:
                    hook_all(stack, [core], self._softmax, recording, index)
            for part in self._survey.maps:
                if ("linears" in wanted and not part.is_whole) or (
                    "projections" in wanted and part.projects
                ):
                    hook_all(stack, [part.module], self._mapped, recording, part, wanted, linears)
            if "linear_uses" in wanted:
                self._record_uses(recording, stack, self._linear_modules())
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

    def _entering(
        self,
        recording: Recording,
        module: nn.Module,
        inputs: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> Any:
        if recording.layer_input is not None:  # layers that share one module
            return None
        if inputs:
            entering = recording.layer_input = self._time_first(first_tensor(inputs))
            return (self._time_first(entering), *inputs[1:]), keywords
        # In the order of its parameters: masks may be given before what it reads.
        names = (*inspect.signature(module.forward).parameters, *keywords)
        name = next(n for n in names if isinstance(keywords.get(n), Tensor))
        entering = recording.layer_input = self._time_first(keywords[name])
        return inputs, keywords | {name: self._time_first(entering)}

    def _activated(self, recording: Recording, _inputs: Any, output: Tensor) -> Tensor:
        kept = self._time_first(output)
        recording.activations.append(kept)
        return self._time_first(kept)

    def _preactivated(self, recording: Recording, inputs: Any, _output: Tensor) -> None:
        recording.preactivations.append(self._time_first(inputs[0]))

    def _softmax(self, recording: Recording, index: int, _inputs: Any, output: Any) -> None:
        recording.softmaxes.append(output[index])

    def _mapped(
        self,
        recording: Recording,
        part: RoleMap,
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
                if role in ATTENTION_ROLES
            ]
        if "linears" in wanted and not part.is_whole:
            weight = weight_of(part.module)
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
            weight = weight_of(part.module)
            if part.is_whole and id(weight) not in weights:
                weights.add(id(weight))
                (role,) = part.columns
                found.append(Linear(weight, role=role))
            found += in_parts.get(id(part), [])
        return found

    # What can be had

    def _linear_modules(self) -> Iterable[nn.Module]:
        return [part.module for part in self._survey.maps]

    def _output(self, result: Any) -> Tensor:
        values = result if isinstance(result, Sequence) else [result]
        if isinstance(result, Mapping):
            values = [result.get("last_hidden_state"), *result.values()]
        for value in values:
            # A scalar is a loss, which some outputs hold first.
            if isinstance(value, Tensor) and value.is_floating_point() and value.dim():
                return super()._output(value)
        return super()._output(result)

    def _look(self) -> Survey:
        """Run once and see what the parts do."""
        survey = Survey()
        looks = [[Look(attention) for attention in layer.attentions] for layer in self._layers]
        with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
            for embedding in self._embedding_candidates:
                hook_all(stack, [embedding], survey.see_embedding, embedding)
            for layer, of_layer in zip(self._layers, looks, strict=True):
                hook_all(stack, [layer.module], survey.see_state, layer)
                hook_all(stack, layer.activations, survey.see_activation, layer)
                for look in of_layer:
                    look.watch(stack, self._time_first)
            result = self._run()
        self._output_shape = tuple(self._output(result).shape)
        survey.has_loss = _loss(result) is not None
        for layer, of_layer in zip(self._layers, looks, strict=True):
            survey.add(layer, of_layer)
        return survey

    def _why_no_embedding(self) -> str | None:
        if self._survey.embeddings or self._batch.input.is_floating_point():
            return None
        if not self._embedding_candidates:
            return "it has no torch.nn.Embedding, and its input is of integers"
        return "its input embedding took no part in its forward"

    @property
    def _embedded_shape(self) -> tuple[int, ...]:
        """(T, B, ...)."""
        return tuple(self.embed(self.minibatch).shape)

    def _why_no_embedding_by_step(self) -> str | None:
        for _, shape in self._survey.states:
            if len(shape) == 3:
                by_step = (shape[1], shape[0], shape[2]) if self.batch_first else shape
                if reason := why_not_by_step("hidden states", by_step, self._embedded_shape):
                    return reason
        return None

    def _why_no_common_length(self) -> str | None:
        """Why steps of a layer cannot be told to be those of the one before."""
        shapes = [shape for _, shape in self._survey.states]
        lengths = sorted({shape[1 if self.batch_first else 0] for shape in shapes})
        if len(lengths) > 1:
            return f"its blocks return {' or '.join(map(str, lengths))} positions"
        return None

    def _why_no_positions(self) -> str | None:
        if self._positions is not None:
            return None
        reason = "it has no embedding of positions"
        if any("rotary" in type(m).__name__.lower() for m in self._network.modules()):
            return f"{reason} (its positions are rotary)"
        return reason

    def _why_no_loss(self) -> str | None:
        if self._survey.has_loss:
            return None
        if "labels" in inspect.signature(self._network.forward).parameters:
            return "its output holds no loss; put labels in the batch"
        return "its output holds no loss, and its forward takes no labels"


# How a transformer is built


def _loss(result: Any) -> Tensor | None:
    loss = result.get("loss") if isinstance(result, Mapping) else None
    return loss if isinstance(loss, Tensor) else None
