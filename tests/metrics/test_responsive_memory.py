"""Linear memory times the root of what it needs to be of use."""

import math

import pytest
import torch

import archscout
from archscout.metrics.linear_memory import memory_by_layer
from archscout.metrics.responsive_memory import responsive_memory
from archscout.metrics.token_sensitivity import token_sensitivity
from archscout.spaces import RecurrentSpace
from archscout.tracing import Trace

RNN = ["responsive_memory", "linear_memory", "token_sensitivity"]


@pytest.mark.parametrize("seed", range(4))
def test_responsive_memory_is_memory_times_a_root_of_sensitivity(seed: int) -> None:
    scores = archscout.score("rnn", RecurrentSpace().sample(seed), metrics=RNN).scores
    sensitivity = max(scores["token_sensitivity"], 1e-30)
    expected = scores["linear_memory[3]"] * sensitivity**0.25
    assert scores["responsive_memory"] == pytest.approx(expected, rel=1e-9)


def test_sensitivity_counts_up_to_one() -> None:
    rng = torch.Generator().manual_seed(0)
    embeddings, states, output = torch.randn(3, 20, 6, 5, generator=rng)

    def scores(factor: float) -> tuple[float, float, float]:
        trace = Trace(
            0,
            torch.zeros(20, 6),
            hidden_states=[states],
            embeddings=embeddings,
            output=output,
            last_step_gradient=torch.full((3, 6, 5), factor),
        )
        return (
            responsive_memory(trace),
            token_sensitivity(trace),
            memory_by_layer(trace, 1)[-1],
        )

    scored, sensitivity, memory = scores(0.1)
    assert sensitivity < 1
    assert scored == pytest.approx(memory * sensitivity**0.25)
    scored, sensitivity, memory = scores(50.0)
    assert sensitivity > 40
    assert scored == pytest.approx(memory)


def test_a_cell_that_ignores_its_input_has_neither() -> None:
    cell = {
        "a": {"op": "linear", "input": ["h_prev_0"]},
        "h_new_0": {"op": "activation_tanh", "input": ["a"]},
    }
    scores = archscout.score("rnn", cell, metrics=RNN).scores
    # The states settle, alike for all inputs, and drift by rounding at most.
    assert scores["token_sensitivity"] == 0
    assert scores["linear_memory"] == pytest.approx(0, abs=0.02)
    assert 0 <= scores["responsive_memory"] < 1e-8


def test_a_cell_that_explodes_ranks_last_and_says_so() -> None:
    cell = {
        "a": {"op": "linear", "input": ["x", "h_prev_0"]},
        "b": {"op": "elementwise_sum", "input": ["a", "a"]},
        "c": {"op": "elementwise_sum", "input": ["b", "b"]},
        "d": {"op": "elementwise_prod", "input": ["c", "c"]},
        "e": {"op": "elementwise_sum", "input": ["d", "d"]},
        "h_new_0": {"op": "elementwise_sum", "input": ["e", "e"]},
    }
    result = archscout.score("rnn", cell, metrics=["responsive_memory"])
    assert math.isnan(result["responsive_memory"])
    assert result.problem is not None and "overflow" in result.problem
