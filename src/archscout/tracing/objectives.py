"""What gradients are taken of, and the random numbers that the passes of a trace share."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from archscout.recording import Recording
from archscout.tracing.quantities import Objective


@dataclass(frozen=True)
class Differentiated:
    """What gradients are taken of in the passes of one trace."""

    objective: Objective
    seed: int  # of the cotangent
    batch_size: int  # of the whole minibatch

    @property
    def field(self) -> str:
        """The field of a recording that it is made from."""
        return "loss" if self.objective == "loss" else "output"

    def of(self, recording: Recording, inputs: slice) -> Tensor:
        """The scalar of a pass of these inputs of the minibatch; all parts add up to the whole."""
        is_part = inputs != slice(0, self.batch_size)
        if self.objective == "loss":
            loss = recording.loss
            assert loss is not None
            return loss * (inputs.stop - inputs.start) / self.batch_size if is_part else loss
        output = recording.output
        assert output is not None
        if self.objective == "sum":
            return output.sum()
        shape = tuple(output.shape)
        if is_part:
            shape = (shape[0], self.batch_size, *shape[2:])
            cotangent = standard_normal((self.seed, 1), shape)[:, inputs]
        else:
            cotangent = standard_normal((self.seed, 1), shape)
        return (output * cotangent.to(output)).sum()


@lru_cache(maxsize=4)  # as many as one trace reads
def standard_normal(stream: tuple[int, ...], shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers of a stream of their own, float32.

    Cached, for all architectures of one seed read the same: what a network might change is to be
    given a copy.
    """
    draws = np.random.default_rng(stream).standard_normal(shape, dtype=np.float32)
    return torch.from_numpy(np.asarray(draws))


def signs(stream: tuple[int, ...], shape: tuple[int, ...]) -> Tensor:
    """±1 with equal probability, of a stream of their own, float32."""
    draws = np.random.default_rng(stream).integers(0, 2, shape, dtype=np.int8)
    return torch.from_numpy(2 * draws - 1).float()


@lru_cache(maxsize=1)
def noise(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise, the same for all architectures and amplitudes of one seed."""
    draws = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy(draws.astype(np.float32))
