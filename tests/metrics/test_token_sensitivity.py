"""Token sensitivity against autograd on a recurrent module, and on traces written by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import archscout
from archscout import InputError
from archscout.metrics.token_sensitivity import token_sensitivity
from archscout.spaces import RecurrentSpace
from archscout.tracing import Trace

T, B, E = 12, 4, 6


class Recurrent(nn.Module):
    """An embedding and a recurrent layer whose weights are scaled."""

    def __init__(self, recurrent: float = 1.0, embedded: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(30, E)
        self.layer = nn.RNN(E, 9)
        with torch.no_grad():
            self.layer.weight_hh_l0.mul_(recurrent)
            self.embedding.weight.mul_(embedded)

    def forward(self, tokens: Tensor) -> Tensor:
        states: Tensor = self.layer(self.embedding(tokens))[0]
        return states


def tokens() -> Tensor:
    return torch.randint(30, (T, B), generator=torch.Generator().manual_seed(0))


def score(module: nn.Module, seed: int = 0) -> float:
    return archscout.score_module(
        module, tokens(), ["token_sensitivity"], batch_first=False, seed=seed
    )["token_sensitivity"]


def by_autograd(module: Recurrent, seed: int = 0) -> float:
    leaf = module.embedding(tokens()).detach().requires_grad_()
    outputs = module.layer(leaf)[0]
    v = torch.from_numpy(np.random.default_rng((seed, 6)).standard_normal((B, 9), np.float32))
    (gradient,) = torch.autograd.grad((outputs[-1] * v).sum(), leaf)
    relative = [
        gradient[T - 1 - lag].square().mean().sqrt()
        * leaf.flatten(0, 1).var(0, correction=0).mean().sqrt()
        / outputs.flatten(0, 1).var(0, correction=0).mean().sqrt()
        for lag in (1, 2)
    ]
    return math.sqrt((relative[0] * relative[1]).item())


@pytest.mark.parametrize("seed", [0, 5])
def test_it_is_the_relative_gradient_of_the_last_output(seed: int) -> None:
    assert score(Recurrent(), seed) == pytest.approx(by_autograd(Recurrent(), seed), rel=1e-5)


def test_a_network_that_forgets_at_once_has_none() -> None:
    assert score(Recurrent(recurrent=0.0)) == 0


def test_the_weaker_the_recurrence_the_smaller_it_is() -> None:
    values = [score(Recurrent(recurrent=factor)) for factor in (1.0, 0.3, 0.1)]
    assert values == sorted(values, reverse=True)


def of(output: Tensor, gradient: Tensor, embeddings: Tensor) -> Trace:
    return Trace(
        0,
        torch.zeros(output.shape[:2]),
        output=output,
        last_step_gradient=gradient,
        embeddings=embeddings,
    )


def drawn() -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    output, gradient, embeddings = torch.randn(3, T, B, E, generator=rng)
    return output, gradient[-3:], embeddings


def test_units_of_outputs_and_embeddings_do_not_matter() -> None:
    output, gradient, embeddings = drawn()
    value = token_sensitivity(of(output, gradient, embeddings))
    # Outputs thrice as large have gradients thrice as large; embeddings, of half the size.
    assert token_sensitivity(of(3 * output, 3 * gradient, embeddings)) == pytest.approx(value)
    assert token_sensitivity(of(output, gradient / 2, 2 * embeddings)) == pytest.approx(value)
    assert token_sensitivity(of(output + 7, gradient, embeddings - 3)) == pytest.approx(value)


def test_a_constant_output_answers_to_nothing() -> None:
    output, gradient, embeddings = drawn()
    constant = of(torch.full_like(output, 2.0), torch.zeros_like(gradient), embeddings)
    assert token_sensitivity(constant) == 0


def test_an_output_that_explodes_or_a_text_too_short_has_no_value() -> None:
    output, gradient, embeddings = drawn()
    output[3, 1, 2] = math.inf
    assert math.isnan(token_sensitivity(of(output, gradient, embeddings)))
    short = (part[-2:] for part in drawn())
    assert math.isnan(token_sensitivity(of(*short)))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_alone_it_keeps_the_last_steps_only_and_is_the_same(name: str) -> None:
    alone = archscout.score("rnn", name, metrics=["token_sensitivity"])
    beside = archscout.score("rnn", name, metrics=["token_sensitivity", "jacobian_cosine"])
    assert alone["token_sensitivity"] == pytest.approx(beside["token_sensitivity"], rel=1e-5)


def test_parts_of_the_inputs_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from archscout.spaces.recurrent import RecurrentRecorder

    whole = archscout.score("rnn", "gru", metrics=["token_sensitivity"]).scores
    monkeypatch.setattr(RecurrentRecorder, "inputs_at_once", lambda *_, **__: 3)
    parts = archscout.score("rnn", "gru", metrics=["token_sensitivity"]).scores
    assert parts == pytest.approx(whole, rel=1e-5)


def test_encoders_have_no_last_token_to_speak_of() -> None:
    with pytest.raises(
        InputError, match="token_sensitivity' is defined for networks that are no transformers"
    ):
        archscout.score("flexibert", "{}", metrics=["token_sensitivity"])


def test_the_same_seed_gives_the_same_number() -> None:
    cell = RecurrentSpace().sample(1)
    first, second = (
        archscout.score("rnn", cell, metrics=["token_sensitivity"], seed=4) for _ in range(2)
    )
    assert first.scores == second.scores
