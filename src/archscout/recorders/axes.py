"""Which axis of a tensor counts inputs and which counts steps, found by changing what is read.

An input that is changed changes one index along the axis of inputs, in every tensor that a module
computes of it, and a step that is changed acts on other steps, or stays the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

# By key of a place in a module, the tensors that were there, call by call.
Captured = Mapping[Hashable, Sequence[Tensor]]

# The key of what the module itself returns.
RESULT = "result"

# No axis of a tensor, where several could be that of steps.
_UNKNOWN = -1

# Of the largest change of a tensor, what is no change: other rows of a product round differently.
_NOTHING = 1e-5


@dataclass(frozen=True)
class Layout:
    """Where the inputs and the steps of a tensor are.

    Attributes:
        axes: how many the tensor has.
        inputs: the axis of inputs.
        steps: the axis of steps, if it has one.
        merged: the axis that holds both; `inputs` and `steps` are those after it was unfolded.
        sizes: that the axis unfolds to, of which the number of inputs is left open, as -1.
    """

    axes: int
    inputs: int
    steps: int | None = None
    merged: int | None = None
    sizes: tuple[int, int] = (0, 0)

    def time_first(self, tensor: Tensor) -> Tensor:
        """The tensor as (T, B, ...); without steps another axis takes their place."""
        tensor = self._unfolded(tensor)
        return tensor[None] if self.axes == 1 else tensor.permute(self._order(tensor.dim()))

    def back(self, tensor: Tensor) -> Tensor:
        """What `time_first` made, as it was."""
        if self.axes == 1:
            return tensor[0]
        order = self._order(tensor.dim())
        return self._folded(tensor.permute([order.index(i) for i in range(len(order))]))

    def by_rows(self, tensor: Tensor) -> Tensor:
        """(..., inputs, features), for a tensor whose last axis is its features'."""
        return self._unfolded(tensor).unsqueeze(0).movedim(self.inputs + 1, -2)

    def from_rows(self, tensor: Tensor) -> Tensor:
        """What `by_rows` made, as it was."""
        return self._folded(tensor.movedim(-2, self.inputs + 1).squeeze(0))

    def _unfolded(self, tensor: Tensor) -> Tensor:
        return tensor if self.merged is None else tensor.unflatten(self.merged, self.sizes)

    def _folded(self, tensor: Tensor) -> Tensor:
        return tensor if self.merged is None else tensor.flatten(self.merged, self.merged + 1)

    def _order(self, axes: int) -> list[int]:
        first = self.steps
        if first is None:
            first = next(axis for axis in range(axes) if axis != self.inputs)
        rest = [axis for axis in range(axes) if axis not in (first, self.inputs)]
        return [first, self.inputs, *rest]


@dataclass(frozen=True)
class _Place:
    """An axis of inputs; of a merged one that of steps, where it is merged, and its two sizes."""

    axis: int
    steps: int | None = None
    merged: int | None = None
    sizes: tuple[int, int] = (0, 0)


class Axes:
    """The layouts of a module's tensors on one batch.

    Args:
        run: runs the module on the batch, or with this in place of its minibatch, and returns what
            was at the places that matter.
        minibatch: what the module reads in these runs, (B, T) or (T, B), with features or without:
            a part of a batch may be enough.
        whole: of the whole batch, the sizes of these two axes.
        inputs: which axis of it counts inputs, 0 or 1; None to find out.
        declared: which it is where nothing shows it.
        is_certain: whether `inputs` needs no check.

    Attributes:
        minibatch: the same.
        inputs: the same, found out.
        doubt: why that is not certain; or None.
    """

    def __init__(
        self,
        run: Callable[[Tensor | None], Captured],
        minibatch: Tensor,
        whole: tuple[int, int],
        inputs: int | None,
        declared: int = 0,
        is_certain: bool = False,
    ) -> None:
        self._run = cache(lambda at: run(None if at is None else changed(minibatch, *at)))
        self.minibatch = minibatch
        self._whole = whole
        self.doubt: str | None = None
        self.inputs = self._order(declared) if inputs is None else inputs
        if inputs is not None and not is_certain and not self._is_confined(inputs):
            self.doubt = f"inputs, which axis {inputs} of its batch is said to count, act on others"
        self._layouts: dict[tuple[Hashable, int], Layout | None] = {}

    def layout(self, key: Hashable, call: int | None = None) -> Layout | None:
        """That of the tensors at a place, at one call or at all that it had.

        None where inputs, or steps, cannot be told apart, or calls differ.
        """
        calls = range(len(self._run(None).get(key, ()))) if call is None else (call,)
        for at in calls:
            if (key, at) not in self._layouts:
                self._layouts[key, at] = self._layout(key, at)
        found = {self._layouts[key, at] for at in calls}
        return found.pop() if len(found) == 1 else None

    def captured(self) -> Captured:
        """What was at all places when nothing was changed."""
        return self._run(None)

    @property
    def has_steps(self) -> bool:
        """Whether the minibatch has steps, and not inputs and features alone."""
        return self.minibatch.dim() > 2 or not self.minibatch.is_floating_point()

    def _order(self, declared: int) -> int:
        """Which of the first two axes counts inputs: the one along which nothing acts on others."""
        confined = [self._is_confined(axis) for axis in (0, 1)]
        if confined[0] != confined[1]:
            return confined.index(True)
        names = ("(B, T)", "(T, B)")[declared]
        if all(confined) and self.has_steps:
            self.doubt = (
                f"nothing in the module acts across either axis of its batch, which is taken as "
                f"{names}; say batch_first"
            )
        elif not any(confined):
            self.doubt = f"inputs act on each other along both axes; {names} is assumed"
        return declared

    def _is_confined(self, axis: int) -> bool:
        """Whether what changes at one index of the minibatch stays at that index of the output."""
        last = self.minibatch.shape[axis] - 1
        for index in dict.fromkeys((0, last)):
            for call in range(len(self._run(None)[RESULT])):
                touched = self._touched(RESULT, call, (axis, index))
                if touched is None or (touched.any() and not self._place(touched, axis, index)):
                    return False
        return True

    def _layout(self, key: Hashable, call: int) -> Layout | None:
        axis, last = self.inputs, self.minibatch.shape[self.inputs] - 1
        touched = self._touched(key, call, (axis, last))
        if touched is None:
            return None
        if not touched.any():  # as behind weights of zero: the axes of the batch are as good
            is_like = touched.shape[:2] == self.minibatch.shape[:2]
            return Layout(touched.dim(), axis, 1 - axis) if is_like else None
        place = self._place(touched, axis, last)
        if place is None:
            return None
        if place.merged is not None:
            return Layout(touched.dim() + 1, place.axis, place.steps, place.merged, place.sizes)
        steps = self._steps(key, call, place.axis)
        return None if steps == _UNKNOWN else Layout(touched.dim(), place.axis, steps)

    def _place(self, touched: Tensor, axis: int, index: int) -> _Place | None:
        """Where the index of the minibatch's axis is in what its change has touched."""
        size = self.minibatch.shape[axis]
        length = self.minibatch.shape[1 - axis] if self.has_steps else 0
        steps = self._whole[1 - axis]
        found = []
        for at, count in enumerate(touched.shape):
            others = [a for a in range(touched.dim()) if a != at]
            rows = touched.any(others) if others else touched
            indices = set(rows.nonzero().flatten().tolist())
            if count == size and indices <= {index}:
                found.append(_Place(at))
            elif count == size * length and length > 1:
                if indices <= set(range(index * length, (index + 1) * length)):
                    found.append(_Place(at, at + 1, at, (-1, steps)))
                elif indices <= set(range(index, count, size)):
                    found.append(_Place(at + 1, at, at, (steps, -1)))
        # Of one input its own axis stands before one in which it is merged.
        found.sort(key=lambda place: place.merged is not None)
        return found[0] if found and (len(found) == 1 or size == 1) else None

    def _steps(self, key: Hashable, call: int, inputs: int) -> int | None:
        """The axis of steps of a tensor."""
        axis = 1 - self.inputs
        length = self.minibatch.shape[axis]
        shape = self._run(None)[key][call].shape
        others = [a for a in range(len(shape)) if a != inputs]
        found = [a for a in others if shape[a] == length]
        if not self.has_steps or len(shape) < 3:
            return found[0] if self.has_steps and found else None
        if len(found) == 1:
            return found[0]
        # Several are as long, or none is: a change of the first step is seen first, one of the
        # last step last.
        first, last = (self._change(key, call, (axis, at)) for at in (0, length - 1))
        if first is None or last is None:
            return _UNKNOWN
        for follows in (partial(_stays, both=True), _stays, _peaks):
            decided = [a for a in found or others if follows(first, last, a)]
            if len(decided) == 1:
                return decided[0]
        return _UNKNOWN if found else others[0]

    def _touched(self, key: Hashable, call: int, at: tuple[int, int]) -> Tensor | None:
        change = self._change(key, call, at)
        if change is None:
            return None
        finite = change[change.isfinite()]
        least = _NOTHING * finite.max() if len(finite) else torch.zeros_like(change.sum())
        return change > least

    def _change(self, key: Hashable, call: int, at: tuple[int, int]) -> Tensor | None:
        before, after = (self._run(run).get(key, ()) for run in (None, at))
        if len(before) != len(after) or call >= len(before):
            return None
        if before[call].shape != after[call].shape:
            return None
        if not before[call].is_floating_point():
            return (after[call] != before[call]).float()
        change = (after[call] - before[call]).abs()
        # Neither where both overflow nor where both are no numbers has anything changed.
        return change.masked_fill_(change.isnan() & before[call].isfinite(), torch.inf).nan_to_num_(
            0.0, torch.inf
        )


def changed(minibatch: Tensor, axis: int, index: int) -> Tensor:
    """The minibatch with other tokens, or other numbers, at one index of an axis."""
    other = minibatch.clone()
    part = other.select(axis, index)
    if minibatch.is_floating_point():
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(part.shape, generator=generator).to(part)
        spread = minibatch.float().std(correction=0).clamp_min(1e-3)
        part += noise * spread.to(part)
        return other
    # Tokens that occur, for others may be out of range: each becomes the next one.
    tokens = minibatch.unique()
    if len(tokens) == 1:
        part += 1 if int(tokens) == 0 else -1
        return other
    place = torch.searchsorted(tokens, part.contiguous())
    part.copy_(tokens[(place + 1) % len(tokens)])
    return other


def _stays(first: Tensor, last: Tensor, axis: int, both: bool = False) -> bool:
    """Whether changes of the first step, or of the last one, touch one end of an axis alone."""
    seen = []
    for change in (first, last):
        profile = _profile(change, axis)
        seen.append(set((profile > _NOTHING * profile.max()).nonzero().flatten().tolist()))
    holds = all if both else any
    return any(holds((seen[0] == {a}, seen[1] == {b})) for a, b in _ends(first, axis))


def _peaks(first: Tensor, last: Tensor, axis: int) -> bool:
    """Whether these changes are largest at the ends of an axis."""
    peaks = tuple(int(_profile(change, axis).argmax()) for change in (first, last))
    return peaks in _ends(first, axis)


def _profile(change: Tensor, axis: int) -> Tensor:
    others = [a for a in range(change.dim()) if a != axis]
    largest = change.max().clamp_min(torch.finfo(change.dtype).tiny)  # whose square may vanish
    return (change / largest).square().sum(others)


def _ends(change: Tensor, axis: int) -> tuple[tuple[int, int], ...]:
    """Where the first and the last step are, read forwards or backwards."""
    end = change.shape[axis] - 1
    return ((0, end), (end, 0))
