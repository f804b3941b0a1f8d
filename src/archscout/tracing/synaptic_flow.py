"""The pass of SynFlow: a network of magnitudes, on an input of ones.

Source: Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving
synaptic flow", algorithm 1; as a metric Abdelfattah et al. 2021.
"""

import torch
from torch import Tensor

from archscout.recording import Recorder
from archscout.tracing.differentiation import gradients_of
from archscout.tracing.quantities import WeightGradient
from archscout.tracing.weight_gradients import WeightGradients


def synaptic_flow(recorder: Recorder, minibatch: Tensor) -> list[WeightGradient]:
    """|θ| and ∂R/∂|θ| for the weight θ of each linear map, in float64; R is the output's sum.

    Every parameter, biases too, is replaced by its absolute value, and the embeddings are ones, as
    in the paper and in Abdelfattah et al. 2021. Normalisation is passed by, as batch normalisation
    is there, and so is a softmax, see `linearising`: a layer norm of equal features is zero and its
    output's sum a constant, so R would not depend on any weight. Nothing of the minibatch but its
    length matters: its first input is enough where the recorder takes part of them, and R is per
    input where it does not. The network is as before afterwards.
    """
    ones = torch.ones_like(recorder.embed(minibatch[:, :1]), dtype=torch.float64)
    with torch.enable_grad(), recorder.linearised():
        recording = recorder.record(
            minibatch[:, :1], frozenset({"linears", "output"}), embeddings=ones.requires_grad_()
        )
        weights = WeightGradients(recording.linears)
        try:
            assert recording.output is not None
            flow = recording.output.sum() / ones.shape[1]
            gradients_of(flow, [ones], [weights])
            return weights.take()
        finally:
            weights.remove_hooks()
