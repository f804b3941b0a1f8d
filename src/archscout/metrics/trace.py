"""The trace: the fewest passes over one network that serve all metrics asked for.

Shapes: T time steps, B inputs in the minibatch, E the embedding's width, H a layer's width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Literal, TypeVar, get_args, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from archscout.recording import Linear, Recorder, Recording

Result = TypeVar("Result")

NOISE_AMPLITUDES = (0.1, 10.0, 100.0)

# What gradients are taken of: the sum of the output, its product with a random cotangent, or the
# loss of the network's own training task.
Objective = Literal["sum", "cotangent", "loss"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

# Each quantity of a trace, and the fields of a recording that it is made from.
QUANTITIES: dict[str, frozenset[str]] = {
    "parameters": frozenset(),
    "output": frozenset({"output"}),
    "hidden_states": frozenset({"hidden_states"}),
    "activations": frozenset({"activations"}),
    "projections": frozenset({"projections"}),
    "softmaxes": frozenset({"softmaxes"}),
    "weights": frozenset({"linears"}),
    "hidden_state_gradients": frozenset({"hidden_states", "output"}),
    "embedding_gradient": frozenset({"embedding", "output"}),
    **{
        f"noised_embedding_gradient[{amplitude:g}]": frozenset({"embedding", "output"})
        for amplitude in NOISE_AMPLITUDES
    },
    "position_gradient": frozenset({"position_embedding", "output"}),
    "weight_gradients": frozenset({"linears", "output"}),
    "tied_weight_gradient": frozenset({"embedding", "output"}),
    "squared_weight_gradients": frozenset({"linears", "output"}),
    "squared_tied_weight_gradient": frozenset({"embedding", "output"}),
}
_OF_OBJECTIVE = frozenset(
    {
        "hidden_state_gradients",
        "embedding_gradient",
        "position_gradient",
        "weight_gradients",
        "tied_weight_gradient",
    }
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


def _tensors(steps: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """The tensors of a graph that a layer's states are: all steps in one, or each its own."""
    return [steps] if isinstance(steps, Tensor) else steps


@dataclass
class WeightGradient:
    """A weight and the gradient of an objective with respect to it, both of one shape.

    Attributes:
        weight: (outputs, inputs).
        gradient: (outputs, inputs).
        first_input: whether the weight reads the first-listed input of its linear node.
        role: of a transformer's weight, what it does, one of `recording.ROLES`.
    """

    weight: Tensor
    gradient: Tensor
    first_input: bool = False
    role: str = ""


@dataclass
class Trace:
    """What metrics read. Quantities that no metric needed are empty.

    Gradients are those of the objective, or, where the name begins with `squared`, of half the
    squared norm of the last layer's raw output.

    Attributes:
        parameters: number of trainable parameters, tied ones once.
        minibatch: token ids (T, B).
        objective: what gradients are taken of.
        output: the last layer's raw output (T, B, E).
        hidden_states: by layer, (T, B, H): of a recurrent layer the first hidden state entering
            each step, of a transformer's layer its output.
        activations: by layer and activation, its outputs, (T, B, H).
        projections: by layer and projection of a transformer's mixing operation, its outputs
            (T, B, columns).
        softmaxes: by layer of a transformer, (B, heads, ...), see `recording.Recording`.
        weights: those of the linear maps, (outputs, inputs) each.
        hidden_state_gradients: by layer, (T, B, H).
        embedding_gradient: (T, B, E).
        position_gradient: that of a transformer's embedding of positions, (positions, E).
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
    objective: Objective = "sum"
    output: Tensor | None = None
    hidden_states: list[Tensor] = field(default_factory=list)
    activations: StackedSteps = field(default_factory=StackedSteps)
    projections: list[Tensor] = field(default_factory=list)
    softmaxes: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    hidden_state_gradients: list[Tensor] = field(default_factory=list)
    embedding_gradient: Tensor | None = None
    position_gradient: Tensor | None = None
    noised_embedding_gradients: dict[float, Tensor] = field(default_factory=dict)
    weight_gradients: list[WeightGradient] = field(default_factory=list)
    tied_weight_gradient: WeightGradient | None = None
    squared_embedding_gradient: Tensor | None = None
    squared_weight_gradients: list[WeightGradient] = field(default_factory=list)
    squared_tied_weight_gradient: WeightGradient | None = None
    _memory: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    @property
    def sums_are_constant(self) -> bool:
        """Whether the output's features add up to the same everywhere, as a layer norm makes them.

        Gradients of their sum are then rounding errors.
        """
        if self.output is None or self.output.dim() < 2:
            return False
        sums = self.output.double().sum(-1)
        spread = float((sums - sums.mean()).norm())
        return sums.numel() > 1 and spread < 1e-4 * float(self.output.double().norm())

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
    objective: Objective = "sum",
    training: bool = False,
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
        seed: of the noise on the embeddings, of the cotangent, and of dropout.
        objective: what gradients are taken of.
        training: whether dropout is active.
    """
    with _dropout(recorder, seed) if training else nullcontext():
        return _trace(recorder, minibatch, frozenset(needs), depth, seed, objective)


@contextmanager
def _dropout(recorder: Recorder, seed: int) -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        recorder.train(True)
        try:
            yield
        finally:
            recorder.train(False)


def _trace(
    recorder: Recorder,
    minibatch: Tensor,
    needs: frozenset[str],
    depth: int | None,
    seed: int,
    objective: Objective,
) -> Trace:
    found = Trace(recorder.parameters, minibatch, objective)
    wanted = _Differentiated(objective, seed, minibatch.shape[1])
    # First, while nothing else is held: what these passes leave behind is small.
    for amplitude in NOISE_AMPLITUDES:
        if f"noised_embedding_gradient[{amplitude:g}]" in needs:
            gradient = _noised_gradient(recorder, minibatch, amplitude, seed, wanted)
            found.noised_embedding_gradients[amplitude] = gradient
    needs = frozenset(need for need in needs if not need.startswith("noised"))
    fields = frozenset().union(*(QUANTITIES[need] for need in needs)) - {"embedding"}
    if needs & _OF_OBJECTIVE:
        fields |= {wanted.field}
    if needs & (_OF_OBJECTIVE | _OF_SQUARE):
        size = recorder.inputs_at_once(minibatch)
        parts = []
        for inputs in _parts(minibatch.shape[1], size):
            parts.append(Trace(recorder.parameters, minibatch[:, inputs], objective))
            objective_of = partial(wanted.of, inputs=inputs)
            with torch.enable_grad():
                _differentiate(parts[-1], recorder, fields, needs, objective_of)
            if len(parts) > 1:
                _move_weight_gradients(parts[-1], parts[0])
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
        found.hidden_states = [_stacked(steps).detach() for steps in recording.hidden_states]
    # Detached, or they would keep the graph alive, and with it all that its hooks refer to.
    found.activations = StackedSteps(
        [
            steps.detach() if isinstance(steps, Tensor) else [step.detach() for step in steps]
            for steps in recording.activations
        ]
    )
    found.projections = [outputs.detach() for outputs in recording.projections]
    found.softmaxes = [outputs.detach() for outputs in recording.softmaxes]
    found.weights = [linear.weight.detach() for linear in recording.linears]
    found.output = None if recording.output is None else recording.output.detach()


def _differentiate(
    found: Trace,
    recorder: Recorder,
    fields: frozenset[str],
    needs: frozenset[str],
    objective_of: Callable[[Recording], Tensor],
) -> None:
    """One forward pass, and one backward pass for each objective that is needed."""
    embeddings = None
    if recorder.recordable["embedding"] is None:
        embeddings = recorder.embed(found.minibatch).detach().requires_grad_()
    recording = recorder.record(found.minibatch, fields, embeddings=embeddings)
    weights = _WeightGradients(recording.linears)
    _keep(found, recording)
    recording.linears = []
    try:
        _differentiate_recording(found, recording, embeddings, weights, needs, objective_of)
    finally:
        weights.remove_hooks()


def _differentiate_recording(
    found: Trace,
    recording: Recording,
    embeddings: Tensor | None,
    weights: _WeightGradients,
    needs: frozenset[str],
    objective_of: Callable[[Recording], Tensor],
) -> None:
    of_square = bool(needs & _OF_SQUARE)
    if needs & _OF_OBJECTIVE:
        states = recording.hidden_states if "hidden_state_gradients" in needs else []
        positions = recording.position_embedding if "position_gradient" in needs else None
        gradients = _gradients(
            objective_of(recording),
            [embeddings, positions, *(state for steps in states for state in _tensors(steps))],
            weights if "weight_gradients" in needs else None,
            retain_graph=of_square,
        )
        found.weight_gradients = weights.take()
        found.hidden_state_gradients = [
            gradients[id(steps)]
            if isinstance(steps, Tensor)
            else torch.stack([gradients[id(state)] for state in steps])
            for steps in states
        ]
        if embeddings is not None:
            found.embedding_gradient = gradients[id(embeddings)]
        if positions is not None:
            found.position_gradient = gradients[id(positions)]
    if of_square:
        assert recording.output is not None
        output = recording.output
        gradients = _gradients(output.square().sum() / 2, [embeddings], weights)
        found.squared_weight_gradients = weights.take()
        if embeddings is not None:
            found.squared_embedding_gradient = gradients[id(embeddings)]


def _join(found: Trace, parts: Sequence[Trace]) -> None:
    """Put together what was found on parts of the minibatch.

    The objectives are sums over inputs: gradients of states and embeddings stand side by side;
    those of weights add up, and have been added to the first part's.
    """
    for name in ("hidden_states", "hidden_state_gradients"):
        layers = zip(*(getattr(part, name) for part in parts), strict=True)
        setattr(found, name, [_joined(layer) for layer in layers])
    for name in ("projections", "softmaxes"):
        assert len(parts) == 1 or not getattr(parts[0], name)
        setattr(found, name, getattr(parts[0], name))
    found.position_gradient = parts[0].position_gradient
    assert len(parts) == 1 or found.position_gradient is None
    for name in ("output", "embedding_gradient", "squared_embedding_gradient"):
        tensors = [getattr(part, name) for part in parts]
        setattr(found, name, None if tensors[0] is None else _joined(tensors))
    found.weights = parts[0].weights
    found.weight_gradients = parts[0].weight_gradients
    found.squared_weight_gradients = parts[0].squared_weight_gradients
    found.activations = StackedSteps(*(part.activations for part in parts))


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), 1)


def _move_weight_gradients(part: Trace, first: Trace) -> None:
    """Add a part's gradients of weights to the first part's: all parts' would not fit."""
    for name in ("weight_gradients", "squared_weight_gradients"):
        for total, added in zip(getattr(first, name), getattr(part, name), strict=True):
            total.gradient += added.gradient
        setattr(part, name, [])


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
                linear.role,
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


@dataclass(frozen=True)
class _Differentiated:
    """What gradients are taken of in the passes of one trace.

    Attributes:
        objective: its name.
        seed: of the cotangent.
        batch_size: B of the whole minibatch.
    """

    objective: Objective
    seed: int
    batch_size: int

    @property
    def field(self) -> str:
        """The field of a recording that it is made from."""
        return "loss" if self.objective == "loss" else "output"

    def of(self, recording: Recording, inputs: slice) -> Tensor:
        """The scalar of a pass of these inputs of the minibatch."""
        if self.objective == "loss":
            assert recording.loss is not None
            return recording.loss
        output = recording.output
        assert output is not None
        if self.objective == "sum":
            return output.sum()
        shape = tuple(output.shape)
        if inputs != slice(0, self.batch_size):
            shape = (shape[0], self.batch_size, *shape[2:])
            cotangent = _cotangent(self.seed, shape)[:, inputs]
        else:
            cotangent = _cotangent(self.seed, shape)
        return (output * cotangent.to(output)).sum()


@lru_cache(maxsize=1)
def _cotangent(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal, from a stream of its own."""
    draws = np.random.default_rng([seed, 1]).standard_normal(shape, dtype=np.float32)
    return torch.from_numpy(np.asarray(draws))


def _parts(batch_size: int, size: int) -> list[slice]:
    """Which inputs each pass takes."""
    starts = range(0, batch_size, size)
    return [slice(start, min(start + size, batch_size)) for start in starts]


def _noised_gradient(
    recorder: Recorder, minibatch: Tensor, amplitude: float, seed: int, wanted: _Differentiated
) -> Tensor:
    """The embeddings' gradient at e + amplitude * var * noise, var taken over the inputs."""
    with torch.enable_grad():
        embeddings = recorder.embed(minibatch).detach()
        noise = _noise(seed, tuple(embeddings.shape)).to(embeddings.device)
        variance = embeddings.var(1, unbiased=False, keepdim=True)
        noised = embeddings + amplitude * variance * noise
        gradients = []
        size = recorder.inputs_at_once(minibatch)
        for inputs in _parts(minibatch.shape[1], size):
            leaf = noised[:, inputs].detach().requires_grad_()
            recording = recorder.record(
                minibatch[:, inputs], frozenset({wanted.field}), embeddings=leaf
            )
            gradients.append(_gradients(wanted.of(recording, inputs), [leaf])[id(leaf)])
        return _joined(gradients)


@lru_cache(maxsize=1)
def _noise(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise, the same for all architectures and amplitudes of one seed."""
    draws = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy(draws.astype(np.float32))
