"""Models of transformers of many kinds, against computations by hand."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from archscout import score_module

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "model_families.py"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_families", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAMILIES = script()

# Of each family the names of the parameters inside its layers that are no weights of linear maps,
# though they have two axes or more.
OTHERS = {"jamba": ("A_log",), "mixtral": (), "t5": ("relative_attention_bias",)}


@pytest.mark.slow
@pytest.mark.parametrize("family", OTHERS)
def test_weights_and_their_gradients_are_those_of_all_linear_maps(family: str) -> None:
    model = FAMILIES.build(family).eval()
    tokens = torch.randint(5, 100, (4, 16), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": tokens, "labels": tokens}
    names = ["l2_norm", "snip", "gradient_norm", "plain", "parameters"]
    found = score_module(model, batch, names, objective="loss")

    if hasattr(model.config, "_experts_implementation"):
        model.config._experts_implementation = "eager"
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    weights, gradients = [], []
    for name, parameter in list(model.named_parameters()):
        weights += matrices(family, name, parameter)
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        gradients += matrices(family, name, gradient)
    pairs = list(zip(weights, gradients, strict=True))
    expected = {
        "l2_norm": math.fsum(float(w.norm()) for w in weights),
        "snip": math.fsum(float((w * g).abs().sum()) for w, g in pairs),
        "gradient_norm": math.fsum(float(g.norm()) for g in gradients),
        "plain": math.fsum(float((w * g).sum()) for w, g in pairs),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    assert found.scores == pytest.approx(expected, rel=1e-3)
    assert found.found is not None
    share = sum(w.numel() for w in weights) / expected["parameters"]
    assert found.found.share == pytest.approx(share)
    assert found.found.linear_maps == len(weights)


def matrices(family: str, name: str, tensor: Tensor) -> list[Tensor]:
    """Of a parameter, or its gradient, the weights (outputs, inputs) of linear maps."""
    inside = any(part in name for part in (".layers.", ".block."))
    other = any(part in name for part in OTHERS[family])
    if not inside or other or tensor.dim() < 2:
        return []
    if "experts" in name and tensor.dim() == 3:
        return list(tensor.detach())
    return [tensor.detach().flatten(1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "family",
    [
        *("bert", "gpt2", "opt", "t5", "bart", "mixtral", "deepseek_v3", "jamba", "lfm2"),
        *("recurrent_gemma", "mamba", "fnet", "bloom", "funnel", "modernbert"),
    ],
)
def test_a_family_is_scored_or_refused_in_words(family: str) -> None:
    row = FAMILIES.row(family)
    assert "error" not in row
    assert row["scores"] > 30 and row["share"] > 0.3
    for reason in row["reasons"]:
        assert "a run of the module for it fails" not in reason and "Error" not in reason


def test_a_time_first_recurrent_model_scores_by_hand() -> None:
    torch.manual_seed(0)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.last = nn.Embedding(30, 6), nn.Linear(8, 30)
            self.states = nn.GRU(6, 8)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.last(self.states(self.embedding(tokens))[0])

    module, tokens = Model(), torch.randint(0, 30, (7, 7))  # (T, B)
    names = ["l2_norm", "snip", "gradient_norm", "plain"]
    found = score_module(module, tokens, names)
    weights = [p for name, p in module.named_parameters() if name != "embedding.weight"]
    weights = [weight for weight in weights if weight.dim() == 2]
    gradients = torch.autograd.grad(module(tokens).sum(), weights)
    pairs = list(zip(weights, gradients, strict=True))
    expected = {
        "l2_norm": sum(float(w.norm()) for w in weights),
        "snip": sum(float((w * g).abs().sum()) for w, g in pairs),
        "gradient_norm": sum(float(g.norm()) for _, g in pairs),
        "plain": sum(float((w * g).sum()) for w, g in pairs),
    }
    assert found.scores == pytest.approx(expected, rel=1e-4)
    assert found.found is not None and found.found.batch_first is False
    sensitive = ["token_sensitivity", "jacobian_covariance", "hidden_covariance"]
    assert (
        score_module(module, tokens, sensitive).scores
        == score_module(module, tokens, sensitive, batch_first=False).scores
    )
