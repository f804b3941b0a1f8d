"""Scores of the Jacobian: how differently the inputs of a minibatch act on the output.

Sources: Mellor et al. 2021 (covariance, first version of the paper); Celotti et al. 2020,
"Improving zero-shot neural architecture search with parameters scoring" (cosine, and noise on
the inputs); Serianni and Kalita 2023, section 4.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archscout.metrics.registry import metric
from archscout.metrics.spectral import spectral_score
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

_MELLOR = "Mellor et al. 2021, equation 3 of the first version"
_CELOTTI = "Celotti et al. 2020, section 3"
_UNDEFINED = "the gradients of an input do not vary, or are not finite"


def cosine_score(rows: Tensor) -> float:
    """1 - sum(|C| ** (1/20)) / (2 * (n ** 2 - n)), C the cosines between n different rows.

    The diagonal of C is exactly zero, and so is what rounding may have made of rows at right
    angles: an error there would count 0.4 each.

    Args:
        rows: (n, columns).

    Returns:
        NaN for a single row, and where a row is zero or not finite.
    """
    n = len(rows)
    if n < 2:
        return math.nan
    # Squares of exploding or vanishing gradients leave the range of float32.
    directions = rows.double()
    directions /= torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    cosines = directions @ directions.t()
    cosines.fill_diagonal_(0)
    cosines[cosines.abs() <= rounding(1.0, rows.dtype)] = 0
    return 1 - float(cosines.abs().pow(1 / 20).sum()) / (2 * (n * n - n))


def _rows(gradient: Tensor) -> Tensor:
    """The Jacobian (T, B, E) with one row an input, (B, T * E)."""
    return gradient.transpose(0, 1).flatten(1)


def _covariance(trace: Trace, amplitude: float = 0.0) -> float:
    return trace.once(spectral_score, amplitude, _jacobian(trace, amplitude))


def _cosine(trace: Trace, amplitude: float = 0.0) -> float:
    return trace.once(cosine_score, amplitude, _jacobian(trace, amplitude))


def _jacobian(trace: Trace, amplitude: float) -> Tensor:
    gradient = trace.embedding_gradient
    if amplitude:
        gradient = trace.noised_embedding_gradients[amplitude]
    assert gradient is not None
    return _rows(gradient)


def _positions(trace: Trace) -> Tensor:
    """The gradient of the positions' embedding with one row a feature, (E, positions)."""
    assert trace.position_gradient is not None
    return trace.position_gradient.t()


@metric(
    needs={"position_gradient"},
    larger_is_better=False,
    name="jacobian_covariance",
    source=_MELLOR,
    undefined="the gradients of a feature do not vary, or are not finite",
    kind="transformer",
)
def position_covariance(trace: Trace) -> float:
    """Spectral score of the correlations between features of the positions' gradients.

    The gradient of the embedding of positions, one row a feature, (E, positions). The literature
    expects more of better networks; among the published encoders, scored as they were trained with
    gradients of a cotangent, it falls with the GLUE score, so smaller is better here; with those of
    the loss it rises.
    """
    return spectral_score(_positions(trace))


@metric(
    needs={"position_gradient"},
    larger_is_better=True,
    name="jacobian_cosine",
    source=_CELOTTI,
    undefined="the gradient of a feature is zero, or not finite",
    kind="transformer",
)
def position_cosine(trace: Trace) -> float:
    """Score of the cosines between features of the positions' gradients, see `cosine_score`."""
    return cosine_score(_positions(trace))


@metric(needs={"embedding_gradient"}, larger_is_better=True, source=_MELLOR, undefined=_UNDEFINED)
def jacobian_covariance(trace: Trace) -> float:
    """Spectral score of the correlations between the inputs' gradients.

    The gradient of the objective, by default the sum of the last layer's raw output, with respect
    to the embeddings, one row an input, (B, T * E).
    """
    return _covariance(trace)


@metric(needs={"embedding_gradient"}, larger_is_better=True, source=_CELOTTI, undefined=_UNDEFINED)
def jacobian_cosine(trace: Trace) -> float:
    """Score of the cosines between the inputs' gradients, see `cosine_score`."""
    return _cosine(trace)


def _needs(*amplitudes: float) -> set[str]:
    return {"embedding_gradient", *(f"noised_embedding_gradient[{a:g}]" for a in amplitudes)}


@metric(needs=_needs(0.1), larger_is_better=True, source=_CELOTTI, undefined=_UNDEFINED)
def small_noise_jacobian(trace: Trace) -> float:
    """1 - |s(J) - s(J')|, s the covariance score, J' the Jacobian under noise of amplitude 0.1.

    Among the published networks a larger value goes with a smaller loss.
    """
    return 1 - abs(_covariance(trace) - _covariance(trace, 0.1))


@metric(needs=_needs(0.1), larger_is_better=False, source=_CELOTTI, undefined=_UNDEFINED)
def small_noise_jacobian_cosine(trace: Trace) -> float:
    """1 - |s(J) - s(J')|, s the cosine score, J' the Jacobian under noise of amplitude 0.1.

    Near 1 where all inputs act alike, so among the published networks smaller is better.
    """
    return 1 - abs(_cosine(trace) - _cosine(trace, 0.1))


@metric(needs=_needs(10.0), larger_is_better=True, source=_CELOTTI, undefined=_UNDEFINED)
def large_noise_jacobian(trace: Trace) -> float:
    """As `small_noise_jacobian`, with noise of amplitude 10."""
    return 1 - abs(_covariance(trace) - _covariance(trace, 10.0))


@metric(needs=_needs(10.0), larger_is_better=False, source=_CELOTTI, undefined=_UNDEFINED)
def large_noise_jacobian_cosine(trace: Trace) -> float:
    """As `small_noise_jacobian_cosine`, with noise of amplitude 10."""
    return 1 - abs(_cosine(trace) - _cosine(trace, 10.0))


@metric(
    needs=_needs(0.1, 10.0, 100.0), larger_is_better=False, source=_CELOTTI, undefined=_UNDEFINED
)
def more_noised_jacobian(trace: Trace) -> float:
    """Product of the covariance scores without noise and at amplitudes 0.1, 10 and 100.

    A product of four negative numbers, so smaller is better.
    """
    return (
        _covariance(trace)
        * _covariance(trace, 0.1)
        * _covariance(trace, 10.0)
        * _covariance(trace, 100.0)
    )


@metric(
    needs=_needs(0.1, 10.0, 100.0), larger_is_better=True, source=_CELOTTI, undefined=_UNDEFINED
)
def more_noised_jacobian_cosine(trace: Trace) -> float:
    """Product of the cosine scores without noise and at amplitudes 0.1, 10 and 100."""
    return _cosine(trace) * _cosine(trace, 0.1) * _cosine(trace, 10.0) * _cosine(trace, 100.0)
