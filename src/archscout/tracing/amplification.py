"""An amplified network: nearer to what training makes of it than its first weights are.

Networks are drawn so that signals fade from layer to layer and from step to step, and embeddings
are drawn small, so that most of them act as linear maps do. Training makes both larger, and what
sets architectures apart then is how they behave where their activations bend.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from archscout.recording import Recorder, Recording
from archscout.rounding import rounding

GAIN = 1.3
DEVIATION = 4.0


@contextmanager
def amplified(recorder: Recorder, minibatch: Tensor) -> Iterator[Recorder]:
    """For a while, the weights of all linear maps `GAIN` times as large, on larger embeddings.

    The embeddings of the minibatch (T, B, E) get the standard deviation `DEVIATION`, over tokens
    and features; where they do not vary they stay as they are. Biases stay. Afterwards the network
    holds the same tensors as before, whatever happened.
    """
    before = [(weight, weight.data) for weight in recorder.linear_parameters()]
    try:
        for weight, data in before:
            weight.data = data * GAIN
        with torch.no_grad():
            embeddings = recorder.embed(minibatch)
        deviation = float(embeddings.double().std(correction=0))
        is_still = deviation <= rounding(float(embeddings.abs().max()), embeddings.dtype)
        factor = 1.0 if is_still or not math.isfinite(deviation) else DEVIATION / deviation
        yield cast(Recorder, _Louder(recorder, factor))
    finally:
        for weight, data in before:
            weight.data = data


class _Louder:
    """A recorder whose network reads embeddings times a factor."""

    def __init__(self, recorder: Recorder, factor: float) -> None:
        self._recorder = recorder
        self._factor = factor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recorder, name)

    def embed(self, minibatch: Tensor) -> Tensor:
        """As that of the recorder, times the factor."""
        return self._recorder.embed(minibatch) * self._factor

    def record(
        self,
        minibatch: Tensor,
        wanted: frozenset[str],
        depth: int | None = None,
        embeddings: Tensor | None = None,
        since: int = 0,
    ) -> Recording:
        """As that of the recorder, from these embeddings."""
        given = self.embed(minibatch) if embeddings is None else embeddings
        return self._recorder.record(minibatch, wanted, depth, given, since)
