"""GraSP: how much of the gradient would flow without each weight.

Source: Wang et al. 2020, "Picking winning tickets before training by preserving gradient flow",
equation 8; as a metric of architectures Abdelfattah et al. 2021.
"""

import math

import torch

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


# The output tells whether the objective is a constant, which is said beside the value.
@metric(
    needs={"hessian_gradient_products", "output"},
    larger_is_better=True,
    source="Wang et al. 2020, equation 8; Abdelfattah et al. 2021, section 3.2",
    undefined="the Hessian times the gradient is zero for every weight, or weights, their "
    "gradients or second derivatives are not finite",
)
def grasp(trace: Trace) -> float:
    """Σ -weight * (H g) over the weights of all linear maps, g the gradient and H the Hessian.

    To first order, half of how much the gradient's squared norm would grow if all weights were
    taken away in proportion.

    Where H g vanishes for every weight there is nothing to compare, and no value: a zero would rank
    a dead network before all that have a negative one.

    Examples:
        >>> from archscout.tracing import Trace, WeightGradient
        >>> weight, product = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 4.0]])
        >>> map_ = WeightGradient(weight, product)
        >>> grasp(Trace(0, torch.zeros(1, 1), hessian_gradient_products=[map_]))
        5.0
    """
    products = trace.hessian_gradient_products
    if not any(bool(product.gradient.any()) for product in products):
        return math.nan
    return -sum(float((p.weight * p.gradient).sum(dtype=torch.float64)) for p in products)
