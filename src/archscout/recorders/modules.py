"""Any PyTorch module as the trace sees it: recorded by hooks, and left as it was found."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from archscout import counting
from archscout.errors import InputError
from archscout.recorders import batch as batches
from archscout.recorders.batch import Batch, Given, doubled, first_tensor
from archscout.recorders.parts import (
    entering_state,
    hook_all,
    is_activation,
    stored_weights,
    used_weights,
)
from archscout.recorders.reasons import Reasons, why_no_axis, why_no_weights, why_not_by_step
from archscout.recorders.stepwise import Keeper, stepwise
from archscout.recorders.untouched import keeping_buffers, untouched
from archscout.recording import Linear, Recorder, Recording
from archscout.tracing.steps import stacked


class ModuleRecorder(Recorder):
    """A module, for the trace. It records while it is `given` a batch.

    Args:
        module: any module.
        batch_first: whether its minibatches are (B, T, ...) and not (T, B, ...); by default as its
            recurrent modules say, and True where it has none.

    Attributes:
        batch_first: the same.
        minibatch: that of the batch, (T, B, ...).
    """

    recordable: Mapping[str, str | None] = {}
    _input_name = ""

    def __init__(self, module: nn.Module, batch_first: bool | None = None) -> None:
        super().__init__(module)
        self._recurrent = [m for m in module.modules() if isinstance(m, nn.RNNBase)]
        if batch_first is None:
            batch_first = all(m.batch_first for m in self._recurrent)
        self.batch_first = batch_first
        self._batch = batches.NONE
        self.minibatch = self._batch.input
        self._embeddings = [m for m in module.modules() if isinstance(m, nn.Embedding)][:1]
        self._activations = [m for m in module.modules() if is_activation(m)]
        self._cells = [m for m in module.modules() if isinstance(m, nn.RNNCellBase)]
        self._in_double = False
        self._training = ExitStack()

    @contextmanager
    def given(self, batch: Given) -> Iterator[Self]:
        """Record this batch for a while.

        Meanwhile the module is in evaluation mode and every parameter requires a gradient;
        afterwards both are as before.

        Args:
            batch: a tensor, a mapping of keyword arguments, or a sequence of arguments; the first
                tensor among them is the minibatch.

        Raises:
            InputError: the batch holds no tensor, or one of fewer than two dimensions.
        """
        self._batch = Batch.of(batch, self._input_name)
        self.minibatch = self._time_first(self._batch.input)
        with untouched(self._network), self._prepared():
            self.recordable = self._reasons()
            yield self

    def _prepared(self) -> AbstractContextManager[None]:
        """What else a module needs while it is recorded."""
        return nullcontext()

    @property
    def depth(self) -> int:
        """Number of linear maps."""
        return len(stored_weights(self._network))

    @property
    def width(self) -> float:
        """Mean number of outputs of the linear maps."""
        outputs = [len(weight) for weight in stored_weights(self._network)]
        return sum(outputs) / max(1, len(outputs))

    def flops(self, minibatch: Tensor) -> int:
        """Floating-point operations per token (or vector) of the batch."""
        total = counting.flops(self._run)
        shape = self._batch.input.shape
        vectors = shape[:-1] if self._batch.input.is_floating_point() else shape
        return total // max(1, vectors.numel())

    def _reasons(self) -> Reasons:
        """Which fields can be recorded of this batch, and why the others cannot."""
        reasons: dict[str, str | None] = {
            **dict.fromkeys(("output", "embedding", "hidden_states", "activations", "linears")),
            **dict.fromkeys(
                ("projections", "softmaxes"), "it has no repeated blocks with attention"
            ),
            **dict.fromkeys(("preactivations", "position_embedding"), "it is not a transformer"),
            "loss": "what it is trained for is not known",
        }
        if not self._recurrent and not self._cells:
            reasons["hidden_states"] = "it has no torch.nn.RNN, GRU or LSTM, nor their cells"
        for recurrent in self._recurrent:
            if recurrent.bidirectional or recurrent.proj_size:
                kind = "bidirectional" if recurrent.bidirectional else "projected"
                reasons["hidden_states"] = f"states of {kind} recurrent modules are not supported"
        if not self._activations:
            reasons["activations"] = "it has no activation modules"
        if not self._embeddings and not self._batch.input.is_floating_point():
            reasons["embedding"] = "it has no torch.nn.Embedding, and its input is of integers"
        if not stored_weights(self._network):
            reasons["linears"] = "it has no torch.nn.Linear and no recurrent module"
        reasons["linears"] = reasons["linears"] or why_no_weights(used_weights(self._network))
        of_steps = partial(self._why_not_by_step, reasons)
        return Reasons(
            reasons,
            {
                "linear_uses": lambda: self._why_no_linear_uses(reasons),
                "output_by_step": partial(of_steps, "output"),
                "embedding_by_step": partial(of_steps, "hidden_states"),
                "layer_input": partial(of_steps, "hidden_states"),
            },
        )

    @property
    def tied_embedding(self) -> Tensor | None:
        """The embedding's weight (V, E) if a linear map shares it."""
        if self._embeddings:
            weight = self._embeddings[0].weight
            if any(m.weight is weight for m in self._network.modules() if isinstance(m, nn.Linear)):
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
        if not self._embeddings:
            return self.minibatch
        seen: list[Tensor] = []
        with torch.no_grad(), ExitStack() as stack:
            hook_all(stack, self._embeddings, lambda _inputs, output: seen.append(output))
            self._run()
        if not seen:
            raise InputError("the module's first torch.nn.Embedding took no part in its forward")
        return self._time_first(seen[0])

    def linear_parameters(self) -> list[Tensor]:
        """The weights of linear maps and recurrent modules."""
        return stored_weights(self._network)

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
        recording = Recording()
        with ExitStack() as stack:
            given = self._replace_embeddings(stack, embeddings)
            if "activations" in wanted:
                hook_all(stack, self._activations, self._activated, recording)
            self._record_recurrent(recording, stack, wanted)
            if "linear_uses" in wanted:
                self._record_uses(recording, stack, self._linear_modules())
            result = self._run(given)
        if "output" in wanted:
            recording.output = self._output(result)
        if "layer_input" in wanted:
            recording.layer_input = embeddings
        if "linears" in wanted:
            recording.linears = [Linear(w) for w in stored_weights(self._network)]
        return recording

    def _replace_embeddings(self, stack: ExitStack, embeddings: Tensor | None) -> Tensor | None:
        """Put these (T, B, E) in place of the batch's own; returned where they are the input."""
        if embeddings is None or not self._embeddings:
            return embeddings
        hook_all(stack, self._embeddings, lambda *_: self._replacement(embeddings))
        return None

    def _replacement(self, embeddings: Tensor) -> Tensor:
        """As the module takes them: a copy, since it may change its inputs in place."""
        return self._time_first(embeddings.clone())

    def _output(self, result: Any) -> Tensor:
        """What gradients are taken of, (T, B, ...)."""
        output = first_tensor(result)
        return self._time_first(output) if output.dim() > 1 else output

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

    def _record_uses(
        self, recording: Recording, stack: ExitStack, modules: Iterable[nn.Module]
    ) -> None:
        """Every application of these linear maps, their outputs made to depend on one leaf."""
        tap = torch.zeros(
            (), device=self._batch.input.device, requires_grad=torch.is_grad_enabled()
        )
        recording.taps.append(tap)

        def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            weight = module.weight
            assert isinstance(weight, Tensor)
            axis = self._axis_of_inputs(output)
            assert axis is not None
            tapped = (output + tap.to(output))[None].movedim(axis + 1, -2)  # (..., B, columns)
            outputs = tapped.flatten(0, -3)
            given = inputs[0][None].movedim(axis + 1, -2).flatten(0, -3)
            recording.linear_uses.append(Linear(weight, given, outputs))
            return outputs.view(tapped.shape).movedim(-2, axis + 1)[0]

        for module in modules:
            hook_all(stack, [module], keep, module)

    def _linear_modules(self) -> Iterable[nn.Module]:
        return [module for module in self._network.modules() if isinstance(module, nn.Linear)]

    @property
    def _inputs(self) -> tuple[int, int]:
        """The axis of the inputs of the batch, and their number."""
        axis = 0 if self.batch_first else 1
        return axis, self._batch.input.shape[axis]

    def _axis_of_inputs(self, tensor: Tensor) -> int | None:
        """Which axis of what a linear map reads or returns counts the inputs of the batch."""
        axis, size = self._inputs
        axis = 0 if tensor.dim() == 2 else axis  # nothing but inputs and features
        return axis if tensor.dim() > 1 and tensor.shape[axis] == size else None

    def _why_no_linear_uses(self, reasons: Mapping[str, str | None]) -> str | None:
        """Why applications of linear maps cannot be recorded, as one run shows it."""
        if self._cells:
            return "its recurrent cells hide what their weights multiply"
        if self._recurrent and reasons["hidden_states"]:
            return reasons["hidden_states"]
        if reasons["linears"]:
            return reasons["linears"]
        return self._try_uses()

    def _why_not_by_step(self, reasons: Mapping[str, str | None], field: str) -> str | None:
        """Why the steps and inputs of a field are not those of the embeddings, as a run shows.

        None of a field that cannot be had anyway.
        """
        if reasons["embedding"] or reasons[field]:
            return reasons["embedding"]
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

    def _try_uses(self) -> str | None:
        tensors: list[list[Tensor]] = []  # that each map reads and returns
        with torch.no_grad(), ExitStack() as stack:
            for module in self._linear_modules():
                tensors.append([])
                hook_all(stack, [module], _read_and_returned, tensors[-1])
            self._run()
        for seen in tensors:
            if not seen:
                return "one of its linear maps takes no part as a module in its forward"
            for tensor in seen:
                if self._axis_of_inputs(tensor) is None:
                    return why_no_axis(tuple(tensor.shape))
        return None

    def _activated(self, recording: Recording, _inputs: Any, output: Tensor) -> Tensor:
        # What is kept must be part of the graph, or it would have no gradient.
        kept = self._activation(output)
        recording.activations.append(kept)
        return self._time_first(kept) if output.dim() > 1 else kept[0]

    def _run(self, replacement: Tensor | None = None) -> Any:
        def place(value: Any) -> Any:
            if value is self._batch.input and (
                replacement is not None or value.is_floating_point()
            ):
                value = self._replacement(self.minibatch if replacement is None else replacement)
            return doubled(value) if self._in_double else value

        # cuDNN's recurrent kernels have no gradient in evaluation mode.
        fused = not (self._recurrent and torch.is_grad_enabled())
        with nullcontext() if fused else torch.backends.cudnn.flags(enabled=False):
            return self._batch.call(self._network, place)

    def _time_first(self, tensor: Tensor) -> Tensor:
        """(B, T, ...) to (T, B, ...) and back where the batch comes first."""
        return tensor.transpose(0, 1) if self.batch_first else tensor

    def _activation(self, output: Tensor) -> Tensor:
        axis, size = self._inputs
        if output.dim() <= axis or output.shape[axis] != size:
            raise InputError(
                f"an activation module's output has shape {tuple(output.shape)}; activations are "
                f"compared between the {size} inputs of the batch, which must be axis {axis}"
            )
        return self._time_first(output) if output.dim() > 1 else output[None]


def _read_and_returned(seen: list[Tensor], inputs: Any, output: Tensor) -> None:
    seen += [inputs[0], output]
