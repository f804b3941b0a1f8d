"""What of a recurrent cell reaches its output."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from archscout import search, spaces
from archscout.spaces.recurrent.canonical import live
from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.spaces.recurrent.recipe import Recipe

SPACE = spaces.RecurrentSpace()
SAMPLED = list(islice(SPACE.samples(0), 300))
WITH_IDLE_PARTS = [recipe for recipe in SAMPLED if live(recipe) != recipe]


def built(recipe: Recipe) -> RecurrentLanguageModel:
    torch.manual_seed(0)
    model = RecurrentLanguageModel(recipe.to_dict(), 20, 4, 6, 2)
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5)
    return model


def test_cells_that_use_everything_stay_as_they_are() -> None:
    for recipe in (*SPACE.named.values(), SPACE.parse(live(SAMPLED[0]))):
        assert live(recipe) == recipe
    assert len(WITH_IDLE_PARTS) > 10


@pytest.mark.parametrize("recipe", WITH_IDLE_PARTS[:12], ids=SPACE.fingerprint)
def test_the_live_part_computes_the_same(recipe: Recipe) -> None:
    small = live(recipe)
    assert live(small) == small
    assert (len(small.nodes), small.num_states) < (len(recipe.nodes), recipe.num_states)
    whole, part = built(recipe), built(small)
    # What is left keeps its order, and so do its nodes' weights; only states are renumbered.
    kept = [name for name in recipe.nodes if reaches_output(recipe, name)]
    names = dict(zip(small.nodes, kept, strict=True))
    part.embedding, part.decoder_bias = whole.embedding, whole.decoder_bias
    for to, of in zip(part.recurrent_layers, whole.recurrent_layers, strict=True):
        for name, node in to.linear.items():
            node.bias, node.weights = of.linear[names[name]].bias, of.linear[names[name]].weights
    tokens = torch.randint(20, (7, 3), generator=torch.Generator().manual_seed(1))
    whole.eval(), part.eval()
    assert torch.allclose(whole(tokens)[0], part(tokens)[0], atol=1e-6)


def test_a_state_that_only_its_own_step_reads_is_none() -> None:
    """It is a node like others, and the cell that of the same nodes with one state less."""
    linear = {"op": "linear", "input": ["x", "h_prev_0"]}
    nodes = {
        "a": linear,
        "h_new_1": {"op": "activation_tanh", "input": ["a"]},
        "h_new_0": {"op": "activation_sigm", "input": ["h_new_1"]},
    }
    inner = {"a": nodes["a"], "b": nodes["h_new_1"]}
    one = Recipe.from_json(inner | {"h_new_0": {"op": "activation_sigm", "input": ["b"]}})
    assert SPACE.fingerprint(live(Recipe.from_json(nodes))) == SPACE.fingerprint(one)
    taken = Recipe.from_json(nodes | {"inner_1": linear})  # a name that is used, by an idle node
    assert SPACE.fingerprint(live(taken)) == SPACE.fingerprint(one)


def reaches_output(recipe: Recipe, start: str) -> bool:
    """Whether a walk along the edges, forwards and over steps, comes to the first state."""
    seen, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        if name == "h_new_0":
            return True
        readers = {other for other, node in recipe.nodes.items() if name in node.input}
        if name.startswith("h_new_"):
            readers.add(name.replace("new", "prev"))
        waiting += readers - seen
        seen |= readers
    return False


def test_a_search_scores_live_cells_only(tmp_path: Path) -> None:
    run = search("rnn", trials=40, sampler="random", metrics="parameters:max", out=tmp_path / "run")
    found = [SPACE.parse(architecture) for architecture in run.table["architecture"]]
    assert all(live(recipe) == recipe for recipe in found)
    assert list(run.table["fingerprint"]) == [SPACE.fingerprint(recipe) for recipe in found]
