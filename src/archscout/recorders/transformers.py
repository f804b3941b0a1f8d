"""Transformers as the trace sees them, whoever wrote them: recorded by hooks, left as found.

Nothing here knows a model by its name. Layers are repeated blocks that hold an attention, and those
between them; the linear maps inside an attention close it or project, all others are feed-forward,
but for those by which a layer without attention lets positions act on each other. What a projection
is for shows in one run of the module: the probabilities of attention at one position depend on that
position's query, on every position's key, and on no value. Where a module returns no probabilities,
names decide (a fused projection is then taken to hold query, key and value in this order).
"""

import inspect
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from archscout.recorders.modules import ModuleRecorder
from archscout.recorders.parts import handed_out, hook_all, in_order
from archscout.recorders.reasons import why_not_by_step
from archscout.recorders.returned import first_tensor, loss_of, replaced, tensors_of
from archscout.recorders.shown import Place
from archscout.recorders.shown_layers import ShownTransformer
from archscout.recorders.survey import ATTENTION_ROLES, RoleMap
from archscout.recording import Linear, Recording


class TransformerRecorder(ShownTransformer, ModuleRecorder):
    """A transformer, for the trace. It records while it is `given` a batch.

    Args:
        module: with repeated blocks that hold attention.
        batch_first: as of `ModuleRecorder`; models of the transformers library take (B, T).

    Raises:
        InputError: the module has no such blocks, or takes its batches in the other order.
    """

    has_attention = True
    states_enter_steps = False

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
        found += [view.linear(role) for view, role in self._others]
        known: dict[int, Linear] = {}
        for linear in found:
            if linear.stored is not None or id(linear.weight) not in known:
                known[id(linear.weight)] = linear
        return list(known.values())
