"""The Jacobian's two scores, without noise on the embeddings and with it.

J is the gradient of the objective with respect to the embeddings, one row an input: how
differently the inputs of a minibatch act on the output. Under noise the embeddings e are replaced
by e + a · var · ε: a the amplitude, var their variance over the inputs, ε standard normal.

Sources: Mellor et al. 2021 (covariance, first version of the paper); Celotti et al. 2020,
"Improving zero-shot neural architecture search with parameters scoring" (cosine, and noise);
Serianni and Kalita 2023, section 4.1.
"""

from collections.abc import Callable

from torch import Tensor

from archscout.metrics.registry import metric
from archscout.metrics.shared.cosine_score import cosine_score
from archscout.metrics.shared.spectral_score import spectral_score
from archscout.tracing.quantities import Trace

MELLOR = "Mellor et al. 2021, equation 3 of the first version"
CELOTTI = "Celotti et al. 2020, section 3"
UNDEFINED = "the gradients of an input do not vary or are not finite, or there is one input only"


def under_noise(
    *amplitudes: float, larger_is_better: bool
) -> Callable[[Callable[[Trace], float]], Callable[[Trace], float]]:
    """Register a metric of the scores without noise and under noise of these amplitudes."""
    noised = (f"noised_embedding_gradient[{amplitude:g}]" for amplitude in amplitudes)
    return metric(
        needs={"embedding_gradient", *noised},
        larger_is_better=larger_is_better,
        source=CELOTTI,
        undefined=UNDEFINED,
    )


def covariance(trace: Trace, amplitude: float = 0.0) -> float:
    """Spectral score of J under noise of this amplitude."""
    return trace.once(spectral_score, amplitude, _jacobian(trace, amplitude))


def cosine(trace: Trace, amplitude: float = 0.0) -> float:
    """Cosine score of J under noise of this amplitude."""
    return trace.once(cosine_score, amplitude, _jacobian(trace, amplitude))


def _jacobian(trace: Trace, amplitude: float) -> Tensor:
    """(B, T * E), from the gradient (T, B, E)."""
    gradient = trace.embedding_gradient
    if amplitude:
        gradient = trace.noised_embedding_gradients[amplitude]
    assert gradient is not None
    return gradient.transpose(0, 1).flatten(1)


def of_positions(trace: Trace) -> Tensor:
    """The gradient of the embedding of positions with one row a feature, (E, positions)."""
    assert trace.position_gradient is not None
    return trace.position_gradient.t()
