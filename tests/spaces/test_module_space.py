"""A space of one's own modules."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archscout
from archscout import InputError, spaces
from archscout.runs.costs import measure
from archscout.spaces import ModuleSpace
from archscout.spaces.base import Trial


def suggest(trial: Trial) -> dict[str, Any]:
    return {
        "width": 4 * trial.suggest_int("width", 1, 4),
        "cell": trial.suggest_categorical("cell", ("GRU", "LSTM")),
    }


class Model(nn.Module):
    def __init__(self, words: int, width: int, cell: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.states = getattr(nn, cell)(width, width, batch_first=True)
        self.last = nn.Linear(width, words)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.last(self.states(self.embedding(tokens))[0])


def build(configuration: Any, words: int) -> nn.Module:
    return Model(words, **configuration)


def space(name: str = "mine") -> ModuleSpace:
    named = {"small": {"width": 4, "cell": "GRU"}}
    return ModuleSpace(
        name,
        suggest,
        build,
        kind="other",
        default_metric="hidden_covariance",
        named=named,
        batch_size=5,
        sequence_length=8,
    )


def test_all_configurations_are_drawn_once() -> None:
    drawn = list(space().samples(0))
    assert len({space().fingerprint(each) for each in drawn}) == len(drawn) == 8
    assert drawn == list(space().samples(0))


def test_a_fingerprint_is_that_of_the_values_in_any_order() -> None:
    one, other = {"width": 4, "cell": "GRU"}, '{"cell": "GRU", "width": 4}'
    assert space().fingerprint(space().parse(one)) == space().fingerprint(space().parse(other))


@pytest.mark.parametrize("document", ["[1, 2]", "no json", {"width": object()}, 3])
def test_what_is_no_configuration_is_refused(document: Any) -> None:
    with pytest.raises(InputError, match="is no configuration of mine"):
        space().parse(document)


def test_a_module_scores_in_the_space_as_it_does_alone() -> None:
    mine = space()
    score = archscout.score(mine, "small", metrics=["hidden_covariance"], seed=3)
    scorer = archscout.Scorer(mine, metrics=["hidden_covariance"], seed=3)
    module = mine.build(mine.parse("small"), len(scorer.vocabulary), scorer.scale, 3)
    alone = archscout.score_module(
        module, scorer.minibatch.t(), ["hidden_covariance"], batch_first=True
    )
    assert score["hidden_covariance"] == alone["hidden_covariance"]


def test_a_search_ends_with_a_candidate_that_can_be_built(tmp_path: Path) -> None:
    mine = space("searched")
    spaces.register(mine)
    run = archscout.search(mine, trials=6, out=tmp_path / "run", metrics=["hidden_covariance"])
    assert len(run.table) > 1
    assert archscout.Run(tmp_path / "run").best.fingerprint == run.best.fingerprint
    other = space("searched")
    spaces.register(other)  # as a cell of a notebook that is run again does
    assert spaces.get("searched") is other
    with pytest.raises(InputError, match="'rnn' is the name of another space"):
        spaces.register(space("rnn"))


def test_costs_are_those_of_whole_texts() -> None:
    mine = space()
    module = mine.build(mine.parse("small"), 100, mine.scales["default"], 0)
    costs = measure(mine, mine.parse("small"), 100, mine.scales["default"], ["parameters", "flops"])
    # Of a token: the cell's two products for three gates, and the last map, twice each.
    assert costs["flops"] == 2 * (2 * 3 * 4 * 4 + 4 * 100)
    assert costs["parameters"] == sum(p.numel() for p in module.parameters())
    assert mine.step(module, mine.scales["default"], 2).shape == (2, 8, 100)


def test_a_step_of_a_module_that_reads_time_first_is_of_whole_texts_too() -> None:
    seen: list[tuple[int, ...]] = []

    class TimeFirst(Model):
        def __init__(self, words: int, width: int, cell: str) -> None:
            super().__init__(words, width, cell)
            self.states = getattr(nn, cell)(width, width)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(tokens.shape))
            return super().forward(tokens)

    def build(configuration: Any, words: int) -> nn.Module:
        return TimeFirst(words, **configuration)

    mine = ModuleSpace("first", suggest, build, kind="other", default_metric="naswot")
    module = mine.build({"width": 4, "cell": "GRU"}, 9, mine.scales["default"], 0)
    mine.step(module, mine.scales["default"], 3)
    assert seen == [(64, 3)]


def test_parameters_that_a_first_run_makes_follow_the_seed() -> None:
    def build(configuration: Any, words: int) -> nn.Module:
        return nn.Sequential(nn.Embedding(words, 4), nn.LazyLinear(6), nn.Linear(6, words))

    mine = ModuleSpace("late", suggest, build, kind="other", default_metric="naswot")
    scale = mine.scales["default"]
    found = []
    for other in (1, 2):
        torch.manual_seed(other)
        found.append(mine.build({}, 9, scale, 0).state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert measure(mine, {}, 9, scale, ["parameters"]) == {"parameters": 36 + 30 + 63}
    with pytest.raises(InputError, match=r"only its first run makes, such as 1\.weight"):
        archscout.score_module(build({}, 9), torch.zeros(2, 5, dtype=torch.long), ["naswot"])


def test_a_configuration_may_have_any_keys() -> None:
    mine = space()
    written = {"space": "mine", "architecture": {"op": "relu", "width": 4}}
    assert mine.parse(written) == written["architecture"]


def test_a_configuration_is_written_in_one_order() -> None:
    one, other = {"width": 4, "cell": "GRU"}, {"cell": "GRU", "width": 4}
    assert list(space().to_dict(one)) == list(space().to_dict(other))


def test_a_search_starts_from_named_configurations_whose_genes_are_known(tmp_path: Path) -> None:
    def genes(configuration: Any) -> dict[str, Any]:
        return {"width": configuration["width"] // 4, "cell": configuration["cell"]}

    named = {"small": {"width": 4, "cell": "GRU"}}
    options: dict[str, Any] = {"kind": "other", "default_metric": "naswot", "named": named}
    mine = ModuleSpace("started", suggest, build, genes=genes, **options)
    assert spaces.classics(mine) == [{"width": 1, "cell": "GRU"}]
    assert spaces.classics(ModuleSpace("not started", suggest, build, **options)) == []
    spaces.register(mine)
    run = archscout.search(mine, trials=3, out=tmp_path / "run", metrics="parameters")
    first = run.table.set_index("trial").loc[0, "fingerprint"]
    assert run.names == {first: "small"}


def test_weights_and_configuration_are_written(tmp_path: Path) -> None:
    mine = space()
    module = mine.build(mine.parse("small"), 10, mine.scales["default"], 0)
    mine.save_pretrained(module, mine.parse("small"), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert mine.parse((tmp_path / "config.json").read_text()) == mine.parse("small")


def test_a_configuration_may_have_a_part_called_architecture() -> None:
    whole = {"width": 4, "architecture": {"layers": 2}}
    mine = spaces.ModuleSpace(
        "parts", lambda trial: whole, lambda _, words: nn.Embedding(words, 4), kind="other",
        default_metric="naswot", named={"one": whole},
    )  # fmt: skip
    assert mine.sample(0) == mine.named["one"] == mine.parse(whole) == whole
    assert mine.parse({"space": "parts", "architecture": whole}) == whole


def test_genes_may_be_drawn_as_optuna_draws_them() -> None:
    def suggest(trial: Any) -> dict[str, Any]:
        return {
            "width": trial.suggest_int("width", 8, 64, step=8),
            "layers": trial.suggest_int("layers", 1, 64, log=True),
            "rate": trial.suggest_float("rate", 1e-3, 1, log=True),
            "part": trial.suggest_float("part", 0, 1, step=0.25),
        }

    mine = spaces.ModuleSpace(
        "drawn", suggest, lambda _, words: nn.Embedding(words, 4), kind="other",
        default_metric="naswot",
    )  # fmt: skip
    drawn = list(islice(mine.samples(0), 400))
    assert {each["width"] for each in drawn} == set(range(8, 65, 8))
    assert {each["part"] for each in drawn} == {0, 0.25, 0.5, 0.75, 1}
    assert min(each["layers"] for each in drawn) == 1 and 32 < max(e["layers"] for e in drawn) <= 64
    assert 80 < sum(each["rate"] < 1e-2 for each in drawn) < 190  # a third of 400


def test_frozen_parameters_are_parameters() -> None:
    def build(_: Any, words: int) -> nn.Module:
        network = nn.Sequential(nn.Embedding(words, 8), nn.Linear(8, words))
        network[0].requires_grad_(False)
        return network

    mine = spaces.ModuleSpace("frozen", lambda _: {}, build, kind="other", default_metric="naswot")
    names = ["parameters", "non_embedding_parameters"]
    costs = measure(mine, {}, 50, mine.scales["default"], names)
    assert costs == {"parameters": 850, "non_embedding_parameters": 450}
    scored = archscout.Scorer(mine, "python-docs", names, vocabulary_size=50).score({})
    assert {name: scored[name] for name in names} == costs


def test_a_registered_space_is_known_by_its_signature() -> None:
    mine = space("signed")
    mine.signature = "my_key"  # type: ignore[attr-defined]
    spaces.register(mine)
    assert spaces.recognise('{"my_key": 1}') == "signed"


def test_a_registered_space_may_have_arguments() -> None:
    class Mine(spaces.RecurrentSpace):
        name = "mycells"

    mine = Mine(states=1)
    spaces.register(mine)
    assert spaces.get("mycells", **mine.arguments) is spaces.get("mycells") is mine
    with pytest.raises(InputError, match=r"registered with \{'states': 1\}; one with"):
        spaces.get("mycells", states=3)


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="kind is 'transfomer'; accepted: transformer, other"):
        ModuleSpace("m", dict, lambda *_: nn.GELU(), kind="transfomer", default_metric="naswot")  # type: ignore[arg-type]
