"""Linear memory on states whose memory is known, and on networks."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn

import archscout
from archscout import InputError
from archscout.metrics import request
from archscout.metrics.linear_memory import (
    RIDGE,
    explained_variance,
    memory_by_layer,
)
from archscout.spaces import RecurrentSpace
from archscout.tracing import Trace

T, B, E = 30, 8, 5


def embeddings() -> Tensor:
    return torch.randn(T, B, E, generator=torch.Generator().manual_seed(0))


def shifted(lag: int) -> Tensor:
    """What a recurrent layer holds that keeps the token `lag` before the last, and no other."""
    states = torch.zeros(T, B, E)
    states[lag + 1 :] = embeddings()[: T - lag - 1]
    return states


def of(*layers: Tensor) -> Trace:
    return Trace(0, torch.zeros(T, B), hidden_states=list(layers), embeddings=embeddings())


def test_it_is_what_ridge_regression_explains() -> None:
    rng = torch.Generator().manual_seed(1)
    states, targets = torch.randn(60, 7, generator=rng), torch.randn(60, 3, generator=rng)
    targets[:, 0] += 2 * states[:, 1] + 5
    units = ((states - states.mean(0)) / states.std(0, correction=0)).numpy()
    wanted = (targets - targets.mean(0)).numpy()
    fitted = Ridge(alpha=RIDGE * 60, fit_intercept=False).fit(units, wanted).predict(units)
    expected = 1 - np.square(wanted - fitted).sum() / np.square(wanted).sum()
    assert explained_variance(states, targets) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("lag", [0, 1, 2, 4])
def test_a_layer_that_keeps_one_token_is_best_at_its_lag(lag: int) -> None:
    values = {each: memory_by_layer(of(shifted(lag)), each)[0] for each in (0, 1, 2, 4)}
    assert max(values, key=values.__getitem__) == lag
    # Each unit keeps one feature: with a penalty of ρ variances, 1 - (ρ / (1 + ρ))² is explained.
    assert values[lag] == pytest.approx(1 - (RIDGE / (1 + RIDGE)) ** 2, rel=0.25)


@pytest.mark.parametrize(("width", "steps"), [(16, 400), (64, 400), (64, 800)])
def test_noise_explains_a_share_that_grows_with_its_width(width: int, steps: int) -> None:
    rng = torch.Generator().manual_seed(3)
    states, targets = (torch.randn(steps, n, generator=rng) for n in (width, 50))
    assert explained_variance(states, targets) == pytest.approx(0.17 * width / steps, rel=0.2)


def test_a_transformers_state_has_read_the_token_at_its_own_position() -> None:
    trace = of(embeddings())
    trace.states_enter_steps = False
    assert memory_by_layer(trace, 0)[0] > 4 * memory_by_layer(trace, 1)[0]


def test_the_beginning_of_a_recurrent_pass_is_left_out() -> None:
    states = shifted(1)
    changed = states.clone()
    changed[: T // 3] = 100.0
    assert memory_by_layer(of(states), 1) == memory_by_layer(of(changed), 1)


def test_scale_offset_and_order_of_units_do_not_matter() -> None:
    states = shifted(1) + 0.3 * torch.randn(T, B, E, generator=torch.Generator().manual_seed(2))
    factors = torch.tensor([0.01, 3.0, -2.0, 50.0, 1.0])
    other = (states * factors + 7.0)[..., [3, 1, 4, 0, 2]]
    first, second = memory_by_layer(of(states, other), 1)
    assert second == pytest.approx(first, rel=1e-4)


def test_silent_units_add_nothing_and_a_silent_layer_has_no_memory() -> None:
    states = shifted(1)
    padded = torch.cat([states, torch.full((T, B, 3), 4.0)], -1)
    first, second = memory_by_layer(of(states, padded), 1)
    assert second == pytest.approx(first, rel=1e-12)
    assert memory_by_layer(of(torch.full((T, B, 4), 2.5)), 1) == [0.0]


def test_embeddings_that_do_not_vary_leave_nothing_to_explain() -> None:
    trace = Trace(0, torch.zeros(T, B), hidden_states=[shifted(1)], embeddings=torch.ones(T, B, E))
    assert memory_by_layer(trace, 1) == [0.0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_states_that_are_not_finite_have_no_value(value: float) -> None:
    states = shifted(1)
    states[20, 3, 2] = value
    assert math.isnan(memory_by_layer(of(states), 1)[0])


def test_too_few_steps_for_a_lag_have_no_value() -> None:
    trace = Trace(
        0, torch.zeros(3, B), hidden_states=[torch.rand(3, B, 4)], embeddings=embeddings()[:3]
    )
    assert math.isnan(memory_by_layer(trace, 4)[0])


def test_the_bare_name_stands_for_the_last_layer() -> None:
    scores = archscout.score("rnn", "lstm", metrics=["linear_memory"]).scores
    assert scores["linear_memory"] == scores["linear_memory[3]"] != scores["linear_memory[2]"]
    total = archscout.score("rnn", "lstm", metrics=["linear_memory_total"]).scores
    lags = [f"linear_memory{suffix}" for suffix in ("_lag_0", "", "_lag_2", "_lag_4")]
    each = archscout.score("rnn", "lstm", metrics=lags).scores
    assert total["linear_memory_total"] == pytest.approx(sum(each[name] for name in lags))


def test_a_first_layers_lag_can_be_asked_for_without_the_others() -> None:
    assert request("linear_memory[1]").layer == 1
    one = archscout.score("rnn", "gru", metrics=["linear_memory[1]"]).scores
    every = archscout.score("rnn", "gru", metrics=["linear_memory"]).scores
    assert one == {"linear_memory[1]": pytest.approx(every["linear_memory[1]"], rel=1e-4)}


def test_a_renamed_recipe_scores_the_same() -> None:
    space = RecurrentSpace()
    cell = space.sample(3).to_dict()
    names = {name: name if name.startswith("h_new") else f"r_{name}" for name in cell}
    renamed = {
        names[name]: {**node, "input": [names.get(source, source) for source in node["input"]]}
        for name, node in cell.items()
    }
    first, second = archscout.score(space, [cell, renamed], metrics=["linear_memory"])
    assert first.scores == second.scores


def test_any_module_with_states_has_it_and_others_say_why_not() -> None:
    torch.manual_seed(0)
    embedding = nn.Embedding(50, 6)
    network = nn.Sequential(embedding, nn.RNN(6, 20))
    tokens = torch.randint(50, (30, 10), generator=torch.Generator().manual_seed(0))
    score = archscout.score_module(network, tokens, ["linear_memory_lag_0"], batch_first=False)
    assert score["linear_memory_lag_0"] > 0.1
    with pytest.raises(InputError, match=r"linear_memory does not apply.*no torch\.nn\.RNN"):
        archscout.score_module(nn.Sequential(embedding, nn.Linear(6, 3)), tokens, ["linear_memory"])
