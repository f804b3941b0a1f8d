"""Sensitivity and memory of an amplified network, by hand, and what it says of known cells."""

import math
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import archscout
from archscout import Scorer
from archscout.metrics.amplified_memory import amplified_memory
from archscout.spaces import RecurrentSpace, live
from archscout.tracing import Trace
from archscout.tracing.amplification import DEVIATION, GAIN, amplified

T, B = 12, 4


class Recurrent(nn.Module):
    """An embedding and a recurrent layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(30, 6)
        self.layer = nn.RNN(6, 9)

    def forward(self, tokens: Tensor) -> Tensor:
        states: Tensor = self.layer(self.embedding(tokens))[0]
        return states


def tokens() -> Tensor:
    return torch.randint(30, (T, B), generator=torch.Generator().manual_seed(0))


def score(module: nn.Module, *metrics: str) -> list[float]:
    found = archscout.score_module(module, tokens(), metrics=metrics)
    return [found[name] for name in metrics]


def amplified_by_hand(module: Recurrent) -> Recurrent:
    with torch.no_grad():
        for name, weight in module.layer.named_parameters():
            if name.startswith("weight"):
                weight.mul_(GAIN)
        module.embedding.weight.mul_(DEVIATION / module.embedding(tokens()).std(correction=0))
    return module


def test_it_is_measured_on_larger_weights_and_embeddings() -> None:
    """Lags 1 and 2 as `token_sensitivity` has them apart, by autograd, and memory of lag 4."""
    by_hand = amplified_by_hand(Recurrent())
    embedded = by_hand.embedding(tokens()).detach().requires_grad_()
    output = by_hand.layer(embedded)[0]
    # The trace's own v, so that the last step's gradient can be had from its sensitivity.
    both, remembered = score(by_hand, "token_sensitivity", "linear_memory_lag_4")
    assert score(Recurrent(), "amplified_memory")[0] > 0
    ratio = _lags(output, embedded)
    one, two = both * math.sqrt(ratio), both / math.sqrt(ratio)
    expected = (min(one, 1) * min(two, 1) ** 2 * remembered) ** 0.25
    # The ratio is of another v: an estimate, over B x E numbers.
    assert score(Recurrent(), "amplified_memory")[0] == pytest.approx(expected, rel=0.1)


def _lags(output: Tensor, embedded: Tensor) -> float:
    """Of the last output's Jacobian, its norm one step back over that two steps back."""
    squares = torch.zeros(2)
    for i in range(B):
        for unit in range(output.shape[-1]):
            (gradient,) = torch.autograd.grad(output[-1, i, unit], embedded, retain_graph=True)
            squares += torch.stack([gradient[-2].square().sum(), gradient[-3].square().sum()])
    return math.sqrt(float(squares[0] / squares[1]))


def test_the_scale_of_embeddings_does_not_matter_and_the_module_is_left_as_it_was() -> None:
    plain, louder = Recurrent(), Recurrent()
    with torch.no_grad():
        louder.embedding.weight.mul_(100)
    before = {name: (p.data_ptr(), p.clone()) for name, p in plain.named_parameters()}
    (first,), (second,) = score(plain, "amplified_memory"), score(louder, "amplified_memory")
    assert first == pytest.approx(second, rel=1e-5)
    for name, parameter in plain.named_parameters():
        assert parameter.data_ptr() == before[name][0] and torch.equal(parameter, before[name][1])


def test_other_metrics_beside_it_are_those_of_the_network_as_it_is() -> None:
    alone = score(Recurrent(), "token_sensitivity", "linear_memory")
    beside = score(Recurrent(), "token_sensitivity", "amplified_memory", "linear_memory")
    assert alone == [beside[0], beside[2]]


def test_a_network_comes_back_from_a_failure_as_it_was() -> None:
    scorer = Scorer("rnn", metrics=["amplified_memory"])
    with scorer.recorder(RecurrentSpace().named["lstm"]) as recorder:
        before = [weight.clone() for weight in recorder.linear_parameters()]
        with pytest.raises(ZeroDivisionError), amplified(recorder, scorer.minibatch) as louder:
            assert float(louder.embed(scorer.minibatch).std()) == pytest.approx(DEVIATION, rel=1e-3)
            assert not torch.equal(recorder.linear_parameters()[0], before[0])
            raise ZeroDivisionError
        assert all(map(torch.equal, recorder.linear_parameters(), before))


def test_what_is_missing_in_one_part_the_others_do_not_make_up_for() -> None:
    rng = torch.Generator().manual_seed(0)
    embeddings, states, output = torch.randn(3, 20, 6, 5, generator=rng)

    def of(*by_step: float) -> float:
        gradient = torch.tensor(by_step)[:, None, None].expand(3, 6, 5)
        parts = {"hidden_states": [states], "embeddings": embeddings, "output": output}
        trace = Trace(0, torch.zeros(20, 6), last_step_gradient=gradient, **parts)
        return amplified_memory(trace)

    assert of(0.1, 0.1, 0.1) > of(0.01, 0.1, 0.1) > of(0.001, 0.1, 0.1)
    assert of(0.1, 0.1, 0.1) > of(0.1, 0.01, 0.1) > of(0.01, 0.1, 0.1)  # two steps back count twice
    assert of(90.0, 90.0, 0.1) == of(50.0, 50.0, 9.0)  # up to 1, and the last step not at all
    assert of(0.0, 0.1, 0.1) < 1e-8


def test_a_cell_that_explodes_ranks_last_and_says_so() -> None:
    cell = {
        "a": {"op": "linear", "input": ["x", "h_prev_0"]},
        "b": {"op": "elementwise_sum", "input": ["a", "a"]},
        "c": {"op": "elementwise_prod", "input": ["b", "b"]},
        "h_new_0": {"op": "elementwise_sum", "input": ["c", "c"]},
    }
    result = archscout.score("rnn", cell, metrics=["amplified_memory"])
    assert math.isnan(result["amplified_memory"])
    assert result.problem is not None and "overflow" in result.problem


@pytest.mark.parametrize("seed", [0, 1])
def test_gated_cells_are_among_the_best_and_above_the_plain_one(seed: int) -> None:
    space = RecurrentSpace()
    assert space.default_metric == "amplified_memory"
    scorer = Scorer(space, metrics=["amplified_memory"], seed=seed)
    sampled = [scorer.score(live(space, a)) for a in islice(space.samples(0), 200)]
    scores = np.array([found["amplified_memory"] for found in sampled])
    known = {n: scorer.score(cell)["amplified_memory"] for n, cell in space.named.items()}
    for name in ("lstm", "gru"):
        assert known[name] > known["rnn"]
        assert np.mean(scores > known[name]) <= 0.10


def test_what_varies_by_rounding_alone_is_not_amplified() -> None:
    numbers = torch.full((6, 2, 3), 0.3)
    numbers[::2] = torch.nextafter(numbers[::2], torch.tensor(1.0))
    recorder = SimpleNamespace(linear_parameters=lambda: (), embed=lambda batch: batch)
    with amplified(recorder, numbers) as louder:
        assert torch.equal(louder.embed(numbers), numbers)
