"""The gradient of each input by itself, reduced map by map while one backward pass goes by.

Inputs do not interact, so one pass is enough: a linear map's gradient for input b is
Σ_t G[t, b] X[t, b]ᵀ, with G the gradient of its outputs and X its inputs.

Sources: Jacot et al. 2018, "Neural tangent kernel" (the kernel); Li et al. 2023, "ZiCo" (mean and
deviation over inputs).
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor

from archscout.recording import Linear
from archscout.rounding import rounding
from archscout.tracing.differentiation import Collector
from archscout.tracing.quantities import GradientStatistics
from archscout.tracing.steps import stacked

# How many numbers of (B, outputs, inputs) are held at once: so many stay in a processor's cache
# while they are reduced. More, up to a limit, where they are those of fewer than so many outputs,
# whose products would be slow.
_BLOCK, _OUTPUTS, _LIMIT = 250_000, 16, 4_000_000


class InputGradients(Collector):
    """Collects what depends on the gradient of each of the B inputs by itself.

    A weight that is used more than once is reduced when the gradients of all its uses are there.
    Uses and taps are those of a recording; it is needed for the tangent kernel, for statistics of
    gradients, or both.
    """

    def __init__(
        self, uses: Sequence[Linear], taps: Sequence[Tensor], needs: Collection[str]
    ) -> None:
        super().__init__(uses, taps)
        self.kernel: Tensor | None = None
        self._needs = needs
        self._uses = Counter(id(use.weight) for use in uses)
        self._arrived: dict[int, list[tuple[Linear, Tensor]]] = {}
        self._ratios: dict[int, float] = {}

    def _see(self, index: int, gradient: Tensor) -> None:
        use = self._linears[index]
        arrived = self._arrived.setdefault(id(use.weight), [])
        arrived.append((use, gradient))
        if len(arrived) == self._uses[id(use.weight)]:
            self._reduce(id(use.weight))

    def finish(self, batch_size: int) -> None:
        """Reduce what waits for uses that the objective does not depend on."""
        for weight in list(self._arrived):
            self._reduce(weight)
        if "tangent_kernel" in self._needs and self.kernel is None:
            self.kernel = torch.zeros(batch_size, batch_size, dtype=torch.float64)
        self.wanted = False

    @property
    def statistics(self) -> list[GradientStatistics]:
        """Those of every map, in the order of their first use."""
        if "gradient_statistics" not in self._needs:
            return []
        return [GradientStatistics(self._ratios.get(weight, 0.0)) for weight in self._uses]

    def _reduce(self, weight: int) -> None:
        arrived = self._arrived.pop(weight)
        # Uses of one weight add up as steps do.
        of_outputs = torch.cat([gradient for _, gradient in arrived])
        inputs = torch.cat(
            [stacked(use.inputs).detach() for use, _ in arrived if use.inputs is not None]
        )
        noise = 0.0
        if "gradient_statistics" in self._needs:
            # By Cauchy and Schwarz no term's sum is larger; what cancels leaves its rounding.
            size = _norm_of_units(of_outputs) * _norm_of_units(inputs)
            noise = rounding(size, inputs.dtype, len(inputs))
        for block in _products(of_outputs, inputs):
            if "tangent_kernel" in self._needs:
                rows = block.flatten(1).double()
                added = rows @ rows.t()
                self.kernel = added if self.kernel is None else self.kernel.add_(added)
            if "gradient_statistics" in self._needs:
                self._ratios[weight] = self._ratios.get(weight, 0.0) + _ratios(block, noise)


def _products(of_outputs: Tensor, inputs: Tensor) -> Iterator[Tensor]:
    """The gradients (B, outputs, inputs) of a map, some of the outputs at a time."""
    of_outputs, inputs = of_outputs.permute(1, 2, 0), inputs.transpose(0, 1)
    of_one = len(inputs) * inputs.shape[-1]
    size = max(1, _BLOCK // of_one, min(_OUTPUTS, _LIMIT // of_one))
    for start in range(0, of_outputs.shape[1], size):
        yield torch.bmm(of_outputs[:, start : start + size], inputs)


def _norm_of_units(values: Tensor) -> float:
    """Of values (T, B, units) the norm of one unit's steps, of the input where it is largest."""
    # Of single precision, as nearly all are, squares stay in the range of double precision.
    factor = _factor_to_one(values.abs().amax()) if values.dtype == torch.float64 else 1.0
    scaled = values if factor == 1 else values * factor
    norms = torch.linalg.vector_norm(scaled, dim=(0, 2), dtype=torch.float64)
    return float(norms.max()) / math.sqrt(values.shape[-1]) / factor


def _ratios(gradients: Tensor, noise: float) -> float:
    """Sum over weights of mean |g| / std(g) over inputs, of gradients (B, ...).

    Without weights whose deviation is no more than the noise of rounding.
    """
    # One tensor of their size for all steps: to get memory takes as long as to fill it.
    working = gradients.abs()
    mean = working.mean(0)
    factor = _factor_to_one(mean)
    mean *= factor
    # Twice over the numbers, for torch's own deviation along the first axis takes longer.
    torch.sub(gradients, gradients.mean(0), out=working)
    deviation = working.mul_(factor).square_().mean(0).sqrt_()
    # NaN is not among them.
    constant = deviation <= noise * factor
    ratios = (mean / deviation).masked_fill_(constant, 0.0)
    return float(ratios.sum(dtype=torch.float64))


def _factor_to_one(magnitudes: Tensor) -> float:
    """A power of two, which rounds nothing, that makes the largest about one.

    The squares of very small and very large numbers leave the range of their type.
    """
    largest = float(magnitudes.max())
    if not math.isfinite(largest):
        return 1.0
    # Of the smallest numbers the factor itself would overflow.
    most = -math.frexp(torch.finfo(magnitudes.dtype).tiny)[1]
    return 2.0 ** min(-math.frexp(largest)[1], most)
