"""The fewest passes over one network that serve all metrics asked for.

Shapes: T time steps, B inputs in the minibatch, E the embedding's width, H a layer's width.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor

from archscout.recording import DECODER, Recorder, Recording
from archscout.tracing.curvature import hessian_gradient_products
from archscout.tracing.differentiation import gradients_of
from archscout.tracing.failures import failing
from archscout.tracing.input_gradients import InputGradients
from archscout.tracing.objectives import Differentiated
from archscout.tracing.precision import in_single
from archscout.tracing.probes import (
    gaussian_outputs,
    last_step_gradient,
    layer_probes,
    noised_gradient,
)
from archscout.tracing.quantities import (
    NOISE_AMPLITUDES,
    NOT_FIELDS,
    OF_INPUTS,
    OF_OBJECTIVE,
    OF_SHAPES,
    OF_SQUARE,
    QUANTITIES,
    RECENT_STEPS,
    Objective,
    Trace,
)
from archscout.tracing.steps import StackedSteps, detached, joined, parts_of, stacked, tensors
from archscout.tracing.synaptic_flow import synaptic_flow
from archscout.tracing.weight_gradients import WeightGradients, tied, without_decoder

_NOISED = {amplitude: f"noised_embedding_gradient[{amplitude:g}]" for amplitude in NOISE_AMPLITUDES}
# Taken in passes that nothing else can share.
_ALONE = frozenset(
    {*_NOISED.values(), "gaussian_outputs", "hessian_gradient_products", "synaptic_flow"}
)
_WITH_GRADIENTS = (OF_OBJECTIVE | OF_SQUARE | {"layer_probes", "last_step_gradient"}) - _ALONE
_WEIGHTS_OF_OBJECTIVE = frozenset({"weight_gradients", "tied_weight_gradient"})
_GRADIENTS_OF_WEIGHTS = OF_SQUARE | _WEIGHTS_OF_OBJECTIVE
# With an axis of inputs in each of their tensors.
_BY_INPUT = (
    *("output", "hidden_states", "activations", "hidden_state_gradients", "activation_gradients"),
    *("embedding_gradient", "squared_embedding_gradient", "last_step_gradient", "layer_probes"),
)


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
    amplitude of noise, and for `synaptic_flow`; two forward passes for `gaussian_outputs`; a pass
    that is differentiated twice for `hessian_gradient_products`. A network so large that these
    would take much memory is passed a part of the inputs at a time, unless the gradients of inputs
    are to be compared with each other.

    Args:
        recorder: the network.
        minibatch: token ids (T, B).
        needs: names in `QUANTITIES`.
        depth: number of layers that matter; gradients always take all.
        seed: of the noise on the embeddings, of all other random numbers, and of dropout.
        objective: what gradients are taken of.
        training: whether dropout is active.
    """
    with _dropout(recorder, seed) if training else nullcontext(recorder) as running:
        return _trace(running, minibatch, frozenset(needs), depth, seed, objective)


@contextmanager
def _dropout(recorder: Recorder, seed: int) -> Iterator[Recorder]:
    with torch.random.fork_rng():
        recorder.train(True)
        try:
            yield cast(Recorder, _SameDropout(recorder, seed))
        finally:
            recorder.train(False)


class _SameDropout:
    """A recorder whose passes all drop the same units, whichever passes there are."""

    def __init__(self, recorder: Recorder, seed: int) -> None:
        self._recorder = recorder
        self._seed = seed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recorder, name)

    def record(self, *arguments: Any, **settings: Any) -> Recording:
        """As that of the recorder."""
        torch.manual_seed(self._seed)
        return self._recorder.record(*arguments, **settings)


def _trace(
    recorder: Recorder,
    minibatch: Tensor,
    needs: frozenset[str],
    depth: int | None,
    seed: int,
    objective: Objective,
) -> Trace:
    kind = (recorder.has_attention, recorder.states_enter_steps)
    counted = recorder.parameters if "parameters" in needs else 0
    found = Trace(counted, minibatch, objective, *kind)
    if "non_embedding_parameters" in needs:
        found.non_embedding_parameters = recorder.non_embedding_parameters
    if "flops" in needs:
        found.flops = recorder.flops(minibatch)
    if "depth" in needs:
        found.depth = recorder.depth
    if "width" in needs:
        found.width = recorder.width
    wanted = Differentiated(objective, seed, minibatch.shape[1])
    # First, while nothing else is held: what these passes leave behind is small.
    _pass_alone(found, recorder, needs, wanted)
    needs -= _ALONE | OF_SHAPES
    fields = frozenset().union(*(QUANTITIES[need] for need in needs)) - NOT_FIELDS
    if needs & OF_OBJECTIVE:
        fields |= {wanted.field}
    if needs & _WITH_GRADIENTS:
        _differentiate(found, recorder, fields, needs, wanted)
    elif fields:
        with torch.inference_mode():
            _keep(found, recorder.record(minibatch, fields, depth))
    if found.output is not None:
        found.output_format = found.output.dtype
    return in_single(found) if recorder.is_half else found


def _pass_alone(
    found: Trace, recorder: Recorder, needs: frozenset[str], wanted: Differentiated
) -> None:
    minibatch = found.minibatch
    elsewhere = "it does not run from other embeddings than its own"
    for amplitude, name in _NOISED.items():
        if name in needs:
            with failing({*_NOISED.values()}, elsewhere):
                gradient = noised_gradient(recorder, minibatch, amplitude, wanted.seed, wanted)
            found.noised_embedding_gradients[amplitude] = gradient
    if "gaussian_outputs" in needs:
        with failing({"gaussian_outputs"}, elsewhere):
            found.gaussian_outputs = gaussian_outputs(recorder, minibatch, wanted.seed)
    if "embeddings" in needs:
        with torch.no_grad():
            found.embeddings = recorder.embed(minibatch).detach()
    if "synaptic_flow" in needs:
        reason = "it does not run in double precision with the absolute values of its weights"
        with failing({"synaptic_flow"}, reason):
            found.synaptic_flow = synaptic_flow(recorder, minibatch)
    if "hessian_gradient_products" in needs:
        reason = "its objective cannot be differentiated twice"
        with failing({"hessian_gradient_products"}, reason):
            found.hessian_gradient_products = hessian_gradient_products(recorder, minibatch, wanted)


def _differentiate(
    found: Trace,
    recorder: Recorder,
    fields: frozenset[str],
    needs: frozenset[str],
    wanted: Differentiated,
) -> None:
    """Passes with gradients, over a part of the inputs at a time where memory asks for it."""
    minibatch = found.minibatch
    batch_size = minibatch.shape[1]
    size = batch_size if needs & OF_INPUTS else recorder.inputs_at_once(minibatch, fields)
    with torch.enable_grad():
        if size >= batch_size:
            _differentiate_part(found, recorder, fields, needs, wanted, slice(0, batch_size))
        else:
            parts = []
            for inputs in parts_of(batch_size, size):
                parts.append(Trace(found.parameters, minibatch[:, inputs], found.objective))
                _differentiate_part(parts[-1], recorder, fields, needs, wanted, inputs)
                if len(parts) > 1:
                    _move_weight_gradients(parts[-1], parts[0])
            _join(found, parts)
    if "tied_weight_gradient" in needs:
        found.tied_weight_gradient = tied(
            recorder, minibatch, found.embedding_gradient, found.weight_gradients
        )
    if "squared_tied_weight_gradient" in needs:
        found.squared_tied_weight_gradient = tied(
            recorder, minibatch, found.squared_embedding_gradient, found.squared_weight_gradients
        )
    if needs & _GRADIENTS_OF_WEIGHTS:
        found.weight_gradients = without_decoder(found.weight_gradients)
        found.squared_weight_gradients = without_decoder(found.squared_weight_gradients)


def _keep(found: Trace, recording: Recording) -> None:
    # Detached, or they would keep the graph alive, and with it all that its hooks refer to.
    with torch.no_grad():
        found.hidden_states = [stacked(steps).detach() for steps in recording.hidden_states]
    if recording.activations:
        found.activations = StackedSteps([detached(steps) for steps in recording.activations])
    found.preactivations = [inputs.detach() for inputs in recording.preactivations]
    found.projections = [outputs.detach() for outputs in recording.projections]
    found.softmaxes = [outputs.detach() for outputs in recording.softmaxes]
    linears = [linear for linear in recording.linears if linear.role != DECODER]
    found.weights = [linear.weight.detach() for linear in linears]
    found.weight_roles = [linear.role for linear in linears]
    found.output = None if recording.output is None else recording.output.detach()


def _differentiate_part(
    found: Trace,
    recorder: Recorder,
    fields: frozenset[str],
    needs: frozenset[str],
    wanted: Differentiated,
    inputs: slice,
) -> None:
    """One forward pass, and one backward pass for each objective that is needed."""
    embeddings = None
    if recorder.recordable["embedding"] is None:
        embeddings = recorder.embed(found.minibatch).detach().requires_grad_()
    only_recent = needs & _WITH_GRADIENTS == {"last_step_gradient"}
    since = max(0, len(found.minibatch) - RECENT_STEPS) if only_recent else 0
    recording = recorder.record(found.minibatch, fields, embeddings=embeddings, since=since)
    _keep(found, recording)
    weights = WeightGradients(recording.linears) if needs & _GRADIENTS_OF_WEIGHTS else None
    by_input = None
    if needs & OF_INPUTS:
        by_input = InputGradients(recording.linear_uses, recording.taps, needs)
    recording.linears, recording.linear_uses = [], []
    try:
        if "layer_probes" in needs:
            entering, states = recording.layer_input, recording.hidden_states
            assert entering is not None
            found.layer_probes = layer_probes(
                entering, states, wanted.seed, inputs, wanted.batch_size
            )
        if "last_step_gradient" in needs:
            output = recording.output
            assert output is not None and embeddings is not None
            found.last_step_gradient = last_step_gradient(
                output, embeddings, wanted.seed, inputs, wanted.batch_size
            )
        if needs & OF_OBJECTIVE:
            objective = wanted.of(recording, inputs)
            _differentiate_objective(
                found, recording, embeddings, weights, by_input, needs, objective
            )
        if needs & OF_SQUARE:
            _differentiate_square(found, recording, embeddings, weights)
    finally:
        for collector in (weights, by_input):
            if collector is not None:
                collector.remove_hooks()


def _differentiate_objective(
    found: Trace,
    recording: Recording,
    embeddings: Tensor | None,
    weights: WeightGradients | None,
    by_input: InputGradients | None,
    needs: frozenset[str],
    objective: Tensor,
) -> None:
    states = recording.hidden_states if "hidden_state_gradients" in needs else []
    activations = recording.activations if "activation_gradients" in needs else []
    positions = recording.position_embedding if "position_gradient" in needs else None
    of_weights = weights if needs & _WEIGHTS_OF_OBJECTIVE else None
    gradients = gradients_of(
        objective,
        [embeddings, positions, *(t for steps in (*states, *activations) for t in tensors(steps))],
        [collector for collector in (of_weights, by_input) if collector is not None],
        retain_graph=bool(needs & OF_SQUARE),
    )
    if of_weights is not None:
        found.weight_gradients = of_weights.take()
    if by_input is not None:
        by_input.finish(found.minibatch.shape[1])
        found.tangent_kernel, found.gradient_statistics = by_input.kernel, by_input.statistics
    found.hidden_state_gradients = [stacked(_of_steps(gradients, steps)) for steps in states]
    if activations:
        found.activation_gradients = StackedSteps([_of_steps(gradients, s) for s in activations])
    if embeddings is not None:
        found.embedding_gradient = gradients[id(embeddings)]
    if positions is not None:
        found.position_gradient = gradients[id(positions)]


def _of_steps(
    gradients: dict[int, Tensor], steps: Tensor | Sequence[Tensor]
) -> Tensor | list[Tensor]:
    if isinstance(steps, Tensor):
        return gradients[id(steps)]
    return [gradients[id(step)] for step in steps]


def _differentiate_square(
    found: Trace, recording: Recording, embeddings: Tensor | None, weights: WeightGradients | None
) -> None:
    output = recording.output
    assert output is not None and weights is not None
    gradients = gradients_of(output.square().sum() / 2, [embeddings], [weights])
    found.squared_weight_gradients = weights.take()
    if embeddings is not None:
        found.squared_embedding_gradient = gradients[id(embeddings)]


def _join(found: Trace, parts: Sequence[Trace]) -> None:
    """Put together what was found on parts of the minibatch.

    The objectives are sums over inputs: gradients of states and embeddings stand side by side;
    those of weights add up, and have been added to the first part's.
    """
    for name in ("preactivations", "projections", "softmaxes", "position_gradient"):
        assert getattr(parts[0], name) in (None, [])  # of transformers, which take all inputs
    for name in ("weights", "weight_roles", "weight_gradients", "squared_weight_gradients"):
        setattr(found, name, getattr(parts[0], name))
    for name in _BY_INPUT:
        setattr(found, name, _side_by_side([getattr(part, name) for part in parts]))


def _side_by_side(values: Sequence[Any]) -> Any:
    """One quantity of all parts, with each of its tensors as that of all inputs."""
    first = values[0]
    if isinstance(first, Tensor):
        return joined(values)
    if isinstance(first, StackedSteps):
        return StackedSteps(*values)
    if isinstance(first, list | tuple):
        return type(first)(map(_side_by_side, zip(*values, strict=True)))
    return first


def _move_weight_gradients(part: Trace, first: Trace) -> None:
    """Add a part's gradients of weights to the first part's: all parts' would not fit."""
    for name in ("weight_gradients", "squared_weight_gradients"):
        for total, added in zip(getattr(first, name), getattr(part, name), strict=True):
            total.gradient += added.gradient
        setattr(part, name, [])
