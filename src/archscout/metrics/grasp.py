"""GraSP: how much of the gradient would flow without each weight.

Source: Wang et al. 2020, "Picking winning tickets before training by preserving gradient flow",
equation 8; as a metric of architectures Abdelfattah et al. 2021.
"""

from __future__ import annotations

import torch

from archscout.metrics.registry import metric
from archscout.metrics.trace import Trace


# The output tells whether the objective is a constant, which is said beside the value.
@metric(
    needs={"hessian_gradient_products", "output"},
    larger_is_better=True,
    source="Wang et al. 2020, equation 8; Abdelfattah et al. 2021, section 3.2",
    undefined="weights, their gradients or second derivatives are not finite",
)
def grasp(trace: Trace) -> float:
    """Σ -weight * (H g) over the weights of all linear maps, g the gradient and H the Hessian.

    To first order, half of how much the gradient's squared norm would grow if all weights were
    taken away in proportion.
    """
    return -sum(
        float((w.weight * w.gradient).sum(dtype=torch.float64))
        for w in trace.hessian_gradient_products
    )
