"""What runs of a module on one batch show: which parts take part, and which axis is which."""

from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from archscout import counting
from archscout.errors import InputError
from archscout.recorders import batch as batches
from archscout.recorders.axes import RESULT, Axes
from archscout.recorders.batch import Batch, Given, doubled, with_tensors
from archscout.recorders.functions import CalledActivations
from archscout.recorders.observation import Observation, WeightView, observe
from archscout.recorders.parts import hook_all, is_activation
from archscout.recorders.reasons import PACKED
from archscout.recorders.returned import loss_of, main_tensor, tensors_of
from archscout.recorders.structure import configured, is_linear
from archscout.recorders.untouched import evaluating, untouched
from archscout.recording import Recorder, declared_batch_first, descends

# A tensor of a module that is recorded: what it reads (`in`) or returns (`out`).
Place = tuple[nn.Module, str]
# So many are enough to find axes by; they are seldom the number of anything else.
_FEW_INPUTS, _FEW_STEPS = 3, 7
# With its number, the place of what a function returned that is called as an activation.
CALLED = "called"


class ShownModule(Recorder):
    """A module and what it does with a batch, without what is recorded of it.

    Args:
        module: any module.
        batch_first: as of `ModuleRecorder`.
    """

    def __init__(self, module: nn.Module, batch_first: bool | None = None) -> None:
        super().__init__(module)
        self._batch_first = batch_first
        self._batch = batches.NONE
        self._in_double = False
        self._training = ExitStack()
        # Of each activation that is called as a function, the module that calls it.
        self._called: list[nn.Module] = []
        if self._order_is_certain and batch_first is False:
            raise InputError(
                "batch_first=False, but models of the transformers library take batches (B, T)"
            )

    @contextmanager
    def _holding(self, batch: Given) -> Iterator[None]:
        """Keep this batch for a while, and the module in evaluation mode."""
        self._batch = Batch.of(batch)
        for name in _OF_A_BATCH:
            vars(self).pop(name, None)
        with untouched(self._network), configured(self._network):
            yield

    @cached_property
    def seen(self) -> Observation:
        """What takes part in a run, and what it multiplies with."""

        def call(module: nn.Module, device: torch.device | None) -> Any:
            # Copies, since a module may change its inputs in place.
            def copied(tensor: Tensor) -> Tensor:
                return tensor.clone() if device is None else tensor.to(device, copy=True)

            return self._batch.call(module, lambda value: with_tensors(value, copied))

        with self._at_rest():
            return observe(self._network, call)

    @cached_property
    def axes(self) -> Axes:
        """Which axes count inputs and steps.

        Raises:
            InputError: the batch is a packed sequence.
        """
        if self._batch.is_packed:
            raise InputError(PACKED)
        known = None if self._batch_first is None else int(not self._batch_first)
        known = 0 if self._order_is_certain else known
        declared = int(not declared_batch_first(self._network))
        whole = (self._batch.input.shape[0], self._batch.input.shape[1])
        # What a few inputs and steps show is true of all, where the module takes so few.
        small = self._batch.cut(slice(_FEW_INPUTS), slice(_FEW_STEPS))
        for batch in (small, self._batch) if small is not None else (self._batch,):
            run = partial(self._captured, batch)
            try:
                axes = Axes(run, batch.input, whole, known, declared, self._order_is_certain)
                axes.captured()
                if batch is self._batch or self._calls_as_often():
                    return axes
            except Exception:
                if batch is self._batch:
                    raise
        raise AssertionError  # the whole batch was tried

    def _calls_as_often(self) -> bool:
        """Whether the whole batch calls as many activations as functions as was just seen.

        More of them are called by a loop over steps, of which a few steps show a part.
        """
        if not self._called:
            return True
        calls = list[int]()
        seen = CalledActivations(self._network, lambda index, *_: calls.append(index))
        with torch.no_grad(), self._at_rest(), counting.unfused(), seen:
            self._called_with(self._batch, None)
        return len(calls) == len(self._called)

    @property
    def _order_is_certain(self) -> bool:
        return descends(self._network, "modeling_utils", "PreTrainedModel")

    def _captured(self, batch: Batch, changed: Tensor | None) -> dict[Hashable, list[Tensor]]:
        """One run of this batch, and the tensors at all places, call by call."""
        found: dict[Hashable, list[Tensor]] = {}

        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            for side, value in (("in", inputs), ("out", output)):
                tensor = next(tensors_of(value), None)
                if (module, side) in places and tensor is not None:
                    found.setdefault((module, side), []).append(tensor.detach().clone())

        places = set(self._places())

        def keep_called(index: int, owner: nn.Module, _read: Tensor, output: Tensor) -> None:
            found[CALLED, index] = [output.detach().clone()]
            if changed is None:
                self._called.append(owner)

        if changed is None:
            self._called = []
        with torch.no_grad(), self._at_rest(), counting.unfused(), ExitStack() as stack:
            for module in {module for module, _ in places}:
                hook_all(stack, [module], keep, module)
            stack.enter_context(CalledActivations(self._network, keep_called))
            result = self._called_with(batch, changed)
        found[RESULT] = [main_tensor(result).detach()]
        return found

    @contextmanager
    def _at_rest(self) -> Iterator[None]:
        """Evaluation mode, for runs that find something out; random numbers are always the same."""
        with evaluating(self._network), torch.random.fork_rng():
            torch.manual_seed(0)
            yield

    def _places(self) -> Iterator[Place]:
        """Where tensors are recorded."""
        for module in self._network.modules():
            if isinstance(module, nn.Embedding):
                yield module, "in"
                yield module, "out"
            elif is_activation(module):
                yield module, "out"
            elif is_linear(module):
                yield module, "in"
                yield module, "out"

    @cached_property
    def _loss_is_returned(self) -> bool:
        with torch.no_grad(), self._at_rest():
            return loss_of(self.run()) is not None

    @property
    def batch_first(self) -> bool:
        """Whether its minibatches are (B, T, ...) and not (T, B, ...)."""
        return self.axes.inputs == 0 if self._batch_first is None else self._batch_first

    @property
    def minibatch(self) -> Tensor:
        """That of the batch, (T, B, ...)."""
        return self._batch.input if self._batch.is_packed else self._time_first(self._batch.input)

    @property
    def given_input(self) -> Tensor:
        """The minibatch as the module takes it."""
        return self._batch.input

    @property
    def is_empty(self) -> bool:
        """Whether parameters, or the batch, hold no numbers."""
        tensors = (*self._network.parameters(), self._batch.input)
        return any(tensor.is_meta for tensor in tensors)

    @property
    def problems(self) -> list[str]:
        """What of the batch, as far as it was looked at, makes scores less certain."""
        found = []
        if "axes" in vars(self) and self.axes.doubt:
            found.append(self.axes.doubt)
        masked, positions = self._batch.padding
        if masked:
            found.append(
                f"the batch holds padding, {masked} of {positions} positions, which scores take "
                "for text; give texts of one length"
            )
        return found

    @property
    def known(self) -> dict[str, Any]:
        """What runs have shown so far: `maps`, `batch_first`, `embedding`, its module's name."""
        found: dict[str, Any] = {"maps": len(self._weights)}
        if "axes" in vars(self) or self._batch_first is not None:
            found["batch_first"] = self.batch_first
        if vars(self).get("_embedding"):
            (module, _) = vars(self)["_embedding"]
            names = (name for name, m in self._network.named_modules() if m is module)
            found["embedding"] = next(names)
        return found

    @cached_property
    def _embedding(self) -> tuple[nn.Embedding, int] | None:
        """The module that embeds the tokens of the batch, and at which of its calls.

        It is the first that runs on the tokens themselves, or else on what they change.
        """
        if self._batch.input.is_floating_point():
            return None
        tokens = self.axes.minibatch
        forms = [tokens.flatten(), tokens.transpose(0, 1).flatten()]
        embeddings = [m for m in self._network.modules() if isinstance(m, nn.Embedding)]
        calls = [
            (module, call, index.flatten())
            for module in embeddings
            for call, index in enumerate(self.axes.captured().get((module, "in"), ()))
        ]
        for module, call, index in calls:
            if any(index.shape == form.shape and torch.equal(index, form) for form in forms):
                return module, call
        changed = (at for at in calls if self.axes.layout((at[0], "out"), at[1]) is not None)
        return next(((module, call) for module, call, _ in changed), None)

    @cached_property
    def _activations(self) -> list[nn.Module]:
        return [m for m in self._network.modules() if is_activation(m) and self.seen.ran(m)]

    @property
    def _called_activations(self) -> list[int]:
        """The numbers of those functions that count."""
        _ = self.axes.layout(RESULT)
        return list(range(len(self._called)))

    @cached_property
    def _recurrent(self) -> list[nn.RNNBase]:
        return [
            m for m in self._network.modules() if isinstance(m, nn.RNNBase) and self.seen.ran(m)
        ]

    @cached_property
    def _cells(self) -> list[nn.RNNCellBase]:
        return [
            m for m in self._network.modules() if isinstance(m, nn.RNNCellBase) and self.seen.ran(m)
        ]

    @cached_property
    def _linear_modules(self) -> list[nn.Module]:
        """Modules that are linear maps, and took part as such."""
        return [m for m in self._network.modules() if is_linear(m) and self.seen.ran(m)]

    @property
    def _weights(self) -> list[WeightView]:
        """Those of the linear maps."""
        return self.seen.weights

    @property
    def depth(self) -> int:
        """Number of linear maps."""
        return len(self._weights)

    @property
    def width(self) -> float:
        """Mean number of outputs of the linear maps."""
        return sum(view.shape[0] for view in self._weights) / max(1, len(self._weights))

    def flops(self, minibatch: Tensor) -> int:
        """Floating-point operations per token (or vector) of the batch."""
        batch = self._one_input()
        try:
            return self._flops(self._batch if batch is None else batch)
        except InputError:
            raise
        except Exception:  # a module may take no other number of inputs
            return self._flops(self._batch)

    def _one_input(self) -> Batch | None:
        """The batch's first input, whose operations are those of each; None where it has none."""
        if self.is_empty:  # of which no run shows the axes
            return None
        try:
            inputs = self.axes.inputs
        except Exception:  # they cannot be found, for whatever reason
            return None
        return self._batch.cut(*(slice(1) if axis == inputs else slice(None) for axis in (0, 1)))

    def _flops(self, batch: Batch) -> int:
        total = counting.flops(partial(self.run, batch=batch))
        shape = batch.input.shape
        vectors = shape[:-1] if batch.input.is_floating_point() else shape
        return total // max(1, vectors.numel())

    def _shape_at(self, place: Hashable) -> tuple[int, ...]:
        """That of a tensor; empty where it is not known."""
        if isinstance(place, tuple) and place[1] == "out":
            return next(iter(self.seen.shapes.get(id(place[0]), ())), ())
        return ()

    def run(self, replacement: Tensor | None = None, batch: Batch | None = None) -> Any:
        """Run the module, with (T, B, ...) in its input's place."""
        given = None if replacement is None else self._time_first(replacement)
        return self._called_with(self._batch if batch is None else batch, given)

    def _called_with(self, batch: Batch, given: Tensor | None) -> Any:
        """What the module returns of a batch, with this, as the module takes it, as its input."""

        def put(value: Tensor) -> Tensor:
            if value is batch.input and given is not None:
                value = given
            # A copy, since a module may change its inputs in place.
            value = value.clone() if value.is_floating_point() else value
            return doubled(value) if self._in_double else value

        # cuDNN's recurrent kernels have no gradient in evaluation mode.
        recurrent = any(isinstance(m, nn.RNNBase) for m in self._network.modules())
        fused = not (recurrent and torch.is_grad_enabled())
        with nullcontext() if fused else torch.backends.cudnn.flags(enabled=False):
            return batch.call(self._network, lambda value: with_tensors(value, put))

    def _batch_of(self, minibatch: Tensor) -> Batch:
        """The part of the batch that holds as many inputs, from the first; all if it has none."""
        count = minibatch.shape[1] if minibatch.dim() > 1 else 0
        if self._batch.is_packed or count == self._batch.input.shape[self.axes.inputs]:
            return self._batch
        parts = [slice(None), slice(None)]
        parts[self.axes.inputs] = slice(count)
        return self._batch.cut(*parts) or self._batch

    def _time_first(self, tensor: Tensor) -> Tensor:
        """(B, T, ...) to (T, B, ...) and back where the batch comes first."""
        return tensor.transpose(0, 1) if self.batch_first else tensor


# What a recorder knows of one batch alone.
_OF_A_BATCH = (
    *("seen", "axes", "_embedding", "_activations", "_recurrent", "_cells"),
    *("_linear_modules", "_loss_is_returned", "_layers", "_survey", "_cores", "_looks"),
    *("_weights", "_embedded_shape", "_positions"),
)
