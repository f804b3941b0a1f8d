"""Which axes count inputs and steps, as changes of the batch show."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archscout import score_module
from archscout.recorders.axes import Axes, Layout
from archscout.recorders.modules import ModuleRecorder

V, E, H = 30, 6, 8


@pytest.fixture(autouse=True)
def _the_same_weights_every_time() -> None:
    torch.manual_seed(0)


class Model(nn.Module):
    """A recurrent language model, (B, T) to (B, T, V), whose inside may be the other way round."""

    def __init__(self, batch_first: bool, turned: bool = False, flat: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        self.states = nn.GRU(E, H, batch_first=batch_first)
        self.activation = nn.Tanh()
        self.last = nn.Linear(H, V)
        self.turned, self.flat = turned, flat

    def forward(self, tokens: Tensor) -> Tensor:
        inputs = self.embedding(tokens)
        states, _ = self.states(inputs.transpose(0, 1) if self.turned else inputs)
        if self.turned:
            states = states.transpose(0, 1)
        shape = states.shape[:2]
        if self.flat:
            states = states.reshape(-1, H)
        outputs = self.activation(self.last(states))
        return outputs.unflatten(0, shape) if self.flat else outputs


def all_scores(module: nn.Module, tokens: Tensor, **options: Any) -> dict[str, float]:
    found = score_module(module, tokens, **options)
    assert "batch_first" not in (found.problem or "")
    return found.scores


@pytest.mark.parametrize("shape", [(5, 9), (8, 8), (1, 6)])
@pytest.mark.parametrize("way", ["time first", "turned inside", "flat", "flat, time first"])
def test_a_network_scores_alike_however_it_is_written(shape: tuple[int, int], way: str) -> None:
    plain = Model(batch_first=True)
    tokens = torch.randint(0, V, shape)
    expected = all_scores(plain, tokens)
    first = "time first" not in way
    other = Model(first and way != "turned inside", way == "turned inside", "flat" in way)
    other.load_state_dict(plain.state_dict())
    found = all_scores(other, tokens if first else tokens.t().contiguous())
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-3, nan_ok=True)


def test_blocks_of_torchs_own_attention_are_read_time_first() -> None:
    layer = nn.TransformerEncoderLayer(E, 2, H)
    module = nn.Sequential(nn.Embedding(V, E), nn.TransformerEncoder(layer, 2), nn.Linear(E, V))
    tokens = torch.randint(0, V, (7, 7))
    names = ["token_sensitivity", "jacobian_covariance", "zen_score"]
    found = score_module(module, tokens, names)
    assert found.scores == score_module(module, tokens, names, batch_first=False).scores
    assert found.problem is None and found.found is not None
    assert found.found.batch_first is False


def test_an_order_that_inputs_contradict_is_told() -> None:
    found = score_module(Model(batch_first=True), torch.randint(0, V, (5, 9)), batch_first=False)
    assert found.problem is not None
    assert "axis 1 of its batch is said to count, act on others" in found.problem


def test_an_order_that_nothing_shows_is_told() -> None:
    module = nn.Sequential(nn.Embedding(V, E), nn.Linear(E, V), nn.ReLU())
    tokens = torch.randint(0, V, (5, 9))
    found = score_module(module, tokens, ["jacobian_covariance"])
    assert found.problem is not None and "taken as (B, T); say batch_first" in found.problem
    assert score_module(module, tokens, ["jacobian_covariance"], batch_first=True).problem is None


def test_a_reversed_network_is_read_by_its_first_step() -> None:
    class Reversed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Model(batch_first=True)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.inner(tokens.flip(1)).flip(1)

    found = score_module(Reversed(), torch.randint(0, V, (6, 6)), ["jacobian_covariance"])
    assert found.found is not None and found.found.batch_first is True


def test_channels_are_told_from_steps_of_the_same_number() -> None:
    class Filters(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(V, H)
            self.filters = nn.Conv1d(H, H, 3, padding=1)
            self.activation = nn.ReLU()

        def forward(self, tokens: Tensor) -> Tensor:
            return self.activation(self.filters(self.embedding(tokens).transpose(1, 2)))

    module, tokens = Filters(), torch.randint(0, V, (H, H))
    with ModuleRecorder(module).given(tokens) as recorder:
        layout = recorder.axes.layout((module.activation, "out"))
        assert layout == Layout(3, inputs=0, steps=2)
        activations = recorder.record(recorder.minibatch, frozenset({"activations"})).activations
    expected = module.activation(module.filters(module.embedding(tokens).transpose(1, 2)))
    assert isinstance(activations[0], Tensor)
    assert torch.equal(activations[0], expected.permute(2, 0, 1))


def test_inputs_that_act_on_each_other_have_no_axis() -> None:
    def run(tokens: Tensor | None) -> dict[Any, list[Tensor]]:
        given = batch if tokens is None else tokens
        return {"result": [given.float() + given.float().mean()]}

    batch = torch.arange(12).reshape(3, 4)
    axes = Axes(run, batch, (3, 4), None)
    assert axes.layout("result") is None
    assert axes.doubt == "inputs act on each other along both axes; (B, T) is assumed"


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        (Layout(3, 0, 1), (5, 7, 4)),
        (Layout(3, 1, 0), (7, 5, 4)),
        (Layout(3, 0, 2), (5, 4, 7)),
        (Layout(4, 0, 2), (5, 2, 7, 4)),
        (Layout(3, 0, 1, 0, (-1, 7)), (35, 4)),
        (Layout(3, 1, 0, 0, (7, -1)), (35, 4)),
    ],
)
def test_what_is_turned_is_turned_back(layout: Layout, shape: tuple[int, ...]) -> None:
    tensor = torch.randn(shape)
    turned = layout.time_first(tensor)
    assert turned.shape[:2] == (7, 5)
    assert torch.equal(layout.back(turned), tensor)
    rows = layout.by_rows(tensor)
    assert rows.shape[-2] == 5 and torch.equal(layout.from_rows(rows), tensor)
