"""The trace: the fewest passes over one network that serve all metrics asked for.

Shapes: T time steps, B inputs in the minibatch, E the embedding's width, H a layer's width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, TypeVar, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from archscout.recording import Linear, Recorder, Recording

Result = TypeVar("Result")

NOISE_AMPLITUDES = (0.1, 10.0, 100.0)

# Each quantity of a trace, and the fields of a recording that it is made from.
QUANTITIES: dict[str, frozenset[str]] = {
    "parameters": frozenset(),
    "output": frozenset({"output"}),
    "hidden_states": frozenset({"hidden_states"}),
    "activations": frozenset({"activations"}),
    "hidden_state_gradients": frozenset({"hidden_states", "output"}),
    "embedding_gradient": frozenset({"embedding", "output"}),
    **{
        f"noised_embedding_gradient[{amplitude:g}]": frozenset({"embedding", "output"})
        for amplitude in NOISE_AMPLITUDES
    },
    "weight_gradients": frozenset({"linears", "output"}),
    "tied_weight_gradient": frozenset({"embedding", "output"}),
    "squared_weight_gradients": frozenset({"linears", "output"}),
    "squared_tied_weight_gradient": frozenset({"embedding", "output"}),
}
_OF_SUM = frozenset(
    {"hidden_state_gradients", "embedding_gradient", "weight_gradients", "tied_weight_gradient"}
)
_OF_SQUARE = frozenset({"squared_weight_gradients", "squared_tied_weight_gradient"})


class StackedSteps(Sequence[Tensor]):
    """Tensors (T, B, H), each put together from its steps only while it is looked at.

    Args:
        parts: for each part of the inputs, the tensors, as (T, part of B, H) or as T of these.
    """

    def __init__(self, *parts: Sequence[Tensor | Sequence[Tensor]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return len(self._parts[0]) if self._parts else 0

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> StackedSteps: ...
    def __getitem__(self, index: int | slice) -> Tensor | StackedSteps:
        if isinstance(index, slice):
            return StackedSteps(*(part[index] for part in self._parts))
        return _joined([_stacked(part[index]) for part in self._parts])


def _stacked(steps: Tensor | Sequence[Tensor]) -> Tensor:
    return steps if isinstance(steps, Tensor) else torch.stack(list(steps))


@dataclass
class WeightGradient:
    """A weight and the gradient of an objective with respect to it, both of one shape.

    Attributes:
        weight: (outputs, inputs).
        gradient: (outputs, inputs).
        first_input: whether the weight reads the first-listed input of its linear node.
    """

    weight: Tensor
    gradient: Tensor
    first_input: bool = False


@dataclass
class Trace:
    """What metrics read. Quantities that no metric needed are empty.

    Gradients are those of the sum of the last layer's raw output, or, where the name begins with
    `squared`, of half its squared norm.

    Attributes:
        parameters: number of trainable parameters, tied ones once.
        minibatch: token ids (T, B).
        output: the last layer's raw output (T, B, E).
        hidden_states: by layer, the first hidden state entering each step, (T, B, H).
        activations: by layer and activation, its outputs, (T, B, H).
        hidden_state_gradients: by layer, (T, B, H).
        embedding_gradient: (T, B, E).
        noised_embedding_gradients: by amplitude of the noise on the embeddings, (T, B, E).
        weight_gradients: one for each weight of a linear map.
        tied_weight_gradient: that of the matrix shared by embedding and decoder (where the
            decoder is not run, the embedding's part), or None where they share none.
        squared_embedding_gradient: as `embedding_gradient`, of half the squared norm.
        squared_weight_gradients: as `weight_gradients`, of half the squared norm.
        squared_tied_weight_gradient: as `tied_weight_gradient`, of half the squared norm.
    """

    parameters: int
    minibatch: Tensor
    output: Tensor | None = None
    hidden_states: list[Tensor] = field(default_factory=list)
    activations: StackedSteps = field(default_factory=StackedSteps)
    hidden_state_gradients: list[Tensor] = field(default_factory=list)
    embedding_gradient: Tensor | None = None
    noised_embedding_gradients: dict[float, Tensor] = field(default_factory=dict)
    weight_gradients: list[WeightGradient] = field(default_factory=list)
    tied_weight_gradient: WeightGradient | None = None
    squared_embedding_gradient: Tensor | None = None
    squared_weight_gradients: list[WeightGradient] = field(default_factory=list)
    squared_tied_weight_gradient: WeightGradient | None = None
    _memory: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    def once(self, function: Callable[..., Result], key: object, *arguments: Any) -> Result:
        """The function's result, computed the first time only for each key."""
        full_key = (function, key)
        if full_key not in self._memory:
            self._memory[full_key] = function(*arguments)
        result: Result = self._memory[full_key]
        return result


def trace(
    recorder: Recorder,
    minibatch: Tensor,
    needs: Iterable[str],
    depth: int | None = None,
    seed: int = 0,
) -> Trace:
    """Pass a minibatch through a network and keep what the metrics need.

    Without a need for gradients there is one forward pass, through the first `depth` layers.
    With it, one forward pass and one backward pass for each objective, and one of each for each
    amplitude of noise; a network so large that these would take much memory is passed a part of
    the inputs at a time.

    Args:
        recorder: the network.
        minibatch: token ids (T, B).
        needs: names in `QUANTITIES`.
        depth: number of layers that matter; gradients always take all.
        seed: of the noise on the embeddings.
    """
    needs = frozenset(needs)
    found = Trace(recorder.parameters, minibatch)
    # First, while nothing else is held: what these passes leave behind is small.
    for amplitude in NOISE_AMPLITUDES:
        if f"noised_embedding_gradient[{amplitude:g}]" in needs:
            gradient = _noised_gradient(recorder, minibatch, amplitude, seed)
            found.noised_embedding_gradients[amplitude] = gradient
    needs = frozenset(need for need in needs if not need.startswith("noised"))
    fields = frozenset().union(*(QUANTITIES[need] for need in needs)) - {"embedding"}
    if needs & (_OF_SUM | _OF_SQUARE):
        size = recorder.inputs_at_once(minibatch)
        parts = [Trace(recorder.parameters, part) for part in minibatch.split(size, 1)]
        for part in parts:
            with torch.enable_grad():
                _differentiate(part, recorder, fields, needs)
        _join(found, parts)
        found.tied_weight_gradient, found.squared_tied_weight_gradient = (
            _tied(recorder, minibatch, gradient, weights)
            for gradient, weights in (
                (found.embedding_gradient, found.weight_gradients),
                (found.squared_embedding_gradient, found.squared_weight_gradients),
            )
        )
    elif fields:
        with torch.inference_mode():
            _keep(found, recorder.record(minibatch, fields, depth))
    return found


def _keep(found: Trace, recording: Recording) -> None:
    with torch.no_grad():
        found.hidden_states = [torch.stack(list(steps)) for steps in recording.hidden_states]
    # Detached, or they would keep the graph alive, and with it all that its hooks refer to.
    found.activations = StackedSteps(
        [
            steps.detach() if isinstance(steps, Tensor) else [step.detach() for step in steps]
            for steps in recording.activations
        ]
    )
    found.output = None if recording.output is None else recording.output.detach()


def _differentiate(
    found: Trace, recorder: Recorder, fields: frozenset[str], needs: frozenset[str]
) -> None:
    """One forward pass, and one backward pass for each objective that is needed."""
    embeddings = None
    if recorder.recordable["embedding"] is None:
        embeddings = recorder.embed(found.minibatch).detach().requires_grad_()
    recording = recorder.record(found.minibatch, fields, embeddings=embeddings)
    weights = _WeightGradients(recording.linears)
    recording.linears = []
    _keep(found, recording)
    try:
        _differentiate_recording(found, recording, embeddings, weights, needs)
    finally:
        weights.remove_hooks()


def _differentiate_recording(
    found: Trace,
    recording: Recording,
    embeddings: Tensor | None,
    weights: _WeightGradients,
    needs: frozenset[str],
) -> None:
    output = recording.output
    assert output is not None
    of_square = bool(needs & _OF_SQUARE)
    if needs & _OF_SUM:
        states = recording.hidden_states if "hidden_state_gradients" in needs else []
        gradients = _gradients(
            output.sum(),
            [embeddings, *(state for steps in states for state in steps)],
            weights if "weight_gradients" in needs else None,
            retain_graph=of_square,
        )
        found.weight_gradients = weights.take()
        found.hidden_state_gradients = [
            torch.stack([gradients[id(state)] for state in steps]) for steps in states
        ]
        if embeddings is not None:
            found.embedding_gradient = gradients[id(embeddings)]
    if of_square:
        gradients = _gradients(output.square().sum() / 2, [embeddings], weights)
        found.squared_weight_gradients = weights.take()
        if embeddings is not None:
            found.squared_embedding_gradient = gradients[id(embeddings)]


def _join(found: Trace, parts: Sequence[Trace]) -> None:
    """Put together what was found on parts of the minibatch.

    Both objectives are sums over inputs: gradients of states and embeddings stand side by side,
    gradients of weights add up.
    """
    for name in ("hidden_states", "hidden_state_gradients"):
        layers = zip(*(getattr(part, name) for part in parts), strict=True)
        setattr(found, name, [_joined(layer) for layer in layers])
    for name in ("output", "embedding_gradient", "squared_embedding_gradient"):
        tensors = [getattr(part, name) for part in parts]
        setattr(found, name, None if tensors[0] is None else _joined(tensors))
    for name in ("weight_gradients", "squared_weight_gradients"):
        weights = zip(*(getattr(part, name) for part in parts), strict=True)
        setattr(found, name, [_added(weight) for weight in weights])
    found.activations = StackedSteps(*(part.activations for part in parts))


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), 1)


def _added(weights: Sequence[WeightGradient]) -> WeightGradient:
    for other in weights[1:]:
        weights[0].gradient += other.gradient
    return weights[0]


class _WeightGradients:
    """Gradients of weights, taken while a backward pass goes by.

    A hook on a map's outputs turns their gradient into the weight's as soon as it is there, so
    that neither outputs nor their gradients are held for all layers at once.
    """

    def __init__(self, linears: Sequence[Linear]) -> None:
        self._linears = linears
        self._found: dict[int, Tensor] = {}
        self._handles: list[RemovableHandle] = []
        self.wanted = False
        # What autograd must be asked for: weights themselves, and outputs that nothing precedes.
        self.targets: list[Tensor] = []
        sharing: dict[int, list[int]] = {}
        for i, linear in enumerate(linears):
            if linear.outputs is None:
                self.targets.append(linear.weight)
                continue
            if id(linear.outputs) not in sharing:
                sharing[id(linear.outputs)] = []
                hook = partial(self._hook, sharing[id(linear.outputs)])
                self._handles.append(linear.outputs.register_hook(hook))
                if linear.outputs.is_leaf:
                    self.targets.append(linear.outputs)
            sharing[id(linear.outputs)].append(i)
        # Only the hooks are needed from here on, not the values. Identities were, until now.
        for linear in linears:
            linear.outputs = None if linear.inputs is not None else linear.outputs

    def remove_hooks(self) -> None:
        """Let go of the graph, which refers to itself through the hooks and would stay."""
        for handle in self._handles:
            handle.remove()

    def _hook(self, indices: Sequence[int], gradient: Tensor) -> None:
        if not self.wanted:
            return
        for i in indices:
            linear = self._linears[i]
            assert linear.inputs is not None
            of_outputs = gradient[..., linear.columns].flatten(0, -2)
            self._found[i] = of_outputs.t() @ _stacked(linear.inputs).detach().flatten(0, -2)

    def of_targets(self, gradients: dict[int, Tensor]) -> None:
        """Take over the gradients of weights that autograd was asked for."""
        for i, linear in enumerate(self._linears):
            if linear.inputs is None:
                self._found[i] = gradients[id(linear.weight)]

    def take(self) -> list[WeightGradient]:
        """The gradients of the last backward pass; zero where the objective did not depend."""
        if not self.wanted:
            return []
        found, self._found, self.wanted = self._found, {}, False
        return [
            WeightGradient(
                linear.weight.detach(),
                found[i] if i in found else torch.zeros_like(linear.weight),
                linear.first_input,
            )
            for i, linear in enumerate(self._linears)
        ]


def _gradients(
    objective: Tensor,
    others: Sequence[Tensor | None],
    weights: _WeightGradients | None = None,
    retain_graph: bool = False,
) -> dict[int, Tensor]:
    """Gradients by the identity of the tensor, zero where the objective does not depend on it."""
    wanted = [*others, *(weights.targets if weights else [])]
    targets = list({id(target): target for target in wanted if target is not None}.values())
    reachable = [target for target in targets if target.requires_grad]
    gradients: Sequence[Tensor | None] = [None] * len(reachable)
    if weights is not None:
        weights.wanted = True
    if objective.requires_grad:
        gradients = torch.autograd.grad(
            objective, reachable, retain_graph=retain_graph, allow_unused=True
        )
    found = {id(t): g for t, g in zip(reachable, gradients, strict=True) if g is not None}
    found = {id(target): found.get(id(target), torch.zeros_like(target)) for target in targets}
    if weights is not None:
        weights.of_targets(found)
    return found


def _tied(
    recorder: Recorder,
    minibatch: Tensor,
    gradient: Tensor | None,
    weights: Iterable[WeightGradient],
) -> WeightGradient | None:
    """The gradient of the embedding's weight, with that of its use as a linear map, if any.

    Without such a use only the rows that the minibatch reads are returned; the others' is zero.
    """
    weight = recorder.tied_embedding
    if weight is None or gradient is None:
        return None
    tokens, index = minibatch.unique(return_inverse=True)
    rows = gradient.new_zeros(len(tokens), gradient.shape[-1])
    rows.index_add_(0, index.flatten(), gradient.flatten(0, -2))
    for used in weights:
        if used.weight.data_ptr() == weight.data_ptr():
            return WeightGradient(weight.detach(), used.gradient.index_add(0, tokens, rows))
    return WeightGradient(weight.detach()[tokens], rows)


def _noised_gradient(recorder: Recorder, minibatch: Tensor, amplitude: float, seed: int) -> Tensor:
    """The embeddings' gradient at e + amplitude * var * noise, var taken over the inputs."""
    with torch.enable_grad():
        embeddings = recorder.embed(minibatch).detach()
        noise = _noise(seed, tuple(embeddings.shape)).to(embeddings.device)
        variance = embeddings.var(1, unbiased=False, keepdim=True)
        noised = embeddings + amplitude * variance * noise
        gradients = []
        size = recorder.inputs_at_once(minibatch)
        for tokens, part in zip(minibatch.split(size, 1), noised.split(size, 1), strict=True):
            leaf = part.detach().requires_grad_()
            recording = recorder.record(tokens, frozenset({"output"}), embeddings=leaf)
            assert recording.output is not None
            gradients.append(_gradients(recording.output.sum(), [leaf])[id(leaf)])
        return _joined(gradients)


@lru_cache(maxsize=1)
def _noise(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise, the same for all architectures and amplitudes of one seed."""
    draws = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy(draws.astype(np.float32))
