"""What modules return, and what of it is the output and what the loss."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from archscout import score_module
from archscout.recorders.returned import loss_of, main_tensor, replaced

LOSS, LOGITS, STATES = torch.tensor(2.0), torch.randn(2, 3, 4), torch.randn(2, 3, 5)
Named = namedtuple("Named", "loss logits")


@dataclass
class Output:
    logits: Tensor
    loss: Tensor | None = None


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        (LOGITS, None),
        ((LOSS, LOGITS), LOSS),
        ((LOGITS, LOSS), LOSS),
        ((LOGITS, None), None),
        ({"loss": LOSS, "logits": LOGITS}, LOSS),
        ({"loss": None, "logits": LOGITS}, None),
        (Named(LOSS, LOGITS), LOSS),
        (Output(LOGITS, LOSS), LOSS),
        (Output(LOGITS), None),
    ],
)
def test_a_loss_is_told_from_the_output(output: Any, loss: Tensor | None) -> None:
    assert main_tensor(output) is LOGITS
    found = loss_of(output)
    assert (found is None) == (loss is None)
    assert loss is None or (found is not None and float(found) == float(loss))


def test_the_last_hidden_state_is_the_output_where_it_is_named() -> None:
    assert main_tensor({"pooled": LOGITS, "last_hidden_state": STATES}) is STATES


@pytest.mark.parametrize(
    "output",
    [LOGITS, (LOSS, LOGITS), [LOGITS], {"a": LOGITS}, Named(LOSS, LOGITS), Output(LOGITS, LOSS)],
)
def test_one_tensor_is_replaced_and_the_rest_stays(output: Any) -> None:
    changed = replaced(output, LOGITS, STATES)
    assert type(changed) is type(output)
    assert main_tensor(changed) is STATES
    assert main_tensor(output) is LOGITS
    assert loss_of(changed) is loss_of(output) or float(loss_of(changed)) == float(LOSS)


class Model(nn.Module):
    """A language model that returns a loss where it is given labels."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.last = nn.Embedding(20, 6), nn.Linear(6, 20)
        self.make = make

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Any:
        logits = self.last(self.embedding(tokens))
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return self.make(logits, loss)


@pytest.mark.parametrize(
    "make", [lambda o, loss: (loss, o), lambda o, loss: (o, loss), Output, lambda o, x: Named(x, o)]
)
def test_labels_change_no_score_but_those_of_the_loss(make: Any) -> None:
    module, tokens = Model(make), torch.randint(0, 20, (4, 5))
    plain = score_module(module, {"tokens": tokens}, ["snip"], batch_first=True)
    batch = {"tokens": tokens, "labels": tokens}
    assert score_module(module, batch, ["snip"], batch_first=True).scores == plain.scores
    by_loss = score_module(module, batch, ["snip"], batch_first=True, objective="loss")["snip"]
    loss = loss_of(module(tokens, tokens))
    assert loss is not None
    (gradient,) = torch.autograd.grad(loss, module.last.weight)
    expected = float((gradient * module.last.weight).abs().sum())
    assert by_loss == pytest.approx(expected, rel=1e-5)


def test_a_packed_sequence_is_one_argument() -> None:
    class Packs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.states, self.last = nn.LSTM(8, 16), nn.Linear(16, 4)

        def forward(self, given: Any) -> Tensor:
            return self.last(self.states(given)[0].data)

    module, packed = Packs(), pack_padded_sequence(torch.randn(9, 3, 8), [9, 7, 2])
    found = score_module(module, packed)
    weights = [p for name, p in module.named_parameters() if "weight" in name]
    gradients = torch.autograd.grad(module(packed).sum(), weights)
    pairs = zip(weights, gradients, strict=True)
    expected = sum(float((w * g).abs().sum()) for w, g in pairs)
    assert found["snip"] == pytest.approx(expected, rel=1e-5)
    assert "packed sequence" in found.inapplicable["jacobian_covariance"]


def test_half_precision_scores_nearly_as_single_precision() -> None:
    names = ["l2_norm", "gradient_norm", "jacobian_cosine", "zen_score"]
    tokens = torch.randint(0, 20, (4, 5))
    module = nn.Sequential(nn.Embedding(20, 8), nn.LSTM(8, 8, batch_first=True))
    single = score_module(module, tokens, names, batch_first=True).scores
    half = score_module(module.bfloat16(), tokens, names, batch_first=True).scores
    assert half == pytest.approx(single, rel=0.05)


def test_padding_is_told() -> None:
    class Masked(Model):
        def forward(self, tokens: Tensor, attention_mask: Tensor) -> Any:  # type: ignore[override]
            return super().forward(tokens)

    mask = torch.ones(4, 5, dtype=torch.long)
    module, tokens = Masked(lambda o, _: o), torch.randint(0, 20, (4, 5))
    names = ["snip"]
    assert score_module(module, [tokens, mask], names, batch_first=True).problem is None
    mask[2:, 3:] = 0
    batch = {"tokens": tokens, "attention_mask": mask}
    problem = score_module(module, batch, names, batch_first=True).problem
    assert problem is not None and "padding, 4 of 20 positions" in problem


def test_a_module_without_numbers_has_its_sizes_alone() -> None:
    module = Model(lambda o, _: o).to("meta")
    found = score_module(module, torch.zeros(4, 5, dtype=torch.long, device="meta"))
    assert {"parameters", "depth", "width", "flops"} <= found.scores.keys()
    assert (
        found.inapplicable["snip"] == "its parameters are on the meta device, and hold no numbers"
    )


def test_modules_in_a_list_are_scored_one_after_another() -> None:
    modules = [Model(lambda o, _: o), Model(lambda o, _: (o, None))]
    tokens = torch.randint(0, 20, (4, 5))
    found = score_module(modules, tokens, ["snip"], batch_first=True)
    assert len(found) == 2 and found[0].scores == found[1].scores


def test_a_printed_score_says_what_was_found() -> None:
    found = score_module(Model(lambda o, _: o), torch.randint(0, 20, (4, 5)), ["snip"])
    lines = str(found).splitlines()
    assert lines[0] == "taken for no transformer: depth 1"
    assert lines[1] == "linear maps: 1, their weights 46% of all parameters"
    assert "gradients of: sum" in lines and "batch: (B, T)" in lines
    assert any(line.startswith("problem: nothing in the module acts across") for line in lines)
