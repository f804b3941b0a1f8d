"""What a module multiplies with, and which of its parts take part, as one run of it shows.

A parameter is the weight of a linear map where it enters a product of matrices, a grouped product,
a convolution or a bilinear form, whatever module or function asks for it.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archscout import counting
from archscout.recorders.returned import main_tensor, tensors_of
from archscout.recording import Linear

# By operation: of each operand that may be a weight its position, and whether the weight stands on
# the left, as (outputs, inputs), on the right, as (inputs, outputs), or is a kernel (outputs, ...).
_PRODUCTS = {
    "mm": {0: "left", 1: "right"},
    "bmm": {0: "left", 1: "right"},
    "mv": {0: "left"},
    "addmm": {1: "left", 2: "right"},
    "baddbmm": {1: "left", 2: "right"},
    "addbmm": {1: "left", 2: "right"},
    "addmv": {1: "left"},
    "linear": {1: "left"},
    "_grouped_mm": {0: "left", 1: "right"},
    "convolution": {1: "kernel"},
    "_trilinear": {1: "kernel"},
}
# What gives the same numbers in another place.
_COPIES = frozenset({"clone", "_to_copy", "copy", "cat", "stack"})
# What takes some of the matrices of a stack of them, such as those of chosen experts.
_CHOICES = frozenset({"index", "index_select"})


@dataclass(frozen=True)
class WeightView:
    """A weight (outputs, inputs) inside a parameter, as an operation used it.

    Attributes:
        parameter: that holds it.
        shape: (outputs, inputs).
        strides: of these in the parameter's storage.
        offset: from the parameter's first number.
        owner: the innermost module that was running.
    """

    parameter: nn.Parameter
    shape: tuple[int, int]
    strides: tuple[int, int]
    offset: int
    owner: nn.Module

    def of(self, tensor: Tensor) -> Tensor:
        """The part (outputs, inputs) of a tensor that is laid out as the parameter, a view."""
        if self.is_whole:
            return tensor
        if tensor.stride() != self.parameter.stride():
            like = self.parameter
            tensor = tensor.new_empty_strided(like.shape, like.stride()).copy_(tensor)
        return tensor.as_strided(self.shape, self.strides, tensor.storage_offset() + self.offset)

    def linear(self, role: str = "") -> Linear:
        """For the trace; its gradient is a part of the parameter's."""
        if self.is_whole:
            return Linear(self.parameter, role=role)
        return Linear(self.of(self.parameter), role=role, stored=self.parameter, part=self.of)

    @property
    def is_whole(self) -> bool:
        """Whether it is the parameter as it is stored."""
        stored = self.parameter
        return not self.offset and (self.shape, self.strides) == (stored.shape, stored.stride())


@dataclass
class Observation:
    """What one run showed.

    Attributes:
        weights: of linear maps, each once, in the order in which parameters are registered.
        calls: how often each module ran, by its identity.
        shapes: of the main tensor that each call of a module returned, by its identity.
        order: the modules, by identity, in the order in which they ended first.
        problem: why the weights of linear maps are not all known; or None.
    """

    weights: list[WeightView] = field(default_factory=list)
    calls: Counter[int] = field(default_factory=Counter)
    shapes: dict[int, list[tuple[int, ...]]] = field(default_factory=dict)
    order: dict[int, int] = field(default_factory=dict)
    problem: str | None = None

    def ran(self, module: nn.Module) -> bool:
        """Whether a module took part."""
        return self.calls[id(module)] > 0


def observe(
    module: nn.Module, call: Callable[[nn.Module, torch.device | None], Any]
) -> Observation:
    """Run a module once and see what it does.

    A copy of it on the meta device is run, which computes nothing. Where its forward reads numbers,
    it is run itself.

    Args:
        module: any module.
        call: runs it, or its copy, on its batch, which is to be on the device that is named.
    """
    try:
        twin = _twin(module)
        originals = dict(zip(twin.modules(), module.modules(), strict=True))
        parameters = dict(zip(twin.parameters(), module.parameters(), strict=True))
        with counting.KnownShapes():
            return _observe(twin, partial(call, twin, torch.device("meta")), originals, parameters)
    except Exception:  # whatever a forward without numbers raises
        own = {m: m for m in module.modules()}
        return _observe(
            module, partial(call, module, None), own, {p: p for p in module.parameters()}
        )


def _twin(module: nn.Module) -> nn.Module:
    """A copy whose parameters and buffers are on the meta device; nothing large is copied."""
    memory: dict[int, Any] = {id(p): _on_meta(p) for p in module.parameters()}
    memory |= {id(b): _on_meta(b) for b in module.buffers()}
    twin = copy.deepcopy(module, memory)
    if any(not p.is_meta for p in twin.parameters()):
        raise TypeError(f"{type(module).__name__} cannot be copied without its numbers")
    return twin


def _on_meta(tensor: Tensor) -> Tensor:
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, tensor.requires_grad)
    return empty


def _observe(
    module: nn.Module,
    run: Callable[[], object],
    originals: dict[nn.Module, nn.Module],
    parameters: dict[nn.Parameter, nn.Parameter],
) -> Observation:
    found = Observation()
    running: list[nn.Module] = [module]
    watching = _Watching(parameters, module.buffers(), lambda: running[-1], originals)

    def enter(entered: nn.Module, _inputs: Any) -> None:
        running.append(entered)

    def leave(left: nn.Module, _inputs: Any, output: Any) -> None:
        running.pop()
        identity = id(originals[left])
        found.calls[identity] += 1
        found.order.setdefault(identity, len(found.order))
        has_tensor = next(tensors_of(output), None) is not None
        shape = tuple(main_tensor(output).shape) if has_tensor else ()
        found.shapes.setdefault(identity, []).append(shape)

    with ExitStack() as stack:
        for part in originals:
            stack.enter_context(part.register_forward_pre_hook(enter))
            stack.enter_context(part.register_forward_hook(leave))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(counting.unfused())
        stack.enter_context(watching)
        run()
    place = {id(parameter): i for i, parameter in enumerate(parameters.values())}
    found.weights = sorted(watching.weights.values(), key=lambda view: place[id(view.parameter)])
    found.problem = watching.problem
    return found


class _Watching(TorchDispatchMode):
    """Sees every operation, and which parameters enter it.

    Args:
        parameters: those of what runs, and the module's own for each.
        buffers: of what runs.
        running: the innermost module that is.
        originals: of each module that may run, the one that it stands for.
    """

    def __init__(
        self,
        parameters: Mapping[nn.Parameter, nn.Parameter],
        buffers: Iterable[Tensor],
        running: Callable[[], nn.Module],
        originals: Mapping[nn.Module, nn.Module],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights: dict[tuple[Any, ...], WeightView] = {}
        self.problem: str | None = None
        self._parameters = parameters
        self._is_empty = any(parameter.is_meta for parameter in parameters)
        self._running = running
        self._originals = originals
        self._buffers = {_storage(buffer) for buffer in buffers}
        self._stored: dict[int, list[nn.Parameter]] = {}
        for parameter in parameters:
            self._stored.setdefault(_storage(parameter), []).append(parameter)
        # By storage: what was copied from which parameters, or computed from parameters alone. The
        # tensors are kept, for a storage that is let go of may become another's.
        self._copied: dict[int, tuple[Tensor, list[nn.Parameter]]] = {}
        self._computed: dict[int, Tensor] = {}

    def __torch_dispatch__(
        self, operation: Any, types: Any, inputs: Any = (), keywords: Any = None
    ) -> Any:
        result = operation(*inputs, **(keywords or {}))
        read = [leaf for leaf in tree_leaves((inputs, keywords)) if isinstance(leaf, Tensor)]
        name = operation.overloadpacket.__name__
        is_mixed = self._is_empty and any(t.dim() and not t.is_meta for t in read)
        if is_mixed and not (name == "_to_copy" and result.is_meta):  # by which the batch comes
            raise TypeError("a tensor that is no parameter or buffer of the module takes part")
        is_data = False
        if name in _PRODUCTS:
            is_data = self._enters_product(_PRODUCTS[name], inputs)
        if operation.namespace not in ("aten", "prim", "prims"):
            self._enters_unknown(operation, read)
        elif not operation.is_view and not is_data:
            self._follow(name, read, result)
        return result

    def _parameter(self, tensor: Tensor) -> nn.Parameter | None:
        """That which a tensor is, or is a view of."""
        for parameter in self._stored.get(_storage(tensor), ()):
            start = parameter.storage_offset()
            if start <= tensor.storage_offset() < start + max(1, parameter.numel()):
                return parameter
        return None

    def _follow(self, name: str, read: Sequence[Tensor], result: Any) -> None:
        """Remember what is copied or computed from parameters alone."""
        results = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        numbers = [tensor for tensor in read if tensor.is_floating_point()]
        sources: list[nn.Parameter] = []
        is_of_parameters = False
        for tensor in numbers:
            copied = self._sources(tensor)
            sources += copied
            is_of_parameters |= bool(copied) or _storage(tensor) in self._computed
            if not copied and not self._is_constant(tensor):
                return
        if not is_of_parameters:
            return
        chosen = name in _CHOICES and numbers[0].dim() > 2
        for made in results:
            if (name in _COPIES and sources) or chosen:
                self._copied[_storage(made)] = (made, sources)
            elif len(numbers) == len(read):
                self._computed[_storage(made)] = made

    def _sources(self, tensor: Tensor) -> list[nn.Parameter]:
        """The parameters that a tensor is, is a view of or was copied from."""
        parameter = self._parameter(tensor)
        if parameter is not None:
            return [parameter]
        return self._copied[_storage(tensor)][1] if _storage(tensor) in self._copied else []

    def _is_constant(self, tensor: Tensor) -> bool:
        """Whether a tensor is computed from parameters alone, or a buffer."""
        return _storage(tensor) in self._computed or _storage(tensor) in self._buffers

    def _enters_product(self, sides: Mapping[int, str], inputs: Sequence[Any]) -> bool:
        """Note the weight among the operands; whether the other one depends on the batch."""
        operands = [(inputs[i], side) for i, side in sides.items() if i < len(inputs)]
        operands = [(t, s) for t, s in operands if self._sources(t) or self._is_constant(t)]
        if len(operands) == len(sides) > 1:
            # A product of parameters, but of a linear map's own with what it reads.
            own = getattr(self._running(), "weight", None)
            operands = [(t, s) for t, s in operands if own is not None and own in self._sources(t)]
            if len(operands) != 1:
                return False
        for tensor, side in operands:
            self._enters(tensor, side)
        return True

    def _enters(self, tensor: Tensor, side: str) -> None:
        parameter = self._parameter(tensor)
        if parameter is not None:
            if tensor.dim() > 1:
                offset = int(tensor.storage_offset() - parameter.storage_offset())
                self._add(parameter, tensor.shape, tensor.stride(), offset, side)
        elif _storage(tensor) in self._computed:
            self.problem = (
                "the weight of one of its linear maps is computed from other parameters (as by "
                "weight normalisation), and is none itself"
            )
        else:
            for source in self._sources(tensor):
                # Where it stood in the copy is not known; its last two axes are its matrices'.
                if source.dim() > 1:
                    self._add(source, source.shape, source.stride(), 0, "left")

    def _enters_unknown(self, operation: Any, read: Iterable[Tensor]) -> None:
        """An operation of another library, or of quantised numbers."""
        if operation.namespace.startswith("quantized"):
            self.problem = "its quantised linear maps hold no weights that a gradient has"
        elif any((p := self._parameter(t)) is not None and p.dim() > 1 for t in read):
            self.problem = f"what {operation} does with the weights it is given is not known"

    def _add(
        self,
        parameter: nn.Parameter,
        shape: Sequence[int],
        strides: Sequence[int],
        offset: int,
        side: str,
    ) -> None:
        """A weight, or each of a stack of them, where none that overlaps it is there."""
        shape, strides = list(shape), list(strides)
        if side == "kernel":
            if math.prod(shape) != parameter.numel() or not parameter.is_contiguous():
                self.problem = "one of its kernels is a part of a parameter"
                return
            shape = [shape[0], parameter.numel() // shape[0]]
            strides = [shape[1], 1]
        if side == "right":
            shape[-2:], strides[-2:] = shape[-2:][::-1], strides[-2:][::-1]
        if len(shape) == 2 and parameter.dim() == 3 and parameter.is_contiguous():
            # One of a stack: the others are as much of the network, whichever the batch chose.
            size = parameter[0].numel()
            if shape[0] * shape[1] == size:
                shape, strides = [len(parameter), *shape], [size, *strides]
                offset %= size
        starts = [0]
        if len(shape) > 2 and strides[0]:
            starts = [i * strides[0] for i in range(shape[0])]
        owner = self._originals[self._running()]
        for start in starts:
            view = WeightView(
                self._parameters[parameter],
                (shape[-2], shape[-1]),
                (strides[-2], strides[-1]),
                offset + start,
                owner,
            )
            self.weights.setdefault(self._place(parameter, view), view)

    def _place(self, parameter: nn.Parameter, view: WeightView) -> tuple[Any, ...]:
        """What two uses of one weight share, whichever way round it was used."""
        sizes = tuple(sorted(zip(view.strides, view.shape, strict=True)))
        return (id(parameter), view.offset, sizes)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
