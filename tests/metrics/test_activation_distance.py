"""Activation distance on codes written by hand; networks are compared in test_definitions."""

import math

import pytest
import torch

from archscout.metrics.activation_distance import activation_distance, activation_distance_released
from archscout.tracing import Trace


def of(*activations: torch.Tensor) -> Trace:
    """A trace with these activations, (T, B, H) each."""
    steps, batch_size = activations[0].shape[:2]
    return Trace(0, torch.zeros(steps, batch_size), activations=list(activations))


def test_two_inputs_agree_where_their_codes_do() -> None:
    # One step, two inputs of four units: they agree on two, so K = [[4, 2], [2, 4]].
    outputs = torch.tensor([[[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, 1.0]]])
    assert activation_distance(of(outputs)) == pytest.approx(math.log(12))


def test_zero_counts_as_switched_off() -> None:
    zero = torch.tensor([[[1.0, 0.0, -1.0, 0.0], [1.0, 1.0, -1.0, 1.0]]])
    below = torch.tensor([[[1.0, -9.0, -1.0, -9.0], [1.0, 1.0, -1.0, 1.0]]])
    assert activation_distance(of(zero)) == activation_distance(of(below))


def test_nodes_layers_and_steps_add_up() -> None:
    rng = torch.Generator().manual_seed(0)
    wide, narrow = torch.randn(5, 4, 6, generator=rng), torch.randn(5, 4, 3, generator=rng)
    agreement = torch.zeros(4, 4, dtype=torch.float64)
    for outputs in (*wide, *narrow):
        x = (outputs > 0).double()
        agreement += x @ x.t() + (1 - x) @ (1 - x).t()
    expected = float(agreement.logdet())
    assert activation_distance(of(wide, narrow)) == pytest.approx(expected)


def test_inputs_with_equal_codes_give_minus_infinity() -> None:
    outputs = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
    outputs[:, 3] = 2 * outputs[:, 1]
    assert activation_distance(of(outputs)) == -math.inf
    assert activation_distance_released(of(outputs)) == -math.inf


def test_inputs_with_equal_codes_give_minus_infinity_at_every_size() -> None:
    rng = torch.Generator().manual_seed(0)
    for batch_size in range(3, 30):
        outputs = torch.randn(10, batch_size, 19, generator=rng)
        one, other = torch.randperm(batch_size, generator=rng)[:2].tolist()
        outputs[:, one] = outputs[:, other]
        assert activation_distance(of(outputs)) == -math.inf


def test_two_passes_add_the_logarithm_of_two_for_each_input() -> None:
    outputs = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
    found = of(outputs)
    twice = of(outputs, outputs)
    assert activation_distance_released(found) == pytest.approx(activation_distance(twice))
    assert activation_distance_released(found) == pytest.approx(
        activation_distance(found) + 4 * math.log(2)
    )


def test_activations_that_are_not_numbers_have_no_distance() -> None:
    outputs = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
    outputs[3:, :, 2] = math.nan
    assert not math.isfinite(activation_distance(of(outputs)))
