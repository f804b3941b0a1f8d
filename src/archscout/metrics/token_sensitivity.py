"""Token sensitivity: how much a recurrent network's output moves with the tokens before the last.

This project's own. A state that holds an earlier token is of use only where the output answers to
it, and training can reach only what gradients reach.
"""

import math

from torch import Tensor

from archscout.metrics.registry import metric
from archscout.metrics.shared.finite import is_finite
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

LAGS = (1, 2)
# What is left of a gradient that vanishes is rounding; networks below rank by their memory. Above,
# gradients explode, and an output that moves more than it varies answers to no token the better.
_LEAST, _MOST = 1e-30, 1.0


def _spread(values: Tensor) -> float:
    """Standard deviation over steps and inputs, root mean square over features, of (T, B, E)."""
    exact = values.double().flatten(0, 1)
    return math.sqrt(float((exact - exact.mean(0)).square().mean()))


@metric(
    needs={"last_step_gradient", "embeddings", "output"},
    larger_is_better=True,
    source="archscout, 2026",
    undefined="outputs or gradients are not finite, or there are fewer than three steps",
    kind="other",
)
def token_sensitivity(trace: Trace) -> float:
    """How much the last output moves with the tokens one and two steps before, to first order.

    For a lag, the root mean square of the gradient of v · y with respect to the embedding at that
    lag, y the last step's output and v standard normal, in units of the output's standard deviation
    over that of the embeddings, so that no scaling of either matters; the geometric mean over both
    lags. The deviations are taken over all steps, the way from the zero state among them: next to
    an output that drifts far off, little moves it. A chaotic network, whose gradients explode, has
    a large one: beyond 1, more says nothing good.

    Examples:
        Embeddings and outputs (T, B, E) vary alike, and a gradient of 1 and 4 at both lags.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> values = torch.tensor([-1.0, 1.0, -1.0, 1.0])[:, None, None]
        >>> trace = Trace(0, torch.zeros(4, 1), embeddings=values, output=values)
        >>> trace.last_step_gradient = torch.tensor([4.0, 1.0, 9.0])[:, None, None]
        >>> token_sensitivity(trace)
        2.0
    """
    relative = [sensitivity(trace, lag) for lag in LAGS]
    return math.prod(relative) ** (1 / len(LAGS))


def sensitivity(trace: Trace, lag: int) -> float:
    """The same of one lag; NaN where the output is not finite, or there are too few steps."""
    gradient, scale = trace.last_step_gradient, trace.once(_relative_scale, "scale", trace)
    assert gradient is not None
    if len(gradient) <= lag:
        return math.nan
    return math.sqrt(float(gradient[-1 - lag].double().square().mean())) * scale


def counted(found: float) -> float:
    """As much of a finite sensitivity as counts beside a memory."""
    return min(max(found, _LEAST), _MOST)


def _relative_scale(trace: Trace) -> float:
    """The embeddings' deviation over the output's; 0 where the output does not vary."""
    embeddings, output = trace.embeddings, trace.output
    assert embeddings is not None and output is not None
    if not is_finite(output):
        return math.nan
    scale = _spread(output)
    if scale <= rounding(float(output.double().square().mean().sqrt()), output.dtype):
        return 0.0
    return _spread(embeddings) / scale
