"""What a forward pass leaves behind: the words in which networks and the trace talk.

Shapes: T time steps (or positions), B inputs in the minibatch, E the embedding's width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from archscout.linearising import linearised

# Networks with layers that hold attention, and all others: some metrics are for one kind only.
Kind = Literal["transformer", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)


# What a linear map does in a transformer's layer. The first five are the projections of its mixing
# operation (`input` that of a linear transform, `weight` that of weighted attention), the next two
# belong to a span-based convolution, `output` closes the mixing block.
PROJECTIONS = ("query", "key", "value", "input", "weight")
ROLES = (*PROJECTIONS, "convolution_input", "convolution_kernel", "output", "feed_forward")
# The role of a decoder that the loss has run and that shares the embedding's weight; it is none of
# the linear maps that metrics count.
DECODER = "decoder"


def descends(module: nn.Module, file: str, name: str) -> bool:
    """Whether the module's class is one of the transformers library's, without importing it."""
    home = f"transformers.{file}"
    return any(c.__module__ == home and c.__name__ == name for c in type(module).__mro__)


def declared_batch_first(module: nn.Module) -> bool:
    """Whether a module's minibatches are (B, T), as its recurrent modules say; True without any.

    Those of models of the transformers library are, whatever is within.
    """
    recurrent = (m for m in module.modules() if isinstance(m, nn.RNNBase))
    is_certain = descends(module, "modeling_utils", "PreTrainedModel")
    return is_certain or all(m.batch_first for m in recurrent)


@dataclass
class Linear:
    """A linear map inside a network, and how the trace gets its weight's gradient.

    Attributes:
        weight: (outputs, inputs).
        inputs: what it was applied to, (..., inputs) or T of (B, inputs), or None.
        outputs: a tensor (..., columns) whose gradient, in `columns`, is that of the map's
            outputs, or None. With both, the weight's gradient is the outputs' gradient,
            transposed, times the inputs; without, it comes from autograd.
        columns: which columns of `outputs` belong to this map.
        first_input: whether this weight reads the first-listed input of its node.
        role: of a transformer's map, what it does, one of `ROLES`; of others empty, or `DECODER`.
        stored: the parameter that the weight is a part of, where it is one; autograd is asked for
            the parameter's gradient.
        part: of a tensor that is laid out as this parameter, what belongs to the weight.
    """

    weight: Tensor
    inputs: Tensor | Sequence[Tensor] | None = None
    outputs: Tensor | None = None
    columns: slice = field(default_factory=lambda: slice(None))
    first_input: bool = False
    role: str = ""
    stored: Tensor | None = None
    part: Callable[[Tensor], Tensor] | None = None


@dataclass
class Recording:
    """What one pass leaves behind, attached to autograd's graph where gradients were asked for.

    What a network computes step by step is kept as a list over steps: stacking it would hold it
    in memory twice.

    Attributes:
        output: what gradients are taken of, (T, B, E); None if not wanted.
        hidden_states: by layer, T of (B, H): of a recurrent layer the first hidden state entering
            each step, of a transformer's layer its output.
        layer_input: what the first layer reads, (T, B, H).
        activations: by layer and activation node or module, its outputs, (T, B, H) or T of (B, H);
            of a transformer those of its feed-forward blocks.
        preactivations: of a transformer, what each of its activations is applied to, (T, B, H).
        linears: the linear maps.
        linear_uses: each application of a linear map, with inputs (T, B, inputs) or T of
            (B, inputs) and outputs (T, B, columns); time is one step where a map has none.
        taps: leaves that a backward pass must be asked for, so that it goes by the outputs in
            `linear_uses`.
        projections: of a transformer, by layer and projection of its mixing operation (see
            `PROJECTIONS`), its outputs (T, B, columns).
        softmaxes: of a transformer, one a layer, (B, heads, ...): the probabilities of attention,
            or the softmax of a linear transform over the features of a head.
        position_embedding: of a transformer, the weight (positions, E) of the embedding of
            positions.
        loss: mean cross-entropy in nats of the network's own training task, a scalar.
    """

    output: Tensor | None = None
    hidden_states: list[Tensor | Sequence[Tensor]] = field(default_factory=list)
    layer_input: Tensor | None = None
    activations: list[Tensor | Sequence[Tensor]] = field(default_factory=list)
    preactivations: list[Tensor] = field(default_factory=list)
    linears: list[Linear] = field(default_factory=list)
    linear_uses: list[Linear] = field(default_factory=list)
    taps: list[Tensor] = field(default_factory=list)
    projections: list[Tensor] = field(default_factory=list)
    softmaxes: list[Tensor] = field(default_factory=list)
    position_embedding: Tensor | None = None
    loss: Tensor | None = None


def count_outside_embeddings(network: nn.Module) -> int:
    """Number of parameters, tied ones once, without tables of embeddings.

    Those are the weights of `nn.Embedding`, and a parameter of the network called `embedding`.
    """
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Embedding)]
    own = getattr(network, "embedding", None)
    tables = {id(table) for table in (*weights, own)}
    return sum(p.numel() for p in network.parameters() if id(p) not in tables)


RECORDABLE = (*Recording.__dataclass_fields__, "embedding", "embedding_by_step", "output_by_step")
"""What a network may be asked for: fields of a recording, and three more, see `Recorder`."""


class Recorder(ABC):
    """A network as the trace sees it; as it stands, one without attention.

    Args:
        network: any module.

    Attributes:
        has_attention: whether its layers hold attention: a transformer, as metrics see it.
        states_enter_steps: whether its hidden states are those that enter each step, not what a
            layer returns.
    """

    has_attention = False
    states_enter_steps = True

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    @property
    def problems(self) -> Sequence[str]:
        """What of the network or its batch makes scores less certain, in words."""
        return ()

    @property
    def parameters(self) -> int:
        """Number of parameters, tied ones once."""
        return sum(p.numel() for p in self._network.parameters())

    @property
    def non_embedding_parameters(self) -> int:
        """Those but for the tables of embeddings."""
        return count_outside_embeddings(self._network)

    @property
    def is_half(self) -> bool:
        """Whether any of them is of half precision."""
        return any(p.dtype in (torch.float16, torch.bfloat16) for p in self._network.parameters())

    @property
    @abstractmethod
    def depth(self) -> int:
        """How deep it is, see `tracing.Trace`."""

    @property
    @abstractmethod
    def width(self) -> float:
        """How wide it is, see `tracing.Trace`."""

    @abstractmethod
    def flops(self, minibatch: Tensor) -> int:
        """Floating-point operations per token of a forward pass over T tokens; (T, B) is given."""

    @property
    @abstractmethod
    def recordable(self) -> Mapping[str, str | None]:
        """For each of `RECORDABLE` None, or why it cannot be had.

        Three are no fields of a recording: `embedding`; `embedding_by_step`, embeddings of the same
        steps and inputs as the hidden states, where there are any; `output_by_step`, an output of
        at least three axes with the embeddings' steps and inputs.
        """

    @property
    def tied_embedding(self) -> Tensor | None:
        """The embedding's weight (V, E) if the decoder shares it and it is to be scored."""
        return None

    def train(self, mode: bool) -> None:
        """Switch dropout on or off for the passes to come; it is off at first."""
        self._network.train(mode)

    def inputs_at_once(
        self, minibatch: Tensor, wanted: frozenset[str] = frozenset(), copies: int = 1
    ) -> int:
        """How many of the B inputs a pass with gradients should take at a time; by default all.

        Args:
            minibatch: token ids (T, B).
            wanted: what the pass is to record.
            copies: how many times as much as a plain pass autograd will hold.
        """
        return max(1, minibatch.shape[1])

    @abstractmethod
    def embed(self, minibatch: Tensor) -> Tensor:
        """Embedded token ids (T, B), as (T, B, E)."""

    @abstractmethod
    def linear_parameters(self) -> list[Tensor]:
        """The parameters that hold the weights of the linear maps, each once, as stored."""

    def linearised(self) -> AbstractContextManager[None]:
        """For a while: every parameter its absolute value in float64, no normalisation."""
        return linearised(self._network)

    @abstractmethod
    def record(
        self,
        minibatch: Tensor,
        wanted: frozenset[str],
        depth: int | None = None,
        embeddings: Tensor | None = None,
        since: int = 0,
    ) -> Recording:
        """Run once and keep what is wanted.

        Args:
            minibatch: token ids (T, B).
            wanted: names of fields of `Recording`.
            depth: number of layers that matter; all by default.
            embeddings: (T, B, E), in place of the minibatch's own.
            since: the first step whose gradients matter; a network that reads one step after
                another need not keep those of the steps before.
        """


def kind_of(network: Recorder) -> Kind:
    """Whether metrics take a network for a transformer."""
    return "transformer" if network.has_attention else "other"
