"""What metrics read: the quantities that passes over one network leave behind.

Shapes: T time steps, B inputs in the minibatch, E the embedding's width, H a layer's width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor

from archscout.rounding import rounding

Result = TypeVar("Result")

NOISE_AMPLITUDES = (0.1, 10.0, 100.0)
# Steps, the last one among them, whose effect on the last output is measured.
RECENT_STEPS = 3

# What gradients are taken of: the sum of the output, its product with a random cotangent, or the
# loss of the network's own training task.
Objective = Literal["sum", "cotangent", "loss"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

_NOISED = {
    f"noised_embedding_gradient[{amplitude:g}]": frozenset({"embedding", "output"})
    for amplitude in NOISE_AMPLITUDES
}

# Each quantity of a trace, and what of `recording.Recorder.recordable` it is made from.
QUANTITIES: dict[str, frozenset[str]] = {
    "parameters": frozenset(),
    "non_embedding_parameters": frozenset(),
    "flops": frozenset(),
    "depth": frozenset(),
    "width": frozenset(),
    "output": frozenset({"output"}),
    "embeddings": frozenset({"embedding", "embedding_by_step"}),
    "hidden_states": frozenset({"hidden_states"}),
    "activations": frozenset({"activations"}),
    "preactivations": frozenset({"preactivations"}),
    "projections": frozenset({"projections"}),
    "softmaxes": frozenset({"softmaxes"}),
    "weights": frozenset({"linears"}),
    "gaussian_outputs": frozenset({"embedding", "output"}),
    "hidden_state_gradients": frozenset({"hidden_states", "output"}),
    "activation_gradients": frozenset({"activations", "output"}),
    "embedding_gradient": frozenset({"embedding", "output"}),
    **_NOISED,
    "position_gradient": frozenset({"position_embedding", "output"}),
    "weight_gradients": frozenset({"linears", "output"}),
    "tied_weight_gradient": frozenset({"embedding", "linears", "output"}),
    "squared_weight_gradients": frozenset({"linears", "output"}),
    "squared_tied_weight_gradient": frozenset({"embedding", "linears", "output"}),
    "tangent_kernel": frozenset({"linear_uses", "output"}),
    "gradient_statistics": frozenset({"linear_uses", "output"}),
    "hessian_gradient_products": frozenset({"linear_uses", "output"}),
    "synaptic_flow": frozenset({"embedding", "linears", "output"}),
    "layer_probes": frozenset({"embedding", "hidden_states", "layer_input"}),
    "last_step_gradient": frozenset({"embedding", "output", "output_by_step"}),
}
# Those that are no fields of a recording.
NOT_FIELDS = frozenset({"embedding", "embedding_by_step", "output_by_step"})

# Known from shapes alone: no pass over the minibatch is needed.
OF_SHAPES = frozenset({"parameters", "non_embedding_parameters", "flops", "depth", "width"})
# Taken without gradients.
OF_FORWARD = OF_SHAPES | {
    "output",
    "embeddings",
    "hidden_states",
    "activations",
    "preactivations",
    "projections",
    "softmaxes",
    "weights",
    "gaussian_outputs",
}
# Of the gradients of every input apart.
OF_INPUTS = frozenset({"tangent_kernel", "gradient_statistics"})
OF_SQUARE = frozenset({"squared_weight_gradients", "squared_tied_weight_gradient"})
# Gradients of the objective; those of the others are taken of something else.
OF_OBJECTIVE = (
    QUANTITIES.keys()
    - OF_FORWARD
    - OF_SQUARE
    - {"synaptic_flow", "layer_probes", "last_step_gradient"}
)


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


@dataclass(frozen=True)
class GradientStatistics:
    """Of one linear map, how the gradients of the B inputs, each by itself, vary.

    Attributes:
        signal_to_noise: sum over the map's weights of the mean over inputs of |g|, divided by the
            standard deviation over inputs of g (divisor B); without the weights whose gradient
            does not vary.
    """

    signal_to_noise: float


@dataclass
class Trace:
    """What metrics read. Quantities that no metric needed are empty.

    Gradients are those of the objective, or, where the name begins with `squared`, of half the
    squared norm of the last layer's raw output.

    Attributes:
        parameters: number of parameters, tied ones once.
        non_embedding_parameters: those of them that are in no table of embeddings.
        minibatch: token ids (T, B).
        objective: what gradients are taken of.
        has_attention: whether the network is made of layers with attention.
        states_enter_steps: whether hidden states are those that enter a recurrent layer's steps,
            and not what a layer returns.
        flops: floating-point operations per token of one forward pass, see `counting.flops`.
        depth: of a recurrent network, layers times the nodes on the longest path through one step
            of its cell; of a transformer, layers; of any other module, linear maps.
        width: of a recurrent network, hidden states times the units of its widest layer; of a
            transformer, its hidden size; of any other module, the mean number of outputs of its
            linear maps.
        output: the last layer's raw output (T, B, E).
        output_format: in which it was computed.
        embeddings: of the minibatch, (T, B, E).
        hidden_states: by layer, (T, B, H): of a recurrent layer the first hidden state entering
            each step, of a transformer's layer its output.
        activations: by layer and activation, its outputs, (T, B, H).
        projections: by layer and projection of a transformer's mixing operation, its outputs
            (T, B, columns).
        softmaxes: by layer of a transformer, (B, heads, ...), see `recording.Recording`.
        preactivations: of a transformer, what each of its activations is applied to, (T, B, H).
        weights: those of the linear maps, (outputs, inputs) each.
        weight_roles: of a transformer's weights, what each does, one of `recording.ROLES`.
        gaussian_outputs: the raw outputs (T, B, E) at standard normal embeddings e, and at
            e + 0.01 ε, ε standard normal too; both from the seed.
        hidden_state_gradients: by layer, (T, B, H).
        activation_gradients: as `activations`, the gradients of these, (T, B, H).
        embedding_gradient: (T, B, E).
        position_gradient: that of a transformer's embedding of positions, (positions, E).
        noised_embedding_gradients: by amplitude of the noise on the embeddings, (T, B, E).
        weight_gradients: one for each weight of a linear map.
        tied_weight_gradient: that of the matrix shared by embedding and decoder (where the
            decoder is not run, the embedding's part), or None where they share none.
        squared_embedding_gradient: as `embedding_gradient`, of half the squared norm.
        squared_weight_gradients: as `weight_gradients`, of half the squared norm.
        squared_tied_weight_gradient: as `tied_weight_gradient`, of half the squared norm.
        tangent_kernel: K (B, B) in float64, K[b, c] the product of the gradients of inputs b and c
            with respect to the weights of all linear maps.
        gradient_statistics: one for each linear map.
        hessian_gradient_products: for each parameter θ of a linear map, as it is stored, θ and its
            part of H g, with H the objective's Hessian in all of them and g its gradient.
        synaptic_flow: for each weight of a linear map, |θ| and the gradient of the output's sum at
            embeddings of ones, where every parameter is its absolute value and normalisation is
            passed by, see `synaptic_flow.synaptic_flow`; in float64.
        last_step_gradient: (R, B, E), the gradient of Σ v · y over the last step's output y (B, E)
            alone, v standard normal from the seed, with respect to the embeddings of the last
            R = `RECENT_STEPS` steps (all, where there are fewer).
        layer_probes: for each layer, a pair of v (T, B, H), ±1 with equal probability from the
            seed, in the shape of its hidden states, and vᵀ J, (T, B, H) of the layer before, with J
            the Jacobian of its hidden states with respect to those of the layer before; of the
            first layer, with respect to what it reads.
    """

    parameters: int
    minibatch: Tensor
    objective: Objective = "sum"
    has_attention: bool = False
    states_enter_steps: bool = True
    non_embedding_parameters: int = 0
    flops: int = 0
    depth: int = 0
    width: float = 0.0
    output: Tensor | None = None
    output_format: torch.dtype = torch.float32
    embeddings: Tensor | None = None
    hidden_states: list[Tensor] = field(default_factory=list)
    activations: Sequence[Tensor] = ()
    projections: list[Tensor] = field(default_factory=list)
    softmaxes: list[Tensor] = field(default_factory=list)
    preactivations: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    weight_roles: list[str] = field(default_factory=list)
    gaussian_outputs: tuple[Tensor, Tensor] | None = None
    hidden_state_gradients: list[Tensor] = field(default_factory=list)
    activation_gradients: Sequence[Tensor] = ()
    embedding_gradient: Tensor | None = None
    position_gradient: Tensor | None = None
    noised_embedding_gradients: dict[float, Tensor] = field(default_factory=dict)
    weight_gradients: list[WeightGradient] = field(default_factory=list)
    tied_weight_gradient: WeightGradient | None = None
    squared_embedding_gradient: Tensor | None = None
    squared_weight_gradients: list[WeightGradient] = field(default_factory=list)
    squared_tied_weight_gradient: WeightGradient | None = None
    tangent_kernel: Tensor | None = None
    gradient_statistics: list[GradientStatistics] = field(default_factory=list)
    hessian_gradient_products: list[WeightGradient] = field(default_factory=list)
    synaptic_flow: list[WeightGradient] = field(default_factory=list)
    layer_probes: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    last_step_gradient: Tensor | None = None
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
        least = max(1e-4, rounding(1.0, self.output_format))
        return sums.numel() > 1 and spread < least * float(self.output.double().norm())

    def once(self, function: Callable[..., Result], key: object, *arguments: Any) -> Result:
        """The function's result, computed the first time only for each key."""
        full_key = (function, key)
        if full_key not in self._memory:
            self._memory[full_key] = function(*arguments)
        result: Result = self._memory[full_key]
        return result
