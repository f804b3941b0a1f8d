"""SynFlow, against a copy of magnitudes run on ones, and its laws."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from archscout import InputError, score_module
from small_networks import NETWORKS, VECTORS, Small, dead, magnitudes, of_module, perceptron


def flows(small: Small) -> list[float]:
    """Of each weight."""
    _, weights, output = magnitudes(small)
    gradients = torch.autograd.grad(output.sum(), weights, materialize_grads=True)
    return [float((w.detach() * g).abs().sum()) for w, g in zip(weights, gradients, strict=True)]


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_flow_through_the_magnitudes(name: str) -> None:
    small = NETWORKS[name]()
    expected = flows(small)
    assert small.measure("synflow") == pytest.approx(sum(expected), rel=1e-9)
    logarithms = [math.log(1 + flow) for flow in expected]
    assert small.measure("synflow_logarithmic") == pytest.approx(sum(logarithms), rel=1e-9)


def test_flow_is_conserved_from_layer_to_layer() -> None:
    maps = [nn.Linear(6, 5, bias=False), nn.Linear(5, 7, bias=False), nn.Linear(7, 2, bias=False)]
    small = of_module(nn.Sequential(maps[0], nn.ReLU(), maps[1], nn.ReLU(), maps[2]), VECTORS)
    each = flows(small)
    assert each == pytest.approx([each[0]] * 3)
    assert small.measure("synflow") == pytest.approx(3 * each[0])
    assert small.measure("synflow_logarithmic") == pytest.approx(3 * math.log(1 + each[0]))


def test_no_text_is_read() -> None:
    module = perceptron().module
    one = of_module(module, VECTORS).measure("synflow")
    other = of_module(module, VECTORS.flip(0) * 3).measure("synflow")
    more = of_module(module, torch.cat([VECTORS, VECTORS], 1)).measure("synflow")
    assert one == other
    assert more == pytest.approx(one)


def test_signs_of_weights_do_not_matter() -> None:
    small = perceptron()
    before = small.measure("synflow")
    with torch.no_grad():
        for parameter in small.module.parameters():
            parameter.neg_()
    assert small.measure("synflow") == before


def test_a_layer_norm_is_passed_by() -> None:
    torch.manual_seed(0)
    first, last = nn.Linear(6, 5), nn.Linear(5, 2)
    scores = [
        of_module(nn.Sequential(first, *between, last), VECTORS).measure("synflow")
        for between in ([], [nn.LayerNorm(5)], [nn.LayerNorm(5), nn.LayerNorm(5)])
    ]
    assert scores[0] == scores[1] == scores[2] > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_is_left_as_it_was(name: str) -> None:
    small = NETWORKS[name]()
    before = {n: (p.data_ptr(), p.clone()) for n, p in small.module.named_parameters()}
    output = small.output()
    small.measure("synflow")
    for n, p in small.module.named_parameters():
        assert (p.data_ptr(), p.dtype) == (before[n][0], before[n][1].dtype)
        assert torch.equal(p, before[n][1])
    assert torch.equal(small.output(), output)


def test_it_is_left_as_it_was_even_where_a_pass_fails() -> None:
    class Fails(nn.Linear):
        def forward(self, vectors: Tensor) -> Tensor:
            if self.weight.dtype == torch.float64:
                raise RuntimeError("no double")
            return super().forward(vectors)

    module = nn.Sequential(Fails(6, 3), nn.LayerNorm(3))
    before = [p.clone() for p in module.parameters()]
    with pytest.raises(InputError, match=r"metric synflow .* it does not run in double precision"):
        score_module(module, VECTORS.float(), ["synflow"])
    assert all(torch.equal(p, b) for p, b in zip(module.parameters(), before, strict=True))
    assert not module[1]._forward_hooks


@pytest.mark.parametrize("sees", ["every", "earlier"])
def test_attention_weighs_all_that_it_sees_alike(sees: str) -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(6, 6, bias=False)
            self.query, self.key, self.value = (nn.Linear(6, 6, bias=False) for _ in range(3))

        def forward(self, vectors: Tensor) -> Tensor:
            hidden = self.first(vectors).transpose(0, 1)
            hidden = hidden * torch.arange(1.0, 1 + hidden.shape[1])[:, None]
            query, key, value = self.query(hidden), self.key(hidden), self.value(hidden)
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=sees == "earlier")
            return mixed.transpose(0, 1)

    torch.manual_seed(0)
    module = Attends()
    steps, magnitude = len(VECTORS), [m.weight.detach().abs() for m in (module.first, module.value)]
    hidden = torch.arange(1.0, 1 + steps)[:, None] * magnitude[0].sum(1)
    seen = [hidden[: t + 1] if sees == "earlier" else hidden for t in range(steps)]
    expected = sum(float((part.mean(0) @ magnitude[1].t()).sum()) for part in seen)
    # Nothing flows through queries and keys, all of it through the others.
    found = of_module(module, VECTORS).measure("synflow")
    assert found == pytest.approx(2 * expected, rel=1e-6)


def test_products_beyond_single_precision_are_finite() -> None:
    module = nn.Sequential(*(nn.Linear(6, 6, bias=False) for _ in range(4)))
    for parameter in module.parameters():
        nn.init.constant_(parameter, -1e15)
    names = ["synflow", "synflow_logarithmic"]
    found = score_module(module, VECTORS.float(), names, batch_first=False)
    # Six positions of six features: each map is worth a factor of six times 1e15.
    assert found["synflow"] == pytest.approx(4 * 6 * 6 * 6**4 * 1e60)
    assert found["synflow_logarithmic"] == pytest.approx(4 * math.log(6 * 6 * 6**4 * 1e60))


def test_nothing_flows_through_a_dead_network() -> None:
    for name in ("perceptron", "gru", "encoder"):
        small = dead(NETWORKS[name]())
        assert small.measure("synflow") == 0
        assert small.measure("synflow_logarithmic") == 0


def test_of_a_model_of_transformers() -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    bert = BertModel(BertConfig(vocab_size=50, intermediate_size=32, **sizes))
    tokens = [torch.randint(0, 50, (2, 8)) for _ in range(2)]
    one, other = (score_module(bert, batch, ["synflow"])["synflow"] for batch in tokens)
    assert one == pytest.approx(other) and one > 0
    assert bert.embeddings.word_embeddings.weight.dtype == torch.float32


def test_input_without_an_embedding_is_told_so() -> None:
    class OneHot(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(9, 3)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.linear(nn.functional.one_hot(tokens, 9).float())

    with pytest.raises(InputError, match=r"it has no torch.nn.Embedding"):
        score_module(OneHot(), torch.arange(6).view(2, 3), ["synflow"])


class NormalisedLSTM(nn.Module):
    """Not a normalisation itself."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.normal = nn.LSTM(6, 6, batch_first=True), nn.LayerNorm(6)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.normal(self.inner(vectors)[0])


@pytest.mark.parametrize("name", ["LayerNormLSTM", "LSTMWithLayerNorm", "Cell"])
def test_a_layer_named_after_its_normalisation_is_not_passed_by(name: str) -> None:
    layer = type(name, (NormalisedLSTM,), {})()
    plain = NormalisedLSTM().inner
    batch = torch.randn(3, 4, 6)
    found = score_module(nn.Sequential(layer), batch, ["synflow"])["synflow"]
    assert found == pytest.approx(score_module(plain, batch, ["synflow"])["synflow"])


class SomeRMSNorm(nn.Module):
    """As other libraries write their own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), 3.0))

    def forward(self, vectors: Tensor) -> Tensor:
        return self.weight * vectors / vectors.square().mean(-1, keepdim=True).sqrt()


@pytest.mark.parametrize("make", [SomeRMSNorm, nn.LayerNorm, nn.RMSNorm])
def test_normalisations_are_passed_by_however_they_are_called(make: Any) -> None:
    class Normalised(nn.Module):
        def __init__(self, name: str | None) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.normal, self.last = nn.Linear(6, 5), make(5), nn.Linear(5, 3)
            self.name = name

        def forward(self, vectors: Tensor) -> Tensor:
            hidden = self.first(vectors)
            if self.name is None:
                return self.last(self.normal(hidden))
            return self.last(self.normal(**{self.name: hidden}))

    name = "vectors" if make is SomeRMSNorm else "input" if make is nn.LayerNorm else "x"
    network = Normalised(None)
    plain = nn.Sequential(network.first, network.last)
    expected = score_module(plain, VECTORS.float(), ["synflow"])["synflow"]
    for called in (None, name):
        found = score_module(Normalised(called), VECTORS.float(), ["synflow"])["synflow"]
        assert found == pytest.approx(expected)


class OwnStates(nn.Module):
    """A recurrent network that makes its first states itself, or is given them."""

    def __init__(self, own: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.own = nn.LSTM(6, 5, batch_first=True), own

    def forward(self, vectors: Tensor, states: Any = None) -> Tensor:
        if self.own:
            states = torch.zeros(1, len(vectors), 5), torch.zeros(1, len(vectors), 5)
        return self.inner(vectors, states)[0]


def test_first_states_are_in_double_precision_too() -> None:
    batch, zeros = torch.randn(3, 4, 6), torch.zeros(1, 3, 5)
    expected = score_module(OwnStates(), batch, ["synflow"])["synflow"]
    assert score_module(OwnStates(own=True), batch, ["synflow"])["synflow"] == expected
    assert score_module(OwnStates(), (batch, (zeros, zeros)), ["synflow"])["synflow"] == expected
    assert torch.get_default_dtype() == torch.float32 and zeros.dtype == torch.float32
