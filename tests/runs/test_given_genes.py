"""What searches start from where their space draws by size."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import archscout
from archscout.errors import InputError
from archscout.runs import Run
from archscout.spaces import GptSpace
from archscout.spaces.recurrent import Node, Recipe

SIZE = "non_embedding_parameters"
LIMIT = 400_000
SPACE = GptSpace()


def small(out: Path, **settings: Any) -> Run:
    """A search by costs alone, which need no weights."""
    usual = {"metrics": f"{SIZE}:max", "trials": 30, "population_size": 12, "seed": 3}
    limit = {f"max_{SIZE}": LIMIT}
    return archscout.search("gpt", out=out, **usual | limit | settings)  # type: ignore[arg-type]


def sizes(run: Run) -> list[float]:
    """Of all proposals, in their order."""
    table = run.table.set_index("trial").sort_index()
    return list(table[SIZE])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small(tmp_path_factory.mktemp("whole") / "run")


def test_the_first_population_has_nearly_the_size_of_the_limit(run: Run) -> None:
    named = [SPACE.size(each) for each in SPACE.named.values()]
    first = sizes(run)[:12]
    assert first[: len(named)] == named
    drawn = first[len(named) :]
    assert len(set(drawn)) > 5 and all(LIMIT / 2 <= size <= LIMIT for size in drawn)


def test_a_limit_that_few_decoders_meet_is_met(tmp_path: Path) -> None:
    least = 70_000
    run = small(tmp_path / "run", trials=12, **{f"max_{SIZE}": least})
    assert sum(run.table["within_limits"]) >= 5
    complaint = rf"max_{SIZE} is 1,000: no decoder was found with .*; the space has those of 53,"
    with pytest.raises(InputError, match=complaint):
        small(tmp_path / "none", **{f"max_{SIZE}": 1000})


def test_it_is_the_same_where_the_search_is_gone_on_with(run: Run, tmp_path: Path) -> None:
    small(tmp_path / "run", trials=9)
    resumed = small(tmp_path / "run", resume=True)
    assert sizes(resumed) == sizes(run)
    other = small(tmp_path / "other", seed=4, trials=12)
    assert sizes(other) != sizes(run)[:12]


def test_random_search_draws_every_batch_so(tmp_path: Path) -> None:
    found = sizes(small(tmp_path / "run", sampler="random", trials=104))[len(SPACE.named) :]
    assert len(set(found)) > 90 and all(LIMIT / 2 <= size <= LIMIT for size in found)


def test_without_a_limit_of_size_genes_are_drawn_one_by_one(tmp_path: Path) -> None:
    free = small(tmp_path / "free", **{f"max_{SIZE}": None})
    assert max(sizes(free)) > 1_000_000
    # No decoder has half as many, so the limit leaves all in.
    wide = small(tmp_path / "wide", **{f"max_{SIZE}": "10G"})
    assert sizes(wide) == sizes(free)


def test_what_is_included_is_proposed_after_the_named_ones_and_has_its_name(tmp_path: Path) -> None:
    mine = dict(zip("abcdefghijk", SPACE.samples(5), strict=False))
    run = small(tmp_path / "run", include={**mine, "gpt2": SPACE.named["gpt2-tiny"]})
    first = run.table.set_index("trial").sort_index()["fingerprint"]
    known = {SPACE.fingerprint(each): name for name, each in (mine | dict(SPACE.named)).items()}
    named = len(SPACE.named)
    # More than there are in the first population: the next one begins with the others.
    assert [known[mark] for mark in first[: named + 11]] == [*SPACE.named, *mine]
    assert run.names == known
    assert Run(run.folder.path).names == known


def test_a_search_goes_on_only_with_what_was_included(tmp_path: Path) -> None:
    first, second = islice(SPACE.samples(5), 2)
    small(tmp_path / "run", trials=5, include={"mine": first})
    was = SPACE.fingerprint(SPACE.canonical(first))
    with pytest.raises(InputError, match=rf"include.mine is '\w+', was '{was}'"):
        small(tmp_path / "run", include={"mine": second}, resume=True)
    whole = small(tmp_path / "run", include={"mine": first}, resume=True)
    assert sizes(whole) == sizes(small(tmp_path / "again", include={"mine": first}))


def test_what_no_genes_give_cannot_be_included(tmp_path: Path) -> None:
    linear = Node(op="linear", input=("x", "h_prev_0", "h_prev_0"))
    twice = Recipe({"h_new_0": Node(op="activation_tanh", input=("a",)), "a": linear})
    with pytest.raises(InputError, match="mine cannot be included: no genes of 'rnn' give it"):
        archscout.search("rnn", include={"mine": twice}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_included_may_be_given_in_any_form(tmp_path: Path) -> None:
    tiny = SPACE.named["gpt2-tiny"]
    forms = (tiny, "gpt2-tiny", SPACE.to_dict(tiny))
    runs = [small(tmp_path / str(i), trials=1, include={"a": f}) for i, f in enumerate(forms)]
    assert [run.names for run in runs] == [runs[0].names] * 3


def test_what_is_included_has_no_name_of_another(tmp_path: Path) -> None:
    other = SPACE.sample(3)
    mark = SPACE.fingerprint(SPACE.named["gpt2-tiny"])
    with pytest.raises(InputError, match=f"gpt2-tiny cannot be .*: it is that of {mark}, and"):
        small(tmp_path / "run", include={"gpt2-tiny": other})
    assert not (tmp_path / "run").exists()
