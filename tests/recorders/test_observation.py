"""What modules multiply with, as a run shows."""

from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archscout import InputError, score_module
from archscout.recorders.modules import ModuleRecorder
from archscout.recorders.observation import Observation

V, E, H, B, T = 20, 6, 10, 4, 5


@pytest.fixture(autouse=True)
def _the_same_weights_every_time() -> None:
    torch.manual_seed(0)


class Layer(nn.Module):
    """Embeds tokens and does something with a vector at each position."""

    def __init__(self, then: Callable[[Tensor], Tensor], **parts: nn.Module | Tensor) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, Tensor) else part)
        self.then = then

    def forward(self, tokens: Tensor) -> Tensor:
        return self.then(self.embedding(tokens))


TOKENS = torch.randint(0, V, (B, T), generator=torch.Generator().manual_seed(1))


def seen(module: nn.Module, batch: Tensor = TOKENS) -> Observation:
    with ModuleRecorder(module).given(batch) as recorder:
        return recorder.seen


def shapes(module: nn.Module) -> list[tuple[int, int]]:
    return [view.shape for view in seen(module).weights]


def test_a_weight_counts_whatever_multiplies_with_it() -> None:
    weight = torch.randn(H, E)
    linear = nn.Linear(E, H, bias=False)
    linear.weight = nn.Parameter(weight)
    ways: dict[str, nn.Module] = {"module": Layer(linear, linear=linear)}
    for name, multiply in {
        "linear": lambda x: F.linear(x, ways["linear"].w),
        "matmul": lambda x: x @ ways["matmul"].w.t(),
        "einsum": lambda x: torch.einsum("bti,oi->bto", x, ways["einsum"].w),
        "one by one": lambda x: torch.stack(
            [torch.stack([ways["one by one"].w.mv(v) for v in row]) for row in x]
        ),
        "copied": lambda x: F.linear(x, ways["copied"].w.clone()),
    }.items():
        ways[name] = Layer(multiply, w=weight)
    names = ["snip", "l2_norm", "synflow", "depth", "width"]
    scores = {}
    for name, module in ways.items():
        module.embedding.load_state_dict(ways["module"].embedding.state_dict())
        assert shapes(module) == [(H, E)], name
        scores[name] = score_module(module, TOKENS, names, batch_first=True).scores
    for found in scores.values():
        assert found == pytest.approx(scores["module"], rel=1e-5)


def test_weights_of_convolutions_and_bilinear_forms_are_matrices() -> None:
    filters = nn.Conv1d(E, H, 3, padding=1)
    module = Layer(lambda x: filters(x.transpose(1, 2)).transpose(1, 2), filters=filters)
    assert shapes(module) == [(H, E * 3)]
    bilinear = nn.Bilinear(E, E, H)
    assert shapes(Layer(lambda x: bilinear(x, x), bilinear=bilinear)) == [(H, E * E)]


def test_packed_projections_of_attention_are_one_map() -> None:
    attention = nn.MultiheadAttention(E, 2, batch_first=True)
    module = Layer(lambda x: attention(x, x, x)[0], attention=attention)
    assert shapes(module) == [(3 * E, E), (E, E)]


class Experts(nn.Module):
    """Sends each position to one of its experts: a stack of matrices, or linear maps."""

    def __init__(self, stacked: bool, weights: Tensor) -> None:
        super().__init__()
        self.router = nn.Linear(E, len(weights), bias=False)
        with torch.no_grad():
            self.router.weight.copy_(weights[:, 0])
        if stacked:
            self.stack = nn.Parameter(weights.clone())
        else:
            self.experts = nn.ModuleList([nn.Linear(E, H, bias=False) for _ in weights])
            for expert, weight in zip(self.experts, weights, strict=True):
                expert.weight = nn.Parameter(weight.clone())
        self.stacked = stacked

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.router(x).argmax(-1)
        outputs = x.new_zeros(*x.shape[:2], H)
        for i in chosen.unique().tolist():
            rows = x[chosen == i]
            outputs[chosen == i] = (
                F.linear(rows, self.stack[i]) if self.stacked else self.experts[i](rows)
            )
        return outputs


def test_experts_in_a_stack_score_as_experts_side_by_side() -> None:
    weights = torch.randn(3, H, E)
    experts = [Experts(stacked, weights) for stacked in (True, False)]
    modules = [Layer(each, experts=each) for each in experts]
    modules[1].embedding.load_state_dict(modules[0].embedding.state_dict())
    names = [
        "l2_norm",
        "snip",
        "gradient_norm",
        "plain",
        "synaptic_saliency",
        "depth",
        "width",
        "parameters",
    ]
    first, second = (score_module(m, TOKENS, names, batch_first=True) for m in modules)
    assert first.scores == pytest.approx(second.scores, rel=1e-5)
    assert first["depth"] == 4
    # By hand: the router's norm and those of the experts.
    norms = [experts[0].router.weight, *weights]
    assert first["l2_norm"] == pytest.approx(sum(float(w.norm()) for w in norms), rel=1e-5)
    refused = score_module(modules[0], TOKENS, batch_first=True).inapplicable
    assert "a linear map inside its Experts multiplies cannot be seen by input" in refused["zico"]


def test_what_does_not_run_is_not_counted() -> None:
    module = Layer(nn.Linear(E, H))
    module.spare = nn.Linear(H, H)
    module.act = nn.ReLU()
    assert shapes(module) == [(H, E)]
    found = score_module(module, TOKENS, batch_first=True)
    assert found.inapplicable["naswot"] == "its activation modules took no part in its forward"
    assert found.found is not None
    assert found.found.share == pytest.approx(H * E / found["parameters"])


def test_a_computed_weight_is_refused_in_words() -> None:
    low_rank = Layer(
        lambda x: x @ (low_rank.a @ low_rank.b), a=torch.randn(E, 2), b=torch.randn(2, H)
    )
    masked = Layer(lambda x: x @ (masked.w * masked.mask), w=torch.randn(E, H))
    masked.register_buffer("mask", torch.ones(E, H).tril())
    for module in (low_rank, masked):
        with pytest.raises(InputError, match="computed from other parameters"):
            score_module(module, TOKENS, ["snip"], batch_first=True)


def test_quantised_maps_are_refused_in_words() -> None:
    module = nn.Sequential(OrderedDict(embedding=nn.Embedding(V, E), linear=nn.Linear(E, H)))
    quantised = torch.ao.quantization.quantize_dynamic(module, {nn.Linear})
    found = score_module(quantised, TOKENS, batch_first=True)
    assert "quantised linear maps" in found.inapplicable["snip"]


def test_the_embedding_is_the_one_that_reads_the_tokens() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.positions, self.words = nn.Embedding(T, E), nn.Embedding(V, E)
            self.last = nn.GRU(E, H, batch_first=True)

        def forward(self, tokens: Tensor) -> Tensor:
            at = torch.arange(tokens.shape[1])
            return self.last(self.words(tokens) + self.positions(at))[0]

    found = score_module(Positions(), TOKENS, ["jacobian_covariance"])
    assert found.found is not None and found.found.embedding == "words"


def test_flops_count_bilinear_forms_and_products_with_vectors() -> None:
    bilinear = nn.Bilinear(E, E, H)
    alone = score_module(Layer(lambda x: bilinear(x, x), b=bilinear), TOKENS, ["flops"])
    assert alone["flops"] == 2 * H * (E * E + E)
    vector = Layer(lambda x: torch.stack([row @ vector.v for row in x]), v=torch.randn(E))
    assert score_module(vector, TOKENS, ["flops"])["flops"] == 2 * E


def test_changes_in_place_change_no_score() -> None:
    class Block(nn.Module):
        def __init__(self, in_place: bool) -> None:
            super().__init__()
            self.embedding = nn.Embedding(V, E)
            self.first, self.second = nn.Linear(E, H), nn.Linear(H, E)
            self.act = nn.ReLU(inplace=in_place)
            self.in_place = in_place

        def forward(self, tokens: Tensor) -> Tensor:
            x = self.embedding(tokens)
            h = self.act(self.first(x))
            y = self.second(h)
            if self.in_place:
                y += x
                y.mul_(2)
                return y
            return (y + x) * 2

    plain, changing = Block(False), Block(True)
    changing.load_state_dict(plain.state_dict())
    expected, found = (score_module(m, TOKENS, batch_first=True) for m in (plain, changing))
    assert found.scores.keys() == expected.scores.keys()
    assert found.scores == pytest.approx(expected.scores, rel=1e-5, nan_ok=True)
    assert found.inapplicable == expected.inapplicable


def test_shapes_without_numbers_are_those_with_them() -> None:
    """Of operations for which the observer has shapes of its own, too."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(V, E)
            self.linear, self.act = nn.Linear(E, H), nn.GELU("tanh")
            self.norm, self.both = nn.LayerNorm(H), nn.LayerNorm((T, H), elementwise_affine=False)

        def forward(self, tokens: Tensor) -> Tensor:
            read = self.embedding(tokens)
            mapped = self.linear(read[0])[None] + self.linear(read)
            return self.both(self.norm(self.act(mapped).transpose(0, 1)).transpose(0, 1))

    module = Block()
    ran: list[tuple[nn.Module, Tensor]] = []
    for part in module.modules():
        part.register_forward_hook(lambda m, _, output: ran.append((m, output)))
    module(TOKENS)
    expected: dict[int, list[tuple[int, ...]]] = {}
    for part, output in ran:
        expected.setdefault(id(part), []).append(tuple(output.shape))
    ran.clear()
    with ModuleRecorder(module).given(TOKENS) as recorder:
        assert recorder.seen.shapes == expected
    assert ran and all(output.is_meta for _, output in ran)  # a copy ran, without numbers
