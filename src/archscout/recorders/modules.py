"""Any PyTorch module as the trace sees it: recorded by hooks, and left as it was found."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any, Self

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.recorders.axes import RESULT, Layout
from archscout.recorders.batch import Given
from archscout.recorders.functions import CalledActivations
from archscout.recorders.parts import entering_state, handed_out, hook_all, in_order, is_activation
from archscout.recorders.reasons import PACKED, Reasons, why_no_axis, why_not_by_step
from archscout.recorders.returned import loss_of, main_tensor
from archscout.recorders.shown import CALLED, ShownModule
from archscout.recorders.stepwise import Keeper, stepwise
from archscout.recorders.untouched import keeping_buffers
from archscout.recording import Linear, Recording
from archscout.tracing.steps import stacked


class _Seen(BaseException):
    """Ends a run that has shown what it was for; no `except Exception` of a module holds it."""


class ModuleRecorder(ShownModule):
    """A module, for the trace. It records while it is `given` a batch.

    Args:
        module: any module.
        batch_first: whether its minibatches are (B, T, ...) and not (T, B, ...); by default it is
            found out by changing inputs and steps of the batch, and where nothing shows it, as the
            module's recurrent modules say, or batch first.
    """

    recordable: Mapping[str, str | None] = {}

    @contextmanager
    def given(self, batch: Given) -> Iterator[Self]:
        """Record this batch for a while.

        Meanwhile the module is in evaluation mode and every parameter requires a gradient;
        afterwards both are as before.

        Args:
            batch: a tensor, a mapping of keyword arguments, or a sequence of arguments; the
                minibatch is what is named `input_ids` or `inputs_embeds`, or else the first tensor.

        Raises:
            InputError: the batch holds no tensor, or one of fewer than two dimensions.
        """
        with self._holding(batch):
            self.recordable = Reasons(self._reasons())
            yield self

    def _layout(self, place: Hashable, call: int | None = None) -> Layout:
        layout = self.axes.layout(place, call)
        if layout is None:
            raise InputError(why_no_axis("a tensor", self._shape_at(place)))
        return layout

    def _look_ahead(self, wanted: frozenset[str], embeddings: Tensor | None) -> None:
        """Make the runs that find out what a recording needs to know, before there are hooks."""
        with torch.inference_mode(False), torch.random.fork_rng():
            for name in sorted(wanted):
                _ = self.recordable[name]
            if embeddings is not None and self._embedding is not None:
                _ = self._embedding_layout
            if "output" in wanted and not self._batch.is_packed:
                self.axes.layout(RESULT)

    @property
    def _embedding_layout(self) -> Layout:
        assert self._embedding is not None
        module, call = self._embedding
        return self._layout((module, "out"), call)

    # What can be had

    def _reasons(self) -> dict[str, Callable[[], str | None]]:
        """For each field, what tells whether it can be recorded of this batch, and why not."""
        return {
            "output": lambda: None,
            "embedding": self._why_no_embedding,
            "hidden_states": self._why_no_states,
            "activations": self._why_no_activations,
            "linears": self._why_no_weights,
            "linear_uses": self._why_no_linear_uses,
            "taps": lambda: None,
            "output_by_step": partial(self._why_not_by_step, "output"),
            "embedding_by_step": partial(self._why_not_by_step, "hidden_states"),
            "layer_input": partial(self._why_not_by_step, "hidden_states"),
            "projections": lambda: "it has no repeated blocks with attention",
            "softmaxes": lambda: "it has no repeated blocks with attention",
            "preactivations": lambda: "it is not a transformer",
            "position_embedding": lambda: "it is not a transformer",
            "loss": self._why_no_loss,
        }

    def _why_no_embedding(self) -> str | None:
        if self._batch.is_packed:
            return PACKED
        if self._batch.input.is_floating_point():
            return None
        if not any(isinstance(m, nn.Embedding) for m in self._network.modules()):
            return "it has no torch.nn.Embedding, and its input is of integers"
        if self._embedding is None:
            return "no torch.nn.Embedding of it reads the tokens"
        module, call = self._embedding
        return self._why_no_layout("the output of its embedding", (module, "out"), call)

    def _why_no_states(self) -> str | None:
        if not self._recurrent and not self._cells:
            return "it has no torch.nn.RNN, GRU or LSTM, nor their cells, that take part"
        for recurrent in self._recurrent:
            if recurrent.bidirectional or recurrent.proj_size:
                kind = "bidirectional" if recurrent.bidirectional else "projected"
                return f"states of {kind} recurrent modules are not supported"
        return None

    def _why_no_activations(self) -> str | None:
        places = self._activation_places
        if not places and any(is_activation(m) for m in self._network.modules()):
            return "its activation modules took no part in its forward"
        if not places:
            return "it has no activation modules, and calls no activation functions of torch"
        return self._first_reason("the output of an activation", places)

    @property
    def _activation_places(self) -> list[Hashable]:
        """Those of modules, and of functions."""
        called = [(CALLED, i) for i in self._called_activations]
        return [*((module, "out") for module in self._activations), *called]

    def _why_no_weights(self) -> str | None:
        if self.seen.problem:
            return self.seen.problem
        return None if self._weights else "no linear map took part in its forward"

    def _why_no_loss(self) -> str | None:
        return None if self._loss_is_returned else "its output holds no loss"

    def _first_reason(self, what: str, places: Iterable[Hashable]) -> str | None:
        reasons = (self._why_no_layout(what, place) for place in places)
        return next((reason for reason in reasons if reason), None)

    def _why_no_layout(self, what: str, place: Hashable, call: int | None = None) -> str | None:
        """Why a tensor's inputs and steps cannot be told apart."""
        if self._batch.is_packed:
            return PACKED
        if self.axes.layout(place, call) is not None:
            return None
        return why_no_axis(what, self._shape_at(place))

    @property
    def tied_embedding(self) -> Tensor | None:
        """The embedding's weight (V, E) if a linear map shares it."""
        if self._embedding is not None:
            weight = self._embedding[0].weight
            decoders = (m.weight for m in self._network.modules() if isinstance(m, nn.Linear))
            # A decoder may be there that the loss alone runs.
            if any(w is weight for w in (*decoders, *(view.parameter for view in self._weights))):
                return weight
        return None

    def train(self, mode: bool) -> None:
        """Switch dropout on or off; what training changes in buffers is undone with it."""
        self._training.close()
        if mode:
            self._training.enter_context(keeping_buffers(self._network))
        self._network.train(mode)

    def embed(self, minibatch: Tensor) -> Tensor:
        """The embeddings of the batch, (T, B, E), or the batch itself where it is of numbers."""
        if self._embedding is None:
            return self._time_first(self._batch_of(minibatch).input)
        module, call = self._embedding
        layout, batch = self._embedding_layout, self._batch_of(minibatch)
        seen: list[Tensor] = []

        def keep(_inputs: Any, output: Tensor) -> None:
            seen.append(output.clone())
            if len(seen) > call:
                raise _Seen

        with torch.no_grad(), ExitStack() as stack, suppress(_Seen):
            hook_all(stack, [module], keep)
            self.run(batch=batch)
        return layout.time_first(seen[call])

    def linear_parameters(self) -> list[Tensor]:
        """The parameters that hold the weights of linear maps."""
        return list({id(view.parameter): view.parameter for view in self._weights}.values())

    @contextmanager
    def linearised(self) -> Iterator[None]:
        """For a while: every parameter its absolute value in float64, no normalisation.

        Numbers of the batch are in float64, too, and so are new ones, such as a first state.
        """
        before = torch.get_default_dtype()
        with super().linearised():
            try:
                self._in_double = True
                torch.set_default_dtype(torch.float64)
                yield
            finally:
                self._in_double = False
                torch.set_default_dtype(before)

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
            recording.linears = [view.linear() for view in self._weights]
        if wanted <= {"linears"}:  # for which nothing has to be run
            return recording
        with ExitStack() as stack:
            given = self._replace_embeddings(stack, embeddings)
            self._record_activations(recording, stack, wanted)
            self._record_recurrent(recording, stack, wanted)
            if "linear_uses" in wanted:
                self._record_uses(recording, stack)
            result = self.run(given, self._batch_of(minibatch))
        if "output" in wanted:
            recording.output = self._output(result)
        if "layer_input" in wanted:
            recording.layer_input = embeddings
        if "loss" in wanted:
            recording.loss = loss_of(result)
        return recording

    def _replace_embeddings(self, stack: ExitStack, embeddings: Tensor | None) -> Tensor | None:
        """Put these (T, B, E) in place of the batch's own; returned where they are the input."""
        if embeddings is None or self._embedding is None:
            return embeddings
        module, wanted = self._embedding
        layout, calls = self._embedding_layout, count()

        def put(_inputs: Any, _output: Tensor) -> Tensor | None:
            return handed_out(layout.back(embeddings)) if next(calls) == wanted else None

        hook_all(stack, [module], put)
        return None

    def _output(self, result: Any) -> Tensor:
        """What gradients are taken of, (T, B, ...)."""
        output = main_tensor(result)
        if self._batch.is_packed or output.dim() < 2:
            return output
        layout = self.axes.layout(RESULT)
        return self._time_first(output) if layout is None else layout.time_first(output)

    def _record_recurrent(
        self, recording: Recording, stack: ExitStack, wanted: frozenset[str]
    ) -> None:
        keeper = Keeper(
            recording.hidden_states if "hidden_states" in wanted else None,
            recording.linear_uses if "linear_uses" in wanted else None,
            recording.taps,
        )
        if keeper.states is None and keeper.uses is None:
            return
        for module in self._recurrent:
            stack.enter_context(stepwise(module, keeper))
        for cell in self._cells if keeper.states is not None else ():
            steps: list[Tensor] = []
            recording.hidden_states.append(steps)
            stack.enter_context(
                cell.register_forward_pre_hook(
                    lambda module, inputs, keywords, steps=steps: steps.append(
                        entering_state(module, *inputs, **keywords)
                    ),
                    with_kwargs=True,
                )
            )

    def _record_uses(self, recording: Recording, stack: ExitStack) -> None:
        """Every application of linear modules, their outputs made to depend on one leaf."""
        tap = torch.zeros(
            (), device=self._batch.input.device, requires_grad=torch.is_grad_enabled()
        )
        recording.taps.append(tap)

        def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            weight = module.weight
            assert isinstance(weight, Tensor)
            layouts = [self._layout((module, side)) for side in ("in", "out")]
            tapped = layouts[1].by_rows(output + tap.to(output))  # (..., B, columns)
            outputs = tapped.flatten(0, -3)
            given = layouts[0].by_rows(inputs[0]).flatten(0, -3)
            recording.linear_uses.append(Linear(weight, given, outputs))
            return handed_out(layouts[1].from_rows(outputs.view(tapped.shape)))

        for module in self._linear_modules:
            hook_all(stack, [module], keep, module)

    def _why_no_linear_uses(self) -> str | None:
        """Why applications of linear maps cannot be recorded, as one run shows it."""
        if self._cells:
            return "its recurrent cells hide what their weights multiply"
        for field in ("hidden_states", "linears") if self._recurrent else ("linears",):
            if self.recordable[field]:
                return self.recordable[field]
        modules = [*self._linear_modules, *self._recurrent]
        shown = {id(p) for module in modules for p in module.parameters(recurse=False)}
        for view in self._weights:
            if id(view.parameter) not in shown:
                return (
                    f"what a linear map inside its {type(view.owner).__name__} multiplies cannot "
                    "be seen by input: it is no torch.nn.Linear that runs as a module"
                )
        places = ((module, side) for module in self._linear_modules for side in ("in", "out"))
        return self._first_reason("what a linear map reads or returns", places)

    def _why_not_by_step(self, field: str) -> str | None:
        """Why the steps and inputs of a field are not those of the embeddings, as a run shows.

        None of a field that cannot be had anyway.
        """
        if self.recordable["embedding"] or self.recordable[field]:
            return self.recordable["embedding"]
        with torch.no_grad():
            embedded = self.embed(self.minibatch)
            recording = self.record(self.minibatch, frozenset({field}))
        found = recording.output if field == "output" else recording.hidden_states
        tensors = [found] if isinstance(found, Tensor) else map(stacked, found or ())
        seen = (
            why_not_by_step(field.replace("_", " "), tuple(t.shape), tuple(embedded.shape))
            for t in tensors
        )
        return next((reason for reason in seen if reason), None)

    def _record_activations(
        self, recording: Recording, stack: ExitStack, wanted: frozenset[str]
    ) -> None:
        """What activations read and return, modules and functions, in the order they run in."""
        if wanted.isdisjoint(("activations", "preactivations")):
            return
        counted = set(self._called_activations)

        def enter(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            (read, *_) = in_order(module, inputs, keywords)
            keep_read((module, "out"), read)

        def keep_read(place: Hashable, read: Tensor) -> None:
            if "preactivations" in wanted:  # a copy: an activation may work in place
                recording.preactivations.append(self._layout(place).time_first(read.clone()))

        def see(index: int, _owner: nn.Module, read: Tensor, output: Tensor) -> Tensor | None:
            place = (CALLED, index)
            if index not in counted:
                return None
            keep_read(place, read)
            if "activations" not in wanted:
                return None
            return self._activated(recording, place, read, output)

        for module in self._activations:
            stack.enter_context(module.register_forward_pre_hook(enter, with_kwargs=True))
            if "activations" in wanted:
                hook_all(stack, [module], self._activated, recording, (module, "out"))
        stack.enter_context(CalledActivations(self._network, see))

    def _activated(
        self, recording: Recording, place: Hashable, _inputs: Any, output: Tensor
    ) -> Tensor:
        # What is kept must be part of the graph, or it would have no gradient.
        layout = self._layout(place)
        kept = layout.time_first(output)
        recording.activations.append(kept)
        return handed_out(layout.back(kept))
